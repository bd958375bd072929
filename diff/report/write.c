/* Puts the four files into a folder: each is written beside its place and renamed, so none is ever half there. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "diff/report/report.h"

static const struct {
    const char *name;
    void (*render)(const struct report *report, struct text *out);
} formats[] = {
    {"report.html", report_html},
    {"report.json", report_json},
    {"report.junit.xml", report_junit},
    {"report.sarif", report_sarif},
};
#define FORMATS (sizeof(formats) / sizeof(formats[0]))

static int write_all(int fd, const char *bytes, size_t length)
{
    while (length) {
        ssize_t written = write(fd, bytes, length);

        if (written < 0 && errno != EINTR)
            return -errno;
        if (written > 0) {
            bytes += written;
            length -= (size_t)written;
        }
    }
    return fsync(fd) && errno != EINVAL && errno != EROFS ? -errno : 0;
}

static int write_file(const char *path, const struct text *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    int err;

    if (fd < 0)
        return -errno;
    err = write_all(fd, text->bytes ? text->bytes : "", text->length);
    if (close(fd) && !err)
        err = -errno;
    return err;
}

static void temporary_path(const char *folder, unsigned format, char path[4096])
{
    snprintf(path, 4096, "%s/.%s.%d.part", folder, formats[format].name, (int)getpid());
}

static int make_folder(const char *folder)
{
    char path[4096];

    if (snprintf(path, sizeof(path), "%s/", folder) >= (int)sizeof(path) - 64)
        return -ENAMETOOLONG;
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdir(path, 0777) && errno != EEXIST)
            return -errno;
        *slash = '/';
    }
    return 0;
}

static int render_format(const struct report *report, const char *folder, unsigned format)
{
    struct text text = {0};
    char path[4096];
    int err;

    formats[format].render(report, &text);
    temporary_path(folder, format, path);
    err = text.out_of_memory ? -ENOMEM : write_file(path, &text);
    text_free(&text);
    return err;
}

static int rename_all(const char *folder)
{
    char from[4096], to[4096];
    int err = 0;

    for (unsigned format = 0; !err && format < FORMATS; format++) {
        temporary_path(folder, format, from);
        snprintf(to, sizeof(to), "%.4000s/%s", folder, formats[format].name);
        err = rename(from, to) ? -errno : 0;
    }
    return err;
}

static int say(int err, const char *folder, char why[240])
{
    if (err == -ENOSPC)
        snprintf(why, 240,
                 "no space left for the report in %.120s: free some, or give another folder with -o", folder);
    else if (err)
        snprintf(why, 240, "cannot write the report to %.120s: %s", folder, strerror(-err));
    return err;
}

int report_folder(const char *folder, char why[240])
{
    char path[4096];
    int err = make_folder(folder), fd;

    if (err)
        return say(err, folder, why);
    temporary_path(folder, 0, path);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    err = fd < 0 ? -errno : 0;
    if (fd >= 0) {
        close(fd);
        unlink(path);
    }
    return say(err, folder, why);
}

int report_write(const struct report *report, const char *folder, char why[240])
{
    int err = make_folder(folder);

    for (unsigned format = 0; !err && format < FORMATS; format++)
        err = render_format(report, folder, format);
    if (!err)
        err = rename_all(folder);
    if (err) {
        char path[4096];

        for (unsigned format = 0; format < FORMATS; format++) {
            temporary_path(folder, format, path);
            unlink(path);
        }
    }
    return say(err, folder, why);
}

/* Fetches the box's kernel from the distribution's archive and keeps it unpacked, by version. ARCHITECTURE.md, "The box". */
#include "diff/machine/box_image.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "diff/machine/child.h"

#define FETCH_MS   300000u /* 30 MB over a slow line */
#define COMMAND_MS 120000u
#define PREFIX     "linux-image-"

void box_kernel_folder(char *path, size_t size)
{
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");

    if (cache && *cache == '/')
        snprintf(path, size, "%s/paravane/kernels", cache);
    else
        snprintf(path, size, "%s/.cache/paravane/kernels", home && *home ? home : "/root");
}

static int make_folders(const char *path, char why[240])
{
    char part[600];

    snprintf(part, sizeof(part), "%s/", path);
    for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(part, 0777) < 0 && errno != EEXIST) {
            snprintf(why, 240, "cannot make the folder %.120s: %s", part, strerror(errno));
            return -errno;
        }
        *slash = '/';
    }
    return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void remove_tree(const char *path)
{
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* Runs a shell line in a folder; the words come as $1, $2, ...: nothing is pasted into the script. */
static int shell(const char *folder, const char *script, const char *const words[], unsigned timeout_ms,
                 char **out, char why[240])
{
    struct args args = {0};
    int err;

    args_add(&args, "/bin/sh");
    args_add(&args, "-c");
    /* depmod and modprobe are in /usr/sbin, which is not in every user's PATH. */
    args_addf(&args, "PATH=$PATH:/usr/sbin:/sbin; cd \"$0\" && %s", script);
    args_add(&args, folder);
    for (; *words; words++)
        args_add(&args, *words);
    err = child_output(&args, timeout_ms, out, why, 240);
    args_free(&args);
    return err;
}

/* The concrete package behind a metapackage; a concrete one stands for itself. */
static int resolve(const char *package, char *name, size_t size, char why[240])
{
    static const char depends[] = "  Depends: ";
    struct args args = {0};
    char *out = NULL;
    char *line;
    int err;

    args_add(&args, "apt-cache");
    args_add(&args, "depends");
    args_add(&args, package);
    err = child_output(&args, COMMAND_MS, &out, why, 240);
    args_free(&args);
    if (err) {
        snprintf(why, 240, "apt does not know %.80s: apt-get update, or name another with box build PACKAGE",
                 package);
        return err;
    }
    line = strstr(out, depends);
    while (line && strncmp(line + strlen(depends), PREFIX, strlen(PREFIX)))
        line = strstr(line + 1, depends);
    if (line)
        snprintf(name, size, "%.*s", (int)strcspn(line + strlen(depends), "\n"), line + strlen(depends));
    else
        snprintf(name, size, "%s", package);
    free(out);
    return 0;
}

/* Modules that L1 loads, in order and with what they need, as `modprobe --show-depends` prints them. */
static int list_modules(const char *folder, const char *version, char why[240])
{
    static const char script[] =
        "find . -name '*.ko.xz' -exec xz -d {} + && depmod -b . \"$1\" && "
        "modprobe -d . -S \"$1\" --show-depends kvm-amd | "
        "sed -n 's|^insmod .*/\\(lib/modules/[^ ]*\\).*|\\1|p' > modules.box && test -s modules.box";

    return shell(folder, script, (const char *const[]){version, NULL}, COMMAND_MS, NULL, why);
}

static int unpack(const char *temp, const char *name, const char *version, char why[240])
{
    /* apt's sandbox user could not write here: its warning about that is of no interest. */
    static const char download[] =
        "apt-get -q -o APT::Sandbox::User=root download \"$1\" && dpkg -x *.deb . && rm *.deb";
    int err = shell(temp, download, (const char *const[]){name, NULL}, FETCH_MS, NULL, why);

    return err ? err : list_modules(temp, version, why);
}

static int point_to(const char *folder, const char *version)
{
    char link[600], temp[600];

    snprintf(link, sizeof(link), "%s/current", folder);
    snprintf(temp, sizeof(temp), "%s/.current.%d", folder, (int)getpid());
    unlink(temp);
    if (symlink(version, temp) < 0 || rename(temp, link) < 0)
        return -errno;
    return 0;
}

int box_kernel_fetch(const char *package, char version[96], char why[240])
{
    char folder[512], temp[600], final[700], name[128];
    int err;

    box_kernel_folder(folder, sizeof(folder));
    err = make_folders(folder, why);
    if (!err)
        err = resolve(package ? package : BOX_KERNEL_PACKAGE, name, sizeof(name), why);
    if (err)
        return err;
    snprintf(version, 96, "%.95s", strncmp(name, PREFIX, strlen(PREFIX)) ? name : name + strlen(PREFIX));
    snprintf(final, sizeof(final), "%s/%s", folder, version);
    if (access(final, F_OK) != 0) {
        snprintf(temp, sizeof(temp), "%s/.new.XXXXXX", folder);
        if (!mkdtemp(temp)) {
            snprintf(why, 240, "cannot make a folder in %.120s: %s", folder, strerror(errno));
            return -errno;
        }
        err = unpack(temp, name, version, why);
        if (!err && rename(temp, final) < 0 && errno != EEXIST && errno != ENOTEMPTY)
            err = -errno;
        remove_tree(temp); /* gone already, or of no use */
    }
    return err ? err : point_to(folder, version);
}

/* Writes "newc" archives. Documentation/driver-api/early-userspace/buffer-format.rst of Linux. */
#include "diff/machine/cpio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER_SIZE 110

static void append(struct cpio *cpio, const void *data, size_t len)
{
    if (cpio->failed)
        return;
    if (len > cpio->capacity - cpio->len) {
        size_t capacity = (cpio->len + len) * 3 / 2 + 4096;
        uint8_t *grown = realloc(cpio->data, capacity);

        if (!grown) {
            cpio->failed = true;
            return;
        }
        cpio->data = grown;
        cpio->capacity = capacity;
    }
    if (len)
        memcpy(cpio->data + cpio->len, data, len);
    cpio->len += len;
}

static void pad4(struct cpio *cpio)
{
    append(cpio, "\0\0\0", -cpio->len & 3);
}

struct entry {
    unsigned mode, links, major, minor;
};

static void add(struct cpio *cpio, const char *name, const struct entry *e, const void *data, size_t len)
{
    char header[HEADER_SIZE + 1];

    /* magic, inode, mode, uid, gid, links, mtime, size, dev, rdev, name size, check. No times: equal in, equal out. */
    snprintf(header, sizeof(header), "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
             ++cpio->entries, e->mode, 0, 0, e->links, 0, (unsigned)len, 0, 0, e->major, e->minor,
             (unsigned)strlen(name) + 1, 0);
    append(cpio, header, HEADER_SIZE);
    append(cpio, name, strlen(name) + 1);
    pad4(cpio);
    append(cpio, data, len);
    pad4(cpio);
}

static bool has_folder(const struct cpio *cpio, const char *path)
{
    for (unsigned i = 0; i < cpio->folder_count; i++)
        if (!strcmp(cpio->folders[i], path))
            return true;
    return false;
}

static void add_parents(struct cpio *cpio, const char *path)
{
    char parent[4096];
    const char *slash = strrchr(path, '/');

    if (!slash || slash == path)
        return;
    snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path), path);
    cpio_folder(cpio, parent);
}

void cpio_folder(struct cpio *cpio, const char *path)
{
    char **grown;

    if (has_folder(cpio, path))
        return;
    add_parents(cpio, path);
    grown = realloc(cpio->folders, (cpio->folder_count + 1) * sizeof(*grown));
    if (!grown) {
        cpio->failed = true;
        return;
    }
    cpio->folders = grown;
    cpio->folders[cpio->folder_count] = strdup(path);
    if (!cpio->folders[cpio->folder_count]) {
        cpio->failed = true;
        return;
    }
    cpio->folder_count++;
    add(cpio, path + 1, &(struct entry){.mode = S_IFDIR | 0755, .links = 2}, NULL, 0);
}

void cpio_file(struct cpio *cpio, const char *path, unsigned mode, const void *data, size_t len)
{
    add_parents(cpio, path);
    add(cpio, path + 1, &(struct entry){.mode = S_IFREG | mode, .links = 1}, data, len);
}

void cpio_char_device(struct cpio *cpio, const char *path, unsigned major, unsigned minor)
{
    add_parents(cpio, path);
    add(cpio, path + 1, &(struct entry){.mode = S_IFCHR | 0600, .links = 1, .major = major, .minor = minor},
        NULL, 0);
}

int cpio_copy(struct cpio *cpio, const char *path, unsigned mode, const char *from)
{
    int fd = open(from, O_RDONLY | O_CLOEXEC);
    struct stat st;
    void *data;
    int err = 0;

    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size == 0) {
        close(fd);
        return -EINVAL;
    }
    data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) {
        err = -errno;
    } else {
        cpio_file(cpio, path, mode, data, (size_t)st.st_size);
        munmap(data, (size_t)st.st_size);
    }
    close(fd);
    return err;
}

void cpio_end(struct cpio *cpio)
{
    add(cpio, "TRAILER!!!", &(struct entry){.links = 1}, NULL, 0);
}

void cpio_free(struct cpio *cpio)
{
    for (unsigned i = 0; i < cpio->folder_count; i++)
        free(cpio->folders[i]);
    free(cpio->folders);
    free(cpio->data);
    *cpio = (struct cpio){0};
}

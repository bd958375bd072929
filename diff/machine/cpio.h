/* Writes an initramfs in memory: the "newc" archive of Documentation/driver-api/early-userspace/buffer-format.rst. */
#ifndef DIFF_MACHINE_CPIO_H
#define DIFF_MACHINE_CPIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cpio {
    uint8_t *data;
    size_t len, capacity;
    uint32_t entries;
    char **folders; /* those that are in it */
    unsigned folder_count;
    bool failed; /* memory was short */
};

/* Paths are absolute; folders above them are added as needed. */
void cpio_folder(struct cpio *cpio, const char *path);
void cpio_file(struct cpio *cpio, const char *path, unsigned mode, const void *data, size_t len);
void cpio_char_device(struct cpio *cpio, const char *path, unsigned major, unsigned minor);
/* Copies a file of the host. -errno. */
int cpio_copy(struct cpio *cpio, const char *path, unsigned mode, const char *from);
void cpio_end(struct cpio *cpio);
void cpio_free(struct cpio *cpio);

#endif

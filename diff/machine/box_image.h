/* What the box boots: a stock Debian kernel and an initramfs with KVM, QEMU and our agent. ARCHITECTURE.md, "The box". */
#ifndef DIFF_MACHINE_BOX_IMAGE_H
#define DIFF_MACHINE_BOX_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#define BOX_KERNEL_PACKAGE                                                                                   \
    "linux-image-cloud-amd64" /* depends on the concrete one, whose name changes with updates */
#define BOX_AGENT "pv-agent"  /* beside our own program */

struct box_image {
    char kernel[1024];       /* path of vmlinuz */
    char kernel_version[96]; /* "6.1.0-56-cloud-amd64" */
    int initrd_fd;           /* memfd, owned; -1: none */
    uint64_t size;           /* of the initrd, bytes */
    uint64_t hash;           /* XXH3 of the initrd: equal content, equal box */
};

/* Fetches the kernel package that package (BOX_KERNEL_PACKAGE when NULL) stands for, unless it is in the cache, and
 * makes it the one that boxes boot. Needs apt; its name and version go to version. -errno, with the fix in why. */
int box_kernel_fetch(const char *package, char version[96], char why[240]);

/* Puts the image together in memory, from the cached kernel, busybox, QEMU and the agent: about 0.1 s, so nothing
 * but the kernel is kept. -ENOENT, with the fix in why. */
int box_image_build(struct box_image *image, char why[240]);
void box_image_free(struct box_image *image);

/* $XDG_CACHE_HOME/paravane/kernels. */
void box_kernel_folder(char *path, size_t size);

#endif

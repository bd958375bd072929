/* Puts the box's initramfs together: busybox, KVM modules, QEMU, the agent and the libraries they need. */
#include "diff/machine/box_image.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>
#include "diff/machine/child.h"
#include "diff/machine/cpio.h"
#include "diff/machine/qemu.h"
#include "diff/shell.h"

#define LDD_MS      20000u
#define CLOCKSOURCE "/sys/devices/system/clocksource/clocksource0/current_clocksource"

/* Process 1. When the agent ends, the kernel panics and with panic=-1 the machine goes off. */
static const char init_script[] =
    "#!/bin/busybox sh\n"
    "/bin/busybox --install -s /bin\n"
    "export PATH=/usr/bin:/bin HOME=/root\n"
    "mount -t proc proc /proc\n"
    "mount -t sysfs sysfs /sys\n"
    "mount -t devtmpfs dev /dev\n"
    /* KVM keeps the TSC rate that it meets: let the kernel first refine what it measured */
    "for try in $(seq 50); do\n"
    "    [ \"$(cat " CLOCKSOURCE ")\" = tsc ] && break\n"
    "    sleep 0.1\n"
    "done\n"
    "for module in /modules/*; do insmod $module; done\n"
    "exec /usr/bin/" BOX_AGENT "\n";

/* Beside the probe, which is the only firmware that programs need: what -kernel and plain BIOS guests of
 * `box exec` look for. QEMU finds these because it lies in /usr/bin there too. */
static const char *const firmware[] = {"kvmvapic.bin", "linuxboot_dma.bin", "multiboot_dma.bin",
                                       "pvh.bin",      "bios-256k.bin",     "bios-microvm.bin"};

static int copy(struct cpio *cpio, const char *path, unsigned mode, const char *from, char why[240])
{
    int err = cpio_copy(cpio, path, mode, from);

    if (err)
        snprintf(why, 240, "%.160s: %s", from, strerror(-err));
    return err;
}

/* Every library that ldd names, at the place it names, once. */
static int add_libraries(struct cpio *cpio, const char *program, struct args *seen, char why[240])
{
    struct args args = {0};
    char *out = NULL, *save = NULL;
    int err;

    args_add(&args, "ldd");
    args_add(&args, program);
    err = child_output(&args, LDD_MS, &out, why, 240);
    args_free(&args);
    if (err)
        return err;
    for (char *line = strtok_r(out, "\n", &save); line && !err; line = strtok_r(NULL, "\n", &save)) {
        char *path = strchr(line, '/');
        bool known = false;

        if (!path)
            continue;
        path[strcspn(path, " ")] = '\0';
        for (unsigned i = 0; i < seen->count; i++)
            known |= !strcmp(seen->v[i], path);
        if (known)
            continue;
        args_add(seen, path);
        err = copy(cpio, path, 0755, path, why);
    }
    free(out);
    return err;
}

static int add_program(struct cpio *cpio, const char *to, const char *from, struct args *seen, char why[240])
{
    int err = copy(cpio, to, 0755, from, why);

    return err ? err : add_libraries(cpio, from, seen, why);
}

static int add_programs(struct cpio *cpio, char why[240])
{
    struct args seen = {0};
    char path[600];
    ssize_t len;
    int err = -ENOENT;

    if (!shell_which("busybox", path, sizeof(path))) {
        snprintf(why, 240, "busybox is missing: apt-get install busybox-static");
        return -ENOENT;
    }
    if (copy(cpio, "/bin/busybox", 0755, path, why))
        return -ENOENT;
    if (!shell_which(QEMU_PROGRAM, path, sizeof(path))) {
        snprintf(why, 240, "%s is missing: apt-get install qemu-system-x86", QEMU_PROGRAM);
        return -ENOENT;
    }
    err = add_program(cpio, "/usr/bin/" QEMU_PROGRAM, path, &seen, why);
    len = readlink("/proc/self/exe", path, sizeof(path) - sizeof(BOX_AGENT));
    if (!err && len > 0) {
        path[len] = '\0';
        strcpy(strrchr(path, '/') + 1, BOX_AGENT);
        err = add_program(cpio, "/usr/bin/" BOX_AGENT, path, &seen, why);
    }
    args_free(&seen);
    return err;
}

static int add_firmware(struct cpio *cpio, char why[240])
{
    static const char *const folders[] = {"/usr/share/qemu", "/usr/share/seabios"};

    for (unsigned i = 0; i < sizeof(firmware) / sizeof(firmware[0]); i++) {
        char from[128], to[128];
        bool done = false;

        snprintf(to, sizeof(to), "/usr/share/qemu/%s", firmware[i]);
        for (unsigned f = 0; f < 2 && !done; f++) {
            snprintf(from, sizeof(from), "%s/%s", folders[f], firmware[i]);
            done = cpio_copy(cpio, to, 0644, from) == 0;
        }
        if (!done && i == 0) { /* the others are a convenience */
            snprintf(why, 240, "%s is missing: apt-get install qemu-system-data", firmware[i]);
            return -ENOENT;
        }
    }
    return 0;
}

/* The kernel's own modules, renamed so that their order is that of a shell glob. */
static int add_modules(struct cpio *cpio, const char *kernel_folder, char why[240])
{
    char path[700], line[512];
    FILE *list;
    int err = 0;

    snprintf(path, sizeof(path), "%s/modules.box", kernel_folder);
    list = fopen(path, "re");
    if (!list) {
        snprintf(why, 240, "the box has no kernel yet: run `pv-diff box build`");
        return -ENOENT;
    }
    for (int i = 0; !err && fgets(line, sizeof(line), list); i++) {
        char from[1300], to[600];

        line[strcspn(line, " \n")] = '\0'; /* options may follow */
        snprintf(from, sizeof(from), "%s/%s", kernel_folder, line);
        snprintf(to, sizeof(to), "/modules/%02d-%s", i, strrchr(line, '/') ? strrchr(line, '/') + 1 : line);
        err = copy(cpio, to, 0644, from, why);
    }
    fclose(list);
    return err;
}

static int find_kernel(struct box_image *image, char folder[600], char why[240])
{
    char kernels[400], link[420], version[96];
    ssize_t len;

    box_kernel_folder(kernels, sizeof(kernels));
    snprintf(link, sizeof(link), "%s/current", kernels);
    len = readlink(link, version, sizeof(version) - 1);
    if (len <= 0) {
        snprintf(why, 240, "the box has no kernel yet: run `pv-diff box build`");
        return -ENOENT;
    }
    version[len] = '\0';
    snprintf(image->kernel_version, sizeof(image->kernel_version), "%s", version);
    snprintf(folder, 600, "%s/%s", kernels, version);
    snprintf(image->kernel, sizeof(image->kernel), "%s/%s/boot/vmlinuz-%s", kernels, version, version);
    if (access(image->kernel, R_OK) == 0)
        return 0;
    snprintf(why, 240, "%.120s is missing: remove its folder and run `pv-diff box build`", image->kernel);
    return -ENOENT;
}

static int to_memory_file(struct box_image *image, const struct cpio *cpio)
{
    size_t done = 0;

    image->initrd_fd = memfd_create("paravane-initrd", MFD_CLOEXEC);
    if (image->initrd_fd < 0)
        return -errno;
    while (done < cpio->len) {
        ssize_t written = write(image->initrd_fd, cpio->data + done, cpio->len - done);

        if (written <= 0)
            return -ENOMEM;
        done += (size_t)written;
    }
    image->size = cpio->len;
    image->hash = XXH3_64bits(cpio->data, cpio->len);
    return 0;
}

int box_image_build(struct box_image *image, char why[240])
{
    static const char *const folders[] = {"/dev", "/proc", "/sys", "/tmp", "/root", "/etc", "/run"};
    struct cpio cpio = {0};
    char kernel_folder[600];
    int err;

    *image = (struct box_image){.initrd_fd = -1};
    err = find_kernel(image, kernel_folder, why);
    if (err)
        return err;
    for (unsigned i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
        cpio_folder(&cpio, folders[i]);
    cpio_char_device(&cpio, "/dev/console", 5, 1); /* or the script's words would go nowhere */
    cpio_file(&cpio, "/init", 0755, init_script, sizeof(init_script) - 1);
    err = add_programs(&cpio, why);
    if (!err)
        err = add_firmware(&cpio, why);
    if (!err)
        err = add_modules(&cpio, kernel_folder, why);
    cpio_end(&cpio);
    if (!err && cpio.failed) {
        snprintf(why, 240, "out of memory for the box's image");
        err = -ENOMEM;
    }
    if (!err)
        err = to_memory_file(image, &cpio);
    cpio_free(&cpio);
    return err;
}

void box_image_free(struct box_image *image)
{
    if (image->initrd_fd >= 0)
        close(image->initrd_fd);
    image->initrd_fd = -1;
}

/* Opens and reads files that a command line names, within bounds. */
#include "vmm/input_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_FIRST 65536

static void explain(char why[INPUT_WHY], int error)
{
    snprintf(why, INPUT_WHY, "%s", strerror(error));
    errno = error;
}

static bool is_regular(const char *path, mode_t mode)
{
    (void)path;
    return S_ISREG(mode);
}

/* A pipe that the shell made ends with its command; one that has a name may wait for a writer for ever. */
static bool has_an_end(const char *path, mode_t mode)
{
    bool of_shell = !strncmp(path, "/dev/fd/", strlen("/dev/fd/")) || !strcmp(path, "/dev/stdin");

    return S_ISREG(mode) || S_ISCHR(mode) || (S_ISFIFO(mode) && of_shell);
}

static int open_accepted(const char *path, int flags, bool (*accepts)(const char *path, mode_t mode),
                         char why[INPUT_WHY])
{
    /* O_NONBLOCK: to open a pipe would be to wait for its other end. */
    int fd = open(path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);
    struct stat st;

    if (fd < 0 || fstat(fd, &st)) {
        explain(why, errno);
    } else if (S_ISDIR(st.st_mode)) {
        explain(why, EISDIR);
    } else if (!accepts(path, st.st_mode)) {
        snprintf(why, INPUT_WHY, "it is not a regular file");
        errno = EINVAL;
    } else {
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
        return fd;
    }
    if (fd >= 0) {
        int error = errno;

        close(fd);
        errno = error;
    }
    return -1;
}

int input_file_open(const char *path, int flags, char why[INPUT_WHY])
{
    return open_accepted(path, flags, is_regular, why);
}

/* 0 or an error number. *bytes is to be freed in any case. */
static int read_all(int fd, size_t max, char **bytes, size_t *len)
{
    size_t room = 0;

    for (*len = 0; *len <= max;) {
        ssize_t got;

        if (*len == room) {
            char *grown;

            room = room ? 2 * room : READ_FIRST;
            grown = realloc(*bytes, room + 1);
            if (!grown)
                return ENOMEM;
            *bytes = grown;
        }
        got = read(fd, *bytes + *len, room - *len);
        if (!got)
            return 0;
        if (got > 0)
            *len += (size_t)got;
        else if (errno != EINTR)
            return errno;
    }
    return EFBIG;
}

void *input_descriptor_read(int fd, size_t max, size_t *len, char why[INPUT_WHY])
{
    char *bytes = NULL;
    int error = read_all(fd, max, &bytes, len);

    if (error) {
        free(bytes);
        explain(why, error);
        return NULL;
    }
    bytes[*len] = 0;
    return bytes;
}

void *input_file_read(const char *path, size_t max, size_t *len, char why[INPUT_WHY])
{
    int fd = open_accepted(path, O_RDONLY, has_an_end, why), error;
    void *bytes;

    if (fd < 0)
        return NULL;
    bytes = input_descriptor_read(fd, max, len, why);
    error = errno;
    close(fd);
    errno = error;
    return bytes;
}

/* The table of fuzz targets and the lookup of their files, as ARCHITECTURE.md lays them out. */
#include "fuzz/catalog.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct fuzz_target fuzz_targets[] = {
    {"flags", "the -cpu string: grammar, values, precedence, and the CPUID table built from it",
     "qemu-cpu-flags 2-8"},
    {"hypercall", "vmcall and vmmcall: every number, mode and privilege level, with the state they act on",
     "HC UNH IPI PAIR YLD ENF"},
    {"msr", "rdmsr and wrmsr of the PV registers, host stores into guest memory, time, reset, save-restore",
     "GEN ENF CLK STB APF STL EOI POL RST"},
};
const unsigned fuzz_target_count = sizeof(fuzz_targets) / sizeof(fuzz_targets[0]);

const struct fuzz_target *fuzz_target_find(const char *name)
{
    for (unsigned i = 0; i < fuzz_target_count; i++)
        if (!strcmp(fuzz_targets[i].name, name))
            return &fuzz_targets[i];
    return NULL;
}

bool path_format(char path[PATH_MAX], const char *format, ...)
{
    va_list ap;
    int len;

    va_start(ap, format);
    len = vsnprintf(path, PATH_MAX, format, ap);
    va_end(ap);
    return len >= 0 && len < PATH_MAX;
}

static bool holds_corpora(const char *root)
{
    char path[PATH_MAX];

    return path_format(path, "%s/corpora", root) && !access(path, R_OK);
}

static bool own_folder(char folder[PATH_MAX])
{
    ssize_t len = readlink("/proc/self/exe", folder, PATH_MAX - 1);

    if (len <= 0)
        return false;
    folder[len] = 0;
    *strrchr(folder, '/') = 0;
    return true;
}

bool catalog_root(char root[PATH_MAX])
{
    char folder[PATH_MAX];

    if (own_folder(folder)) { /* build/PRESET/bin */
        for (int up = 0; up < 3 && strrchr(folder, '/'); up++)
            *strrchr(folder, '/') = 0;
        if (holds_corpora(folder)) {
            strcpy(root, folder);
            return true;
        }
    }
    return getcwd(root, PATH_MAX) && holds_corpora(root);
}

static bool fuzzing_binary(const char *preset, const char *kind, const char *name, char path[PATH_MAX])
{
    char root[PATH_MAX];

    return catalog_root(root) && path_format(path, "%s/build/%s/bin/%s_%s", root, preset, kind, name) &&
           !access(path, X_OK);
}

bool catalog_fuzzer(const char *preset, const char *name, char path[PATH_MAX])
{
    return fuzzing_binary(preset, "fuzz", name, path);
}

bool catalog_explainer(const char *preset, const char *name, char path[PATH_MAX])
{
    return fuzzing_binary(preset, "replay", name, path);
}

bool catalog_replay(const char *name, char path[PATH_MAX])
{
#ifdef PARAVANE_STANDALONE
    static const char kind[] = "fuzz";
#else
    static const char kind[] = "replay";
#endif
    char folder[PATH_MAX];

    if (!own_folder(folder) || !path_format(path, "%s/%s_%s", folder, kind, name)) {
        path[0] = 0;
        return false;
    }
    return !access(path, X_OK);
}

unsigned catalog_corpus_count(const char *name, const char *prefix)
{
    char root[PATH_MAX], path[PATH_MAX];
    struct dirent *entry;
    unsigned count = 0;
    DIR *dir;

    if (!catalog_root(root) || !path_format(path, "%s/corpora/%s", root, name))
        return 0;
    dir = opendir(path);
    while (dir && (entry = readdir(dir)))
        count += !strncmp(entry->d_name, prefix, strlen(prefix));
    if (dir)
        closedir(dir);
    return count;
}

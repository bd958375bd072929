/* Names the addresses of a crash's stack, inlined functions included (libdw); runs in the supervising process. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "fuzz/crash_report.h"

#ifdef PARAVANE_LIBDW
#include <dwarf.h>
#include <elfutils/libdwfl.h>

struct stack_text {
    FILE *out;
    unsigned shown;
    bool complete; /* main was shown */
};

static bool project_frame(const char *function, const char *file)
{
    static const char *const foreign[] = {"__asan",  "__ubsan", "__sanitizer", "__interceptor",
                                          "_Unwind", "_Z",      "__libc",      "raise",
                                          "abort",   "gsignal", "__pthread"};

    if (!function || (file && strstr(file, "crash_report.c")))
        return false;
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
        if (!strncmp(function, foreign[i], strlen(foreign[i])))
            return false;
    return true;
}

static const char *below_project(const char *path)
{
    size_t len = strlen(PARAVANE_SOURCE_DIR);

    return !strncmp(path, PARAVANE_SOURCE_DIR, len) && path[len] == '/' ? path + len + 1 : path;
}

static void show(struct stack_text *text, const char *function, const char *file, int line)
{
    if (text->complete || !project_frame(function, file))
        return;
    fprintf(text->out, "    #%u %s", text->shown++, function);
    if (file)
        fprintf(text->out, " %s:%d", below_project(file), line);
    fputc('\n', text->out);
    text->complete = !strcmp(function, "main");
}

/* Asks each unit: clang writes no .debug_aranges, without which libdw finds no unit by address. */
static Dwarf_Die *find_unit(Dwfl_Module *module, Dwarf_Addr *at)
{
    Dwarf_Die *unit = NULL;
    Dwarf_Addr bias;

    while ((unit = dwfl_module_nextcu(module, unit, &bias)))
        if (dwarf_haspc(unit, *at - bias) == 1) {
            *at -= bias;
            return unit;
        }
    return NULL;
}

/* Where an inlined function was called, which is where its caller stands. */
static void call_site(Dwarf_Die *unit, Dwarf_Die *inlined, const char **file, int *line)
{
    Dwarf_Attribute attribute;
    Dwarf_Word number;
    Dwarf_Files *files;

    *file = NULL;
    *line = 0;
    if (!dwarf_formudata(dwarf_attr(inlined, DW_AT_call_line, &attribute), &number))
        *line = (int)number;
    if (!dwarf_formudata(dwarf_attr(inlined, DW_AT_call_file, &attribute), &number) &&
        !dwarf_getsrcfiles(unit, &files, NULL))
        *file = dwarf_filesrc(files, number, NULL, NULL);
}

/* One address: the function that it is in, and before it those inlined there. False: no debug information. */
static bool show_functions(struct stack_text *text, Dwfl_Module *module, Dwarf_Addr at)
{
    Dwarf_Die *unit = find_unit(module, &at), *innermost = NULL, *scopes = NULL;
    Dwarf_Line *row = unit ? dwarf_getsrc_die(unit, at) : NULL;
    const char *file = row ? dwarf_linesrc(row, NULL, NULL) : NULL;
    int line = 0, count = 0;
    bool found = false;

    if (row)
        dwarf_lineno(row, &line);
    if (unit && dwarf_getscopes(unit, at, &innermost) > 0)
        count = dwarf_getscopes_die(&innermost[0], &scopes);
    for (int i = 0; i < count && !found; i++) {
        int tag = dwarf_tag(&scopes[i]);

        if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_subprogram)
            continue;
        show(text, dwarf_diename(&scopes[i]), file, line);
        found = tag == DW_TAG_subprogram;
        if (!found)
            call_site(unit, &scopes[i], &file, &line);
    }
    free(scopes);
    free(innermost);
    return found;
}

static void show_address(struct stack_text *text, Dwfl *dwfl, Dwarf_Addr at)
{
    Dwfl_Module *module = dwfl_addrmodule(dwfl, at);
    const char *name = module ? dwfl_module_info(module, NULL, NULL, NULL, NULL, NULL, NULL, NULL) : NULL;

    if (!name || strstr(name, ".so") || strstr(name, "[vdso]"))
        return;
    if (!show_functions(text, module, at))
        show(text, dwfl_module_addrname(module, at), NULL, 0);
}

void crash_report_stack(const struct crash_record *rec, FILE *out)
{
    static const Dwfl_Callbacks callbacks = {.find_elf = dwfl_linux_proc_find_elf,
                                             .find_debuginfo = dwfl_standard_find_debuginfo};
    Dwfl *dwfl = dwfl_begin(&callbacks);
    struct stack_text text = {.out = out};

    if (!dwfl || dwfl_linux_proc_report(dwfl, getpid()) || dwfl_report_end(dwfl, NULL, NULL)) {
        fprintf(out, "    (libdw: %s)\n", dwfl_errmsg(-1));
        dwfl_end(dwfl);
        return;
    }
    for (unsigned i = 0; i < rec->frames && i < CRASH_FRAMES && !text.complete; i++)
        show_address(&text, dwfl, rec->ip[i] - (i > 0)); /* a return address may belong to the next line */
    if (!text.shown)
        fprintf(out, "    (no frame of this project)\n");
    dwfl_end(dwfl);
}
#else
void crash_report_stack(const struct crash_record *rec, FILE *out)
{
    for (unsigned i = 0; i < rec->frames && i < CRASH_FRAMES; i++)
        fprintf(out, "    #%u 0x%llx\n", i, (unsigned long long)rec->ip[i]);
    fprintf(out, "    (built without libdw: no names)\n");
}
#endif

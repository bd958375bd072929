/* What ran where: kept apart from the verdict. Both command lines of each flag set, with differing words marked. */
#include <stdlib.h>
#include <string.h>
#include "diff/report/host_facts.h"
#include "diff/report/html.h"

static void add_fact(const char *name, const char *value, struct text *out)
{
    if (!*value)
        return;
    text_format(out, "<dt>%s<dd>", name);
    text_escape(out, value);
}

static void add_number(const char *name, unsigned value, struct text *out)
{
    if (value)
        text_format(out, "<dt>%s<dd>%u", name, value);
}

static void add_words(const char *name, void (*say)(const struct host_record *, struct text *),
                      const struct host_record *host, struct text *out)
{
    struct text words = {0};

    say(host, &words);
    add_fact(name, words.bytes ? words.bytes : "", out);
    out->out_of_memory |= words.out_of_memory;
    text_free(&words);
}

static void add_reference_host(const struct host_record *host, struct text *out)
{
    add_fact("KVM", host->flavour, out);
    add_words("host CPU", host_cpu, host, out);
    add_words("microcode", host_microcode, host, out);
    add_words("nested", host_nesting_words, host, out);
    add_fact("clocksource", host->clocksource, out);
    add_number("TSC kHz", host->tsc_khz, out);
}

/* host: what the machine runs on, where that counts. Ours has a copy of the reference's and runs on none of it. */
static void add_machine(const char *class, const char *title, const char *kind,
                        const struct machine_info *info, const struct host_record *host, struct text *out)
{
    text_format(out, "<div class=\"card\"><p class=\"who %s\">%s</p><dl>", class, title);
    add_fact("machine", kind, out);
    add_fact("QEMU", info->qemu_version, out);
    add_fact("kernel", info->kernel_release, out);
    if (host)
        add_reference_host(host, out);
    else
        add_fact("KVM", "none: a software vCPU; CPUID and TSC rate follow the reference's host", out);
    add_fact("about", info->detail, out);
    add_number("boots", info->boots, out);
    add_number("boots tried again", info->boot_retries, out);
    text_add(out, "</dl></div>");
}

static bool has_token(const char *line, const char *word, size_t length)
{
    while (*line) {
        size_t skip = strspn(line, " "), size = strcspn(line + skip, " ");

        if (size == length && !strncmp(line + skip, word, length))
            return true;
        line += skip + size;
    }
    return false;
}

static void add_command(const char *line, const char *other, struct text *out)
{
    text_add(out, "<code class=\"cmd\">");
    while (*line) {
        size_t skip = strspn(line, " "), size = strcspn(line + skip, " ");
        char *word = strndup(line + skip, size);
        bool same = has_token(other, line + skip, size);

        if (!word) {
            out->out_of_memory = true;
            return;
        }
        text_add(out, same ? "" : "<mark>");
        text_escape(out, word);
        text_add(out, same ? " " : "</mark> ");
        free(word);
        line += skip + size;
    }
    text_add(out, "</code>");
}

static void add_side(const char *class, const char *title, const struct run_side *side,
                     const struct run_side *other, struct text *out)
{
    text_format(out, "<div><p class=\"who %s\">%s</p>", class, title);
    add_command(side->command_line, other->command_line, out);
    if (*side->error) {
        text_add(out, "<p class=\"broken\">");
        text_escape(out, side->error);
        text_add(out, "</p>");
    }
    if (*side->warnings) {
        text_add(out, "<pre>");
        text_escape(out, side->warnings);
        text_add(out, "</pre>");
    }
    text_add(out, "</div>");
}

void html_provenance(const struct report *report, struct text *out)
{
    const struct run *run = report->run;

    text_add(
        out,
        "<h2 id=\"provenance\">Provenance<small>flags are byte-equal on both sides; plumbing differs</small></h2>");
    if (*run->recording) {
        text_add(out, "<p class=\"card\">The reference is a <b>recording</b> of an earlier real run: ");
        text_escape(out, run->recording);
        text_add(out, "</p>");
    }
    text_add(out, "<div class=\"two\">");
    add_machine("ours", "ours", "soft", &run->ours, NULL, out);
    add_machine("theirs", "reference", run->reference, &run->theirs, &run->theirs.host, out);
    text_add(out, "</div>");
    for (unsigned i = 0; i < run->set_count; i++) {
        const struct run_set *set = &run->sets[i];

        text_add(out, "<details class=\"card\"><summary><b>");
        text_escape(out, set->name);
        text_add(out, "</b> <span class=\"m\">-cpu ");
        text_escape(out, set->cpu);
        text_add(out, " -machine ");
        text_escape(out, set->machine);
        text_add(out, " -smp ");
        text_escape(out, set->smp);
        text_add(out, " -m ");
        text_escape(out, set->memory);
        text_add(out, "</span></summary><div class=\"two\">");
        add_side("ours", "ours", &set->ours, &set->theirs, out);
        add_side("theirs", "reference", &set->theirs, &set->ours, out);
        text_add(out, "</div></details>\n");
    }
}

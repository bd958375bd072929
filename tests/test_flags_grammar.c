/* The grammar of random -cpu strings: bounded, repeatable, without NULs, and rich enough to reach every stage.
 * QEMU flags specification sections 2 and 3. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>
#include "diff/flags/grammar.h"
#include "vmm/cpuid/flags.h"

#define STRINGS 4000

static size_t make(uint64_t seed, uint64_t index, const struct flags_models *models,
                   char text[FLAGS_TEXT_MAX])
{
    struct flags_random random = flags_random_at(seed, index);

    return flags_make(&random, models, text);
}

static const struct flags_models all = {NULL, 0};

Test(flags_grammar, a_string_is_bounded_and_has_no_NUL_inside)
{
    char text[FLAGS_TEXT_MAX + 1];

    for (unsigned i = 0; i < STRINGS; i++) {
        size_t len;

        memset(text, '#', sizeof(text));
        len = make(1, i, &all, text);
        cr_assert(len < FLAGS_TEXT_MAX, "string %u", i);
        cr_assert(strlen(text) == len, "string %u", i);
        cr_assert(text[FLAGS_TEXT_MAX] == '#', "string %u writes beyond the end", i);
    }
}

Test(flags_grammar, equal_seed_and_index_give_equal_strings_and_others_differ)
{
    char text[FLAGS_TEXT_MAX], again[FLAGS_TEXT_MAX], other[FLAGS_TEXT_MAX];
    unsigned same_as_other_seed = 0;

    for (unsigned i = 0; i < 500; i++) {
        make(7, i, &all, text);
        make(7, i, &all, again);
        make(8, i, &all, other);
        cr_assert(eq(str, text, again));
        same_as_other_seed += !strcmp(text, other);
    }
    cr_assert(same_as_other_seed < 20, "%u of 500 strings equal under two seeds", same_as_other_seed);
}

/* Were most strings refused at the first item, only that stage would be compared. */
Test(flags_grammar, G1_every_stage_and_form_is_reached_often)
{
    static struct cpu_flags flags;
    unsigned accepted = 0, warned = 0, stages[3] = {0}, forms[4] = {0}, kinds[CPU_ERROR_KINDS] = {0};

    for (unsigned i = 0; i < STRINGS; i++) {
        char text[FLAGS_TEXT_MAX];
        size_t len = make(2, i, &all, text);
        struct cpu_items items = cpu_items_of(text, len);
        struct cpu_item item;

        while (cpu_items_next(&items, &item))
            forms[item.form]++;
        cpu_flags_parse(&flags, text, len);
        accepted += flags.error.kind == CPU_OK;
        warned += flags.warnings.total != 0;
        kinds[flags.error.kind]++;
        if (flags.error.kind)
            stages[flags.stage]++;
    }
    cr_assert(accepted > STRINGS / 2, "%u of %u parse", accepted, STRINGS);
    cr_assert(accepted < STRINGS * 9 / 10, "%u of %u parse", accepted, STRINGS);
    cr_assert(warned > STRINGS / 50, "%u ambiguous", warned);
    for (unsigned i = 0; i < 3; i++)
        cr_assert(stages[i] > STRINGS / 100, "stage %u: %u", i, stages[i]);
    for (unsigned i = 0; i < 4; i++)
        cr_assert(forms[i] > STRINGS / 4, "form %u: %u", i, forms[i]);
    cr_assert(kinds[CPU_UNKNOWN_MODEL] && kinds[CPU_UNKNOWN_PROPERTY] && kinds[CPU_BAD_VALUE] &&
              kinds[CPU_READ_ONLY] && kinds[CPU_QEMU_ABORTS]);
}

/* "host," is one of the fixed wrong words. */
static bool is_drawn(const char *model)
{
    return !strncmp(model, "kvm64", 5) || !strcmp(model, "max") || !strcmp(model, "host");
}

Test(flags_grammar, only_the_given_models_are_drawn)
{
    static const char *const names[] = {"kvm64", "max"};
    const struct flags_models two = {names, 2};
    static struct cpu_flags flags;

    for (unsigned i = 0; i < STRINGS; i++) {
        char text[FLAGS_TEXT_MAX];
        size_t len = make(3, i, &two, text);

        cpu_flags_parse(&flags, text, len);
        if (flags.model)
            cr_assert(is_drawn(flags.model->name), "%s", text);
    }
}

Test(flags_grammar, a_mutant_stays_within_the_given_size_whatever_it_comes_from)
{
    struct flags_random random = flags_random_at(4, 0);
    char text[FLAGS_TEXT_MAX];
    unsigned changed = 0;

    for (unsigned i = 0; i < STRINGS; i++) {
        size_t max = 1 + flags_random_below(&random, sizeof(text) - 1),
               len = flags_random_below(&random, max);
        char before[FLAGS_TEXT_MAX];
        size_t now;

        for (size_t at = 0; at < len; at++)
            text[at] = "a,=+-_\0\xff"[flags_random_below(&random, 8)];
        memset(text + max, '#', sizeof(text) - max);
        memcpy(before, text, sizeof(before));
        now = flags_mutate(&random, text, len, max);
        cr_assert(now < max || now == len, "%zu of %zu", now, max);
        for (size_t at = max; at < sizeof(text); at++)
            cr_assert(text[at] == '#', "wrote beyond %zu", max);
        changed += now != len || memcmp(before, text, len) != 0;
    }
    cr_assert(changed > STRINGS / 2, "%u of %u changed", changed, STRINGS);
}

Test(flags_grammar, mutants_of_a_good_string_are_often_good)
{
    struct flags_random random = flags_random_at(5, 0);
    static struct cpu_flags flags;
    unsigned good = 0;

    for (unsigned i = 0; i < 1000; i++) {
        char text[FLAGS_TEXT_MAX] = "kvm64,+avx,kvm-pv-eoi=off,level=7";
        size_t len = flags_mutate(&random, text, strlen(text), sizeof(text));

        cpu_flags_parse(&flags, text, len);
        good += flags.model && flags.error.kind == CPU_OK;
    }
    cr_assert(good > 200 && good < 900, "%u of 1000", good);
}

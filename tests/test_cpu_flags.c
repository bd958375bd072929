/* The -cpu parser. QEMU flags specification sections 2 to 4; each test is one rule. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "vmm/cpuid/flags.h"

static struct cpu_flags parse(const char *text)
{
    static struct cpu_flags flags;

    cpu_flags_parse(&flags, text, strlen(text));
    return flags;
}

static bool on(const struct cpu_flags *flags, const char *name)
{
    const struct feature_name *feature = feature_find(name, strlen(name));

    return (flags->on[feature->word] & feature->bits) == feature->bits;
}

static void expect_error(const char *text, enum cpu_error_kind kind, unsigned at, const char *words)
{
    struct cpu_flags flags = parse(text);

    cr_assert(eq(int, flags.error.kind, kind), "%s", text);
    cr_assert(eq(u32, flags.error.at, at), "%s", text);
    cr_assert(eq(str, flags.error.text, (char *)words));
}

Test(cpu_flags, names_are_sorted_and_every_bit_has_one_canonical_name)
{
    for (unsigned i = 0; i < feature_name_count; i++) {
        const struct feature_name *row = &feature_names[i];
        cr_assert(i == 0 || strcmp(feature_names[i - 1].name, row->name) < 0, "%s", row->name);
        cr_assert(eq(ptr, (void *)feature_find(row->name, strlen(row->name)), (void *)row));
        for (unsigned k = 0; k < i; k++)
            cr_assert(row->alias || feature_names[k].alias || feature_names[k].word != row->word ||
                          !(feature_names[k].bits & row->bits),
                      "%s and %s", row->name, feature_names[k].name);
    }
}

Test(cpu_flags, names_of_properties_and_features_differ_and_defaults_fit)
{
    for (unsigned i = 0; i < property_count; i++) {
        cr_assert(not(feature_find(properties[i].name, strlen(properties[i].name)) != NULL));
        cr_assert(eq(ptr, (void *)property_find(properties[i].name, strlen(properties[i].name)),
                     (void *)&properties[i]));
    }
}

Test(cpu_flags, G1_runs_of_commas_separate_once_and_nothing_escapes_them)
{
    struct cpu_items items = cpu_items_of("qemu64,,,+avx,model-id=a,,b,", 28);
    struct cpu_item item;

    cr_assert(cpu_items_next(&items, &item));
    cr_assert(item.form == ITEM_PLUS && item.at == 9 && item.name_len == 3);
    cr_assert(cpu_items_next(&items, &item));
    cr_assert(item.form == ITEM_ASSIGN && item.value_len == 1);
    cr_assert(cpu_items_next(&items, &item));
    cr_assert(item.form == ITEM_BARE && *item.name == 'b');
    cr_assert(not(cpu_items_next(&items, &item)));
}

Test(cpu_flags, P2_only_the_exact_words_ask_for_help)
{
    cr_assert(parse("help").help && parse("?").help);
    cr_assert(not(parse("help,avx").help || parse("?,avx").help || parse("Help").help));
    expect_error("help,avx", CPU_UNKNOWN_MODEL, 0, "unable to find CPU model 'help'");
}

Test(cpu_flags, P6_the_first_unknown_sign_is_named)
{
    expect_error("qemu64,+foo,+bar", CPU_UNKNOWN_PROPERTY, 7, "Property 'qemu64-x86_64-cpu.foo' not found");
    expect_error("qemu64,-foo,-bar", CPU_UNKNOWN_PROPERTY, 7, "Property 'qemu64-x86_64-cpu.foo' not found");
}

Test(cpu_flags, G2_an_empty_model_is_an_error)
{
    expect_error("", CPU_UNKNOWN_MODEL, 0, "-cpu option cannot be empty");
    expect_error(",avx", CPU_UNKNOWN_MODEL, 0, "unable to find CPU model ''");
}

Test(cpu_flags, G5_a_sign_takes_the_whole_rest_as_name)
{
    expect_error("qemu64,+avx=on", CPU_UNKNOWN_PROPERTY, 7, "Property 'qemu64-x86_64-cpu.avx=on' not found");
    expect_error("qemu64,+", CPU_UNKNOWN_PROPERTY, 7, "Property 'qemu64-x86_64-cpu.' not found");
}

Test(cpu_flags, G8_underscores_turn_to_dashes_in_assignments_only)
{
    struct cpu_flags flags = parse("qemu64,kvm_pv_ipi=on,model_id=a_b");

    cr_assert(on(&flags, "kvm-pv-ipi"));
    cr_assert(eq(int, memcmp(flags.values[P_MODEL_ID].text, "a_b", 3), 0));
    expect_error("qemu64,+kvm_pv_ipi", CPU_UNKNOWN_PROPERTY, 7,
                 "Property 'qemu64-x86_64-cpu.kvm_pv_ipi' not found");
    cr_assert(eq(int, parse("qemu64,+kvm_steal_time").error.kind, CPU_OK));
}

Test(cpu_flags, G9_other_marks_are_letters)
{
    static const char marks[] = "!^~";
    char text[] = "qemu64,?avx", words[160];

    for (const char *mark = marks; *mark; mark++) {
        text[7] = *mark;
        snprintf(
            words, sizeof(words),
            "can't apply global qemu64-x86_64-cpu.%cavx=on: Property 'qemu64-x86_64-cpu.%cavx' not found",
            *mark, *mark);
        expect_error(text, CPU_UNKNOWN_PROPERTY, 7, words);
    }
}

Test(cpu_flags, G10_a_dot_is_no_dash)
{
    expect_error("qemu64,kvm.steal-time", CPU_UNKNOWN_PROPERTY, 7,
                 "can't apply global qemu64-x86_64-cpu.kvm.steal-time=on: "
                 "Property 'qemu64-x86_64-cpu.kvm.steal-time' not found");
}

Test(cpu_flags, G11_the_last_assignment_wins_across_aliases)
{
    struct cpu_flags flags = parse("qemu64,sse4.1=off,sse4_1=on");

    cr_assert(on(&flags, "sse4.1"));
}

Test(cpu_flags, P7_values_fail_before_signs_and_plus_before_minus)
{
    expect_error("qemu64,+foo,bar=1", CPU_UNKNOWN_PROPERTY, 12,
                 "can't apply global qemu64-x86_64-cpu.bar=1: Property 'qemu64-x86_64-cpu.bar' not found");
    expect_error("qemu64,-foo,+bar", CPU_UNKNOWN_PROPERTY, 12, "Property 'qemu64-x86_64-cpu.bar' not found");
}

Test(cpu_flags, R1_minus_beats_plus_beats_assignment)
{
    struct cpu_flags flags = parse("qemu64,-avx,+avx,avx=on,+aes,aes=off");

    cr_assert(not(on(&flags, "avx")));
    cr_assert(on(&flags, "aes"));
    cr_assert(eq(u64, parse("qemu64,+enforce,-enforce").values[P_ENFORCE].number, 0));
}

Test(cpu_flags, R6_an_assignment_after_a_sign_is_ambiguous)
{
    struct cpu_flags flags = parse("qemu64,+avx,-avx,avx=on");

    cr_assert(eq(u32, flags.warnings.total, 3));
    cr_assert(eq(str, flags.warnings.list[0].text,
                 "Ambiguous CPU model string. Don't mix both \"+avx\" and \"avx=on\""));
    cr_assert(eq(u32, flags.warnings.list[1].at, 17));
}

Test(cpu_flags, R6_what_is_ambiguous_and_unknown_is_still_told)
{
    struct cpu_flags flags = parse("qemu64,+foo,foo=on");

    cr_assert(eq(u32, flags.warnings.total, 2));
    cr_assert(eq(str, flags.warnings.list[1].text,
                 "Compatibility of ambiguous CPU model strings won't be kept on future QEMU versions"));
}

Test(cpu_flags, R8_ambiguity_compares_spelled_names)
{
    cr_assert(eq(u32, parse("qemu64,+sse4_1,sse4.1=off").warnings.total, 0));
    cr_assert(eq(u32, parse("qemu64,+kvm-steal-time,kvm_steal_time=off").warnings.total, 2));
    cr_assert(eq(u32, parse("qemu64,+foo,foo=on").warnings.total, 2));
    cr_assert(eq(u32, parse("qemu64,+foobar,foo=on").warnings.total, 0));
    cr_assert(eq(u32, parse("qemu64,+foo,foobar=on").warnings.total, 0));
}

Test(cpu_flags, V1_eight_words_and_no_others)
{
    static const char *const yes[] = {"on", "yes", "true", "y"}, *const no[] = {"off", "no", "false", "n"};
    static const char *const neither[] = {"o", "ye", "t", "of", "f",    "nope",
                                          "1", "0",  "",  "ON", "auto", " on"};
    bool value;

    for (size_t i = 0; i < 4; i++) {
        cr_assert(value_bool(yes[i], strlen(yes[i]), &value) && value, "%s", yes[i]);
        cr_assert(value_bool(no[i], strlen(no[i]), &value) && !value, "%s", no[i]);
    }
    for (size_t i = 0; i < sizeof(neither) / sizeof(neither[0]); i++)
        cr_assert(not(value_bool(neither[i], strlen(neither[i]), &value)), "%s", neither[i]);
}

Test(cpu_flags, V2_hex_digits_and_marks_in_both_cases)
{
    uint64_t value;

    cr_assert(value_u64("0X1f", 4, &value) && value == 0x1f);
    cr_assert(value_u64("0x1F", 4, &value) && value == 0x1f);
}

Test(cpu_flags, V3_every_kind_of_blank_may_stand_in_front)
{
    uint64_t value;

    cr_assert(value_u64("\t\n\v\f\r +4", 8, &value) && value == 4);
    cr_assert(not(value_u64("+ 4", 3, &value)));
}

Test(cpu_flags, V2_V4_integers_are_C_with_blanks_signs_and_wrap)
{
    uint64_t value;

    cr_assert(value_u64("010", 3, &value) && value == 8);
    cr_assert(value_u64(" +4", 3, &value) && value == 4);
    cr_assert(value_u64("-18446744073709551615", 21, &value) && value == 1);
    cr_assert(not(value_u64("4 ", 2, &value)));
    cr_assert(not(value_u64("08", 2, &value)));
    cr_assert(not(value_u64("0x", 2, &value)));
    cr_assert(not(value_u64("18446744073709551616", 20, &value)));
    cr_assert(not(value_u64("", 0, &value)));
}

Test(cpu_flags, V4_a_signed_integer_stays_inside_64_bits)
{
    int64_t value;

    cr_assert(value_i64("-9223372036854775808", 20, &value) && value == INT64_MIN);
    cr_assert(not(value_i64("9223372036854775808", 19, &value)));
}

Test(cpu_flags, V8_a_bad_tsc_freq_stops_everything_else)
{
    expect_error("qemu64,foo=1,tsc-freq=x", CPU_BAD_VALUE, 13, "bad numerical value x");
}

Test(cpu_flags, V9_metric_sizes_round_and_are_bounded)
{
    uint64_t value;

    cr_assert(value_metric("2.5G", 4, &value) == SIZE_OK && value == 2500000000ull);
    cr_assert(value_metric("1.0005k", 7, &value) == SIZE_OK && value == 1001);
    cr_assert(value_metric("5.G", 3, &value) == SIZE_OK && value == 5000000000ull);
    cr_assert(value_metric("0x1G", 4, &value) == SIZE_HEX_SUFFIX);
    cr_assert(value_metric("8E", 2, &value) == SIZE_OK);
    cr_assert(value_metric("10E", 3, &value) == SIZE_BAD);
    cr_assert(value_metric("1.5", 3, &value) == SIZE_BAD);
    cr_assert(value_metric(".5G", 3, &value) == SIZE_BAD);
    cr_assert(value_metric("-1", 2, &value) == SIZE_BAD);
}

Test(cpu_flags, V9_leading_zeros_are_decimal)
{
    uint64_t value;

    cr_assert(value_metric("01000", 5, &value) == SIZE_OK && value == 1000);
    cr_assert(value_metric("08k", 3, &value) == SIZE_OK && value == 8000);
}

Test(cpu_flags, V11_the_later_of_both_names_wins)
{
    cr_assert(eq(u64, parse("qemu64,tsc-freq=1G,tsc-frequency=2").values[P_TSC_FREQUENCY].number, 2));
    cr_assert(
        eq(u64, parse("qemu64,tsc-frequency=2,tsc-freq=1G").values[P_TSC_FREQUENCY].number, 1000000000));
    cr_assert(eq(u64, parse("qemu64,tsc-freq=2,tsc-freq=1G").values[P_TSC_FREQUENCY].number, 1000000000));
}

Test(cpu_flags, G13_a_sign_on_a_number_or_text_is_a_type_error)
{
    expect_error("qemu64,+level", CPU_BAD_VALUE, 7, "Parameter 'level' expects uint64");
    expect_error("qemu64,-model-id", CPU_BAD_VALUE, 7,
                 "Invalid parameter type for 'model-id', expected: string");
    expect_error("qemu64,lbr-fmt=x", CPU_QEMU_ABORTS, 7, "error_setv: Assertion `*errp == NULL' failed.");
}

Test(cpu_flags, G14_a_version_must_exist)
{
    cr_assert(parse("qemu64-v1").model == parse("qemu64").model);
    cr_assert(parse("Haswell-v4").model == parse("Haswell-noTSX-IBRS").model);
    expect_error("qemu64-v2", CPU_UNKNOWN_MODEL, 0, "unable to find CPU model 'qemu64-v2'");
    expect_error("EPYC-v4", CPU_UNKNOWN_MODEL, 0, "unable to find CPU model 'EPYC-v4'");
}

/* The paravirtual properties and their bits, as the specification lists them. Bits without a name cannot be asked for. */
Test(cpu_flags, QMU_1_and_H2_names_of_the_paravirtual_bits)
{
    static const struct {
        const char *name;
        uint64_t bits;
    } rows[] = {
        {"kvmclock", 1 << 0 | 1 << 3},    {"kvm-nopiodelay", 1 << 1},       {"kvm-mmu", 1 << 2},
        {"kvm-asyncpf", 1 << 4},          {"kvm-steal-time", 1 << 5},       {"kvm-pv-eoi", 1 << 6},
        {"kvm-pv-unhalt", 1 << 7},        {"kvm-pv-tlb-flush", 1 << 9},     {"kvm-pv-ipi", 1 << 11},
        {"kvm-poll-control", 1 << 12},    {"kvm-pv-sched-yield", 1 << 13},  {"kvm-asyncpf-int", 1 << 14},
        {"kvm-msi-ext-dest-id", 1 << 15}, {"kvmclock-stable-bit", 1 << 24},
    };
    uint64_t named = 0;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct feature_name *feature = feature_find(rows[i].name, strlen(rows[i].name));
        cr_assert(feature && feature->word == FW_KVM && feature->bits == rows[i].bits, "%s", rows[i].name);
        named |= rows[i].bits;
    }
    cr_assert(eq(u64, feature_named_bits(FW_KVM), named));
    cr_assert(eq(u64, feature_named_bits(FW_KVM_HINTS), 1));
}

/* Not terminated, so that a read past the end is seen by the sanitizer. */
static void parse_exact(const char *text, size_t len)
{
    char *copy = malloc(len);
    struct cpu_flags *flags = malloc(sizeof(*flags));

    memcpy(copy, text, len);
    cpu_flags_parse(flags, copy, len);
    free(flags);
    free(copy);
}

Test(cpu_flags, every_cut_of_a_rich_string_is_survived)
{
    static const char text[] =
        "qemu64-v1,+avx,,-sse4_1,level=0x1f,tsc-freq=2.5G,vendor=GenuineIntel,model-id=a=b,"
        "hv-vendor-id=x,phys_bits=40,+,-,=,a=,=b,migratable,lbr-fmt=3";

    for (size_t len = 1; len <= sizeof(text); len++)
        parse_exact(text, len);
}

Test(cpu_flags, a_megabyte_of_items_is_read_once_and_keeps_bounded_warnings)
{
    enum { ITEMS = 100000 };
    char *text = malloc(ITEMS * 11 + 16);
    struct cpu_flags *flags = malloc(sizeof(*flags));
    size_t len = (size_t)sprintf(text, "qemu64,+avx");

    for (int i = 0; i < ITEMS; i++)
        len += (size_t)sprintf(text + len, i % 2 ? ",avx=on" : ",x%d=%d", i % 1000, i % 7);
    cpu_flags_parse(flags, text, len);
    cr_assert(eq(u32, flags->items, ITEMS + 1));
    cr_assert(eq(u32, flags->warnings.total, ITEMS / 2 + 1));
    cr_assert(eq(u32, messages_kept(&flags->warnings), MESSAGES_MAX));
    cr_assert(eq(int, flags->error.kind, CPU_UNKNOWN_PROPERTY));
    free(flags);
    free(text);
}

Test(cpu_flags, a_megabyte_of_one_name_is_cut_in_the_message)
{
    size_t len = 1 << 20;
    char *text = malloc(len);
    struct cpu_flags *flags = malloc(sizeof(*flags));

    memset(text, 'a', len);
    memcpy(text, "qemu64,+", 8);
    cpu_flags_parse(flags, text, len);
    cr_assert(eq(int, flags->error.kind, CPU_UNKNOWN_PROPERTY));
    cr_assert(eq(str, flags->error.text + MESSAGE_TEXT - 4, "..."));
    free(flags);
    free(text);
}

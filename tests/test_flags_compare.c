/* Comparing -cpu strings with QEMU: reading its answers, judging them, shrinking; and strings that once differed, with
 * what QEMU 7.2 said to them. QEMU flags specification sections 2.1, 4.1, 5. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "diff/flags/outcome.h"
#include "diff/flags/shrink.h"

#define QEMU        "qemu-system-x86_64: "
#define WARN        QEMU "warning: "
#define EXITED(n)   ((n) << 8)
#define ACCEPTED(t) ((struct qemu_end){.text = (t), .ready = true})
#define REFUSED(t)  ((struct qemu_end){.text = (t), .status = EXITED(1)})
#define KILLED(s)   ((struct qemu_end){.text = "", .status = (s)})

static struct flags_outcome theirs(struct qemu_end end)
{
    struct flags_outcome outcome;

    flags_theirs(&outcome, &end);
    return outcome;
}

Test(flags_compare, accepted_needs_a_machine_that_was_ready)
{
    struct flags_outcome outcome = theirs(ACCEPTED(WARN "one\n" WARN "two\n"));

    cr_assert(eq(int, outcome.fate, FATE_ACCEPTED));
    cr_assert(eq(u32, outcome.warnings.total, 2));
    cr_assert(eq(str, outcome.warnings.list[0].text, "one"));
    cr_assert(eq(str, outcome.warnings.list[1].text, "two"));
    cr_assert(eq(int, theirs((struct qemu_end){.text = "x86 486\n"}).fate, FATE_HELP));
}

Test(flags_compare, refused_has_a_kind_and_the_warnings_before_it)
{
    struct flags_outcome outcome = theirs(REFUSED(WARN "w\n" QEMU "unable to find CPU model 'x'\n"));

    cr_assert(eq(int, outcome.fate, FATE_REFUSED));
    cr_assert(eq(int, outcome.error.kind, CPU_UNKNOWN_MODEL));
    cr_assert(eq(str, outcome.error.text, "unable to find CPU model 'x'"));
    cr_assert(eq(u32, outcome.warnings.total, 1));
}

Test(flags_compare, a_value_with_line_feeds_stays_in_its_message)
{
    struct flags_outcome outcome = theirs(REFUSED(QEMU "unable to find CPU model 'a\nb\n'\n"));

    cr_assert(eq(str, outcome.error.text, "unable to find CPU model 'a\nb\n'"));
}

Test(flags_compare, a_signal_is_an_abort_and_a_strange_end_is_silence)
{
    cr_assert(eq(int, theirs(KILLED(SIGSEGV)).fate, FATE_ABORTED));
    cr_assert(eq(int, theirs(KILLED(SIGABRT)).error.kind, CPU_QEMU_ABORTS));
    cr_assert(eq(int, theirs((struct qemu_end){.text = "", .timed_out = true}).fate, FATE_SILENT));
    cr_assert(eq(int, theirs((struct qemu_end){.text = "", .status = EXITED(1)}).fate, FATE_SILENT));
    cr_assert(eq(int, theirs((struct qemu_end){.text = "", .status = EXITED(3)}).fate, FATE_SILENT));
}

/* The parser's own texts, each from a string that provokes it, must be recognised as the kind it gives them. */
#define KIND_TEST(name, cpu)                                                                                 \
    Test(flags_compare, kind_of_##name)                                                                      \
    {                                                                                                        \
        struct flags_outcome ours;                                                                           \
                                                                                                             \
        flags_ours(&ours, cpu, "isapc", cpuid_supported_tcg());                                              \
        cr_assert(eq(int, ours.fate, FATE_REFUSED));                                                         \
        cr_assert(eq(int, flags_refusal_kind(ours.error.text), (int)ours.error.kind), "%s",                  \
                  ours.error.text);                                                                          \
    }

/* The one name with an underscore: signs keep it, values do not (G8). */
Test(flags_compare, parent_bus_is_there_only_under_signs)
{
    struct flags_outcome ours;

    flags_ours(&ours, "qemu64,-parent_bus", "isapc", cpuid_supported_tcg());
    cr_assert(eq(int, (int)ours.error.kind, CPU_READ_ONLY));
    flags_ours(&ours, "qemu64,parent_bus=on", "isapc", cpuid_supported_tcg());
    cr_assert(eq(int, (int)ours.error.kind, CPU_UNKNOWN_PROPERTY));
}

KIND_TEST(unknown_model, "nothing")
KIND_TEST(empty, "")
KIND_TEST(unknown_property, "qemu64,foo=on")
KIND_TEST(unknown_sign, "qemu64,+foo")
KIND_TEST(bool_value, "qemu64,avx=maybe")
KIND_TEST(integer, "qemu64,level=x")
KIND_TEST(width, "qemu64,level=0x100000000")
KIND_TEST(range, "qemu64,stepping=16")
KIND_TEST(vendor, "qemu64,vendor=me")
KIND_TEST(tristate, "qemu64,hv-no-nonarch-coresharing=x")
KIND_TEST(read_only, "qemu64,type=x")
KIND_TEST(read_only_sign, "qemu64,+type")
KIND_TEST(mask, "qemu64,lbr-fmt=0x40")
KIND_TEST(tsc_freq, "qemu64,tsc-freq=x")
KIND_TEST(sign_of_integer, "qemu64,+family")
KIND_TEST(sign_of_text, "qemu64,+vendor")
KIND_TEST(link, "qemu64,memory=x")
KIND_TEST(realized, "qemu64,realized=on")
KIND_TEST(enforce, "qemu64,+vmx,enforce")
KIND_TEST(host, "host")
KIND_TEST(phys_bits, "qemu64,phys-bits=3")
KIND_TEST(phys_bits_32, "486,phys-bits=40")
KIND_TEST(core_id, "qemu64,core-id=3")
KIND_TEST(node_id, "qemu64,node-id=3")
KIND_TEST(legacy_cache, "qemu64,legacy-cache=off")
KIND_TEST(vpindex, "qemu64,hv-vpindex")

static enum flags_difference judge(const char *cpu, struct qemu_end end)
{
    struct flags_outcome ours, qemu = theirs(end);
    char what[400];
    enum flags_difference difference;

    flags_ours(&ours, cpu, "isapc", cpuid_supported_tcg());
    difference = flags_compare(&ours, &qemu, what);
    cr_assert(eq(int, difference == FLAGS_SAME, what[0] == 0));
    return difference;
}

#define VMX "TCG doesn't support requested feature: CPUID.01H:ECX.vmx [bit 5]\n"
#define DCA "TCG doesn't support requested feature: CPUID.01H:ECX.dca [bit 18]\n"

Test(flags_compare, E4_the_same_warnings_in_order_are_the_same)
{
    cr_assert(eq(int, judge("qemu64,+dca,+vmx", ACCEPTED(WARN VMX WARN DCA)), FLAGS_SAME));
}

Test(flags_compare, other_order_fewer_or_more_warnings_differ)
{
    cr_assert(eq(int, judge("qemu64,+dca,+vmx", ACCEPTED(WARN DCA WARN VMX)), FLAGS_OTHER_WARNINGS));
    cr_assert(eq(int, judge("qemu64,+dca,+vmx", ACCEPTED(WARN VMX)), FLAGS_OTHER_WARNINGS));
    cr_assert(eq(int, judge("qemu64,+vmx", ACCEPTED(WARN VMX WARN DCA)), FLAGS_OTHER_WARNINGS));
    cr_assert(eq(int, judge("qemu64", ACCEPTED(WARN VMX)), FLAGS_OTHER_WARNINGS));
}

Test(flags_compare, another_fate_differs_and_silence_always_does)
{
    cr_assert(
        eq(int, judge("qemu64", REFUSED(QEMU "unable to find CPU model 'qemu64'\n")), FLAGS_OTHER_FATE));
    cr_assert(eq(int, judge("nothing", ACCEPTED("")), FLAGS_OTHER_FATE));
    cr_assert(eq(int, judge("qemu64", KILLED(SIGSEGV)), FLAGS_OTHER_FATE));
    cr_assert(eq(int, judge("qemu64,+lbr-fmt", ACCEPTED("")), FLAGS_OTHER_FATE));
    cr_assert(eq(int, judge("qemu64", (struct qemu_end){.text = "", .timed_out = true}), FLAGS_OTHER_FATE));
}

Test(flags_compare, another_reason_is_another_refusal_and_other_words_are_told_apart)
{
    cr_assert(eq(int, judge("nothing", REFUSED(QEMU "unable to find CPU model 'nothing'\n")), FLAGS_SAME));
    cr_assert(
        eq(int, judge("nothing", REFUSED(QEMU "unable to find CPU model 'other'\n")), FLAGS_OTHER_WORDS));
    cr_assert(eq(int, judge("nothing", REFUSED(QEMU "bad numerical value x\n")), FLAGS_OTHER_REFUSAL));
    cr_assert(eq(int, judge("nothing", REFUSED(QEMU "words of no QEMU\n")), FLAGS_OTHER_REFUSAL));
}

Test(flags_compare, texts_that_our_side_had_to_cut_are_equal_as_far_as_they_go)
{
    char cpu[600], text[1000];

    memset(cpu, 'x', sizeof(cpu) - 1);
    cpu[sizeof(cpu) - 1] = 0;
    snprintf(text, sizeof(text), QEMU "unable to find CPU model '%s'\n", cpu);
    cr_assert(eq(int, judge(cpu, REFUSED(text)), FLAGS_SAME));
    text[200] = 'y';
    cr_assert(eq(int, judge(cpu, REFUSED(text)), FLAGS_OTHER_WORDS));
}

Test(flags_compare, what_we_say_we_do_not_model_is_not_called_the_same)
{
    cr_assert(eq(int, judge("base,apic-id=0,realized", ACCEPTED("")), FLAGS_NOT_MODELLED));
    cr_assert(eq(int, judge("base,socket-id=1,realized", ACCEPTED("")), FLAGS_NOT_MODELLED));
}

/* Once different, found by pv-diff flags --random; the texts are QEMU 7.2.22's. */
#define FOUND(name, cpu, end)                                                                                \
    Test(flags_compare, found_##name)                                                                        \
    {                                                                                                        \
        cr_assert(eq(int, judge(cpu, end), FLAGS_SAME));                                                     \
    }
#define AMBIGUOUS(sign, value)                                                                               \
    WARN "Ambiguous CPU model string. Don't mix both \"" sign "\" and \"" value "\"\n" WARN                  \
         "Compatibility of ambiguous CPU model strings won't be kept on future QEMU versions\n"
#define VPINDEX  REFUSED(QEMU "kernel doesn't allow setting HyperV VP_INDEX\n")
#define ARCH_LBR WARN "TCG doesn't support requested feature: CPUID.07H:EDX.arch-lbr [bit 19]\n"
#define CUT      WARN "hv-vendor-id truncated to 12 characters\n"
#define NOT_ASKED                                                                                            \
    WARN "This feature depends on other features that were not requested: MSR(48BH).vmx-vpid [bit 5]\n"
FOUND(vpindex_is_refused_without_kvm_too, "base,hv-vpindex", VPINDEX)
FOUND(vpindex_comes_before_signs, "base,hv-vpindex,-hv-vpindex", VPINDEX)
FOUND(vpindex_by_sign_is_no_value, "base,+hv-vpindex", ACCEPTED(""))
FOUND(vpindex_comes_before_node_id, "base,hv-vpindex,node-id=7", VPINDEX)
FOUND(vpindex_comes_after_core_id, "base,hv-vpindex,core-id=7",
      REFUSED(QEMU "property core-id: 7 doesn't match set apic-id: 0x0 (core-id: 0)\n"))
FOUND(vendor_is_cut_before_signs, "base,+foo,hv-vendor-id=1234567890123",
      REFUSED(CUT QEMU "Property 'base-x86_64-cpu.foo' not found\n"))
FOUND(vendor_is_cut_before_dependencies, "base,+vmx-vpid,hv-vendor-id=1234567890123", ACCEPTED(CUT NOT_ASKED))
FOUND(no_memory_is_an_abort, "base,memory=", KILLED(SIGABRT))
FOUND(no_memory_comes_after_signs, "base,memory=,+vendor",
      REFUSED(QEMU "Invalid parameter type for 'vendor', expected: string\n"))
FOUND(no_memory_comes_before_phys_bits, "qemu64,memory=,phys-bits=3", KILLED(SIGABRT))
FOUND(no_memory_comes_before_host, "host,memory=", KILLED(SIGABRT))
FOUND(lbr_fmt_with_a_value_before, "base,lbr-fmt=0,+lbr-fmt",
      REFUSED(QEMU "Parameter 'lbr-fmt' expects uint64\n"))
FOUND(lbr_fmt_with_a_value_after, "base,+lbr-fmt,lbr-fmt=0xf",
      REFUSED(AMBIGUOUS("+lbr-fmt", "lbr-fmt=0xf") QEMU "Parameter 'lbr-fmt' expects uint64\n"))
FOUND(lbr_fmt_without_a_value, "base,+lbr-fmt", KILLED(SIGABRT))
FOUND(arch_lbr_alone, "qemu64,+arch-lbr", ACCEPTED(ARCH_LBR))
FOUND(arch_lbr_with_xsave, "max,+arch-lbr",
      ACCEPTED(ARCH_LBR WARN "TCG doesn't support requested feature: CPUID.0DH:ECX [bit 15]\n"))
FOUND(level_func7_has_no_limit, "qemu64,level-func7=0xff", ACCEPTED(""))
FOUND(realized_misses_the_next_id, "base,socket-id=0,core-id=0,realized",
      REFUSED(QEMU "can't apply global base-x86_64-cpu.realized=on: CPU thread-id is not set\n"))
FOUND(realized_by_sign_crashes, "qemu64,+realized", KILLED(SIGSEGV))

/* A fake QEMU that shows it while all words are there. */
struct fake {
    const char *words[3];
    unsigned asked;
};

static bool has_words(void *ctx, const char *text)
{
    struct fake *fake = ctx;

    fake->asked++;
    for (unsigned i = 0; i < 3 && fake->words[i]; i++)
        if (!strstr(text, fake->words[i]))
            return false;
    return true;
}

static unsigned shrink(char text[FLAGS_TEXT_MAX], struct fake *fake, unsigned budget)
{
    struct flags_oracle oracle = {has_words, fake, budget};

    flags_shrink(text, &oracle);
    cr_assert(has_words(fake, text), "%s", text);
    return oracle.budget;
}

Test(flags_shrink, items_that_do_not_matter_go)
{
    char text[FLAGS_TEXT_MAX] = "EPYC-v2,+a,-b,,c=on,level=7,+vmx,d,e,f,g";
    struct fake fake = {.words = {",+vmx"}};

    shrink(text, &fake, 400);
    cr_assert(eq(str, text, "base,+vmx"));
}

Test(flags_shrink, items_that_matter_together_stay_and_so_does_their_model)
{
    char text[FLAGS_TEXT_MAX] = "EPYC,+a,x=1,-b,y=2,c";
    struct fake fake = {.words = {"EPYC,", ",x=1", ",y=2"}};

    shrink(text, &fake, 400);
    cr_assert(eq(str, text, "EPYC,x=1,y=2"));
}

Test(flags_shrink, values_get_short)
{
    char text[FLAGS_TEXT_MAX] = "base,model-id=a very long name Z of a CPU,other=1234";
    struct fake fake = {.words = {"model-id=", "Z"}};

    shrink(text, &fake, 400);
    cr_assert(eq(str, text, "base,model-id=Z"));
}

Test(flags_shrink, the_budget_bounds_the_questions)
{
    char text[FLAGS_TEXT_MAX] = "qemu64,a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q";
    struct fake fake = {.words = {",q"}};

    cr_assert(eq(u32, shrink(text, &fake, 3), 0));
    cr_assert(eq(u32, fake.asked, 3 + 1)); /* and the one of the test itself */
}

Test(flags_shrink, the_empty_string_is_left_alone)
{
    char text[FLAGS_TEXT_MAX] = "";
    struct fake fake = {.words = {""}};

    shrink(text, &fake, 10);
    cr_assert(eq(str, text, ""));
}

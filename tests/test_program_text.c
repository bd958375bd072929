/* Text form of programs: what is read, what is refused and how it is said, what is printed. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "diff/program/program.h"

#define HEAD "paravane 1\nvcpus 2\nram 64\nirqchip kernel\n\n"

static struct program parsed(const char *text)
{
    struct program program;
    struct program_error error;

    program_init(&program);
    cr_assert(eq(int, program_parse(&program, text, strlen(text), &error), 0), "%u:%u: %s", error.line,
              error.column, error.message);
    return program;
}

static void expect_text(const char *text, const char *canonical)
{
    struct program program = parsed(text);
    char *printed;
    size_t len;

    cr_assert(eq(int, program_print(&program, &printed, &len), 0));
    cr_expect(eq(str, printed, (char *)canonical));
    cr_expect(eq(sz, len, strlen(printed)));
    free(printed);
    program_free(&program);
}

static void expect_error(const char *text, unsigned line, unsigned column, const char *message)
{
    struct program program;
    struct program_error error;

    program_init(&program);
    cr_assert(eq(int, program_parse(&program, text, strlen(text), &error), -EINVAL));
    cr_expect(eq(uint, error.line, line));
    cr_expect(eq(uint, error.column, column));
    cr_expect(eq(str, error.message, (char *)message));
    program_free(&program);
}

Test(program_text, canonical_text_comes_back_unchanged)
{
    const char *text = "paravane 1\n"
                       "vcpus 2\n"
                       "ram 64\n"
                       "irqchip split\n"
                       "features kvmclock kvm-steal-time 0x400\n"
                       "hints kvm-hint-dedicated\n"
                       "enforce on\n"
                       "native vmcall\n"
                       "\n"
                       "# comment\n"
                       "wrmsr MSR_KVM_STEAL_TIME ram+0x1001\n"
                       "@1 vmcall KVM_HC_KICK_CPU 0 3 #closing\n"
                       "\n"
                       "@1 cpl3 { vmmcall KVM_HC_SCHED_YIELD 2 }\n"
                       "!advance 5ms\n"
                       "!save-restore\n"
                       "rdmsr 0x4b564dff\n"
                       "cpuid 0x40000001\n"
                       "m16 { cpuid 7 1 }\n"
                       "store64 ram_end-0x20 0xffffffffffffffff\n"
                       "dump hole 64\n"
                       "apic-write APIC_SPIV 0x1ff\n"
                       "load64 ram+0x20000 # why\n"
                       "in8 0x80\n"
                       "m16 { out32 0xcf8 0x80000000 }\n"
                       "rdtscp\n"
                       "@1 lock-cmpxchg8 ram+0x1010 1 3\n"
                       "test-clear ram+0x40\n"
                       "map 0x8000000000 ram+7\n"
                       "invlpg 0x8000000000\n"
                       "x2apic\n"
                       "window\n"
                       "on-interrupt ram+0x40 2\n"
                       "!deschedule 1 5ms\n"
                       "!page-out ram+0x3000\n"
                       "!page-in ram+0x3000\n"
                       "!init 1\n"
                       "!sipi 1 8\n"
                       "!msi 0xfee00000 0x41\n"
                       "!slot-add hole 0x2000 1\n"
                       "!slot-move hole hole+0x10000\n"
                       "!slot-remove hole+0x10000\n"
                       "!set-cpuid 9 0x40000100\n"
                       "!enforce 1\n"
                       "!set-clock 5s 4\n"
                       "!kvmclock-ctrl 0\n"
                       "!dirty-clear\n"
                       "!dirty-read ram 0x2000\n"
                       "!migrate\n";

    expect_text(text, text);
}

Test(program_text, a_header_has_defaults_and_layout_is_free)
{
    expect_text("paravane 1\nrdtsc", "paravane 1\nvcpus 1\nram 64\nirqchip kernel\n\nrdtsc\n");
    expect_text("paravane 1", "paravane 1\nvcpus 1\nram 64\nirqchip kernel\n");
    expect_text("# why\n\nparavane 1\nvcpus 2\n", HEAD "# why\n");
    expect_text("\n# why\r\n\tparavane  1\t\r\n\nvcpus 2\n\n\n  wrmsr\t IA32_TSC -1#x\n",
                HEAD "# why\n\nwrmsr MSR_IA32_TSC 0xffffffffffffffff #x\n");
}

Test(program_text, a_block_gives_its_mode_and_vcpu_to_each_line)
{
    expect_text("paravane 1\nvcpus 2\n@1 compat {   # both\n    rdtsc\n    @0 cpuid 0\n}\nrdtsc\nm32 rdtsc\n",
                HEAD "# both\n@1 compat { rdtsc }\ncompat { cpuid 0 }\nrdtsc\nm32 { rdtsc }\n");
}

Test(program_text, numbers_and_addresses_have_one_spelling)
{
    expect_text("paravane 1\nvcpus 2\nload8 ram+0\nload8 ram_end-32\nload8 0x10\nload8 ram+9\nload8 -1\n"
                "load8 ram-0x8000000000000000\nwrmsr 0xc0000080 mmio-1\nipi 1 0x000f0\n",
                HEAD "load8 ram\nload8 ram_end-0x20\nload8 0x10\nload8 ram+9\nload8 0xffffffffffffffff\n"
                     "load8 ram-0x8000000000000000\nwrmsr MSR_EFER mmio-1\nipi 1 0xf0\n");
    expect_text(
        "paravane 1\nvcpus 2\n!advance 1000us\n!advance 86400s\n!advance 0s\n!advance 61s\n!advance 1ns\n",
        HEAD "!advance 1ms\n!advance 1d\n!advance 0ns\n!advance 61s\n!advance 1ns\n");
}

Test(program_text, a_refusal_names_the_place_and_the_remedy)
{
    expect_error("", 0, 1, "an empty text: a program begins with the line 'paravane 1'");
    expect_error("# a\nwrmsr 1 2\n", 2, 1, "a program begins with the line 'paravane 1'");
    expect_error("paravane 2\n", 1, 10, "paravane, the version of the language, takes a number from 1 to 1");
    expect_error("paravane 1\nvcpus 17\n", 2, 7, "vcpus takes a number from 1 to 16");
    expect_error("paravane 1\nram 0\n", 2, 5, "ram, in pages of 4 KiB, takes a number from 1 to 65536");
    expect_error("paravane 1\nirqchip on\n", 2, 9, "irqchip takes kernel, split or none");
    expect_error("paravane 1\nfeatures kvm-steal-tim\n", 2, 10,
                 "unknown feature 'kvm-steal-tim' - did you mean kvm-steal-time");
    expect_error("paravane 1\nenforce yes\n", 2, 9, "enforce takes off or on");
    expect_error(HEAD "rdtsc\nvcpus 2\n", 7, 1,
                 "'vcpus' belongs to the header: move it above the first action");
    expect_error(HEAD "  wrmrs 1 2\n", 6, 3, "unknown action 'wrmrs' - did you mean wrmsr?");
    expect_error(HEAD "!advnce 1s\n", 6, 1, "unknown action '!advnce' - did you mean !advance?");
    expect_error(HEAD "xyzzy\n", 6, 1, "unknown action 'xyzzy' - 'pv-fuzz show --actions' lists them");
    expect_error("paravane 1\nvcpu 2\n", 2, 1, "unknown action 'vcpu' - did you mean vcpus?");
    expect_error(HEAD "wrmsr MSR_KVM_STEAL_TIM 1\n", 6, 7,
                 "unknown MSR 'MSR_KVM_STEAL_TIM' - did you mean MSR_KVM_STEAL_TIME?");
    expect_error(HEAD "wrmsr 1\n", 6, 8, "wrmsr takes MSR value");
    expect_error(HEAD "cpuid\n", 6, 6, "cpuid takes leaf [value]");
    expect_error(HEAD "rdtsc 1\n", 6, 7, "'1' is one word too many");
    expect_error(HEAD "rdmsr 0x100000000\n", 6, 7, "a MSR has 32 bits");
    expect_error(HEAD "rdmsr ram\n", 6, 7,
                 "'ram' is no MSR: write the name of an MSR such as MSR_KVM_STEAL_TIME, or its index");
    expect_error(
        HEAD "load8 rim+1\n", 6, 7,
        "'rim+1' is no address: write an address such as ram+0x2000, ram_end-32, hole, rom, mmio+0x20 or a "
        "number");
    expect_error(
        HEAD "load8 0x10000000000000000\n", 6, 7,
        "'0x10000000000000000' is no address: write an address such as ram+0x2000, ram_end-32, hole, rom, "
        "mmio+0x20 or a number");
    expect_error(HEAD "!init 16\n", 6, 7, "a vCPU is a number below 16");
    expect_error(HEAD "!deschedule 1\n", 6, 14, "deschedule takes vCPU time");
    expect_error(HEAD "dump ram 65\n", 6, 10, "dump takes at most 64 here");
    expect_error(
        HEAD "apic-read 0x24\n", 6, 11,
        "'0x24' is no register: write a register such as APIC_SPIV, or its offset: a multiple of 16 below "
        "0x1000");
    expect_error(HEAD "!advance 5\n", 6, 10,
                 "'5' is no time: write a time with its unit: d, h, min, s, ms, us or ns, as in 5ms");
    expect_error(HEAD "@2 rdtsc\n", 6, 1,
                 "'@2' is no vCPU of this program: the header says vcpus 2, so @0 to @1");
    expect_error(HEAD "@1 !reset\n", 6, 4, "'!reset' runs on no vCPU: write it alone, outside of any block");
    expect_error(HEAD "cpl3 { rdtsc\n", 6, 13, "a '}' is missing: one action between braces on one line");
    expect_error(HEAD "cpl3 {\nm16 rdtsc\n}\n", 7, 1,
                 "blocks do not nest: close the one from line 6 with '}' first");
    expect_error(HEAD "cpl3 {\nrdtsc\n", 7, 1,
                 "the block from line 6 is not closed: a line with '}' is missing");
    expect_error(HEAD "}\n", 6, 1, "'}' closes nothing: a block begins with a mode and '{', as in 'cpl3 {'");
    expect_error(HEAD "# caf\xc3\xa9\n", 6, 6, "a comment holds printable ASCII only");
}

Test(program_text, too_long_a_program_is_refused)
{
    size_t lines = PROGRAM_ACTIONS_MAX + 1;
    char *text = malloc(sizeof(HEAD) + lines * 6), *at = text;
    struct program_error error;
    struct program program;

    at += sprintf(at, HEAD);
    for (size_t i = 0; i < lines; i++)
        at += sprintf(at, "rdtsc\n");
    program_init(&program);
    cr_assert(eq(int, program_parse(&program, text, at - text, &error), -EINVAL));
    cr_expect(eq(str, error.message, (char *)"a program has at most 4096 lines of body"));
    cr_expect(eq(uint, error.line, 5 + lines));
    program_free(&program);
    free(text);
}

Test(program_text, action_print_counts_what_does_not_fit)
{
    struct program program = parsed(HEAD "@1 cpl3 wrmsr MSR_KVM_STEAL_TIME ram+0x1001\n");
    char small[8], large[100];

    cr_expect(eq(int, action_print(&program, &program.actions[0], large, sizeof(large)), (int)strlen(large)));
    cr_expect(eq(str, large, (char *)"@1 cpl3 { wrmsr MSR_KVM_STEAL_TIME ram+0x1001 }"));
    cr_expect(eq(int, action_print(&program, &program.actions[0], small, sizeof(small)), (int)strlen(large)));
    cr_expect(eq(str, small, (char *)"@1 cpl3"));
    program_free(&program);
}

Test(program_text, needs_follow_from_header_and_actions)
{
    struct {
        const char *text;
        uint32_t needs;
    } rows[] = {
        {"paravane 1\n# nothing\nnop\n", 0},
        {"paravane 1\nvcpus 2\n", NEED_SMP},
        {"paravane 1\nm32 cpuid 0\n", NEED_CPUID},
        {"paravane 1\ncompat cpuid 0\n", NEED_CPUID | NEED_LONG_MODE},
        {"paravane 1\nrdmsr 1\n!reset\n", NEED_MSR | NEED_RESET | NEED_LONG_MODE},
        {"paravane 1\nm16 vmcall 1\n!pause\n!resume\n", NEED_HYPERCALL | NEED_PAUSE},
        {"paravane 1\nm16 clock ram 1\nm16 ipi 0 0\n", NEED_CLOCK | NEED_IPI},
        {"paravane 1\n!advance 1s\n!save-restore\n", NEED_ADVANCE | NEED_SAVE_RESTORE},
        {"paravane 1\nm16 map 0x8000000000\n!deschedule 0 1ms\n", NEED_LONG_MODE | NEED_SCHEDULE},
        {"paravane 1\n!page-out ram\n!page-in ram\n", NEED_PAGING},
        {"paravane 1\n!init 0\n!sipi 0 8\n!msi 0xfee00000 0x41\n", NEED_INJECT},
        {"paravane 1\n!slot-add hole 0x1000\n!slot-move hole hole+0x1000\n!slot-remove hole\n", NEED_SLOTS},
        {"paravane 1\n!set-cpuid 1\n!enforce 1\n!set-clock 1s\n!kvmclock-ctrl 0\n", NEED_RECONFIGURE},
        {"paravane 1\n!dirty-clear\n!dirty-read ram 1\n!migrate\n", NEED_DIRTY_LOG | NEED_MIGRATE},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct program program = parsed(rows[i].text);

        cr_expect(eq(u32, program_needs(&program), rows[i].needs), "%s", rows[i].text);
        program_free(&program);
    }
}

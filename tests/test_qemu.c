/* Stock QEMU, launched for real where it is installed: what it refuses, and how its end is told. */
#include <string.h>
#include <unistd.h>
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include "diff/machine/qemu.h"
#include "diff/machine/qualify.h"

#define BYTES(name, text, expected)                                                                          \
    Test(qemu, memory_##name)                                                                                \
    {                                                                                                        \
        cr_assert(eq(u64, qemu_memory_bytes(text), expected));                                               \
    }
BYTES(plain, "64", 64ull << 20)
BYTES(mega, "64M", 64ull << 20)
BYTES(giga, "2G", 2ull << 30)
BYTES(size, "size=128M", 128ull << 20)
BYTES(slots, "64M,slots=2", 0)
BYTES(words, "lots", 0)
BYTES(empty, "", 0)
BYTES(negative, "-1", 0)
BYTES(huge, "99999999999999999999", 0)

static void run(const char *cpu, const char *memory, const char *text, struct run_result *result)
{
    static const struct qemu_config config = {.accel = "tcg"};
    struct program_error error;
    struct program program;
    struct run_item item = {
        .flags = {"set", cpu, "pc", "1", memory}, .programs = &program, .program_count = 1};
    char version[64], why[240];

    if (qemu_version(version, why))
        cr_skip_test("%s", why);
    program_init(&program);
    cr_assert(eq(int, program_parse(&program, text, strlen(text), &error), 0), "%s", error.message);
    cr_assert(eq(int, run_result_init(result, 1), 0));
    cr_assert(eq(int, qemu_run_item(&config, &item, result), 0));
    program_free(&program);
}

Test(qemu, a_refused_cpu_is_told_in_its_own_words)
{
    struct run_result r;

    run("nosuch", "64M", "paravane 1\nrdtsc\n", &r);
    cr_assert(r.refused);
    cr_assert(strstr(r.error, "exit status 1") && strstr(r.error, "unable to find CPU model 'nosuch'"), "%s",
              r.error);
    cr_assert(eq(str, r.command_line, "qemu-system-x86_64 -accel tcg -cpu nosuch -machine pc -smp 1 -m 64M"));
    run_result_free(&r, 1);
}

Test(qemu, a_memory_size_that_we_cannot_share_is_not_tried)
{
    struct run_result r;

    run("max", "64M,slots=4", "paravane 1\nrdtsc\n", &r);
    cr_assert(not(r.refused));
    cr_assert(strstr(r.error, "-m 64M,slots=4") != NULL, "%s", r.error);
    run_result_free(&r, 1);
}

Test(qemu, a_program_runs_across_pause_and_reset)
{
    struct run_result r;

    run("max", "64M", "paravane 1\ncpuid 0x0\n!pause\n!resume\n!reset\ncpuid 0x0\n", &r);
    cr_assert(eq(str, r.error, ""));
    cr_assert(eq(str, r.transcripts[0].stopped, ""));
    cr_assert(eq(u8, r.transcripts[0].outcomes[4].status, OUTCOME_OK));
    cr_assert(eq(u64, r.transcripts[0].outcomes[4].regs[1], 0x68747541)); /* "Auth" */
    run_result_free(&r, 1);
}

Test(qualify, every_need_is_named_in_full)
{
    char names[NEEDS_TEXT], roomy[1024];

    cr_assert(eq(str, (char *)needs_text(UINT32_MAX, names, sizeof(names)),
                 (char *)needs_text(UINT32_MAX, roomy, sizeof(roomy))));
}

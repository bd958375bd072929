/* The replay binary on a target with planted faults: what the crash report says, and that the exit status is right. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs fuzz_planted on one input; its stdout and stderr in *output. Returns the exit status. */
static int replay(const char *input, size_t len, const char *arguments, char output[16384])
{
    char path[] = "/tmp/a paravane replay-XXXXXX", command[512];
    int fd = mkstemp(path), status;
    FILE *pipe;
    size_t got;

    cr_assert(fd >= 0 && write(fd, input, len) == (ssize_t)len);
    close(fd);
    snprintf(command, sizeof(command), "%s/fuzz_planted %s '%s' 2>&1", PARAVANE_BIN, arguments, path);
    pipe = popen(command, "r");
    cr_assert(pipe);
    got = fread(output, 1, 16383, pipe);
    output[got] = 0;
    status = pclose(pipe);
    unlink(path);
    return WEXITSTATUS(status);
}

static void expect_text(const char *output, const char *text)
{
    cr_expect(strstr(output, text), "no \"%s\" in:\n%s", text, output);
}

Test(replay, an_input_that_passes_is_status_0)
{
    char output[16384];

    cr_expect_eq(replay("fine", 4, "", output), 0);
    expect_text(output, "1 inputs, 0 crashes");
}

Test(replay, a_broken_rule_is_named_with_its_input_and_command)
{
    char output[16384];

    cr_expect_eq(replay("pvrA", 4, "", output), 1);
    expect_text(output, "== crash: invariant DEMO-1: the planted rule broke with 65");
    expect_text(output, "    pvrA\n");
    expect_text(output, "stopped in action 0");
    expect_text(output, "fuzz_planted '/tmp/a paravane replay-");
}

Test(replay, a_wild_store_is_reported_with_its_stack)
{
    char output[16384];

    cr_expect_eq(replay("pvn\x10", 4, "", output), 1);
    expect_text(output, PARAVANE_ASAN ? "== crash: sanitizer report" : "== crash: SIGSEGV at 0x10");
#if PARAVANE_STACKS
    expect_text(output, "#0 planted_null fuzz/fuzz_planted.c:");
    expect_text(output, "#1 LLVMFuzzerTestOneInput fuzz/fuzz_planted.c:");
    expect_text(output, "#2 replay_one fuzz/replay_main.c:"); /* inlined where the compiler optimises */
    expect_text(output, "main fuzz/replay_main.c:");
#endif
}

Test(replay, an_overrun_is_seen_by_the_sanitizer)
{
    static const char input[] = "pvc\x7f"
                                "0123456789abcdefghijklmnop";
    char output[16384];

    if (!PARAVANE_ASAN)
        cr_skip_test("needs a sanitizer build");
    cr_expect_eq(replay(input, sizeof(input) - 1, "", output), 1);
    expect_text(output, "== crash: ");
#if PARAVANE_STACKS
    expect_text(output, "planted_copy fuzz/fuzz_planted.c:");
#endif
}

Test(replay, a_hang_ends_and_is_called_one)
{
    char output[16384];

    cr_expect_eq(replay("pvh!", 4, "--time-limit=1", output), 1);
    expect_text(output, "== crash: hang");
}

Test(replay, the_inputs_after_a_crash_still_run)
{
    char output[16384];

    cr_expect_eq(replay("pvrA", 4, "/dev/null", output), 1);
    expect_text(output, "2 inputs, 1 crashes");
}

Test(replay, unprintable_input_is_escaped)
{
    char output[16384];

    cr_expect_eq(replay("pvr\x1b", 4, "", output), 1);
    expect_text(output, "    pvr\\x1b\n");
}

Test(replay, a_missing_file_is_wrong_usage)
{
    char output[16384];

    cr_expect_eq(replay("", 0, "/no/such/file", output), 2);
}

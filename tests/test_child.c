/* Child processes: none outlives us, and what they say is kept and told. prctl(2). */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include "diff/machine/child.h"
#include "diff/shell.h"

#define LONG_MS 60000u

static struct args shell(const char *script)
{
    struct args args = {0};

    args_add(&args, "/bin/sh");
    args_add(&args, "-c");
    args_add(&args, script);
    return args;
}

static struct child run(const char *script)
{
    struct args args = shell(script);
    struct child child;

    cr_assert(eq(int, child_start(&child, &args, NULL, 0, true), 0));
    cr_assert(eq(int, child_wait(&child, LONG_MS), 0));
    args_free(&args);
    return child;
}

Test(child, its_words_and_its_status_are_told)
{
    struct child child = run("echo; echo no such thing >&2; exit 3");
    char fate[48], line[80];

    cr_assert(eq(str, (char *)child_fate(&child, fate), "exit status 3"));
    cr_assert(eq(str, (char *)child_first_line(&child, line, sizeof(line)), "no such thing"));
    child_kill(&child);
}

Test(child, a_signal_is_named)
{
    struct child child = run("kill -ABRT $$");
    char fate[48];

    cr_assert(eq(str, (char *)child_fate(&child, fate), "killed by SIGABRT"));
    child_kill(&child);
}

Test(child, one_that_talks_without_end_takes_bounded_memory_and_the_newest_words_stay)
{
    struct child child = run("yes | head -c 1000000; echo end");

    cr_assert(le(sz, child.text_used, (size_t)CHILD_TEXT_MAX));
    cr_assert(eq(str, child.text + child.text_used - 4, "end\n"));
    child_kill(&child);
}

Test(child, a_wait_ends_and_the_child_goes_on_until_it_is_killed)
{
    struct args args = shell("exec sleep 1000");
    struct child child;
    char fate[48];

    cr_assert(eq(int, child_start(&child, &args, NULL, 0, true), 0));
    cr_assert(eq(int, child_wait(&child, 20), -ETIMEDOUT));
    cr_assert(child_alive(&child));
    child_kill(&child);
    cr_assert(eq(str, (char *)child_fate(&child, fate), "killed by SIGKILL"));
    args_free(&args);
}

Test(child, a_program_that_is_not_there)
{
    struct args args = {0};
    char why[160];

    args_add(&args, "/nonexistent/program");
    cr_assert(eq(int, child_output(&args, LONG_MS, NULL, why, sizeof(why)), -ENOENT));
    cr_assert(strstr(why, "No such file") != NULL, "%s", why);
    args_free(&args);
}

/* exec: a shell between us and sleep would take the signal and leave sleep behind, holding our output open.
 * As after kill -9 of pv-diff: the test adopts the orphan, and must see it die without anyone's help. */
Test(child, it_dies_when_we_do)
{
    int fds[2];
    pid_t middle, orphan;
    int status;
    bool died;

    cr_assert(eq(int, prctl(PR_SET_CHILD_SUBREAPER, 1), 0));
    cr_assert(eq(int, pipe(fds), 0));
    middle = fork();
    if (middle == 0) {
        struct args args = shell("exec sleep 1000");
        struct child child;

        child_start(&child, &args, NULL, 0, false);
        if (write(fds[1], &child.pid, sizeof(child.pid)) < 0)
            _exit(1);
        raise(SIGKILL);
    }
    cr_assert(eq(sz, (size_t)read(fds[0], &orphan, sizeof(orphan)), sizeof(orphan)));
    cr_assert(eq(int, waitpid(middle, NULL, 0), middle));
    cr_assert(eq(int, waitpid(orphan, &status, 0), orphan));
    /* 127: it saw that its parent was gone already, before it could ask to be killed. */
    died = status == SIGKILL || status == 127 << 8;
    cr_assert(died, "status 0x%x", (unsigned)status);
}

Test(args, a_shell_reads_every_word_back)
{
    static const char *const words[] = {"plain",
                                        "",
                                        "a b",
                                        "it's",
                                        "$HOME `x` \"y\" \\",
                                        "tab\tand\x1b[31m1\n'\\",
                                        "\xc3\xa9",
                                        "\xff\x9b\x31m \xc2\x9b"};

    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        char *quoted = shell_quote(words[i]), *command = NULL, back[64] = "";
        FILE *pipe;

        cr_assert(asprintf(&command, "printf %%s %s", quoted) > 0);
        setenv("COMMAND", command, 1);
        pipe = popen("exec bash -c \"$COMMAND\"", "r");
        cr_assert(pipe != NULL);
        back[fread(back, 1, sizeof(back) - 1, pipe)] = 0;
        cr_assert(eq(int, pclose(pipe), 0));
        cr_assert(eq(str, back, (char *)words[i]), "%s", quoted);
        for (const char *c = quoted; *c; c++)
            cr_assert(ge(int, (unsigned char)*c, 0x20), "%s harms a terminal", quoted);
        free(command);
        free(quoted);
    }
}

Test(args, what_a_terminal_does_not_show_is_escaped)
{
    static const char *const rows[][2] = {
        {"\xc3\xa9 \xe2\x82\xac", "'\xc3\xa9 \xe2\x82\xac'"},
        {"a\xff", "$'a\\377'"},
        {"\xc2\x9b\x31m", "$'\\302\\2331m'"},   /* a control sequence in one character */
        {"\xc0\xaf", "$'\\300\\257'"},          /* / in a longer form */
        {"\xed\xa0\x80", "$'\\355\\240\\200'"}, /* a surrogate */
        {"\xe2\x82", "$'\\342\\202'"},
    };

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *quoted = shell_quote(rows[i][0]);

        cr_assert(eq(str, quoted, (char *)rows[i][1]));
        free(quoted);
    }
}

Test(args, a_list_is_quoted_as_a_shell_would_need_it)
{
    struct args args = {0};
    char *line;

    args_add(&args, "qemu");
    args_add(&args, "-cpu");
    args_add(&args, "host,model-id=a b's");
    args_add(&args, "");
    line = args_quote(&args, 0, args.count);
    cr_assert(eq(str, line, "qemu -cpu 'host,model-id=a b'\\''s' ''"));
    free(line);
    args_free(&args);
}

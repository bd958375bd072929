/* pv-diff models: the file of answers from one run to the next, and the comparison finds what differs. Real QEMUs are
 * asked by the ctest models_qemu; here the answers are made. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "diff/models/compare.h"
#include "diff/models/tcg_guest.h"
#include "vmm/cpuid/build.h"

static char path[] = "/tmp/paravane-answers-XXXXXX";
static const struct answers_origin tcg = {"qemu-tcg", "pc", "7.2.22", ""};

static void setup(void)
{
    int fd = mkstemp(path);

    cr_assert(fd >= 0);
    close(fd);
}

static void teardown(void)
{
    unlink(path);
}

TestSuite(models, .init = setup, .fini = teardown);

static void open_or_fail(struct answers *answers, enum answers_mode mode)
{
    char why[240] = "";

    cr_assert(eq(int, answers_open(answers, path, mode, why), 0), "%s", why);
}

static void start(struct answers *answers)
{
    char why[240] = "";
    unsigned host = 0;

    open_or_fail(answers, ANSWERS_ADD);
    cr_assert(eq(int, answers_add_host(answers, &tcg, NULL, &host, why), 0), "%s", why);
}

/* What a guest of QEMU without KVM would read if our table were QEMU's. */
static struct answer our_answer(const struct answers *answers, const char *model, const char *variant)
{
    static struct cpuid_table table;
    static struct cpuid_outcome outcome;
    struct answer answer = {.variant = variant_find(variant), .messages = strdup("")};
    char cpu[VARIANT_CPU_MAX];

    snprintf(answer.model, sizeof(answer.model), "%s", model);
    variant_cpu(answer.variant, model, cpu);
    answer.vcpus = (unsigned)atoi(answer.variant->smp);
    answer.regs = calloc((size_t)answer.vcpus * answers->read_count, sizeof(*answer.regs));
    for (unsigned v = 0; v < answer.vcpus; v++) {
        cr_assert(eq(
            int, cpuid_for_flags(cpu, "pc", answer.variant->smp, cpuid_supported_tcg(), v, &table, &outcome),
            0));
        for (unsigned i = 0; i < answers->read_count; i++)
            answer.regs[v * answers->read_count + i] =
                tcg_guest(&table, answers->reads[i].leaf, answers->reads[i].subleaf);
    }
    return answer;
}

static void add(struct answers *answers, struct answer answer)
{
    cr_assert(eq(int, answers_add(answers, &answer), 0));
}

static struct models_result compare(const struct answers *answers, const struct answer *answer)
{
    struct models_result result;

    cr_assert(eq(int, models_compare(answers, answer, &result), 0));
    return result;
}

Test(models, what_was_answered_is_there_in_the_next_run)
{
    struct answers answers;
    const struct answer *found;
    struct answer refused = {
        .model = "host", .variant = variant_find("plain"), .refused = true, .messages = strdup("why\n")};

    start(&answers);
    add(&answers, our_answer(&answers, "kvm64", "smp"));
    add(&answers, refused);
    answers_close(&answers);
    open_or_fail(&answers, ANSWERS_ADD);
    cr_assert(eq(uint, answers.count, 2));
    found = answers_find(&answers, "kvm64", variant_find("smp"));
    cr_assert(found != NULL);
    cr_assert(eq(uint, found->vcpus, 8));
    cr_assert(eq(int, compare(&answers, found).verdict, MODELS_EQUAL));
    cr_assert(answers_find(&answers, "kvm64", variant_find("plain")) == NULL);
    found = answers_find(&answers, "host", variant_find("plain"));
    cr_assert(found->refused);
    cr_assert(eq(str, found->messages, "why\n"));
    answers_close(&answers);
}

static long size_of_file(void)
{
    FILE *file = fopen(path, "r");
    long size;

    fseek(file, 0, SEEK_END);
    size = ftell(file);
    fclose(file);
    return size;
}

Test(models, a_line_that_was_cut_short_is_asked_again)
{
    struct answers answers;

    start(&answers);
    add(&answers, our_answer(&answers, "kvm64", "plain"));
    add(&answers, our_answer(&answers, "kvm64", "pv-on"));
    answers_close(&answers);
    cr_assert(eq(int, truncate(path, size_of_file() - 9), 0));
    open_or_fail(&answers, ANSWERS_ADD);
    cr_assert(eq(uint, answers.count, 1));
    add(&answers, our_answer(&answers, "kvm64", "pv-on"));
    answers_close(&answers);
    open_or_fail(&answers, ANSWERS_READ);
    cr_assert(eq(uint, answers.count, 2));
    answers_close(&answers);
}

/* As a full disk does it, in the middle of a line. The answer stays its owner's, and nothing is written behind the line. */
Test(models, a_line_that_cannot_be_written_is_asked_again)
{
    struct answers answers;
    struct answer answer;
    struct rlimit limit;

    signal(SIGXFSZ, SIG_IGN);
    start(&answers);
    add(&answers, our_answer(&answers, "kvm64", "plain"));
    cr_assert(eq(int, getrlimit(RLIMIT_FSIZE, &limit), 0));
    limit.rlim_cur = (rlim_t)size_of_file() + 50;
    cr_assert(eq(int, setrlimit(RLIMIT_FSIZE, &limit), 0));
    answer = our_answer(&answers, "kvm64", "pv-on");
    cr_assert(eq(int, answers_add(&answers, &answer), -EFBIG));
    limit.rlim_cur = limit.rlim_max;
    cr_assert(eq(int, setrlimit(RLIMIT_FSIZE, &limit), 0));
    cr_assert(eq(int, answers_add(&answers, &answer), -EIO));
    free(answer.messages);
    free(answer.regs);
    cr_assert(eq(uint, answers.count, 1));
    answers_close(&answers);
    open_or_fail(&answers, ANSWERS_READ);
    cr_assert(eq(uint, answers.count, 1));
    answers_close(&answers);
}

Test(models, answers_of_another_origin_are_not_mixed)
{
    struct answers answers;
    struct answers_origin other = tcg;
    char why[240] = "";
    unsigned host;

    start(&answers);
    snprintf(other.qemu, sizeof(other.qemu), "8.0.0");
    cr_assert(eq(int, answers_add_host(&answers, &other, NULL, &host, why), -EINVAL));
    cr_assert(strstr(why, "8.0.0") && strstr(why, "--fresh"));
    answers_close(&answers);
}

Test(models, two_runs_do_not_write_to_one_file)
{
    struct answers answers, second;
    char why[240] = "";

    start(&answers);
    cr_assert(eq(int, answers_open(&second, path, ANSWERS_ADD, why), -EBUSY));
    answers_close(&answers);
}

/* Whatever stands there: an error or an empty file, never a crash, and nothing that was not answered. */
Test(models, hostile_files_are_refused)
{
    static const char header[] = "{\"schema\":\"paravane-models-1\",\"reference\":\"qemu-tcg\"}\n";
    static const char *const texts[] = {
        "x\n", "no answers", "{}\n", "[]\n", "null\n", "{\"schema\":\"paravane-models-9\"}\n", header, "\n",
    };
    struct answers answers;
    char why[240];

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        FILE *file = fopen(path, "w");

        fputs(texts[i], file);
        fclose(file);
        cr_assert(eq(int, answers_open(&answers, path, ANSWERS_ADD, why), -EINVAL), "%zu", i);
    }
}

/* After a true header. */
Test(models, hostile_answers_are_refused)
{
    static const char *const lines[] = {
        "{\"model\":\"\",\"variant\":\"plain\",\"vcpus\":[{}]}",
        "{\"model\":\"a\",\"variant\":\"plain\"}",
        "{\"model\":\"a\",\"variant\":\"plain\",\"vcpus\":[]}",
        "{\"model\":\"a\",\"variant\":\"plain\",\"vcpus\":[{},{}]}",
        "{\"model\":\"a\",\"variant\":\"plain\",\"refused\":true,\"vcpus\":[{}]}",
        "{\"model\":\"a\",\"variant\":\"plain\",\"vcpus\":[{\"0x1.0\":\"1 2 3\"}]}",
        "{\"model\":\"a\",\"variant\":\"plain\",\"vcpus\":[{\"0x99.0\":\"1 2 3 4\"}]}",
        "{\"model\":\"a\",\"variant\":\"plain\",\"vcpus\":[7]}",
        "{\"model\":\"\\u001b[2J\",\"variant\":\"plain\",\"vcpus\":[{}]}",
        "{\"model\":\"a\",\"variant\":\"plain\",\"messages\":\"\\u001b[2J\",\"vcpus\":[{}]}",
        "{\"host\":{}}",
        "{\"host\":{\"supported\":7}}",
    };
    struct answers answers;
    char why[240];
    long size;

    start(&answers);
    answers_close(&answers);
    size = size_of_file();
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        FILE *file;

        cr_assert(eq(int, truncate(path, size), 0));
        file = fopen(path, "a");
        fprintf(file, "%s\n", lines[i]);
        fclose(file);
        cr_assert(eq(int, answers_open(&answers, path, ANSWERS_READ, why), -EINVAL), "%s", lines[i]);
    }
}

Test(models, one_bit_on_the_last_vcpu_is_found)
{
    struct answers answers;
    struct answer answer;
    struct models_result result;

    start(&answers);
    answer = our_answer(&answers, "EPYC-v3", "smp");
    for (unsigned i = 0; i < answers.read_count; i++)
        if (answers.reads[i].leaf == 0x80000001)
            answer.regs[7 * answers.read_count + i].ecx ^= 4;
    result = compare(&answers, &answer);
    cr_assert(eq(int, result.verdict, MODELS_DIFFERENT));
    cr_assert(eq(uint, result.register_count, 1));
    cr_assert(eq(uint, result.registers[0].vcpu, 7));
    cr_assert(eq(u32, result.registers[0].read.leaf, 0x80000001));
    cr_assert(eq(u32, result.registers[0].ours ^ result.registers[0].theirs, 4));
    free(answer.messages);
    free(answer.regs);
    answers_close(&answers);
}

static int judge_refusal(const char *model, const char *messages, bool aborted)
{
    struct answers answers;
    struct answer answer = {
        .variant = variant_find("plain"), .refused = true, .aborted = aborted, .messages = (char *)messages};
    int verdict;

    snprintf(answer.model, sizeof(answer.model), "%s", model);
    start(&answers);
    verdict = compare(&answers, &answer).verdict;
    answers_close(&answers);
    return verdict;
}

Test(models, refusals_are_compared_by_their_words)
{
    static const char right[] = "qemu-system-x86_64: CPU model 'host' requires KVM or HVF\n";

    cr_assert(eq(int, judge_refusal("host", right, false), MODELS_REFUSED_ALIKE));
    cr_assert(eq(int, judge_refusal("host", "qemu-system-x86_64: no room\n", false), MODELS_DIFFERENT));
    cr_assert(eq(int, judge_refusal("host", right, true), MODELS_DIFFERENT));
    cr_assert(eq(int, judge_refusal("kvm64", right, false), MODELS_DIFFERENT));
}

Test(models, warnings_are_compared_but_for_those_about_the_host)
{
    static const char notice[] =
        "qemu-system-x86_64: -accel kvm: warning: Number of SMP cpus requested (8) exceeds the recommended cpus "
        "supported by KVM (2)\n";
    struct answers answers;
    struct answer answer;

    start(&answers);
    answer = our_answer(&answers, "kvm64", "plain");
    free(answer.messages);
    answer.messages = (char *)notice;
    cr_assert(eq(int, compare(&answers, &answer).verdict, MODELS_EQUAL));
    answer.messages = (char *)"qemu-system-x86_64: warning: TCG doesn't support requested feature: x\n";
    cr_assert(eq(int, compare(&answers, &answer).verdict, MODELS_DIFFERENT));
    free(answer.regs);
    answers_close(&answers);
}

Test(models, the_flags_of_the_kvm_leaf_are_all_asked_once)
{
    char cpu[VARIANT_CPU_MAX];
    unsigned flags = 0;

    variant_cpu(variant_find("pv-on"), "kvm64", cpu);
    for (const char *c = cpu; *c; c++)
        flags += *c == ',';
    cr_assert(eq(uint, flags,
                 15)); /* the table of section 7.1, kvm-asyncpf-vmexit apart: QEMU 7.2 has no name for it */
    cr_assert(strstr(cpu, ",kvm-hint-dedicated=on") != NULL);
    variant_cpu(variant_find("pv-off"), "kvm64", cpu);
    cr_assert(strstr(cpu, ",kvmclock=off") && !strstr(cpu, "=on"));
}

/* Our tables, read as a guest of this host reads them, and how they differ from what QEMU's guest read. QEMU flags
 * specification sections 5 and 12; KVM's own part of the answer (CPU-10, state bits) is our VMM's. */
#include "diff/models/compare.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "diff/flags/outcome.h"
#include "diff/judge/bits.h"
#include "diff/machine/machine.h"
#include "diff/models/tcg_guest.h"
#include "vmm/apic/lapic.h"
#include "vmm/cpuid/build.h"
#include "vmm/pv/lifecycle.h"

const char *models_verdict_name(enum models_verdict verdict)
{
    static const char *const names[MODELS_VERDICTS] = {"equal", "refused_alike", "different", "not_compared"};

    return names[verdict];
}

/* What QEMU says of the host and not of the CPU: the number of processors under it is no part of our tables. */
static const char host_notice[] = "qemu-system-x86_64: -accel kvm: warning: Number of ";

static char *without_host_notices(const char *messages)
{
    char *text = strdup(messages ? messages : ""), *at = text;

    while (at && (at = strstr(at, host_notice))) {
        const char *next = strchr(at, '\n');

        memmove(at, next ? next + 1 : "", strlen(next ? next + 1 : "") + 1);
    }
    return text;
}

static int read_theirs(struct flags_outcome *outcome, const struct answer *answer)
{
    char *text = without_host_notices(answer->messages);
    const struct qemu_end end = {.text = text,
                                 .status = answer->aborted   ? 6 /* as waitpid tells of SIGABRT */
                                           : answer->refused ? 1 << 8
                                                             : 0,
                                 .ready = !answer->refused};

    if (!text)
        return -ENOMEM;
    flags_theirs(outcome, &end);
    free(text);
    return 0;
}

/* All that one comparison needs; large, so it is allocated. */
struct side {
    struct flags_outcome ours, theirs;
    struct cpuid_outcome built;
    struct cpuid_table table;
    struct cpuid_supported supported;
    struct vm vm;
    char cpu[VARIANT_CPU_MAX];
};

static uint64_t no_time(void *ctx)
{
    (void)ctx;
    return 0;
}

static uint64_t no_delay(void *ctx, unsigned vcpu_id)
{
    (void)ctx, (void)vcpu_id;
    return 0;
}

/* Of a kernel under QEMU: which of ours behaves as it does. */
static enum kvm_version version_of(const char *release)
{
    unsigned major = 0, minor = 0;

    return sscanf(release, "%u.%u", &major, &minor) == 2 && (major < 6 || (major == 6 && minor < 4))
               ? KVM_6_1
               : KVM_6_12;
}

/* A VM that never runs: it reads tables as KVM's guest does. */
static int reader_create(struct vm *vm, const char *release)
{
    static const struct env env = {.tsc = no_time,
                                   .now_ns = no_time,
                                   .realtime_ns = no_time,
                                   .run_delay_ns = no_delay,
                                   .tsc_khz = 1000000};
    const struct vm_config config = {.vcpus = 1, .irqchip = IRQCHIP_KERNEL, .version = version_of(release)};
    int err = vm_create(vm, &config, &env);

    if (!err)
        vm_start(vm);
    return err;
}

static struct cpuid_regs guest_reads(const struct side *s, const struct cpuid_read *read)
{
    if (accel_is_kvm(s->supported.accel))
        return vcpu_cpuid(&s->vm.vcpus[0], read->leaf, read->subleaf);
    return tcg_guest(&s->table, read->leaf, read->subleaf);
}

/* QEMU 7.2 sets no register of leaf 0x1C unless a KVM has architectural LBRs: without KVM its guest reads what the stack
 * held, another value at every launch. */
static bool has_no_answer(const struct side *s, const struct cpuid_read *read)
{
    return !accel_is_kvm(s->supported.accel) && read->leaf == 0x1c;
}

static void compare_regs(struct models_result *result, unsigned vcpu, const struct cpuid_read *read,
                         struct cpuid_regs ours, struct cpuid_regs theirs)
{
    const uint32_t a[4] = {ours.eax, ours.ebx, ours.ecx, ours.edx};
    const uint32_t b[4] = {theirs.eax, theirs.ebx, theirs.ecx, theirs.edx};

    for (uint8_t reg = REGISTER_EAX; reg <= REGISTER_EDX; reg++) {
        if (a[reg] == b[reg])
            continue;
        if (result->register_count < REGISTERS_SHOWN)
            result->registers[result->register_count] =
                (struct register_difference){vcpu, *read, reg, a[reg], b[reg]};
        result->register_count++;
    }
}

/* One vCPU: what our parser and builder say, and the registers, where QEMU's guest read some. */
static bool compare_vcpu(struct side *s, const struct answers *answers, const struct answer *answer,
                         unsigned vcpu, struct models_result *result)
{
    if (cpuid_for_flags(s->cpu, answers->origin.machine, answer->variant->smp, &s->supported, vcpu, &s->table,
                        &s->built)) {
        s->ours.fate = s->built.error.kind == CPU_QEMU_ABORTS ? FATE_ABORTED : FATE_REFUSED;
        s->ours.error = s->built.error;
    }
    for (uint32_t i = 0; i < messages_kept(&s->built.warnings); i++)
        messages_add(&s->ours.warnings, 0, "%s", s->built.warnings.list[i].text);
    if (s->ours.fate != FATE_ACCEPTED)
        return false;
    vcpu_set_cpuid(&s->vm.vcpus[0], &s->table);
    if (!s->built.local_apic)
        lapic_set_base(&s->vm.vcpus[0], 0);
    for (unsigned i = 0; i < answers->read_count && vcpu < answer->vcpus; i++)
        if (!has_no_answer(s, &answers->reads[i]))
            compare_regs(result, vcpu, &answers->reads[i], guest_reads(s, &answers->reads[i]),
                         answer->regs[(size_t)vcpu * answers->read_count + i]);
    return true;
}

static enum models_verdict verdict_of(const struct side *s, struct models_result *result)
{
    enum flags_difference difference = flags_compare(&s->ours, &s->theirs, result->what);

    if (s->ours.fate == FATE_ACCEPTED && s->built.not_modelled) {
        snprintf(result->what, sizeof(result->what), "%s", s->built.not_modelled);
        result->register_count = 0;
        return MODELS_NOT_COMPARED;
    }
    if (difference == FLAGS_NOT_MODELLED)
        return MODELS_NOT_COMPARED;
    if (difference != FLAGS_SAME || result->register_count)
        return MODELS_DIFFERENT;
    return s->ours.fate == FATE_ACCEPTED ? MODELS_EQUAL : MODELS_REFUSED_ALIKE;
}

int models_compare(const struct answers *answers, const struct answer *answer, struct models_result *result)
{
    unsigned vcpus = smp_vcpus(answer->variant->smp);
    struct side *s = calloc(1, sizeof(*s));
    int err = s ? read_theirs(&s->theirs, answer) : -ENOMEM;

    memset(result, 0, sizeof(*result));
    if (!err)
        err = reader_create(&s->vm, answers->origin.kernel);
    if (!err) {
        if (answers->origin.kernel[0])
            host_record_supported(&answers->hosts[answer->host], &s->supported);
        else
            s->supported = *cpuid_supported_tcg();
        variant_cpu(answer->variant, answer->model, s->cpu);
        for (unsigned v = 0; v < vcpus && compare_vcpu(s, answers, answer, v, result); v++)
            ;
        result->verdict = verdict_of(s, result);
        vm_destroy(&s->vm);
    }
    free(s);
    return err;
}

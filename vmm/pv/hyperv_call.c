/* Hypercalls of a guest that uses Hyper-V's interface, as KVM answers them (hyperv.h). TLFS 6.0 chapter 3 and the calls'
 * own sections; spec HC-9.
 *
 * XMM registers are no part of this CPU: input that a fast call has there reads as 0. Messages and events have nobody to go
 * to, as in KVM without hv-synic. */
#include "vmm/pv/hyperv.h"

#include <stddef.h>
#include "vmm/abi/apic.h"
#include "vmm/abi/hyperv.h"
#include "vmm/apic/lapic.h"
#include "vmm/core/vm.h"

#define XMM_HALVES 12 /* six registers take part */
#define BANKS_MAX  16 /* of 64 processors: KVM_MAX_VCPUS */

struct hv_call {
    struct vcpu *vcpu;
    uint16_t code;
    bool fast;
    unsigned variable, reps, start;
    uint64_t in, out; /* gpas, or the input itself of a fast call */
};

/* What a call may say about repetition and a variable header. */
enum shape { ANY, SIMPLE, VARIABLE, REP, REP_VARIABLE };

struct hv_call_info {
    uint16_t code;
    uint8_t shape;      /* enum shape */
    bool xmm;           /* a fast call has input in XMM registers */
    bool masks;         /* HV_EX_PROCESSOR_MASKS is needed too */
    uint32_t needs_b;   /* HYPERV_CPUID_FEATURES EBX, where enforced */
    uint32_t needs_adv; /* HYPERV_CPUID_ADVICE EAX, likewise */
    uint64_t (*call)(const struct hv_call *call);
};

/* Processors by virtual processor index, which is the vCPU's number. */
struct hv_set {
    bool all;
    uint64_t valid, banks[BANKS_MAX];
};

static bool in_set(const struct hv_set *set, unsigned index)
{
    unsigned bank = index / 64;

    return set->all || (bank < BANKS_MAX && (set->banks[bank] >> index % 64 & 1));
}

static bool read_words(const struct hv_call *call, uint64_t *words, unsigned count)
{
    return gpa_read(&call->vcpu->vm->memory, call->in, words, count * sizeof(*words));
}

/* The banks that valid names lie packed behind a header of that many words. False: not there, or more than a fast call can
 * carry with used halves of its XMM registers taken. */
static bool read_banks(const struct hv_call *call, unsigned header, unsigned used, struct hv_set *set)
{
    uint64_t packed[BANKS_MAX] = {0};
    unsigned count = call->variable < BANKS_MAX ? call->variable : BANKS_MAX, next = 0;

    if (call->fast ? call->variable + used > XMM_HALVES
                   : !gpa_read(&call->vcpu->vm->memory, call->in + header * 8ull, packed, count * 8ull))
        return false;
    for (unsigned bank = 0; bank < BANKS_MAX; bank++)
        if (set->valid >> bank & 1)
            set->banks[bank] = packed[next++];
    return true;
}

static void flush(const struct hv_call *call, const struct hv_set *set)
{
    struct vm *vm = call->vcpu->vm;

    for (unsigned i = 0; i < vm->config.vcpus; i++)
        if (in_set(set, i))
            vm->vcpus[i].requests |= REQ_TLB_FLUSH;
}

/* Everything is flushed whatever is listed, so all repetitions are done. */
static uint64_t flushed(const struct hv_call *call)
{
    return HV_STATUS_SUCCESS | HV_RESULT_REPS(call->reps);
}

static uint64_t call_flush(const struct hv_call *call)
{
    uint64_t words[3] = {call->in, call->out}; /* address space, flags, processors */
    struct hv_set set = {.valid = 1};

    if (!call->fast && !read_words(call, words, 3))
        return HV_STATUS_INVALID_HYPERCALL_INPUT;
    set.banks[0] = words[2];
    set.all = (words[1] & HV_FLUSH_ALL_PROCESSORS) || !words[2]; /* nobody means everybody */
    flush(call, &set);
    return flushed(call);
}

static uint64_t call_flush_ex(const struct hv_call *call)
{
    uint64_t words[4] = {call->in, call->out}; /* address space, flags, format of the set, its valid banks */
    struct hv_set set = {0};

    if (!call->fast && !read_words(call, words, 4))
        return HV_STATUS_INVALID_HYPERCALL_INPUT;
    set.valid = words[3];
    set.all = words[2] != HV_SET_SPARSE_4K;
    if (call->variable != (unsigned)__builtin_popcountll(set.valid))
        return HV_STATUS_INVALID_HYPERCALL_INPUT;
    if (!set.all && call->variable && !read_banks(call, 4, 2, &set))
        return HV_STATUS_INVALID_HYPERCALL_INPUT;
    flush(call, &set);
    return flushed(call);
}

static uint64_t send_ipi(const struct hv_call *call, uint32_t vector, const struct hv_set *set)
{
    struct vm *vm = call->vcpu->vm;

    if (vector < HV_IPI_LOW_VECTOR || vector > HV_IPI_HIGH_VECTOR || !lapic_in_kernel(call->vcpu))
        return HV_STATUS_INVALID_HYPERCALL_INPUT;
    for (unsigned i = 0; i < vm->config.vcpus; i++)
        if (in_set(set, i))
            lapic_accept(&vm->vcpus[i], APIC_FIXED, (uint8_t)vector, false, true);
    return HV_STATUS_SUCCESS;
}

static uint64_t call_send_ipi(const struct hv_call *call)
{
    uint64_t words[2] = {call->in, call->out}; /* vector and a reserved half, processors */
    struct hv_set set = {.valid = 1};

    if (call->fast ? call->in >> 32 != 0 : !read_words(call, words, 2))
        return HV_STATUS_INVALID_HYPERCALL_INPUT;
    set.banks[0] = words[1];
    return send_ipi(call, (uint32_t)words[0], &set);
}

static uint64_t call_send_ipi_ex(const struct hv_call *call)
{
    uint64_t words[3] = {call->in, call->out}; /* vector, format of the set, its valid banks */
    struct hv_set set = {0};

    if (!call->fast && !read_words(call, words, 3))
        return HV_STATUS_INVALID_HYPERCALL_INPUT;
    set.valid = words[2];
    set.all = words[1] == HV_SET_ALL;
    if (call->variable != (unsigned)__builtin_popcountll(set.valid))
        return HV_STATUS_INVALID_HYPERCALL_INPUT;
    if (!set.all && !call->variable)
        return HV_STATUS_SUCCESS;
    if (!set.all && !read_banks(call, 3, 1, &set))
        return HV_STATUS_INVALID_HYPERCALL_INPUT;
    return send_ipi(call, (uint32_t)words[0], &set);
}

/* A hint: whoever runs next may be the one that is waited for. */
static uint64_t call_spin(const struct hv_call *call)
{
    struct vm *vm = call->vcpu->vm;

    if (vm->config.vcpus > 1)
        vm->yield_to = (uint16_t)((call->vcpu->id + 1) % vm->config.vcpus + 1);
    return HV_STATUS_SUCCESS;
}

static uint64_t call_post_message(const struct hv_call *call)
{
    (void)call;
    return HV_STATUS_INVALID_HYPERCALL_INPUT;
}

static uint64_t call_signal_event(const struct hv_call *call)
{
    uint64_t parameter;

    if (!call->fast && (call->in % 8 || !read_words(call, &parameter, 1)))
        return HV_STATUS_INVALID_ALIGNMENT;
    return call_post_message(call); /* no such port; so the VMM is asked, if only it listened */
}

static uint64_t call_debug(const struct hv_call *call)
{
    return call->fast ? HV_STATUS_INVALID_PARAMETER : HV_STATUS_INVALID_HYPERCALL_CODE;
}

/* clang-format off */
static const struct hv_call_info hv_calls[] = {
    /* code                                shape         xmm    masks  needs */
    {HVCALL_FLUSH_VIRTUAL_ADDRESS_SPACE,    SIMPLE,       true,  false, 0, HV_REMOTE_TLB_FLUSH, call_flush},
    {HVCALL_FLUSH_VIRTUAL_ADDRESS_LIST,     REP,          true,  false, 0, HV_REMOTE_TLB_FLUSH, call_flush},
    {HVCALL_NOTIFY_LONG_SPIN_WAIT,          SIMPLE,       false, false, 0, 0,                   call_spin},
    {HVCALL_SEND_IPI,                       SIMPLE,       false, false, 0, HV_CLUSTER_IPI,      call_send_ipi},
    {HVCALL_FLUSH_VIRTUAL_ADDRESS_SPACE_EX, VARIABLE,     true,  true,  0, HV_REMOTE_TLB_FLUSH, call_flush_ex},
    {HVCALL_FLUSH_VIRTUAL_ADDRESS_LIST_EX,  REP_VARIABLE, true,  true,  0, HV_REMOTE_TLB_FLUSH, call_flush_ex},
    {HVCALL_SEND_IPI_EX,                    VARIABLE,     true,  true,  0, HV_CLUSTER_IPI,      call_send_ipi_ex},
    {HVCALL_POST_MESSAGE,                   SIMPLE,       false, false, HV_POST_MESSAGES, 0,    call_post_message},
    {HVCALL_SIGNAL_EVENT,                   SIMPLE,       false, false, HV_SIGNAL_EVENTS, 0,    call_signal_event},
    {HVCALL_POST_DEBUG_DATA,                ANY,          false, false, 0, 0,                   call_debug},
    {HVCALL_RETRIEVE_DEBUG_DATA,            ANY,          false, false, 0, 0,                   call_debug},
};
/* clang-format on */

static const struct hv_call_info *find(uint16_t code)
{
    for (size_t i = 0; i < sizeof(hv_calls) / sizeof(hv_calls[0]); i++)
        if (hv_calls[i].code == code)
            return &hv_calls[i];
    return NULL;
}

/* Since 6.3 KVM hands these to the VMM, and QEMU knows none of them. */
static bool is_extended(const struct hv_call *call)
{
    return call->vcpu->vm->config.version != KVM_6_1 && call->code >= HV_EXT_CALL_FIRST &&
           call->code <= HV_EXT_CALL_LAST;
}

/* Of the leaves that say what a guest may call; zeros where the table has none. */
static struct cpuid_regs shown(const struct vcpu *vcpu, uint32_t leaf)
{
    const struct cpuid_entry *e = cpuid_find(&vcpu->cpuid, leaf, 0);

    return e ? e->regs : (struct cpuid_regs){0};
}

static bool allowed(const struct hv_call *call, const struct hv_call_info *info)
{
    struct cpuid_regs features = shown(call->vcpu, HYPERV_CPUID_FEATURES),
                      advice = shown(call->vcpu, HYPERV_CPUID_ADVICE);

    if (!call->vcpu->hv_enforce)
        return true;
    if (!info)
        return !is_extended(call) || (features.ebx & HV_EXTENDED_HYPERCALLS);
    if (info->code == HVCALL_NOTIFY_LONG_SPIN_WAIT)
        return advice.ebx && advice.ebx != HV_SPIN_NEVER_NOTIFY;
    if (info->masks && !(advice.eax & HV_EX_PROCESSOR_MASKS))
        return false;
    return (!info->needs_b || (features.ebx & info->needs_b)) &&
           (!info->needs_adv || (advice.eax & info->needs_adv));
}

static bool shape_fits(const struct hv_call *call, enum shape shape)
{
    bool repeats = call->reps || call->start;

    switch (shape) {
    case SIMPLE:
        return !repeats && !call->variable;
    case VARIABLE:
        return !repeats;
    case REP:
        return !call->variable && call->reps && !call->start;
    case REP_VARIABLE:
        return call->reps && !call->start;
    default:
        return true;
    }
}

static uint64_t unknown(const struct hv_call *call)
{
    return is_extended(call) && call->fast ? HV_STATUS_INVALID_PARAMETER : HV_STATUS_INVALID_HYPERCALL_CODE;
}

static uint64_t pair(uint64_t high, uint64_t low)
{
    return high << 32 | (uint32_t)low;
}

bool hyperv_takes_hypercalls(const struct vcpu *vcpu)
{
    return vcpu->vm->hyperv.guest_os_id && hyperv_shown(vcpu);
}

struct trap hyperv_hypercall(struct vcpu *vcpu)
{
    uint64_t *gpr = vcpu->regs.gpr, result;
    bool wide = vcpu_64bit(vcpu);
    uint64_t input = wide ? gpr[RCX] : pair(gpr[RDX], gpr[RAX]);
    struct hv_call call = {.vcpu = vcpu,
                           .code = HV_INPUT_CODE(input),
                           .fast = input & HV_INPUT_FAST,
                           .variable = (unsigned)HV_INPUT_VARIABLE(input),
                           .reps = (unsigned)HV_INPUT_REPS(input),
                           .start = (unsigned)HV_INPUT_START(input),
                           .in = wide ? gpr[RDX] : pair(gpr[RBX], gpr[RCX]),
                           .out = wide ? gpr[R8] : pair(gpr[RDI], gpr[RSI])};
    const struct hv_call_info *info = find(call.code);

    if (vcpu_cpl(vcpu) != 0 || !(vcpu->regs.cr0 & CR0_PE))
        return UD;
    if (!allowed(&call, info))
        result = HV_STATUS_ACCESS_DENIED;
    else if (input & HV_INPUT_RESERVED)
        result = HV_STATUS_INVALID_HYPERCALL_INPUT;
    else if (call.fast && info && info->xmm && vcpu->hv_enforce &&
             !(shown(vcpu, HYPERV_CPUID_FEATURES).edx & HV_XMM_INPUT))
        return UD;
    else if (!info)
        result = unknown(&call);
    else
        result = shape_fits(&call, info->shape) ? info->call(&call) : HV_STATUS_INVALID_HYPERCALL_INPUT;
    gpr[RAX] = wide ? result : (uint32_t)result;
    if (!wide)
        gpr[RDX] = result >> 32;
    return NO_TRAP;
}

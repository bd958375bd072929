/* Invariants of interrupts and events: tokens one at a time, as many EOIs as interrupts, whom SEND_IPI reached. Spec INV-6,
 * INV-7, INV-9, EOI-18. */
#include <inttypes.h>
#include <string.h>
#include "fuzz/invariants_parts.h"
#include "vmm/abi/apic.h"
#include "vmm/abi/hyperv.h"
#include "vmm/pv/hyperv.h"

#define APIC_PAGE   0xfee00000ull
#define X2APIC_EOI  0x80b
#define HC_SEND_IPI 10

/* SEND_IPI, computed from the request and from who is there before it: IPI-1 .. IPI-11. */

static bool enabled(const struct vcpu *vcpu)
{
    return vcpu->apic.base_msr & APICBASE_ENABLE;
}

static uint32_t current_id(const struct vcpu *vcpu)
{
    return vcpu->apic.base_msr & APICBASE_EXTD ? vcpu->apic_id : vcpu->apic.id;
}

static bool would_accept(const struct vcpu *vcpu, uint32_t icr)
{
    bool deassert = (icr & 0x8000) && !(icr & 0x4000);

    switch (icr >> 8 & 7) {
    case 0:
    case 1:
        return !deassert && (vcpu->apic.svr & 0x100);
    case 5:
        return !deassert;
    case 7:
        return false;
    default:
        return true;
    }
}

static bool ids_clash(const struct invariants *inv)
{
    for (unsigned i = 0, vcpus = inv->vcpu_count; i < vcpus; i++)
        for (unsigned j = 0; j < i; j++)
            if (enabled(&inv->vm->vcpus[i]) && enabled(&inv->vm->vcpus[j]) &&
                current_id(&inv->vm->vcpus[i]) == current_id(&inv->vm->vcpus[j]))
                return true;
    return false;
}

static int64_t reached(const struct invariants *inv, uint64_t bitmap, uint32_t min, uint32_t icr)
{
    int64_t count = 0;

    for (unsigned i = 0, vcpus = inv->vcpu_count; i < vcpus; i++) {
        const struct vcpu *vcpu = &inv->vm->vcpus[i];
        uint32_t bit = current_id(vcpu) - min;

        count += enabled(vcpu) && current_id(vcpu) >= min && bit < 64 && (bitmap >> bit & 1) &&
                 would_accept(vcpu, icr);
    }
    return count;
}

/* False: the answer does not follow from this, because the version or the machine is not modelled here. */
static bool expected_answer(const struct invariants *inv, const struct action *action, int64_t *answer)
{
    bool wide = action->mode == MODE_64;
    uint64_t a[PROGRAM_ARGS], width = wide ? ~0ull : UINT32_MAX;

    if (inv->vm->config.vcpus > PROGRAM_VCPUS_MAX || inv->vm->apic_map.ids_32bit ||
        hyperv_takes_hypercalls(&inv->vm->vcpus[action->vcpu]))
        return false;
    for (unsigned i = 0; i < PROGRAM_ARGS; i++)
        a[i] = invariants_operand(inv, &action->args[i]) & width;
    if (a[4] & 0xc0800)
        *answer = -22;
    else if (inv->vm->config.irqchip == IRQCHIP_NONE)
        *answer = -95;
    else if (ids_clash(inv)) /* 6.1 sends to the first, 6.12 to none (IPI-11) */
        return false;
    else
        *answer = reached(inv, a[1], (uint32_t)a[3], (uint32_t)a[4]) +
                  reached(inv, a[2], (uint32_t)a[3] + (wide ? 64 : 32), (uint32_t)a[4]);
    return true;
}

static bool is_send_ipi(const struct invariants *inv, const struct action *action)
{
    uint64_t nr;

    if ((action->op != OP_VMCALL && action->op != OP_VMMCALL) || action->vcpu >= inv->vcpu_count)
        return false;
    nr = invariants_operand(inv, &action->args[0]);
    switch (action->mode) {
    case MODE_64:
        return nr == HC_SEND_IPI;
    case MODE_COMPAT:
    case MODE_32:
    case MODE_16:
        return (uint32_t)nr == HC_SEND_IPI;
    default:
        return false; /* above CPL 0 */
    }
}

static bool check_ipi(const struct invariants *inv, const struct action *action,
                      const struct outcome *outcome, struct violation *violation)
{
    int64_t answer;

    if (!inv->ipi_known || outcome->status != OUTCOME_OK || !vcpu_has_feature(inv->acting, 11))
        return true;
    answer = action->mode == MODE_64 ? (int64_t)outcome->regs[0] : (int32_t)outcome->regs[0];
    if (answer == inv->ipi_answer)
        return true;
    return violate(violation, "INV-9", "SEND_IPI gave %" PRId64 ", but it reaches %" PRId64, answer,
                   inv->ipi_answer);
}

/* What each local APIC has in service, and the token word of each async page fault area, before the action. */

static uint64_t token_gpa(uint64_t en)
{
    return (en & 9) == 9 ? (en & ~63ull) + 4 : GPA_NOWHERE;
}

static bool enables_async_pf(const struct invariants *inv, const struct action *action)
{
    return action->op == OP_WRMSR && (uint32_t)invariants_operand(inv, &action->args[0]) == 0x4b564d02;
}

/* Actions by which a guest may have changed its token word itself, or the host its memory as a whole. */
static bool may_write_memory(const struct invariants *inv, const struct action *action)
{
    uint32_t index;

    switch (action->op) {
    case OP_WRMSR: /* the wall clock and Hyper-V's pages are written at once */
        index = (uint32_t)invariants_operand(inv, &action->args[0]);
        return index == 0x11 || index == 0x4b564d00 || index == HV_X64_MSR_HYPERCALL ||
               index == HV_X64_MSR_VP_ASSIST_PAGE;
    case OP_RDMSR:
    case OP_CPUID:
    case OP_NOP:
    case OP_RDTSC:
    case OP_STI:
    case OP_CLI:
    case OP_HLT:
    case OP_ADVANCE:
    case OP_PAGE_IN:
        return false;
    case OP_APIC_WRITE:
    case OP_EOI:
    case OP_IPI:
        return invariants_has_vcpu(inv, action) && inv->vcpus[action->vcpu].handler_ends;
    default:
        return true;
    }
}

static bool has_in_service(const struct lapic *apic)
{
    struct {
        uint64_t a, b, c, d;
    } isr; /* half as many accesses as words, and in registers, where the sanitizers would not let an array be */

    memcpy(&isr, apic->isr, sizeof(isr));
    return isr.a | isr.b | isr.c | isr.d;
}

static bool know_token(struct invariants *inv, const struct action *action, struct vcpu_seen *seen)
{
    struct memory *mem = &inv->vm->memory;

    return !may_write_memory(inv, action) && !memory_absent(mem, seen->token_gpa) &&
           gpa_read(mem, seen->token_gpa, &seen->token, sizeof(seen->token));
}

void invariants_events_before(struct invariants *inv, const struct action *action)
{
    bool enables = enables_async_pf(inv, action);
    const struct vcpu *vcpu = inv->vm->vcpus;

    inv->ipi_known = is_send_ipi(inv, action) && expected_answer(inv, action, &inv->ipi_answer);
    for (unsigned i = 0, vcpus = inv->vcpu_count; i < vcpus; i++, vcpu++) {
        struct vcpu_seen *seen = &inv->vcpus[i];
        bool in_service = has_in_service(&vcpu->apic), offered = vcpu->eoi.pending;

        seen->init_pending = vcpu->apic.init_pending;
        seen->in_service = in_service;
        if (in_service)
            memcpy(seen->isr, vcpu->apic.isr, sizeof(seen->isr));
        seen->offered = offered;
        seen->concerned = in_service || offered;
        seen->offers = 0;
        seen->token_gpa = token_gpa(enables && action->vcpu == i ? invariants_operand(inv, &action->args[1])
                                                                 : seen->values[PV_APF]);
        seen->token_known = seen->token_gpa != GPA_NOWHERE && know_token(inv, action, seen);
    }
}

static void follow_token(struct vcpu_seen *seen, const struct trace_entry *entry)
{
    for (unsigned i = 0; i < entry->size; i++) {
        uint64_t at = entry->gpa + i - seen->token_gpa;

        if (at < sizeof(seen->token))
            memcpy((uint8_t *)&seen->token + at, &entry->bytes[i], 1);
    }
}

bool invariants_events_store(struct invariants *inv, const struct trace_entry *entry,
                             struct violation *violation)
{
    if (entry->kind == AREA_PV_EOI) {
        struct vcpu_seen *seen = &inv->vcpus[entry->vcpu_id];

        seen->offers += entry->bytes[0] & 1 ? 1 : -1;
        seen->concerned = true;
    }
    for (unsigned i = 0, vcpus = inv->vcpu_count; i < vcpus; i++) {
        struct vcpu_seen *seen = &inv->vcpus[i];

        if (!seen->token_known)
            continue;
        if (entry->kind == AREA_ASYNC_PF && entry->vcpu_id == i && entry->gpa == seen->token_gpa &&
            seen->token)
            return violate(violation, "INV-6", "vcpu %u has not read token %#x, and the host stored another",
                           i, seen->token);
        follow_token(seen, entry);
    }
    return true;
}

/* Also by a page of the window, or by an address that wraps; -1: nobody knows where the page leads. */
static int stores_to_apic(const struct invariants *inv, const struct action *action)
{
    uint64_t gva = invariants_operand(inv, &action->args[0]), gpa;

    if (gva >> 32 == 0)
        return gva - APIC_PAGE < 0x1000;
    if (inv->memory_followed && !inv->memory.window_known && gva >= PROBE_WINDOW)
        return -1;
    invariants_translate(inv, action, gva, true, &gpa);
    return gpa - APIC_PAGE < 0x1000;
}

/* EOIs that the action asks of its own APIC; -1: perhaps more than one. */
static int explicit_eois(const struct invariants *inv, const struct action *action)
{
    uint32_t index;

    switch (action->op) {
    case OP_EOI:
        return 1;
    case OP_APIC_WRITE:
        return (invariants_operand(inv, &action->args[0]) & 0xff0) == APIC_EOI;
    case OP_WRMSR:
        index = (uint32_t)invariants_operand(inv, &action->args[0]);
        return index == X2APIC_EOI || index == HV_X64_MSR_EOI ? 1 : index == MSR_IA32_APICBASE ? -1 : 0;
    case OP_STORE32:
        return stores_to_apic(inv, action);
    case OP_STORE8:
    case OP_STORE16:
    case OP_STORE64:
    case OP_FILL:
    case OP_TEST_CLEAR:
    case OP_LOCK_CMPXCHG8:
    case OP_X2APIC:
        return -1;
    default:
        return op_info(action->op)->host && action->op != OP_ADVANCE ? -1 : 0;
    }
}

/* How many interrupts that were in service before the action no longer are. */
static int interrupts_lost(const struct vcpu_seen *seen, const struct lapic *apic)
{
    int lost = 0;

    if (!seen->in_service)
        return 0;
    for (int n = 0; n < 8; n++)
        lost += __builtin_popcount(seen->isr[n] & ~apic->isr[n]);
    return lost;
}

static bool check_in_service(const struct invariants *inv, unsigned i, int ended, struct violation *violation)
{
    const struct vcpu *vcpu = &inv->vm->vcpus[i];
    const struct vcpu_seen *seen = &inv->vcpus[i];
    int consumed = (int)seen->offered + seen->offers - (int)vcpu->eoi.pending;
    int lost = interrupts_lost(seen, &vcpu->apic);

    if (consumed < 0)
        return violate(violation, "EOI-9", "vcpu %u: more PV EOI offers taken back than were made", i);
    if (lost > ended + consumed)
        return violate(violation, "INV-7", "vcpu %u: %d interrupts ended by %d EOIs and %d offers", i, lost,
                       ended, consumed);
    return true;
}

static bool check_offer(const struct vcpu *vcpu, struct violation *violation)
{
    if (!vcpu->eoi.pending || vcpu->areas[AREA_PV_EOI].state != AREA_GOOD)
        return true; /* EOI-14: where the byte is gone, the mark stays */
    return has_in_service(&vcpu->apic) ||
           violate(violation, "EOI-18", "vcpu %u: an offer without an interrupt in service", vcpu->id);
}

/* A port is an exit, and an exit takes an offer back before it is handled; the entry after it may make another. */
static bool check_exit(const struct invariants *inv, const struct action *action,
                       const struct outcome *outcome, struct violation *violation)
{
    const struct vcpu *vcpu = &inv->vm->vcpus[action->vcpu];
    const struct vcpu_seen *seen = &inv->vcpus[action->vcpu];

    if (action->op < OP_IN8 || action->op > OP_OUT32 || outcome->status != OUTCOME_OK)
        return true;
    return inv->trace_gap || !seen->offered || seen->offers || !vcpu->eoi.pending ||
           vcpu->areas[AREA_PV_EOI].state != AREA_GOOD ||
           violate(violation, "EOI-9", "vcpu %u: an offer was still there after %s", vcpu->id,
                   op_info(action->op)->word);
}

/* INIT ends everything that was in service; the boot CPU's shows by its spurious vector register only. */
static bool services_nothing(const struct invariants *inv, unsigned i)
{
    return invariants_had_init(inv, i) || inv->vm->vcpus[i].apic.svr == 0xff;
}

bool invariants_events(struct invariants *inv, const struct action *action, const struct outcome *outcome,
                       struct violation *violation)
{
    const struct vcpu *vcpu = inv->vm->vcpus;
    int ended;

    if (action->op == OP_ON_INTERRUPT && inv->acting)
        inv->vcpus[action->vcpu].handler_ends = invariants_operand(inv, &action->args[1]) & ON_INTERRUPT_EOI;
    if (inv->acting && !check_ipi(inv, action, outcome, violation))
        return false;
    for (unsigned i = 0, vcpus = inv->vcpu_count; i < vcpus; i++, vcpu++) {
        /* Where no interrupt was in service and nothing was offered, neither can have gone wrong. */
        if (!(inv->vcpus[i].concerned || vcpu->eoi.pending) || services_nothing(inv, i))
            continue;
        if (!check_offer(vcpu, violation) ||
            (i == action->vcpu && !check_exit(inv, action, outcome, violation)))
            return false;
        ended = explicit_eois(inv, action);
        if (ended >= 0 && !inv->trace_gap && !inv->vcpus[i].handler_ends &&
            vcpu->areas[AREA_PV_EOI].state != AREA_BAD && outcome->status != OUTCOME_TIMEOUT &&
            !check_in_service(inv, i, i == action->vcpu ? ended : 0, violation))
            return false;
    }
    return true;
}

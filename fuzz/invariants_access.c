/* Invariants of what a guest meets at an address or a port: faults by the page tables of the probe's window, the content of
 * the page behind it, nothing where no memory is; and the host's stores go past all that (GEN-11). Intel SDM vol. 3 ch. 4,
 * vol. 2 IN, OUT, INVLPG. */
#include <inttypes.h>
#include <string.h>
#include "fuzz/invariants_parts.h"

#define PTE_P  1u
#define PTE_RW 2u
#define PTE_US 4u

/* Where the local and the I/O APIC answer, unless memory is there. */
#define DEVICES_BEGIN 0xfec00000ull
#define DEVICES_END   0xfef00000ull
#define MAPPED_END    0x100000000ull /* the probe maps the first 4 GiB one to one */

static bool canonical(uint64_t gva)
{
    return gva + (1ull << 47) < 1ull << 48;
}

static struct trap page_fault(const struct action *action, uint64_t gva, bool write, bool present)
{
    uint32_t error = (present ? PTE_P : 0) | (write ? PTE_RW : 0) | (invariants_cpl3(action) ? PTE_US : 0);

    return (struct trap){.vector = TRAP_PF, .has_error = true, .error = error, .cr2 = gva};
}

struct trap invariants_translate(const struct invariants *inv, const struct action *action, uint64_t gva,
                                 bool write, uint64_t *gpa)
{
    uint64_t offset = gva - PROBE_WINDOW;
    uint32_t entry, wanted = PTE_P | (write ? PTE_RW : 0) | (invariants_cpl3(action) ? PTE_US : 0);

    if (!invariants_wide(action)) {
        *gpa = (uint32_t)gva;
        return NO_TRAP;
    }
    *gpa = gva;
    if (gva < MAPPED_END)
        return NO_TRAP;
    if (!canonical(gva))
        return GP0;
    if (offset >= PROBE_WINDOW_PAGES * GPA_PAGE_SIZE)
        return page_fault(action, gva, write, false);
    entry = inv->memory_followed ? inv->memory.window[offset / GPA_PAGE_SIZE] : 0;
    *gpa = (entry & ~(uint32_t)(GPA_PAGE_SIZE - 1)) + gva % GPA_PAGE_SIZE;
    return wanted & ~entry ? page_fault(action, gva, write, entry & PTE_P) : NO_TRAP;
}

static unsigned access_size(const struct action *action)
{
    switch (action->op) {
    case OP_LOAD8:
    case OP_LOAD16:
    case OP_LOAD32:
    case OP_LOAD64:
        return 1u << (action->op - OP_LOAD8);
    case OP_STORE8:
    case OP_STORE16:
    case OP_STORE32:
    case OP_STORE64:
        return 1u << (action->op - OP_STORE8);
    case OP_TEST_CLEAR:
        return 4;
    case OP_LOCK_CMPXCHG8:
        return 1;
    default:
        return 0;
    }
}

static bool in_window(uint64_t gva)
{
    return gva - PROBE_WINDOW < PROBE_WINDOW_PAGES * GPA_PAGE_SIZE;
}

bool invariants_lost(const struct invariants *inv, const struct action *action, uint64_t size)
{
    uint64_t gva = invariants_operand(inv, &action->args[0]);

    return !inv->memory.window_known && (in_window(gva) || in_window(gva + size - 1));
}

/* An access that touches an address which is none faults whatever its other bytes meet. */
static void note_fault(struct access_seen *access, struct trap trap)
{
    if (access->faults && trap.vector != TRAP_GP)
        return;
    access->faults = true;
    access->vector = trap.vector;
    access->error = trap.error;
    access->cr2 = trap.cr2;
}

static void note_byte(const struct invariants *inv, struct access_seen *access, unsigned i)
{
    const uint8_t *byte = invariants_peek(inv, access->at[i]);

    access->bytes[i] = byte ? *byte : 0xff;
    if (!byte && access->at[i] >= DEVICES_BEGIN && access->at[i] < DEVICES_END)
        access->plain = false;
}

void invariants_access_before(struct invariants *inv, const struct action *action)
{
    struct access_seen *access = &inv->memory.access;
    uint64_t gva = invariants_operand(inv, &action->args[0]);
    unsigned size = access_size(action);

    access->size = 0;
    if (!size || !invariants_has_vcpu(inv, action) || invariants_lost(inv, action, size))
        return;
    *access = (struct access_seen){.size = (uint8_t)size, .plain = true, .write = action->op > OP_LOAD64};
    for (unsigned i = 0; i < size; i++) {
        struct trap trap = invariants_translate(inv, action, gva + i, access->write, &access->at[i]);

        if (trapped(trap))
            note_fault(access, trap);
        note_byte(inv, access, i);
    }
}

static bool has_handlers(const struct invariants *inv)
{
    for (unsigned i = 0; i < inv->vcpu_count; i++)
        if (inv->memory.handlers[i] != GPA_NOWHERE)
            return true;
    return false;
}

static bool check_fault(const struct access_seen *access, const struct outcome *outcome,
                        struct violation *violation)
{
    bool faulted = outcome->status == OUTCOME_FAULT;

    if (faulted != access->faults)
        return violate(violation, "PAGING", "%s of %u bytes %s", access->write ? "a store" : "a load",
                       access->size, faulted ? "faulted" : "did not fault");
    if (faulted &&
        (outcome->vector != access->vector || outcome->error != access->error || outcome->cr2 != access->cr2))
        return violate(
            violation, "PAGING", "a fault is %u(%#x) at %#" PRIx64 " and should be %u(%#x) at %#" PRIx64,
            outcome->vector, outcome->error, outcome->cr2, access->vector, access->error, access->cr2);
    return true;
}

/* A load gives what is there; a store leaves its value in memory, and one that faulted nothing. */
static bool check_bytes(const struct invariants *inv, const struct action *action,
                        const struct outcome *outcome, struct violation *violation)
{
    const struct access_seen *access = &inv->memory.access;
    bool stored = !access->faults && action->op >= OP_STORE8 && action->op <= OP_STORE64;
    uint64_t loaded = outcome->regs[0], value = invariants_operand(inv, &action->args[1]);

    for (unsigned i = 0; i < access->size; i++) {
        const uint8_t *now = invariants_peek(inv, access->at[i]);
        uint8_t want =
            stored && invariants_writable(inv, access->at[i]) ? (uint8_t)(value >> 8 * i) : access->bytes[i];

        if (!access->write && !access->faults && (uint8_t)(loaded >> 8 * i) != access->bytes[i])
            return violate(violation, "MEMORY", "byte %u of a load is %#x, and in memory it is %#x", i,
                           (uint8_t)(loaded >> 8 * i), access->bytes[i]);
        if (access->write && (stored || access->faults) && now && *now != want)
            return violate(violation, "MEMORY", "byte %u of a store is %#x in memory, not %#x", i, *now,
                           want);
    }
    return true;
}

static bool is_done(const struct outcome *outcome)
{
    return outcome->status == OUTCOME_OK || outcome->status == OUTCOME_FAULT;
}

/* What a reset leaves: no page in the window, no handler. */
static void begin_again(struct invariants *inv)
{
    memset(inv->memory.window, 0, sizeof(inv->memory.window));
    inv->memory.window_known = true;
    for (unsigned i = 0; i < inv->vcpu_count; i++)
        inv->memory.handlers[i] = GPA_NOWHERE;
}

static void follow(struct invariants *inv, const struct action *action, const struct outcome *outcome)
{
    uint64_t at = invariants_operand(inv, &action->args[0]),
             value = invariants_operand(inv, &action->args[1]), page = (at - PROBE_WINDOW) / GPA_PAGE_SIZE;

    if (action->op == OP_RESET || (action->op == OP_MIGRATE && outcome->regs[0]))
        begin_again(inv);
    else if (op_info(action->op)->host)
        return;
    else if (outcome->status == OUTCOME_TIMEOUT)
        inv->memory.window_known = false; /* what nothing wakes ends in a reset */
    else if (action->op == OP_MAP && outcome->status == OUTCOME_OK && page < PROBE_WINDOW_PAGES)
        inv->memory.window[page] = value & PROBE_PTE_BITS;
    else if (action->op == OP_ON_INTERRUPT && outcome->status == OUTCOME_OK)
        inv->memory.handlers[action->vcpu] = value & ON_INTERRUPT_EOI ? at : GPA_NOWHERE;
}

bool invariants_access(struct invariants *inv, const struct action *action, const struct outcome *outcome,
                       bool stores, struct violation *violation)
{
    const struct access_seen *access = &inv->memory.access;

    if (access->size && is_done(outcome) && !inv->memory.waits) {
        if (!check_fault(access, outcome, violation))
            return false;
        if (access->plain && !stores && !has_handlers(inv) && !check_bytes(inv, action, outcome, violation))
            return false;
    }
    follow(inv, action, outcome);
    return true;
}

/* The last store of the host is in memory where the trace has it, unless somebody else may have stored after it. */
bool invariants_landed(const struct invariants *inv, const struct action *action,
                       const struct trace_entry *entry, struct violation *violation)
{
    bool guest_stores = !op_info(action->op)->host && (access_size(action) || action->op == OP_FILL ||
                                                       action->op == OP_VMCALL || action->op == OP_VMMCALL);
    const uint8_t *bytes = invariants_peek(inv, entry->gpa);

    if (guest_stores || inv->memory.waits || has_handlers(inv))
        return true;
    return (bytes && !memcmp(bytes, entry->bytes, entry->size)) ||
           violate(violation, "GEN-11", "a store of the host is not at its address %#" PRIx64, entry->gpa);
}

/* Nobody answers at a port; above CPL 0 it may not be asked (IOPL is 0). INVLPG changes nothing that could be seen. */
bool invariants_privileged(const struct action *action, const struct outcome *outcome,
                           struct violation *violation)
{
    static const uint32_t ones[] = {0xff, 0xffff, 0xffffffff};
    bool reads = action->op >= OP_IN8 && action->op <= OP_IN32;

    if (invariants_cpl3(action) ? !invariants_is_gp0(outcome) : outcome->status != OUTCOME_OK)
        return violate(violation, "IOPL", "%s in mode %u: status %u vector %u", op_info(action->op)->word,
                       action->mode, outcome->status, outcome->vector);
    if (reads && outcome->status == OUTCOME_OK && outcome->regs[0] != ones[action->op - OP_IN8])
        return violate(violation, "PORT", "%s gave %#" PRIx64 " where nobody answers",
                       op_info(action->op)->word, outcome->regs[0]);
    return true;
}

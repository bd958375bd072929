/* Invariants of memory slots and of the dirty log: memory is there while its slot is, no longer and with no other content;
 * a page that was stored to is in the log, by the host (GEN-12) or by the guest, and no other page is. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "diff/program/host_act.h"
#include "fuzz/invariants_parts.h"
#include "vmm/abi/pvclock.h"

static struct slot_seen *slot_at(struct memory_seen *mem, uint64_t gpa)
{
    for (unsigned i = 0; i < mem->count; i++)
        if (gpa - mem->slots[i].gpa < mem->slots[i].size)
            return &mem->slots[i];
    return NULL;
}

static struct slot_seen *slot_starting(struct memory_seen *mem, uint64_t gpa)
{
    struct slot_seen *slot = slot_at(mem, gpa);

    return slot && slot->gpa == gpa ? slot : NULL;
}

bool invariants_writable(const struct invariants *inv, uint64_t gpa)
{
    const struct slot_seen *slot = slot_at((struct memory_seen *)&inv->memory, gpa);

    return slot && !slot->readonly;
}

const uint8_t *invariants_peek(const struct invariants *inv, uint64_t gpa)
{
    const struct slot *slot = memory_slot(&inv->vm->memory, gpa);

    return slot ? slot->host + (gpa - slot->gpa) : NULL;
}

/* Of the page that holds gpa; 0 for zeros, and where nothing is. */
static uint64_t page_hash(const struct invariants *inv, uint64_t gpa)
{
    const uint8_t *page = invariants_peek(inv, gpa & ~(GPA_PAGE_SIZE - 1));
    uint64_t hash = 0, word;

    for (unsigned i = 0; page && i < GPA_PAGE_SIZE; i += sizeof(word)) {
        memcpy(&word, page + i, sizeof(word));
        hash = (hash ^ word) * 0x9e3779b97f4a7c15;
        hash ^= hash >> 29;
    }
    return hash;
}

static unsigned page_of(const struct slot_seen *slot, uint64_t gpa)
{
    uint64_t page = (gpa - slot->gpa - slot->first) / GPA_PAGE_SIZE;

    return page < SLOT_PAGES_SEEN ? (unsigned)page : SLOT_PAGES_SEEN;
}

/* Somebody stored there, or may have. */
static void mark_stored(struct memory_seen *mem, uint64_t gpa, uint64_t len)
{
    for (uint64_t done = 0; done < len; done += GPA_PAGE_SIZE - (gpa + done) % GPA_PAGE_SIZE) {
        struct slot_seen *slot = slot_at(mem, gpa + done);
        unsigned page = slot ? page_of(slot, gpa + done) : SLOT_PAGES_SEEN;

        if (page < SLOT_PAGES_SEEN)
            slot->stored |= 1u << page;
    }
}

/* A store was made, and nobody knows where. */
static void mark_everything(struct memory_seen *mem)
{
    for (unsigned i = 0; i < mem->count; i++)
        mem->slots[i].stored = UINT32_MAX;
}

static void mark_handlers(struct invariants *inv)
{
    for (unsigned i = 0; i < inv->vcpu_count; i++)
        if (inv->memory.handlers[i] != GPA_NOWHERE)
            mark_stored(&inv->memory, inv->memory.handlers[i], 4);
}

static bool has_page(const uint64_t *bitmap, const struct slot *slot, uint64_t gpa)
{
    uint64_t page = (gpa - slot->gpa) / GPA_PAGE_SIZE;

    return bitmap[page / 64] >> page % 64 & 1;
}

static bool in_log(const struct invariants *inv, uint64_t gpa)
{
    const struct slot *slot = memory_slot(&inv->vm->memory, gpa);

    return slot && slot->dirty && has_page(slot->dirty, slot, gpa);
}

static void begin_slots(struct invariants *inv)
{
    const struct memory *vm_memory = &inv->vm->memory;
    struct memory_seen *mem = &inv->memory;

    mem->count = vm_memory->count;
    for (unsigned i = 0; i < mem->count; i++) {
        const struct slot *slot = &vm_memory->slots[i];
        uint64_t ram = inv->bases[BASE_RAM] - slot->gpa;

        mem->slots[i] = (struct slot_seen){.gpa = slot->gpa,
                                           .size = slot->size,
                                           .readonly = slot->flags & SLOT_READONLY,
                                           .logged = slot->dirty,
                                           .first = ram < slot->size ? ram : 0,
                                           .stored = UINT32_MAX};
    }
}

void invariants_memory_before(struct invariants *inv, const struct action *action)
{
    struct memory_seen *mem = &inv->memory;

    if (!inv->memory_followed) {
        inv->memory_followed = mem->window_known = true;
        mem->waits = false;
        memset(mem->window, 0, sizeof(mem->window));
        for (unsigned i = 0; i < inv->vcpu_count; i++)
            mem->handlers[i] = GPA_NOWHERE;
        begin_slots(inv);
    }
    invariants_access_before(inv, action);
    if (action->op == OP_SLOT_MOVE)
        mem->moved_content = page_hash(inv, invariants_operand(inv, &action->args[0]));
}

/* Slots come and go. */

static int range_answer(const struct memory_seen *mem, uint64_t gpa, uint64_t size,
                        const struct slot_seen *except)
{
    if (!size || (gpa | size) % GPA_PAGE_SIZE || gpa + size < gpa)
        return EINVAL;
    for (unsigned i = 0; i < mem->count; i++) {
        const struct slot_seen *slot = &mem->slots[i];

        if (slot != except && gpa < slot->gpa + slot->size && slot->gpa < gpa + size)
            return EEXIST;
    }
    return 0;
}

/* The errno that the host must get. */
static uint64_t slot_answer(struct invariants *inv, const struct action *action)
{
    struct memory_seen *mem = &inv->memory;
    uint64_t gpa = invariants_operand(inv, &action->args[0]),
             other = invariants_operand(inv, &action->args[1]);
    const struct slot_seen *slot = slot_starting(mem, gpa);
    int err;

    switch (action->op) {
    case OP_SLOT_ADD:
        err = other > HOST_ACT_SLOT_MAX ? EINVAL : range_answer(mem, gpa, other, NULL);
        return !err && mem->count == MEMORY_SLOTS ? ENOSPC : err;
    case OP_SLOT_MOVE:
        return slot ? range_answer(mem, other, slot->size, slot) : ENOENT;
    default:
        return slot ? 0 : ENOENT;
    }
}

static bool change_slots(struct invariants *inv, const struct action *action, bool stores,
                         struct violation *violation)
{
    struct memory_seen *mem = &inv->memory;
    uint64_t gpa = invariants_operand(inv, &action->args[0]),
             other = invariants_operand(inv, &action->args[1]);
    struct slot_seen *slot = slot_starting(mem, gpa);

    switch (action->op) {
    case OP_SLOT_ADD:
        mem->slots[mem->count++] = (struct slot_seen){
            .gpa = gpa, .size = other, .readonly = invariants_operand(inv, &action->args[2])};
        if (!stores && (page_hash(inv, gpa) || page_hash(inv, gpa + other - GPA_PAGE_SIZE)))
            return violate(violation, "SLOT", "new memory at %#" PRIx64 " is not zero", gpa);
        return true;
    case OP_SLOT_MOVE:
        slot->gpa = other;
        if (!stores && page_hash(inv, other) != mem->moved_content)
            return violate(violation, "SLOT", "memory moved to %#" PRIx64 " has another content", other);
        return true;
    default:
        *slot = mem->slots[--mem->count];
        return true;
    }
}

static bool check_same_slots(const struct invariants *inv, struct violation *violation)
{
    const struct memory_seen *mem = &inv->memory;

    for (unsigned i = 0; i < mem->count; i++) {
        const struct slot_seen *want = &mem->slots[i];
        const struct slot *slot = memory_slot(&inv->vm->memory, want->gpa);

        if (!slot || slot->gpa != want->gpa || slot->size != want->size ||
            !(slot->flags & SLOT_READONLY) != !want->readonly || !slot->dirty != !want->logged)
            return violate(violation, "SLOT", "the slot of %#" PRIx64 " bytes at %#" PRIx64 " is another now",
                           want->size, want->gpa);
    }
    return inv->vm->memory.count == mem->count ||
           violate(violation, "SLOT", "there are %u slots, not %u", inv->vm->memory.count, mem->count);
}

static bool good(const struct invariants *inv, uint64_t gpa, uint32_t size)
{
    return invariants_writable(inv, gpa) && invariants_writable(inv, gpa + size - 1);
}

/* No record is good where no memory of the guest is: what was decided before the slots changed does not hold. */
static bool check_areas(const struct invariants *inv, struct violation *violation)
{
    for (unsigned i = 0; i < inv->vcpu_count; i++)
        for (unsigned kind = 0; kind < AREA_KINDS; kind++) {
            const struct area *area = &inv->vm->vcpus[i].areas[kind];

            if (area->state == AREA_GOOD && area->generation == inv->vm->memory.slot_generation &&
                !good(inv, area->gpa, area->size))
                return violate(violation, "INV-1",
                               "record %u of vcpu %u at %#" PRIx64 " counts as good, and no memory is there",
                               kind, i, area->gpa);
        }
    return true;
}

/* A clock record went with its memory: no guest reads it until the host has written another. */
static void forget_clocks(struct invariants *inv)
{
    for (unsigned i = 0; i < inv->vcpu_count; i++) {
        struct vcpu_seen *seen = &inv->vcpus[i];

        seen->reader.known &= good(inv, seen->clock_gpa, sizeof(struct pvclock_vcpu_time_info));
    }
}

static bool check_slot_action(struct invariants *inv, const struct action *action,
                              const struct outcome *outcome, bool stores, struct violation *violation)
{
    uint64_t want;

    if (outcome->status != OUTCOME_HOST) /* the machine's own slots stay */
        return true;
    want = slot_answer(inv, action);
    if (outcome->regs[0] == ENOMEM)
        return true;
    if (outcome->regs[0] != want)
        return violate(violation, "SLOT", "%s gave errno %" PRIu64 ", not %" PRIu64,
                       op_info(action->op)->word, outcome->regs[0], want);
    if (want)
        return true;
    if (!change_slots(inv, action, stores, violation))
        return false;
    forget_clocks(inv);
    return true;
}

/* The dirty log. */

/* A page that nobody has touched is zero, by what its slot says: looking at all of them would be what the log costs most. */
static uint64_t content_now(const struct invariants *inv, uint64_t gpa)
{
    const struct slot *slot = memory_slot(&inv->vm->memory, gpa);

    return slot && has_page(slot->touched, slot, gpa) ? page_hash(inv, gpa) : 0;
}

static void begin_log(struct invariants *inv)
{
    for (unsigned i = 0; i < inv->memory.count; i++) {
        struct slot_seen *slot = &inv->memory.slots[i];

        slot->logged = !slot->readonly;
        slot->stored = 0;
        for (unsigned page = 0; slot->logged && page < SLOT_PAGES_SEEN; page++)
            slot->content[page] = content_now(inv, slot->gpa + slot->first + page * GPA_PAGE_SIZE);
    }
}

static bool check_logged_page(struct invariants *inv, uint64_t gpa, bool dirty, struct violation *violation)
{
    const struct slot_seen *slot = slot_at(&inv->memory, gpa);
    unsigned page = page_of(slot, gpa);

    if (page == SLOT_PAGES_SEEN)
        return true;
    if (dirty && !(slot->stored >> page & 1) && !inv->memory.waits)
        return violate(violation, "DIRTY-LOG", "page %#" PRIx64 " is in the log, and nobody has stored to it",
                       gpa);
    if (!dirty && page_hash(inv, gpa) != slot->content[page])
        return violate(violation, "DIRTY-LOG", "page %#" PRIx64 " has changed, and it is not in the log",
                       gpa);
    return true;
}

static bool check_log(struct invariants *inv, const struct action *action, const struct outcome *outcome,
                      struct violation *violation)
{
    uint64_t first = invariants_operand(inv, &action->args[0]) & ~(GPA_PAGE_SIZE - 1),
             length = invariants_operand(inv, &action->args[1]),
             pages = length / GPA_PAGE_SIZE + (length % GPA_PAGE_SIZE != 0),
             want = pages && pages <= 8 * sizeof(outcome->data) ? 0 : EINVAL;

    mark_handlers(inv);
    for (uint64_t i = 0; !want && i < pages; i++) {
        const struct slot_seen *slot = slot_at(&inv->memory, first + i * GPA_PAGE_SIZE);

        want = slot && slot->logged ? 0 : ENOENT;
    }
    if (outcome->regs[0] != want)
        return violate(violation, "DIRTY-LOG", "reading it gave errno %" PRIu64 ", not %" PRIu64,
                       outcome->regs[0], want);
    for (uint64_t i = 0; !want && i < pages; i++)
        if (!check_logged_page(inv, first + i * GPA_PAGE_SIZE, outcome->data[i / 8] >> i % 8 & 1, violation))
            return false;
    return true;
}

/* A store of up to 8 bytes that was made, at once. */
static bool check_guest_store(struct invariants *inv, const struct outcome *outcome,
                              struct violation *violation)
{
    const struct access_seen *access = &inv->memory.access;

    for (unsigned i = 0; i < access->size && access->write && !access->faults; i++) {
        const struct slot_seen *slot = slot_at(&inv->memory, access->at[i]);

        mark_stored(&inv->memory, access->at[i], 1);
        if (outcome->status == OUTCOME_OK && slot && !slot->readonly && slot->logged &&
            !in_log(inv, access->at[i]))
            return violate(violation, "DIRTY-LOG", "a store of the guest at %#" PRIx64 " is not in the log",
                           access->at[i]);
    }
    return true;
}

static void mark_fill(struct invariants *inv, const struct action *action)
{
    uint64_t gva = invariants_operand(inv, &action->args[0]), end,
             length = invariants_operand(inv, &action->args[1]), gpa;

    length = length < op_info(OP_FILL)->limit ? length : op_info(OP_FILL)->limit;
    for (end = gva + length; gva != end; gva++)
        if (invariants_translate(inv, action, gva, true, &gpa).vector == TRAP_NONE)
            mark_stored(&inv->memory, gpa, 1);
}

static bool check_host_store(struct invariants *inv, const struct trace_entry *entry,
                             struct violation *violation)
{
    const uint64_t ends[] = {entry->gpa, entry->gpa + entry->size - 1};

    for (unsigned i = 0; i < 2; i++) {
        const struct slot_seen *slot = slot_at(&inv->memory, ends[i]);

        if (!slot || slot->readonly)
            return violate(violation, "INV-1",
                           "the host stored at %#" PRIx64 ", where no memory of the guest is", ends[i]);
        if (slot->logged && !in_log(inv, ends[i]))
            return violate(violation, "GEN-12", "a store of the host at %#" PRIx64 " is not in the dirty log",
                           ends[i]);
    }
    mark_stored(&inv->memory, entry->gpa, entry->size);
    return true;
}

static bool check_host_stores(struct invariants *inv, const struct action *action,
                              struct violation *violation)
{
    const struct trace *trace = &inv->vm->trace;
    uint64_t at = inv->trace_seen;

    if (trace->total - at > TRACE_ENTRIES) {
        at = trace->total - TRACE_ENTRIES;
        mark_everything(&inv->memory);
    }
    for (; at < trace->total; at++)
        if (!check_host_store(inv, &trace->ring[at % TRACE_ENTRIES], violation))
            return false;
    return invariants_landed(inv, action, &trace->ring[(at - 1) % TRACE_ENTRIES], violation);
}

static bool follow_host(struct invariants *inv, const struct action *action, const struct outcome *outcome,
                        bool stores, struct violation *violation)
{
    bool done = outcome->status == OUTCOME_HOST && !outcome->regs[0];

    switch (action->op) {
    case OP_SLOT_ADD:
    case OP_SLOT_REMOVE:
    case OP_SLOT_MOVE:
        if (!check_slot_action(inv, action, outcome, stores, violation))
            return false;
        break;
    case OP_DIRTY_CLEAR:
        if (!done) {
            begin_slots(inv);
            return true;
        }
        begin_log(inv);
        break;
    case OP_DIRTY_READ:
        if (!check_log(inv, action, outcome, violation))
            return false;
        break;
    case OP_PAGE_OUT:
        inv->memory.waits |= done;
        break;
    default:
        break;
    }
    return check_same_slots(inv, violation);
}

bool invariants_memory(struct invariants *inv, const struct action *action, const struct outcome *outcome,
                       struct violation *violation)
{
    bool stores = inv->vm->trace.total != inv->trace_seen;

    if (op_info(action->op)->host) {
        if (!follow_host(inv, action, outcome, stores, violation))
            return false;
    } else if (action->op == OP_ON_INTERRUPT) {
        mark_handlers(inv);
    } else if (invariants_lost(inv, action, op_info(OP_FILL)->limit)) {
        mark_everything(&inv->memory);
    } else if (action->op == OP_FILL) {
        mark_fill(inv, action);
    } else if (!check_guest_store(inv, outcome, violation)) {
        return false;
    }
    return check_areas(inv, violation) && (!stores || check_host_stores(inv, action, violation)) &&
           invariants_access(inv, action, outcome, stores, violation);
}

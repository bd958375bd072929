/* Areas that the host may write for the guest: registered, checked at each write, traced in order.
 * Registration is what makes "wrote where it must not" visible (known bugs: stale address, stale page). */
#ifndef VMM_CORE_AREA_H
#define VMM_CORE_AREA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vm;

enum area_kind {
    AREA_CLOCK,
    AREA_STEAL,
    AREA_ASYNC_PF,
    AREA_PV_EOI,
    AREA_WALL_CLOCK,
    AREA_CLOCK_PAIRING,
    AREA_HYPERV, /* hypercall page or VP assist page, while it is written */
    AREA_KINDS
};
/* good: registered on mapped RAM; bad: registered, but no RAM there now, retried at each use (CLK-5, STL-3);
 * stale: once good, not offered again until a slot change or a good registration (EOI-2). */
enum area_state { AREA_OFF, AREA_GOOD, AREA_BAD, AREA_STALE };

struct area {
    struct vm *vm;
    uint64_t gpa;
    uint32_t size;       /* bytes the host may touch: 32, 64, 8, 1, 12, 64, 4 */
    uint16_t vcpu_id;    /* owner, or AREA_VM_WIDE */
    uint8_t kind;        /* enum area_kind */
    uint8_t state;       /* enum area_state */
    uint32_t generation; /* slot_generation of guest memory when state was last decided */
};
#define AREA_VM_WIDE 0xffff

/* One host store into guest memory, in program order. A full ring forgets the oldest and counts it. */
struct trace_entry {
    uint64_t gpa;
    uint16_t vcpu_id;
    uint8_t kind;   /* enum area_kind */
    uint8_t offset; /* inside the area */
    uint8_t size;
    bool allowed; /* inside a registered area at that moment; false is a bug of ours */
    uint8_t bytes[64];
};
#define TRACE_ENTRIES 64
struct trace {
    uint64_t total; /* entries ever since reset; the last min(total, TRACE_ENTRIES) are in ring */
    struct trace_entry ring[TRACE_ENTRIES]; /* entry n lies at n % TRACE_ENTRIES */
};

void area_register(struct area *area, uint64_t gpa, uint32_t size);
void area_unregister(struct area *area);
/* Re-decides good or bad when slots changed since; true: the host can write there now. */
bool area_usable(struct area *area);
bool area_read(struct area *area, size_t offset, void *dst, size_t len);
/* False: not usable or outside the area; nothing is written then. */
bool area_write(struct area *area, size_t offset, const void *src, size_t len);
/* As KVM copies to guest memory: page by page, what lies before the first missing page stays written. For records
 * that are written once, synchronously (CLK-18, PAIR-3). False: some byte is missing. */
bool area_write_partial(struct area *area, size_t offset, const void *src, size_t len);
/* One exchange, as another vCPU would see it. False: not usable. */
bool area_exchange_u8(struct area *area, size_t offset, uint8_t value, uint8_t *old);

#endif

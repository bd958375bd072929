/* Guest-physical memory: slots with guard pages, one checked door, what was touched and what is dirty. */
#ifndef VMM_CORE_MEMORY_H
#define VMM_CORE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GPA_PAGE_SIZE 4096ull
#define MEMORY_SLOTS  32 /* at most; adding more is -ENOSPC */

enum slot_flags { SLOT_READONLY = 1, SLOT_DIRTY_LOG = 2 };

struct slot {
    uint64_t gpa, size;     /* multiples of GPA_PAGE_SIZE; size 0: unused */
    uint8_t *host;          /* size bytes with an inaccessible page before and after */
    uint32_t flags;         /* enum slot_flags */
    uint64_t *touched;      /* a bit per page: written, or paged out, since creation or reset */
    uint64_t *dirty;        /* a bit per page: the dirty log, NULL unless SLOT_DIRTY_LOG */
    uint32_t *touched_list; /* page numbers set in touched, in order: all that a reset looks at */
    uint32_t touched_count;
    uint64_t *absent; /* a bit per page: paged out; NULL until one is */
};

struct memory {
    struct slot slots[MEMORY_SLOTS];
    unsigned count;
    /* grows with every slot change, reset and dirty-log clear: cached pointers compare it */
    uint32_t generation;
    uint32_t slot_generation; /* grows with slot changes only: areas compare it (EOI-2) */
    uint32_t absent_pages;    /* of all slots */
    /* A page came back, asked for or because the host used it; NULL: nobody waits. Set by vm_start(). */
    void (*paged_in)(void *ctx, uint64_t gpa);
    void *paged_in_ctx;
};

void memory_init(struct memory *mem);
void memory_free(struct memory *mem);
/* New zeroed RAM (or ROM). -EINVAL: not page-aligned, empty, or wraps; -EEXIST: overlaps; -ENOSPC; -ENOMEM. */
int memory_slot_add(struct memory *mem, uint64_t gpa, uint64_t size, uint32_t flags);
/* Frees the backing at once. -ENOENT: no slot starts at gpa. */
int memory_slot_remove(struct memory *mem, uint64_t gpa);
/* The same backing at another address. -ENOENT, -EINVAL, -EEXIST as above; on error nothing changes. */
int memory_slot_move(struct memory *mem, uint64_t gpa, uint64_t new_gpa);
/* Zeroes the pages written since creation (or the last call) of every slot that is not read-only; what was paged out is
 * back. Costs what was touched, however large the slots are. */
void memory_reset(struct memory *mem);

/* Switches the dirty log of the slot at gpa; on starts clean. -ENOENT, -ENOMEM. */
int memory_dirty_log(struct memory *mem, uint64_t gpa, bool on);
/* Copies the log, a bit per page, and clears it. -ENOENT: no slot with a log starts at gpa. */
int memory_dirty_take(struct memory *mem, uint64_t gpa, uint64_t *bitmap);

/* The host takes the page's backing away: its content is kept, but a guest access has to wait for it (APF-9). The host's
 * own accesses bring it back at once. -ENOENT: no slot there; -ENOMEM. Nothing happens to a page that is out already. */
int memory_page_out(struct memory *mem, uint64_t gpa);
/* Brings it back. -ENOENT. */
int memory_page_in(struct memory *mem, uint64_t gpa);
void memory_page_in_all(struct memory *mem);
bool memory_page_absent(struct memory *mem, uint64_t gpa);
static inline bool memory_absent(struct memory *mem, uint64_t gpa)
{
    return mem->absent_pages && memory_page_absent(mem, gpa);
}

/* The slot that holds gpa, or NULL. */
struct slot *memory_slot(struct memory *mem, uint64_t gpa);
/* Host address of [gpa, gpa+len) inside one slot, else NULL (unmapped, wraps, crosses the slot's end, or read-only
 * and write is set). With write the pages count as touched and dirty. Valid until generation changes. */
uint8_t *gpa_host(struct memory *mem, uint64_t gpa, size_t len, bool write);
/* Copies; may cross pages and slots. False: some byte is unmapped (or read-only); bytes before it were copied. */
bool gpa_read(struct memory *mem, uint64_t gpa, void *dst, size_t len);
bool gpa_write(struct memory *mem, uint64_t gpa, const void *src, size_t len);
/* Fills ROM: writes whatever the slot's flags, without touching or dirtying. */
bool gpa_load(struct memory *mem, uint64_t gpa, const void *src, size_t len);
/* Every byte of [gpa, gpa+len) is in writable slots ("good GPA" of the specification). */
bool gpa_good(struct memory *mem, uint64_t gpa, size_t len);

#endif

/* Guest-physical memory: each slot is a mapping of its own between two inaccessible pages. See memory.h. */
#include "vmm/core/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BITMAP_WORDS(pages) (((pages) + 63) / 64)

static uint64_t slot_pages(const struct slot *slot)
{
    return slot->size / GPA_PAGE_SIZE;
}

static void slots_changed(struct memory *mem)
{
    mem->slot_generation++;
    mem->generation++;
}

void memory_init(struct memory *mem)
{
    *mem = (struct memory){0};
}

static void slot_free(struct slot *slot)
{
    if (slot->host)
        munmap(slot->host - GPA_PAGE_SIZE, slot->size + 2 * GPA_PAGE_SIZE);
    free(slot->touched);
    free(slot->dirty);
    free(slot->touched_list);
    free(slot->absent);
    *slot = (struct slot){0};
}

void memory_free(struct memory *mem)
{
    for (unsigned i = 0; i < mem->count; i++)
        slot_free(&mem->slots[i]);
    memory_init(mem);
}

/* Where a slot may lie. The last page of the address space is refused so that gpa + size never wraps; page numbers
 * are 32 bits. */
static int range_check(const struct memory *mem, uint64_t gpa, uint64_t size, const struct slot *except)
{
    if (!size || (gpa | size) % GPA_PAGE_SIZE || gpa + size < gpa || size / GPA_PAGE_SIZE > UINT32_MAX)
        return -EINVAL;
    for (unsigned i = 0; i < mem->count; i++) {
        const struct slot *s = &mem->slots[i];
        if (s != except && gpa < s->gpa + s->size && s->gpa < gpa + size)
            return -EEXIST;
    }
    return 0;
}

static uint8_t *backing_alloc(uint64_t size)
{
    uint8_t *base =
        mmap(NULL, size + 2 * GPA_PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return NULL;
    if (mprotect(base + GPA_PAGE_SIZE, size, PROT_READ | PROT_WRITE)) {
        munmap(base, size + 2 * GPA_PAGE_SIZE);
        return NULL;
    }
    return base + GPA_PAGE_SIZE;
}

int memory_slot_add(struct memory *mem, uint64_t gpa, uint64_t size, uint32_t flags)
{
    struct slot slot = {.gpa = gpa, .size = size, .flags = flags};
    int err = range_check(mem, gpa, size, NULL);

    if (err)
        return err;
    if (mem->count == MEMORY_SLOTS)
        return -ENOSPC;
    slot.host = backing_alloc(size);
    slot.touched = calloc(BITMAP_WORDS(slot_pages(&slot)), sizeof(uint64_t));
    slot.touched_list = calloc(slot_pages(&slot), sizeof(uint32_t));
    if (flags & SLOT_DIRTY_LOG)
        slot.dirty = calloc(BITMAP_WORDS(slot_pages(&slot)), sizeof(uint64_t));
    if (!slot.host || !slot.touched || !slot.touched_list || (!slot.dirty && (flags & SLOT_DIRTY_LOG))) {
        slot_free(&slot);
        return -ENOMEM;
    }
    mem->slots[mem->count++] = slot;
    slots_changed(mem);
    return 0;
}

static struct slot *slot_starting(struct memory *mem, uint64_t gpa)
{
    for (unsigned i = 0; i < mem->count; i++)
        if (mem->slots[i].gpa == gpa)
            return &mem->slots[i];
    return NULL;
}

static void mark_touched(struct slot *slot, uint32_t page)
{
    uint64_t bit = 1ull << page % 64;

    if (slot->touched[page / 64] & bit)
        return;
    slot->touched[page / 64] |= bit;
    slot->touched_list[slot->touched_count++] = page;
}

static bool slot_page_absent(const struct slot *slot, uint64_t page)
{
    return slot->absent && (slot->absent[page / 64] >> page % 64 & 1);
}

static void slot_page_in(struct memory *mem, struct slot *slot, uint64_t page)
{
    slot->absent[page / 64] &= ~(1ull << page % 64);
    mem->absent_pages--;
    if (mem->paged_in)
        mem->paged_in(mem->paged_in_ctx, slot->gpa + page * GPA_PAGE_SIZE);
}

/* Pages of [offset, offset+len) of a slot: the host uses them. */
static void bring_in(struct memory *mem, struct slot *slot, uint64_t offset, uint64_t len)
{
    if (!slot->absent || !len)
        return;
    for (uint64_t page = offset / GPA_PAGE_SIZE; page <= (offset + len - 1) / GPA_PAGE_SIZE; page++)
        if (slot_page_absent(slot, page))
            slot_page_in(mem, slot, page);
}

int memory_page_out(struct memory *mem, uint64_t gpa)
{
    struct slot *slot = memory_slot(mem, gpa);
    uint64_t page;

    if (!slot)
        return -ENOENT;
    if (!slot->absent)
        slot->absent = calloc(BITMAP_WORDS(slot_pages(slot)), sizeof(uint64_t));
    if (!slot->absent)
        return -ENOMEM;
    page = (gpa - slot->gpa) / GPA_PAGE_SIZE;
    if (slot_page_absent(slot, page))
        return 0;
    slot->absent[page / 64] |= 1ull << page % 64;
    mark_touched(slot, (uint32_t)page);
    mem->absent_pages++;
    mem->generation++;
    return 0;
}

int memory_page_in(struct memory *mem, uint64_t gpa)
{
    struct slot *slot = memory_slot(mem, gpa);

    if (!slot)
        return -ENOENT;
    bring_in(mem, slot, gpa - slot->gpa, 1);
    return 0;
}

void memory_page_in_all(struct memory *mem)
{
    for (unsigned i = 0; i < mem->count; i++)
        bring_in(mem, &mem->slots[i], 0, mem->slots[i].size);
}

bool memory_page_absent(struct memory *mem, uint64_t gpa)
{
    const struct slot *slot = memory_slot(mem, gpa);

    return slot && slot_page_absent(slot, (gpa - slot->gpa) / GPA_PAGE_SIZE);
}

int memory_slot_remove(struct memory *mem, uint64_t gpa)
{
    struct slot *slot = slot_starting(mem, gpa);

    if (!slot)
        return -ENOENT;
    bring_in(mem, slot, 0, slot->size); /* who waits for a page of it must not wait for ever */
    slot_free(slot);
    mem->count--;
    memmove(slot, slot + 1, (size_t)(&mem->slots[mem->count] - slot) * sizeof(*slot));
    mem->slots[mem->count] = (struct slot){0};
    slots_changed(mem);
    return 0;
}

int memory_slot_move(struct memory *mem, uint64_t gpa, uint64_t new_gpa)
{
    struct slot *slot = slot_starting(mem, gpa);
    int err;

    if (!slot)
        return -ENOENT;
    err = range_check(mem, new_gpa, slot->size, slot);
    if (err)
        return err;
    bring_in(mem, slot, 0, slot->size);
    slot->gpa = new_gpa;
    slots_changed(mem);
    return 0;
}

static void slot_page_reset(struct slot *slot, uint32_t page)
{
    uint64_t others = ~(1ull << page % 64);

    if (!(slot->flags & SLOT_READONLY)) /* ROM can only have been paged out */
        memset(slot->host + page * GPA_PAGE_SIZE, 0, GPA_PAGE_SIZE);
    slot->touched[page / 64] &= others;
    if (slot->dirty)
        slot->dirty[page / 64] &= others;
    if (slot->absent)
        slot->absent[page / 64] &= others;
}

void memory_reset(struct memory *mem)
{
    for (unsigned i = 0; i < mem->count; i++) {
        struct slot *slot = &mem->slots[i];

        for (uint32_t n = 0; n < slot->touched_count; n++)
            slot_page_reset(slot, slot->touched_list[n]);
        slot->touched_count = 0;
    }
    mem->absent_pages = 0;
    /* A pointer that was cached for writing must come back here, or its next write would not count as touched. */
    mem->generation++;
}

int memory_dirty_log(struct memory *mem, uint64_t gpa, bool on)
{
    struct slot *slot = slot_starting(mem, gpa);
    uint64_t *fresh = NULL;

    if (!slot)
        return -ENOENT;
    if (on) {
        fresh = calloc(BITMAP_WORDS(slot_pages(slot)), sizeof(uint64_t));
        if (!fresh)
            return -ENOMEM;
    }
    free(slot->dirty);
    slot->dirty = fresh;
    slot->flags = on ? slot->flags | SLOT_DIRTY_LOG : slot->flags & ~(uint32_t)SLOT_DIRTY_LOG;
    mem->generation++;
    return 0;
}

int memory_dirty_take(struct memory *mem, uint64_t gpa, uint64_t *bitmap)
{
    struct slot *slot = slot_starting(mem, gpa);

    if (!slot || !slot->dirty)
        return -ENOENT;
    memcpy(bitmap, slot->dirty, BITMAP_WORDS(slot_pages(slot)) * sizeof(uint64_t));
    memset(slot->dirty, 0, BITMAP_WORDS(slot_pages(slot)) * sizeof(uint64_t));
    mem->generation++;
    return 0;
}

struct slot *memory_slot(struct memory *mem, uint64_t gpa)
{
    for (unsigned i = 0; i < mem->count; i++)
        if (gpa - mem->slots[i].gpa < mem->slots[i].size)
            return &mem->slots[i];
    return NULL;
}

static void mark_written(struct slot *slot, uint64_t offset, size_t len)
{
    uint32_t last = (uint32_t)((offset + len - 1) / GPA_PAGE_SIZE);

    for (uint32_t page = (uint32_t)(offset / GPA_PAGE_SIZE); page <= last; page++) {
        mark_touched(slot, page);
        if (slot->dirty)
            slot->dirty[page / 64] |= 1ull << page % 64;
    }
}

uint8_t *gpa_host(struct memory *mem, uint64_t gpa, size_t len, bool write)
{
    struct slot *slot = memory_slot(mem, gpa);
    uint64_t offset;

    if (!slot || (write && (slot->flags & SLOT_READONLY)))
        return NULL;
    offset = gpa - slot->gpa;
    if (len > slot->size - offset)
        return NULL;
    if (mem->absent_pages)
        bring_in(mem, slot, offset, len);
    if (write && len)
        mark_written(slot, offset, len);
    return slot->host + offset;
}

enum copy { COPY_OUT, COPY_IN, COPY_LOAD };

/* Slot by slot until a byte is missing. Slots end below the top of the address space, so gpa cannot wrap to 0. */
static bool copy(struct memory *mem, uint64_t gpa, void *buf, size_t len, enum copy how)
{
    uint8_t *p = buf;

    while (len) {
        struct slot *slot = memory_slot(mem, gpa);
        size_t chunk;
        if (!slot || (how == COPY_IN && (slot->flags & SLOT_READONLY)))
            return false;
        chunk = slot->gpa + slot->size - gpa < len ? slot->gpa + slot->size - gpa : len;
        if (mem->absent_pages)
            bring_in(mem, slot, gpa - slot->gpa, chunk);
        if (how == COPY_OUT) {
            memcpy(p, slot->host + (gpa - slot->gpa), chunk);
        } else {
            if (how == COPY_IN)
                mark_written(slot, gpa - slot->gpa, chunk);
            memcpy(slot->host + (gpa - slot->gpa), p, chunk);
        }
        p += chunk;
        gpa += chunk;
        len -= chunk;
    }
    return true;
}

bool gpa_read(struct memory *mem, uint64_t gpa, void *dst, size_t len)
{
    return copy(mem, gpa, dst, len, COPY_OUT);
}

bool gpa_write(struct memory *mem, uint64_t gpa, const void *src, size_t len)
{
    return copy(mem, gpa, (void *)(uintptr_t)src, len, COPY_IN);
}

bool gpa_load(struct memory *mem, uint64_t gpa, const void *src, size_t len)
{
    return copy(mem, gpa, (void *)(uintptr_t)src, len, COPY_LOAD);
}

bool gpa_good(struct memory *mem, uint64_t gpa, size_t len)
{
    while (len) {
        struct slot *slot = memory_slot(mem, gpa);
        uint64_t room;
        if (!slot || (slot->flags & SLOT_READONLY))
            return false;
        room = slot->gpa + slot->size - gpa;
        if (len <= room)
            return true;
        gpa += room;
        len -= room;
    }
    return true;
}

/* Guest memory in a snapshot. See memory_image.h. */
#include "vmm/core/memory_image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_RECORD        (4 + 1 + GPA_PAGE_SIZE)
#define BITMAP_WORDS(slot) (((slot)->size / GPA_PAGE_SIZE + 63) / 64)
#define SLOT_FLAGS         (SLOT_READONLY | SLOT_DIRTY_LOG)

static bool bit(const uint64_t *bitmap, uint32_t n)
{
    return bitmap && (bitmap[n / 64] >> n % 64 & 1);
}

static void write_page(struct byte_writer *w, const struct slot *slot, uint32_t page)
{
    bytes_put_uint(w, page, 4);
    bytes_put_uint(
        w, (bit(slot->dirty, page) ? IMAGE_DIRTY : 0) | (bit(slot->absent, page) ? IMAGE_ABSENT : 0), 1);
    bytes_put(w, slot->host + page * GPA_PAGE_SIZE, GPA_PAGE_SIZE);
}

/* Touched pages only: the others are as they were created. Ascending, so that equal machines give equal bytes whatever the
 * order of their writes was. */
static void write_pages(struct byte_writer *w, const struct slot *slot)
{
    for (uint64_t i = 0; i < BITMAP_WORDS(slot); i++)
        for (uint64_t left = slot->touched[i]; left; left &= left - 1)
            write_page(w, slot, (uint32_t)(i * 64) + (uint32_t)__builtin_ctzll(left));
}

void memory_image_write(struct byte_writer *w, const struct memory *mem)
{
    bytes_put_uint(w, mem->count, 4);
    for (unsigned i = 0; i < mem->count; i++) {
        const struct slot *slot = &mem->slots[i];
        bool rom = slot->flags & SLOT_READONLY;
        bytes_put_uint(w, slot->gpa, 8);
        bytes_put_uint(w, slot->size, 8);
        bytes_put_uint(w, slot->flags, 4);
        bytes_put_uint(w, rom ? 0 : slot->touched_count, 4);
        if (!rom)
            write_pages(w, slot);
    }
}

static const char *read_pages(struct byte_reader *r, struct image_slot *slot)
{
    uint64_t below = 0; /* page numbers so far are below this */

    slot->bytes = r->data + r->pos;
    slot->has_absent = false;
    for (uint32_t i = 0; i < slot->pages; i++) {
        uint64_t page, marks;
        if (!bytes_take_uint(r, &page, 4) || !bytes_take_uint(r, &marks, 1) || !bytes_take(r, GPA_PAGE_SIZE))
            return "memory: a page is cut short";
        if (page < below || page >= slot->size / GPA_PAGE_SIZE)
            return "memory: page number out of order or beyond its slot";
        if ((marks & ~(uint64_t)(IMAGE_DIRTY | IMAGE_ABSENT)) ||
            ((marks & IMAGE_DIRTY) && !(slot->flags & SLOT_DIRTY_LOG)))
            return "memory: dirty mark";
        slot->has_absent |= (marks & IMAGE_ABSENT) != 0;
        below = page + 1;
    }
    return NULL;
}

static const char *read_slot(struct byte_reader *r, struct image_slot *slot)
{
    uint64_t flags, pages;

    if (!bytes_take_uint(r, &slot->gpa, 8) || !bytes_take_uint(r, &slot->size, 8) ||
        !bytes_take_uint(r, &flags, 4) || !bytes_take_uint(r, &pages, 4))
        return "memory: a slot is cut short";
    if (!slot->size || (slot->gpa | slot->size) % GPA_PAGE_SIZE || slot->gpa + slot->size < slot->gpa)
        return "memory: slot address or size";
    if (slot->size / GPA_PAGE_SIZE > UINT32_MAX || pages > slot->size / GPA_PAGE_SIZE)
        return "memory: number of pages";
    if (flags & ~(uint64_t)SLOT_FLAGS)
        return "memory: slot flags";
    if ((flags & SLOT_READONLY) && pages)
        return "memory: a read-only slot with pages";
    slot->flags = (uint32_t)flags;
    slot->pages = (uint32_t)pages;
    return read_pages(r, slot);
}

static bool overlap(const struct image_slot *a, const struct image_slot *b)
{
    return a->gpa < b->gpa + b->size && b->gpa < a->gpa + a->size;
}

const char *memory_image_read(struct byte_reader *r, struct memory_image *image)
{
    uint64_t count;

    if (!bytes_take_uint(r, &count, 4) || count > MEMORY_SLOTS)
        return "memory: number of slots";
    image->count = (uint32_t)count;
    for (uint32_t i = 0; i < image->count; i++) {
        const char *why = read_slot(r, &image->slots[i]);
        if (why)
            return why;
        for (uint32_t j = 0; j < i; j++)
            if (overlap(&image->slots[i], &image->slots[j]))
                return "memory: slots overlap";
    }
    return NULL;
}

/* A slot of the machine that can hold what the image's slot holds, wherever its dirty log stands. */
static struct slot *existing(struct memory *mem, const struct image_slot *want)
{
    for (unsigned i = 0; i < mem->count; i++) {
        struct slot *s = &mem->slots[i];
        if (s->gpa == want->gpa && s->size == want->size && !((s->flags ^ want->flags) & SLOT_READONLY))
            return s;
    }
    return NULL;
}

/* All that a commit needs, so that it cannot fail. */
struct plan {
    struct memory fresh; /* slots that the machine lacks */
    /* Bitmaps that existing slots lack, by the image's order. */
    uint64_t *logs[MEMORY_SLOTS];
    uint64_t *absent[MEMORY_SLOTS];
};

static void plan_free(struct plan *plan)
{
    memory_free(&plan->fresh);
    for (int i = 0; i < MEMORY_SLOTS; i++) {
        free(plan->logs[i]);
        free(plan->absent[i]);
    }
}

static int plan_slot(struct plan *plan, uint32_t n, const struct image_slot *want, struct memory *mem,
                     uint64_t *added, const char **why)
{
    const struct slot *slot = existing(mem, want);

    if (want->has_absent && !(slot && slot->absent)) {
        plan->absent[n] = calloc(BITMAP_WORDS(want), sizeof(uint64_t));
        if (!plan->absent[n])
            return -ENOMEM;
    }
    if (slot) {
        if (slot->dirty || !(want->flags & SLOT_DIRTY_LOG))
            return 0;
        plan->logs[n] = calloc(BITMAP_WORDS(want), sizeof(uint64_t));
        return plan->logs[n] ? 0 : -ENOMEM;
    }
    if (want->flags & SLOT_READONLY) {
        *why = "memory: a read-only slot that this machine lacks";
        return -EINVAL;
    }
    if (want->size > IMAGE_NEW_RAM_MAX - *added) {
        *why = "memory: more RAM than a snapshot may add";
        return -EINVAL;
    }
    *added += want->size;
    return memory_slot_add(&plan->fresh, want->gpa, want->size, want->flags);
}

static void fill(struct memory *mem, struct slot *slot, const struct image_slot *from)
{
    const uint8_t *p = from->bytes;

    if (slot->dirty)
        memset(slot->dirty, 0, BITMAP_WORDS(slot) * sizeof(uint64_t));
    for (uint32_t i = 0; i < from->pages; i++, p += PAGE_RECORD) {
        uint32_t page;
        memcpy(&page, p, sizeof(page));
        memcpy(slot->host + page * GPA_PAGE_SIZE, p + 5, GPA_PAGE_SIZE);
        slot->touched[page / 64] |= 1ull << page % 64;
        slot->touched_list[slot->touched_count++] = page;
        if (p[4] & IMAGE_DIRTY)
            slot->dirty[page / 64] |= 1ull << page % 64;
        if (p[4] & IMAGE_ABSENT) {
            slot->absent[page / 64] |= 1ull << page % 64;
            mem->absent_pages++;
        }
    }
}

static void set_log(struct slot *slot, uint32_t flags, uint64_t **log)
{
    slot->flags = flags;
    if (!(flags & SLOT_DIRTY_LOG)) {
        free(slot->dirty);
        slot->dirty = NULL;
    } else if (!slot->dirty) {
        slot->dirty = *log;
        *log = NULL;
    }
}

/* Moves every slot that the image names into the new list, in the image's order; the others are freed. */
static void commit(const struct memory_image *image, struct memory *mem, struct plan *plan)
{
    bool same_layout = image->count == mem->count && !plan->fresh.count;
    struct memory next = {.slot_generation = mem->slot_generation + !same_layout,
                          .paged_in = mem->paged_in,
                          .paged_in_ctx = mem->paged_in_ctx};

    memory_reset(mem);
    for (uint32_t i = 0; i < image->count; i++) {
        const struct image_slot *want = &image->slots[i];
        struct slot *from = existing(mem, want), *to = &next.slots[next.count++];
        if (!from)
            from = existing(&plan->fresh, want);
        *to = *from;
        *from = (struct slot){0};
        set_log(to, want->flags, &plan->logs[i]);
        if (plan->absent[i]) {
            to->absent = plan->absent[i];
            plan->absent[i] = NULL;
        }
        fill(&next, to, want);
    }
    next.generation = mem->generation + 1;
    memory_free(mem);
    *mem = next;
}

int memory_image_apply(const struct memory_image *image, struct memory *mem, const char **why)
{
    struct plan plan = {0};
    uint64_t added = 0;
    int err = 0;

    *why = "memory: not enough host memory";
    for (uint32_t i = 0; i < image->count && !err; i++)
        err = plan_slot(&plan, i, &image->slots[i], mem, &added, why);
    if (!err)
        commit(image, mem, &plan);
    plan_free(&plan);
    return err;
}

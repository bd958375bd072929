/* Finds the decoded block for CS:RIP and keeps the cache true when code is written (Intel SDM vol. 3, 12.6). */
#include <errno.h>
#include <stdlib.h>
#include "vmm/cpu/block.h"
#include "vmm/cpu/decode.h"
#include "vmm/cpu/mem.h"

int code_cache_create(struct code_cache **out, struct memory *mem)
{
    struct code_cache *cache = calloc(1, sizeof(*cache)); /* lazily backed: only what is used costs memory */

    if (!cache)
        return -ENOMEM;
    cache->mem = mem;
    cache->mem_generation = mem->generation;
    ZydisDecoderInit(&cache->decoders[MODE_16], ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
    ZydisDecoderInit(&cache->decoders[MODE_32], ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
    ZydisDecoderInit(&cache->decoders[MODE_64], ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    *out = cache;
    return 0;
}

void code_cache_destroy(struct code_cache *cache)
{
    free(cache);
}

/* The memory of a doubted block stays until the pools are recycled: it may be the one that runs. */
static void doubt_page(struct code_page *page)
{
    for (struct block *b = page->blocks; b; b = b->next_in_page)
        b->doubted = true;
    page->blocks = NULL;
    page->chunks = 0;
}

void code_cache_flush(struct code_cache *cache)
{
    for (unsigned n = 0; n < cache->pages_used; n++)
        doubt_page(&cache->pages[n]);
    cache->mem_generation = cache->mem->generation;
}

static void pools_recycle(struct code_cache *cache)
{
    memset(cache->block_hash, 0, sizeof(cache->block_hash));
    memset(cache->page_hash, 0, sizeof(cache->page_hash));
    cache->blocks_used = cache->insns_used = cache->bytes_used = cache->pages_used = 0;
    for (struct cpu *cpu = cache->cpus; cpu; cpu = cpu->next)
        jumps_forget(cpu);
}

static unsigned page_bucket(uint64_t page)
{
    return (unsigned)(page >> 12) & (PAGE_HASH - 1);
}

static unsigned block_bucket(uint64_t gpa, uint8_t mode)
{
    return (unsigned)((gpa ^ gpa >> 13) * 5 + mode) & (BLOCK_HASH - 1);
}

struct code_page *code_page(struct code_cache *cache, uint64_t gpa)
{
    uint64_t page = gpa & PAGE_MASK;
    struct code_page *p = cache->page_hash[page_bucket(page)];

    while (p && p->gpa != page)
        p = p->next;
    return p && p->blocks ? p : NULL;
}

/* Bits of code_page.chunks for len bytes at gpa, all in one page. */
static uint64_t chunk_bits(uint64_t gpa, uint64_t len)
{
    unsigned first = (unsigned)(gpa & ~PAGE_MASK) >> 6, last = (unsigned)((gpa + len - 1) & ~PAGE_MASK) >> 6;

    return (~0ull << first) & (~0ull >> (63 - last));
}

bool code_invalidate(struct code_cache *cache, uint64_t gpa, uint64_t len)
{
    struct code_page *page = code_page(cache, gpa);

    if (!page || !(page->chunks & chunk_bits(gpa, len)))
        return false;
    doubt_page(page);
    return true;
}

void code_cache_written(struct code_cache *cache, uint64_t gpa, uint64_t len)
{
    while (len) {
        uint64_t part = GPA_PAGE_SIZE - (gpa & ~PAGE_MASK);

        part = part < len ? part : len;
        code_invalidate(cache, gpa, part);
        gpa += part;
        len -= part;
    }
}

/* The block is what its page holds now: stores there must be noticed. */
static void block_trust(struct code_cache *cache, struct block *block)
{
    uint64_t addr = block->gpa & PAGE_MASK;
    struct code_page **bucket = &cache->page_hash[page_bucket(addr)], *page = *bucket;

    while (page && page->gpa != addr)
        page = page->next;
    if (!page) {
        page = &cache->pages[cache->pages_used++];
        *page = (struct code_page){.next = *bucket, .gpa = addr};
        *bucket = page;
    }
    if (!page->blocks)
        for (struct cpu *cpu = cache->cpus; cpu; cpu = cpu->next)
            tlb_protect(cpu, addr);
    block->doubted = false;
    block->next_in_page = page->blocks;
    page->blocks = block;
    page->chunks |= chunk_bits(block->gpa, block->length);
}

static void pools_make_room(struct code_cache *cache)
{
    if (cache->blocks_used == POOL_BLOCKS || cache->insns_used + BLOCK_INSNS > POOL_INSNS ||
        cache->bytes_used + BLOCK_INSNS * ZYDIS_MAX_INSTRUCTION_LENGTH > POOL_BYTES ||
        cache->pages_used == POOL_PAGES)
        pools_recycle(cache);
}

static void block_unhash(struct code_cache *cache, struct block *block)
{
    struct block **link = &cache->block_hash[block_bucket(block->gpa, block->mode)];

    while (*link != block)
        link = &(*link)->next;
    *link = block->next;
}

/* The block that was decoded from these bytes at gpa. One that was decoded from others is forgotten. */
static struct block *block_lookup(struct code_cache *cache, uint64_t gpa, uint8_t mode, const uint8_t *code)
{
    struct block *b = cache->block_hash[block_bucket(gpa, mode)];

    while (b && (b->gpa != gpa || b->mode != mode))
        b = b->next;
    if (!b || !b->doubted)
        return b;
    if (memcmp(b->bytes, code, b->length)) {
        block_unhash(cache, b);
        return NULL;
    }
    block_trust(cache, b);
    return b;
}

/* Decodes up to a branch, the page's end or BLOCK_INSNS. NULL: already the first instruction crosses the page. */
static struct block *block_build(struct cpu *cpu, const uint8_t *code, uint64_t gpa)
{
    struct code_cache *cache = cpu->cache;
    const ZydisDecoder *decoder = &cache->decoders[cpu->mode & MODE_SIZE];
    unsigned room = (unsigned)(GPA_PAGE_SIZE - (gpa & ~PAGE_MASK)), offset = 0, count = 0;
    struct block *block;
    struct insn *insns;

    pools_make_room(cache);
    insns = &cache->insns[cache->insns_used];
    while (count < BLOCK_INSNS) {
        enum decoded d = decode(decoder, cpu->mode, code + offset, room - offset, &insns[count]);

        if (d == DECODED_SHORT)
            break;
        insns[count].start = (uint16_t)offset;
        decode_rebase(&insns[count]);
        offset += insns[count++].length;
        if (d == DECODED_LAST || offset == room)
            break;
    }
    if (!count)
        return NULL;
    block = &cache->blocks[cache->blocks_used++];
    *block = (struct block){.gpa = gpa,
                            .mode = cpu->mode,
                            .count = (uint8_t)count,
                            .length = (uint16_t)offset,
                            .bytes = memcpy(&cache->bytes[cache->bytes_used], code, offset),
                            .insns = insns};
    cache->insns_used += count;
    cache->bytes_used += offset;
    block->next = cache->block_hash[block_bucket(gpa, cpu->mode)];
    cache->block_hash[block_bucket(gpa, cpu->mode)] = block;
    block_trust(cache, block);
    return block;
}

/* One instruction whose bytes lie in two pages; kept as long as linear address and bytes are the same. */
static struct block *straddler_find(struct cpu *cpu, uint64_t linear, const uint8_t *code, unsigned room)
{
    struct straddler *s = &cpu->straddlers[(linear >> 12) & (STRADDLERS - 1)];
    uint64_t second = linear + room, gpa;
    const uint8_t *rest;
    uint8_t bytes[15];

    if (!is_64bit(cpu))
        second &= 0xffffffff;
    rest = mem_fetch(cpu, second, &gpa);
    if (!rest)
        return NULL;
    memcpy(bytes, code, room);
    memcpy(bytes + room, rest, sizeof(bytes) - room);
    if (s->length && s->linear == linear && s->mode == cpu->mode && !memcmp(s->bytes, bytes, s->length))
        return &s->block;
    decode(&cpu->cache->decoders[cpu->mode & MODE_SIZE], cpu->mode, bytes, sizeof(bytes), &s->insn);
    s->insn.start = 0;
    decode_rebase(&s->insn);
    s->linear = linear;
    s->mode = cpu->mode;
    s->length = s->insn.length;
    memcpy(s->bytes, bytes, sizeof(bytes));
    s->block = (struct block){.mode = cpu->mode, .count = 1, .insns = &s->insn};
    return &s->block;
}

static struct block *block_find_slow(struct cpu *cpu, uint64_t linear, struct jump_entry *jump)
{
    struct block *block;
    const uint8_t *code;
    uint64_t gpa;

    if (!is_64bit(cpu) && cpu->rip > cpu->regs->seg[SREG_CS].limit) {
        raise_gp(cpu, 0);
        return NULL;
    }
    code = mem_fetch(cpu, linear, &gpa);
    if (!code)
        return NULL;
    block = block_lookup(cpu->cache, gpa, cpu->mode, code);
    if (!block)
        block = block_build(cpu, code, gpa);
    if (!block)
        return straddler_find(cpu, linear, code, (unsigned)(GPA_PAGE_SIZE - (gpa & ~PAGE_MASK)));
    *jump = (struct jump_entry){.linear = linear, .block = block, .mode = cpu->mode};
    return block;
}

struct block *block_find(struct cpu *cpu)
{
    uint64_t linear = is_64bit(cpu) ? cpu->rip : (cpu->regs->seg[SREG_CS].base + cpu->rip) & 0xffffffff;
    struct jump_entry *jump = &cpu->jumps[(linear ^ linear >> 10) & (JUMP_ENTRIES - 1)];

    if (jump->block && jump->linear == linear && jump->mode == cpu->mode && !jump->block->doubted)
        return jump->block;
    return block_find_slow(cpu, linear, jump);
}

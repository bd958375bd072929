/* The code cache: decoded blocks by guest-physical address and mode, dropped when their bytes are written. */
#ifndef VMM_CPU_BLOCK_H
#define VMM_CPU_BLOCK_H

#include <Zydis/Zydis.h>
#include "vmm/cpu/state.h"

#define BLOCK_HASH  8192u
#define PAGE_HASH   2048u
#define POOL_BLOCKS 16384u
#define POOL_INSNS  (POOL_BLOCKS * 6)
#define POOL_PAGES  4096u

struct code_page {
    struct code_page *next; /* hash chain */
    uint64_t gpa;
    uint64_t chunks; /* a bit per 64 bytes that some block was decoded from */
    struct block *blocks;
};

struct code_cache {
    struct memory *mem;
    uint32_t mem_generation; /* slots may have moved since: everything is forgotten then */
    uint64_t epoch;          /* grows when a block is dropped: jump caches compare it */
    struct cpu *cpus;
    ZydisDecoder decoders[3]; /* by MODE_16, MODE_32, MODE_64 */
    unsigned blocks_used, insns_used, pages_used;
    struct block *block_hash[BLOCK_HASH];
    struct code_page *page_hash[PAGE_HASH];
    struct block blocks[POOL_BLOCKS];
    struct code_page pages[POOL_PAGES];
    struct insn insns[POOL_INSNS];
};

/* The page record if blocks were decoded from that page, else NULL. */
struct code_page *code_page(struct code_cache *cache, uint64_t gpa);
/* True: [gpa, gpa+len) inside one page held code, and the page's blocks are gone. */
bool code_invalidate(struct code_cache *cache, uint64_t gpa, uint64_t len);
/* The block at CS:RIP, decoded now if need be. NULL: cpu->trap to deliver, or (TRAP_NONE) nothing to execute there. */
struct block *block_find(struct cpu *cpu);

#endif

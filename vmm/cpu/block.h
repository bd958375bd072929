/* The code cache: decoded blocks by guest-physical address and mode. A block whose bytes may have been written is doubted,
 * and runs again once they turn out to be the same: a reset that copies the same ROM again costs no decoding. */
#ifndef VMM_CPU_BLOCK_H
#define VMM_CPU_BLOCK_H

#include <Zydis/Zydis.h>
#include "vmm/cpu/state.h"

#define BLOCK_HASH  8192u
#define PAGE_HASH   2048u
#define POOL_BLOCKS 16384u
#define POOL_INSNS  (POOL_BLOCKS * 6)
#define POOL_BYTES  (POOL_INSNS * 4)
#define POOL_PAGES  4096u

struct code_page {
    struct code_page *next; /* hash chain */
    uint64_t gpa;
    uint64_t chunks;      /* a bit per 64 bytes that some block of this list was decoded from */
    struct block *blocks; /* those that are not doubted */
};

struct code_cache {
    struct memory *mem;
    uint32_t mem_generation; /* slots may have moved since: everything is doubted then */
    struct cpu *cpus;
    ZydisDecoder decoders[3]; /* by MODE_16, MODE_32, MODE_64 */
    unsigned blocks_used, insns_used, bytes_used, pages_used;
    struct block *block_hash[BLOCK_HASH];
    struct code_page *page_hash[PAGE_HASH];
    struct block blocks[POOL_BLOCKS];
    struct code_page pages[POOL_PAGES];
    struct insn insns[POOL_INSNS];
    uint8_t bytes[POOL_BYTES];
};

/* The page record if blocks of that page are not doubted, else NULL. */
struct code_page *code_page(struct code_cache *cache, uint64_t gpa);
/* True: [gpa, gpa+len) inside one page held code, and the page's blocks are doubted. */
bool code_invalidate(struct code_cache *cache, uint64_t gpa, uint64_t len);
/* The block at CS:RIP, decoded now if need be. NULL: cpu->trap to deliver, or (TRAP_NONE) nothing to execute there. */
struct block *block_find(struct cpu *cpu);

#endif

/* Page walks of the interpreter: rights, error codes, A/D bits, page sizes. Intel SDM vol. 3 ch. 4. */
#include "cpu_fixture.h"

#define PTE(va)  (FIX_PT + ((va) >> 12) * 8)
#define READ     "\x48\x8b\x03\xf4" /* mov rax, [rbx]; hlt */
#define WRITE    "\x48\x89\x03\xf4" /* mov [rbx], rax; hlt */
#define JUMP     "\xff\xe3"         /* jmp rbx */
#define READ32   "\x8b\x03\xf4"     /* mov eax, [ebx]; hlt */
#define P        1ull
#define W        2ull
#define U        4ull
#define ACCESSED 0x20ull
#define DIRTY    0x40ull
#define LARGE    0x80ull
#define NX       (1ull << 63)

static struct cpu_fixture f;
static void setup(void)
{
    fix_init(&f);
}
static void teardown(void)
{
    fix_done(&f);
}
TestSuite(cpu_paging, .init = setup, .fini = teardown);

/* Runs code with rbx = va under a leaf entry for FIX_DATA's page. */
static void touch(const char *code, size_t len, uint64_t va, uint64_t entry)
{
    fix_write64(&f, PTE(FIX_DATA), entry);
    fix_write(&f, FIX_CODE, code, len);
    f.regs->gpr[RBX] = va;
    cpu_tlb_flush(f.cpu);
    fix_run_to_hlt(&f);
}
#define TOUCH(code, va, entry) touch(code, sizeof(code) - 1, va, entry)

/* A page fault was delivered: vector 14 with this error code and CR2. */
static void expect_fault(uint64_t error, uint64_t va)
{
    cr_assert(eq(int, fix_vector(&f), TRAP_PF));
    cr_assert(eq(u64, fix_read64(&f, f.regs->gpr[RSP]), error));
    cr_assert(eq(u64, f.regs->cr2, va));
}

Test(cpu_paging, a_missing_page_faults_with_the_kind_of_access)
{
    TOUCH(READ, FIX_DATA + 8, 0);
    expect_fault(0, FIX_DATA + 8);
    fix_long_mode(&f);
    TOUCH(WRITE, FIX_DATA + 8, 0);
    expect_fault(2, FIX_DATA + 8);
    fix_long_mode(&f);
    fix_user(&f);
    TOUCH(READ, FIX_DATA, 0);
    expect_fault(4, FIX_DATA);
}

Test(cpu_paging, supervisor_writes_to_read_only_pages_depend_on_WP)
{
    TOUCH(WRITE, FIX_DATA, FIX_DATA | P | U);
    expect_fault(3, FIX_DATA);
    fix_long_mode(&f);
    f.regs->cr0 &= ~CR0_WP;
    TOUCH(WRITE, FIX_DATA, FIX_DATA | P | U);
    cr_assert(eq(int, fix_vector(&f), -1));
}

Test(cpu_paging, user_code_does_not_reach_supervisor_pages)
{
    fix_user(&f);
    TOUCH(READ, FIX_DATA, FIX_DATA | P | W);
    expect_fault(5, FIX_DATA);
    fix_long_mode(&f);
    fix_user(&f);
    TOUCH(WRITE, FIX_DATA, FIX_DATA | P | U);
    expect_fault(7, FIX_DATA);
}

Test(cpu_paging, a_translation_of_the_supervisor_is_none_for_the_user)
{
    TOUCH(READ, FIX_DATA, FIX_DATA | P | W);
    cr_assert(eq(int, fix_vector(&f), -1));
    f.regs->rip = FIX_CODE;
    fix_user(&f);
    fix_run_to_hlt(&f);
    expect_fault(5, FIX_DATA);
}

Test(cpu_paging, no_execute_faults_on_the_fetch_only)
{
    TOUCH(READ, FIX_DATA, FIX_DATA | P | W | NX);
    cr_assert(eq(int, fix_vector(&f), -1));
    fix_long_mode(&f);
    TOUCH(JUMP, FIX_DATA, FIX_DATA | P | W | NX);
    expect_fault(0x11, FIX_DATA);
}

Test(cpu_paging, reserved_bits_fault)
{
    TOUCH(READ, FIX_DATA, FIX_DATA | P | W | 1ull << 51);
    expect_fault(9, FIX_DATA);
    fix_long_mode(&f);
    f.regs->efer &= ~EFER_NXE;
    TOUCH(READ, FIX_DATA, FIX_DATA | P | W | NX);
    expect_fault(9, FIX_DATA);
}

Test(cpu_paging, accessed_and_dirty_bits_follow_the_access)
{
    TOUCH(READ, FIX_DATA, FIX_DATA | P | W);
    cr_assert(eq(u64, fix_read64(&f, PTE(FIX_DATA)) & (ACCESSED | DIRTY), ACCESSED));
    f.regs->rip = FIX_CODE;
    FIX_CODE_AT(&f, FIX_CODE, WRITE);
    fix_run_to_hlt(&f);
    cr_assert(eq(u64, fix_read64(&f, PTE(FIX_DATA)) & (ACCESSED | DIRTY), ACCESSED | DIRTY));
    cr_assert(eq(u64, fix_read64(&f, FIX_PML4) & (ACCESSED | DIRTY), ACCESSED));
}

Test(cpu_paging, a_refused_write_sets_no_dirty_bit)
{
    TOUCH(WRITE, FIX_DATA, FIX_DATA | P | U);
    cr_assert(zero(u64, fix_read64(&f, PTE(FIX_DATA)) & DIRTY));
}

Test(cpu_paging, a_store_across_pages_is_all_or_nothing)
{
    fix_write64(&f, FIX_DATA - 8, 0x1111111111111111);
    f.regs->gpr[RAX] = ~0ull;
    TOUCH(WRITE, FIX_DATA - 4, 0);
    expect_fault(2, FIX_DATA);
    cr_assert(eq(u64, fix_read64(&f, FIX_DATA - 8), 0x1111111111111111));
}

Test(cpu_paging, a_store_across_pages_reaches_both)
{
    fix_write64(&f, PTE(FIX_DATA - 1), 0x120000 | P | W); /* not neighbours in physical memory */
    f.regs->gpr[RAX] = 0x8877665544332211;
    TOUCH(WRITE, FIX_DATA - 4, FIX_DATA | P | W);
    cr_assert(eq(u64, fix_read64(&f, 0x120ff8) >> 32, 0x44332211));
    cr_assert(eq(u64, fix_read64(&f, FIX_DATA) & 0xffffffff, 0x88776655));
}

Test(cpu_paging, large_pages_translate)
{
    fix_write64(&f, FIX_DATA + 0x18, 0xabcd);
    fix_write64(&f, FIX_PD + 8 * 5, 0 | P | W | LARGE); /* 2 MiB */
    TOUCH(READ, 5 * 0x200000ull + FIX_DATA + 0x18, FIX_DATA | P | W);
    cr_assert(eq(u64, f.regs->gpr[RAX], 0xabcd));
    fix_long_mode(&f);
    fix_write64(&f, FIX_PDPT + 8 * 3, 0 | P | W | LARGE); /* 1 GiB */
    TOUCH(READ, 3 * 0x40000000ull + FIX_DATA + 0x18, FIX_DATA | P | W);
    cr_assert(eq(u64, f.regs->gpr[RAX], 0xabcd));
}

Test(cpu_paging, invlpg_makes_a_changed_entry_seen)
{
    fix_write64(&f, FIX_DATA, 1);
    fix_write64(&f, FIX_DATA + 0x1000, 2);
    f.regs->gpr[RDX] = PTE(FIX_DATA);
    f.regs->gpr[RSI] = (FIX_DATA + 0x1000) | P | W;
    /* mov rax, [rbx]; mov [rdx], rsi; invlpg [rbx]; mov rcx, [rbx]; hlt */
    TOUCH("\x48\x8b\x03\x48\x89\x32\x0f\x01\x3b\x48\x8b\x0b\xf4", FIX_DATA, FIX_DATA | P | W);
    cr_assert(eq(u64, f.regs->gpr[RAX], 1));
    cr_assert(eq(u64, f.regs->gpr[RCX], 2));
}

Test(cpu_paging, a_non_canonical_address_is_a_general_protection_fault)
{
    TOUCH(READ, 0x800000000000, FIX_DATA | P | W);
    cr_assert(eq(int, fix_vector(&f), TRAP_GP));
    cr_assert(zero(u64, fix_read64(&f, f.regs->gpr[RSP])));
}

Test(cpu_paging, two_level_paging_with_4_mib_pages)
{
    uint32_t entries[3] = {0x83, 0x30000 | 3, 0}, leaf = FIX_DATA | 3;

    fix_protected_mode(&f);
    fix_write(&f, 0x31000, entries, sizeof(entries)); /* the directory: a 4 MiB page, a table */
    fix_write(&f, 0x30000, &leaf, 4);
    fix_write64(&f, FIX_DATA, 0x12345678);
    f.regs->cr3 = 0x31000;
    f.regs->cr4 = 0x10;
    f.regs->cr0 |= CR0_PG;
    FIX_CODE_AT(&f, FIX_CODE, READ32);
    f.regs->gpr[RBX] = 0x400000;
    fix_run_to_hlt(&f);
    cr_assert(eq(u64, f.regs->gpr[RAX], 0x12345678));
}

Test(cpu_paging, pae_paging)
{
    fix_protected_mode(&f);
    fix_write64(&f, 0x31000, FIX_PD | 1); /* the four top entries carry no rights */
    f.regs->cr3 = 0x31000;
    f.regs->cr4 = CR4_PAE;
    f.regs->cr0 |= CR0_PG;
    fix_write64(&f, PTE(FIX_DATA), 0x130000 | P | W);
    fix_write64(&f, 0x130000, 0x5678);
    FIX_CODE_AT(&f, FIX_CODE, READ32);
    f.regs->gpr[RBX] = FIX_DATA;
    fix_run_to_hlt(&f);
    cr_assert(eq(u64, f.regs->gpr[RAX], 0x5678));
}

/* REP MOVS and STOS, which the interpreter does a page at a time: what is to be seen is element by element. Intel SDM vol. 2,
 * REP; vol. 3 ch. 6.15 and 21. */
#include "cpu_fixture.h"

#define CODE "\xf3\x66\x2e\xa5\xf4" /* rep movsd es:[di], cs:[si]; hlt */
#define FROM 0x1000ull              /* in CS, whose base is 0 */
#define TO   0x30100ull             /* base of ES: no page begins there */

static struct cpu_fixture f;
static void setup(void)
{
    fix_init(&f);
    fix_real_mode(&f);
    FIX_CODE_AT(&f, 0x7c00, CODE);
    f.regs->seg[SREG_ES] = fix_segment(TO >> 4, 0x93, 0xffff);
    f.regs->seg[SREG_ES].base = TO;
    for (uint64_t n = 0; n < 0x2000; n += 8)
        fix_write64(&f, FROM + n, 0x0101010101010101 * (n / 8 % 256) + 1);
}
static void teardown(void)
{
    fix_done(&f);
}
TestSuite(cpu_strings, .init = setup, .fini = teardown);

static void copy(uint64_t si, uint64_t di, uint64_t cx)
{
    f.regs->gpr[RSI] = si;
    f.regs->gpr[RDI] = di;
    f.regs->gpr[RCX] = cx;
    f.regs->rip = 0x7c00;
    fix_run_to_hlt(&f);
}

static void expect_registers(uint64_t si, uint64_t di, uint64_t cx)
{
    cr_assert(eq(u64, f.regs->gpr[RSI], si));
    cr_assert(eq(u64, f.regs->gpr[RDI], di));
    cr_assert(eq(u64, f.regs->gpr[RCX], cx));
}

Test(cpu_strings, pages_are_copied_between_segments)
{
    copy(FROM + 4, 2, 0x400);
    expect_registers(FROM + 4 + 0x1000, 2 + 0x1000, 0);
    for (uint64_t n = 0; n < 0x1000; n += 8)
        cr_assert(eq(u64, fix_read64(&f, TO + 2 + n), fix_read64(&f, FROM + 4 + n)));
    cr_assert(eq(u64, fix_read64(&f, TO + 2 + 0x1000), 0));
}

Test(cpu_strings, a_segment_ends_at_its_element)
{
    f.regs->seg[SREG_ES].limit = 0x8ff;
    FIX_CODE_AT(&f, 0x5000, "\xf4"); /* the handler */
    fix_write64(&f, TRAP_GP * 4, 0x5000);
    copy(FROM, 0x8f3, 9);
    cr_assert(eq(u64, f.regs->rip, 0x5000));
    expect_registers(FROM + 12, 0x8ff, 6);
    cr_assert(eq(u64, fix_read64(&f, TO + 0x8f7), fix_read64(&f, FROM + 4)));
    cr_assert(eq(u64, fix_read64(&f, TO + 0x8ff), 0));
}

Test(cpu_strings, an_address_wraps_at_its_size)
{
    f.regs->seg[SREG_ES].limit = 0xffffffff; /* flat real mode: the segment has no end there */
    copy(FROM, 0xfff8, 4);
    expect_registers(FROM + 16, 8, 0);
    cr_assert(eq(u64, fix_read64(&f, TO + 0xfff8), fix_read64(&f, FROM)));
    cr_assert(eq(u64, fix_read64(&f, TO), fix_read64(&f, FROM + 8)));
    cr_assert(eq(u64, fix_read64(&f, TO + 0x10000), 0));
}

Test(cpu_strings, an_overlapping_copy_repeats_its_pattern)
{
    f.regs->seg[SREG_ES].base = 0;
    copy(FROM, FROM + 4, 6);
    for (uint64_t n = 0; n < 7; n++)
        cr_assert(eq(u64, fix_read64(&f, FROM + 4 * n) & 0xffffffff, fix_read64(&f, FROM) & 0xffffffff));
}

Test(cpu_strings, what_a_copy_puts_over_code_is_executed)
{
    FIX_CODE_AT(&f, 0x7c00, CODE "\xeb\x00"); /* hlt; jmp on */
    f.regs->seg[SREG_ES].base = 0;
    FIX_CODE_AT(&f, FROM, "\x43\x43\x43\xf4"); /* inc bx, three times; hlt */
    copy(FROM, 0x7c04, 1);
    cr_assert(eq(u64, f.regs->gpr[RBX], 3));
    cr_assert(eq(u64, f.regs->rip, 0x7c07));
}

Test(cpu_strings, stores_of_every_size_fill)
{
    static const struct {
        const char *code;
        unsigned len;
        uint64_t shown;
    } rows[] = {
        {"\xf3\xaa\xf4", 3, 0x7878787878787878},     /* stosb */
        {"\xf3\xab\xf4", 3, 0x5678567856785678},     /* stosw */
        {"\xf3\x66\xab\xf4", 4, 0x1234567812345678}, /* stosd */
    };

    for (unsigned n = 0; n < sizeof(rows) / sizeof(rows[0]); n++) {
        fix_write(&f, 0x7c00, rows[n].code, rows[n].len);
        f.regs->gpr[RAX] = 0x12345678;
        copy(0, 0x40 * n, 8);
        expect_registers(0, 0x40 * n + (8u << n), 0);
        cr_assert(eq(u64, fix_read64(&f, TO + 0x40 * n), rows[n].shown));
        cr_assert(eq(u64, fix_read64(&f, TO + 0x40 * n + (8u << n)), 0));
    }
}

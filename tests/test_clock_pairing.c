/* CLOCK_PAIRING: what it refuses and the 64 bytes it writes. spec PAIR-*. */
#include "tests/hypercall_fixture.h"

/* CLOCK_PAIRING. */
#define PAIR_ROW(name, a0, a1, want)                                                                         \
    Test(hypercall, PAIR_4_##name)                                                                           \
    {                                                                                                        \
        FAKE_VM(f);                                                                                          \
        start(&f);                                                                                           \
        cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_CLOCK_PAIRING, a0, a1, 0, 0), (uint64_t)(want)));         \
    }
PAIR_ROW(good, 0x2000, 0, 0)
PAIR_ROW(unknown_clock, 0x2000, 1, -95)
PAIR_ROW(no_memory, HOLE, 0, -14)
PAIR_ROW(type_is_checked_before_memory, HOLE, 1, -95)
PAIR_ROW(end_of_ram, FAKE_RAM_SIZE - 32, 0, -14)
PAIR_ROW(clock_type_is_64_bits, 0x2000, 1ull << 32, -95)

Test(hypercall, PAIR_1_is_open_whatever_is_enforced_and_takes_two_arguments)
{
    FAKE_VM(f);
    fake_vm_create(&f, &fake_config, true);
    fake_set_features(&f, 0);
    vcpu_set_enforce(f.vcpu, true);
    cpu_mode(f.vcpu, true, true, 0);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_CLOCK_PAIRING, 0x2000, 0, ~0ull, ~0ull), 0));
    cr_assert(ne(u32, ram_u32(&f, 0x2000), 0));
}

Test(hypercall, PAIR_2_the_clock_type_is_checked_before_anything_is_written)
{
    FAKE_VM(f);
    start(&f);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_CLOCK_PAIRING, 0x2000, 1, 0, 0), (uint64_t)-95));
    cr_assert(eq(u64, f.vm.trace.total, 0));
    cr_assert(eq(u32, ram_u32(&f, 0x2000), 0));
}

Test(hypercall, PAIR_3_all_64_bytes_are_written)
{
    FAKE_VM(f);
    struct kvm_clock_pairing pairing;
    start(&f);
    ram_fill(&f, 0x2ff0, 0xaa, 80);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_CLOCK_PAIRING, 0x2ff1, 0, 0, 0), 0)); /* crosses, unaligned */
    ram_read(&f, 0x2ff1, &pairing, sizeof(pairing));
    cr_assert(eq(i64, pairing.sec, 1700000000));
    cr_assert(eq(i64, pairing.nsec, 123456789));
    cr_assert(eq(u64, pairing.tsc, vcpu_tsc(f.vcpu)));
    cr_assert(eq(u32, pairing.flags, 0));
    for (int i = 0; i < 9; i++)
        cr_assert(eq(u32, pairing.pad[i], 0)); /* known bug KB-51 */
    cr_assert(eq(u32, ram_u32(&f, 0x3031), 0xaaaaaaaa));
}

Test(hypercall, PAIR_2_needs_a_tsc_clocksource)
{
    FAKE_VM(f);
    fake_vm_create(&f, &fake_config, false);
    cpu_mode(f.vcpu, true, true, 0);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_CLOCK_PAIRING, 0x2000, 0, 0, 0), (uint64_t)-95));
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_CLOCK_PAIRING, HOLE, 0, 0, 0), (uint64_t)-95),
              "before the memory is looked at");
}

Test(hypercall, PAIR_4_32_bit_code_cuts_the_address)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    cpu_mode(f.vcpu, true, false, 0);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_CLOCK_PAIRING, 0xffffffff00002000, 0, 0, 0), 0));
}

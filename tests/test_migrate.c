/* Migration as QEMU does it on KVM: what arrives, what is lost, and what is done anew. spec SAV-3, SAV-5, QMU-7; QEMU flags
 * specification S1-S5, C6-C9. */
#include <errno.h>
#include "tests/fake_vm.h"
#include "vmm/board/migrate.h"
#include "vmm/pv/async_pf.h"
#include "vmm/pv/sched.h"

#define CLOCK 0x3000ull
#define STEAL 0x4000ull
#define EOI   0x5000ull
#define APF   0x7000ull
#define WALL  0x2000ull

struct pair {
    struct fake_vm from, to;
    struct kvmclock_device from_clock, to_clock;
};

static void pair_free(struct pair *p)
{
    fake_vm_free(&p->from);
    fake_vm_free(&p->to);
}
#define PAIR(name) __attribute__((cleanup(pair_free))) struct pair name = {0}

static void start(struct fake_vm *f, uint32_t features, struct kvmclock_device *clock)
{
    struct vm_config config = fake_config;

    config.vcpus = 2;
    fake_vm_create(f, &config, true);
    fake_set_features(f, features);
    for (int i = 0; i < 2; i++) {
        f->vm.vcpus[i].mp_state = MP_RUNNABLE;
        f->vm.vcpus[i].apic.svr |= APIC_SPIV_APIC_ENABLED;
    }
    kvmclock_device_create(clock, &f->vm);
    kvmclock_device_running(clock, &f->vm);
}

/* A guest that uses everything on vCPU 0, before it moves. */
static void guest(struct pair *p, uint32_t features)
{
    static const uint64_t writes[][2] = {
        {MSR_KVM_WALL_CLOCK, WALL},      {MSR_KVM_SYSTEM_TIME_NEW, CLOCK | 1},
        {MSR_KVM_STEAL_TIME, STEAL | 1}, {MSR_KVM_PV_EOI_EN, EOI | 1},
        {MSR_KVM_POLL_CONTROL, 0},       {MSR_KVM_ASYNC_PF_INT, 0xf3},
        {MSR_KVM_ASYNC_PF_EN, APF | 9},
    };

    start(&p->from, features, &p->from_clock);
    start(&p->to, features, &p->to_clock);
    for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++)
        cr_assert(eq(int, guest_wrmsr(&p->from, (uint32_t)writes[i][0], writes[i][1]), MSR_OK));
}

static void move(struct pair *p)
{
    char message[160];

    p->to.time = p->from.time;
    cr_assert(eq(int, board_migrate(&p->from.vm, &p->from_clock, &p->to.vm, &p->to_clock, message), 0), "%s",
              message);
    kvmclock_device_running(&p->to_clock, &p->to.vm);
}

static void let_pass(struct pair *p, uint64_t ns)
{
    fake_advance(&p->from, ns);
    fake_advance(&p->to, ns);
}

static uint64_t kvmclock(struct fake_vm *f)
{
    struct clock_data data;

    vm_get_clock(&f->vm, &data);
    return data.clock;
}

Test(migrate, SAV_3_every_register_arrives_and_works)
{
    PAIR(p);
    guest(&p, ALL_FEATURES);
    move(&p);
    cr_assert(eq(u64, guest_rdmsr(&p.to, MSR_KVM_WALL_CLOCK), WALL));
    cr_assert(eq(u64, guest_rdmsr(&p.to, MSR_KVM_SYSTEM_TIME), CLOCK | 1));
    cr_assert(eq(u64, guest_rdmsr(&p.to, MSR_KVM_STEAL_TIME), STEAL | 1));
    cr_assert(eq(u64, guest_rdmsr(&p.to, MSR_KVM_PV_EOI_EN), EOI | 1));
    cr_assert(eq(u64, guest_rdmsr(&p.to, MSR_KVM_POLL_CONTROL), 0));
    cr_assert(eq(u64, guest_rdmsr(&p.to, MSR_KVM_ASYNC_PF_INT), 0xf3));
    cr_assert(eq(u64, guest_rdmsr(&p.to, MSR_KVM_ASYNC_PF_EN), APF | 9));
    uint32_t clock = ram_u32(&p.to, CLOCK), steal = ram_u32(&p.to, STEAL + 8);
    cr_assert(vcpu_enter(p.to.vcpu));
    cr_assert(lt(u32, clock, ram_u32(&p.to, CLOCK)), "known bug KB-32: the version goes on");
    cr_assert(eq(u32, ram_u32(&p.to, STEAL + 8), steal + 2));
    cr_assert(vcpu_area(p.to.vcpu, AREA_PV_EOI)->state == AREA_GOOD);
}

Test(migrate, SAV_3_the_wall_clock_is_written_at_once)
{
    PAIR(p);
    guest(&p, ALL_FEATURES);
    let_pass(&p, 5000000000);
    uint32_t version = ram_u32(&p.from, WALL);
    move(&p);
    cr_assert(lt(u32, version, ram_u32(&p.to, WALL)));
}

Test(migrate, SAV_3_enabling_async_pf_again_wakes_all_waiters) /* known bug KB-46: the vector comes first */
{
    PAIR(p);
    guest(&p, ALL_FEATURES);
    ram_put_u32(&p.from, APF + 4, 0);
    guest_wrmsr(&p.from, MSR_KVM_ASYNC_PF_ACK, 1);
    memset(p.from.vcpu->apic.irr, 0, sizeof(p.from.vcpu->apic.irr));
    move(&p);
    vcpu_enter(p.to.vcpu);
    cr_assert(eq(u32, ram_u32(&p.to, APF + 4), KVM_ASYNC_PF_WAKE_ALL));
    cr_assert(eq(u32, p.to.vcpu->apic.irr[0xf3 / 32], 1u << 0xf3 % 32));
}

Test(migrate, SAV_5_what_KVM_does_not_save_begins_anew)
{
    PAIR(p);
    struct trap trap;
    guest(&p, ALL_FEATURES);
    struct vcpu *from = p.from.vcpu, *to = p.to.vcpu;
    cpu_mode(from, true, true, 3);
    from->regs.rflags |= RFLAGS_IF;
    memory_page_out(&p.from.vm.memory, 0x20000);
    ram_put_u32(&p.from, 0x20000, 77);
    memory_page_out(&p.from.vm.memory, 0x20000);
    cr_assert(eq(int, apf_access(from, 0x20000, &trap), APF_FAULT));
    from->kicked = true;
    vcpu_kvmclock_ctrl(from);
    vcpu_deschedule(from);
    vcpu_schedule(from, 900);
    move(&p);
    cr_assert(eq(u32, to->apf.next_id, 1));
    cr_assert(eq(u8, to->apf.faults, 0));
    cr_assert(not(to->kicked));
    cr_assert(eq(u64, to->steal.run_delay_ns, 0));
    cr_assert(eq(u64, to->steal.waited_ns, 0));
    cr_assert(eq(u32, p.to.vm.memory.absent_pages, 0));
    cr_assert(eq(u32, ram_u32(&p.to, 0x20000), 77), "its content arrived");
}

Test(migrate, UNH_6_a_kicked_sleeper_arrives_awake)
{
    PAIR(p);
    guest(&p, ALL_FEATURES);
    vcpu_halt(&p.from.vm.vcpus[1]);
    vcpu_halt(p.from.vcpu);
    p.from.vm.vcpus[1].kicked = true;
    move(&p);
    cr_assert(eq(int, p.to.vm.vcpus[1].mp_state, MP_RUNNABLE));
    cr_assert(eq(int, p.to.vcpu->mp_state, MP_HALTED));
}

Test(migrate, RST_1_a_pending_INIT_is_done_before_the_state_is_read)
{
    PAIR(p);
    guest(&p, ALL_FEATURES);
    lapic_accept(&p.from.vm.vcpus[1], APIC_INIT, 0, false, true);
    move(&p);
    cr_assert(eq(int, p.to.vm.vcpus[1].mp_state, MP_WAIT_SIPI));
}

Test(migrate, EOI_10_an_offer_does_not_travel)
{
    PAIR(p);
    uint8_t byte;
    guest(&p, ALL_FEATURES);
    p.from.vcpu->regs.rflags |= RFLAGS_IF;
    ram_put_u32(&p.from, APF + 4, 0);
    memset(p.from.vcpu->apic.irr, 0, sizeof(p.from.vcpu->apic.irr));
    lapic_accept(p.from.vcpu, APIC_FIXED, 0x41, false, true);
    vcpu_enter(p.from.vcpu);
    cr_assert(eq(int, vcpu_take_interrupt(p.from.vcpu), 0x41));
    cr_assert(p.from.vcpu->eoi.pending);
    move(&p);
    ram_read(&p.to, EOI, &byte, 1);
    cr_assert(eq(u8, byte, 0));
    cr_assert(not(p.to.vcpu->eoi.pending));
    cr_assert(eq(int, lapic_isr_known(p.to.vcpu), -1), "EOI-5");
    cr_assert(lapic_irr_pending_hint(p.to.vcpu), "EOI-6");
}

Test(migrate, S4_registers_of_hidden_features_are_lost_and_the_clocks_are_not)
{
    PAIR(p);
    guest(&p, 0);
    move(&p);
    cr_assert(eq(u64, guest_rdmsr(&p.to, MSR_KVM_SYSTEM_TIME), CLOCK | 1), "QMU-7: always");
    cr_assert(eq(u64, guest_rdmsr(&p.to, MSR_KVM_WALL_CLOCK), WALL));
    cr_assert(eq(u64, guest_rdmsr(&p.to, MSR_KVM_STEAL_TIME), 0));
    cr_assert(eq(u64, guest_rdmsr(&p.to, MSR_KVM_PV_EOI_EN), 0));
    cr_assert(eq(u64, guest_rdmsr(&p.to, MSR_KVM_ASYNC_PF_EN), 0));
    cr_assert(eq(u64, guest_rdmsr(&p.to, MSR_KVM_POLL_CONTROL), 1));
}

Test(migrate, S1_and_SAV_4_the_order_of_the_writes)
{
    static const uint32_t order[] = {0x12, 0x11, 0x4b564d06, 0x4b564d02, 0x4b564d04, 0x4b564d03, 0x4b564d05};
    unsigned n = 0;

    for (unsigned i = 0; i < pv_msr_count; i++)
        if (pv_msrs[i].save)
            cr_assert(eq(u32, pv_msrs[i].index, order[n++]));
    cr_assert(eq(uint, n, sizeof(order) / sizeof(order[0])));
}

Test(migrate, S6_a_refused_register_ends_the_migration)
{
    PAIR(p);
    char message[160];
    guest(&p, ALL_FEATURES);
    p.to.vm.config.sched_info = false; /* a host that cannot do steal time */
    p.to.time = p.from.time;
    cr_assert(eq(int, board_migrate(&p.from.vm, &p.from_clock, &p.to.vm, &p.to_clock, message), -EINVAL));
    cr_assert(ne(ptr, strstr(message, "MSR 0x4b564d03"), NULL), "%s", message);
}

Test(migrate, refuses_another_number_of_vcpus)
{
    PAIR(p);
    char message[160];
    guest(&p, ALL_FEATURES);
    fake_vm_init(&p.to);
    cr_assert(eq(int, board_migrate(&p.from.vm, &p.from_clock, &p.to.vm, &p.to_clock, message), -EINVAL));
    cr_assert(ne(ptr, strstr(message, "vCPUs"), NULL));
}

Test(migrate, C6_of_a_running_vm_the_clock_is_read_at_the_migration)
{
    PAIR(p);
    guest(&p, ALL_FEATURES);
    let_pass(&p, 700);
    uint64_t then = kvmclock(&p.from);
    move(&p);
    cr_assert(eq(u64, kvmclock(&p.to), then));
}

Test(migrate, C6_of_a_paused_vm_the_clock_and_the_tscs_stay_at_the_pause)
{
    PAIR(p);
    guest(&p, ALL_FEATURES);
    let_pass(&p, 700);
    uint64_t then = kvmclock(&p.from), tsc = vcpu_tsc(p.from.vcpu);
    kvmclock_device_stopped(&p.from_clock, &p.from.vm);
    let_pass(&p, 3000000000);
    move(&p);
    cr_assert(eq(u64, kvmclock(&p.to), then));
    cr_assert(eq(u64, vcpu_tsc(p.to.vcpu), tsc));
}

Test(migrate, C9_the_clock_counts_from_the_first_cont)
{
    PAIR(p);
    char message[160];
    guest(&p, ALL_FEATURES);
    uint64_t then = kvmclock(&p.from);
    p.to.time = p.from.time;
    cr_assert(eq(int, board_migrate(&p.from.vm, &p.from_clock, &p.to.vm, &p.to_clock, message), 0));
    let_pass(&p, 5000);
    kvmclock_device_running(&p.to_clock, &p.to.vm);
    cr_assert(eq(u64, kvmclock(&p.to), then));
}

Test(migrate, QMU_9_the_guest_is_told_that_it_was_stopped)
{
    PAIR(p);
    guest(&p, ALL_FEATURES);
    move(&p);
    vcpu_enter(p.to.vcpu);
    cr_assert(eq(u8, clock_record(&p.to, CLOCK).flags, PVCLOCK_GUEST_STOPPED | PVCLOCK_TSC_STABLE_BIT));
}

Test(migrate, STB_3_tscs_that_agreed_agree_again)
{
    PAIR(p);
    guest(&p, ALL_FEATURES);
    let_pass(&p, 123456);
    uint64_t tsc = vcpu_tsc(p.from.vcpu);
    move(&p);
    cr_assert(eq(u64, vcpu_tsc(p.to.vcpu), tsc));
    cr_assert(eq(u64, vcpu_tsc(&p.to.vm.vcpus[1]), tsc));
    cr_assert(p.to.vm.vcpus[1].tsc_matched);
}

/* KVM drops the write without the CPUID bit, though it let the guest's TSC write move the register. */
Test(migrate, CLK_15_TSC_ADJUST_arrives_where_CPUID_has_it)
{
    PAIR(p);
    guest(&p, ALL_FEATURES);
    guest_wrmsr(&p.from, MSR_IA32_TSC_ADJUST, 777);
    move(&p);
    cr_assert(eq(u64, guest_rdmsr(&p.to, MSR_IA32_TSC_ADJUST), 777));
    p.from.vcpu->caps &= ~(uint32_t)CAP_TSC_ADJUST;
    p.to.vcpu->caps &= ~(uint32_t)CAP_TSC_ADJUST;
    vm_renew(&p.to.vm);
    move(&p);
    cr_assert(eq(u64, guest_rdmsr(&p.from, MSR_IA32_TSC_ADJUST), 777));
    cr_assert(eq(u64, guest_rdmsr(&p.to, MSR_IA32_TSC_ADJUST), 0));
}

Test(migrate, QMU_9_into_the_same_machine_renewed)
{
    struct kvmclock_device clock = {0};
    struct migration *migration;
    char message[160];
    FAKE_VM(f);
    start(&f, ALL_FEATURES, &clock);
    guest_wrmsr(&f, MSR_KVM_STEAL_TIME, STEAL | 1);
    ram_put_u32(&f, 0x9000, 123);
    f.vcpu->regs.gpr[R8] = 42;
    cr_assert(eq(int, board_migrate_save(&f.vm, &clock, &migration), 0));
    vm_renew(&f.vm);
    cr_assert(eq(int, board_migrate_load(migration, &f.vm, &clock, message), 0));
    board_migrate_free(migration);
    kvmclock_device_running(&clock, &f.vm);
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_KVM_STEAL_TIME), STEAL | 1));
    cr_assert(eq(u32, ram_u32(&f, 0x9000), 123));
    cr_assert(eq(u64, f.vcpu->regs.gpr[R8], 42));
}

Test(migrate, SAV_4_the_vector_is_restored_before_async_pf_is_enabled)
{
    PAIR(p);
    guest(&p, ALL_FEATURES);
    ram_put_u32(&p.from, APF + 4, 0);
    guest_wrmsr(&p.from, MSR_KVM_ASYNC_PF_ACK, 1);
    memset(p.from.vcpu->apic.irr, 0, sizeof(p.from.vcpu->apic.irr));
    move(&p);
    vcpu_enter(p.to.vcpu); /* the enable woke all, by an interrupt of the vector that came before it */
    cr_assert(eq(u8, p.to.vcpu->apf.vector, 0xf3));
    cr_assert(ne(u32, p.to.vcpu->apic.irr[0xf3 / 32] >> 0xf3 % 32 & 1, 0));
    cr_assert(eq(u32, p.to.vcpu->apic.irr[0], 0), "and not by vector 0");
}

/* The local APIC's timer: one-shot, periodic and TSC-deadline mode, in the time that env gives. Intel SDM vol. 3 11.5.4;
 * rate, smallest period and what masking does as in KVM's lapic.c. */
#include "vmm/apic/parts.h"

#define TICK_NS 1u /* the APIC's bus clock is 1 GHz */
/* KVM's min_timer_period_us: shorter ones would load the host more than they serve the guest. */
#define MIN_PERIOD_NS 200000u
/* 73 years: a deadline that far away is none, and no sum overflows. */
#define NEVER_NS (1ull << 61)

enum timer_mode { ONE_SHOT, PERIODIC, TSC_DEADLINE, RESERVED };

static enum timer_mode timer_mode(const struct lapic *apic)
{
    return (enum timer_mode)(apic->lvt[LVT_TIMER] >> 17 & 3);
}

/* SDM figure 11-10: bits 3, 1 and 0 are a number; 7 means 1, n means 2 to the n + 1. */
static unsigned divisor(uint32_t divide)
{
    unsigned n = (divide & 3) | (divide >> 1 & 4);

    return 1u << ((n + 1) & 7);
}

static uint64_t now_ns(const struct vcpu *vcpu)
{
    const struct env *env = &vcpu->vm->env;

    return env->now_ns(env->ctx);
}

/* 0 when the initial count is 0 (KB-05). */
static uint64_t period_ns(const struct lapic *apic)
{
    uint64_t ns = (uint64_t)apic->timer_initial * divisor(apic->timer_divide) * TICK_NS;

    return timer_mode(apic) == PERIODIC && ns && ns < MIN_PERIOD_NS ? MIN_PERIOD_NS : ns;
}

/* An expiry raises an interrupt now, rather than only being remembered. */
static bool can_deliver(const struct vcpu *vcpu)
{
    return lapic_hw_enabled(vcpu) && lapic_sw_enabled(vcpu) && !(vcpu->apic.lvt[LVT_TIMER] & APIC_LVT_MASKED);
}

void timer_deliver_pending(struct vcpu *vcpu)
{
    struct lapic *apic = &vcpu->apic;

    if (!apic->timer_pending || !can_deliver(vcpu))
        return;
    apic->timer_pending = false;
    lapic_local_interrupt(vcpu, LVT_TIMER);
    if (timer_mode(apic) == TSC_DEADLINE)
        apic->tsc_deadline = 0;
}

/* A period goes on from now in one step, however many of them were missed (KB-50). */
static void expire(struct vcpu *vcpu, uint64_t now)
{
    struct lapic *apic = &vcpu->apic;
    uint64_t period = period_ns(apic);

    if (timer_mode(apic) == PERIODIC && period)
        apic->timer_due_ns = now + period - (now - apic->timer_due_ns) % period;
    else
        apic->timer_due_ns = 0;
    apic->timer_pending = true;
    timer_deliver_pending(vcpu);
}

static void settle(struct vcpu *vcpu, uint64_t now)
{
    if (vcpu->apic.timer_due_ns && vcpu->apic.timer_due_ns <= now)
        expire(vcpu, now);
}

static void arm(struct vcpu *vcpu, uint64_t due_ns)
{
    vcpu->apic.timer_due_ns = due_ns;
    if (due_ns < vcpu->vm->timer_check_ns)
        vcpu->vm->timer_check_ns = due_ns;
}

void timer_cancel(struct vcpu *vcpu)
{
    vcpu->apic.timer_due_ns = 0;
    vcpu->apic.timer_pending = false;
}

void timer_write_lvt(struct vcpu *vcpu, uint32_t value)
{
    struct lapic *apic = &vcpu->apic;
    bool was_deadline = timer_mode(apic) == TSC_DEADLINE;

    settle(vcpu, now_ns(vcpu)); /* what is due came before this write */
    if (!(vcpu->caps & CAP_TSC_DEADLINE))
        value &= ~(1u << 18);
    apic->lvt[LVT_TIMER] = value;
    if (was_deadline != (timer_mode(apic) == TSC_DEADLINE)) {
        timer_cancel(vcpu);
        apic->timer_initial = 0;
        apic->tsc_deadline = 0;
    }
    timer_deliver_pending(vcpu);
}

void timer_write_initial(struct vcpu *vcpu, uint32_t value)
{
    struct lapic *apic = &vcpu->apic;
    uint64_t now = now_ns(vcpu);

    if (timer_mode(apic) == TSC_DEADLINE)
        return;
    settle(vcpu, now);
    timer_cancel(vcpu);
    apic->timer_initial = value;
    if (value && timer_mode(apic) != RESERVED)
        arm(vcpu, now + period_ns(apic));
}

/* What is left to count counts on at the new rate. */
void timer_write_divide(struct vcpu *vcpu, uint32_t value)
{
    struct lapic *apic = &vcpu->apic;
    uint64_t now = now_ns(vcpu);
    unsigned old = divisor(apic->timer_divide);

    settle(vcpu, now);
    apic->timer_divide = value & 0xb;
    if (apic->timer_due_ns && timer_mode(apic) != TSC_DEADLINE)
        arm(vcpu, now + (apic->timer_due_ns - now) / old * divisor(apic->timer_divide));
}

/* TSC cycles to nanoseconds, rounded up: the guest's TSC has reached the deadline when the interrupt comes. */
static uint64_t cycles_to_ns(const struct vm *vm, uint64_t cycles)
{
    unsigned __int128 ns = ((unsigned __int128)cycles * 1000000 + vm->env.tsc_khz - 1) / vm->env.tsc_khz;

    return ns > NEVER_NS ? NEVER_NS : (uint64_t)ns;
}

void timer_write_deadline(struct vcpu *vcpu, uint64_t value)
{
    struct lapic *apic = &vcpu->apic;
    uint64_t now = now_ns(vcpu), tsc = vcpu_tsc(vcpu), wait;

    if (!lapic_hw_enabled(vcpu) || timer_mode(apic) != TSC_DEADLINE)
        return;
    settle(vcpu, now);
    timer_cancel(vcpu);
    apic->tsc_deadline = value;
    wait = value > tsc ? cycles_to_ns(vcpu->vm, value - tsc) : 0;
    if (value && !wait)
        expire(vcpu, now);
    else if (value && wait < NEVER_NS)
        arm(vcpu, now + wait);
}

uint64_t timer_read_deadline(const struct vcpu *vcpu)
{
    return lapic_hw_enabled(vcpu) && timer_mode(&vcpu->apic) == TSC_DEADLINE ? vcpu->apic.tsc_deadline : 0;
}

uint32_t timer_current(const struct vcpu *vcpu)
{
    const struct lapic *apic = &vcpu->apic;
    uint64_t period = period_ns(apic), now = now_ns(vcpu), left;

    if (timer_mode(apic) == TSC_DEADLINE || !period || apic->timer_due_ns <= now)
        return 0;
    left = apic->timer_due_ns - now;
    return (uint32_t)(((left - 1) % period + 1) / (divisor(apic->timer_divide) * TICK_NS));
}

void lapic_timers_run(struct vm *vm)
{
    uint64_t now;

    if (vm->timer_check_ns == UINT64_MAX)
        return;
    now = vm->env.now_ns(vm->env.ctx);
    if (now < vm->timer_check_ns)
        return;
    vm->timer_check_ns = UINT64_MAX;
    for (unsigned i = 0; i < vm->config.vcpus; i++) {
        struct vcpu *vcpu = &vm->vcpus[i];
        settle(vcpu, now);
        if (vcpu->apic.timer_due_ns)
            arm(vcpu, vcpu->apic.timer_due_ns);
    }
}

uint64_t lapic_next_deadline_ns(const struct vm *vm)
{
    uint64_t next = UINT64_MAX;

    for (unsigned i = 0; i < vm->config.vcpus; i++) {
        const struct vcpu *vcpu = &vm->vcpus[i];
        uint64_t due = vcpu->apic.timer_due_ns;
        if (due && due < next && can_deliver(vcpu))
            next = due;
    }
    return next;
}

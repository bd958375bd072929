/* The list of entries in the order in which QEMU hands it to KVM. QEMU flags specification sections 8 and 14. */
#include "vmm/cpuid/state.h"

/* KVM's flags of leaf 2: it has state, and this entry is read next. */
#define FLAG_STATEFUL  2u
#define FLAG_READ_NEXT 4u

/* QEMU walks every number up to a level; leaves beyond these are zeros to it, so we stop here (N4). */
#define LAST_BASIC    0x24u
#define LAST_EXTENDED 0x80000021u
#define LAST_CENTAUR  0xc0000004u

void entry_add(struct cpuid_table *out, uint32_t leaf, uint32_t subleaf, uint32_t flags,
               struct cpuid_regs regs)
{
    if (out->count < CPUID_ENTRIES)
        out->entries[out->count++] = (struct cpuid_entry){leaf, subleaf, flags, regs};
}

static bool all_zero(struct cpuid_regs regs)
{
    return !(regs.eax | regs.ebx | regs.ecx | regs.edx);
}

static void add_plain(const struct cpu_state *state, struct cpuid_table *out, uint32_t leaf)
{
    struct cpuid_regs regs = leaf_regs(state, leaf, 0);

    if (!all_zero(regs))
        entry_add(out, leaf, 0, 0, regs);
}

/* Subleaves 0 to last. */
static void add_group(const struct cpu_state *state, struct cpuid_table *out, uint32_t leaf, uint32_t last)
{
    for (uint32_t subleaf = 0; subleaf <= last; subleaf++)
        entry_add(out, leaf, subleaf, CPUID_FLAG_SIGNIFICANT_INDEX, leaf_regs(state, leaf, subleaf));
}

static bool group_ends(uint32_t leaf, struct cpuid_regs regs)
{
    bool topology = leaf == 0xb || leaf == 0x1f;

    return topology ? !(regs.ecx & 0xff00) : !(regs.eax & 0x1f);
}

/* Subleaves up to and with the one that terminates them (N3). */
static void add_terminated(const struct cpu_state *state, struct cpuid_table *out, uint32_t leaf)
{
    for (uint32_t subleaf = 0; subleaf < 8; subleaf++) {
        struct cpuid_regs regs = leaf_regs(state, leaf, subleaf);

        entry_add(out, leaf, subleaf, CPUID_FLAG_SIGNIFICANT_INDEX, regs);
        if (group_ends(leaf, regs))
            return;
    }
}

/* QEMU skips subleaves whose EAX is zero, so that KVM's guest never reads a compacted size that no feature uses
 * (Opteron_G4); and 7.2's leftover: one zero entry for the last number tried. Without KVM there is no list. */
static void add_xsave(const struct cpu_state *state, struct cpuid_table *out)
{
    for (uint32_t subleaf = 0; subleaf < 64; subleaf++) {
        struct cpuid_regs regs = leaf_regs(state, 0xd, subleaf);
        bool listed = state_kvm(state) ? regs.eax : !all_zero(regs);

        if (listed || subleaf == 63)
            entry_add(out, 0xd, subleaf, CPUID_FLAG_SIGNIFICANT_INDEX, regs);
    }
}

static void add_leaf(const struct cpu_state *state, struct cpuid_table *out, uint32_t leaf)
{
    switch (leaf) {
    case 2:
        entry_add(out, 2, 0, FLAG_STATEFUL | FLAG_READ_NEXT, leaf_regs(state, 2, 0));
        return;
    case 4:
    case 0xb:
    case 0x8000001d:
        add_terminated(state, out, leaf);
        return;
    case 0x1f:
        if (state->machine->topology.dies > 1)
            add_terminated(state, out, leaf);
        return;
    case 7: {
        uint32_t last = leaf_regs(state, 7, 0).eax;
        uint32_t bound = state_kvm(state) ? CPUID_ENTRIES : 1; /* TCG has no list: zeros need no entries */

        add_group(state, out, 7, last < bound ? last : bound);
        return;
    }
    case 0xd:
        add_xsave(state, out);
        return;
    case 0x12:
        add_group(state, out, leaf, 2);
        return;
    case 0x14:
    case 0x1d:
    case 0x1e: {
        uint32_t last = leaf_regs(state, leaf, 0).eax;
        add_group(state, out, leaf, last < 8 ? last : 8);
        return;
    }
    default:
        add_plain(state, out, leaf);
    }
}

/* Out of range, a leaf shows what the last basic one does (L2): such a range fills the list until QEMU gives up. */
static bool answers_out_of_range(const struct cpu_state *state, uint32_t leaf)
{
    return !all_zero(leaf_regs(state, leaf, 0));
}

static void add_range(const struct cpu_state *state, struct cpuid_table *out, uint32_t first, uint32_t last)
{
    uint32_t limit = leaf_regs(state, first, 0).eax; /* what a guest would read as the limit */

    for (uint32_t leaf = first; leaf <= limit && out->count < CPUID_ENTRIES; leaf++) {
        if (leaf > last && !(state_kvm(state) && answers_out_of_range(state, leaf)))
            return;
        add_leaf(state, out, leaf);
    }
}

/* The frequency leaf needs a rate that will not change under the guest. */
static bool frequency_leaf(const struct cpu_state *state)
{
    return state_number(state, P_VMWARE_CPUID_FREQ) && state_number(state, P_KVM) && !state->hyperv &&
           state->outcome->tsc_khz &&
           (state_has(state, F_INVTSC) || state_number(state, P_TSC_FREQUENCY) / 1000);
}

#define APIC_BUS_KHZ 1000000u

static void add_kvm(const struct cpu_state *state, struct cpuid_table *out)
{
    uint32_t base = state->hyperv ? 0x40000100 : 0x40000000;
    uint32_t last = frequency_leaf(state) ? 0x40000010 : base + 1;

    if (!state_number(state, P_KVM))
        return;
    entry_add(out, base, 0, 0, (struct cpuid_regs){last, 0x4b4d564b, 0x564b4d56, 0x0000004d});
    entry_add(out, base + 1, 0, 0,
              (struct cpuid_regs){.eax = (uint32_t)state->words[FW_KVM],
                                  .edx = (uint32_t)state->words[FW_KVM_HINTS]});
}

void entries_build(const struct cpu_state *state, struct cpuid_table *out)
{
    out->count = 0;
    if (state_kvm(state)) {
        hyperv_entries(state, out);
        add_kvm(state, out);
    } else {
        add_plain(state, out, 0x40000000);
    }
    add_range(state, out, 0, LAST_BASIC);
    add_range(state, out, 0x80000000, LAST_EXTENDED);
    if (state->xlevel2)
        add_range(state, out, 0xc0000000, LAST_CENTAUR);
    if (state_kvm(state) && frequency_leaf(state))
        entry_add(out, 0x40000010, 0, 0,
                  (struct cpuid_regs){.eax = (uint32_t)state->outcome->tsc_khz, .ebx = APIC_BUS_KHZ});
}

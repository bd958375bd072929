/* Each invariant of slots, of the dirty log and of accesses can fail: a program runs on the direct machine, and before its last
 * action is judged something is changed that the rule forbids. Unchanged, the same program breaks none. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <string.h>
#include "diff/program/direct.h"
#include "fuzz/invariants.h"

struct judged {
    struct direct_machine machine;
    struct invariants inv;
    struct violation violation;
    struct outcome outcome; /* of the last action */
    uint64_t stores;        /* before it */
};

static void run(struct judged *j, const char *text, void (*change)(struct judged *j))
{
    struct program program;
    struct program_error error;
    bool held = true;

    program_init(&program);
    cr_assert(eq(int, program_parse(&program, text, strlen(text), &error), 0), "%s", error.message);
    cr_assert(eq(int, direct_machine_create(&j->machine, &program.config), 0));
    invariants_begin(&j->inv, &j->machine.vm, j->machine.bases);
    j->violation = (struct violation){.rule = ""};
    for (uint32_t i = 0; held && i < program.count; i++) {
        j->stores = j->machine.vm.trace.total;
        invariants_before(&j->inv, &program.actions[i]);
        direct_machine_step(&j->machine, &program.actions[i], &j->outcome);
        if (change && i + 1 == program.count)
            change(j);
        held = invariants_after(&j->inv, &program.actions[i], &j->outcome, &j->violation);
        cr_assert(held || i + 1 == program.count, "action %u: %s", i, j->violation.text);
    }
    direct_machine_destroy(&j->machine);
    program_free(&program);
}

#define RAM 0x200000u
#define BREAKS(name, id, actions, change)                                                                    \
    Test(invariants_memory, name)                                                                            \
    {                                                                                                        \
        static struct judged j;                                                                              \
        run(&j, "paravane 1\n" actions, NULL);                                                               \
        cr_expect_str_eq(j.violation.rule, "", "%s", j.violation.text);                                      \
        run(&j, "paravane 1\n" actions, change);                                                             \
        cr_expect_str_eq(j.violation.rule, id, "%s: %s", j.violation.rule, j.violation.text);                \
    }

static uint8_t *byte_at(struct judged *j, uint64_t gpa)
{
    struct slot *slot = memory_slot(&j->machine.vm.memory, gpa);

    return slot->host + (gpa - slot->gpa);
}

static void log_nothing(struct judged *j)
{
    struct slot *slot = memory_slot(&j->machine.vm.memory, RAM);

    memset(slot->dirty, 0, slot->size / GPA_PAGE_SIZE / 8);
}

static void report_page_2(struct judged *j)
{
    j->outcome.data[0] |= 1 << 2;
}

static void report_nothing(struct judged *j)
{
    j->outcome.data[0] = 0;
}

static void change_page_2(struct judged *j)
{
    *byte_at(j, RAM + 0x2000) ^= 1;
}

static void lose_store(struct judged *j)
{
    *byte_at(j, RAM + 0x1010) ^= 0xff;
}

static void succeed(struct judged *j)
{
    j->outcome.regs[0] = 0;
}

static void refuse(struct judged *j)
{
    j->outcome.regs[0] = EEXIST;
}

static void change_slot(struct judged *j)
{
    *byte_at(j, PROBE_HOLE + 0x1008) = 1;
}

static void keep_slot(struct judged *j)
{
    memory_slot_add(&j->machine.vm.memory, PROBE_HOLE, GPA_PAGE_SIZE, 0);
}

static void add_slot(struct judged *j)
{
    memory_slot_add(&j->machine.vm.memory, PROBE_HOLE + 0x4000, GPA_PAGE_SIZE, 0);
}

static void grow_slot(struct judged *j)
{
    memory_slot_remove(&j->machine.vm.memory, PROBE_HOLE);
    memory_slot_add(&j->machine.vm.memory, PROBE_HOLE, 2 * GPA_PAGE_SIZE, 0);
}

static void protect_slot(struct judged *j)
{
    memory_slot(&j->machine.vm.memory, PROBE_HOLE)->flags |= SLOT_READONLY;
}

static void keep_area_good(struct judged *j)
{
    struct area *area = &j->machine.vm.vcpus[0].areas[AREA_STEAL];

    area->state = AREA_GOOD;
    area->generation = j->machine.vm.memory.slot_generation;
}

static void store_in_hole(struct judged *j)
{
    struct trace *trace = &j->machine.vm.trace;

    trace->ring[trace->total++ % TRACE_ENTRIES] = (struct trace_entry){
        .gpa = PROBE_HOLE + 0x50, .kind = AREA_STEAL, .offset = 16, .size = 1, .allowed = true};
}

static void fault(struct judged *j)
{
    j->outcome = (struct outcome){.status = OUTCOME_FAULT, .vector = TRAP_GP};
}

static void allow(struct judged *j)
{
    j->outcome = (struct outcome){.status = OUTCOME_OK};
}

static void change_error(struct judged *j)
{
    j->outcome.error ^= 2;
}

static void change_cr2(struct judged *j)
{
    j->outcome.cr2 ^= 0x1000;
}

static void change_value(struct judged *j)
{
    j->outcome.regs[0] ^= 0x100;
}

static void keep_offer(struct judged *j)
{
    j->machine.vm.trace.total = j->stores;
    j->machine.vm.vcpus[0].eoi.pending = true;
}

/* The dirty log. */
#define STEAL_LOGGED "features kvm-steal-time\nwrmsr MSR_KVM_STEAL_TIME ram+0x1001\n!dirty-clear\n"
BREAKS(GEN_12_a_store_of_the_host_that_is_not_logged, "GEN-12", STEAL_LOGGED "!deschedule 0 1ms\n",
       log_nothing)
BREAKS(GEN_12_the_record_is_not_reported, "DIRTY-LOG",
       STEAL_LOGGED "!deschedule 0 1ms\n!dirty-read ram 0x10000\n", report_nothing)
BREAKS(a_store_of_the_guest_that_is_not_logged, "DIRTY-LOG", "!dirty-clear\nstore8 ram+0x1000 1\n",
       log_nothing)
BREAKS(a_store_of_the_guest_that_is_not_reported, "DIRTY-LOG",
       "!dirty-clear\nstore8 ram+0x1000 1\n!dirty-read ram 0x10000\n", report_nothing)
BREAKS(a_page_that_nobody_stored_to_is_reported, "DIRTY-LOG",
       "store8 ram+0x2000 1\n!dirty-clear\nstore8 ram+0x1fff 1\n!dirty-read ram 0x10000\n", report_page_2)
BREAKS(a_fill_ends_before_the_page, "DIRTY-LOG",
       "!dirty-clear\nfill ram+0x1ff0 16 1\n!dirty-read ram 0x10000\n", report_page_2)
BREAKS(a_page_that_changed_is_not_reported, "DIRTY-LOG",
       "store8 ram+0x2000 1\n!dirty-clear\nstore8 ram+0x1fff 1\n!dirty-read ram 0x10000\n", change_page_2)
BREAKS(a_page_is_reported_that_was_stored_to_before, "DIRTY-LOG",
       "!dirty-clear\nstore8 ram+0x2000 1\n!dirty-clear\n!dirty-read ram 0x10000\n", report_page_2)
BREAKS(a_log_that_is_not_there_is_read, "DIRTY-LOG", "!dirty-read ram 0x10000\n", succeed)

/* Slots. */
#define STEAL_IN_SLOT "features kvm-steal-time\n!slot-add hole 0x1000\nwrmsr MSR_KVM_STEAL_TIME hole+0x41\n"
BREAKS(a_slot_over_another_is_accepted, "SLOT", "!slot-add hole 0x2000\n!slot-add hole+0x1000 0x1000\n",
       succeed)
BREAKS(a_slot_that_fits_is_refused, "SLOT", "!slot-add hole 0x1000\n!slot-add hole+0x1000 0x1000\n", refuse)
BREAKS(new_memory_is_not_zero, "SLOT", "!slot-add hole+0x1000 0x1000\n", change_slot)
BREAKS(memory_that_moves_changes, "SLOT",
       "!slot-add hole 0x1000\nstore8 hole 1\n!slot-move hole hole+0x1000\n", change_slot)
BREAKS(memory_stays_when_its_slot_goes, "SLOT", "!slot-add hole 0x1000\n!slot-remove hole\n", keep_slot)
BREAKS(memory_comes_by_itself, "SLOT", "!slot-add hole 0x1000\n!save-restore\n", add_slot)
BREAKS(memory_grows, "SLOT", "!slot-add hole 0x1000\n!reset\n", grow_slot)
BREAKS(memory_becomes_read_only, "SLOT", "!slot-add hole 0x1000\n!migrate\n", protect_slot)
BREAKS(INV_1_a_record_stays_good_without_memory, "INV-1", STEAL_IN_SLOT "!slot-remove hole\n", keep_area_good)
BREAKS(INV_1_a_store_where_memory_was, "INV-1", STEAL_IN_SLOT "!slot-remove hole\nrdtsc\n", store_in_hole)
BREAKS(INV_1_a_store_to_read_only_memory, "INV-1",
       "features kvm-steal-time\n!slot-add hole 0x1000 1\nwrmsr MSR_KVM_STEAL_TIME hole+0x41\nrdtsc\n",
       store_in_hole)

/* Accesses. */
#define WINDOW "0x8000000000"
BREAKS(GEN_11_a_store_of_the_host_goes_astray, "GEN-11",
       "features kvm-steal-time\nwrmsr MSR_KVM_STEAL_TIME ram+0x1001\nmap " WINDOW
       " ram+0x1001\n!deschedule 0 1ms\n",
       lose_store)
BREAKS(a_page_without_rights_is_read, "PAGING", "map " WINDOW " ram+2\nload8 " WINDOW "\n", allow)
BREAKS(a_read_only_page_is_written, "PAGING", "map " WINDOW " ram+5\nstore8 " WINDOW " 1\n", allow)
BREAKS(a_page_of_ring_0_is_read_in_ring_3, "PAGING", "map " WINDOW " ram+3\ncpl3 { load8 " WINDOW " }\n",
       allow)
BREAKS(a_page_with_rights_faults, "PAGING", "map " WINDOW " ram+7\ncpl3 { store8 " WINDOW " 1 }\n", fault)
BREAKS(a_fault_has_another_error, "PAGING", "map " WINDOW " ram+5\nstore8 " WINDOW " 1\n", change_error)
BREAKS(a_fault_has_another_address, "PAGING", "map " WINDOW " ram+7\nload64 0x8000000ffc\n", change_cr2)
BREAKS(the_first_page_faults_first, "PAGING", "map " WINDOW "\nload64 0x8000000ffc\n", change_cr2)
BREAKS(an_address_that_is_none, "PAGING", "map " WINDOW "\nload64 0x8000000000000000\n", allow)
BREAKS(a_reset_clears_the_window, "PAGING", "map " WINDOW " ram+7\n!reset\nload8 " WINDOW "\n", allow)
BREAKS(a_load_gives_another_value, "MEMORY",
       "store32 ram+0x1ffe 0x11223344\nmap " WINDOW
       " ram+0x1001\nmap 0x8000001000 ram+0x2001\nload32 0x8000000ffe\n",
       change_value)
BREAKS(a_load_of_nothing_gives_something, "MEMORY", "!slot-add hole 0x1000\n!slot-remove hole\nload16 hole\n",
       change_value)
BREAKS(a_store_is_lost, "MEMORY", "map " WINDOW " ram+0x1003\nstore64 0x8000000010 1\n", lose_store)
BREAKS(a_store_that_faulted_is_made, "MEMORY", "map " WINDOW " ram+0x1001\nstore64 0x8000000010 1\n",
       lose_store)
BREAKS(ring_3_uses_a_port, "IOPL", "cpl3 { in8 0x80 }\n", allow)
BREAKS(ring_0_may_not_use_a_port, "IOPL", "out16 0x80 1\n", fault)
BREAKS(ring_3_invalidates_a_page, "IOPL", "cpl3 { invlpg 0 }\n", allow)
BREAKS(a_port_answers, "PORT", "in16 0x80\n", change_value)
BREAKS(
    EOI_9_an_offer_survives_a_port, "EOI-9",
    "features kvm-pv-eoi\napic-write APIC_SPIV 0x1ff\nsti\nwrmsr MSR_KVM_PV_EOI_EN ram+1\nstore32 mmio+0x300 0x40045\n"
    "in8 0x80\n",
    keep_offer)

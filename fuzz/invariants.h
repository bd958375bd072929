/* What holds after every action of every program, written out once: spec section 22, the rules of the host's stores
 * into guest memory, and the answers that follow from the request alone. Independent of the tables in vmm/pv. */
#ifndef FUZZ_INVARIANTS_H
#define FUZZ_INVARIANTS_H

#include <stdbool.h>
#include <stdint.h>
#include "diff/probe/mailbox.h"
#include "diff/program/program.h"
#include "fuzz/invariants_memory.h"
#include "vmm/core/vm.h"

struct violation {
    const char *rule; /* id in the specification, e.g. "CLK-8" */
    char text[200];   /* one line: what was seen and what the rule wants */
};

enum pv_value { PV_WALL, PV_CLOCK, PV_APF, PV_STEAL, PV_EOI, PV_POLL, PV_APF_INT, PV_VALUES };

/* A record under the version protocol: CLK-8, CLK-18, STL-6. */
struct record_seen {
    enum { RECORD_AT_REST, RECORD_ODD, RECORD_BODY } phase;
    uint32_t odd;
};

struct vcpu_seen {
    uint64_t clock_gpa; /* where its clock record may be: CLK-4 keeps an older address, so it is history */
    struct record_seen clock, steal;
    bool time_known; /* reader and last_ns hold */
    struct {         /* the record as the host wrote it last; the guest may have overwritten its copy */
        uint64_t tsc_timestamp, system_time;
        uint32_t mul;
        int8_t shift;
        bool known;
    } reader;
    uint64_t last_ns; /* of the last reading */
    /* Before the action, and what the host did since. */
    uint64_t values[PV_VALUES]; /* of its MSRs */
    uint64_t clock_gpa_before;
    bool init_pending; /* clears what it clears before the action, and a SIPI behind it hides that it did */
    bool in_service;   /* some interrupt was */
    bool offered;      /* a PV EOI */
    bool concerned;    /* by what ends interrupts: one of these two, or the host stored to its byte */
    int offers;        /* stores of 1 to that byte less stores of 0 */
    uint32_t isr[8];   /* holds while in_service */
    bool token_known;
    uint32_t token; /* of the async page fault area */
    uint64_t token_gpa;
    bool handler_ends; /* OP_ON_INTERRUPT: interrupts end without an action */
};

struct invariants {
    struct vm *vm;
    const struct vcpu *acting; /* that has done the action; NULL: the host, or none of this VM */
    unsigned vcpu_count; /* of vm, those beyond PROGRAM_VCPUS_MAX not counted: no program reaches them */
    uint64_t bases[BASE_COUNT]; /* of symbolic addresses, as the machine resolves them */
    uint64_t trace_seen;
    struct record_seen wall;
    bool memory_followed; /* memory holds */
    bool old_before;      /* MSR 0x12 was in use before the action (STB-2) */
    bool trace_gap;       /* more stores in one action than the trace holds */
    bool ipi_known;       /* the action is a SEND_IPI whose answer follows */
    int64_t ipi_answer;
    struct vcpu_seen vcpus[PROGRAM_VCPUS_MAX];
    struct memory_seen memory;
};

/* A machine that has just been started. It must outlive the checks and stay at its address. */
void invariants_begin(struct invariants *inv, struct vm *vm, const uint64_t bases[BASE_COUNT]);
void invariants_before(struct invariants *inv, const struct action *action);
/* False: *violation says which rule broke. */
bool invariants_after(struct invariants *inv, const struct action *action, const struct outcome *outcome,
                      struct violation *violation);

#endif

/* What the invariants of guest memory remember: slots, the dirty log, the probe's window, the access being made. Nothing
 * is followed, and nothing costs, before the first action that is about them. */
#ifndef FUZZ_INVARIANTS_MEMORY_H
#define FUZZ_INVARIANTS_MEMORY_H

#include <stdbool.h>
#include <stdint.h>
#include "diff/probe/mailbox.h"
#include "diff/program/program.h"
#include "vmm/core/memory.h"

#define SLOT_PAGES_SEEN 16 /* of a slot, those that the dirty log is followed for */

struct slot_seen {
    uint64_t gpa, size;
    bool readonly, logged;
    uint64_t first;  /* where the pages that are followed begin, in bytes from gpa */
    uint32_t stored; /* a bit per page followed: somebody may have stored to it since the log began */
    uint64_t content[SLOT_PAGES_SEEN]; /* a hash of each when the log began */
};

/* A load or store of up to 8 bytes: what must come of it. */
struct access_seen {
    uint8_t size; /* 0: none, or nothing is known about it */
    bool write, faults;
    uint8_t vector;
    uint32_t error;
    uint64_t cr2;
    uint64_t at[8];   /* guest-physical address of each byte, where it does not fault */
    bool plain;       /* memory, or nothing: bytes hold what was there */
    uint8_t bytes[8]; /* before the action */
};

struct memory_seen {
    bool waits; /* a page was taken away: an access may be made later than its action */
    bool window_known;
    unsigned count;
    struct slot_seen slots[MEMORY_SLOTS];
    uint32_t window[PROBE_WINDOW_PAGES];
    uint64_t handlers[PROGRAM_VCPUS_MAX]; /* word that an interrupt handler stores to, or GPA_NOWHERE */
    uint64_t moved_content;               /* of the slot that OP_SLOT_MOVE is about: hash of its first page */
    struct access_seen access;
};

#endif

/* What an operation did to the guest: nothing, or an exception to deliver. Intel SDM vol. 3 ch. 6. */
#ifndef VMM_CORE_TRAP_H
#define VMM_CORE_TRAP_H

#include <stdbool.h>
#include <stdint.h>

enum vector {
    TRAP_DE = 0,
    TRAP_DB = 1,
    TRAP_NMI = 2,
    TRAP_BP = 3,
    TRAP_OF = 4,
    TRAP_BR = 5,
    TRAP_UD = 6,
    TRAP_NM = 7,
    TRAP_DF = 8,
    TRAP_TS = 10,
    TRAP_NP = 11,
    TRAP_SS = 12,
    TRAP_GP = 13,
    TRAP_PF = 14,
    TRAP_MF = 16,
    TRAP_AC = 17,
    TRAP_MC = 18,
    TRAP_XM = 19,
    /* nothing to deliver either: the instruction waits for a page and then runs again (APF-12) */
    TRAP_RETRY = 0xfe,
    TRAP_NONE = 0xff, /* nothing to deliver */
};

struct trap {
    uint8_t vector; /* enum vector */
    bool has_error; /* whether the vector pushes error */
    uint32_t error;
    uint64_t cr2; /* #PF only: faulting linear address */
};

#define NO_TRAP ((struct trap){.vector = TRAP_NONE})
#define GP0     ((struct trap){.vector = TRAP_GP, .has_error = true})
#define UD      ((struct trap){.vector = TRAP_UD})

static inline bool trapped(struct trap t)
{
    return t.vector != TRAP_NONE;
}

#endif

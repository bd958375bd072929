/* Host actions that are calls into the VMM, the same for every machine of ours: injected messages, slots, CPUID,
 * clock, dirty log. What a machine does with time, scheduling and its own state is in the machine. */
#ifndef DIFF_PROGRAM_HOST_ACT_H
#define DIFF_PROGRAM_HOST_ACT_H

#include "diff/probe/mailbox.h"
#include "diff/program/program.h"
#include "vmm/core/vm.h"

#define HOST_ACT_SLOT_MAX (16ull << 20) /* bytes of one slot that a program adds */

/* Operands have their addresses resolved. Fills outcome's data where the action has some. 0, -ENOTSUP (no such action
 * here), or what the VMM answered: -EINVAL, -EEXIST, -ENOENT, -ENOSPC, -ENOMEM. */
int host_act(struct vm *vm, const struct action *action, struct outcome *outcome);
/* The action may leave memory slots or dirty logs otherwise than the program's header has them. */
bool host_act_reshapes(enum action_op op);

#endif

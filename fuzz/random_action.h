/* Actions drawn at random with weight on what matters: named registers, addresses at the edges of memory, flag bits.
 * For the mutator, the fixed list of ci/bench, and the dictionary. */
#ifndef FUZZ_RANDOM_ACTION_H
#define FUZZ_RANDOM_ACTION_H

#include <stdint.h>
#include "diff/program/program.h"

struct rng {        /* xorshift64*: equal seeds, equal draws on every machine */
    uint64_t state; /* not 0 */
};
uint64_t rng_draw(struct rng *rng);
static inline uint32_t rng_below(struct rng *rng, uint32_t n) /* n > 0 */
{
    return (uint32_t)((rng_draw(rng) >> 32) * n >> 32);
}

/* An action whose op is in `ops` (bit per enum action_op, not 0), on one of `vcpus`. */
void action_random(struct action *action, struct rng *rng, uint64_t ops, unsigned vcpus);
/* Another value for one operand (arg < PROGRAM_ARGS) that fits its kind and the action. */
void action_operand_random(struct action *action, struct rng *rng, unsigned arg);
/* An address in the probe's window, where OP_MAP makes pages. */
void operand_window(struct operand *operand, struct rng *rng);
/* A machine: vCPUs, features, enforcement. */
void config_random(struct program_config *config, struct rng *rng);

#endif

/* libFuzzer's custom mutator for programs: changes whole actions, so that most mutants still say something.
 * Half of the time the engine's own byte mutations (and its dictionary) do the work. */
#include "fuzz/fuzz_program.h"

#include <stdlib.h>
#include <string.h>
#include "fuzz/random_action.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size); /* of the engine */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1, const uint8_t *data2, size_t size2,
                                 uint8_t *out, size_t max_size, unsigned seed);

#define ACTIONS_MAX 512 /* longer programs find no more and cost more */

static void insert(struct program *program, struct rng *rng, const struct action *action)
{
    uint32_t at = rng_below(rng, program->count + 1);

    if (program->count >= ACTIONS_MAX || !program_add(program, action))
        return;
    memmove(&program->actions[at + 1], &program->actions[at], (program->count - 1 - at) * sizeof(*action));
    program->actions[at] = *action;
}

static void remove_one(struct program *program, struct rng *rng)
{
    uint32_t at = rng_below(rng, program->count);

    memmove(&program->actions[at], &program->actions[at + 1],
            (program->count - 1 - at) * sizeof(program->actions[0]));
    program->count--;
}

static void change_operand(struct action *action, struct rng *rng)
{
    const struct op_info *info = op_info(action->op);
    unsigned arg;

    if (info->args == 0)
        return;
    arg = rng_below(rng, info->args);
    if (info->kinds[arg] == ARG_ADDR && !info->host && !rng_below(rng, 8))
        operand_window(&action->args[arg], rng);
    else if (rng_below(rng, 3))
        action_operand_random(action, rng, arg);
    else
        action->args[arg].value ^= 1ull << rng_below(rng, rng_below(rng, 2) ? 8 : 64);
}

/* As the target reads it, without what no machine acts on. */
static void load(struct program *program, const uint8_t *data, size_t size)
{
    uint32_t kept = 0;

    program_init(program);
    program_decode_total(program, data, size);
    for (uint32_t i = 0; i < program->count; i++)
        if (program->actions[i].op != OP_NOTE && program->actions[i].op != OP_NOP)
            program->actions[kept++] = program->actions[i];
    program->count = kept;
}

static void mutate_once(struct program *program, struct rng *rng)
{
    struct action fresh;

    if (program->count == 0 || rng_below(rng, 4) == 0) {
        action_random(&fresh, rng, fuzz_surface_ops, program->config.vcpus);
        insert(program, rng, &fresh);
        return;
    }
    switch (rng_below(rng, 8)) {
    case 0:
        remove_one(program, rng);
        break;
    case 1: /* again, elsewhere: repeated requests are where state leaks */
        fresh = program->actions[rng_below(rng, program->count)];
        insert(program, rng, &fresh);
        break;
    case 2:
        program->actions[rng_below(rng, program->count)].vcpu =
            (uint8_t)rng_below(rng, program->config.vcpus);
        break;
    case 3:
        program->actions[rng_below(rng, program->count)].mode = (uint8_t)rng_below(rng, MODE_COUNT);
        break;
    case 4:
        if (!rng_below(rng, 4))
            config_random(&program->config, rng);
        break;
    default:
        change_operand(&program->actions[rng_below(rng, program->count)], rng);
        break;
    }
}

/* Into out if it fits; else the bytes that are there stay. */
static size_t store(const struct program *program, uint8_t *out, size_t size, size_t max_size)
{
    uint8_t *data;
    size_t len;

    if (program_encode(program, &data, &len))
        return size;
    if (len <= max_size) {
        memcpy(out, data, len);
        size = len;
    }
    free(data);
    return size;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    struct rng rng = {seed * 0x9e3779b97f4a7c15ull + 1};
    struct program program;

    if (rng_below(&rng, 2))
        return LLVMFuzzerMutate(data, size, max_size);
    load(&program, data, size);
    if (program.config.vcpus > FUZZ_VCPUS_MAX)
        program.config.vcpus = FUZZ_VCPUS_MAX;
    for (unsigned times = 1 + rng_below(&rng, 4); times; times--)
        mutate_once(&program, &rng);
    size = store(&program, data, size, max_size);
    program_free(&program);
    return size;
}

/* The head of one program and the tail of another. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1, const uint8_t *data2, size_t size2,
                                 uint8_t *out, size_t max_size, unsigned seed)
{
    struct rng rng = {seed * 0x9e3779b97f4a7c15ull + 1};
    struct program head, tail;
    size_t size;

    load(&head, data1, size1);
    load(&tail, data2, size2);
    head.count = rng_below(&rng, head.count + 1);
    for (uint32_t i = rng_below(&rng, tail.count + 1); i < tail.count && head.count < ACTIONS_MAX; i++)
        program_add(&head, &tail.actions[i]);
    size = store(&head, out, 0, max_size);
    program_free(&head);
    program_free(&tail);
    return size;
}

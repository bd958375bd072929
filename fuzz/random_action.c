/* Draws actions, operands and machines; the tables say where bugs of this interface have been (edges, flag bits). */
#include "fuzz/random_action.h"

#define COUNT(array)     (sizeof(array) / sizeof((array)[0]))
#define DRAW(rng, array) ((array)[rng_below(rng, COUNT(array))])

uint64_t rng_draw(struct rng *rng)
{
    uint64_t x = rng->state;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    rng->state = x;
    return x * 0x2545f4914f6cdd1dull;
}

/* Distances from an edge at which a record of 1, 8, 12, 32 or 64 bytes just fits, or just does not. */
static const uint16_t distances[] = {0, 1, 4, 7, 8, 11, 12, 31, 32, 63, 64, 0x1000, 0x101f, 0x1020, 0x1040};
/* Low bits of PV MSRs: enable, enable with each flag, reserved bits. */
static const uint8_t low_bits[] = {0, 1, 1, 1, 2, 3, 4, 5, 8, 9, 0xb, 0xd, 0xf, 0x11, 0x21, 0x3f};
static const uint64_t numbers[] = {
    0,          1,       2,          3,          5,          0xff,       0x100,      0xf3,
    0xfd,       0x300,   0x400,      0x500,      0x4fd,      0x8fd,      0x40fd,     0x80fd,
    0xc0fd,     0x400fd, 0xfff,      0x7fffffff, 0x80000000, 0xffffffff, 1ull << 32, (1ull << 32) + 5,
    1ull << 63, ~0ull,   0xffffffc0, 0xffffffe0};

static void address_random(struct operand *operand, struct rng *rng)
{
    uint64_t distance = DRAW(rng, distances);

    switch (rng_below(rng, 8)) {
    case 0:
        *operand = (struct operand){BASE_RAM_END, 0 - distance};
        break;
    case 1:
        *operand = (struct operand){BASE_HOLE, distance};
        break;
    case 2:
        *operand = (struct operand){rng_below(rng, 2) ? BASE_ROM : BASE_MMIO, distance};
        break;
    case 3:
        *operand = (struct operand){BASE_NONE, DRAW(rng, numbers)};
        break;
    case 4: /* just before a page boundary */
        *operand = (struct operand){BASE_RAM, 0x1000ull * (1 + rng_below(rng, 4)) - distance};
        break;
    default: /* few addresses, so that records meet each other */
        *operand = (struct operand){BASE_RAM, 0x40ull * rng_below(rng, 8)};
        break;
    }
}

void operand_random(struct operand *operand, struct rng *rng, enum operand_kind kind)
{
    const struct symbol_table *symbols = operand_symbols(kind);

    *operand = (struct operand){BASE_NONE, DRAW(rng, numbers)};
    if (symbols && rng_below(rng, 16)) {
        /* The first rows are the paravirtual ones. */
        uint32_t rows = rng_below(rng, 4) && symbols->count > 16 ? 16 : symbols->count;

        operand->value = symbols->rows[rng_below(rng, rows)].value;
        return;
    }
    switch (kind) {
    case ARG_ADDR:
        address_random(operand, rng);
        break;
    case ARG_U64:
        if (rng_below(rng, 2)) {
            address_random(operand, rng);
            operand->value += DRAW(rng, low_bits);
        }
        break;
    case ARG_NS: /* 1 ns to some days */
        operand->value = rng_draw(rng) >> (16 + rng_below(rng, 48));
        break;
    case ARG_BYTES:
    case ARG_COUNT:
        operand->value = 1 + rng_below(rng, 64);
        break;
    default:
        break;
    }
}

void action_random(struct action *action, struct rng *rng, uint64_t ops, unsigned vcpus)
{
    const struct op_info *info;

    *action = (struct action){.vcpu = (uint8_t)rng_below(rng, vcpus)};
    do { /* the requests under test come more often than what sets the stage */
        static const uint8_t favoured[] = {OP_WRMSR, OP_RDMSR, OP_VMCALL, OP_VMMCALL};

        action->op = rng_below(rng, 2) ? DRAW(rng, favoured) : (uint8_t)rng_below(rng, OP_COUNT);
    } while (!(ops >> action->op & 1));
    if (!rng_below(rng, 6))
        action->mode = (uint8_t)rng_below(rng, MODE_COUNT);
    info = op_info(action->op);
    for (unsigned i = 0; i < info->args && i < PROGRAM_ARGS; i++)
        operand_random(&action->args[i], rng, info->kinds[i]);
}

void config_random(struct program_config *config, struct rng *rng)
{
    config->vcpus = (uint8_t)(1 + rng_below(rng, 4));
    config->irqchip = (uint8_t)rng_below(rng, 3);
    config->enforce = rng_below(rng, 2);
    config->vmcall_native = rng_below(rng, 2);
    config->hyperv = !rng_below(rng, 8);
    config->features = rng_below(rng, 4) ? 0x01007efb : (uint32_t)rng_draw(rng);
    config->hints = rng_below(rng, 2);
}

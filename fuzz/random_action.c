/* Draws actions, operands and machines; the tables say where bugs of this interface have been (edges, flag bits). */
#include "fuzz/random_action.h"

#include <stddef.h>
#include "diff/probe/mailbox.h"
#include "vmm/core/memory.h"

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

static void operand_random(struct operand *operand, struct rng *rng, enum operand_kind kind)
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
    case ARG_VCPU: /* of host actions: one that is there, mostly */
        operand->value = rng_below(rng, 5);
        break;
    default:
        break;
    }
}

/* Pages that are mapped and accessed through the probe's window: the first ones, one behind the other, and the last. */
void operand_window(struct operand *operand, struct rng *rng)
{
    static const uint16_t pages[] = {0, 0, 1, 2, PROBE_WINDOW_PAGES - 1};
    uint64_t page = DRAW(rng, pages), distance = DRAW(rng, distances);

    *operand = (struct operand){BASE_NONE, PROBE_WINDOW + page * GPA_PAGE_SIZE};
    if (rng_below(rng, 2))
        operand->value += rng_below(rng, 2) ? GPA_PAGE_SIZE - distance : distance;
}

/* Where slots come and go: few places, so that one removes what another has added. Records lie there, too (BASE_HOLE). */
static void slot_place(struct operand *operand, struct rng *rng)
{
    static const struct operand places[] = {{BASE_HOLE, 0},         {BASE_HOLE, 0},    {BASE_HOLE, 0x1000},
                                            {BASE_HOLE, 0x2000},    {BASE_RAM_END, 0}, {BASE_RAM_END, 0x1000},
                                            {BASE_NONE, 0},         {BASE_ROM, 0},     {BASE_MMIO, 0},
                                            {BASE_NONE, 1ull << 32}};

    *operand = DRAW(rng, places);
    if (!rng_below(rng, 32))
        operand->value += DRAW(rng, distances);
}

static void page_entry(struct operand *operand, struct rng *rng)
{
    static const uint8_t rights[] = {0, 1, 2, 3, 5, 6, 7, 7, 7, 7};

    if (rng_below(rng, 4))
        *operand = (struct operand){BASE_RAM, GPA_PAGE_SIZE * rng_below(rng, 5)};
    else
        slot_place(operand, rng);
    operand->value = (operand->value & ~(GPA_PAGE_SIZE - 1)) | DRAW(rng, rights);
}

static void page_length(struct operand *operand, struct rng *rng)
{
    *operand = (struct operand){BASE_NONE, GPA_PAGE_SIZE * (1 + rng_below(rng, 4))};
}

static void seldom_set(struct operand *operand, struct rng *rng)
{
    *operand = (struct operand){BASE_NONE, !rng_below(rng, 4)};
}

static void sipi_page(struct operand *operand, struct rng *rng)
{
    *operand = (struct operand){BASE_NONE, PROBE_SIPI_PAGE / GPA_PAGE_SIZE + !rng_below(rng, 4)};
}

static void message_address(struct operand *operand, struct rng *rng)
{
    static const uint32_t bits[] = {0, 0x1000, 0xff000, 4, 8, 0xc, 0x1004, 0x10, 0x20};

    *operand = (struct operand){BASE_MMIO, DRAW(rng, bits)};
}

static void feature_word(struct operand *operand, struct rng *rng)
{
    *operand = (struct operand){BASE_NONE, 0x01007efb & ~(1ull << rng_below(rng, 32))};
}

static void leaf_base(struct operand *operand, struct rng *rng)
{
    *operand = (struct operand){BASE_NONE, rng_below(rng, 2) ? 0 : 0x40000000 + 0x100 * rng_below(rng, 4)};
}

static void clock_flags(struct operand *operand, struct rng *rng)
{
    *operand = (struct operand){BASE_NONE, 2 * rng_below(rng, 8)};
}

static void port(struct operand *operand, struct rng *rng)
{
    static const uint16_t ports[] = {0, 0x80, 0x402, 0x501, 0x3f8, 0xcf8, 0xfffd, 0xffff};

    *operand = (struct operand){BASE_NONE, DRAW(rng, ports)};
}

static void logged_page(struct operand *operand, struct rng *rng)
{
    *operand = (struct operand){rng_below(rng, 4) ? BASE_RAM : BASE_HOLE, GPA_PAGE_SIZE * rng_below(rng, 2)};
}

/* Operands of actions that do nothing with most values of their kinds. Not of those that ci/bench measures: its list of
 * inputs is drawn with the kinds alone. */
static void (*const shapes[OP_COUNT][PROGRAM_ARGS])(struct operand *operand, struct rng *rng) = {
    [OP_INVLPG] = {operand_window},
    [OP_MAP] = {operand_window, page_entry},
    [OP_IN8] = {port},
    [OP_IN16] = {port},
    [OP_IN32] = {port},
    [OP_OUT8] = {port},
    [OP_OUT16] = {port},
    [OP_OUT32] = {port},
    [OP_SLOT_ADD] = {slot_place, page_length, seldom_set},
    [OP_SLOT_REMOVE] = {slot_place},
    [OP_SLOT_MOVE] = {slot_place, slot_place},
    [OP_DIRTY_READ] = {logged_page, page_length},
    [OP_HOST_SIPI] = {NULL, sipi_page},
    [OP_MSI] = {message_address},
    [OP_SET_CPUID] = {feature_word, leaf_base},
    [OP_SET_CLOCK] = {NULL, clock_flags},
};

void action_operand_random(struct action *action, struct rng *rng, unsigned arg)
{
    if (shapes[action->op][arg] && rng_below(rng, 8))
        shapes[action->op][arg](&action->args[arg], rng);
    else
        operand_random(&action->args[arg], rng, op_info(action->op)->kinds[arg]);
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
        action_operand_random(action, rng, i);
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

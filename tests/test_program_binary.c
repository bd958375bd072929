/* Binary form of programs: every byte string is one, the shortest spelling is the only one that is written. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "diff/program/program.h"
#include "tests/random_program.h"

#define HEADER 0x89, 'P', 'V', 1, 2, 0, 63, 0, 0, 0, 0, 0, 0, 0, 0, 0

static struct program decoded(const uint8_t *data, size_t len)
{
    struct program_error error;
    struct program program;

    program_init(&program);
    cr_assert(eq(int, program_decode(&program, data, len, &error), 0), "%s", error.message);
    return program;
}

static void expect_bytes(const struct program *program, const uint8_t *expected, size_t expected_len)
{
    uint8_t *data;
    size_t len;

    cr_assert(eq(int, program_encode(program, &data, &len), 0));
    cr_expect(eq(sz, len, expected_len));
    cr_expect(eq(int, memcmp(data, expected, expected_len < len ? expected_len : len), 0));
    free(data);
}

/* The text of what these bytes are. */
static void expect_text(const uint8_t *data, size_t len, const char *body)
{
    struct program program = decoded(data, len);
    char *text;
    size_t text_len;

    cr_assert(eq(int, program_print(&program, &text, &text_len), 0));
    cr_assert(ne(ptr, strstr(text, "irqchip kernel\n"), NULL));
    cr_expect(eq(str, strstr(text, "irqchip kernel\n") + 15, (char *)body));
    free(text);
    program_free(&program);
}
#define BYTES(...) (const uint8_t[]){HEADER, __VA_ARGS__}, sizeof((uint8_t[]){HEADER, __VA_ARGS__})

/* Stored corpora depend on these numbers for ever. */
Test(program_binary, opcodes_and_table_rows_keep_their_numbers)
{
    cr_expect(eq(int, OP_CPUID, 2));
    cr_expect(eq(int, OP_VMMCALL, 6));
    cr_expect(eq(int, OP_STORE64, 14));
    cr_expect(eq(int, OP_CLI, 21));
    cr_expect(eq(int, OP_CLOCK, 26));
    cr_expect(eq(int, OP_SAVE_RESTORE, 31));
    cr_expect(eq(int, OP_IN8, 32));
    cr_expect(eq(int, OP_RDTSCP, 38));
    cr_expect(eq(int, OP_ON_INTERRUPT, 45));
    cr_expect(eq(int, OP_DESCHEDULE, 46));
    cr_expect(eq(int, OP_MIGRATE, 61));
    cr_expect(eq(u64, operand_symbols(ARG_MSR)->rows[10].value, 0x4b564d08));
    cr_expect(eq(u64, operand_symbols(ARG_MSR)->rows[44].value, 0x48));
    cr_expect(eq(u64, operand_symbols(ARG_HYPERCALL)->rows[12].value, 12));
    cr_expect(eq(u64, operand_symbols(ARG_LEAF)->rows[9].value, 0x40000001));
    cr_expect(eq(u64, operand_symbols(ARG_APIC_REG)->rows[7].value, 0xf0));
}

Test(program_binary, an_action_is_opcode_context_and_operands)
{
    expect_text(BYTES(OP_WRMSR, 0x11, 0x85, 0x12, 0x01, 0x10),
                "\n@1 cpl3 { wrmsr MSR_KVM_STEAL_TIME ram+0x1001 }\n");
    expect_text(BYTES(OP_RDMSR, 0x00, 0x04, 0xff, 0x4d, 0x56, 0x4b), "\nrdmsr 0x4b564dff\n");
    expect_text(BYTES(OP_VMCALL, 0x00, 0x85, 0x80, 0x83, 0x80, 0x80), "\nvmcall KVM_HC_KICK_CPU 0 3\n");
    expect_text(BYTES(OP_ADVANCE, 0x03, 0x40, 0x4b, 0x4c), "\n!advance 5ms\n");
    expect_text(BYTES(OP_STORE8, 0x00, 0x21, 0xe0, 0x01, 0xff), "\nstore8 ram_end-0x20 0xffffffffffffffff\n");
    expect_text(BYTES(OP_LOCK_CMPXCHG8, 0x01, 0x92, 0x81, 0x83), "\n@1 lock-cmpxchg8 0x12 1 3\n");
    expect_text(BYTES(OP_DESCHEDULE, 0x81, 0x03, 0x40, 0x4b, 0x4c), "\n!deschedule 1 5ms\n");
}

Test(program_binary, whatever_is_missing_or_out_of_range_is_reduced)
{
    expect_text(BYTES(OP_WRMSR), "\nwrmsr 0 0\n");
    expect_text(BYTES(0xee, OP_RDTSC), "\nnop\nrdtsc\n");
    expect_text(BYTES(OP_RDTSC, 0x77), "\n@1 rdtsc\n");                    /* mode 7, vcpu 7 of 2 */
    expect_text(BYTES(OP_RDMSR, 0, 0x51, 0x10), "\nrdmsr MSR_IA32_TSC\n"); /* an MSR counts from no base */
    expect_text(BYTES(OP_LOAD8, 0, 0x61, 0x10), "\nload8 0x10\n");         /* there is no base 6 */
    expect_text(BYTES(OP_DUMP, 0, 0x80, 0xc2), "\ndump 0 1\n");            /* 66 of at most 64 bytes */
    expect_text(BYTES(OP_HOST_INIT, 0x92), "\n!init 2\n");                 /* vCPU 18 of 16 */
    expect_text(BYTES(OP_NOTE, 0x89, 'a', '\n', 0xff), "\n# ?\n");
}

Test(program_binary, encode_picks_the_shortest_spelling)
{
    static const uint8_t loose[] = {HEADER, OP_VMCALL, 0, 0x08, 5, 0, 0,    0,    0, 0, 0,
                                    0,      0x01,      1, 0x02, 0, 0, 0x00, 0x12, 1, 0, 0xee};
    static const uint8_t tight[] = {HEADER, OP_VMCALL, 0, 0x85, 0x81, 0x80, 0x80, 0x11, 1, OP_NOP};
    struct program program = decoded(loose, sizeof(loose));

    expect_bytes(&program, tight, sizeof(tight));
    program_free(&program);
}

static void expect_header_error(size_t at, uint8_t byte, size_t len, const char *message)
{
    uint8_t data[] = {HEADER};
    struct program_error error;
    struct program program;

    program_init(&program);
    data[at] = byte;
    cr_assert(eq(int, program_decode(&program, data, len, &error), -EINVAL));
    cr_expect(eq(str, error.message, (char *)message));
    cr_expect(eq(uint, error.line, 0));
    program_decode_total(&program, data, len); /* fuzzing reads the same bytes without complaint */
    cr_expect(le(uint, program.config.vcpus, PROGRAM_VCPUS_MAX));
    cr_expect(le(uint, program.config.irqchip, PROGRAM_IRQCHIP_NONE));
    program_free(&program);
}

Test(program_binary, only_the_header_has_errors)
{
    expect_header_error(0, 'x', 16, "not a binary program: the magic bytes 89 50 56 are missing");
    expect_header_error(1, 'P', 12, "the header is cut short: it takes 16 bytes");
    expect_header_error(3, 2, 16, "unknown version of the binary form: this build reads version 1");
    expect_header_error(4, 0, 16, "header byte 4, vcpus, is not between 1 and 16");
    expect_header_error(4, 17, 16, "header byte 4, vcpus, is not between 1 and 16");
    expect_header_error(5, 3, 16, "header byte 5, machine bits, holds an unknown irqchip or bit");
    expect_header_error(5, 0x20, 16, "header byte 5, machine bits, holds an unknown irqchip or bit");
}

Test(program_binary, load_tells_the_forms_apart)
{
    static const uint8_t raw[] = {0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, OP_RDTSC};
    const char *text = "paravane 1\nrdtsc\n";
    struct program_error error;
    struct program program;

    program_init(&program);
    cr_assert(eq(int, program_load(&program, BYTES(OP_RDTSC), &error), 0));
    cr_expect(eq(uint, program.config.vcpus, 2));
    cr_assert(eq(int, program_load(&program, (const uint8_t *)text, strlen(text), &error), 0));
    cr_expect(eq(uint, program.count, 1));
    cr_assert(eq(int, program_load(&program, raw, sizeof(raw), &error), 0));
    cr_expect(eq(int, program.actions[0].op, OP_RDTSC));
    cr_assert(eq(int, program_load(&program, (const uint8_t *)"rdtsc", 5, &error), -EINVAL));
    program_free(&program);
}

static void expect_same_config(const struct program_config *a, const struct program_config *b)
{
    cr_assert(eq(u8, a->vcpus, b->vcpus));
    cr_assert(eq(u8, a->irqchip, b->irqchip));
    cr_assert(eq(int, a->enforce, b->enforce));
    cr_assert(eq(int, a->vmcall_native, b->vmcall_native));
    cr_assert(eq(int, a->hyperv, b->hyperv));
    cr_assert(eq(u32, a->ram_pages, b->ram_pages));
    cr_assert(eq(u32, a->features, b->features));
    cr_assert(eq(u32, a->hints, b->hints));
}

static void expect_equal(const struct program *a, const struct program *b)
{
    expect_same_config(&a->config, &b->config);
    cr_assert(eq(uint, a->count, b->count));
    for (uint32_t i = 0; i < a->count; i++) {
        char line_a[PROGRAM_NOTE_MAX + 2], line_b[PROGRAM_NOTE_MAX + 2];

        action_print(a, &a->actions[i], line_a, sizeof(line_a));
        action_print(b, &b->actions[i], line_b, sizeof(line_b));
        cr_assert(eq(str, line_a, line_b));
    }
}

/* bytes -> program -> bytes -> program -> bytes, and the same through text. */
static void expect_lossless(const uint8_t *data, size_t len)
{
    struct program first, second;
    struct program_error error;
    uint8_t *binary;
    size_t binary_len, text_len;
    char *text;

    program_init(&first);
    program_init(&second);
    program_decode_total(&first, data, len);
    cr_assert(eq(int, program_encode(&first, &binary, &binary_len), 0));
    cr_assert(eq(int, program_decode(&second, binary, binary_len, &error), 0));
    expect_equal(&first, &second);
    expect_bytes(&second, binary, binary_len);

    cr_assert(eq(int, program_print(&first, &text, &text_len), 0));
    cr_assert(eq(int, program_parse(&second, text, text_len, &error), 0), "%u:%u: %s\n%s", error.line,
              error.column, error.message, text);
    expect_equal(&first, &second);
    expect_bytes(&second, binary, binary_len);
    free(text);
    free(binary);
    program_free(&first);
    program_free(&second);
}

Test(program_binary, any_bytes_survive_both_forms)
{
    uint64_t seed = 1;
    uint8_t data[256];

    for (unsigned i = 0; i < 10000; i++)
        expect_lossless(data, random_bytes(&seed, data, sizeof(data)));
}

/* Every op in every mode, operands at the edges of each spelling. */
Test(program_binary, each_op_survives_both_forms)
{
    static const uint64_t values[] = {0, 1, 127, 128, 255, 0x7fff, 0x8000, 0xffffffff, 1ull << 63, ~0ull};

    for (unsigned op = 0; op < OP_COUNT; op++)
        for (unsigned mode = 0; mode < MODE_COUNT; mode++)
            for (unsigned v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
                uint8_t data[16 + 2 + PROGRAM_ARGS * 9] = {HEADER, op, mode << 4 | (v & 1)}, *at = data + 18;

                if (!op_on_vcpu(op))
                    at--;
                for (unsigned i = 0; i < op_info(op)->args; i++) {
                    *at++ = (v + i) % BASE_COUNT << 4 | 8;
                    memcpy(at, &values[v], 8);
                    at += 8;
                }
                expect_lossless(data, at - data);
            }
}

Test(program_binary, a_body_stops_at_the_largest_program)
{
    uint8_t *data = calloc(1, 100000);
    struct program program;

    program_init(&program);
    program_decode_total(&program, data, 100000);
    cr_expect(eq(uint, program.count, PROGRAM_ACTIONS_MAX));
    program_free(&program);
    free(data);
}

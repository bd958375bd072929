/* Writes the dictionary of a target from our own tables: whole actions in binary form for programs, names for flags. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "diff/probe/mailbox.h"
#include "diff/program/program.h"
#include "vmm/cpuid/features.h"

#define ENTRY_MAX 60 /* libFuzzer refuses entries above 64 bytes */

static void put_entry(const uint8_t *data, size_t len)
{
    putchar('"');
    for (size_t i = 0; i < len; i++)
        printf("\\x%02x", data[i]);
    puts("\"");
}

/* What one action adds to the binary form of an empty program. */
static void put_action(const struct action *action)
{
    struct program program;
    uint8_t *data;
    size_t len;

    program_init(&program);
    if (program_add(&program, action) && !program_encode(&program, &data, &len)) {
        if (len > PROGRAM_HEADER_SIZE && len - PROGRAM_HEADER_SIZE <= ENTRY_MAX)
            put_entry(data + PROGRAM_HEADER_SIZE, len - PROGRAM_HEADER_SIZE);
        free(data);
    }
    program_free(&program);
}

static void put_accesses(uint64_t index)
{
    static const struct operand values[] = {
        {BASE_NONE, 0},
        {BASE_NONE, 1},
        {BASE_NONE, ~0ull},
        {BASE_RAM, 1},
        {BASE_RAM, 0x1009},
        {BASE_RAM, 0xfe1},
        {BASE_RAM, 0xff1},
        {BASE_RAM_END, 1 - 64ull},
        {BASE_RAM_END, 1 - 32ull},
        {BASE_RAM_END, 1},
        {BASE_HOLE, 9},
        {BASE_ROM, 1},
    };

    put_action(&(struct action){.op = OP_RDMSR, .args = {{BASE_NONE, index}}});
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        put_action(&(struct action){.op = OP_WRMSR, .args = {{BASE_NONE, index}, values[i]}});
}

/* Memory that comes and goes, the dirty log, pages of the probe's window with each right, ports. */
static void put_memory_entries(void)
{
    static const struct operand places[] = {{BASE_HOLE, 0}, {BASE_HOLE, 0x1000}, {BASE_RAM_END, 0}};
    static const uint64_t rights[] = {0, 1, 3, 5, 7};
    const struct operand window = {BASE_NONE, PROBE_WINDOW};

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        put_action(&(struct action){.op = OP_SLOT_ADD, .args = {places[i], {0, 0x1000}}});
        put_action(&(struct action){.op = OP_SLOT_ADD, .args = {places[i], {0, 0x2000}, {0, 1}}});
        put_action(&(struct action){.op = OP_SLOT_REMOVE, .args = {places[i]}});
        put_action(&(struct action){.op = OP_SLOT_MOVE, .args = {places[0], places[i]}});
        put_action(&(struct action){.op = OP_DIRTY_READ, .args = {places[i], {0, 0x1000}}});
    }
    put_action(&(struct action){.op = OP_DIRTY_READ, .args = {{BASE_RAM, 0}, {0, 0x10000}}});
    put_action(&(struct action){.op = OP_DIRTY_CLEAR});
    for (size_t i = 0; i < sizeof(rights) / sizeof(rights[0]); i++)
        put_action(&(struct action){.op = OP_MAP, .args = {window, {BASE_RAM, rights[i]}}});
    put_action(&(struct action){.op = OP_INVLPG, .args = {window}});
    put_action(&(struct action){.op = OP_STORE64, .args = {window, {0, 1}}});
    put_action(&(struct action){.op = OP_LOAD64, .args = {window}});
    for (enum action_op op = OP_IN8; op <= OP_OUT32; op++)
        put_action(&(struct action){.op = (uint8_t)op, .args = {{0, 0x80}, {0, 1}}});
}

static void put_program_entries(void)
{
    const struct symbol_table *msrs = operand_symbols(ARG_MSR), *calls = operand_symbols(ARG_HYPERCALL);
    const struct symbol_table *registers = operand_symbols(ARG_APIC_REG);
    static const uint64_t times[] = {1, 1000000, 100000000, 300000000000, 864000000000000};

    for (unsigned i = 0; i < msrs->count; i++)
        if ((msrs->rows[i].value & ~0xffull) == 0x4b564d00 || msrs->rows[i].value < 0x100)
            put_accesses(msrs->rows[i].value);
    for (unsigned i = 0; i < calls->count; i++) {
        struct operand nr = {BASE_NONE, calls->rows[i].value};

        put_action(&(struct action){.op = OP_VMCALL, .args = {nr, {0, 1}, {0, 0}, {0, 0}, {0, 0xfd}}});
        put_action(&(struct action){.op = OP_VMMCALL, .args = {nr, {BASE_RAM, 0x100}}});
    }
    for (unsigned i = 0; i < registers->count; i++)
        put_action(
            &(struct action){.op = OP_APIC_WRITE, .args = {{0, registers->rows[i].value}, {0, 0x1ff}}});
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
        put_action(&(struct action){.op = OP_ADVANCE, .args = {{0, times[i]}}});
    put_action(&(struct action){.op = OP_RESET});
    put_action(&(struct action){.op = OP_SAVE_RESTORE});
    put_action(&(struct action){.op = OP_HLT});
    put_memory_entries();
}

static void put_flag_entries(void)
{
    static const char *const words[] = {"qemu64", "kvm64", "host", "max",    "base",  "+",
                                        "-",      "=on",   "=off", ",",      "=",     "0x",
                                        "4096",   "4k",    "1M",   "vendor", "check", "enforce"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        printf("\"%s\"\n", words[i]);
    for (unsigned i = 0; i < feature_name_count; i++)
        if (strlen(feature_names[i].name) <= ENTRY_MAX)
            printf("\"%s\"\n", feature_names[i].name);
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "program")) {
        put_program_entries();
    } else if (argc == 2 && !strcmp(argv[1], "flags")) {
        put_flag_entries();
    } else {
        fprintf(stderr, "usage: gen_dict program|flags >FILE.dict\n");
        return 2;
    }
    return fflush(stdout) ? 4 : 0;
}

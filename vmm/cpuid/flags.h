/* The -cpu string: model, then items. QEMU flags specification sections 2 to 4. Pure, no heap, linear in the string. */
#ifndef VMM_CPUID_FLAGS_H
#define VMM_CPUID_FLAGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "vmm/cpuid/features.h"
#include "vmm/cpuid/message.h"
#include "vmm/cpuid/models.h"
#include "vmm/cpuid/property.h"

enum cpu_item_form { ITEM_ASSIGN, ITEM_BARE, ITEM_PLUS, ITEM_MINUS };

/* One item as it stands in the string; name excludes the sign. */
struct cpu_item {
    enum cpu_item_form form;
    uint32_t at;
    const char *name, *value; /* value of ITEM_BARE is "on" (G7); of a sign NULL */
    size_t name_len, value_len;
};

/* Walks the items after the model name, in order; empty ones are skipped (G1). */
struct cpu_items {
    const char *text;
    size_t len, pos;
};
struct cpu_items cpu_items_of(const char *text, size_t len);
bool cpu_items_next(struct cpu_items *items, struct cpu_item *item);

/* Where QEMU stops on an error: other errors of the same run come earlier or later (P4, P5, P6). */
enum cpu_stage { STAGE_LOOKUP, STAGE_CREATE, STAGE_REALIZE };

#define CPU_TYPE_LEN    48
#define CPU_TYPE_SUFFIX "-x86_64-cpu"
struct cpu_flags {
    const struct cpu_model *model;  /* NULL: error says why, or help was asked for */
    const struct cpu_model *latest; /* what the name means on microvm (M9) */
    char type[CPU_TYPE_LEN];        /* "<model>-x86_64-cpu", the model as it was written */
    bool help;                      /* the string is "help" or "?" (P2) */
    uint32_t items;
    /* What all items together say, last one winning and signs after values (R1 rows 6 to 8). */
    uint64_t touched[FEATURE_WORDS], on[FEATURE_WORDS];
    struct property_value values[PROPERTIES]; /* texts point into the string */
    struct property_value vpindex;            /* hv-vpindex by values alone, without signs */
    struct messages warnings;
    enum cpu_stage stage; /* of error */
    struct message error; /* kind CPU_OK: none */
};

/* Length of the model's name in flags->type. */
static inline size_t cpu_model_name_len(const struct cpu_flags *flags)
{
    return strlen(flags->type) - strlen(CPU_TYPE_SUFFIX);
}

/* Total: every byte string of up to 4 GiB gives a result. text must outlive *flags. */
void cpu_flags_parse(struct cpu_flags *flags, const char *text, size_t len);

/* "name=value" for an object of the given type: what -cpu items, -global and machine compatibility share.
 * False: *why is QEMU's error. */
struct cpu_assignment {
    uint64_t *touched, *on; /* FEATURE_WORDS each */
    struct property_value *values;
    const char *type;
    bool max_model; /* host or max */
    const char *by; /* the class under which the value was given, for the error; NULL: type */
    size_t by_len;
};
bool cpu_assign(const struct cpu_assignment *to, const char *name, size_t name_len, const char *value,
                size_t value_len, size_t at, struct message *why);

#endif

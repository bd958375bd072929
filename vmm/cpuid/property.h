/* The -cpu properties that are not feature bits: names, types, ranges, defaults, and how a value is read.
 * QEMU flags specification sections 2.1, 3 and 17.3. */
#ifndef VMM_CPUID_PROPERTY_H
#define VMM_CPUID_PROPERTY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "vmm/cpuid/message.h"

enum property_id {
    P_NONE, /* accepted and without effect on CPUID */
    P_APIC_ID,
    P_CHECK,
    P_CORE_ID,
    P_CPUID_0XB,
    P_DIE_ID,
    P_ENFORCE,
    P_FAMILY,
    P_FORCE_FEATURES,
    P_FULL_CPUID_AUTO_LEVEL,
    P_HOST_CACHE_INFO,
    P_HOST_PHYS_BITS,
    P_HOST_PHYS_BITS_LIMIT,
    P_HV_AVIC,
    P_HV_CRASH,
    P_HV_EMSR_BITMAP,
    P_HV_ENFORCE_CPUID,
    P_HV_EVMCS,
    P_HV_FREQUENCIES,
    P_HV_IPI,
    P_HV_MAX_VPS,
    P_HV_NO_NONARCH_CORESHARING, /* enum on_off_auto */
    P_HV_PASSTHROUGH,
    P_HV_REENLIGHTENMENT,
    P_HV_RELAXED,
    P_HV_RESET,
    P_HV_RUNTIME,
    P_HV_SPINLOCKS,
    P_HV_STIMER,
    P_HV_STIMER_DIRECT,
    P_HV_SYNDBG,
    P_HV_SYNIC,
    P_HV_SYNIC_KVM_ONLY,
    P_HV_TIME,
    P_HV_TLBFLUSH,
    P_HV_TLBFLUSH_DIRECT,
    P_HV_TLBFLUSH_EXT,
    P_HV_VAPIC,
    P_HV_VENDOR_ID, /* text */
    P_HV_VERSION_BUILD,
    P_HV_VERSION_MAJOR,
    P_HV_VERSION_MINOR,
    P_HV_VERSION_SBRANCH,
    P_HV_VERSION_SNUMBER,
    P_HV_VERSION_SPACK,
    P_HV_VPINDEX,
    P_HV_XMM_INPUT,
    P_INTEL_PT_AUTO_LEVEL,
    P_KVM,
    P_KVM_ENFORCE,
    P_L3_CACHE,
    P_LBR_FMT,
    P_LEGACY_CACHE,
    P_LEVEL,
    P_LEVEL_FUNC7,
    P_MEMORY, /* set: to nothing, of which QEMU dies */
    P_MIGRATABLE,
    P_MIN_LEVEL,
    P_MIN_XLEVEL,
    P_MIN_XLEVEL2,
    P_MODEL,
    P_MODEL_ID, /* text */
    P_NODE_ID,
    P_PHYS_BITS,
    P_PMU,
    P_SOCKET_ID,
    P_STEPPING,
    P_TCG_CPUID,
    P_THREAD_ID,
    P_TSC_FREQUENCY, /* Hz as given */
    P_VENDOR,        /* text */
    P_VENDOR_CPUID_ONLY,
    P_VMWARE_CPUID_FREQ,
    P_XLEVEL,
    P_XLEVEL2,
    PROPERTIES,
};

enum on_off_auto { TRI_AUTO, TRI_ON, TRI_OFF };

enum property_type {
    PT_BOOL,
    PT_U8,
    PT_U16,
    PT_U32,
    PT_U64,
    PT_I32,
    PT_I64,
    PT_VENDOR, /* exactly 12 bytes */
    PT_TEXT,
    PT_TRISTATE,
    PT_MASK, /* unsigned within max; bad syntax makes QEMU 7.2 abort */
    PT_READ_ONLY,
    PT_LINK, /* the path of another object: nothing that we have */
    PT_REALIZED,
};

struct property {
    const char *name;
    uint8_t id;    /* enum property_id */
    uint8_t type;  /* enum property_type */
    bool max_only; /* exists for models host and max only */
    int64_t initial;
    int64_t max; /* PT_I64: range 0..max; PT_MASK: allowed bits */
};

/* What a -cpu item or a -global gave a property. */
struct property_value {
    bool set;
    uint32_t at;      /* position of its item */
    uint64_t number;  /* sign-extended for the signed types */
    const char *text; /* PT_VENDOR, PT_TEXT: the bytes, in the caller's string */
    uint32_t text_len;
};

extern const struct property properties[];
extern const unsigned property_count;
const struct property *property_find(const char *name, size_t len);
/* The default of every property as QEMU 7.2 has it before model and machine. */
void properties_defaults(struct property_value values[PROPERTIES]);

/* Booleans as QEMU spells them (V1). */
bool value_bool(const char *text, size_t len, bool *value);
/* C-style integers with leading blanks and sign, wrapping at 2^64 (V2-V4). */
bool value_u64(const char *text, size_t len, uint64_t *value);
bool value_i64(const char *text, size_t len, int64_t *value);
enum size_result { SIZE_OK, SIZE_HEX_SUFFIX, SIZE_BAD };
/* tsc-freq: decimal multipliers (V9). SIZE_HEX_SUFFIX is a value with a deprecation warning. */
enum size_result value_metric(const char *text, size_t len, uint64_t *value);

/* Reads one value. False: *why holds kind and QEMU's words, without the "can't apply global" prefix. */
bool property_read(const struct property *property, const char *text, size_t len,
                   struct property_value *value, struct message *why);
/* "+name" (on) or "-name" on a property that is no feature bit; *value is what it had. */
bool property_switch(const struct property *property, const char *type_name, bool on,
                     struct property_value *value, struct message *why);

/* A span of hostile length for "%.*s". */
#define SPAN(text, len) (int)((len) < MESSAGE_TEXT ? (len) : MESSAGE_TEXT), (text)

#endif

/* Table of the -cpu properties that are not feature bits. QEMU flags specification sections 3 and 17.3;
 * defaults as QEMU 7.2 reports them. */
#include "vmm/cpuid/property.h"

#include <inttypes.h>
#include <string.h>
#include "vmm/cpuid/features.h"

#define UNSET32 0xffffffffll

// clang-format off
const struct property properties[] = { /* sorted by name */
    { "apic-id",                  P_APIC_ID,               PT_U32, .initial = UNSET32 },
    { "check",                    P_CHECK,                 PT_BOOL, .initial = 1 },
    { "core-id",                  P_CORE_ID,               PT_I32, .initial = -1 },
    { "cpuid-0xb",                P_CPUID_0XB,             PT_BOOL, .initial = 1 },
    { "crash-information",        P_NONE,                  PT_READ_ONLY },
    { "die-id",                   P_DIE_ID,                PT_I32, .initial = -1 },
    { "enforce",                  P_ENFORCE,               PT_BOOL },
    { "family",                   P_FAMILY,                PT_I64, .max = 270 },
    { "feature-words",            P_NONE,                  PT_READ_ONLY },
    { "fill-mtrr-mask",           P_NONE,                  PT_BOOL },
    { "filtered-features",        P_NONE,                  PT_READ_ONLY },
    { "full-cpuid-auto-level",    P_FULL_CPUID_AUTO_LEVEL, PT_BOOL, .initial = 1 },
    { "host-cache-info",          P_HOST_CACHE_INFO,       PT_BOOL, .max_only = true },
    { "host-phys-bits",           P_HOST_PHYS_BITS,        PT_BOOL },
    { "host-phys-bits-limit",     P_HOST_PHYS_BITS_LIMIT,  PT_U8 },
    { "hotpluggable",             P_NONE,                  PT_READ_ONLY },
    { "hotplugged",               P_NONE,                  PT_READ_ONLY },
    { "hv-apicv",                 P_HV_AVIC,               PT_BOOL },
    { "hv-avic",                  P_HV_AVIC,               PT_BOOL },
    { "hv-crash",                 P_HV_CRASH,              PT_BOOL },
    { "hv-emsr-bitmap",           P_HV_EMSR_BITMAP,        PT_BOOL },
    { "hv-enforce-cpuid",         P_HV_ENFORCE_CPUID,      PT_BOOL },
    { "hv-evmcs",                 P_HV_EVMCS,              PT_BOOL },
    { "hv-frequencies",           P_HV_FREQUENCIES,        PT_BOOL },
    { "hv-ipi",                   P_HV_IPI,                PT_BOOL },
    { "hv-no-nonarch-coresharing", P_HV_NO_NONARCH_CORESHARING, PT_TRISTATE, .initial = TRI_OFF },
    { "hv-passthrough",           P_HV_PASSTHROUGH,        PT_BOOL },
    { "hv-reenlightenment",       P_HV_REENLIGHTENMENT,    PT_BOOL },
    { "hv-relaxed",               P_HV_RELAXED,            PT_BOOL },
    { "hv-reset",                 P_HV_RESET,              PT_BOOL },
    { "hv-runtime",               P_HV_RUNTIME,            PT_BOOL },
    { "hv-spinlocks",             P_HV_SPINLOCKS,          PT_U32, .initial = UNSET32 },
    { "hv-stimer",                P_HV_STIMER,             PT_BOOL },
    { "hv-stimer-direct",         P_HV_STIMER_DIRECT,      PT_BOOL },
    { "hv-syndbg",                P_HV_SYNDBG,             PT_BOOL },
    { "hv-synic",                 P_HV_SYNIC,              PT_BOOL },
    { "hv-time",                  P_HV_TIME,               PT_BOOL },
    { "hv-tlbflush",              P_HV_TLBFLUSH,           PT_BOOL },
    { "hv-tlbflush-direct",       P_HV_TLBFLUSH_DIRECT,    PT_BOOL },
    { "hv-tlbflush-ext",          P_HV_TLBFLUSH_EXT,       PT_BOOL },
    { "hv-vapic",                 P_HV_VAPIC,              PT_BOOL },
    { "hv-vendor-id",             P_HV_VENDOR_ID,          PT_TEXT },
    { "hv-version-id-build",      P_HV_VERSION_BUILD,      PT_U32, .initial = 0x3839 },
    { "hv-version-id-major",      P_HV_VERSION_MAJOR,      PT_U16, .initial = 10 },
    { "hv-version-id-minor",      P_HV_VERSION_MINOR,      PT_U16 },
    { "hv-version-id-sbranch",    P_HV_VERSION_SBRANCH,    PT_U8 },
    { "hv-version-id-snumber",    P_HV_VERSION_SNUMBER,    PT_U32 },
    { "hv-version-id-spack",      P_HV_VERSION_SPACK,      PT_U32 },
    { "hv-vpindex",               P_HV_VPINDEX,            PT_BOOL },
    { "hv-xmm-input",             P_HV_XMM_INPUT,          PT_BOOL },
    { "kvm",                      P_KVM,                   PT_BOOL, .initial = 1 },
    { "kvm-no-smi-migration",     P_NONE,                  PT_BOOL },
    { "kvm-pv-enforce-cpuid",     P_KVM_ENFORCE,           PT_BOOL },
    { "l3-cache",                 P_L3_CACHE,              PT_BOOL, .initial = 1 },
    { "lbr-fmt",                  P_LBR_FMT,               PT_MASK, .initial = 0, .max = 0x3f },
    { "lbr_fmt",                  P_LBR_FMT,               PT_MASK, .initial = 0, .max = 0x3f },
    { "legacy-cache",             P_LEGACY_CACHE,          PT_BOOL, .initial = 1 },
    { "level",                    P_LEVEL,                 PT_U32, .initial = UNSET32 },
    { "level-func7",              P_LEVEL_FUNC7,           PT_U32, .initial = UNSET32 },
    { "lmce",                     P_NONE,                  PT_BOOL },
    { "memory",                   P_MEMORY,                  PT_LINK },
    { "migratable",               P_MIGRATABLE,            PT_BOOL, .max_only = true, .initial = 1 },
    { "min-level",                P_MIN_LEVEL,             PT_U32 },
    { "min-xlevel",               P_MIN_XLEVEL,            PT_U32 },
    { "min-xlevel2",              P_MIN_XLEVEL2,           PT_U32 },
    { "model",                    P_MODEL,                 PT_I64, .max = 255 },
    { "model-id",                 P_MODEL_ID,              PT_TEXT },
    { "node-id",                  P_NODE_ID,               PT_I32, .initial = -1 },
    { "parent_bus",               P_NONE,                  PT_READ_ONLY },
    { "phys-bits",                P_PHYS_BITS,             PT_U32 },
    { "pmu",                      P_PMU,                   PT_BOOL },
    { "realized",                 P_NONE,                  PT_REALIZED },
    { "socket-id",                P_SOCKET_ID,             PT_I32, .initial = -1 },
    { "start-powered-off",        P_NONE,                  PT_BOOL },
    { "stepping",                 P_STEPPING,              PT_I64, .max = 15 },
    { "tcg-cpuid",                P_TCG_CPUID,             PT_BOOL, .initial = 1 },
    { "thread-id",                P_THREAD_ID,             PT_I32, .initial = -1 },
    { "tsc-frequency",            P_TSC_FREQUENCY,         PT_I64, .max = INT64_MAX },
    { "type",                     P_NONE,                  PT_READ_ONLY },
    { "ucode-rev",                P_NONE,                  PT_U64 },
    { "unavailable-features",     P_NONE,                  PT_READ_ONLY },
    { "vendor",                   P_VENDOR,                PT_VENDOR },
    { "vmware-cpuid-freq",        P_VMWARE_CPUID_FREQ,     PT_BOOL, .initial = 1 },
    { "x-force-features",         P_FORCE_FEATURES,        PT_BOOL },
    { "x-hv-max-vps",             P_HV_MAX_VPS,            PT_I32, .initial = -1 },
    { "x-hv-synic-kvm-only",      P_HV_SYNIC_KVM_ONLY,     PT_BOOL },
    { "x-intel-pt-auto-level",    P_INTEL_PT_AUTO_LEVEL,   PT_BOOL, .initial = 1 },
    { "x-migrate-smi-count",      P_NONE,                  PT_BOOL },
    { "x-vendor-cpuid-only",      P_VENDOR_CPUID_ONLY,     PT_BOOL, .initial = 1 },
    { "xlevel",                   P_XLEVEL,                PT_U32, .initial = UNSET32 },
    { "xlevel2",                  P_XLEVEL2,               PT_U32, .initial = UNSET32 },
};
// clang-format on

const unsigned property_count = sizeof(properties) / sizeof(properties[0]);

const struct property *property_find(const char *name, size_t len)
{
    unsigned low = 0, high = property_count;

    while (low < high) {
        unsigned mid = (low + high) / 2;
        int order = name_compare(name, len, properties[mid].name);

        if (order == 0)
            return &properties[mid];
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

void properties_defaults(struct property_value values[PROPERTIES])
{
    memset(values, 0, PROPERTIES * sizeof(values[0]));
    for (unsigned i = 0; i < property_count; i++)
        values[properties[i].id].number = (uint64_t)properties[i].initial;
}

/* Width of the narrow integer types, as the error names it. */
static bool fits(enum property_type type, uint64_t number, const char **expects)
{
    int64_t wide = (int64_t)number;

    switch (type) {
    case PT_U8:
        *expects = "uint8_t";
        return number <= UINT8_MAX;
    case PT_U16:
        *expects = "uint16_t";
        return number <= UINT16_MAX;
    case PT_U32:
        *expects = "uint32_t";
        return number <= UINT32_MAX;
    case PT_I32:
        *expects = "int32_t";
        return wide >= INT32_MIN && wide <= INT32_MAX;
    default:
        return true;
    }
}

static bool read_integer(const struct property *property, const char *text, size_t len, uint64_t *number,
                         struct message *why)
{
    bool is_signed = property->type == PT_I32 || property->type == PT_I64;
    const char *expects = is_signed ? "int64" : "uint64";
    int64_t wide = 0;
    bool valid = is_signed ? value_i64(text, len, &wide) : value_u64(text, len, number);

    if (is_signed)
        *number = (uint64_t)wide;
    if (!valid || !fits(property->type, *number, &expects)) {
        message_set(why, CPU_BAD_VALUE, 0, "Parameter '%s' expects %s", property->name, expects);
        return false;
    }
    if (property->type == PT_I64 && (wide < 0 || wide > property->max)) {
        message_set(why, CPU_BAD_VALUE, 0,
                    "Property .%s doesn't take value %" PRId64 " (minimum: 0, maximum: %" PRId64 ")",
                    property->name, wide, property->max);
        return false;
    }
    return true;
}

/* QEMU goes on to the mask with the value from before; its default is outside, and a second error is an abort. */
static void refuse_mask(const struct property *property, bool was_set, struct message *why)
{
    if (was_set)
        message_set(why, CPU_BAD_VALUE, 0, "Parameter '%s' expects uint64", property->name);
    else
        message_set(why, CPU_QEMU_ABORTS, 0, "error_setv: Assertion `*errp == NULL' failed.");
}

static bool read_mask(const struct property *property, const char *text, size_t len, bool was_set,
                      uint64_t *number, struct message *why)
{
    if (!value_u64(text, len, number)) {
        refuse_mask(property, was_set, why);
        return false;
    }
    if (*number & ~(uint64_t)property->max) {
        message_set(why, CPU_BAD_VALUE, 0, "Property value for '%s' has bits outside mask '0x%" PRIx64 "'",
                    property->name, property->max);
        return false;
    }
    return true;
}

static bool read_tristate(const struct property *property, const char *text, size_t len, uint64_t *number,
                          struct message *why)
{
    static const char *const words[] = {[TRI_AUTO] = "auto", [TRI_ON] = "on", [TRI_OFF] = "off"};

    for (unsigned i = 0; i < 3; i++)
        if (name_compare(text, len, words[i]) == 0) {
            *number = i;
            return true;
        }
    message_set(why, CPU_BAD_VALUE, 0, "Parameter '%s' does not accept value '%.*s'", property->name,
                SPAN(text, len));
    return false;
}

static bool read_bool(const struct property *property, const char *text, size_t len, uint64_t *number,
                      struct message *why)
{
    bool on = false;
    bool valid = value_bool(text, len, &on);

    *number = on;
    if (!valid)
        message_set(why, CPU_BAD_VALUE, 0, "Parameter '%s' expects 'on' or 'off'", property->name);
    return valid;
}

bool property_read(const struct property *property, const char *text, size_t len,
                   struct property_value *value, struct message *why)
{
    bool was_set = value->set;

    value->set = true;
    switch ((enum property_type)property->type) {
    case PT_BOOL:
    case PT_REALIZED: /* the caller knows what "on" would realize */
        return read_bool(property, text, len, &value->number, why);
    case PT_TRISTATE:
        return read_tristate(property, text, len, &value->number, why);
    case PT_MASK:
        return read_mask(property, text, len, was_set, &value->number, why);
    case PT_VENDOR:
    case PT_TEXT:
        value->text = text;
        value->text_len = len;
        if (property->type == PT_TEXT || len == 12)
            return true;
        message_set(why, CPU_BAD_VALUE, 0, "Property '.%s' doesn't take value '%.*s'", property->name,
                    SPAN(text, len));
        return false;
    case PT_LINK:
        if (len == 0) /* no object: QEMU finds out too late (P_MEMORY) */
            return true;
        message_set(why, CPU_BAD_VALUE, 0, "Device '%.*s' not found", SPAN(text, len));
        return false;
    case PT_READ_ONLY: /* the caller knows the type's name and answers before */
        return false;
    default:
        return read_integer(property, text, len, &value->number, why);
    }
}

bool property_switch(const struct property *property, const char *type_name, bool on,
                     struct property_value *value, struct message *why)
{
    switch ((enum property_type)property->type) {
    case PT_REALIZED:
        if (on)
            message_set(why, CPU_QEMU_ABORTS, 0, "QEMU 7.2 crashes on +realized");
        return !on;
    case PT_BOOL:
        value->set = true;
        value->number = on;
        return true;
    case PT_READ_ONLY:
        message_set(why, CPU_READ_ONLY, 0, "Property '%s.%s' is not writable", type_name, property->name);
        return false;
    case PT_U8:
    case PT_U16:
    case PT_U32:
    case PT_U64:
        message_set(why, CPU_BAD_VALUE, 0, "Parameter '%s' expects uint64", property->name);
        return false;
    case PT_MASK:
        refuse_mask(property, value->set, why);
        return false;
    case PT_I32:
    case PT_I64:
        message_set(why, CPU_BAD_VALUE, 0, "Invalid parameter type for '%s', expected: integer",
                    property->name);
        return false;
    default:
        message_set(why, CPU_BAD_VALUE, 0, "Invalid parameter type for '%s', expected: string",
                    property->name);
        return false;
    }
}

/* Parser of the -cpu string. QEMU flags specification sections 2 (G1-G14), 3.4 and 4 (R1, R6-R8). */
#include "vmm/cpuid/flags.h"

#include <stdio.h>
#include <string.h>

struct cpu_items cpu_items_of(const char *text, size_t len)
{
    const char *comma = len ? memchr(text, ',', len) : NULL;

    return (struct cpu_items){.text = text, .len = len, .pos = comma ? (size_t)(comma - text) : len};
}

bool cpu_items_next(struct cpu_items *items, struct cpu_item *item)
{
    const char *start, *end, *equals;
    size_t len;

    while (items->pos < items->len && items->text[items->pos] == ',')
        items->pos++;
    if (items->pos >= items->len)
        return false;
    start = items->text + items->pos;
    end = memchr(start, ',', items->len - items->pos);
    len = end ? (size_t)(end - start) : items->len - items->pos;
    *item = (struct cpu_item){.at = (uint32_t)items->pos, .name = start, .name_len = len};
    items->pos += len;
    if (*start == '+' || *start == '-') {
        item->form = *start == '+' ? ITEM_PLUS : ITEM_MINUS;
        item->name++;
        item->name_len--;
        return true;
    }
    equals = memchr(start, '=', len);
    if (equals) {
        item->form = ITEM_ASSIGN;
        item->name_len = (size_t)(equals - start);
        item->value = equals + 1;
        item->value_len = len - item->name_len - 1;
    } else {
        item->form = ITEM_BARE;
        item->value = "on";
        item->value_len = 2;
    }
    return true;
}

/* A name is at most one of these. index numbers all names that exist. */
struct name_ref {
    const struct feature_name *feature;
    const struct property *property;
    unsigned index;
};
#define NAME_INDEXES (FEATURE_NAMES_MAX + 128)
#define NAME_LEN     64 /* longer than any name that exists */

static struct name_ref name_lookup(const char *name, size_t len, bool max_model)
{
    struct name_ref ref = {.index = NAME_INDEXES};

    if (len == 0 || len >= NAME_LEN)
        return ref;
    ref.feature = feature_find(name, len);
    if (ref.feature) {
        ref.index = (unsigned)(ref.feature - feature_names);
        return ref;
    }
    ref.property = property_find(name, len);
    if (ref.property && ref.property->max_only && !max_model)
        ref.property = NULL;
    if (ref.property)
        ref.index = FEATURE_NAMES_MAX + (unsigned)(ref.property - properties);
    return ref;
}

/* Underscores become dashes in the names of values, never of signs (G8). Long names are cut: none exists. */
static size_t normalise(char out[MESSAGE_TEXT], const char *name, size_t len)
{
    size_t kept = len < MESSAGE_TEXT ? len : MESSAGE_TEXT - 1;

    for (size_t i = 0; i < kept; i++)
        out[i] = name[i] == '_' ? '-' : name[i];
    return kept;
}

/* A CPU that its own string realizes, before the machine gave it a place: QEMU misses the ids in this order. With all
 * of them it goes on with a CPU of which only the start of the string is known. */
static void refuse_realized(const struct property_value values[PROPERTIES], size_t at, struct message *why)
{
    static const struct {
        enum property_id id;
        const char *name; /* NULL: not missed */
    } ids[] = {
        {P_SOCKET_ID, "socket-id"}, {P_DIE_ID, NULL}, {P_CORE_ID, "core-id"}, {P_THREAD_ID, "thread-id"}};
    const struct property_value *apic_id = &values[P_APIC_ID];
    bool placed = apic_id->set && apic_id->number != UINT32_MAX;

    for (size_t i = 0; !placed && i < sizeof(ids) / sizeof(ids[0]); i++) {
        const struct property_value *value = &values[ids[i].id];
        bool missing = !value->set || (int64_t)value->number < 0;

        if (missing && ids[i].name) {
            message_set(why, CPU_BAD_VALUE, at, "CPU %s is not set", ids[i].name);
            return;
        }
        if (!missing && value->number) /* in range or not: the machine's topology says */
            break;
    }
    message_set(why, CPU_REFUSED, at, "a CPU that is realized where it says itself is not modelled");
}

static bool assign_ref(const struct cpu_assignment *to, const struct name_ref *ref, const char *value,
                       size_t value_len, size_t at, struct message *why)
{
    struct property_value *slot;
    bool on;

    if (ref->feature) {
        if (!value_bool(value, value_len, &on)) {
            message_set(why, CPU_BAD_VALUE, at, "Parameter '%s' expects 'on' or 'off'", ref->feature->name);
            return false;
        }
        to->touched[ref->feature->word] |= ref->feature->bits;
        to->on[ref->feature->word] &= ~ref->feature->bits;
        to->on[ref->feature->word] |= on ? ref->feature->bits : 0;
        return true;
    }
    slot = &to->values[ref->property->id];
    slot->at = (uint32_t)at;
    if (!property_read(ref->property, value, value_len, slot, why))
        return false;
    if (ref->property->type != PT_REALIZED || !slot->number)
        return true;
    refuse_realized(to->values, at, why);
    return false;
}

bool cpu_assign(const struct cpu_assignment *to, const char *name, size_t name_len, const char *value,
                size_t value_len, size_t at, struct message *why)
{
    struct name_ref ref = name_lookup(name, name_len, to->max_model);
    struct message inner;
    bool known = ref.feature || ref.property;
    bool writable = known && (ref.feature || ref.property->type != PT_READ_ONLY);

    if (writable && assign_ref(to, &ref, value, value_len, at, &inner))
        return true;
    if (!writable)
        message_set(&inner, known ? CPU_READ_ONLY : CPU_UNKNOWN_PROPERTY, at, "Property '%s.%.*s' %s",
                    to->type, SPAN(name, name_len), known ? "is not writable" : "not found");
    if (inner.kind == CPU_QEMU_ABORTS)
        message_set(why, inner.kind, at, "%s", inner.text);
    else
        message_set(why, inner.kind, at, "can't apply global %.*s.%.*s=%.*s: %s",
                    SPAN(to->by ? to->by : to->type, to->by ? to->by_len : strlen(to->type)),
                    SPAN(name, name_len), SPAN(value, value_len), inner.text);
    return false;
}

/* What the scan remembers between items. */
struct scan {
    struct cpu_flags *flags;
    bool max_model, ambiguous;
    uint64_t plus[FEATURE_WORDS], minus[FEATURE_WORDS];
    uint8_t switches[PROPERTIES]; /* SEEN_* */
    uint8_t seen[NAME_INDEXES];   /* SEEN_*, by name as spelled */
    struct message plus_error, minus_error;
    const struct property *plus_culprit, *minus_culprit; /* of these errors; NULL for an unknown name */
    /* Unknown names make QEMU refuse the string in any case, so the warnings about them stop at this many. */
    struct cpu_item unknown[16];
    unsigned unknown_count;
};
enum { SEEN_PLUS = 1, SEEN_MINUS = 2 };

static uint8_t sign_of(const struct cpu_item *item)
{
    return item->form == ITEM_PLUS ? SEEN_PLUS : SEEN_MINUS;
}

static void remember_sign(struct scan *scan, const struct cpu_item *item, const struct name_ref *ref)
{
    if (ref->index < NAME_INDEXES)
        scan->seen[ref->index] |= sign_of(item);
    else if (scan->unknown_count < sizeof(scan->unknown) / sizeof(scan->unknown[0]))
        scan->unknown[scan->unknown_count++] = *item;
}

static void scan_sign(struct scan *scan, const struct cpu_item *item)
{
    struct name_ref ref = name_lookup(item->name, item->name_len, scan->max_model);
    bool plus = item->form == ITEM_PLUS;
    struct message *error = plus ? &scan->plus_error : &scan->minus_error;
    struct property_value ignored = {0};

    remember_sign(scan, item, &ref);
    if (ref.feature) {
        (plus ? scan->plus : scan->minus)[ref.feature->word] |= ref.feature->bits;
        return;
    }
    if (error->kind)
        return;
    if (!ref.property)
        message_set(error, CPU_UNKNOWN_PROPERTY, item->at, "Property '%s.%.*s' not found", scan->flags->type,
                    SPAN(item->name, item->name_len));
    else if (property_switch(ref.property, scan->flags->type, plus, &ignored, error))
        scan->switches[ref.property->id] |= sign_of(item);
    else
        *(plus ? &scan->plus_culprit : &scan->minus_culprit) = ref.property;
    error->at = item->at;
}

/* The signs under which this name, as spelled, was seen before (R6, R8). */
static uint8_t seen_before(const struct scan *scan, const struct name_ref *ref, const char *name, size_t len)
{
    uint8_t seen = 0;

    if (ref->index < NAME_INDEXES)
        return scan->seen[ref->index];
    for (unsigned i = 0; i < scan->unknown_count; i++)
        if (scan->unknown[i].name_len == len && memcmp(scan->unknown[i].name, name, len) == 0)
            seen |= sign_of(&scan->unknown[i]);
    return seen;
}

static void warn_ambiguous(struct scan *scan, const struct cpu_item *item, const char *name, size_t len,
                           uint8_t seen)
{
    static const struct {
        uint8_t sign;
        char text;
    } signs[] = {{SEEN_PLUS, '+'}, {SEEN_MINUS, '-'}};

    for (unsigned i = 0; i < 2; i++) {
        if (!(seen & signs[i].sign))
            continue;
        scan->ambiguous = true;
        messages_add(&scan->flags->warnings, item->at,
                     "Ambiguous CPU model string. Don't mix both \"%c%.*s\" and \"%.*s=%.*s\"", signs[i].text,
                     SPAN(name, len), SPAN(name, len), SPAN(item->value, item->value_len));
    }
}

/* tsc-freq is read at once (V8). False: it stops the scan. */
static bool scan_tsc_freq(struct scan *scan, const struct cpu_item *item)
{
    struct cpu_flags *flags = scan->flags;
    struct property_value *slot = &flags->values[P_TSC_FREQUENCY];

    switch (value_metric(item->value, item->value_len, &slot->number)) {
    case SIZE_BAD:
        flags->stage = STAGE_LOOKUP;
        message_set(&flags->error, CPU_BAD_VALUE, item->at, "bad numerical value %.*s",
                    SPAN(item->value, item->value_len));
        return false;
    case SIZE_HEX_SUFFIX:
        messages_add(&flags->warnings, item->at,
                     "Using a multiplier suffix on hex numbers is deprecated: %.*s",
                     SPAN(item->value, item->value_len));
        break;
    case SIZE_OK:
        break;
    }
    slot->set = true;
    slot->at = item->at;
    return true;
}

static bool scan_value(struct scan *scan, const struct cpu_item *item)
{
    struct cpu_flags *flags = scan->flags;
    const struct cpu_assignment to = {.touched = flags->touched,
                                      .on = flags->on,
                                      .values = flags->values,
                                      .type = flags->type,
                                      .max_model = scan->max_model};
    char name[MESSAGE_TEXT];
    size_t len = normalise(name, item->name, item->name_len);
    struct name_ref ref = name_lookup(name, len, scan->max_model);

    warn_ambiguous(scan, item, name, len, seen_before(scan, &ref, name, len));
    if (len == 8 && memcmp(name, "tsc-freq", 8) == 0)
        return scan_tsc_freq(scan, item);
    if (!flags->error.kind)
        cpu_assign(&to, name, len, item->value, item->value_len, item->at, &flags->error);
    return true;
}

/* What QEMU makes of a sign on lbr-fmt depends on the values given, which may come later. */
static void settle_sign_error(const struct scan *scan, const struct property *culprit, bool plus,
                              struct message *error)
{
    struct property_value value;
    uint32_t at = error->at;

    if (!culprit)
        return;
    value = scan->flags->values[culprit->id];
    property_switch(culprit, scan->flags->type, plus, &value, error);
    error->at = at;
}

/* After all values: every plus, then every minus (R1). */
static void apply_signs(struct scan *scan)
{
    struct cpu_flags *flags = scan->flags;

    flags->vpindex = flags->values[P_HV_VPINDEX];
    settle_sign_error(scan, scan->plus_culprit, true, &scan->plus_error);
    settle_sign_error(scan, scan->minus_culprit, false, &scan->minus_error);
    for (unsigned w = 0; w < FEATURE_WORDS; w++) {
        flags->touched[w] |= scan->plus[w] | scan->minus[w];
        flags->on[w] = (flags->on[w] | scan->plus[w]) & ~scan->minus[w];
    }
    for (unsigned p = 0; p < PROPERTIES; p++)
        if (scan->switches[p]) {
            flags->values[p].set = true;
            flags->values[p].number = !(scan->switches[p] & SEEN_MINUS);
        }
    if (flags->error.kind) {
        flags->stage = STAGE_CREATE;
        return;
    }
    flags->stage = STAGE_REALIZE;
    flags->error = scan->plus_error.kind ? scan->plus_error : scan->minus_error;
}

static void scan_items(struct scan *scan, const char *text, size_t len)
{
    struct cpu_items items = cpu_items_of(text, len);
    struct cpu_item item;

    while (cpu_items_next(&items, &item)) {
        scan->flags->items++;
        if (item.form == ITEM_PLUS || item.form == ITEM_MINUS)
            scan_sign(scan, &item);
        else if (!scan_value(scan, &item))
            return;
    }
    if (scan->ambiguous)
        messages_add(&scan->flags->warnings, 0,
                     "Compatibility of ambiguous CPU model strings won't be kept on future QEMU versions");
    apply_signs(scan);
}

void cpu_flags_parse(struct cpu_flags *flags, const char *text, size_t len)
{
    size_t model_len = cpu_items_of(text, len).pos;
    struct scan scan = {.flags = flags};

    memset(flags, 0, offsetof(struct cpu_flags, warnings));
    flags->warnings.total = 0;
    flags->stage = STAGE_LOOKUP;
    flags->error.kind = CPU_OK;
    flags->help = (len == 4 && memcmp(text, "help", 4) == 0) || (len == 1 && *text == '?');
    if (flags->help)
        return;
    if (len == 0) {
        message_set(&flags->error, CPU_UNKNOWN_MODEL, 0, "-cpu option cannot be empty");
        return;
    }
    flags->model = cpu_model_find(text, model_len, false);
    flags->latest = cpu_model_find(text, model_len, true);
    if (!flags->model) {
        message_set(&flags->error, CPU_UNKNOWN_MODEL, 0, "unable to find CPU model '%.*s'",
                    SPAN(text, model_len));
        return;
    }
    snprintf(flags->type, sizeof(flags->type), "%.*s" CPU_TYPE_SUFFIX, SPAN(text, model_len));
    scan.max_model = flags->model->kind == MODEL_MAX || flags->model->kind == MODEL_HOST;
    scan_items(&scan, text, len);
}

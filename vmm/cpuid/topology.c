/* -smp: numbers, filling in what is missing, checks; APIC ids. QEMU flags specification T1-T5. */
#include "vmm/cpuid/topology.h"

#include <stdio.h>
#include <string.h>
#include "vmm/cpuid/features.h"
#include "vmm/cpuid/property.h"
#include "vmm/cpuid/smp.h"

struct smp {
    uint32_t n[SMP_KEYS]; /* 0: not given */
    bool given[SMP_KEYS];
};

static bool read_number(struct smp *smp, const struct smp_words *words, enum smp_key key,
                        struct message *error)
{
    const struct smp_word *word = &words->of[key];
    int64_t number;

    if (!word->text)
        return true;
    if (word->members || !value_i64(word->text, word->len, &number)) {
        message_set(error, CPU_BAD_TOPOLOGY, 0,
                    word->members ? "Parameters 'smp.%s.*' are unexpected"
                                  : "Parameter 'smp.%s' expects integer",
                    smp_keys[key]);
        return false;
    }
    smp->n[key] = (uint32_t)number;
    smp->given[key] = true;
    return true;
}

static bool read_numbers(struct smp *smp, const char *text, size_t len, struct message *error)
{
    /* The order in which QEMU looks at them: it decides which of several errors is named. */
    static const enum smp_key order[SMP_KEYS] = {SMP_CPUS,  SMP_SOCKETS, SMP_DIES,   SMP_CLUSTERS,
                                                 SMP_CORES, SMP_THREADS, SMP_MAXCPUS};
    struct smp_words words;

    if (!smp_read(&words, text, len, error))
        return false;
    if (words.help) {
        message_set(error, CPU_BAD_TOPOLOGY, 0, "-smp %.*s asks for its keys and makes no machine",
                    SPAN(text, len));
        return false;
    }
    for (unsigned i = 0; i < SMP_KEYS; i++)
        if (!read_number(smp, &words, order[i], error))
            return false;
    if (words.unexpected.text)
        message_set(error, CPU_BAD_TOPOLOGY, (size_t)(words.unexpected.text - text),
                    "Parameter 'smp.%.*s' is unexpected", SPAN(words.unexpected.text, words.unexpected.len));
    return !words.unexpected.text;
}

static uint32_t or_one(uint32_t n)
{
    return n ? n : 1;
}

/* What is left of maxcpus for one level; 0 divides by nothing (QEMU divides by zero there). */
static uint32_t remainder_of(uint32_t maxcpus, uint32_t a, uint32_t b, uint32_t c)
{
    uint32_t product = a * b * c;

    return product ? maxcpus / product : 0;
}

static void fill_missing(struct smp *smp, bool prefer_sockets)
{
    uint32_t *n = smp->n, maxcpus;

    n[SMP_DIES] = or_one(n[SMP_DIES]);
    if (!n[SMP_CPUS] && !n[SMP_MAXCPUS]) {
        n[SMP_SOCKETS] = or_one(n[SMP_SOCKETS]);
        n[SMP_CORES] = or_one(n[SMP_CORES]);
        n[SMP_THREADS] = or_one(n[SMP_THREADS]);
    } else {
        maxcpus = n[SMP_MAXCPUS] ? n[SMP_MAXCPUS] : n[SMP_CPUS];
        if (!n[prefer_sockets ? SMP_SOCKETS : SMP_CORES]) {
            uint32_t *last = &n[prefer_sockets ? SMP_SOCKETS : SMP_CORES];
            uint32_t *other = &n[prefer_sockets ? SMP_CORES : SMP_SOCKETS];
            *other = or_one(*other);
            n[SMP_THREADS] = or_one(n[SMP_THREADS]);
            *last = remainder_of(maxcpus, n[SMP_DIES], *other, n[SMP_THREADS]);
        } else if (!n[prefer_sockets ? SMP_CORES : SMP_SOCKETS]) {
            n[SMP_THREADS] = or_one(n[SMP_THREADS]);
            n[prefer_sockets ? SMP_CORES : SMP_SOCKETS] = remainder_of(
                maxcpus, n[SMP_DIES], n[prefer_sockets ? SMP_SOCKETS : SMP_CORES], n[SMP_THREADS]);
        }
        if (!n[SMP_THREADS])
            n[SMP_THREADS] = remainder_of(maxcpus, n[SMP_DIES], n[SMP_SOCKETS], n[SMP_CORES]);
    }
    if (!n[SMP_MAXCPUS])
        n[SMP_MAXCPUS] =
            n[SMP_CPUS] ? n[SMP_CPUS] : n[SMP_SOCKETS] * n[SMP_DIES] * n[SMP_CORES] * n[SMP_THREADS];
    n[SMP_CPUS] = n[SMP_CPUS] ? n[SMP_CPUS] : n[SMP_MAXCPUS];
}

static bool check_product(const struct smp *smp, bool dies, struct message *error)
{
    const uint32_t *n = smp->n;
    uint32_t product = n[SMP_SOCKETS] * n[SMP_DIES] * n[SMP_CORES] * n[SMP_THREADS];
    char text[MESSAGE_TEXT];

    if (product == n[SMP_MAXCPUS] && n[SMP_MAXCPUS] >= n[SMP_CPUS])
        return true;
    text[0] = 0;
    if (dies)
        snprintf(text, sizeof(text), " * dies (%u)", n[SMP_DIES]);
    if (product != n[SMP_MAXCPUS])
        message_set(error, CPU_BAD_TOPOLOGY, 0,
                    "Invalid CPU topology: product of the hierarchy must match maxcpus: "
                    "sockets (%u)%.40s * cores (%u) * threads (%u) != maxcpus (%u)",
                    n[SMP_SOCKETS], text, n[SMP_CORES], n[SMP_THREADS], n[SMP_MAXCPUS]);
    else
        message_set(error, CPU_BAD_TOPOLOGY, 0,
                    "Invalid CPU topology: maxcpus must be equal to or greater than smp: "
                    "sockets (%u)%.40s * cores (%u) * threads (%u) == maxcpus (%u) < smp_cpus (%u)",
                    n[SMP_SOCKETS], text, n[SMP_CORES], n[SMP_THREADS], n[SMP_MAXCPUS], n[SMP_CPUS]);
    return false;
}

static bool check_support(const struct smp *smp, const struct machine_type *type, struct message *error)
{
    const char *what = NULL;

    if (!type->dies && smp->n[SMP_DIES] > 1)
        what = "dies";
    else if (smp->n[SMP_CLUSTERS] > 1)
        what = "clusters";
    if (what)
        message_set(error, CPU_BAD_TOPOLOGY, 0, "%s not supported by this machine's CPU topology", what);
    return !what;
}

bool topology_parse(struct cpu_topology *topology, const char *text, size_t len,
                    const struct machine_type *type, struct messages *warnings, struct message *error)
{
    struct smp smp = {0};
    const uint32_t *n = smp.n;
    bool zero = false;

    if (!text || !len)
        smp.n[SMP_CPUS] = 1;
    else if (!read_numbers(&smp, text, len, error))
        return false;
    for (unsigned key = 0; key < SMP_KEYS; key++)
        zero |= smp.given[key] && !n[key];
    if (zero)
        messages_add(
            warnings, 0,
            "Deprecated CPU topology (considered invalid): CPU topology parameters must be greater than zero");
    if (!check_support(&smp, type, error))
        return false;
    fill_missing(&smp, type->prefer_sockets);
    if (!check_product(&smp, type->dies, error))
        return false;
    if (n[SMP_CPUS] < 1) {
        message_set(error, CPU_BAD_TOPOLOGY, 0,
                    "Invalid SMP CPUs 0. The min CPUs supported by machine '%s' is 1", type->name);
        return false;
    }
    if (n[SMP_MAXCPUS] > type->max_cpus) {
        message_set(error, CPU_BAD_TOPOLOGY, 0,
                    "Invalid SMP CPUs %d. The max CPUs supported by machine '%s' is %u", (int)n[SMP_MAXCPUS],
                    type->name, type->max_cpus);
        return false;
    }
    *topology = (struct cpu_topology){n[SMP_CPUS], n[SMP_MAXCPUS], n[SMP_SOCKETS],
                                      n[SMP_DIES], n[SMP_CORES],   n[SMP_THREADS]};
    return true;
}

unsigned topology_width(uint32_t n)
{
    unsigned bits = 0;

    while (bits < 32 && (1u << bits) < n)
        bits++;
    return bits;
}

struct apic_layout topology_layout(const struct cpu_topology *t)
{
    unsigned core_off = topology_width(t->threads);
    unsigned die_off = core_off + topology_width(t->cores);

    return (struct apic_layout){core_off, die_off, die_off + topology_width(t->dies)};
}

/* Absurd counts whose product wraps to a small number get past the checks, as in QEMU. */
static uint32_t shift(uint32_t n, unsigned by)
{
    return by < 32 ? n << by : 0;
}

struct cpu_place topology_place(const struct cpu_topology *t, uint32_t index)
{
    struct apic_layout layout = topology_layout(t);
    struct cpu_place place = {
        .thread = index % t->threads,
        .core = index / t->threads % t->cores,
        .die = index / (t->threads * t->cores) % t->dies,
        .socket = index / (t->threads * t->cores * t->dies),
    };

    place.apic_id = shift(place.socket, layout.pkg_off) | shift(place.die, layout.die_off) |
                    shift(place.core, layout.core_off) | place.thread;
    return place;
}

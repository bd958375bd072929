/* -smp: keys, what is filled in, what is refused, and APIC ids. QEMU flags specification section 13. */
#include "tests/cpuid_fixture.h"

static bool parse(struct cpu_topology *t, const char *machine, const char *smp, struct messages *warnings,
                  struct message *error)
{
    struct machine_type type;

    cr_assert(machine_type_find(machine, strlen(machine), &type), "%s", machine);
    warnings->total = 0;
    return topology_parse(t, smp, strlen(smp), &type, warnings, error);
}

#define TOPOLOGY(name, machine, smp, ...)                                                                    \
    Test(topology, name)                                                                                     \
    {                                                                                                        \
        const struct cpu_topology want = {__VA_ARGS__};                                                      \
        static struct messages warnings;                                                                     \
        struct cpu_topology have;                                                                            \
        struct message error;                                                                                \
        cr_assert(parse(&have, machine, smp, &warnings, &error), "%s", error.text);                          \
        cr_assert(zero(int, memcmp(&have, &want, sizeof(want))), "%u of %u: %u * %u * %u * %u", have.cpus,   \
                  have.maxcpus, have.sockets, have.dies, have.cores, have.threads);                          \
    }
#define REFUSED(name, machine, smp, words)                                                                   \
    Test(topology, name)                                                                                     \
    {                                                                                                        \
        static struct messages warnings;                                                                     \
        struct cpu_topology have;                                                                            \
        struct message error;                                                                                \
        cr_assert(not(parse(&have, machine, smp, &warnings, &error)));                                       \
        cr_assert(eq(str, error.text, words));                                                               \
        cr_assert(eq(int, error.kind, CPU_BAD_TOPOLOGY));                                                    \
    }

REFUSED(T1_no_suffixes, "pc", "1k", "Parameter 'smp.cpus' expects integer")
REFUSED(T1_no_clusters, "pc", "2,clusters=2", "clusters not supported by this machine's CPU topology")
/* Every text here is what QEMU 7.2.22 prints for the string: syntax first and in order of the string, then the values in
 * an order of QEMU's own, then keys that nobody knows. */
REFUSED(T1_an_empty_key, "pc", ",2", "-smp ,2: Invalid parameter ''")
REFUSED(T1_two_commas_are_an_empty_key, "pc", "2,,cores=2", "-smp 2,,cores=2: Invalid parameter ''")
REFUSED(T1_a_number_is_no_key, "pc", "2=3", "-smp 2=3: Invalid parameter '2'")
REFUSED(T1_nor_does_a_key_begin_with_one, "pc", "2,9a=1", "-smp 2,9a=1: Invalid parameter '9a'")
REFUSED(T1_nor_with_a_dash, "pc", "2,-c=1", "-smp 2,-c=1: Invalid parameter '-c'")
REFUSED(T1_nor_ends_it_with_a_dot, "pc", "cpus.=2", "-smp cpus.=2: Invalid parameter 'cpus.'")
REFUSED(T1_cpus_are_implied_only_first, "pc", "cores=1,2", "-smp cores=1,2: Invalid parameter '2'")
REFUSED(T1_no_bare_keys, "pc", "2,cores", "-smp 2,cores: Expected '=' after parameter 'cores'")
REFUSED(T1_syntax_before_values, "pc", "cores=x,2=3", "-smp cores=x,2=3: Invalid parameter '2'")
REFUSED(T1_cpus_are_looked_at_first, "pc", "maxcpus=y,cpus=x", "Parameter 'smp.cpus' expects integer")
REFUSED(T1_values_before_unknown_keys, "pc", "foo=1,threads=x", "Parameter 'smp.threads' expects integer")
REFUSED(T1_an_unknown_key, "pc", "2,foo=1", "Parameter 'smp.foo' is unexpected")
REFUSED(T1_numbers_are_only_between_dots, "pc", "2,c_d.1a=1", "-smp 2,c_d.1a=1: Invalid parameter 'c_d.1a'")
REFUSED(T1_members_of_nothing, "pc", "a.b=1", "Parameter 'smp.a' is unexpected")
REFUSED(T1_members_of_a_number, "pc", "cpus.x=1", "Parameters 'smp.cpus.*' are unexpected")
REFUSED(T1_a_comma_in_a_value, "pc", "2,cores=2,,3", "Parameter 'smp.cores' expects integer")
REFUSED(T1_help_is_no_excuse, "pc", "2,help,3", "-smp 2,help,3: Invalid parameter '3'")
TOPOLOGY(T1_the_last_value_counts, "pc", "x,cpus=2,", 2, 2, 1, 1, 2, 1)
TOPOLOGY(T1_one_cluster, "pc", "0x2,clusters=1", 2, 2, 1, 1, 2, 1)

/* cpus, maxcpus, sockets, dies, cores, threads */
TOPOLOGY(T2_cores_first_from_6_2, "pc-i440fx-6.2", "4", 4, 4, 1, 1, 4, 1)
TOPOLOGY(T2_sockets_first_up_to_6_1, "pc-i440fx-6.1", "4", 4, 4, 4, 1, 1, 1)
TOPOLOGY(T2_threads_take_their_share_of_sockets, "pc-q35-6.1", "4,threads=2", 4, 4, 2, 1, 1, 2)
TOPOLOGY(T2_threads_take_their_share_of_cores, "pc", "4,threads=2", 4, 4, 1, 1, 2, 2)
TOPOLOGY(T2_given_sockets_leave_cores, "pc", "8,sockets=2", 8, 8, 2, 1, 4, 1)
TOPOLOGY(T2_given_cores_leave_sockets, "pc", "8,cores=2", 8, 8, 4, 1, 2, 1)
TOPOLOGY(T2_given_both_leave_threads, "pc", "8,sockets=2,cores=2", 8, 8, 2, 1, 2, 2)
TOPOLOGY(T2_the_product_is_maxcpus, "pc", "sockets=2,cores=3,threads=2", 12, 12, 2, 1, 3, 2)
TOPOLOGY(T2_maxcpus_are_all_there, "pc", "maxcpus=4", 4, 4, 1, 1, 4, 1)
TOPOLOGY(T3_maxcpus_decide, "pc", "2,maxcpus=8", 2, 8, 1, 1, 8, 1)

REFUSED(T4_a_product_above_maxcpus, "pc", "4,sockets=2,cores=2,threads=2",
        "Invalid CPU topology: product of the hierarchy must match maxcpus: "
        "sockets (2) * dies (1) * cores (2) * threads (2) != maxcpus (4)")
REFUSED(T4_maxcpus_below_cpus, "pc", "4,maxcpus=2",
        "Invalid CPU topology: maxcpus must be equal to or greater than smp: "
        "sockets (1) * dies (1) * cores (2) * threads (1) == maxcpus (2) < smp_cpus (4)")
TOPOLOGY(T4_255_on_pc, "pc", "255", 255, 255, 1, 1, 255, 1)
REFUSED(T4_256_on_pc, "pc", "1,maxcpus=256",
        "Invalid SMP CPUs 256. The max CPUs supported by machine 'pc-i440fx-7.2' is 255")
REFUSED(T4_isapc_has_dies_and_one_cpu, "isapc", "dies=2",
        "Invalid SMP CPUs 2. The max CPUs supported by machine 'isapc' is 1")
TOPOLOGY(T4_288_on_q35, "q35", "288", 288, 288, 1, 1, 288, 1)
REFUSED(T4_289_on_q35, "q35", "1,maxcpus=289",
        "Invalid SMP CPUs 289. The max CPUs supported by machine 'pc-q35-7.2' is 288")

Test(topology, T4_zero_is_deprecated_for_every_key)
{
    static const char *const texts[] = {"0", "2,maxcpus=0", "2,sockets=0", "2,cores=0", "2,threads=0"};
    static struct messages warnings;
    struct cpu_topology t;
    struct message error;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        cr_assert(parse(&t, "pc", texts[i], &warnings, &error), "%s", texts[i]);
        cr_assert(eq(u32, warnings.total, 1), "%s", texts[i]);
    }
}

/* Three threads, five cores, two dies, three sockets: no count is a power of two but the dies. */
Test(topology, T5_places_and_ids)
{
    const struct cpu_topology t = {90, 90, 3, 2, 5, 3};
    static const struct {
        uint32_t index, thread, core, die, socket, apic_id;
    } rows[] = {{0, 0, 0, 0, 0, 0},     {2, 2, 0, 0, 0, 2},     {3, 0, 1, 0, 0, 4},
                {14, 2, 4, 0, 0, 0x12}, {15, 0, 0, 1, 0, 0x20}, {29, 2, 4, 1, 0, 0x32},
                {30, 0, 0, 0, 1, 0x40}, {89, 2, 4, 1, 2, 0xb2}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct cpu_place place = topology_place(&t, rows[i].index);
        cr_assert(place.thread == rows[i].thread && place.core == rows[i].core && place.die == rows[i].die &&
                      place.socket == rows[i].socket,
                  "index %u", rows[i].index);
        cr_assert(eq(u32, place.apic_id, rows[i].apic_id), "index %u", rows[i].index);
    }
}

static int wide(const struct cpuid_supported *host, const char *machine, const char *smp)
{
    struct built b;

    build_on(&b, host, "qemu64", machine, smp, 0);
    return b.outcome.error.kind;
}

Test(topology, T6_wide_ids_need_the_kernels_irqchip_and_x2apic_api)
{
    static struct cpuid_supported host;

    host = *cpuid_supported_soft();
    cr_assert(eq(int, wide(&host, "q35", "256"), CPU_OK));
    cr_assert(eq(int, wide(&host, "q35,kernel-irqchip=off", "256"), CPU_BAD_TOPOLOGY));
    host.extensions[EXT_X2APIC_API] = 0;
    cr_assert(eq(int, wide(&host, "q35", "256"), CPU_BAD_TOPOLOGY));
    cr_assert(eq(int, wide(&host, "q35", "255"), CPU_OK));
    cr_assert(eq(int, wide(&host, "q35", "130,sockets=26,cores=5,threads=1"), CPU_OK), "the last id is 204");
    cr_assert(eq(int, wide(&host, "q35", "180,sockets=36,cores=5,threads=1"), CPU_BAD_TOPOLOGY),
              "the last id is 284");
}

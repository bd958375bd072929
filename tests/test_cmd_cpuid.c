/* pv-vmm cpuid as a person or a script meets it: exit statuses, JSON shape, the dump format. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <cjson/cJSON.h>

/* Runs a shell's line and gives its exit status; stdout goes to out. */
static int run_line(const char *line, char out[65536])
{
    FILE *pipe = popen(line, "r");
    size_t len;

    cr_assert(pipe != NULL);
    len = fread(out, 1, 65535, pipe);
    out[len] = 0;
    return WEXITSTATUS(pclose(pipe));
}

static int run(const char *args, char out[65536])
{
    char line[1024];

    snprintf(line, sizeof(line), "%s cpuid %s 2>/dev/null", PV_VMM, args);
    return run_line(line, out);
}

static cJSON *run_json(const char *args, int status)
{
    static char out[65536];
    cJSON *root;

    cr_assert(eq(int, run(args, out), status), "%s", args);
    root = cJSON_Parse(out);
    cr_assert(root != NULL, "%s", out);
    return root;
}

static const char *text_at(const cJSON *root, const char *list, int index, const char *key)
{
    const cJSON *item = cJSON_GetArrayItem(cJSON_GetObjectItem(root, list), index);

    return cJSON_GetStringValue(key ? cJSON_GetObjectItem(item, key) : item);
}

Test(cmd_cpuid, json_names_what_was_asked_granted_and_dropped)
{
    cJSON *root = run_json("--format json -smp 2 -cpu qemu64,+kvm-pv-ipi,+vmx", 0);
    cJSON *vcpu = cJSON_GetArrayItem(cJSON_GetObjectItem(root, "vcpus"), 1);

    cr_assert(eq(str, (char *)text_at(root, "asked", 1, NULL), "kvm-pv-ipi"));
    cr_assert(eq(str, (char *)text_at(root, "granted", 0, NULL), "kvm-pv-ipi"));
    cr_assert(eq(str, (char *)text_at(root, "dropped", 0, "name"), "vmx"));
    cr_assert(eq(int, cJSON_GetArraySize(cJSON_GetObjectItem(root, "warnings")), 2)); /* once per vCPU (E3) */
    cr_assert(eq(int, cJSON_GetObjectItem(vcpu, "apic_id")->valueint, 1));
    vcpu = cJSON_GetArrayItem(cJSON_GetObjectItem(vcpu, "leaves"), 1);
    cr_assert(eq(str, cJSON_GetObjectItem(vcpu, "leaf")->valuestring, "0x40000001"));
    cr_assert(eq(str, cJSON_GetObjectItem(vcpu, "eax")->valuestring, "0x0100087b"));
    cJSON_Delete(root);
}

Test(cmd_cpuid, a_name_of_two_bits_is_said_once)
{
    cJSON *root = run_json("--format json -cpu qemu64,+kvmclock,+kvm-nopiodelay", 0);

    cr_assert(eq(int, cJSON_GetArraySize(cJSON_GetObjectItem(root, "asked")), 2));
    cr_assert(eq(int, cJSON_GetArraySize(cJSON_GetObjectItem(root, "granted")), 2));
    cJSON_Delete(root);
    root = run_json("--format json -accel tcg -cpu qemu64,+kvmclock,+kvm-nopiodelay", 0);
    cr_assert(eq(int, cJSON_GetArraySize(cJSON_GetObjectItem(root, "dropped")), 2));
    cJSON_Delete(root);
}

Test(cmd_cpuid, text_names_the_bits_of_a_register)
{
    static char out[65536];

    cr_assert(eq(int, run("-smp 2 -cpu qemu64,+kvm-pv-ipi,-kvmclock", out), 0));
    cr_assert(strstr(out, "asked: kvm-pv-ipi\ngranted: kvm-pv-ipi\ndropped: none\n") != NULL, "%s", out);
    cr_assert(strstr(out, "eax: kvm-nopiodelay kvm-asyncpf kvm-steal-time kvm-pv-eoi kvm-pv-ipi") != NULL,
              "%s", out);
    cr_assert(strstr(out, "edx: syscall nx lm\n") != NULL, "%s", out);
}

/* Beside Hyper-V's leaves those of KVM move, and the names with them (H4). */
Test(cmd_cpuid, text_names_the_bits_of_moved_leaves)
{
    static char out[65536];
    const char *moved, *hyperv;

    /* the recorded host, with KVM_CAP_HYPERV */
    cr_assert(eq(int,
                 run_line("sed 's/\"220\":/\"44\": 1, &/' " TEST_DATA "/qemu-cpu-flags-host.json | " PV_VMM
                          " cpuid -enable-kvm --supported /dev/stdin -cpu kvm64,hv-relaxed,+kvm-pv-ipi",
                          out),
                 0));
    hyperv = strstr(out, "\n  0x40000001 0x00000000 0x31237648");
    moved = strstr(out, "\n  0x40000101");
    cr_assert(hyperv && moved, "%s", out);
    cr_assert(strstr(moved, "\n      eax: kvm") == strchr(moved + 1, '\n'), "%s", out);
    cr_assert(strncmp(strchr(hyperv + 1, '\n') + 1, "      ", 6) != 0, "%s", out);
}

Test(cmd_cpuid, a_refused_string_is_status_2_with_its_place_and_no_vcpus)
{
    cJSON *root = run_json("--format json -cpu qemu64,,avx=1", 2);

    cr_assert(eq(str, (char *)text_at(root, "errors", 0, "kind"), "bad-value"));
    cr_assert(eq(
        int, cJSON_GetObjectItem(cJSON_GetArrayItem(cJSON_GetObjectItem(root, "errors"), 0), "at")->valueint,
        8));
    cr_assert(eq(int, cJSON_GetArraySize(cJSON_GetObjectItem(root, "vcpus")), 0));
    cJSON_Delete(root);
}

Test(cmd_cpuid, bytes_that_are_no_text_still_give_valid_json)
{
    cJSON_Delete(run_json("--format json -cpu \"$(printf 'qemu64,\\377\\001\"=x')\"", 2));
}

Test(cmd_cpuid, statuses_tell_wrong_usage_from_missing_things)
{
    static char out[65536];

    cr_assert(eq(int, run("--help", out), 0));
    cr_assert(eq(int, run("-cpu help", out), 0));
    cr_assert(eq(int, run("-M help", out), 0));
    cr_assert(strstr(out, "  pc-q35-4.0.1\n") != NULL, "%s", out);
    cr_assert(eq(int, run("--format=json", out), 0));
    cr_assert(eq(int, run("--format=xml", out), 2));
    cr_assert(eq(int, run("--help=yes", out), 2));
    cr_assert(eq(int, run("--format xml", out), 2));
    cr_assert(eq(int, run("-foo", out), 2));
    cr_assert(eq(int, run("-accel kvm", out), 3));
    cr_assert(eq(int, run("--supported /nonexistent/record", out), 3));
    cr_assert(eq(int, run("--supported qemu-7.2-tcg -accel kvm", out), 2));
}

Test(cmd_cpuid, a_recorded_host_is_read)
{
    cJSON *root =
        run_json("--format json -enable-kvm --supported " TEST_DATA "/qemu-cpu-flags-host.json -cpu host", 0);

    cr_assert(eq(int, cJSON_GetArraySize(cJSON_GetObjectItem(root, "errors")), 0));
    cJSON_Delete(root);
}

Test(cmd_cpuid, the_dump_has_the_shape_of_cpuid_r)
{
    static char out[65536];

    cr_assert(eq(int, run("--format cpuid", out), 0));
    cr_assert(eq(int, strncmp(out, "CPU 0:\n   0x40000000 0x00: eax=0x40000001 ebx=0x4b4d564b", 55), 0), "%s",
              out);
}

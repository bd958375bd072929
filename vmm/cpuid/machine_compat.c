/* What old machine types change in a CPU. QEMU flags specification section 15; every row is seen on QEMU 7.2
 * (test_models asks it for each machine version and model). */
#include "vmm/cpuid/machine_type.h"

#define UP_TO(major, minor) MACHINE_VERSION(major, minor, 9)

/* Oldest last: QEMU applies newer compatibility first, so that an older one has the last word. */
// clang-format off
const struct machine_compat machine_compats[] = {
    {UP_TO(6, 1), NULL, "hv-version-id-build", "0x1bbc"},
    {UP_TO(6, 1), NULL, "hv-version-id-major", "6"},
    {UP_TO(6, 1), NULL, "hv-version-id-minor", "1"},
    {UP_TO(6, 0), "qemu64", "family", "6"},
    {UP_TO(6, 0), "qemu64", "model", "6"},
    {UP_TO(6, 0), "qemu64", "stepping", "3"},
    {UP_TO(6, 0), NULL, "x-vendor-cpuid-only", "off"},
    {UP_TO(5, 1), NULL, "kvm-msi-ext-dest-id", "off"},
    {UP_TO(3, 1), "Cascadelake-Server", "stepping", "5"},
    {UP_TO(3, 1), "Cascadelake-Server Icelake-Server Skylake-Client "
     "Skylake-Client-IBRS Skylake-Server Skylake-Server-IBRS", "mpx", "on"},
    {UP_TO(3, 1), "EPYC EPYC-IBPB Opteron_G4 Opteron_G5", "npt", "off"},
    {UP_TO(3, 1), "EPYC EPYC-IBPB Opteron_G4 Opteron_G5", "nrip-save", "off"},
    {UP_TO(3, 1), "Opteron_G3 Opteron_G4 Opteron_G5", "rdtscp", "off"},
    {UP_TO(3, 1), NULL, "x-intel-pt-auto-level", "off"},
    {UP_TO(3, 0), "Skylake-Server Skylake-Server-IBRS", "pku", "off"},
    {UP_TO(3, 0), NULL, "x-hv-synic-kvm-only", "on"},
    {UP_TO(2, 12), "EPYC EPYC-IBPB", "xlevel", "0x8000000a"},
    {UP_TO(2, 12), NULL, "legacy-cache", "on"},
    {UP_TO(2, 12), NULL, "topoext", "off"},
    {UP_TO(2, 11), "Skylake-Server", "clflushopt", "off"},
    {UP_TO(2, 10), NULL, "x-hv-max-vps", "0x40"},
    {UP_TO(2, 8), "Haswell", "stepping", "1"},
    {UP_TO(2, 8), NULL, "tcg-cpuid", "off"},
    {UP_TO(2, 8), NULL, "vmware-cpuid-freq", "off"},
    {UP_TO(2, 7), "Opteron_G3", "family", "15"},
    {UP_TO(2, 7), "Opteron_G3", "model", "6"},
    {UP_TO(2, 7), "Opteron_G3", "stepping", "1"},
    {UP_TO(2, 7), NULL, "l3-cache", "off"},
    {UP_TO(2, 7), NULL, "full-cpuid-auto-level", "off"},
    {UP_TO(2, 6), NULL, "cpuid-0xb", "off"},
    {UP_TO(2, 4), "Broadwell Broadwell-noTSX Haswell Haswell-noTSX", "abm", "off"},
    {UP_TO(2, 4), "Opteron_G2 Opteron_G3 Opteron_G4 Opteron_G5", "rdtscp", "on"},
    {UP_TO(2, 4), "qemu64", "sse4a", "on"},
    {UP_TO(2, 4), "qemu64", "abm", "on"},
    {UP_TO(2, 4), "qemu32 qemu64", "popcnt", "on"},
    {UP_TO(2, 4), NULL, "check", "off"},
    {UP_TO(2, 4), "athlon qemu32 qemu64", "model-id", "QEMU Virtual CPU version 2.4.0"},
    {UP_TO(2, 3), NULL, "arat", "off"},
    {UP_TO(2, 3), "pentium3", "min-level", "2"},
    {UP_TO(2, 3), "Conroe Nehalem Penryn qemu64", "min-level", "4"},
    {UP_TO(2, 3), "kvm64 n270", "min-level", "5"},
    {UP_TO(2, 3), "Broadwell Broadwell-noTSX Conroe Haswell Haswell-noTSX "
     "IvyBridge Nehalem Penryn SandyBridge Westmere n270", "min-xlevel", "0x8000000a"},
    {UP_TO(2, 3), "athlon qemu32 qemu64", "model-id", "QEMU Virtual CPU version 2.3.0"},
    {UP_TO(2, 2), "Broadwell Haswell", "f16c", "off"},
    {UP_TO(2, 2), "Broadwell Haswell", "rdrand", "off"},
    {UP_TO(2, 2), "Broadwell Conroe Haswell Nehalem Opteron_G1 Opteron_G2 Opteron_G3 "
     "Opteron_G4 Opteron_G5 Penryn SandyBridge Westmere kvm32 kvm64", "vme", "off"},
    {UP_TO(2, 2), "athlon qemu32 qemu64", "model-id", "QEMU Virtual CPU version 2.2.0"},
    {UP_TO(2, 1), "core2duo coreduo", "vmx", "on"},
    {UP_TO(2, 1), "athlon qemu32 qemu64", "model-id", "QEMU Virtual CPU version 2.1.0"},
    {UP_TO(2, 0), "athlon qemu32 qemu64", "model-id", "QEMU Virtual CPU version 2.0.0"},
    {UP_TO(1, 7), "athlon qemu32 qemu64", "model-id", "QEMU Virtual CPU version 1.7.0"},
    {UP_TO(1, 6), "qemu32", "model", "3"},
    {UP_TO(1, 6), "qemu64", "model", "2"},
    {UP_TO(1, 6), "athlon qemu32 qemu64", "model-id", "QEMU Virtual CPU version 1.6.0"},
    {UP_TO(1, 5), "Conroe Nehalem Penryn", "min-level", "2"},
    {UP_TO(1, 5), "Conroe Nehalem Penryn", "model", "2"},
    {UP_TO(1, 5), NULL, "pmu", "on"},
    {UP_TO(1, 5), "athlon qemu32 qemu64", "model-id", "QEMU Virtual CPU version 1.5.0"},
    {UP_TO(1, 4), "486", "model", "0"},
    {UP_TO(1, 4), "Westmere", "pclmulqdq", "off"},
    {UP_TO(1, 4), "n270", "movbe", "off"},
    {UP_TO(1, 4), "athlon qemu32 qemu64", "model-id", "QEMU Virtual CPU version 1.4.0"},
};
// clang-format on
const unsigned machine_compat_count = sizeof(machine_compats) / sizeof(machine_compats[0]);

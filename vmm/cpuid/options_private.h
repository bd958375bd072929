/* Shared by the files that read the command line; private to vmm/cpuid. */
#ifndef VMM_CPUID_OPTIONS_PRIVATE_H
#define VMM_CPUID_OPTIONS_PRIVATE_H

#include "vmm/cpuid/machine_options.h"

bool accel_find(const char *name, size_t len, enum cpuid_accel *accel);
bool irqchip_find(const char *name, size_t len, enum irqchip *irqchip);

#endif

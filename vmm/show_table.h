/* A CPUID table for people to read. */
#ifndef VMM_SHOW_TABLE_H
#define VMM_SHOW_TABLE_H

#include <stdbool.h>
#include "vmm/core/cpuid_table.h"

/* To standard output: a line for each entry; with_names: below it the set bits by QEMU's names, those without one by number. */
void show_table(const struct cpuid_table *table, bool with_names);

#endif

/* Names of CPUID bits as QEMU writes them on its command line, or "bit N". */
#ifndef DIFF_JUDGE_BITS_H
#define DIFF_JUDGE_BITS_H

#include "diff/judge/check.h"

enum cpuid_register { REGISTER_EAX, REGISTER_EBX, REGISTER_ECX, REGISTER_EDX };
extern const char *const cpuid_register_names[4];

/* NULL when the bit has no name. The KVM leaf counts at any base (0x40000001, 0x40000101). */
const char *cpuid_bit_name(uint32_t leaf, uint32_t subleaf, enum cpuid_register reg, unsigned bit);
/* "kvm-pv-eoi, bit 8"; a register that is a number and not a set of bits gives "". */
const char *cpuid_bits_text(struct check_list *list, uint32_t leaf, uint32_t subleaf, enum cpuid_register reg,
                            uint32_t mask);

#endif

/* The facts of abi_list.h as our own headers state them. */
#include <stddef.h>
#include "tests/abi_list.h"
#include "vmm/abi/kvm_para.h"
#include "vmm/abi/kvm_structs.h"

extern const struct abi_fact abi_ours[];
ABI_FACTS(abi_ours);

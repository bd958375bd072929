/* The facts of abi_list.h as the installed kernel headers state them. */
#include <stddef.h>
#include <linux/kvm.h>
#include <linux/kvm_para.h>
#include "tests/abi_list.h"

/* The header takes these by the errno names of the kernel it is compiled in. */
#include <errno.h>

extern const struct abi_fact abi_linux[];
ABI_FACTS(abi_linux);

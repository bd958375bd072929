/* What the probe is on a CPU without long mode (486, pentium3, qemu32...), or where only cpuid is wanted: every vCPU
 * does its own cpuid actions in 32-bit mode; the others are said to be unsupported. mailbox.h; Intel SDM vol. 3 ch. 9.4. */
#include "layout.h"

#define APIC_ID  0xfee00020
#define APIC_ICR 0xfee00300
#define ICR_INIT_OTHERS 0xc4500
#define ICR_SIPI_OTHERS (0xc4600 | SIPI_PAGE >> 12)
#define INIT_TURNS 50000 /* there need not be a TSC */

#define BOX(offset) (MAILBOX + (offset))

    .section .boot, "ax"
    .code32
    /* All vCPUs, from boot.S: flat segments, no stack, no interrupts. From here on ebp is the vCPU's number: its rank by
     * APIC id. The register is read, not leaf 1: a model of level 0 has none. */
    .globl cpuid_only_start
cpuid_only_start:
    movl APIC_ID, %ebx
    shrl $24, %ebx
    movl $1, %esi
    lock xaddl %esi, arrived
    cmpl $MAX_VCPUS, %esi
    jae halt
    movb %bl, apic_ids(%esi)
    lock incl listed
    testl %esi, %esi
    jnz wait_for_all

    movl $MAILBOX_STATE_BOOTING, BOX(MAILBOX_STATE)
    incl BOX(MAILBOX_BOOTS)
1:  pause
    cmpl $MAILBOX_MAGIC_VALUE, BOX(0)
    jne 1b
    cmpl $1, BOX(MAILBOX_VCPUS)
    jbe wait_for_all
    movl sipi_entry, %eax /* a far jump: 5 bytes */
    movl %eax, SIPI_PAGE
    movl sipi_entry + 4, %eax
    movl %eax, SIPI_PAGE + 4
    movl $ICR_INIT_OTHERS, APIC_ICR
    movl $INIT_TURNS, %ecx
2:  loop 2b
    movl $ICR_SIPI_OTHERS, APIC_ICR

wait_for_all:
    pause
    movl BOX(MAILBOX_VCPUS), %ecx
    cmpl %ecx, listed
    jb wait_for_all
    xorl %ebp, %ebp
3:  cmpb %bl, apic_ids - 1(%ecx)
    adcl $0, %ebp /* one with a lower id */
    decl %ecx
    jnz 3b

    /* Every vCPU its own actions: esi and edi walk actions and outcomes. */
    imull $ACTION_SIZE, BOX(MAILBOX_COUNT), %eax
    addl $BOX(MAILBOX_ACTION_LIST), %eax
    movl %eax, actions_end
    movl $BOX(MAILBOX_ACTION_LIST), %esi
    movl $BOX(MAILBOX_OUTCOME_LIST), %edi
4:  cmpl actions_end, %esi
    jae finish
    movzbl ACTION_VCPU(%esi), %eax
    cmpl %ebp, %eax
    jne 6f
    movb $OUTCOME_IS_UNSUPPORTED, (%edi)
    cmpw $ACTION_CPUID, (%esi)
    jne 6f
    movl ACTION_ARG0(%esi), %eax
    movl ACTION_ARG1(%esi), %ecx
    cpuid
    movl %eax, OUTCOME_REGS(%edi)
    movl %ebx, OUTCOME_REGS + 8(%edi)
    movl %ecx, OUTCOME_REGS + 16(%edi)
    movl %edx, OUTCOME_REGS + 24(%edi)
    movl $2, OUTCOME_RIP_DELTA(%edi)
    movb $OUTCOME_IS_OK, (%edi)
6:  addl $ACTION_SIZE, %esi
    addl $OUTCOME_SIZE, %edi
    jmp 4b

finish:
    lock incl finished
    testl %ebp, %ebp
    jnz halt
    movl BOX(MAILBOX_VCPUS), %ecx
7:  pause
    cmpl %ecx, finished
    jb 7b
    movl BOX(MAILBOX_COUNT), %eax
    movl %eax, BOX(MAILBOX_NEXT)
    movl $MAILBOX_STATE_DONE, BOX(MAILBOX_STATE)
    movl BOX(MAILBOX_COMMAND_SEQ), %eax
    movl %eax, BOX(MAILBOX_DONE_SEQ)
halt:
    cli
    hlt
    jmp halt

    .data
    .balign 4
arrived:
    .long 0
listed:
    .long 0
finished:
    .long 0
actions_end:
    .long 0
apic_ids:
    .skip MAX_VCPUS

    .section .note.GNU-stack, "", @progbits

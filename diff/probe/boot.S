/* From the reset vector, or a SIPI, to C in long mode. Intel SDM vol. 3 ch. 10. */
#include "layout.h"

#define CR0_VALUE  0x80010033 /* PG, WP, NE, ET, MP, PE */
#define CR4_PAE    0x20
#define MSR_EFER   0xc0000080
#define EFER_LME   0x100
#define CPUID_LONG_MODE 29 /* 80000001 EDX */
#define APIC_BASE_MSR 0x1b

    .section .boot, "ax"
    .code16
    /* LOAD_BASE, and offset 0 of the ROM */
    .long 0x4f525050 /* "PPRO" */

    /* Real mode in ROM, CS base 0xffff0000: nothing but the copy runs there (decision 16). */
    .globl rom_start
rom_start:
    cli
    cld
    movw $LOAD_SEG, %ax
    movw %ax, %es
    xorw %si, %si
    xorw %di, %di
    movl $0x4000, %ecx
    rep movsl %cs:(%si), %es:(%di)
    ljmp $LOAD_SEG, $(start16 - LOAD_BASE)

/* All vCPUs come here, with CS base LOAD_BASE. */
start16:
    cli
    cld
    movw $LOAD_SEG, %ax
    movw %ax, %ds
    lgdtl (gdt_pointer - LOAD_BASE)
    lidtl (idt_pointer - LOAD_BASE)
    movl %cr0, %eax
    orl $1, %eax
    movl %eax, %cr0
    ljmpl $SEL_CODE32, $start32

    .code32
start32:
    movw $SEL_DATA, %ax
    movw %ax, %ss
    movw $SEL_UDATA, %ax /* ring 3's data segment serves every ring and survives returns to ring 3 */
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %fs
    movw %ax, %gs
    /* Without long mode there is no probe in C; without need for it, no wait for it. */
    cmpl $0, MAILBOX + MAILBOX_CPUID_ONLY
    jne cpuid_only_start
    movl $0x80000000, %eax
    cpuid
    subl $0x80000001, %eax
    cmpl $0xffff, %eax /* above: no such range, another leaf answered */
    ja cpuid_only_start
    movl $0x80000001, %eax
    cpuid
    btl $CPUID_LONG_MODE, %edx
    jnc cpuid_only_start
    /* One vCPU at a time from here to cpu_find(): they share the boot stack. */
1:  lock btsl $0, boot_lock
    jnc 2f
    pause
    jmp 1b
2:  movl $boot_stack_end, %esp
    cmpl $0, cpus_cleared
    jne 3f
    movl $CPUS, %edi /* RAM survives a reset */
    xorl %eax, %eax
    movl $(MAX_VCPUS * CPU_SIZE / 4), %ecx
    rep stosl
    movl $1, cpus_cleared
3:  movl $CR4_PAE, %eax
    movl %eax, %cr4
    movl $page_tables, %eax
    movl %eax, %cr3
    movl $MSR_EFER, %ecx
    rdmsr
    orl $EFER_LME, %eax
    wrmsr
    movl $CR0_VALUE, %eax
    movl %eax, %cr0
    ljmpl $SEL_CODE64, $start64

    .code64
start64:
    movl $boot_stack_end, %esp
    call cpu_find /* struct cpu in rax */
    testq %rax, %rax
    jnz 6f
    movl $0, boot_lock
    jmp 7f
6:  leaq stacks(%rip), %rcx
    movl CPU_INDEX(%rax), %edx
    incl %edx
    shll $12, %edx
    leaq (%rcx, %rdx), %rsp
    movq %rax, %rdi
    movl $0, boot_lock
    call cpu_main
7:  cli
    hlt
    jmp 7b

    .code16
    .balign 16
    .globl sipi_entry, sipi_entry_end
sipi_entry: /* copied to PROBE_SIPI_PAGE */
    ljmp $LOAD_SEG, $(start16 - LOAD_BASE)
sipi_entry_end:

    .section .reset, "ax"
    .code16
    jmp rom_start
    .balign 16, 0xf4

    .data
    .balign 8
    .globl gdt_pointer, idt_pointer, idt32_pointer, ivt_pointer
gdt_pointer:
    .word gdt_end - gdt - 1
    .quad gdt
    .balign 8
idt_pointer:
    .word 256 * 16 - 1
    .quad idt64
    .balign 8
idt32_pointer:
    .word 256 * 8 - 1
    .quad idt32
    .balign 8
ivt_pointer:
    .word 256 * 4 - 1
    .quad ivt

/* Accessed bits are set: a CPU that must set them in ROM or under emulation hangs on some hosts (decision 16). */
    .balign 16
    .globl gdt
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff /* SEL_CODE32 */
    .quad 0x00cf93000000ffff /* SEL_DATA */
    .quad 0x00af9b000000ffff /* SEL_CODE64 */
    .quad 0x00cffb000000ffff /* SEL_UCODE32 */
    .quad 0x00cff3000000ffff /* SEL_UDATA */
    .quad 0x00affb000000ffff /* SEL_UCODE64 */
    .quad 0x00009b010000ffff /* SEL_CODE16 */
    .quad 0x000093000000ffff /* SEL_DATA16 */
    .quad 0
    .fill 2 * 16, 8, 0       /* SEL_TSS: filled in by cpu.c */
gdt_end:

boot_lock:
    .long 0
cpus_cleared:
    .long 0

    .bss
    .balign 16
    .skip 1024
boot_stack_end:

    .section .private, "aw", @nobits /* PROBE_PRIVATE: not part of the ROM */
    .balign 4096
    .globl window_tables
window_tables:
    .skip 3 * 4096
stacks:
    .skip 16 * 4096

    .section .note.GNU-stack, "", @progbits

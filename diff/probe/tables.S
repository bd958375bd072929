/* The tables that are the same in every VM: identity map, and interrupt tables for the three kinds of mode. They are
 * part of the image, so that the copy into RAM makes them good again. Intel SDM vol. 3 ch. 4, 6 and 21. */
#include "layout.h"

#define PAGE_SUBTABLE 0x07 /* US, RW, P: the last level decides */
#define PAGE_LARGE    0x87 /* likewise, 2 MB */
#define LARGE_SIZE    0x200000

#define GATE_INTERRUPT 0x8e
#define GATE_USER      0x60
#define VECTOR_NMI     2
#define VECTOR_BP      3
/* int3 ends actions in ring 3, too. The assembler's true is -1. */
#define GATE_TYPE(n) GATE_INTERRUPT | (GATE_USER & ((n) == VECTOR_BP))

/* A gate's target: the image lies within 64 KiB of LOAD_BASE. */
#define OFFSET_LOW(handler) (handler) - LOAD_BASE
#define OFFSET_HIGH         LOAD_BASE >> 16

    /* PML4, PDPT, 4 page directories: 4 GiB in 2 MB pages. tables.c adds the window. */
    .section .tables, "aw"
    .balign 4096
    .globl page_tables
page_tables:
    .quad directories + PAGE_SUBTABLE
    .balign 4096
directories:
    .set n, 1
    .rept 4
    .quad directories + n * 4096 + PAGE_SUBTABLE
    .set n, n + 1
    .endr
    .balign 4096
    .set n, 0
    .rept 4 * 512
    .quad n * LARGE_SIZE + PAGE_LARGE
    .set n, n + 1
    .endr

    .globl idt64
idt64:
    .set n, 0
    .rept 256
    .if n == VECTOR_NMI
    .word OFFSET_LOW(stub_nmi), SEL_CODE64
    .byte IST_NMI, GATE_TYPE(n)
    .else
    .word OFFSET_LOW(stubs_64 + 16 * n), SEL_CODE64
    .byte IST_TRAP, GATE_TYPE(n)
    .endif
    .word OFFSET_HIGH
    .quad 0
    .set n, n + 1
    .endr

    .globl idt32
idt32:
    .set n, 0
    .rept 256
    .word OFFSET_LOW(stubs_32 + 16 * n), SEL_CODE32
    .byte 0, GATE_TYPE(n)
    .word OFFSET_HIGH
    .set n, n + 1
    .endr

    .globl ivt
ivt:
    .set n, 0
    .rept 256
    .word OFFSET_LOW(stubs_16 + 8 * n), LOAD_SEG
    .set n, n + 1
    .endr

    .section .note.GNU-stack, "", @progbits

/* The built firmware as data, so that no tool needs a path to it. */
    .section .rodata, "a"
    .balign 16
    .globl probe_rom, probe_rom_size
probe_rom:
    .incbin PARAVANE_PROBE_ROM
1:
    .balign 8
probe_rom_size:
    .quad 1b - probe_rom
    .section .note.GNU-stack, "", @progbits

/* The few PC devices that test guests talk to: serial output, debug console, debug exit. They own nothing outside their
 * struct; what they say goes to a sink. */
#ifndef VMM_BOARD_DEVICES_H
#define VMM_BOARD_DEVICES_H

#include <stdint.h>
#include "vmm/core/vm.h"

struct byte_sink { /* put NULL: bytes vanish */
    void (*put)(void *ctx, uint8_t byte);
    void *ctx;
};

/* 16550A, output only: the transmitter is always empty, nothing is received, no interrupts. National PC16550D. */
#define SERIAL_COM1 0x3f8
struct serial {
    struct byte_sink sink;
    uint8_t ier, fcr, lcr, mcr, scratch;
    uint16_t divisor;
};
/* QEMU's isa-debugcon: writes are bytes of text, reads give readback (0xe9 unless changed). */
#define DEBUGCON_PORT 0xe9
struct debugcon {
    struct byte_sink sink;
    uint8_t readback;
};
/* QEMU's isa-debug-exit: a write ends the machine with status (value << 1) | 1; reads give 0. */
struct debug_exit {
    void (*stop)(void *ctx, int code);
    void *ctx;
};

/* Claim their ports on vm->bus; the struct must outlive the VM. -ENOSPC. */
int serial_add(struct serial *serial, struct vm *vm, uint16_t port);
int debugcon_add(struct debugcon *con, struct vm *vm, uint16_t port);
int debug_exit_add(struct debug_exit *device, struct vm *vm, uint16_t port, uint16_t ports);

#endif

/* Serial output, debug console and debug exit, as QEMU 7.2 has them (hw/char, hw/misc by behaviour). */
#include "vmm/board/devices.h"

enum { UART_DATA, UART_IER, UART_IIR_FCR, UART_LCR, UART_MCR, UART_LSR, UART_MSR, UART_SCR, UART_PORTS };
#define LCR_DLAB        0x80
#define IIR_NONE        0x01 /* no interrupt is pending */
#define IIR_FIFOS       0xc0
#define FCR_ENABLE      0x01
#define LSR_THR_EMPTY   0x60 /* holding and shift register */
#define MSR_CONNECTED   0xb0 /* carrier, data set ready, clear to send */
#define MCR_IMPLEMENTED 0x1f

static void sink_put(const struct byte_sink *sink, uint64_t value)
{
    if (sink->put)
        sink->put(sink->ctx, (uint8_t)value);
}

static uint8_t serial_get(const struct serial *s, uint64_t reg)
{
    bool dlab = s->lcr & LCR_DLAB;

    switch (reg) {
    case UART_DATA:
        return dlab ? (uint8_t)s->divisor : 0;
    case UART_IER:
        return dlab ? (uint8_t)(s->divisor >> 8) : s->ier;
    case UART_IIR_FCR:
        return IIR_NONE | (s->fcr & FCR_ENABLE ? IIR_FIFOS : 0);
    case UART_LCR:
        return s->lcr;
    case UART_MCR:
        return s->mcr;
    case UART_LSR:
        return LSR_THR_EMPTY;
    case UART_MSR:
        return MSR_CONNECTED;
    default:
        return s->scratch;
    }
}

static void serial_set(struct serial *s, uint64_t reg, uint8_t v)
{
    bool dlab = s->lcr & LCR_DLAB;

    switch (reg) {
    case UART_DATA:
        if (dlab)
            s->divisor = (uint16_t)((s->divisor & 0xff00) | v);
        else
            sink_put(&s->sink, v);
        break;
    case UART_IER:
        if (dlab)
            s->divisor = (uint16_t)((s->divisor & 0xff) | v << 8);
        else
            s->ier = v & 15;
        break;
    case UART_IIR_FCR:
        s->fcr = v;
        break;
    case UART_LCR:
        s->lcr = v;
        break;
    case UART_MCR:
        s->mcr = v & MCR_IMPLEMENTED;
        break;
    case UART_SCR:
        s->scratch = v;
        break;
    default: /* line and modem status are read-only */
        break;
    }
}

/* Wider accesses are as many byte accesses to the ports that follow. */
static uint64_t serial_read(void *ctx, struct vcpu *vcpu, uint64_t offset, unsigned size)
{
    uint64_t v = 0;

    (void)vcpu;
    for (unsigned n = 0; n < size; n++)
        v |= (uint64_t)serial_get(ctx, (offset + n) % UART_PORTS) << (8 * n);
    return v;
}

static void serial_write(void *ctx, struct vcpu *vcpu, uint64_t offset, unsigned size, uint64_t value)
{
    (void)vcpu;
    for (unsigned n = 0; n < size; n++)
        serial_set(ctx, (offset + n) % UART_PORTS, (uint8_t)(value >> (8 * n)));
}

static int add_ports(struct vm *vm, uint16_t port, uint16_t ports, void *ctx,
                     uint64_t (*read)(void *, struct vcpu *, uint64_t, unsigned),
                     void (*write)(void *, struct vcpu *, uint64_t, unsigned, uint64_t))
{
    return bus_add(
        &vm->bus,
        &(struct bus_range){
            .start = port, .size = ports, .space = BUS_PIO, .read = read, .write = write, .ctx = ctx});
}

int serial_add(struct serial *serial, struct vm *vm, uint16_t port)
{
    return add_ports(vm, port, UART_PORTS, serial, serial_read, serial_write);
}

static uint64_t debugcon_read(void *ctx, struct vcpu *vcpu, uint64_t offset, unsigned size)
{
    const struct debugcon *con = ctx;

    (void)vcpu, (void)offset, (void)size;
    return con->readback;
}

static void debugcon_write(void *ctx, struct vcpu *vcpu, uint64_t offset, unsigned size, uint64_t value)
{
    const struct debugcon *con = ctx;

    (void)vcpu, (void)offset;
    for (unsigned n = 0; n < size; n++)
        sink_put(&con->sink, value >> (8 * n));
}

int debugcon_add(struct debugcon *con, struct vm *vm, uint16_t port)
{
    con->readback = con->readback ? con->readback : DEBUGCON_PORT;
    return add_ports(vm, port, 1, con, debugcon_read, debugcon_write);
}

static uint64_t debug_exit_read(void *ctx, struct vcpu *vcpu, uint64_t offset, unsigned size)
{
    (void)ctx, (void)vcpu, (void)offset, (void)size;
    return 0;
}

static void debug_exit_write(void *ctx, struct vcpu *vcpu, uint64_t offset, unsigned size, uint64_t value)
{
    const struct debug_exit *device = ctx;

    (void)vcpu, (void)offset, (void)size;
    device->stop(device->ctx, (int)((uint32_t)value << 1 | 1));
}

int debug_exit_add(struct debug_exit *device, struct vm *vm, uint16_t port, uint16_t ports)
{
    return add_ports(vm, port, ports, device, debug_exit_read, debug_exit_write);
}

/* The I/O APIC's registers, pins and EOI. See ioapic.h. */
#include "vmm/apic/ioapic.h"

#include "vmm/apic/lapic.h"
#include "vmm/apic/msi.h"

#define REG_SELECT 0x00
#define REG_WINDOW 0x10
#define REG_EOI    0x40

enum { IOAPIC_ID = 0, IOAPIC_VERSION = 1, IOAPIC_ARBITRATION = 2, IOAPIC_REDIRECTION = 0x10 };

#define RTE_VECTOR     0x000000ffull
#define RTE_STATUS     (1ull << 12)
#define RTE_REMOTE_IRR (1ull << 14)
#define RTE_LEVEL      (1ull << 15)
#define RTE_MASKED     (1ull << 16)
#define RTE_READ_ONLY  (RTE_STATUS | RTE_REMOTE_IRR)
#define RTC_PIN        8

/* Whose I/O APIC it is decides what its documents leave open. */
struct kind {
    uint8_t version;
    uint32_t no_register; /* what a select value without a register reads */
    bool any_width;       /* the window answers to 1 and 2 bytes too */
    bool eoi_register;    /* EOI by a write, and registers repeat every 0x100 bytes */
    /* remote IRR is set even if no APIC accepted; no edge is noted while a pin is masked */
    bool always_pending;
};
static const struct kind *kind_of(const struct vm *vm)
{
    static const struct kind kernel = {.version = 0x11, .no_register = UINT32_MAX, .any_width = true};
    static const struct kind user = {.version = 0x20, .eoi_register = true, .always_pending = true};

    return vm->config.irqchip == IRQCHIP_KERNEL ? &kernel : &user;
}

void ioapic_reset(struct vm *vm)
{
    struct ioapic *io = &vm->ioapic;

    io->select = 0;
    io->id = 0;
    io->lines = 0;
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++)
        io->redirection[pin] = RTE_MASKED;
}

/* KVM's knows 8 bits of destination (MSI-4); QEMU makes an MSI of the entry, whose upper 16 bits become the address bits
 * 19:4 (MSI-3), and its own policy applies. */
static bool describe(const struct vm *vm, uint64_t entry, struct lapic_message *message)
{
    uint64_t address = 0xfee00000 | (entry >> 48) << 4 | (entry >> 11 & 1) << 2;
    uint32_t data = (uint32_t)(entry & (RTE_VECTOR | 0x700 | RTE_LEVEL));

    if (vm->config.irqchip == IRQCHIP_KERNEL) {
        *message = (struct lapic_message){.destination = (uint32_t)(entry >> 56),
                                          .logical = entry >> 11 & 1,
                                          .mode = (enum apic_mode)(entry >> 8 & 7),
                                          .vector = (uint8_t)entry,
                                          .level = entry & RTE_LEVEL,
                                          .asserted = true};
        return true;
    }
    if (vm->ioapic.msi_address)
        address = vm->ioapic.msi_address(vm, address);
    return msi_decode(vm, address, data, message) == 0;
}

static void service(struct vm *vm, unsigned pin)
{
    uint64_t *entry = &vm->ioapic.redirection[pin];
    struct lapic_message message;
    unsigned accepted = 0;

    if ((*entry & RTE_MASKED) || ((*entry & RTE_LEVEL) && (*entry & RTE_REMOTE_IRR)))
        return;
    if (describe(vm, *entry, &message))
        accepted = lapic_deliver(vm, &message);
    if ((*entry & RTE_LEVEL) && (accepted || kind_of(vm)->always_pending))
        *entry |= RTE_REMOTE_IRR;
}

void ioapic_set_pin(struct vm *vm, unsigned pin, bool high)
{
    struct ioapic *io = &vm->ioapic;
    uint32_t bit, before = io->lines;
    uint64_t entry;

    if (pin >= IOAPIC_PINS)
        return;
    bit = 1u << pin;
    entry = io->redirection[pin];
    if (!high) {
        io->lines &= ~bit;
        return;
    }
    io->lines |= bit;
    if ((entry & RTE_LEVEL) || !(before & bit))
        service(vm, pin);
}

void ioapic_eoi(struct vm *vm, uint8_t vector)
{
    struct ioapic *io = &vm->ioapic;

    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        uint64_t *entry = &io->redirection[pin];
        if ((*entry & RTE_VECTOR) != vector || !(*entry & RTE_LEVEL) || !(*entry & RTE_REMOTE_IRR))
            continue;
        *entry &= ~RTE_REMOTE_IRR;
        if (io->lines >> pin & 1)
            service(vm, pin);
    }
}

bool ioapic_wants_eoi(const struct vcpu *vcpu, uint8_t vector)
{
    const struct vm *vm = vcpu->vm;
    bool kernel = vm->config.irqchip == IRQCHIP_KERNEL;

    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        uint64_t entry = vm->ioapic.redirection[pin];
        struct lapic_message message;
        if ((entry & RTE_VECTOR) != vector || !((entry & RTE_LEVEL) || (kernel && pin == RTC_PIN)))
            continue;
        if (describe(vm, entry, &message) && lapic_addressed(vcpu, &message))
            return true;
    }
    return false;
}

/* The pin whose entry the select register shows a half of, or IOAPIC_PINS (KB-07). */
static unsigned selected_pin(const struct ioapic *io)
{
    unsigned pin = (io->select - IOAPIC_REDIRECTION) / 2u;

    return io->select >= IOAPIC_REDIRECTION && pin < IOAPIC_PINS ? pin : IOAPIC_PINS;
}

static uint32_t window_read(const struct vm *vm)
{
    const struct ioapic *io = &vm->ioapic;
    unsigned pin = selected_pin(io);

    if (pin < IOAPIC_PINS)
        return (uint32_t)(io->redirection[pin] >> (io->select & 1) * 32);
    switch (io->select) {
    case IOAPIC_ID:
    case IOAPIC_ARBITRATION:
        return (uint32_t)io->id << 24;
    case IOAPIC_VERSION:
        return kind_of(vm)->version | (IOAPIC_PINS - 1) << 16;
    default:
        return kind_of(vm)->no_register;
    }
}

static void write_entry(struct vm *vm, unsigned pin, uint32_t value)
{
    struct ioapic *io = &vm->ioapic;
    unsigned shift = (io->select & 1) * 32;
    uint64_t old = io->redirection[pin],
             entry = (old & ~((uint64_t)UINT32_MAX << shift)) | (uint64_t)value << shift;

    entry = (entry & ~RTE_READ_ONLY) | (old & RTE_READ_ONLY);
    if (!(entry & RTE_LEVEL))
        entry &= ~RTE_REMOTE_IRR; /* guests rely on it to get rid of a stuck one */
    io->redirection[pin] = entry;
    if ((entry & RTE_LEVEL) && (io->lines >> pin & 1))
        service(vm, pin);
}

static void window_write(struct vm *vm, uint32_t value)
{
    unsigned pin = selected_pin(&vm->ioapic);

    if (pin < IOAPIC_PINS)
        write_entry(vm, pin, value);
    else if (vm->ioapic.select == IOAPIC_ID)
        vm->ioapic.id = value >> 24 & 0xf;
}

/* Where an access goes: REG_*, or -1 for nowhere. */
static int register_at(const struct vm *vm, uint64_t offset, unsigned size)
{
    const struct kind *kind = kind_of(vm);

    if (kind->eoi_register)
        offset &= 0xff;
    if (offset == REG_SELECT)
        return REG_SELECT;
    if (size < 4 && !kind->any_width)
        return -1;
    return offset == REG_WINDOW || (offset == REG_EOI && kind->eoi_register) ? (int)offset : -1;
}

static uint64_t mmio_read(void *ctx, struct vcpu *vcpu, uint64_t offset, unsigned size)
{
    const struct vm *vm = ctx;

    (void)vcpu;
    switch (register_at(vm, offset, size)) {
    case REG_SELECT:
        return vm->ioapic.select;
    case REG_WINDOW:
        return window_read(vm);
    default:
        return 0;
    }
}

static void mmio_write(void *ctx, struct vcpu *vcpu, uint64_t offset, unsigned size, uint64_t value)
{
    struct vm *vm = ctx;

    (void)vcpu;
    switch (register_at(vm, offset, size)) {
    case REG_SELECT:
        vm->ioapic.select = (uint8_t)value;
        break;
    case REG_WINDOW:
        window_write(vm, (uint32_t)value);
        break;
    case REG_EOI:
        ioapic_eoi(vm, (uint8_t)value);
        break;
    default:
        break;
    }
}

int ioapic_map(struct vm *vm)
{
    return bus_add(&vm->bus, &(struct bus_range){.start = IOAPIC_GPA,
                                                 .size = GPA_PAGE_SIZE,
                                                 .space = BUS_MMIO,
                                                 .read = mmio_read,
                                                 .write = mmio_write,
                                                 .ctx = vm});
}

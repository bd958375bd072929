/* Messages through memory that two machines share (ivshmem-plain): one slot each way, sequence numbers, no interrupts.
 * Neither side trusts the other: sizes are checked, and a message is copied out before it is looked at. Decision 13. */
#ifndef DIFF_MACHINE_CHANNEL_H
#define DIFF_MACHINE_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHANNEL_SIZE    (64u << 20) /* of the shared file; only touched pages cost memory */
#define CHANNEL_MESSAGE (31u << 20) /* the longest message */
#define CHANNEL_MAGIC   0x43495650u /* "PVIC" */
#define CHANNEL_VERSION 1u

struct channel_slot { /* little-endian; seq belongs to the sender, ack to the receiver */
    volatile uint32_t seq, ack;
    volatile uint32_t type, len;
    uint32_t reserved[12];
};
struct channel_memory {
    uint32_t magic, version; /* written by the host before the box starts */
    volatile uint32_t pulse; /* the agent's sign of life: moves while it works */
    volatile uint32_t done;  /* programs of the running item that are over: for progress */
    uint32_t reserved[12];
    struct channel_slot slots[2]; /* [0] host -> agent, [1] agent -> host */
};

struct channel {
    struct channel_memory *memory;
    unsigned send, receive;  /* which slot */
    uint32_t sent, received; /* sequence numbers */
    /* Asked while waiting; false: give up (-ECANCELED). */
    bool (*wait)(void *ctx);
    void *ctx;
};

/* memory: CHANNEL_SIZE bytes. The host's side writes the header; the agent's checks it: -EPROTO. */
int channel_init(struct channel *channel, void *memory, bool host);
/* Waits until the other side took the last message: -ETIMEDOUT, -ECANCELED. -EMSGSIZE. */
int channel_send(struct channel *channel, uint32_t type, const void *data, size_t len, unsigned timeout_ms);
/* True when a message waits. */
bool channel_ready(const struct channel *channel);
/* *data is malloc'ed. -ETIMEDOUT, -ECANCELED, -EPROTO (a length that cannot be), -ENOMEM. */
int channel_receive(struct channel *channel, uint32_t *type, uint8_t **data, size_t *len,
                    unsigned timeout_ms);

#endif

/* Passes messages between the host and the agent in the box through shared memory, by polling. Decision 13. */
#include "diff/machine/channel.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "diff/machine/deadline.h"

#define SLOT_OFFSET 4096u /* of the first slot's bytes */
#define POLL_US     200u  /* far below what any job takes, and no load */

static_assert(sizeof(struct channel_memory) <= SLOT_OFFSET, "header before the first message");
static_assert(SLOT_OFFSET + 2ull * CHANNEL_MESSAGE <= CHANNEL_SIZE, "two messages fit");

static uint8_t *slot_data(const struct channel *channel, unsigned slot)
{
    return (uint8_t *)channel->memory + SLOT_OFFSET + (size_t)slot * CHANNEL_MESSAGE;
}

int channel_init(struct channel *channel, void *memory, bool host)
{
    channel->memory = memory;
    channel->send = host ? 0 : 1;
    channel->receive = host ? 1 : 0;
    channel->sent = channel->received = 0;
    if (host) {
        memset(channel->memory, 0, sizeof(*channel->memory));
        channel->memory->version = CHANNEL_VERSION;
        channel->memory->magic = CHANNEL_MAGIC;
        return 0;
    }
    return channel->memory->magic == CHANNEL_MAGIC && channel->memory->version == CHANNEL_VERSION ? 0
                                                                                                  : -EPROTO;
}

/* Until *word == value, or != value when equal is false. */
static int wait_word(const struct channel *channel, const volatile uint32_t *word, uint32_t value, bool equal,
                     unsigned timeout_ms)
{
    uint64_t deadline = deadline_in_ms(timeout_ms);

    while ((__atomic_load_n(word, __ATOMIC_ACQUIRE) == value) != equal) {
        if (channel->wait && !channel->wait(channel->ctx))
            return -ECANCELED;
        if (deadline_passed(deadline))
            return -ETIMEDOUT;
        pause_us(POLL_US);
    }
    return 0;
}

int channel_send(struct channel *channel, uint32_t type, const void *data, size_t len, unsigned timeout_ms)
{
    struct channel_slot *slot = &channel->memory->slots[channel->send];
    int err;

    if (len > CHANNEL_MESSAGE)
        return -EMSGSIZE;
    err = wait_word(channel, &slot->ack, channel->sent, true, timeout_ms);
    if (err)
        return err;
    if (len)
        memcpy(slot_data(channel, channel->send), data, len);
    slot->type = type;
    slot->len = (uint32_t)len;
    __atomic_store_n(&slot->seq, ++channel->sent, __ATOMIC_RELEASE);
    return 0;
}

bool channel_ready(const struct channel *channel)
{
    return __atomic_load_n(&channel->memory->slots[channel->receive].seq, __ATOMIC_ACQUIRE) !=
           channel->received;
}

int channel_receive(struct channel *channel, uint32_t *type, uint8_t **data, size_t *len, unsigned timeout_ms)
{
    struct channel_slot *slot = &channel->memory->slots[channel->receive];
    int err = wait_word(channel, &slot->seq, channel->received, false, timeout_ms);

    *data = NULL;
    if (err)
        return err;
    *type = slot->type;
    *len = slot->len; /* read once: the other side may change it */
    if (*len > CHANNEL_MESSAGE)
        return -EPROTO;
    *data = malloc(*len ? *len : 1);
    if (!*data)
        return -ENOMEM;
    memcpy(*data, slot_data(channel, channel->receive), *len);
    channel->received++;
    __atomic_store_n(&slot->ack, channel->received, __ATOMIC_RELEASE);
    return 0;
}

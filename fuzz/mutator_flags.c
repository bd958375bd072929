/* libFuzzer's custom mutator for -cpu strings: changes items by the grammar of pv-diff flags. Half of the time the
 * engine's own byte mutations (and its dictionary) do the work. */
#include <string.h>
#include "diff/flags/grammar.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size); /* of the engine */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1, const uint8_t *data2, size_t size2,
                                 uint8_t *out, size_t max_size, unsigned seed);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    static const struct flags_models all = {NULL, 0};
    struct flags_random random = flags_random_at(seed, size);
    char fresh[FLAGS_TEXT_MAX];
    size_t len;

    if (size >= max_size || flags_random_below(&random, 2))
        return LLVMFuzzerMutate(data, size, max_size);
    if (flags_random_below(&random, 16))
        return flags_mutate(&random, (char *)data, size, max_size);
    len = flags_make(&random, &all, fresh);
    if (len > max_size)
        len = max_size;
    memcpy(data, fresh, len);
    return len;
}

/* Up to the end of one of the first string's parts, then from the start of one of the second's. */
static size_t part_start(struct flags_random *random, const uint8_t *data, size_t size)
{
    size_t at = size ? flags_random_below(random, (uint32_t)size) : 0;

    while (at < size && data[at] != ',')
        at++;
    return at;
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1, const uint8_t *data2, size_t size2,
                                 uint8_t *out, size_t max_size, unsigned seed)
{
    struct flags_random random = flags_random_at(seed, size1);
    size_t head = part_start(&random, data1, size1), tail = part_start(&random, data2, size2);
    size_t tail_len = size2 - tail;

    if (head > max_size)
        head = max_size;
    if (tail_len > max_size - head)
        tail_len = max_size - head;
    memcpy(out, data1, head);
    memcpy(out + head, data2 + tail, tail_len);
    return head + tail_len;
}

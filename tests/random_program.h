/* Fixed-seed inputs for property tests of programs. */
#ifndef TESTS_RANDOM_PROGRAM_H
#define TESTS_RANDOM_PROGRAM_H

#include <stddef.h>
#include <stdint.h>

/* splitmix64 (Steele, Lea, Flood 2014). */
static inline uint64_t random_u64(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

/* Up to size bytes, half of them small, so that opcodes are met often. */
static inline size_t random_bytes(uint64_t *state, uint8_t *data, size_t size)
{
    size_t len = random_u64(state) % (size + 1);

    for (size_t i = 0; i < len; i++) {
        uint64_t draw = random_u64(state);

        data[i] = draw & 0x100 ? draw & 0xff : draw % 66;
    }
    return len;
}

#endif

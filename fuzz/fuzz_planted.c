/* A tiny target with faults on purpose: test_replay checks on it what a crash report says. Not part of any
 * campaign. */
#include <stdlib.h>
#include <string.h>
#include "fuzz/target.h"

/* The fault: a length taken from the input and not compared with the room. */
__attribute__((noinline)) static int planted_copy(const uint8_t *data, size_t size)
{
    uint8_t *room = malloc(8);
    int sum = 0;

    if (!room)
        return 0;
    memset(room, 0, 8);
    for (size_t i = 0; i < data[3] && i + 4 < size; i++)
        room[i] = data[i + 4];
    for (size_t i = 0; i < 8; i++)
        sum += room[i];
    free(room);
    return sum;
}

__attribute__((noinline)) static void planted_null(const uint8_t *data)
{
    volatile uint8_t *nowhere = (volatile uint8_t *)(uintptr_t)data[3];

    *nowhere = 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4 || data[0] != 'p' || data[1] != 'v')
        return 0;
    fuzz_run.action = 0;
    switch (data[2]) {
    case 'c':
        return planted_copy(data, size) & 0;
    case 'n':
        planted_null(data);
        return 0;
    case 'r':
        fuzz_fail("DEMO-1", "the planted rule broke with %u", data[3]);
    case 'h':
        for (volatile int again = 1; again;)
            continue;
        return 0;
    default:
        return 0;
    }
}

/* The fixed list of inputs of ci/bench: the same bytes on every machine and in every run. */
#ifndef FUZZ_BENCH_INPUTS_H
#define FUZZ_BENCH_INPUTS_H

#include <stddef.h>
#include <stdint.h>
#include "diff/program/program.h"

#define BENCH_INPUTS 64

/* Input n of the list: a program of `actions` guest actions, or time steps, out of `ops`. In *program, which the caller
 * has initialised. */
void bench_program(struct program *program, unsigned n, unsigned actions, unsigned vcpus, uint64_t ops);
/* 16 actions on 2 vCPUs that every machine can do: the probe survives them, and nothing in them waits. In *program, which
 * the caller has initialised. False: stderr says why. */
bool bench_scenario(struct program *program);
uint64_t bench_now_ns(void); /* CPU time of this process: others on the machine do not count */
/* One line for ci/bench: name, value, unit, how it was taken. */
void bench_print(const char *name, double value, const char *unit, const char *how);

#endif

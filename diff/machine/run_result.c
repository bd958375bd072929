/* Results of run items: apart from the drivers, because the agent in the box has those of none but QEMU. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "diff/machine/driver.h"

int run_result_init(struct run_result *result, unsigned program_count)
{
    memset(result, 0, sizeof(*result));
    result->transcripts = calloc(program_count ? program_count : 1, sizeof(*result->transcripts));
    if (!result->transcripts)
        return -ENOMEM;
    for (unsigned i = 0; i < program_count; i++)
        transcript_init(&result->transcripts[i]);
    return 0;
}

void run_result_free(struct run_result *result, unsigned program_count)
{
    for (unsigned i = 0; result->transcripts && i < program_count; i++)
        transcript_free(&result->transcripts[i]);
    free(result->transcripts);
    free(result->command_line);
    free(result->warnings);
    memset(result, 0, sizeof(*result));
}

unsigned smp_vcpus(const char *smp)
{
    const char *cpus = smp ? strstr(smp, "cpus=") : NULL;
    unsigned long n;

    if (!smp)
        return 1;
    n = strtoul(cpus && (cpus == smp || cpus[-1] == ',') ? cpus + 5 : smp, NULL, 10);
    return n >= 1 && n <= 1024 ? (unsigned)n : 1;
}

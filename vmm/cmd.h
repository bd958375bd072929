/* The commands of pv-vmm; each takes argv without the program and command names and returns an enum exit_status. */
#ifndef VMM_CMD_H
#define VMM_CMD_H

#include "vmm/cpuid/machine_options.h"
#include "vmm/cpuid/supported.h"
#include "vmm/exit_status.h"

int cmd_cpuid(int argc, char **argv);
int cmd_run(int argc, char **argv);

/* "pv-vmm: ..." on standard error; texts may quote anything. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints what -cpu help, -machine help or -smp help ask for; false: they do not. */
bool names_listed(const struct vmm_options *options);

/* Reads "supported_cpuid", "host_cpuid", "tsc_khz", "check_extension" and "feature_msrs" out of a host record or of
 * the file behind the flag vectors. False: why says what is wrong. */
bool supported_from_json(struct cpuid_supported *host, const char *text, size_t len, char why[160]);

/* The host named by --supported ("soft", "qemu-7.2-tcg" or a file's path; NULL: by the accelerator), in *storage if it had
 * to be read. EXIT_DONE, or the status to leave with and *why. */
int supported_by_name(const char *name, const struct vmm_options *options, struct cpuid_supported *storage,
                      const struct cpuid_supported **host, char why[240]);

#endif

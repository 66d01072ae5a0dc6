/*
 * handlers/tpm_platform.h - what libtpms is given for a platform.
 *
 * For handlers/tpm.c only. The names that libtpms itself calls are in the .c,
 * and in crypto/libtpms.py, which takes their original members out of the
 * archive.
 */
#ifndef EVSM_HANDLERS_TPM_PLATFORM_H
#define EVSM_HANDLERS_TPM_PLATFORM_H

#include "handlers/tpm.h"

/* The clocks of `platform`, from now on. Context: as tpm_init. */
void tpm_platform_init(const tpm_platform_t* platform);

/* Set the flag that long commands poll. Context: [any], [job], [trap]. */
void tpm_platform_cancel(void);

/* Freeze the TPM's clocks, or let them go on. Context: [job]. */
void tpm_platform_clock_hold(bool hold);

/*
 * Call into libtpms outside of a command, where it has no way out of its own:
 * run `call(arg)`, and come back also when libtpms fails in the middle of it.
 * What it had allocated until then is lost to the arena.
 *
 * Context:  [job].
 * Returns:  true when the call came to its end; false when libtpms failed.
 */
bool tpm_platform_guard(void (*call)(void* arg), void* arg);

/* Whether libtpms has failed, here or in a command, since this was asked last:
 * then the arena may hold what nobody will give back. Context: [job]. */
bool tpm_platform_has_failed(void);

#endif /* EVSM_HANDLERS_TPM_PLATFORM_H */

/*
 * handlers/vtpm.h - protocol 2: the machine's one TPM (abi.md 1.8).
 *
 * The service starts it when the machine starts, and stops it at the end.
 */
#ifndef EVSM_HANDLERS_VTPM_H
#define EVSM_HANDLERS_VTPM_H

#include "handlers/call.h"

extern const svsm_protocol_t vtpm_protocol;

/*
 * What the TPM is to be. `platform_commands`: service_config_t's
 * tpm_platform_commands. tpm_state_init() (handlers/tpm_state.h) says who
 * keeps its state.
 *
 * Context:  [boot].
 */
void vtpm_init(bool platform_commands);

/*
 * Start it, as a job of `loop`: power on, and manufacture if there is no
 * state. Calls that come before it is ready wait.
 *
 * Context:  [loop] of `loop`.
 */
void vtpm_start(uv_loop_t* loop);

/*
 * How starting it went.
 *
 * Context:  [any], [job].
 * Returns:  UV_EAGAIN it hasn't ended; 0; or tpm_power_on()'s error: then the
 *           TPM is off and answers TPM_RC_INITIALIZE.
 */
int vtpm_status(void);

/* How full libtpms's arena is, in bytes, as the last command left it. */
typedef struct vtpm_memory_s {
  uint64_t used;
  uint64_t peak; /* the most that `used` has been */
  uint64_t size; /* of the arena */
} vtpm_memory_t;

/* Context: [any], [job]. */
vtpm_memory_t vtpm_memory(void);

/*
 * Begin to stop: what is queued is done first, then the TPM is switched off
 * and its memory wiped.
 *
 * Context:  [loop], when no guest runs any more; once, after vtpm_start().
 */
void vtpm_stop(void);

/* What computes for it, until it has stopped; then NULL. Context: [loop] of
 * vtpm_start()'s loop. */
uvx_job_t* vtpm_job(void);

#endif /* EVSM_HANDLERS_VTPM_H */

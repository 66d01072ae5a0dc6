/*
 * handlers/tpm_state.h - where the TPM's state lives while the machine is off.
 *
 *   handlers/tpm.c (libtpms)  ->  tpm_state_store()  ->  whoever keeps it
 *
 * libtpms wants its store to be synchronous; a disk is not. So the TPM's job
 * begins the operation and parks until it is over (uvx_job_await): the TPM
 * stands still meanwhile, the CPU does not. The keeper is sim/'s plain file
 * now, persist/'s store later; handlers/ knows neither.
 *
 * The promise: a tpm_state_store() that returned 0 is durable. So a TPM
 * response, which leaves after it, never speaks of a change that a power cut
 * could undo.
 *
 * Trust: what is loaded may come from a hostile disk; the keeper says how far
 * it can be believed, libtpms checks its form. The blobs are secret.
 */
#ifndef EVSM_HANDLERS_TPM_STATE_H
#define EVSM_HANDLERS_TPM_STATE_H

#include "runtime/uvx.h"

#define TPM_STATE_SIZE_MAX                           \
  (512u * 1024u) /* bytes; libtpms's blob is < 277 K \
                  */

/* The blobs by name; libtpms has no others. */
#define TPM_STATE_PERMANENT "permall"
#define TPM_STATE_VOLATILE "volatilestate"
#define TPM_STATE_SAVED "savestate"

/*
 * A keeper. Each operation begins here and ends, exactly once, by
 * uvx_wait_done(wait, status), possibly before it returns.
 *
 * Context:  [job], interrupts open: close them for what is not [job]. Never
 *           two at a time.
 * Memory:   `data` and `size_out` are the keeper's until the end.
 */
typedef struct tpm_state_keeper_s {
  void* context; /* the keeper's own */

  /* Status: 0, with *size_out bytes in `data`; UV_ENOENT there is none yet;
   * UV_ENOBUFS more than size_max; UV_EIO can't be had, or isn't to be
   * believed. */
  void (*load)(void* context,
               const char* name,
               void* data,
               uint32_t size_max,
               uint32_t* size_out,
               uvx_wait_t* wait);

  /* Replace the blob as a whole, or not at all. Status: 0 it is durable;
   * UV_EIO it may not be. */
  void (*store)(void* context,
                const char* name,
                const void* data,
                uint32_t size,
                uvx_wait_t* wait);

  /* Status: 0 (also when there was none), UV_EIO. */
  void (*remove)(void* context, const char* name, uvx_wait_t* wait);
} tpm_state_keeper_t;

/*
 * Who keeps it, from now on. Without a keeper nothing is kept: load finds
 * nothing, store and remove succeed at once.
 *
 * Context:  [boot].
 * Memory:   *keeper is ours for good.
 */
void tpm_state_init(const tpm_state_keeper_t* keeper);

/*
 * What libtpms's callbacks call. Each parks the job until the end.
 *
 * Context:  [job] only.
 * Returns:  the status as above.
 */
int tpm_state_load(const char* name,
                   void* data,
                   uint32_t size_max,
                   uint32_t* size_out);
int tpm_state_store(const char* name, const void* data, uint32_t size);
int tpm_state_remove(const char* name);

#endif /* EVSM_HANDLERS_TPM_STATE_H */

/*
 * handlers/tpm.h - the TPM itself: libtpms, as a plain object.
 *
 *   OFF --tpm_power_on--> ON --tpm_process--> ON --tpm_power_off--> OFF
 *
 * There is one TPM in an image, since libtpms keeps its state in globals. All
 * that is marked [job] here runs in one job at a time, whoever queues them
 * (the vTPM's strand); two at once is a bug and stops the machine. Such a job
 * may be preempted anywhere, and parked by the platform's load and store. It
 * needs a stack of 64 KiB.
 *
 * Trust: commands are the guest's and are judged by libtpms, which has had
 * its own copy. State blobs are believed: libtpms checks their form, but a
 * forged one that it accepts (a hash algorithm that is none) makes it follow a
 * null pointer in a later command. So whoever keeps them must tell a forged
 * one from its own. What is secret: commands (they hold passwords), responses
 * and state blobs. Nothing here logs.
 *
 * Not here: who may send commands, when, and what happens to long ones
 * (handlers/vtpm*.c); where state is kept (handlers/tpm_state.h).
 */
#ifndef EVSM_HANDLERS_TPM_H
#define EVSM_HANDLERS_TPM_H

#include "runtime/base.h"

/* libtpms's own size of both buffers, which it also tells guests
 * (TPM_PT_MAX_COMMAND_SIZE, TPM_PT_MAX_RESPONSE_SIZE). */
#define TPM_COMMAND_SIZE_MAX 4096u
#define TPM_RESPONSE_SIZE_MAX 4096u
#define TPM_HEADER_SIZE 10u /* bytes: tag, size, code */

#define TPM_LOCALITY_MAX 4u

/* The largest state blob: the permanent one is 147,261 bytes when NV is full,
 * and libtpms marshals it in a buffer of 277,184. */
#define TPM_BLOB_SIZE_MAX (512u * 1024u)

/* What the TPM is built upon. All of it stays valid for good. */
typedef struct tpm_platform_s {
  /* Nanoseconds that never go back: the TPM's time. [any], [job] */
  uint64_t (*clock_ns)(void);

  /* Nanoseconds that go on while the machine is off, as well as anybody knows;
   * only a restored volatile state asks. NULL: none, and the TPM's time stands
   * still while the machine is off. */
  uint64_t (*realtime_ns)(void);

  /* State by name, in a job, which they may park. load: 0 with *size_out set,
   * UV_ENOENT, or another error; store: 0 means it is durable; remove: 0 also
   * when there was none. (handlers/tpm_state.h has these.) */
  int (*load)(const char* name,
              void* data,
              uint32_t size_max,
              uint32_t* size_out);
  int (*store)(const char* name, const void* data, uint32_t size);
  int (*remove)(const char* name);
} tpm_platform_t;

typedef enum {
  TPM_BLOB_PERMANENT, /* seeds, NV, hierarchy: what must never be lost */
  TPM_BLOB_VOLATILE,  /* PCRs, sessions, loaded objects: what a reset clears */
  TPM_BLOB_COUNT,
} tpm_blob_t;

/*
 * Tell the TPM what it is built upon. It is OFF afterwards.
 *
 * Context:  [boot], or [job] when it is OFF.
 * Memory:   *platform is read until the next tpm_init.
 */
void tpm_init(const tpm_platform_t* platform);

/*
 * Switch the TPM on; if it is ON, switch it off first (a reset). It loads its
 * permanent state, or makes one when there is none and stores it; and resumes
 * a volatile state, if one was stored or set. A guest then sends TPM2_Startup.
 *
 * Context:  [job].
 * Returns:  0
 *           UV_EIO     state can't be loaded or stored; it is OFF
 *           UV_EINVAL  the state is no TPM state, or damaged; it is OFF
 */
int tpm_power_on(void);

/*
 * Switch it off: everything volatile is gone. Nothing happens when it is OFF.
 *
 * Context:  [job].
 */
void tpm_power_off(void);

/*
 * Switch it off and give back and wipe all memory, so that nothing of it is
 * left in the arena.
 *
 * Context:  [job].
 */
void tpm_terminate(void);

/* Whether it is ON. Context: [job]. */
bool tpm_is_on(void);

/*
 * Execute one command. What is wrong with a command is told in the response,
 * as TPMs do; a TPM that is OFF answers TPM_RC_INITIALIZE.
 *
 * Context:  [job]. Seconds for an RSA key; tpm_cancel ends it sooner.
 * Memory:   `command` is copied before it is looked at (libtpms decrypts in
 *           place) and never written to. `response` has room for
 *           TPM_RESPONSE_SIZE_MAX bytes, and *response_size is set with 0.
 *           Both are secret.
 * Returns:  0          there is a response
 *           UV_EINVAL  no bytes, or a locality above TPM_LOCALITY_MAX
 *           UV_E2BIG   more than TPM_COMMAND_SIZE_MAX bytes
 *           UV_ENOMEM  libtpms's arena is too small: the command was not
 *                      executed
 */
int tpm_process(const uint8_t* command,
                uint32_t size,
                uint8_t locality,
                uint8_t* response,
                uint32_t* response_size);

/*
 * Ask the command that is being executed to end with TPM_RC_CANCELED. It does
 * so when it next looks, which most commands never do. A command that begins
 * later is not affected.
 *
 * Context:  [any], [job], [trap].
 */
void tpm_cancel(void);

/*
 * Stop the TPM's clock, and let it catch up: between the two runs of a command
 * that ends as cancelled and is sent again, no policy may expire.
 *
 * Context:  [job].
 */
void tpm_clock_hold(void);
void tpm_clock_release(void);

/*
 * Copy out a state blob. A TPM that is ON gives the state as it is now; one
 * that is OFF what it would be switched on with.
 *
 * Context:  [job].
 * Memory:   `data` has room for size_max bytes; what is in it is secret.
 * Returns:  0           *size_out bytes
 *           UV_ENOENT   there is none
 *           UV_ENOBUFS  it has more than size_max bytes
 *           UV_EIO      it can't be loaded
 */
int tpm_get_state(tpm_blob_t blob,
                  void* data,
                  uint32_t size_max,
                  uint32_t* size_out);

/*
 * Set the state that the TPM will be switched on with, instead of the stored
 * one. The permanent one comes first: the volatile one is checked against it,
 * and a size of 0 says that there is no volatile one. The permanent state is
 * stored when the TPM is switched on.
 *
 * Context:  [job].
 * Memory:   `data` is copied.
 * Returns:  0
 *           UV_EBUSY   it is ON
 *           UV_EINVAL  not a state blob of this kind; none, of either kind, is
 *                      set any more
 *           UV_ENOMEM
 */
int tpm_set_state(tpm_blob_t blob, const void* data, uint32_t size);

/*
 * Store the volatile state, so that the next tpm_power_on resumes it; or
 * remove what was stored.
 *
 * Context:  [job].
 * Returns:  0; UV_EINVAL when it is OFF; UV_EIO from the keeper; UV_ENOMEM.
 */
int tpm_store_volatile(void);
int tpm_remove_volatile(void);

/*
 * The established flag: set by a measured launch (tpm_hash_start), and reset
 * from locality 3 or 4.
 *
 * Context:  [job], when it is ON.
 * Returns:  0; UV_EINVAL when it is OFF; UV_EPERM from another locality.
 */
int tpm_established(bool* established);
int tpm_reset_established(uint8_t locality);

/*
 * A measured launch: hash into PCR 17 from locality 4.
 *
 * Context:  [job].
 * Returns:  0; UV_EINVAL when it is OFF.
 */
int tpm_hash_start(void);
int tpm_hash_data(const void* data, uint32_t size);
int tpm_hash_end(void);

/*
 * What a guest is told the buffers' size is. 0 changes nothing; a size outside
 * of *min to *max becomes the nearer one.
 *
 * Context:  [job]. Setting is for a TPM that is OFF.
 * Returns:  the size now, in bytes.
 */
uint32_t tpm_set_buffer_size(uint32_t wanted, uint32_t* min, uint32_t* max);

/*
 * What libtpms says of itself, as JSON: specification (flag 1), attributes (2),
 * features (4).
 *
 * Context:  [job].
 * Memory:   `text` has room for size_max bytes, the final zero included.
 * Returns:  0; UV_ENOBUFS; UV_ENOMEM.
 */
int tpm_info(uint32_t flags, char* text, uint32_t size_max);

#endif /* EVSM_HANDLERS_TPM_H */

/*
 * sim/tpm_state_file.h - the TPM's permanent state in a plain file.
 *
 *   FILE        the state as it was when the last command that changed it
 *               was answered
 *   FILE.new    the next one, while it is being written
 *   FILE.lock   locked (flock) by the evsm that uses FILE
 *
 *   offset  size  in FILE, all little-endian
 *        0     8  magic "EVSM-TPM"
 *        8     4  version, 1
 *       12     4  size of this header, 32
 *       16     8  size of the state that follows, in bytes
 *       24     8  CRC-64/XZ of bytes 0 to 23 and of the state
 *       32        the state: libtpms's permanent blob, as it is
 *
 * The promise: after a crash or a kill at any moment FILE holds one whole
 * state, the newest that was stored or the one under way. What is not a whole
 * state of this kind is refused, and never overwritten.
 *
 * The state holds the TPM's seeds in clear: the file is its owner's only
 * (mode 0600), and that is all the protection there is. The checksum finds
 * accidents, not forgers. The store that believes nobody is persist/'s.
 */
#ifndef EVSM_SIM_TPM_STATE_FILE_H
#define EVSM_SIM_TPM_STATE_FILE_H

#include "handlers/tpm_state.h"

#include <pthread.h>
#include <semaphore.h>
#include <stddef.h>
#include <stdint.h>

#define TPM_STATE_HEADER_SIZE 32u /* bytes */

typedef struct tpm_state_file_s {
  const char* path; /* NULL: in memory only */
  tpm_state_keeper_t keeper;

  /* private */
  char* path_real; /* where the links of `path` lead, or NULL */
  char path_new[1024];
  int lock_fd;
  int directory_fd;
  uint8_t* state;               /* as last loaded or stored: secret */
  size_t state_size;            /* bytes; 0: none yet */
  _Atomic uint64_t store_count; /* read for evsm stat */

  pthread_t thread;
  sem_t work;
  bool stop; /* `work` orders it and what follows */
  const void* next;
  size_t next_size; /* bytes */
  uvx_wait_t* wait;
} tpm_state_file_t;

/*
 * Lock, read and check the file at `path`, which may be absent: that is a new
 * TPM. With a `path` of NULL the state lives in memory only. Starts a thread;
 * from here on `file->keeper` may be given to tpm_state_init().
 *
 * Context:  a host thread, before the CPUs start.
 * Memory:   `file` and `path` are in use until tpm_state_file_close().
 * Returns:  0, or -1 with one line for a person in `why`.
 */
int tpm_state_file_open(tpm_state_file_t* file,
                        const char* path,
                        char* why,
                        size_t why_size);

/* Join the thread, wipe the state, unlock. Context: a host thread, after the
 * CPUs have stopped. */
void tpm_state_file_close(tpm_state_file_t* file);

#endif /* EVSM_SIM_TPM_STATE_FILE_H */

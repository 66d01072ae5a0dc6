/*
 * handlers/tpm_state.c - the TPM's job waits for whoever keeps its state.
 *
 * Nothing here but the waiting: begin, park, give back the status. One
 * operation at a time, since there is one TPM job; hence one wait for all.
 */
#include "handlers/tpm_state.h"

static const tpm_state_keeper_t* tpm_state_keeper;
static uvx_wait_t tpm_state_wait;

void tpm_state_init(const tpm_state_keeper_t* keeper) {
  tpm_state_keeper = keeper;
}


int tpm_state_load(const char* name,
                   void* data,
                   uint32_t size_max,
                   uint32_t* size_out) {
  const tpm_state_keeper_t* keeper = tpm_state_keeper;

  if (keeper == NULL)
    return UV_ENOENT;
  keeper->load(keeper->context, name, data, size_max, size_out,
               &tpm_state_wait);
  return uvx_job_await(&tpm_state_wait);
}


int tpm_state_store(const char* name, const void* data, uint32_t size) {
  const tpm_state_keeper_t* keeper = tpm_state_keeper;

  if (keeper == NULL)
    return 0;
  keeper->store(keeper->context, name, data, size, &tpm_state_wait);
  return uvx_job_await(&tpm_state_wait);
}


int tpm_state_remove(const char* name) {
  const tpm_state_keeper_t* keeper = tpm_state_keeper;

  if (keeper == NULL)
    return 0;
  keeper->remove(keeper->context, name, &tpm_state_wait);
  return uvx_job_await(&tpm_state_wait);
}

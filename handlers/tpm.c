/*
 * handlers/tpm.c - the TPM itself: libtpms, as a plain object.
 *
 *   caller's bytes -> tpm.command -> libtpms -> its buffer -> caller's bytes
 *                      (wiped)                   (wiped)
 *
 * libtpms is synchronous, keeps its state in globals and calls back for
 * storage, locality and physical presence. This file is the only one that
 * calls it, and holds what it may not be trusted with: sizes are checked
 * before, buffers are copied and wiped after.
 *
 * The promise: one caller at a time (asserted); a store that failed is told to
 * libtpms, which then enters its failure mode rather than answer "done"; a
 * libtpms that fails, in a command or outside of one, comes back here.
 *
 * Two traps of libtpms: TPMLIB_ValidateState wants 177 KB of stack, and is
 * never called (TPMLIB_SetState checks as well); parameters are decrypted in
 * place, so a command is copied.
 *
 * Not here: the platform libtpms runs on (tpm_platform.c).
 */
#include "handlers/tpm.h"

#include "crypto/ct.h"
#include "crypto/libcrypto/libc.h"
#include "handlers/tpm_platform.h"
#include "runtime/uv.h"

#include <libtpms/tpm_library.h>
#include <libtpms/tpm_error.h>
#include <libtpms/tpm_tis.h>
#include <libtpms/tpm_nvfilename.h>
#include <stdatomic.h>

static struct {
  const tpm_platform_t* platform;
  bool on;
  uint8_t locality;        /* of the command that is being executed */
  int load_status;         /* the worst that a load or store ended with */
  unsigned char* response; /* libtpms's, from its arena */
  uint32_t response_room;  /* bytes */
  atomic_bool busy;        /* asserts that there is one caller */
  uint8_t command[TPM_COMMAND_SIZE_MAX];
} tpm;


static void enter(void) {
  ASSERT(tpm.platform != NULL);
  ASSERT(!atomic_exchange_explicit(&tpm.busy, true, memory_order_acquire));
}


/* libtpms leaves keys and seeds on its stack. So each call ends by wiping more
 * than any was seen to use (11 KB), and what a preemption puts on top of that;
 * tests/unit/test_tpm.c looks. */
#define STACK_WIPE_SIZE (20u * 1024u)

#pragma GCC diagnostic push
/* This frame is the purpose; a job's stack has three times as much. */
#pragma GCC diagnostic ignored "-Wframe-larger-than="
__attribute__((noinline)) static void stack_wipe(void) {
  uint8_t below[STACK_WIPE_SIZE];

  ct_wipe(below, sizeof(below));
}
#pragma GCC diagnostic pop


static void leave(void) {
  stack_wipe();
  atomic_store_explicit(&tpm.busy, false, memory_order_release);
}


/* ---- What libtpms calls back ---- */

static TPM_RESULT on_nvram_init(void) {
  return TPM_SUCCESS;
}


/* The size is not known before, so ask for the most and give back the rest. */
static TPM_RESULT on_load(unsigned char** data,
                          uint32_t* length,
                          uint32_t tpm_number,
                          const char* name) {
  unsigned char* room = libc_malloc(TPM_BLOB_SIZE_MAX);
  uint32_t size = 0;

  (void) tpm_number;
  *data = NULL;
  *length = 0;
  if (room == NULL)
    return TPM_FAIL;
  int err = tpm.platform->load(name, room, TPM_BLOB_SIZE_MAX, &size);
  ASSERT(err != 0 || size <= TPM_BLOB_SIZE_MAX);
  if (err == 0 && size == 0)
    err = UV_EIO; /* libtpms takes no data for no blob, and would manufacture */
  if (err != 0) {
    libc_free(room);
    if (err == UV_ENOENT)
      return TPM_RETRY; /* libtpms's word for "there is none" */
    tpm.load_status = err;
    return TPM_FAIL;
  }
  *data = libc_realloc(room, size);
  ASSERT(*data != NULL); /* shrinking stays in place */
  *length = size;
  return TPM_SUCCESS;
}


static TPM_RESULT on_store(const unsigned char* data,
                           uint32_t length,
                           uint32_t tpm_number,
                           const char* name) {
  (void) tpm_number;
  int err = tpm.platform->store(name, data, length);
  if (err == 0)
    return TPM_SUCCESS;
  tpm.load_status = err;
  return TPM_FAIL;
}


static TPM_RESULT on_delete(uint32_t tpm_number,
                            const char* name,
                            TPM_BOOL must_exist) {
  (void) tpm_number;
  (void) must_exist;
  return tpm.platform->remove(name) == 0 ? TPM_SUCCESS : TPM_FAIL;
}


static TPM_RESULT on_io_init(void) {
  return TPM_SUCCESS;
}


static TPM_RESULT on_get_locality(TPM_MODIFIER_INDICATOR* locality,
                                  uint32_t tpm_number) {
  (void) tpm_number;
  *locality = tpm.locality;
  return TPM_SUCCESS;
}


/* Nobody stands before a confidential guest with a button to press. */
static TPM_RESULT on_get_physical_presence(TPM_BOOL* presence,
                                           uint32_t tpm_number) {
  (void) tpm_number;
  *presence = 0;
  return TPM_SUCCESS;
}


/* ---- Calls outside of a command, in which libtpms may fail too ---- */

typedef struct {
  enum TPMLIB_StateType type;
  const void* data;
  uint32_t size;
  unsigned char* copy; /* libtpms's, to be freed */
  TPM_RESULT result;
} guarded_t;


static void call_main_init(void* arg) {
  ((guarded_t*) arg)->result = TPMLIB_MainInit();
}


static void call_terminate(void* arg) {
  (void) arg;
  TPMLIB_Terminate();
}


static void call_get_state(void* arg) {
  guarded_t* g = arg;

  g->result = TPMLIB_GetState(g->type, &g->copy, &g->size);
}


static void call_set_state(void* arg) {
  guarded_t* g = arg;

  g->result = TPMLIB_SetState(g->type, g->data, g->size);
}


static void call_hash_start(void* arg) {
  ((guarded_t*) arg)->result = TPM_IO_Hash_Start();
}


static void call_hash_data(void* arg) {
  guarded_t* g = arg;

  g->result = TPM_IO_Hash_Data(g->data, g->size);
}


static void call_hash_end(void* arg) {
  ((guarded_t*) arg)->result = TPM_IO_Hash_End();
}


static TPM_RESULT guarded(void (*call)(void* arg), guarded_t* g) {
  g->copy = NULL;
  return tpm_platform_guard(call, g) ? g->result : TPM_FAIL;
}


/* ---- Power ---- */

void tpm_init(const tpm_platform_t* platform) {
  struct libtpms_callbacks callbacks = {
      .sizeOfStruct = sizeof(callbacks),
      .tpm_nvram_init = on_nvram_init,
      .tpm_nvram_loaddata = on_load,
      .tpm_nvram_storedata = on_store,
      .tpm_nvram_deletename = on_delete,
      .tpm_io_init = on_io_init,
      .tpm_io_getlocality = on_get_locality,
      .tpm_io_getphysicalpresence = on_get_physical_presence,
  };

  ASSERT(platform->load != NULL);
  ASSERT(platform->store != NULL);
  ASSERT(platform->remove != NULL);
  ASSERT(!tpm.on);
  tpm.platform = platform;
  tpm_platform_init(platform);
  ASSERT(TPMLIB_ChooseTPMVersion(TPMLIB_TPM_VERSION_2) == TPM_SUCCESS);
  ASSERT(TPMLIB_RegisterCallbacks(&callbacks) == TPM_SUCCESS);
  (void) TPMLIB_SetBufferSize(TPM_COMMAND_SIZE_MAX, NULL, NULL);
}


static void power_off(void) {
  if (!tpm.on)
    return;
  (void) tpm_platform_guard(call_terminate, NULL);
  tpm.on = false;
}


int tpm_power_on(void) {
  enter();
  power_off();
  tpm_platform_clock_hold(false);
  tpm.load_status = 0;
  tpm.locality = 0;
  guarded_t g = {0};
  TPM_RESULT result = guarded(call_main_init, &g);
  tpm.on = true;
  if (result != TPM_SUCCESS || tpm.load_status != 0)
    power_off();
  int err = 0;
  if (tpm.load_status != 0)
    err = UV_EIO;
  else if (result != TPM_SUCCESS)
    err = UV_EINVAL;
  leave();
  return err;
}


void tpm_power_off(void) {
  enter();
  power_off();
  leave();
}


/* Drop what tpm_set_state has left with libtpms. TPMLIB_SetState(NULL) would
 * not: it sets an empty state. Changing the version does. */
static void forget_set_state(void) {
  ASSERT(!tpm.on);
  ASSERT(TPMLIB_ChooseTPMVersion(TPMLIB_TPM_VERSION_1_2) == TPM_SUCCESS);
  ASSERT(TPMLIB_ChooseTPMVersion(TPMLIB_TPM_VERSION_2) == TPM_SUCCESS);
}


void tpm_terminate(void) {
  enter();
  power_off();
  forget_set_state();
  libc_free(tpm.response);
  tpm.response = NULL;
  tpm.response_room = 0;
  ct_wipe(tpm.command, sizeof(tpm.command));
  /* Where libtpms failed it left its blocks behind: a damaged state, say. */
  if (tpm_platform_has_failed())
    libc_arena_wipe();
  leave();
}


bool tpm_is_on(void) {
  return tpm.on;
}


/* ---- Commands ---- */

static void respond_initialize(uint8_t* response, uint32_t* response_size) {
  static const uint8_t text[TPM_HEADER_SIZE] = {
      0x80, 0x01, 0, 0, 0, TPM_HEADER_SIZE, 0, 0, 0x01, 0x00};

  memcpy(response, text, sizeof(text));
  *response_size = sizeof(text);
}


static int process(uint32_t size, uint8_t* response, uint32_t* response_size) {
  uint32_t got = 0;
  TPM_RESULT result = TPMLIB_Process(&tpm.response, &got, &tpm.response_room,
                                     tpm.command, size);

  ct_wipe(tpm.command, size);
  if (result != TPM_SUCCESS)
    return UV_ENOMEM;
  ASSERT(tpm.response != NULL);
  ASSERT(got <= tpm.response_room);
  ASSERT(got <= TPM_RESPONSE_SIZE_MAX);
  memcpy(response, tpm.response, got);
  /* All of it: what a command had begun to answer before it failed, too. */
  ct_wipe(tpm.response, tpm.response_room);
  *response_size = got;
  return 0;
}


int tpm_process(const uint8_t* command,
                uint32_t size,
                uint8_t locality,
                uint8_t* response,
                uint32_t* response_size) {
  ASSERT(command != NULL);
  ASSERT(response != NULL);
  ASSERT(response_size != NULL);

  if (size == 0 || locality > TPM_LOCALITY_MAX)
    return UV_EINVAL;
  if (size > TPM_COMMAND_SIZE_MAX)
    return UV_E2BIG;

  enter();
  int err = 0;
  if (tpm.on) {
    memcpy(tpm.command, command, size);
    tpm.locality = locality;
    err = process(size, response, response_size);
  } else {
    respond_initialize(response, response_size);
  }
  leave();
  return err;
}


void tpm_cancel(void) {
  tpm_platform_cancel();
}


void tpm_clock_hold(void) {
  tpm_platform_clock_hold(true);
}


void tpm_clock_release(void) {
  tpm_platform_clock_hold(false);
}


/* ---- State ---- */

static enum TPMLIB_StateType state_type(tpm_blob_t blob) {
  ASSERT(blob < TPM_BLOB_COUNT);
  return blob == TPM_BLOB_PERMANENT ? TPMLIB_STATE_PERMANENT
                                    : TPMLIB_STATE_VOLATILE;
}


static int state_error(TPM_RESULT result) {
  if (result == TPM_SUCCESS)
    return 0;
  if (result == TPM_RETRY)
    return UV_ENOENT;
  return result == TPM_SIZE ? UV_ENOMEM : UV_EIO;
}


int tpm_get_state(tpm_blob_t blob,
                  void* data,
                  uint32_t size_max,
                  uint32_t* size_out) {
  guarded_t g = {.type = state_type(blob)};

  enter();
  int err = state_error(guarded(call_get_state, &g));
  if (err == 0 && g.copy == NULL)
    err = UV_ENOENT;
  if (err == 0 && g.size > size_max)
    err = UV_ENOBUFS;
  if (err == 0) {
    memcpy(data, g.copy, g.size);
    *size_out = g.size;
  }
  libc_free(g.copy);
  leave();
  return err;
}


int tpm_set_state(tpm_blob_t blob, const void* data, uint32_t size) {
  if (tpm.on)
    return UV_EBUSY;
  if (size > TPM_BLOB_SIZE_MAX)
    return UV_EINVAL;
  if (size == 0 && blob == TPM_BLOB_PERMANENT)
    return UV_EINVAL;

  guarded_t g = {
      .type = state_type(blob),
      .data = size == 0 ? NULL : data,
      .size = size,
  };
  enter();
  TPM_RESULT result = guarded(call_set_state, &g);
  if (result != TPM_SUCCESS)
    forget_set_state();
  leave();
  if (result == TPM_SUCCESS)
    return 0;
  return result == TPM_SIZE ? UV_ENOMEM : UV_EINVAL;
}


int tpm_store_volatile(void) {
  guarded_t g = {.type = TPMLIB_STATE_VOLATILE};

  if (!tpm.on)
    return UV_EINVAL;
  enter();
  int err = state_error(guarded(call_get_state, &g));
  if (err == 0)
    err = tpm.platform->store(TPM_VOLATILESTATE_NAME, g.copy, g.size);
  libc_free(g.copy);
  leave();
  return err;
}


int tpm_remove_volatile(void) {
  enter();
  int err = tpm.platform->remove(TPM_VOLATILESTATE_NAME);
  leave();
  return err;
}


/* ---- What a TPM interface (TIS, CRB) has besides commands ---- */

int tpm_established(bool* established) {
  TPM_BOOL flag = 0;

  if (!tpm.on)
    return UV_EINVAL;
  enter();
  TPM_RESULT result = TPM_IO_TpmEstablished_Get(&flag);
  leave();
  if (result != TPM_SUCCESS)
    return UV_EIO;
  *established = flag != 0;
  return 0;
}


int tpm_reset_established(uint8_t locality) {
  if (!tpm.on)
    return UV_EINVAL;
  if (locality > TPM_LOCALITY_MAX)
    return UV_EPERM;
  enter();
  tpm.locality = locality;
  TPM_RESULT result = TPM_IO_TpmEstablished_Reset();
  leave();
  return result == TPM_SUCCESS ? 0 : UV_EPERM;
}


static int hash(void (*call)(void* arg), const void* data, uint32_t size) {
  guarded_t g = {.data = data, .size = size};

  if (!tpm.on)
    return UV_EINVAL;
  enter();
  TPM_RESULT result = guarded(call, &g);
  leave();
  return result == TPM_SUCCESS ? 0 : UV_EIO;
}


int tpm_hash_start(void) {
  return hash(call_hash_start, NULL, 0);
}


int tpm_hash_data(const void* data, uint32_t size) {
  return hash(call_hash_data, data, size);
}


int tpm_hash_end(void) {
  return hash(call_hash_end, NULL, 0);
}


uint32_t tpm_set_buffer_size(uint32_t wanted, uint32_t* min, uint32_t* max) {
  enter();
  uint32_t size = TPMLIB_SetBufferSize(wanted, min, max);
  leave();
  return size;
}


int tpm_info(uint32_t flags, char* text, uint32_t size_max) {
  enter();
  char* info = TPMLIB_GetInfo((enum TPMLIB_InfoFlags) flags);
  int err = 0;
  if (info == NULL)
    err = UV_ENOMEM;
  else if (strlen(info) >= size_max)
    err = UV_ENOBUFS;
  else
    memcpy(text, info, strlen(info) + 1);
  libc_free(info);
  leave();
  return err;
}

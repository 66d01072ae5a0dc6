/*
 * tests/fuzz/fuzz_state.c - any bytes as a state file, and as a TPM's state.
 *
 *   input: WHAT, then
 *     FILE    the file, as it is
 *     SEALED  the same, with the header and checksum made right
 *     PERMANENT, VOLATILE
 *             patches to a good state: u16 where, u8 how many, the bytes
 *
 * Goal:   a state file is read or refused, and never written to by being
 *         opened; no state, wherever it is damaged, stops the machine by being
 *         loaded, leaves memory behind, or is replaced by a new TPM's; what a
 *         TPM stores it can be switched on with again, and used.
 * Method: a second, simpler reader of the file says which are good. The states
 *         are a TPM's that has NV, a persistent key and a hash sequence. One
 *         that is damaged and was loaded isn't used: libtpms believes itself
 *         (handlers/tpm.h), and follows a hash algorithm that is none.
 */
#include "tests/fuzz/fuzz.h"

#include "tests/tpm_fake.h"

#include <bearssl.h>
#include <ftw.h>
#include <pthread.h>
#include <unistd.h>

/* The file's thread isn't started, and nobody waits for a disk. */
#define pthread_create(thread, attributes, main, arg) \
  ((void) (main), (void) (arg), 0)
#define pthread_join(thread, result) 0
#define fsync(fd) ((void) (fd), 0)
#include "sim/tpm_state_file.c"
#undef fsync

#define PATCHES_MAX 16

enum { WHAT_FILE, WHAT_SEALED, WHAT_PERMANENT, WHAT_VOLATILE, WHAT_COUNT };

static char folder[] = "/tmp/evsm-fuzz-XXXXXX";
static char path[sizeof(folder) + 8];
static int wait_status;
static uint8_t good[2][TPM_BLOB_SIZE_MAX];
static uint32_t good_size[2];

void uvx_wait_done(uvx_wait_t* wait, int status) {
  (void) wait;
  wait_status = status;
}


bool arch_interrupts_close(void) {
  return false;
}


void arch_interrupts_open(void) {
}


/* ---- The file ---- */

static int remove_one(const char* name,
                      const struct stat* st,
                      int kind,
                      struct FTW* walk) {
  (void) st;
  (void) kind;
  (void) walk;
  return remove(name);
}


static void remove_folder(void) {
  (void) nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}


static void make_folder(void) {
  if (path[0] != '\0')
    return;
  ASSERT(mkdtemp(folder) != NULL);
  snprintf(path, sizeof(path), "%s/state", folder);
  atexit(remove_folder);
}


static void file_put(const uint8_t* data, size_t size) {
  FILE* f = fopen(path, "wb");

  ASSERT(f != NULL);
  ASSERT(fwrite(data, 1, size, f) == size);
  ASSERT(fclose(f) == 0);
}


static void file_must_hold(const uint8_t* data, size_t size) {
  static uint8_t now[TPM_STATE_SIZE_MAX + 64];
  FILE* f = fopen(path, "rb");

  ASSERT(f != NULL);
  ASSERT(fread(now, 1, sizeof(now), f) == size);
  ASSERT(memcmp(now, data, size) == 0);
  ASSERT(fclose(f) == 0);
}


static uint64_t get_le(const uint8_t* at, size_t size) {
  uint64_t value = 0;

  while (size > 0)
    value = value << 8 | at[--size];
  return value;
}


static void put_le(uint8_t* at, size_t size, uint64_t value) {
  for (size_t i = 0; i < size; i++)
    at[i] = (uint8_t) (value >> 8 * i);
}


/* CRC-64/XZ by its definition: a polynomial division, bit by bit, reflected,
 * of the header without the checksum and the state. */
static uint64_t file_checksum(const uint8_t* data, size_t size) {
  uint64_t rest = UINT64_MAX;

  for (size_t i = 0; i < size * 8; i++) {
    if (i / 8 == 24)
      i = 32 * 8;
    if (i >= size * 8)
      break;
    uint64_t bit = (data[i / 8] >> i % 8 & 1u) ^ (rest & 1u);
    rest >>= 1;
    if (bit != 0)
      rest ^= UINT64_C(0xC96C5795D7870F42);
  }
  return ~rest;
}


static bool file_is_good(const uint8_t* data, size_t size) {
  return size > 32 && memcmp(data, "EVSM-TPM", 8) == 0 &&
         get_le(data + 8, 4) == 1 && get_le(data + 12, 4) == 32 &&
         get_le(data + 16, 8) == size - 32 && size - 32 <= TPM_STATE_SIZE_MAX &&
         get_le(data + 24, 8) == file_checksum(data, size);
}


static void file_seal(uint8_t* data, size_t size) {
  memcpy(data, "EVSM-TPM", 8);
  put_le(data + 8, 4, 1);
  put_le(data + 12, 4, 32);
  put_le(data + 16, 8, size - 32);
  put_le(data + 24, 8, file_checksum(data, size));
}


static void file_must_load(tpm_state_file_t* file,
                           const uint8_t* state,
                           size_t size) {
  static uint8_t room[TPM_STATE_SIZE_MAX];
  const tpm_state_keeper_t* keeper = &file->keeper;
  uint32_t got = 0;

  keeper->load(keeper->context, TPM_STATE_PERMANENT, room, sizeof(room), &got,
               NULL);
  ASSERT(wait_status == 0);
  ASSERT(got == size);
  ASSERT(memcmp(room, state, size) == 0);
  keeper->load(keeper->context, TPM_STATE_PERMANENT, room, got - 1, &got, NULL);
  ASSERT(wait_status == UV_ENOBUFS);
}


static void run_file(const uint8_t* data, size_t size) {
  static tpm_state_file_t file;
  static tpm_state_file_t second;
  char why[256] = "";

  make_folder();
  file_put(data, size);
  int err = tpm_state_file_open(&file, path, why, sizeof(why));
  ASSERT((err == 0) == file_is_good(data, size));
  ASSERT((err == 0) == (why[0] == '\0'));
  file_must_hold(data, size);
  if (err != 0)
    return;
  file_must_load(&file, data + 32, size - 32);
  ASSERT(tpm_state_file_open(&second, path, why, sizeof(why)) != 0);
  ASSERT(state_store(&file, data, size / 2) == 0);
  tpm_state_file_close(&file);
  ASSERT(tpm_state_file_open(&file, path, why, sizeof(why)) == 0);
  file_must_load(&file, data, size / 2);
  tpm_state_file_close(&file);
}


static void run_sealed(const uint8_t* data, size_t size) {
  static uint8_t file[TPM_STATE_HEADER_SIZE + 4096];

  if (size == 0 || size > sizeof(file) - TPM_STATE_HEADER_SIZE)
    return;
  memcpy(file + TPM_STATE_HEADER_SIZE, data, size);
  file_seal(file, size + TPM_STATE_HEADER_SIZE);
  run_file(file, size + TPM_STATE_HEADER_SIZE);
}


/* ---- The TPM's state ---- */

static const uint8_t nv_data[8] = "nv data";

/* Once: a TPM with something in each part of its state. */
static void make_good(void) {
  if (good_size[0] != 0)
    return;
  fake_begin();
  t2_nv_define(&command, 0x01500001, sizeof(nv_data));
  assert_int_equal(0, run_command());
  t2_nv_write(&command, 0x01500001, nv_data, sizeof(nv_data), 0);
  assert_int_equal(0, run_command());
  uint32_t key = primary(T2_RH_OWNER, &srk);
  t2_evict_control(&command, key, 0x81000001);
  assert_int_equal(0, run_command());
  flush(key); /* three slots: a child of it wants two of them */
  t2_hash_sequence_start(&command, T2_ALG_SHA256);
  assert_int_equal(0, run_command());
  assert_int_equal(0, tpm_store_volatile());
  for (int i = 0; i < 2; i++) {
    good_size[i] = fake.size[i];
    memcpy(good[i], fake.data[i], fake.size[i]);
  }
  ASSERT(good_size[0] > 0);
  ASSERT(good_size[1] > 0);
  fake_end();
}


/* Returns whether anything has been changed. */
static bool patch(uint8_t* blob,
                  uint32_t blob_size,
                  const uint8_t* data,
                  size_t size) {
  bool changed = false;

  for (int i = 0; i < PATCHES_MAX && size > 3; i++) {
    uint32_t where = t2_at16(data) % blob_size;
    uint32_t count = data[2] % 32u;
    data += 3;
    size -= 3;
    if (count > size)
      count = (uint32_t) size;
    if (count > blob_size - where)
      count = blob_size - where;
    changed |= memcmp(blob + where, data, count) != 0;
    memcpy(blob + where, data, count);
    data += count;
    size -= count;
  }
  return changed;
}


/* libtpms ends its volatile state with a SHA-1 of all before. */
static void seal_volatile(void) {
  uint32_t size = fake.size[1];
  br_sha1_context sha1;

  if (size < 20)
    return;
  br_sha1_init(&sha1);
  br_sha1_update(&sha1, fake.data[1], size - 20);
  br_sha1_out(&sha1, fake.data[1] + size - 20);
}


/* A TPM on its own state, as it was stored. */
static void use_tpm(void) {
  t2_startup(&command);
  uint32_t rc = run_at(0);
  ASSERT(rc == 0 || rc == 0x100); /* it may have been started already */
  t2_nv_read(&command, 0x01500001, sizeof(nv_data), 0);
  assert_int_equal(0, run_command());
  ASSERT(memcmp(response.bytes + 16, nv_data, sizeof(nv_data)) == 0);
  t2_read_public(&command, 0x81000001);
  assert_int_equal(0, run_command());
  t2_create(&command, 0x81000001, &srk);
  assert_int_equal(0, run_command());
}


static void run_state(int which_blob, const uint8_t* data, size_t size) {
  static uint8_t before[TPM_BLOB_SIZE_MAX];

  make_good();
  memset(fake.size, 0, sizeof(fake.size));
  for (int i = 0; i <= which_blob; i++) {
    memcpy(fake.data[i], good[i], good_size[i]);
    fake.size[i] = good_size[i];
  }
  bool changed =
      patch(fake.data[which_blob], good_size[which_blob], data, size);
  bool sealed = which_blob == 1 && size % 2 == 0;
  if (sealed)
    seal_volatile();
  memcpy(before, fake.data[0], fake.size[0]);
  uint32_t before_size = fake.size[0];

  fake.clock_ns = 1000000000;
  tpm_init(&fake_platform);
  int err = tpm_power_on();
  ASSERT(changed || err == 0);
  ASSERT(tpm_is_on() == (err == 0));
  if (!changed)
    use_tpm();
  else if (which_blob == 1 && !sealed)
    ASSERT(err != 0); /* an accident is noticed */
  if (err != 0) {
    ASSERT(fake.size[0] == before_size);
    ASSERT(memcmp(fake.data[0], before, before_size) == 0);
  }
  tpm_power_off();
  fake_end();
}


int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1)
    return 0;
  switch (data[0] % WHAT_COUNT) {
    case WHAT_FILE:
      run_file(data + 1, size - 1);
      break;
    case WHAT_SEALED:
      run_sealed(data + 1, size - 1);
      break;
    case WHAT_PERMANENT:
      run_state(0, data + 1, size - 1);
      break;
    default:
      run_state(1, data + 1, size - 1);
  }
  return 0;
}

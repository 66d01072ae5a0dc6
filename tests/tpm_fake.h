/*
 * tests/tpm_fake.h - a TPM in this process, on a platform of the test's own.
 *
 * A clock that stands still unless told, memory for a disk that can be made to
 * fail, entropy from a seed; and the TPM's .c files themselves, so that what
 * is tested needs no other part of the house but crypto/.
 */
#ifndef EVSM_TESTS_TPM_FAKE_H
#define EVSM_TESTS_TPM_FAKE_H

#include "tests/unit/unit.h"

#include "handlers/tpm.c"
#include "handlers/tpm_platform.c"

#include "tests/tpm_commands.h"

static struct {
  uint64_t clock_ns;
  bool cancel; /* at the next look at the clock */
  int store_status;
  int load_status;
  uint32_t stores;
  uint32_t size[2]; /* permanent, volatile; 0: none */
  uint8_t data[2][TPM_BLOB_SIZE_MAX];
} fake;

static uint64_t entropy_state;


/* SplitMix64, so that every run has the same seeds and keys. */
static inline int fake_entropy(void* buf, size_t size) {
  uint8_t* p = buf;

  for (size_t i = 0; i < size; i++) {
    uint64_t z = (entropy_state += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    p[i] = (uint8_t) (z >> 56);
  }
  return 0;
}


static inline uint64_t fake_clock_ns(void) {
  if (fake.cancel) {
    fake.cancel = false;
    tpm_cancel();
  }
  return fake.clock_ns;
}


static inline int which(const char* name) {
  assert_true(strcmp(name, "permall") == 0 ||
              strcmp(name, "volatilestate") == 0);
  return strcmp(name, "permall") == 0 ? 0 : 1;
}


static inline int fake_load(const char* name,
                            void* data,
                            uint32_t size_max,
                            uint32_t* size_out) {
  int i = which(name);

  if (fake.load_status != 0)
    return fake.load_status;
  if (fake.size[i] == 0)
    return UV_ENOENT;
  assert_true(fake.size[i] <= size_max);
  memcpy(data, fake.data[i], fake.size[i]);
  *size_out = fake.size[i];
  return 0;
}


static inline int fake_store(const char* name,
                             const void* data,
                             uint32_t size) {
  int i = which(name);

  fake.stores++;
  if (fake.store_status != 0)
    return fake.store_status;
  assert_true(size <= sizeof(fake.data[i]));
  memcpy(fake.data[i], data, size);
  fake.size[i] = size;
  return 0;
}


static inline int fake_remove(const char* name) {
  fake.size[which(name)] = 0;
  return 0;
}


static const tpm_platform_t fake_platform = {
    .clock_ns = fake_clock_ns,
    .load = fake_load,
    .store = fake_store,
    .remove = fake_remove,
};

static t2_bytes_t command;
static t2_bytes_t response;


static inline uint32_t run_at(uint8_t locality) {
  assert_int_equal(0, tpm_process(command.bytes, command.size, locality,
                                  response.bytes, &response.size));
  assert_true(response.size >= TPM_HEADER_SIZE);
  assert_int_equal(response.size, t2_at32(response.bytes + 2));
  return t2_rc(&response);
}


/* The first use of a key's authorization after a start is answered RETRY: the
 * TPM notes on disk that dictionary attacks may begin. Send it again then. */
static inline uint32_t run_command(void) {
  uint32_t rc = run_at(0);

  return rc == 0x922 ? run_at(0) : rc;
}


static inline void start_up(void) {
  assert_int_equal(0, tpm_power_on());
  t2_startup(&command);
  assert_int_equal(0, run_command());
}


/* Everything forgotten, and a new TPM started. */
static inline void fake_begin(void) {
  memset(&fake, 0, sizeof(fake));
  fake.clock_ns = 1000000000;
  crypto_random_init(fake_entropy);
  tpm_init(&fake_platform);
  start_up();
}


/* Whatever a test did, nothing of it is left in the arena. */
static inline void fake_end(void) {
  libc_arena_stat_t stat;

  tpm_terminate();
  libc_arena_stat(&stat);
  assert_int_equal(0, stat.blocks);
  assert_int_equal(0, stat.used);
}


static inline void flush(uint32_t handle) {
  t2_flush(&command, handle);
  assert_int_equal(0, run_command());
}


static inline uint32_t primary(uint32_t hierarchy, const t2_template_t* t) {
  t2_create(&command, hierarchy, t);
  assert_int_equal(0, run_command());
  return t2_handle(&response);
}

static const t2_template_t srk = {
    .type = T2_ALG_ECC,
    .attributes = T2_ATTR_STORAGE,
    .scheme = T2_ALG_NULL,
    .kind = 3,
};

#endif /* EVSM_TESTS_TPM_FAKE_H */

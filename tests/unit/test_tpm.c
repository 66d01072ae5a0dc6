/*
 * tests/unit/test_tpm.c - libtpms in process, as a whole TPM.
 *
 * Goal:   libtpms, linked without OpenSSL or a C library, is a whole TPM: its
 *         self test passes, keys of every kind can be made and used, state
 *         survives, and no bytes of a guest's stop it.
 * Method: run the TPM in this process on a fake platform (tests/tpm_fake.h),
 *         and speak to it in bytes.
 */
#include "tests/tpm_fake.h"

#include "crypto/libcrypto/openssl_sym.h"

#include <pthread.h>


static int fresh(void** state) {
  (void) state;
  fake_begin();
  return 0;
}


static int nothing_left(void** state) {
  (void) state;
  fake_end();
  return 0;
}

static const t2_template_t ek_rsa = {
    .type = T2_ALG_RSA,
    .attributes = T2_ATTR_EK,
    .scheme = T2_ALG_NULL,
    .kind = 2048,
    .policy = t2_ek_policy,
};


/* ---- The basics ---- */

static void full_self_test_passes(void** state) {
  (void) state;
  t2_self_test(&command);
  assert_int_equal(0, run_command());
}


static void random_bytes_differ(void** state) {
  uint8_t before[32];

  (void) state;
  t2_get_random(&command, 32);
  assert_int_equal(0, run_command());
  assert_int_equal(44, response.size);
  memcpy(before, response.bytes + 12, 32);
  assert_int_equal(0, run_command());
  assert_memory_not_equal(before, response.bytes + 12, 32);
}


static void a_pcr_becomes_the_hash_of_itself_and_the_digest(void** state) {
  uint8_t both[64] = {0};
  uint8_t expected[32];
  SHA256_CTX c;

  (void) state;
  memset(both + 32, 0xab, 32);
  t2_pcr_extend(&command, 16, both + 32);
  assert_int_equal(0, run_command());
  t2_pcr_read(&command, 16);
  assert_int_equal(0, run_command());
  SHA256_Init(&c);
  SHA256_Update(&c, both, sizeof(both));
  SHA256_Final(expected, &c);
  assert_memory_equal(expected, response.bytes + response.size - 32, 32);
}


static void it_says_what_it_is(void** state) {
  char text[512];

  (void) state;
  assert_int_equal(0, tpm_info(7, text, sizeof(text)));
  assert_string_equal(
      "{\"TPMSpecification\":{\"family\":\"2.0\",\"level\":0,\"revision\":164},"
      "\"TPMAttributes\":{\"manufacturer\":\"id:00001014\","
      "\"version\":\"id:20191023\",\"model\":\"swtpm\"},"
      "\"TPMFeatures\":{\"RSAKeySizes\":[1024,2048,3072],"
      "\"CamelliaKeySizes\":[128,256]}}",
      text);
  assert_int_equal(UV_ENOBUFS, tpm_info(7, text, (uint32_t) strlen(text)));
  uint32_t min = 0;
  uint32_t max = 0;
  assert_int_equal(4096, tpm_set_buffer_size(0, &min, &max));
  assert_int_equal(4096, max);
  assert_int_equal(min, tpm_set_buffer_size(1, NULL, NULL));
  assert_int_equal(4096, tpm_set_buffer_size(UINT32_MAX, NULL, NULL));
}


static void established_is_set_by_a_measured_launch(void** state) {
  bool established = true;

  (void) state;
  assert_int_equal(0, tpm_established(&established));
  assert_false(established);
  assert_int_equal(0, tpm_hash_start());
  assert_int_equal(0, tpm_hash_data("evsm", 4));
  assert_int_equal(0, tpm_hash_end());
  assert_int_equal(0, tpm_established(&established));
  assert_true(established);
  assert_int_equal(UV_EPERM, tpm_reset_established(2));
  assert_int_equal(UV_EPERM, tpm_reset_established(5));
  assert_int_equal(0, tpm_reset_established(3));
  assert_int_equal(0, tpm_established(&established));
  assert_false(established);

  tpm_power_off();
  assert_int_equal(UV_EINVAL, tpm_established(&established));
  assert_int_equal(UV_EINVAL, tpm_hash_start());
}


/* ---- Keys ---- */

static void primaries_are_the_same_each_time(void** state) {
  static const uint8_t unique[64] = {1};
  const t2_template_t kinds[] = {
      ek_rsa,
      {T2_ALG_RSA, T2_ATTR_STORAGE, T2_ALG_NULL, 1024, 0, 0, NULL, NULL, 0},
      {T2_ALG_RSA, T2_ATTR_SIGN, T2_ALG_RSASSA, 2048, 0, 0, NULL, unique, 64},
      {T2_ALG_ECC, T2_ATTR_STORAGE, T2_ALG_NULL, 3, 0, 0, NULL, unique, 64},
      {T2_ALG_ECC, T2_ATTR_SIGN, T2_ALG_ECDSA, 4, 0, 0, NULL, NULL, 0},
      {T2_ALG_ECC, T2_ATTR_SIGN, T2_ALG_ECDSA, 5, 0, 0, NULL, NULL, 0},
  };
  static uint8_t first[1024];

  (void) state;
  for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
    uint32_t size = 0;
    uint32_t again = 0;
    flush(primary(T2_RH_ENDORSEMENT, &kinds[i]));
    t2_create(&command, T2_RH_ENDORSEMENT, &kinds[i]);
    assert_int_equal(0, run_command());
    memcpy(first, t2_primary_public(&response, &size), 1024);
    flush(t2_handle(&response));
    t2_create(&command, T2_RH_ENDORSEMENT, &kinds[i]);
    assert_int_equal(0, run_command());
    assert_memory_equal(first, t2_primary_public(&response, &again), size);
    assert_int_equal(size, again);
    flush(t2_handle(&response));
  }
}


static void every_curve_it_names_can_be_used(void** state) {
  uint32_t count;
  uint8_t curves[64];

  (void) state;
  t2_get_capability(&command, 8, 0, 100);
  assert_int_equal(0, run_command());
  count = t2_at32(response.bytes + 15);
  assert_true(count >= 3);
  assert_true(2 * count <= sizeof(curves));
  memcpy(curves, response.bytes + 19, 2 * count);
  for (uint32_t i = 0; i < count; i++) {
    t2_template_t t = srk;
    t.kind = t2_at16(curves + 2 * i);
    flush(primary(T2_RH_OWNER, &t));
  }
}


static void sign_and_verify(uint32_t key, uint32_t scheme) {
  uint8_t digest[32];
  t2_bytes_t signature;

  memset(digest, 0x5a, sizeof(digest));
  t2_sign(&command, key, scheme, digest);
  assert_int_equal(0, run_command());
  signature = response;
  t2_verify(&command, key, digest, &signature);
  assert_int_equal(0, run_command());
  digest[0] ^= 1; /* a short curve does not look at the last bytes */
  t2_verify(&command, key, digest, &signature);
  assert_int_equal(0x2db, run_command()); /* TPM_RC_SIGNATURE, parameter 2 */
}


static void primaries_sign(void** state) {
  static const struct {
    uint32_t type;
    uint32_t kind;
    uint32_t scheme;
  } keys[] = {
      {T2_ALG_RSA, 1024, T2_ALG_RSASSA}, {T2_ALG_RSA, 2048, T2_ALG_RSASSA},
      {T2_ALG_RSA, 2048, T2_ALG_RSAPSS}, {T2_ALG_ECC, 1, T2_ALG_ECDSA},
      {T2_ALG_ECC, 3, T2_ALG_ECDSA},     {T2_ALG_ECC, 4, T2_ALG_ECDSA},
      {T2_ALG_ECC, 5, T2_ALG_ECDSA},
  };

  (void) state;
  for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
    const t2_template_t t = {
        .type = keys[i].type,
        .attributes = T2_ATTR_SIGN,
        .scheme = keys[i].scheme,
        .kind = keys[i].kind,
    };
    uint32_t key = primary(T2_RH_OWNER, &t);
    sign_and_verify(key, keys[i].scheme);
    flush(key);
  }
}


/* libtpms's own cache of exponents would keep four numbers for each. */
static void a_flushed_key_leaves_nothing_in_the_arena(void** state) {
  static const uint8_t digest[32] = {7};
  t2_template_t t = {
      .type = T2_ALG_RSA,
      .attributes = T2_ATTR_SIGN,
      .scheme = T2_ALG_RSASSA,
      .kind = 1024,
  };
  libc_arena_stat_t before;
  libc_arena_stat_t after;

  (void) state;
  flush(primary(T2_RH_OWNER, &srk));
  libc_arena_stat(&before);
  uint32_t key = primary(T2_RH_OWNER, &t);
  t2_sign(&command, key, T2_ALG_RSASSA, digest);
  assert_int_equal(0, run_command());
  flush(key);
  libc_arena_stat(&after);
  assert_int_equal(before.blocks, after.blocks);
  assert_int_equal(before.used, after.used);
}


static void created_keys_load_and_sign(void** state) {
  static const t2_template_t kinds[] = {
      {T2_ALG_RSA, T2_ATTR_SIGN, T2_ALG_RSASSA, 2048, 0, 0, NULL, NULL, 0},
      {T2_ALG_ECC, T2_ATTR_SIGN, T2_ALG_ECDSA, 3, 0, 0, NULL, NULL, 0},
      {T2_ALG_ECC, T2_ATTR_SIGN, T2_ALG_ECDSA, 4, 0, 0, NULL, NULL, 0},
  };

  (void) state;
  uint32_t parent = primary(T2_RH_OWNER, &srk);
  for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
    t2_create(&command, parent, &kinds[i]);
    assert_int_equal(0, run_command());
    t2_bytes_t created = response;
    t2_load(&command, parent, &created);
    assert_int_equal(0, run_command());
    uint32_t key = t2_handle(&response);
    sign_and_verify(key, kinds[i].scheme);
    flush(key);
  }
  flush(parent);
}


/* Encrypt in two pieces, passing the IV on, and decrypt in one. */
static void through_cipher(uint32_t key, uint32_t iv_size) {
  t2_bytes_t iv = {.size = iv_size};
  t2_bytes_t zero_iv = iv;
  t2_bytes_t plain = {.size = 96};
  t2_bytes_t piece = {.size = 48};
  t2_bytes_t cipher = {.size = 96};

  for (uint32_t i = 0; i < plain.size; i++)
    plain.bytes[i] = (uint8_t) (i * 7);
  for (uint32_t at = 0; at < 96; at += 48) {
    memcpy(piece.bytes, plain.bytes + at, 48);
    t2_encrypt_decrypt(&command, key, 0, &iv, &piece);
    assert_int_equal(0, run_command());
    memcpy(cipher.bytes + at, response.bytes + 16, 48);
    memcpy(iv.bytes, response.bytes + 16 + 48 + 2, iv.size);
  }
  assert_memory_not_equal(plain.bytes, cipher.bytes, 96);
  t2_encrypt_decrypt(&command, key, 1, &zero_iv, &cipher);
  assert_int_equal(0, run_command());
  assert_memory_equal(plain.bytes, response.bytes + 16, 96);
}


static void symmetric_keys_encrypt_in_every_mode(void** state) {
  static const struct {
    uint32_t algorithm;
    uint32_t bits;
  } ciphers[] = {{T2_ALG_AES, 128},
                 {T2_ALG_AES, 256},
                 {T2_ALG_CAMELLIA, 128},
                 {T2_ALG_CAMELLIA, 256}};

  (void) state;
  uint32_t parent = primary(T2_RH_OWNER, &srk);
  for (size_t i = 0; i < ARRAY_SIZE(ciphers); i++) {
    for (uint32_t mode = T2_ALG_CTR; mode <= T2_ALG_ECB; mode++) {
      const t2_template_t t = {
          .type = T2_ALG_SYMCIPHER,
          .attributes = T2_ATTR_CIPHER,
          .kind = ciphers[i].bits,
          .algorithm = ciphers[i].algorithm,
          .mode = mode,
      };
      t2_create(&command, parent, &t);
      assert_int_equal(0, run_command());
      t2_bytes_t created = response;
      t2_load(&command, parent, &created);
      assert_int_equal(0, run_command());
      uint32_t key = t2_handle(&response);
      through_cipher(key, mode == T2_ALG_ECB ? 0 : 16);
      flush(key);
    }
  }
  flush(parent);
}


/* ---- State ---- */

static void a_restart_keeps_keys_and_nv(void** state) {
  static uint8_t before[1024];
  uint32_t size = 0;
  uint32_t again = 0;

  (void) state;
  t2_create(&command, T2_RH_ENDORSEMENT, &ek_rsa);
  assert_int_equal(0, run_command());
  memcpy(before, t2_primary_public(&response, &size), sizeof(before));
  flush(t2_handle(&response));
  t2_nv_define(&command, 0x01800001, 64);
  assert_int_equal(0, run_command());
  t2_nv_write(&command, 0x01800001, "durable", 7, 0);
  uint32_t stores = fake.stores;
  assert_int_equal(0, run_command());
  assert_int_equal(stores + 1, fake.stores); /* before the response */
  t2_evict_control(&command, primary(T2_RH_OWNER, &srk), 0x81000001);
  assert_int_equal(0, run_command());
  t2_shutdown(&command);
  assert_int_equal(0, run_command());

  tpm_terminate();
  tpm_init(&fake_platform);
  start_up();
  t2_nv_read(&command, 0x01800001, 7, 0);
  assert_int_equal(0, run_command());
  assert_memory_equal("durable", response.bytes + 16, 7);
  t2_read_public(&command, 0x81000001);
  assert_int_equal(0, run_command());
  t2_create(&command, T2_RH_ENDORSEMENT, &ek_rsa);
  assert_int_equal(0, run_command());
  assert_memory_equal(before, t2_primary_public(&response, &again), size);
  assert_int_equal(size, again);
}


static void state_can_be_taken_out_and_put_back(void** state) {
  static const uint32_t algs[] = {T2_ALG_SHA1, T2_ALG_SHA256, T2_ALG_SHA384,
                                  T2_ALG_SHA512};
  static uint8_t permanent[TPM_BLOB_SIZE_MAX];
  static uint8_t going[TPM_BLOB_SIZE_MAX];
  uint32_t permanent_size = 0;
  uint32_t going_size = 0;

  (void) state;
  for (size_t i = 0; i < 3; i++) { /* three objects fit */
    t2_hash_sequence_start(&command, algs[i]);
    assert_int_equal(0, run_command());
    t2_sequence_update(&command, t2_handle(&response), "some", 4);
    assert_int_equal(0, run_command());
  }
  assert_int_equal(UV_ENOBUFS,
                   tpm_get_state(TPM_BLOB_VOLATILE, going, 100, &going_size));
  assert_int_equal(
      0, tpm_get_state(TPM_BLOB_VOLATILE, going, sizeof(going), &going_size));
  assert_int_equal(0, tpm_get_state(TPM_BLOB_PERMANENT, permanent,
                                    sizeof(permanent), &permanent_size));
  assert_int_equal(UV_EBUSY, tpm_set_state(TPM_BLOB_PERMANENT, permanent, 10));
  tpm_power_off();
  memset(fake.size, 0, sizeof(fake.size)); /* the disk is another one */
  assert_int_equal(
      0, tpm_set_state(TPM_BLOB_PERMANENT, permanent, permanent_size));
  assert_int_equal(0, tpm_set_state(TPM_BLOB_VOLATILE, going, going_size));
  assert_int_equal(0, tpm_power_on());
  assert_int_equal(permanent_size, fake.size[0]); /* it was stored */

  for (uint32_t i = 0; i < 3; i++) {
    uint8_t expected[64];
    SHA_CTX one;
    SHA256_CTX two;
    SHA512_CTX three;
    t2_sequence_update(&command, 0x80000000 + i, " text", 5);
    assert_int_equal(0, run_command());
    t2_sequence_complete(&command, 0x80000000 + i);
    assert_int_equal(0, run_command());
    SHA1_Init(&one);
    SHA1_Update(&one, "some text", 9);
    SHA1_Final(expected, &one);
    if (i == 1) {
      SHA256_Init(&two);
      SHA256_Update(&two, "some text", 9);
      SHA256_Final(expected, &two);
    }
    if (i == 2) {
      SHA384_Init(&three);
      SHA384_Update(&three, "some text", 9);
      SHA384_Final(expected, &three);
    }
    uint32_t size = t2_at16(response.bytes + 14);
    assert_memory_equal(expected, response.bytes + 16, size);
  }
}


static void a_stored_volatile_state_is_resumed(void** state) {
  uint8_t digest[32] = {7};
  uint8_t value[32];

  (void) state;
  t2_pcr_extend(&command, 16, digest);
  assert_int_equal(0, run_command());
  t2_pcr_read(&command, 16);
  assert_int_equal(0, run_command());
  memcpy(value, response.bytes + response.size - 32, 32);
  assert_int_equal(0, tpm_store_volatile());
  tpm_power_off();
  assert_int_equal(UV_EINVAL, tpm_store_volatile());
  assert_int_equal(0, tpm_power_on()); /* and no Startup */
  t2_pcr_read(&command, 16);
  assert_int_equal(0, run_command());
  assert_memory_equal(value, response.bytes + response.size - 32, 32);

  assert_int_equal(0, tpm_remove_volatile());
  start_up();
  t2_pcr_read(&command, 16);
  assert_int_equal(0, run_command());
  assert_memory_not_equal(value, response.bytes + response.size - 32, 32);
}


static void time_stands_still_while_held(void** state) {
  uint8_t held[8];

  (void) state;
  t2_begin(&command, 0x8001, 0x181); /* ReadClock */
  t2_end(&command);
  assert_int_equal(0, run_command());
  memcpy(held, response.bytes + 10, sizeof(held));
  tpm_clock_hold();
  fake.clock_ns += 5000000000u;
  assert_int_equal(0, run_command());
  assert_memory_equal(held, response.bytes + 10, sizeof(held));
  tpm_clock_release();
  assert_int_equal(0, run_command());
  assert_int_equal(t2_at32(held + 4) + 5000, t2_at32(response.bytes + 14));
}


/* ---- What goes wrong ---- */

static void a_key_generation_ends_when_cancelled(void** state) {
  (void) state;
  t2_create(&command, T2_RH_OWNER, &ek_rsa);
  fake.cancel = true;
  assert_int_equal(0x909, run_command());
  assert_int_equal(0, run_command()); /* a later one is not affected */
}


static void bytes_are_never_executed_unchecked(void** state) {
  static uint8_t big[TPM_COMMAND_SIZE_MAX + 1];
  uint8_t out[TPM_RESPONSE_SIZE_MAX];
  uint32_t size = 0;

  (void) state;
  memset(big, 0xff, sizeof(big));
  assert_int_equal(UV_EINVAL, tpm_process(big, 0, 0, out, &size));
  assert_int_equal(UV_EINVAL, tpm_process(big, 12, 5, out, &size));
  assert_int_equal(UV_E2BIG, tpm_process(big, sizeof(big), 0, out, &size));
  assert_int_equal(0, tpm_process(big, sizeof(big) - 1, 4, out, &size));
  assert_int_not_equal(0, t2_at32(out + 6));

  /* Each command cut off at each byte, and with each byte disturbed. */
  t2_bytes_t whole;
  t2_create(&whole, T2_RH_OWNER, &srk);
  for (uint32_t cut = 1; cut < whole.size; cut++) {
    command = whole;
    command.size = cut;
    assert_int_not_equal(0, run_command());
    t2_end(&command); /* the size is right, the rest is missing */
    assert_int_not_equal(0, run_command());
  }
  for (uint32_t at = 0; at < whole.size; at++) {
    command = whole;
    command.bytes[at] ^= 0xff;
    if (run_command() == 0)
      flush(t2_handle(&response));
  }
  command = whole;
  assert_int_equal(0, run_command());
}


static void a_tpm_that_is_off_says_so(void** state) {
  (void) state;
  tpm_power_off();
  t2_get_random(&command, 8);
  assert_int_equal(0x100, run_command()); /* TPM_RC_INITIALIZE */
  assert_false(tpm_is_on());
}


static void a_change_that_cannot_be_stored_is_not_confirmed(void** state) {
  (void) state;
  t2_nv_define(&command, 0x01800001, 64);
  assert_int_equal(0, run_command());
  fake.store_status = UV_EIO;
  t2_nv_write(&command, 0x01800001, "lost", 4, 0);
  assert_int_not_equal(0, run_command());
  fake.store_status = 0;
  start_up();
  t2_nv_read(&command, 0x01800001, 4, 0);
  assert_int_equal(0x14a, run_command()); /* TPM_RC_NV_UNINITIALIZED */
}


static void a_disk_that_fails_leaves_it_off(void** state) {
  (void) state;
  fake.load_status = UV_EIO;
  assert_int_equal(UV_EIO, tpm_power_on());
  assert_false(tpm_is_on());
  fake.load_status = 0;
  start_up();

  tpm_terminate();
  fake.size[0] = 0;
  fake.store_status = UV_EIO; /* the new state can't be stored */
  assert_int_equal(UV_EIO, tpm_power_on());
  fake.store_status = 0;
  start_up();
}


static void fail_in_libtpms(void* arg) {
  *(int*) arg += 1;
  _plat__Fail();
}


/* What libtpms draws all its seeds and nonces from. There is no error that it
 * could be told, only bytes. */
static void without_entropy_it_draws_nothing(void** state) {
  uint8_t bytes[32];

  (void) state;
  assert_int_equal(0, _plat__GetEntropy(bytes, 0));
  assert_int_equal(32, _plat__GetEntropy(bytes, 32));
  crypto_random_wipe();
  expect_assert_failure(_plat__GetEntropy(bytes, 32));
}


static void call_nothing(void* arg) {
  (void) arg;
}


static void a_failure_outside_of_a_command_comes_back(void** state) {
  int calls = 0;

  (void) state;
  assert_false(tpm_platform_guard(fail_in_libtpms, &calls));
  assert_false(tpm_platform_guard(fail_in_libtpms, &calls));
  assert_int_equal(2, calls);
  assert_true(tpm_platform_guard(call_nothing, NULL));
  expect_assert_failure(_plat__Fail()); /* nowhere to come back to */
  t2_get_random(&command, 8);
  assert_int_equal(0, run_command());
}


/* ---- The stack ---- */

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1 /* frames are larger, so the depth says nothing */
#endif
#endif

#define STACK_SIZE 65536u /* a job's */
#define STACK_PAINT 0xa5u
#define STACK_OF_THREAD 8192u

static _Alignas(4096) uint8_t stack[STACK_SIZE];
static uint32_t deep_rc[6];


/* No asserts in here: cmocka leaves a failed test by longjmp. */
static uint32_t deep_run(void) {
  uint32_t rc = 0x922;

  for (int i = 0; i < 2 && rc == 0x922; i++)
    rc = tpm_process(command.bytes, command.size, 0, response.bytes,
                     &response.size) == 0
             ? t2_rc(&response)
             : UINT32_MAX;
  return rc;
}


static void* deep(void* arg) {
  t2_template_t t = {
      .type = T2_ALG_RSA,
      .attributes = T2_ATTR_SIGN,
      .scheme = T2_ALG_RSAPSS,
      .kind = 3072,
  };
  static const uint8_t digest[32] = {1};

  (void) arg;
  deep_rc[0] = (uint32_t) tpm_power_on(); /* loads, and stores on startup */
  t2_startup(&command);
  deep_rc[1] = deep_run();
  t2_self_test(&command);
  deep_rc[2] = deep_run();
  t2_create(&command, T2_RH_OWNER, &t);
  deep_rc[3] = deep_run();
  t2_sign(&command, 0x80000000, T2_ALG_RSAPSS, digest);
  deep_rc[4] = deep_run();
  t.type = T2_ALG_ECC;
  t.scheme = T2_ALG_ECDSA;
  t.kind = 5;
  t2_create(&command, T2_RH_OWNER, &t);
  deep_rc[5] = deep_run();
  return NULL;
}


static void a_jobs_stack_is_enough(void** state) {
  pthread_attr_t attr;
  pthread_t thread;
  size_t untouched = 0;

  (void) state;
#ifdef SANITIZED
  skip();
#endif
  memset(stack, STACK_PAINT, sizeof(stack));
  assert_int_equal(0, pthread_attr_init(&attr));
  assert_int_equal(0, pthread_attr_setstack(&attr, stack, sizeof(stack)));
  assert_int_equal(0, pthread_create(&thread, &attr, deep, NULL));
  assert_int_equal(0, pthread_join(thread, NULL));
  assert_int_equal(0, pthread_attr_destroy(&attr));
  for (size_t i = 0; i < ARRAY_SIZE(deep_rc); i++)
    assert_int_equal(0, deep_rc[i]);
  while (untouched < sizeof(stack) && stack[untouched] == STACK_PAINT)
    untouched++;
  print_message("deepest: %zu bytes\n", sizeof(stack) - untouched);
  assert_true(untouched > STACK_SIZE / 3); /* room for what interrupts a job */
}


/* What the calls above left on their stack: nothing, but for a few addresses
 * that the wiping itself leaves. The topmost part is the thread's own. */
static void a_jobs_stack_keeps_nothing(void** state) {
  size_t left = 0;

  a_jobs_stack_is_enough(state);
  for (size_t i = 0; i < sizeof(stack) - STACK_OF_THREAD; i++)
    left += stack[i] != 0 && stack[i] != STACK_PAINT;
  print_message("left: %zu bytes\n", left);
  assert_true(left < 256);
}


int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh, nothing_left)
      TEST(full_self_test_passes),
      TEST(random_bytes_differ),
      TEST(a_pcr_becomes_the_hash_of_itself_and_the_digest),
      TEST(it_says_what_it_is),
      TEST(established_is_set_by_a_measured_launch),
      TEST(primaries_are_the_same_each_time),
      TEST(every_curve_it_names_can_be_used),
      TEST(primaries_sign),
      TEST(a_flushed_key_leaves_nothing_in_the_arena),
      TEST(created_keys_load_and_sign),
      TEST(symmetric_keys_encrypt_in_every_mode),
      TEST(a_restart_keeps_keys_and_nv),
      TEST(state_can_be_taken_out_and_put_back),
      TEST(a_stored_volatile_state_is_resumed),
      TEST(time_stands_still_while_held),
      TEST(a_key_generation_ends_when_cancelled),
      TEST(bytes_are_never_executed_unchecked),
      TEST(a_tpm_that_is_off_says_so),
      TEST(a_change_that_cannot_be_stored_is_not_confirmed),
      TEST(a_disk_that_fails_leaves_it_off),
      TEST(without_entropy_it_draws_nothing),
      TEST(a_failure_outside_of_a_command_comes_back),
      TEST(a_jobs_stack_is_enough),
      TEST(a_jobs_stack_keeps_nothing),
#undef TEST
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

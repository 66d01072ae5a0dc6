/*
 * tests/unit/test_drbg.c - random numbers for everyone, crypto/drbg.c.
 *
 * Goal:   callers never share a state, states are seeded and seeded again, and
 *         without entropy nobody gets a number.
 * Method: a source of entropy that counts, repeats or fails on command; the
 *         same bytes from BearSSL's generator used directly; and threads.
 */
#include "tests/unit/unit.h"

#include <pthread.h>

#include "crypto/drbg.c"

static atomic_uint seeds;
static atomic_int failing; /* 1: errs; 2: all ones for ever */


static int entropy(void* buf, size_t size) {
  unsigned n = atomic_fetch_add(&seeds, 1);
  uint8_t* p = buf;

  if (failing == 1)
    return -5;
  for (size_t i = 0; i < size; i++)
    p[i] = failing == 2 ? 0xff : (uint8_t) (n * 31 + i * 7);
  return 0;
}


static int begin(void** state) {
  (void) state;
  seeds = 0;
  failing = 0;
  crypto_random_init(entropy);
  return 0;
}


static void it_is_hmac_drbg_with_sha_256(void** state) {
  br_hmac_drbg_context expected;
  uint8_t seed_bytes[SEED_SIZE];
  uint8_t a[100];
  uint8_t b[100];

  (void) state;
  (void) entropy(seed_bytes, sizeof(seed_bytes));
  seeds = 0;
  br_hmac_drbg_init(&expected, &br_sha256_vtable, seed_bytes,
                    sizeof(seed_bytes));
  for (size_t size = 0; size <= sizeof(a); size += 25) {
    crypto_random(a, size);
    if (size > 0)
      br_hmac_drbg_generate(&expected, b, size);
    assert_memory_equal(b, a, size);
  }
}


static void it_is_seeded_again(void** state) {
  uint8_t byte;

  (void) state;
  for (uint32_t i = 0; i < RESEED_CALLS; i++)
    crypto_random(&byte, 1);
  assert_int_equal(1, seeds);
  crypto_random(&byte, 1);
  assert_int_equal(2, seeds);
}


static void large_requests_are_filled_to_the_last_byte(void** state) {
  static uint8_t buf[3 * CRYPTO_RANDOM_PIECE_MAX + 2];
  size_t zeros = 0;

  (void) state;
  buf[sizeof(buf) - 1] = 0;
  crypto_random(buf, sizeof(buf) - 1);
  assert_int_equal(0, buf[sizeof(buf) - 1]);
  for (size_t i = 0; i < sizeof(buf) - 1; i++)
    zeros += buf[i] == 0;
  assert_in_range(zeros, 10, 120); /* 48 are expected; the seed is fixed */
}


static void callers_inside_have_instances_of_their_own(void** state) {
  instance_t* inside[CRYPTO_RANDOM_CALLERS_MAX];
  uint8_t byte;

  (void) state;
  for (size_t i = 0; i < ARRAY_SIZE(inside) - 1; i++) {
    inside[i] = take();
    for (size_t k = 0; k < i; k++)
      assert_ptr_not_equal(inside[k], inside[i]);
  }
  crypto_random(&byte, 1); /* one is left */
  inside[ARRAY_SIZE(inside) - 1] = take();
  expect_assert_failure(crypto_random(&byte, 1));
  for (size_t i = 0; i < ARRAY_SIZE(inside); i++)
    give(inside[i]);
  crypto_random(&byte, 1);
}


static void without_entropy_nobody_goes_on(void** state) {
  uint8_t byte;

  (void) state;
  failing = 1;
  expect_assert_failure(crypto_random(&byte, 1));
  begin(state);
  failing = 2;
  expect_assert_failure(crypto_random(&byte, 1));
  begin(state);
  crypto_random(&byte, 1);
  crypto_random_wipe();
  expect_assert_failure(crypto_random(&byte, 1));
  expect_assert_failure(crypto_random_init(NULL));
}

#define THREADS 4
#define DRAWS 2000

static uint64_t drawn[THREADS * DRAWS];


static void* draw(void* arg) {
  uint64_t* to = arg;

  for (int i = 0; i < DRAWS; i++)
    crypto_random(&to[i], sizeof(to[i]));
  return NULL;
}


static int compare(const void* a, const void* b) {
  uint64_t x = *(const uint64_t*) a;
  uint64_t y = *(const uint64_t*) b;

  return x < y ? -1 : x > y;
}


static void threads_never_draw_the_same(void** state) {
  pthread_t thread[THREADS];

  (void) state;
  for (int i = 0; i < THREADS; i++)
    assert_int_equal(0,
                     pthread_create(&thread[i], NULL, draw, &drawn[i * DRAWS]));
  for (int i = 0; i < THREADS; i++)
    assert_int_equal(0, pthread_join(thread[i], NULL));
  qsort(drawn, ARRAY_SIZE(drawn), sizeof(uint64_t), compare);
  for (size_t i = 1; i < ARRAY_SIZE(drawn); i++)
    assert_true(drawn[i - 1] != drawn[i]);
}


int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(it_is_hmac_drbg_with_sha_256, begin),
      cmocka_unit_test_setup(it_is_seeded_again, begin),
      cmocka_unit_test_setup(large_requests_are_filled_to_the_last_byte, begin),
      cmocka_unit_test_setup(callers_inside_have_instances_of_their_own, begin),
      cmocka_unit_test_setup(without_entropy_nobody_goes_on, begin),
      cmocka_unit_test_setup(threads_never_draw_the_same, begin),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

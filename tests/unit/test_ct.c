/*
 * tests/unit/test_ct.c - crypto/ct.h, and the promise of bignum.h and ec.h that
 * time and memory accesses do not tell what is secret.
 *
 * Goal:   masks are all ones or zero; no secret reaches a branch or an index.
 * Method: masks over edge values. For the promise, the run under valgrind
 *         matters: secrets are marked as uninitialised memory there, and
 *         valgrind reports every branch and every address that depends on
 *         such memory, in the very code that the compiler made. Without
 *         valgrind the same calls run and their results are checked.
 */
#include "tests/unit/peer.h"

#include "crypto/bignum.h"
#include "crypto/ct.h"
#include "crypto/ec.h"

#include "crypto/libcrypto/rsa_keygen.c"

#include <valgrind/memcheck.h>

static limb_t room[BIGNUM_SCRATCH_LIMBS];
static bignum_scratch_t scratch = {room, BIGNUM_SCRATCH_LIMBS, 0};

static void secret(void* data, size_t size) {
  (void) VALGRIND_MAKE_MEM_UNDEFINED(data, size);
}


static void known(void* data, size_t size) {
  (void) VALGRIND_MAKE_MEM_DEFINED(data, size);
}


/* A number of n limbs, of which only the top bit and the lowest may show. */
static void secret_number(limb_t* a, size_t n, limb_t top, limb_t low) {
  peer_bytes((uint8_t*) a, n * sizeof(limb_t));
  secret(a, n * sizeof(limb_t));
  a[n - 1] = (a[n - 1] & ~(limb_t) 0 >> 1) | top << 63;
  a[0] = (a[0] & ~(limb_t) 1) | low;
}


static void masks_are_all_or_nothing(void** state) {
  (void) state;
  static const uint64_t edges[] = {0,
                                   1,
                                   2,
                                   0x7fffffffffffffffu,
                                   0x8000000000000000u,
                                   0x8000000000000001u,
                                   0xfffffffffffffffeu,
                                   0xffffffffffffffffu};

  for (size_t i = 0; i < ARRAY_SIZE(edges); i++) {
    uint64_t a = edges[i];

    assert_true(ct_is_zero(a) == (a == 0 ? UINT64_MAX : 0));
    assert_true(ct_not_zero(a) == (a != 0 ? UINT64_MAX : 0));
    for (size_t k = 0; k < ARRAY_SIZE(edges); k++) {
      uint64_t b = edges[k];

      assert_true(ct_less(a, b) == (a < b ? UINT64_MAX : 0));
      assert_true(ct_equal_word(a, b) == (a == b ? UINT64_MAX : 0));
      assert_true(ct_select(ct_less(a, b), a, b) == (a < b ? a : b));
    }
  }
}


static void blocks_compare_and_are_wiped(void** state) {
  (void) state;
  uint8_t a[33] = {1, 2, 3};
  uint8_t b[33] = {1, 2, 3};

  assert_true(ct_equal(a, b, sizeof(a)));
  assert_true(ct_equal(a, b, 0));
  for (size_t i = 0; i < sizeof(a); i++) {
    b[i] ^= 0x80;
    assert_false(ct_equal(a, b, sizeof(a)));
    b[i] ^= 0x80;
  }
  ct_wipe(a, 32);
  for (size_t i = 0; i < 32; i++)
    assert_int_equal(a[i], 0);
  ct_wipe(NULL, 0);
}


/* Base, exponent and modulus are all secret, but for the modulus's length. */
static void powers_tell_nothing(void** state) {
  (void) state;
  static const size_t sizes[] = {1, 3, 4, 6, 9, 10, 16, 17};

  for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
    size_t n = sizes[i];
    limb_t m[20], a[20], e[20], x[20], mont_room[BIGNUM_MONT_LIMBS(20)];
    bignum_mont_t mont;

    secret_number(m, n, 1, 1);
    secret_number(a, n, 0, 0);
    secret_number(e, n, 0, 1);
    bignum_mont_init(&mont, m, n, mont_room);
    bignum_mont_enter(x, a, &mont);
    bignum_mont_power(x, x, e, n, &mont, &scratch);
    bignum_mont_sqr(x, x, &mont);
    bignum_mont_leave(x, x, &mont);
    known(x, sizeof(x));
    known(m, sizeof(m));
    assert_true(bignum_less(x, m, n) != 0);
  }
}


static void quotients_tell_nothing(void** state) {
  (void) state;
  limb_t a[20], b[20], q[20], r[20];

  for (size_t n = 1; n < 12; n++) {
    secret_number(a, n + 7, 0, 0);
    secret_number(b, n, 1, 0);
    bignum_div(q, r, a, n + 7, b, n, &scratch);
    known(r, sizeof(r));
    known(b, sizeof(b));
    assert_true(bignum_less(r, b, n) != 0);
  }
}


/* Modulo an odd secret, and an e modulo an even one: a private exponent. */
static void inverses_tell_nothing(void** state) {
  (void) state;
  limb_t a[20], m[20], r[20];
  limb_t e[20] = {65537};

  for (size_t n = 2; n < 17; n += 3) {
    secret_number(m, n, 1, 1);
    secret_number(a, n, 0, 0);
    a[n - 1] |= (limb_t) 1 << 62; /* so that its length is known */
    bool found = bignum_inverse(r, a, m, n, &scratch);
    known(&found, sizeof(found));

    secret_number(m, n, 1, 0);
    found = bignum_inverse(r, e, m, n, &scratch);
    known(&found, sizeof(found));
    known(r, sizeof(r));
    known(m, sizeof(m));
    if (found)
      assert_true(bignum_less(r, m, n) != 0);
  }

  /* Of one limb too: a prime less 1, modulo a public exponent. */
  m[0] = 0xffffffffffffffc5u; /* the largest prime of 64 bits */
  a[0] = 0x1234567890abcdefu;
  secret(a, sizeof(limb_t));
  a[0] = (a[0] & ~(limb_t) 0 >> 2) | (limb_t) 1 << 63;
  bool found = bignum_inverse(r, a, m, 1, &scratch);
  known(&found, sizeof(found));
  assert_true(found);
}


/* What is left of a window around a secret start are exactly those that no
 * small prime divides, in order. */
static void windows_tell_nothing(void** state) {
  (void) state;
  limb_t start[8];
  search_t s = {.bits = 512, .n = 8, .start = start};

  small_primes(&s);
  for (int turn = 0; turn < 3; turn++) {
    size_t next = 0;

    secret_number(start, 8, 1, 1);
    start[0] |= 3;
    strike_out(&s);
    for (size_t i = 0; i < WINDOW; i++) {
      bool divided = false;

      known(start, sizeof(start));
      for (limb_t p = 3; p < SMALL_PRIME_MAX && !divided; p += 2)
        divided = (bignum_mod_word(start, 8, p) + 4 * i) % p == 0;
      secret(start, sizeof(start));
      if (divided)
        continue;
      next = next_left(&s);
      known(&next, sizeof(next));
      assert_int_equal(i, next);
    }
    next = next_left(&s);
    known(&next, sizeof(next));
    assert_int_equal(WINDOW, next);
  }
}


static void curve_p256(ec_curve_t* curve, limb_t* order) {
  limb_t p[4] = {0xffffffffffffffffu, 0x00000000ffffffffu, 0,
                 0xffffffff00000001u};
  limb_t a[4] = {0xfffffffffffffffcu, 0x00000000ffffffffu, 0,
                 0xffffffff00000001u};
  limb_t b[4] = {0x3bce3c3e27d2604bu, 0x651d06b0cc53b0f6u, 0xb3ebbd55769886bcu,
                 0x5ac635d8aa3a93e7u};
  limb_t x[4] = {0xf4a13945d898c296u, 0x77037d812deb33a0u, 0xf8bce6e563a440f2u,
                 0x6b17d1f2e12c4247u};
  limb_t y[4] = {0xcbb6406837bf51f5u, 0x2bce33576b315eceu, 0x8ee7eb4a7c0f9e16u,
                 0x4fe342e2fe1a7f9bu};
  limb_t n[4] = {0xf3b9cac2fc632551u, 0xbce6faada7179e84u, 0xffffffffffffffffu,
                 0xffffffff00000000u};
  ec_point_t generator;

  memcpy(order, n, sizeof(n));
  assert_true(ec_curve_init(curve, p, a, b, 4));
  assert_true(ec_point_set(curve, &generator, x, y));
  assert_true(ec_curve_set_generator(curve, &generator, n, 4));
}


/* Scalar and point are secret; that the result is not infinite is let out. */
static void multiples_tell_nothing(void** state) {
  (void) state;
  ec_curve_t curve;
  limb_t order[4], k[4], x[4], y[4];
  ec_point_t point;

  curve_p256(&curve, order);
  for (int i = 0; i < 3; i++) {
    secret_number(k, 4, 0, 1);
    point = curve.generator;
    secret(&point, sizeof(point));

    ec_term_t terms[2] = {{k, &curve.generator}, {k, &point}};
    ec_mul(&curve, &point, terms, 2, &scratch);
    ec_add(&curve, &point, &point, &curve.generator);
    known(point.z, sizeof(point.z));
    bool finite = ec_point_get(&curve, &point, x, y, &scratch);
    assert_true(finite);
    known(x, sizeof(x));
    known(y, sizeof(y));
    assert_true(ec_point_set(&curve, &point, x, y)); /* it is on the curve */
  }
}


int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(masks_are_all_or_nothing),
      cmocka_unit_test(blocks_compare_and_are_wiped),
      cmocka_unit_test(powers_tell_nothing),
      cmocka_unit_test(quotients_tell_nothing),
      cmocka_unit_test(inverses_tell_nothing),
      cmocka_unit_test(windows_tell_nothing),
      cmocka_unit_test(multiples_tell_nothing),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}

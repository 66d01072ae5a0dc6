/*
 * tests/unit/test_bn.c - BN_* of crypto/libcrypto/, against OpenSSL.
 *
 * Goal:   no answer of ours, in number, sign or refusal, differs from one that
 *         libtpms would have got from OpenSSL. Primary keys depend on it.
 * Method: the same operation on both sides, for numbers that are random and
 *         for numbers at the edges: 0, 1, all ones, a modulus and its
 *         neighbours, even moduli, lengths on and beside limb boundaries.
 */
#include "tests/unit/peer.h"

#include "crypto/libcrypto/asym.h"

static BN_CTX* their_ctx;

static int setup(void** state) {
  (void) state;
  their_ctx = PEER(BN_CTX_new)();
  return their_ctx == NULL;
}


static int teardown(void** state) {
  (void) state;
  PEER(BN_CTX_free)(their_ctx);
  return 0;
}


static size_t some_size(size_t max) {
  static const size_t edges[] = {0, 1, 2, 7, 8, 9, 15, 16, 17, 127, 128, 129};

  if (peer_random() % 2 == 0) {
    size_t size = edges[peer_random() % ARRAY_SIZE(edges)];
    if (size <= max)
      return size;
  }
  return peer_random() % (max + 1);
}


static peer_number_t some_number(size_t max) {
  uint8_t bytes[1024];
  size_t size = some_size(max);

  peer_bytes(bytes, size);
  return peer_number(bytes, size);
}


/* a - b with a sign, now and then. */
static void make_negative(peer_number_t a) {
  BIGNUM* ours_zero = BN_new();
  BIGNUM* their_zero = PEER(BN_new)();

  assert_int_equal(BN_sub(a.ours, ours_zero, a.ours), 1);
  assert_int_equal(PEER(BN_sub)(a.theirs, their_zero, a.theirs), 1);
  BN_free(ours_zero);
  PEER(BN_free)(their_zero);
}


static peer_number_t some_integer(size_t max) {
  peer_number_t a = some_number(max);

  if (peer_random() % 4 == 0)
    make_negative(a);
  return a;
}


static int sign_of(int x) {
  return (x > 0) - (x < 0);
}


static void sums_and_comparisons_agree(void** state) {
  (void) state;
  for (int i = 0; i < 4000; i++) {
    peer_number_t a = some_integer(400);
    peer_number_t b =
        peer_random() % 8 == 0
            ? (peer_number_t){BN_dup(a.ours), PEER(BN_dup)(a.theirs)}
            : some_integer(400);
    peer_number_t r = some_number(10);
    BN_ULONG word = peer_random() >> peer_random() % 64;

    assert_int_equal(sign_of(BN_cmp(a.ours, b.ours)),
                     sign_of(PEER(BN_cmp)(a.theirs, b.theirs)));
    assert_int_equal(BN_sub(r.ours, a.ours, b.ours), 1);
    assert_int_equal(PEER(BN_sub)(r.theirs, a.theirs, b.theirs), 1);
    peer_assert_same(r.ours, r.theirs);
    assert_int_equal(BN_sub(b.ours, a.ours, b.ours), 1);
    peer_assert_same(b.ours, r.theirs);

    assert_int_equal(BN_add_word(a.ours, word), 1);
    assert_int_equal(PEER(BN_add_word)(a.theirs, word), 1);
    peer_assert_same(a.ours, a.theirs);
    peer_number_free(a);
    peer_number_free(b);
    peer_number_free(r);
  }
}


static void null_compares_as_in_openssl(void** state) {
  (void) state;
  peer_number_t a = some_number(20);

  assert_int_equal(BN_cmp(NULL, NULL), PEER(BN_cmp)(NULL, NULL));
  assert_int_equal(BN_cmp(a.ours, NULL), PEER(BN_cmp)(a.theirs, NULL));
  assert_int_equal(BN_cmp(NULL, a.ours), PEER(BN_cmp)(NULL, a.theirs));
  assert_null(BN_dup(NULL));
  peer_number_free(a);
}


static void products_agree(void** state) {
  (void) state;
  for (int i = 0; i < 2000; i++) {
    peer_number_t a = some_integer(400);
    peer_number_t b = some_integer(400);

    assert_int_equal(BN_mul(a.ours, a.ours, b.ours, NULL), 1);
    assert_int_equal(PEER(BN_mul)(a.theirs, a.theirs, b.theirs, their_ctx), 1);
    peer_assert_same(a.ours, a.theirs);
    peer_number_free(a);
    peer_number_free(b);
  }
}


static void quotients_and_remainders_agree(void** state) {
  (void) state;
  for (int i = 0; i < 6000; i++) {
    peer_number_t a = some_integer(i % 2 == 0 ? 260 : 800);
    peer_number_t b = some_integer(i % 3 == 0 ? 8 : 390);
    peer_number_t q = some_number(4);
    peer_number_t r = some_number(4);
    int with = (int) (peer_random() % 4); /* either may be NULL */

    int ours = BN_div(with & 1 ? q.ours : NULL, with & 2 ? r.ours : NULL,
                      a.ours, b.ours, NULL);
    int theirs =
        PEER(BN_div)(with & 1 ? q.theirs : NULL, with & 2 ? r.theirs : NULL,
                     a.theirs, b.theirs, their_ctx);
    assert_int_equal(ours, theirs);
    if (ours == 1) {
      peer_assert_same(q.ours, q.theirs);
      peer_assert_same(r.ours, r.theirs);
    }
    peer_number_free(a);
    peer_number_free(b);
    peer_number_free(q);
    peer_number_free(r);
  }
}


static void powers_agree_once(size_t size, int flagged) {
  peer_number_t a = some_number(size + 9);
  peer_number_t p = some_number(size);
  peer_number_t m = some_number(size);
  peer_number_t r = some_number(4);

  if (flagged) {
    BN_set_flags(p.ours, BN_FLG_CONSTTIME);
    PEER(BN_set_flags)(p.theirs, BN_FLG_CONSTTIME);
  }
  int ours = BN_mod_exp(r.ours, a.ours, p.ours, m.ours, NULL);
  int theirs =
      PEER(BN_mod_exp)(r.theirs, a.theirs, p.theirs, m.theirs, their_ctx);
  assert_int_equal(ours, theirs);
  if (ours == 1)
    peer_assert_same(r.ours, r.theirs);
  peer_number_free(a);
  peer_number_free(p);
  peer_number_free(m);
  peer_number_free(r);
}


static void powers_agree(void** state) {
  (void) state;
  for (int i = 0; i < 1500; i++)
    powers_agree_once(i % 50 == 0 ? 260 : 1 + peer_random() % 40, i % 4 != 0);
}


/* Tiny numbers, all of them: every base, exponent and modulus. */
static void small_powers_agree(void** state) {
  (void) state;
  for (uint8_t x = 0; x < 9; x++) {
    for (uint8_t y = 0; y < 9; y++) {
      for (uint8_t z = 0; z < 9; z++) {
        peer_number_t a = peer_number(&x, 1);
        peer_number_t p = peer_number(&y, 1);
        peer_number_t m = peer_number(&z, 1);
        int ours = BN_mod_exp(a.ours, a.ours, p.ours, m.ours, NULL);
        int theirs =
            PEER(BN_mod_exp)(a.theirs, a.theirs, p.theirs, m.theirs, their_ctx);

        assert_int_equal(ours, theirs);
        if (ours == 1)
          peer_assert_same(a.ours, a.theirs);
        peer_number_free(a);
        peer_number_free(p);
        peer_number_free(m);
      }
    }
  }
}


/* 4096 bits; one bit more is refused, which OpenSSL would not do. */
static void the_largest_modulus_works(void** state) {
  (void) state;
  uint8_t bytes[513];

  memset(bytes, 0xff, sizeof(bytes));
  peer_number_t m = peer_number(bytes, 512);
  bytes[0] = 0x7f;
  peer_number_t a = peer_number(bytes, 512);
  peer_number_t p = peer_number(bytes, 512);
  assert_int_equal(BN_mod_exp(p.ours, a.ours, p.ours, m.ours, NULL), 1);
  assert_int_equal(
      PEER(BN_mod_exp)(p.theirs, a.theirs, p.theirs, m.theirs, their_ctx), 1);
  peer_assert_same(p.ours, p.theirs);
  BIGNUM* ours = BN_mod_inverse(NULL, a.ours, m.ours, NULL);
  BIGNUM* theirs = PEER(BN_mod_inverse)(NULL, a.theirs, m.theirs, their_ctx);
  peer_assert_same(ours, theirs);

  peer_number_t larger = peer_number(bytes, 513);
  assert_int_equal(BN_mod_exp(p.ours, a.ours, p.ours, larger.ours, NULL), 0);
  assert_null(BN_mod_inverse(NULL, a.ours, larger.ours, NULL));
  BN_free(ours);
  PEER(BN_free)(theirs);
  peer_number_free(a);
  peer_number_free(p);
  peer_number_free(m);
  peer_number_free(larger);
}


static void inverse_agrees(peer_number_t a, peer_number_t n) {
  BIGNUM* ours = BN_mod_inverse(NULL, a.ours, n.ours, NULL);
  BIGNUM* theirs = PEER(BN_mod_inverse)(NULL, a.theirs, n.theirs, their_ctx);

  assert_int_equal(ours != NULL, theirs != NULL);
  if (ours != NULL)
    peer_assert_same(ours, theirs);
  BN_free(ours);
  PEER(BN_free)(theirs);
}


static void inverses_agree(void** state) {
  (void) state;
  for (int i = 0; i < 3000; i++) {
    size_t size = i % 40 == 0 ? 256 : 1 + peer_random() % 40;
    peer_number_t a = some_integer(i % 3 == 0 ? 8 : size + 9);
    peer_number_t n = some_number(size);

    inverse_agrees(a, n);
    peer_number_free(a);
    peer_number_free(n);
  }
}


static void small_inverses_agree(void** state) {
  (void) state;
  for (uint8_t x = 0; x < 40; x++) {
    for (uint8_t y = 0; y < 40; y++) {
      peer_number_t a = peer_number(&x, 1);
      peer_number_t n = peer_number(&y, 1);

      inverse_agrees(a, n);
      peer_number_free(a);
      peer_number_free(n);
    }
  }
}


/* What libtpms computes for a private exponent: phi is even. */
static void inverses_modulo_phi_agree(void** state) {
  (void) state;
  for (int i = 0; i < 60; i++) {
    uint8_t bytes[384];
    uint8_t e[3] = {1, 0, 1};
    size_t size = (size_t[]){128, 256, 384}[i % 3];

    for (size_t j = 0; j < size; j++)
      bytes[j] = (uint8_t) peer_random();
    bytes[0] |= 0x80;
    bytes[size - 1] &= 0xfe;
    peer_number_t a = peer_number(e, i % 2 == 0 ? 3 : 1);
    peer_number_t n = peer_number(bytes, size);
    inverse_agrees(a, n);
    peer_number_free(a);
    peer_number_free(n);
  }
}


static void numbers_beyond_the_limit_are_refused(void** state) {
  (void) state;
  static uint8_t bytes[BN_LIMBS_MAX * BIGNUM_LIMB_SIZE + 1];

  memset(bytes, 0xff, sizeof(bytes));
  assert_null(BN_bin2bn(bytes, (int) sizeof(bytes), NULL));
  bytes[0] = 0; /* a leading zero is no digit */
  BIGNUM* a = BN_bin2bn(bytes, (int) sizeof(bytes), NULL);
  assert_non_null(a);
  assert_int_equal(BN_mul(a, a, a, NULL), 0);
  assert_int_equal(BN_add_word(a, 1), 0);
  BN_free(a);
}


static void lent_numbers_begin_as_zero(void** state) {
  (void) state;
  BN_CTX* ctx = BN_CTX_new();

  BN_CTX_start(ctx);
  BIGNUM* outer = BN_CTX_get(ctx);
  assert_int_equal(BN_set_word(outer, 7), 1);
  for (int i = 0; i < 100; i++) {
    BN_CTX_start(ctx);
    BIGNUM* a = BN_CTX_get(ctx);
    BIGNUM* b = BN_CTX_get(ctx);
    assert_true(BN_is_zero(a) && BN_is_zero(b));
    assert_true(a != b && a != outer);
    assert_int_equal(BN_set_word(a, 5), 1);
    assert_int_equal(BN_set_word(b, 5), 1);
    BN_CTX_end(ctx);
  }
  assert_int_equal(BN_num_bits(outer), 3);
  BN_CTX_end(ctx);
  assert_null(BN_CTX_get(ctx)); /* no frame is open */
  BN_CTX_free(ctx);
  BN_CTX_free(NULL);
}


static void nothing_is_left_behind(void** state) {
  (void) state;
  assert_int_equal(peer_blocks(), 0);
  assert_int_equal(libcrypto_scratch()->used, 0);
}


int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sums_and_comparisons_agree),
      cmocka_unit_test(null_compares_as_in_openssl),
      cmocka_unit_test(products_agree),
      cmocka_unit_test(quotients_and_remainders_agree),
      cmocka_unit_test(powers_agree),
      cmocka_unit_test(small_powers_agree),
      cmocka_unit_test(the_largest_modulus_works),
      cmocka_unit_test(inverses_agree),
      cmocka_unit_test(small_inverses_agree),
      cmocka_unit_test(inverses_modulo_phi_agree),
      cmocka_unit_test(numbers_beyond_the_limit_are_refused),
      cmocka_unit_test(lent_numbers_begin_as_zero),
      cmocka_unit_test(nothing_is_left_behind),
  };

  return cmocka_run_group_tests(tests, setup, teardown);
}

/*
 * tests/unit/test_bignum.c - crypto/bignum.h by its own definitions.
 *
 * Goal:   division, Montgomery arithmetic and inverses are right for every
 *         length, aliasing does not matter where the header allows it, and
 *         scratch is given back clean.
 * Method: multiply results out again, with numbers that are full of zeros and
 *         ones besides random ones; compare fast ways with slow ones.
 */
#include "tests/unit/peer.h"

#include "crypto/bignum.h"

#define LIMBS 66u

static limb_t room[BIGNUM_SCRATCH_LIMBS];
static bignum_scratch_t scratch = {room, BIGNUM_SCRATCH_LIMBS, 0};

static void fill(limb_t* a, size_t n) {
  peer_bytes((uint8_t*) a, n * sizeof(limb_t));
}


static void assert_scratch_is_clean(void) {
  assert_int_equal(scratch.used, 0);
  for (size_t i = 0; i < BIGNUM_SCRATCH_LIMBS; i++)
    assert_true(room[i] == 0);
}


/* The reciprocal v is the largest with d * (2^64 + v) below 2^128. */
static void reciprocal_is_exact(limb_t d) {
  limb_t v = bignum_reciprocal(d);
  limb2_t product = ((limb2_t) d << 64) + (limb2_t) d * v;
  limb2_t missing = 0 - product;

  assert_true(product >> 64 >= d); /* no overflow: it went once around */
  assert_true(missing != 0);
  assert_true(missing <= d);
}


static void reciprocals_are_exact(void** state) {
  (void) state;
  const limb_t edges[] = {
      0x8000000000000000u, 0x8000000000000001u, 0xffffffffffffffffu,
      0xfffffffffffffffeu, 0xf000000000000000u, 0xefffffffffffffffu,
      0xf000000000000001u, 0xc000000000000000u, 0xaaaaaaaaaaaaaaaau,
  };

  for (size_t i = 0; i < ARRAY_SIZE(edges); i++)
    reciprocal_is_exact(edges[i]);
  for (int i = 0; i < 200000; i++)
    reciprocal_is_exact(peer_random() | 0x8000000000000000u);
}


/* a = q b + r and r < b. */
static void division_multiplies_out(void** state) {
  (void) state;
  limb_t a[LIMBS], b[LIMBS], q[LIMBS + 1], r[LIMBS], back[2 * LIMBS];

  for (int i = 0; i < 20000; i++) {
    size_t a_count = 1 + peer_random() % LIMBS;
    size_t b_count = 1 + peer_random() % a_count;
    size_t q_count = a_count - b_count + 1;

    fill(a, a_count);
    fill(b, b_count);
    if (b[b_count - 1] == 0)
      b[b_count - 1] = 1 + peer_random() % 3;
    if (peer_random() % 8 == 0 && b_count > 1) /* guesses that are too high */
      a[a_count - 1] = b[b_count - 1];
    bignum_div(q, r, a, a_count, b, b_count, &scratch);

    assert_true(bignum_less(r, b, b_count) != 0);
    bignum_mul(back, q, q_count, b, b_count);
    limb_t carry = bignum_add(back, back, r, b_count);
    for (size_t j = b_count; j < q_count + b_count; j++) {
      back[j] += carry;
      carry = carry != 0 && back[j] == 0;
    }
    assert_memory_equal(back, a, a_count * sizeof(limb_t));
    for (size_t j = a_count; j < q_count + b_count; j++)
      assert_true(back[j] == 0);
  }
  assert_scratch_is_clean();
}


static void one_limb_division_agrees(void** state) {
  (void) state;
  limb_t a[LIMBS];

  for (int i = 0; i < 20000; i++) {
    size_t n = 1 + peer_random() % 8;
    limb_t d = peer_random() >> peer_random() % 64;
    limb2_t rest = 0;

    d += d == 0;
    fill(a, n);
    for (size_t j = n; j-- > 0;)
      rest = (rest << 64 | a[j]) % d;
    assert_true(bignum_mod_word(a, n, d) == (limb_t) rest);
  }
}


/* An odd modulus of n limbs, and a number below it. */
static void fill_modulus(limb_t* m, limb_t* a, size_t n) {
  limb_t big[2 * LIMBS];

  fill(m, n);
  m[0] |= 1;
  m[n - 1] |= (limb_t) 1 << peer_random() % 64;
  if (n == 1 && m[0] == 1)
    m[0] = 3;
  fill(big, 2 * n);
  bignum_div(NULL, a, big, 2 * n, m, n, &scratch);
}


/* a b, through Montgomery's form and by division. */
static void montgomery_products_agree(void** state) {
  (void) state;
  limb_t m[LIMBS], a[LIMBS], b[LIMBS], c[LIMBS], d[LIMBS];
  limb_t product[2 * LIMBS], mont_room[BIGNUM_MONT_LIMBS(LIMBS)];
  bignum_mont_t mont;

  for (size_t n = 1; n <= BIGNUM_MODULUS_LIMBS_MAX; n++) {
    for (int i = 0; i < 30; i++) {
      fill_modulus(m, a, n);
      memcpy(b, a, n * sizeof(limb_t));
      b[0] ^= i % 2 == 0 ? 0 : b[0] != 0;
      bignum_mont_init(&mont, m, n, mont_room);

      bignum_mul(product, a, n, b, n);
      bignum_div(NULL, c, product, 2 * n, m, n, &scratch);
      bignum_mont_enter(d, a, &mont);
      bignum_mont_mul(d, d, b, &mont); /* one factor in form is enough */
      assert_memory_equal(c, d, n * sizeof(limb_t));

      bignum_mul(product, a, n, a, n);
      bignum_div(NULL, c, product, 2 * n, m, n, &scratch);
      bignum_mont_enter(d, a, &mont);
      bignum_mont_sqr(d, d, &mont);
      bignum_mont_leave(d, d, &mont);
      assert_memory_equal(c, d, n * sizeof(limb_t));
    }
  }
  assert_scratch_is_clean();
}


static void secret_and_public_powers_agree(void** state) {
  (void) state;
  limb_t m[LIMBS], a[LIMBS], e[LIMBS], c[LIMBS], d[LIMBS];
  limb_t mont_room[BIGNUM_MONT_LIMBS(LIMBS)];
  bignum_mont_t mont;

  for (int i = 0; i < 300; i++) {
    size_t n = 1 + peer_random() % 9;
    size_t e_count = 1 + peer_random() % 4;

    fill_modulus(m, a, n);
    fill(e, e_count);
    bignum_mont_init(&mont, m, n, mont_room);
    bignum_mont_power(c, a, e, e_count, &mont, &scratch);
    memcpy(d, a, n * sizeof(limb_t));
    bignum_mont_power_public(d, d, e, e_count, &mont, &scratch);
    assert_memory_equal(c, d, n * sizeof(limb_t));
    bignum_mont_power(a, a, e, e_count, &mont, &scratch); /* in place */
    assert_memory_equal(a, c, n * sizeof(limb_t));
  }
  assert_scratch_is_clean();
}


static void inverses_multiply_to_one(void** state) {
  (void) state;
  limb_t m[LIMBS], a[LIMBS], r[LIMBS], one[LIMBS], product[2 * LIMBS];
  int found = 0;

  for (int i = 0; i < 3000; i++) {
    size_t n = 1 + peer_random() % 10;

    fill_modulus(m, a, n);
    m[0] ^= i % 2 == 0; /* every other one is even */
    m[n - 1] |= 2;
    if (i % 3 == 0)
      memset(a + 1, 0, (n - 1) * sizeof(limb_t));
    if (bignum_less(a, m, n) == 0)
      a[n - 1] = 0;
    if (!bignum_inverse(r, a, m, n, &scratch))
      continue;

    found++;
    assert_true(bignum_less(r, m, n) != 0);
    bignum_mul(product, a, n, r, n);
    bignum_div(NULL, one, product, 2 * n, m, n, &scratch);
    assert_true(one[0] == 1);
    assert_true(bignum_trim(one, n) == 1);
  }
  assert_true(found > 500);
  assert_scratch_is_clean();
}


static void bytes_go_in_and_out(void** state) {
  (void) state;
  uint8_t in[40], out[40];
  limb_t a[4];

  for (size_t size = 0; size <= sizeof(in); size++) {
    memset(in, 0, sizeof(in));
    for (size_t i = 0; i < size && i < 32; i++)
      in[sizeof(in) - 1 - i] = (uint8_t) peer_random();
    assert_true(bignum_from_bytes(a, 4, in, sizeof(in)));
    assert_true(bignum_to_bytes(out, sizeof(out), a, 4));
    assert_memory_equal(in, out, sizeof(in));
  }

  in[7] = 1; /* the 33rd byte from the end does not fit four limbs */
  assert_false(bignum_from_bytes(a, 4, in, sizeof(in)));
  a[0] = 0x100;
  a[1] = a[2] = a[3] = 0;
  assert_false(bignum_to_bytes(out, 1, a, 4));
  assert_true(bignum_to_bytes(out, 2, a, 4));
}


int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reciprocals_are_exact),
      cmocka_unit_test(division_multiplies_out),
      cmocka_unit_test(one_limb_division_agrees),
      cmocka_unit_test(montgomery_products_agree),
      cmocka_unit_test(secret_and_public_powers_agree),
      cmocka_unit_test(inverses_multiply_to_one),
      cmocka_unit_test(bytes_go_in_and_out),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}

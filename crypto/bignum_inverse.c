/*
 * crypto/bignum_inverse.c - inverses modulo odd and even numbers.
 *
 * Odd modulus m: a binary greatest common divisor that always does the same
 * steps. With x = a and y = m it keeps
 *
 *     x = sign * X * a   and   y = -sign * Y * a   (mod m),   y odd
 *
 * and in each round makes x even, by taking y from it when it is odd (after
 * exchanging the two where that would be negative), and halves it. A round
 * takes at least one bit off x and y together, so as many rounds as the two
 * have bits leave x = 0 and y = gcd(a, m), and the inverse is -sign * Y if
 * that is 1. It works for any odd modulus, prime or not.
 *
 * Even modulus m: only odd a have an inverse, so with t = 1/m mod a,
 *
 *     1/a mod m = (1 + m * (a - t)) / a     exactly,
 *
 * which can be checked by multiplying out. This is also quick for small a
 * (RSA's public exponent), since the work is done modulo a.
 */
#include "crypto/bignum.h"

#include "crypto/ct.h"
#include "runtime/base.h"

/* Rounds between two checkpoints: some 30 us at 2048 bits. */
#define CHECKPOINT_ROUNDS 128u

typedef struct {
  size_t n;
  const limb_t* m;
  limb_t *x, *y;               /* the numbers */
  limb_t *x_factor, *y_factor; /* X and Y above, below m */
  limb_t* t;
} gcd_t;

/* One round. Returns a mask that is set when x and y have been exchanged,
 * which is when the sign changes. */
static limb_t gcd_round(gcd_t* g) {
  size_t n = g->n;
  limb_t x_odd = ct_mask(g->x[0] & 1);

  /* y is odd. An odd x that is smaller would go negative: exchange. */
  limb_t exchange = x_odd & bignum_less(g->x, g->y, n);
  bignum_swap_masked(g->x, g->y, exchange, n);
  bignum_swap_masked(g->x_factor, g->y_factor, exchange, n);

  (void) bignum_sub_masked(g->x, g->y, x_odd, n);
  bignum_halve(g->x, g->x, 0, n);

  /* X = (X + Y) / 2 or X / 2, modulo m: an odd X is made even by adding m,
   * and what that carries out is the top bit of the half. */
  limb_t top = bignum_add_masked(g->x_factor, g->y_factor, x_odd, n);
  limb_t borrow = bignum_sub(g->t, g->x_factor, g->m, n);
  bignum_copy_masked(g->x_factor, g->t, ct_mask(top | (borrow ^ 1)), n);

  limb_t factor_odd = ct_mask(g->x_factor[0] & 1);
  top = bignum_add_masked(g->x_factor, g->m, factor_odd, n);
  bignum_halve(g->x_factor, g->x_factor, top, n);
  return exchange;
}


/* r = 1/a mod m for odd m and a < m. */
static bool inverse_odd(limb_t* r,
                        const limb_t* a,
                        const limb_t* m,
                        size_t n,
                        bignum_scratch_t* s) {
  size_t mark = s->used;
  gcd_t g = {
      .n = n,
      .m = m,
      .x = bignum_scratch_take(s, n),
      .y = bignum_scratch_take(s, n),
      .x_factor = bignum_scratch_take(s, n),
      .y_factor = bignum_scratch_take(s, n),
      .t = bignum_scratch_take(s, n),
  };
  size_t rounds = 2 * bignum_bits(m, n);
  limb_t negative = 0; /* whether sign is -1 */

  memcpy(g.x, a, n * sizeof(limb_t));
  memcpy(g.y, m, n * sizeof(limb_t));
  memset(g.x_factor, 0, n * sizeof(limb_t));
  memset(g.y_factor, 0, n * sizeof(limb_t));
  g.x_factor[0] = 1;
  for (size_t i = 0; i < rounds; i++) {
    negative ^= gcd_round(&g);
    if (i % CHECKPOINT_ROUNDS == 0)
      uvx_job_checkpoint();
  }

  /* y = -sign * Y * a = 1. */
  (void) bignum_sub(r, m, g.y_factor, n);
  bignum_copy_masked(r, g.y_factor, negative, n);

  g.y[0] ^= 1;
  bool found = bignum_is_zero(g.y, n) != 0;
  bignum_scratch_drop(s, mark);
  return found;
}


/* w /= a, exactly, modulo 2^(64 n), for odd a of a_count limbs. */
static void divide_exactly(limb_t* w,
                           size_t n,
                           const limb_t* a,
                           size_t a_count) {
  limb_t inverse = 3 * a[0] ^ 2; /* see bignum_mont_init */
  for (int round = 0; round < 4; round++)
    inverse *= 2 - a[0] * inverse;

  for (size_t i = 0; i < n; i++) {
    size_t count = a_count < n - i ? a_count : n - i;
    limb_t q = w[i] * inverse;
    limb_t borrow = bignum_mul_sub(w + i, a, q, count);

    for (size_t j = i + count; j < n; j++) {
      limb2_t difference = (limb2_t) w[j] - borrow;
      w[j] = (limb_t) difference;
      borrow = (limb_t) (difference >> 64) & 1;
    }
    w[i] = q;
  }
}


/* r = 1/a mod m for odd a of a_count limbs, the top one not 0; a < m. With an
 * a of 1 everything is modulo 1 inside, and comes out right. */
static bool inverse_by_odd(limb_t* r,
                           const limb_t* a,
                           size_t a_count,
                           const limb_t* m,
                           size_t n,
                           bignum_scratch_t* s) {
  size_t mark = s->used;
  limb_t* rest = bignum_scratch_take(s, a_count);
  limb_t* t = bignum_scratch_take(s, a_count);

  bignum_div(NULL, rest, m, n, a, a_count, s);
  bool found = inverse_odd(t, rest, a, a_count, s);

  /* 1 + m * (a - t), of which only what fits r is wanted. */
  (void) bignum_sub(t, a, t, a_count);
  memset(r, 0, n * sizeof(limb_t));
  r[0] = 1;
  for (size_t i = 0; i < a_count; i++)
    (void) bignum_mul_add(r + i, m, t[i], n - i);
  divide_exactly(r, n, a, a_count);

  bignum_scratch_drop(s, mark);
  return found;
}


bool bignum_inverse(limb_t* r,
                    const limb_t* a,
                    const limb_t* m,
                    size_t n,
                    bignum_scratch_t* s) {
  ASSERT(n > 0);
  ASSERT(m[n - 1] != 0);

  size_t a_count = bignum_trim(a, n);
  if (a_count == 0)
    return false;

  /* With an m of one limb, dividing by a first would gain nothing. */
  if ((m[0] & 1) == 1 && (n == 1 || a_count > 1 || (a[0] & 1) == 0))
    return inverse_odd(r, a, m, n, s);
  if ((a[0] & 1) == 0)
    return false; /* both are even */
  return inverse_by_odd(r, a, a_count, m, n, s);
}

/*
 * crypto/bignum_div.c - division in constant time.
 *
 * School division (Knuth, TAOCP 2, 4.3.1, algorithm D), with its guesses
 * corrected by masks instead of branches: with a divisor whose top bit is set,
 * a quotient limb guessed from the top limb is at most 2 too large, so exactly
 * two masked corrections follow each step.
 *
 * A processor's division instruction takes a time that depends on its
 * operands (and 128/64 bits would need the compiler's library), so limbs are
 * divided by multiplying with a reciprocal: Moeller and Granlund, "Improved
 * division by invariant integers", algorithm 4. The reciprocal itself comes
 * from Newton's iteration.
 */
#include "crypto/bignum.h"

#include "crypto/ct.h"
#include "runtime/base.h"

/*
 * Newton on v, where 2^64 + v approaches 2^128 / d from below. It begins with
 * the tangent of 1/x at x = 3/4, whose relative error is at most 1/9; each
 * round squares the error: 1/9 -> 2^-6 -> 2^-12 -> 2^-25 -> 2^-50 -> below
 * 2^-64. What truncation leaves is made up by the steps at the end.
 *
 * That the top bit of d is set is not asserted: d is a secret, and an ASSERT
 * is a branch.
 */
limb_t bignum_reciprocal(limb_t d) {
  /* (8/3 - 16/9 x - 1) * 2^64 for x = d / 2^64; 16/9 = 1 + 7/9. */
  const limb_t five_thirds_less_one = 0xaaaaaaaaaaaaaaaau; /* 2/3 */
  const limb_t seven_ninths = 0xc71c71c71c71c71cu;
  limb2_t slope = (limb2_t) d + (limb_t) ((limb2_t) d * seven_ninths >> 64) + 1;
  limb2_t start = ((limb2_t) 1 << 64) + five_thirds_less_one - slope;
  limb_t negative = ct_mask((limb_t) (start >> 127));
  limb_t v = (limb_t) start & ~negative;

  for (int round = 0; round < 5; round++) {
    /* How much is missing: 2^128 - d * (2^64 + v), its top half. */
    limb2_t reached = ((limb2_t) d << 64) + (limb2_t) d * v;
    limb_t missing = (limb_t) ((0 - reached) >> 64);

    v += missing + (limb_t) ((limb2_t) v * missing >> 64);
  }
  for (int step = 0; step < 4; step++) {
    limb2_t missing = 0 - (((limb2_t) d << 64) + (limb2_t) d * v);
    limb_t high = (limb_t) (missing >> 64);

    v += ct_bit_not_zero(high) | ct_bit_less(d, (limb_t) missing);
  }
  return v;
}


/* (high, low) / d for high < d. Returns the quotient. */
static inline limb_t div_limb(
    limb_t high, limb_t low, limb_t d, limb_t reciprocal, limb_t* remainder) {
  limb2_t q = (limb2_t) reciprocal * high;
  q += ((limb2_t) high << 64) + low;
  limb_t quotient = (limb_t) (q >> 64) + 1;
  limb_t r = low - quotient * d;

  limb_t too_large = (limb_t) 0 - ct_bit_less((limb_t) q, r);
  quotient += too_large;
  r += d & too_large;

  limb_t once_more = ct_bit_less(r, d) - 1;
  quotient -= once_more;
  r -= d & once_more;

  *remainder = r;
  return quotient;
}


/* r = a << shift over n limbs, for shift below 64. Returns what went out. */
static limb_t shift_up(limb_t* r, const limb_t* a, unsigned shift, size_t n) {
  limb_t out = 0;

  for (size_t i = 0; i < n; i++) {
    limb2_t t = (limb2_t) a[i] << shift;
    r[i] = (limb_t) t | out;
    out = (limb_t) (t >> 64);
  }
  return out;
}


static limb_t div_by_limb(limb_t* q, const limb_t* a, size_t n, limb_t d) {
  unsigned shift = (unsigned) __builtin_clzll(d);
  limb_t divisor = d << shift;
  limb_t reciprocal = bignum_reciprocal(divisor);
  limb_t r = (limb_t) ((limb2_t) a[n - 1] << shift >> 64);

  for (size_t i = n; i-- > 0;) {
    limb_t below = i > 0 ? a[i - 1] : 0;
    limb2_t pair = ((limb2_t) a[i] << 64 | below) << shift;
    limb_t quotient =
        div_limb(r, (limb_t) (pair >> 64), divisor, reciprocal, &r);

    if (q != NULL)
      q[i] = quotient;
  }
  return r >> shift;
}


limb_t bignum_mod_word(const limb_t* a, size_t n, limb_t d) {
  ASSERT(n > 0);
  ASSERT(d != 0);

  return div_by_limb(NULL, a, n, d);
}


/*
 * One limb of the quotient: take from u, of n + 1 limbs, as many v as go.
 */
static limb_t div_step(limb_t* u, const limb_t* v, size_t n, limb_t recip) {
  limb_t ignored;
  limb_t top = v[n - 1];
  limb_t guess = div_limb(u[n], u[n - 1], top, recip, &ignored);

  guess |= ct_equal_word(u[n], top); /* the guess would be 2^64: take less */
  u[n] -= bignum_mul_sub(u, v, guess, n);

  for (int correction = 0; correction < 2; correction++) {
    limb_t negative = ct_mask(u[n] >> 63);

    u[n] += bignum_add_masked(u, v, negative, n);
    guess += negative;
  }
  return guess;
}


/* tidy: allow parameters: as in bignum.h */
void bignum_div(limb_t* q,
                limb_t* r,
                const limb_t* a,
                size_t a_count,
                const limb_t* b,
                size_t b_count,
                bignum_scratch_t* s) {
  ASSERT(b_count > 0);
  ASSERT(a_count >= b_count);
  ASSERT(b[b_count - 1] != 0);

  if (b_count == 1) {
    limb_t remainder = div_by_limb(q, a, a_count, b[0]);
    if (r != NULL)
      r[0] = remainder;
    return;
  }

  size_t mark = s->used;
  limb_t* u = bignum_scratch_take(s, a_count + 1);
  limb_t* v = bignum_scratch_take(s, b_count);
  unsigned shift = (unsigned) __builtin_clzll(b[b_count - 1]);

  (void) shift_up(v, b, shift, b_count);
  u[a_count] = shift_up(u, a, shift, a_count);

  limb_t reciprocal = bignum_reciprocal(v[b_count - 1]);
  for (size_t i = a_count - b_count + 1; i-- > 0;) {
    limb_t quotient = div_step(u + i, v, b_count, reciprocal);
    if (q != NULL)
      q[i] = quotient;
  }

  for (size_t i = 0; r != NULL && i < b_count; i++) {
    limb2_t pair = (limb2_t) u[i + 1] << 64 | u[i];
    r[i] = (limb_t) (pair >> shift);
  }
  bignum_scratch_drop(s, mark);
}

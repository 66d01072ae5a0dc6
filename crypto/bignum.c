/*
 * crypto/bignum.c - natural numbers: add, subtract, compare, multiply, convert.
 *
 * Every loop runs over the whole length it was given and has no branch on a
 * limb. The two exceptions, bignum_bits and bignum_trim, say so in bignum.h.
 */
#include "crypto/bignum.h"

#include "crypto/ct.h"
#include "runtime/base.h"

limb_t* bignum_scratch_take(bignum_scratch_t* s, size_t count) {
  size_t rounded = (count + 3) & ~(size_t) 3; /* keeps 32-byte alignment */

  ASSERT(s->used <= s->count);
  ASSERT(rounded <= s->count - s->used);

  limb_t* taken = s->limbs + s->used;
  s->used += rounded;
  return taken;
}


void bignum_scratch_drop(bignum_scratch_t* s, size_t mark) {
  ASSERT(mark <= s->used);

  ct_wipe(s->limbs + mark, (s->used - mark) * sizeof(limb_t));
  s->used = mark;
}


limb_t bignum_add(limb_t* r, const limb_t* a, const limb_t* b, size_t n) {
  limb_t carry = 0;

  for (size_t i = 0; i < n; i++) {
    limb2_t sum = (limb2_t) a[i] + b[i] + carry;
    r[i] = (limb_t) sum;
    carry = (limb_t) (sum >> 64);
  }
  return carry;
}


limb_t bignum_sub(limb_t* r, const limb_t* a, const limb_t* b, size_t n) {
  limb_t borrow = 0;

  for (size_t i = 0; i < n; i++) {
    limb2_t difference = (limb2_t) a[i] - b[i] - borrow;
    r[i] = (limb_t) difference;
    borrow = (limb_t) (difference >> 64) & 1;
  }
  return borrow;
}


limb_t bignum_add_masked(limb_t* r, const limb_t* b, limb_t mask, size_t n) {
  limb_t carry = 0;

  for (size_t i = 0; i < n; i++) {
    limb2_t sum = (limb2_t) r[i] + (b[i] & mask) + carry;
    r[i] = (limb_t) sum;
    carry = (limb_t) (sum >> 64);
  }
  return carry;
}


limb_t bignum_sub_masked(limb_t* r, const limb_t* b, limb_t mask, size_t n) {
  limb_t borrow = 0;

  for (size_t i = 0; i < n; i++) {
    limb2_t difference = (limb2_t) r[i] - (b[i] & mask) - borrow;
    r[i] = (limb_t) difference;
    borrow = (limb_t) (difference >> 64) & 1;
  }
  return borrow;
}


limb_t bignum_mul_add(limb_t* r, const limb_t* a, limb_t b, size_t n) {
  limb_t carry = 0;

  for (size_t i = 0; i < n; i++) {
    limb2_t t = (limb2_t) a[i] * b + r[i] + carry;
    r[i] = (limb_t) t;
    carry = (limb_t) (t >> 64);
  }
  return carry;
}


limb_t bignum_mul_sub(limb_t* r, const limb_t* a, limb_t b, size_t n) {
  limb_t carry = 0;

  for (size_t i = 0; i < n; i++) {
    limb2_t t = (limb2_t) a[i] * b + carry;
    limb2_t difference = (limb2_t) r[i] - (limb_t) t;
    r[i] = (limb_t) difference;
    carry = (limb_t) (t >> 64) + ((limb_t) (difference >> 64) & 1);
  }
  return carry;
}


void bignum_mul(limb_t* r,
                const limb_t* a,
                size_t a_count,
                const limb_t* b,
                size_t b_count) {
  memset(r, 0, (a_count + b_count) * sizeof(limb_t));
  for (size_t i = 0; i < b_count; i++)
    r[i + a_count] = bignum_mul_add(r + i, a, b[i], a_count);
}


limb_t bignum_is_zero(const limb_t* a, size_t n) {
  limb_t any = 0;

  for (size_t i = 0; i < n; i++)
    any |= a[i];
  return ct_is_zero(any);
}


limb_t bignum_equal(const limb_t* a, const limb_t* b, size_t n) {
  limb_t difference = 0;

  for (size_t i = 0; i < n; i++)
    difference |= a[i] ^ b[i];
  return ct_is_zero(difference);
}


limb_t bignum_less(const limb_t* a, const limb_t* b, size_t n) {
  limb_t borrow = 0;

  for (size_t i = 0; i < n; i++) {
    limb2_t difference = (limb2_t) a[i] - b[i] - borrow;
    borrow = (limb_t) (difference >> 64) & 1;
  }
  return ct_mask(borrow);
}


void bignum_copy_masked(limb_t* r, const limb_t* a, limb_t mask, size_t n) {
  for (size_t i = 0; i < n; i++)
    r[i] = ct_select(mask, a[i], r[i]);
}


void bignum_swap_masked(limb_t* a, limb_t* b, limb_t mask, size_t n) {
  for (size_t i = 0; i < n; i++) {
    limb_t change = (a[i] ^ b[i]) & mask;
    a[i] ^= change;
    b[i] ^= change;
  }
}


void bignum_halve(limb_t* r, const limb_t* a, limb_t top, size_t n) {
  for (size_t i = 0; i + 1 < n; i++)
    r[i] = a[i] >> 1 | a[i + 1] << 63;
  r[n - 1] = a[n - 1] >> 1 | top << 63;
}


void bignum_mod_double(limb_t* r, const limb_t* m, limb_t* t, size_t n) {
  bignum_mod_add(r, r, r, m, t, n);
}


void bignum_mod_add(limb_t* r,
                    const limb_t* a,
                    const limb_t* b,
                    const limb_t* m,
                    limb_t* t,
                    size_t n) {
  limb_t carry = bignum_add(r, a, b, n);
  limb_t borrow = bignum_sub(t, r, m, n);

  /* The sum is below 2m: it was too large if it overflowed, or if m could be
   * taken away without a borrow. */
  bignum_copy_masked(r, t, ct_mask(carry | (borrow ^ 1)), n);
}


void bignum_mod_sub(
    limb_t* r, const limb_t* a, const limb_t* b, const limb_t* m, size_t n) {
  limb_t borrow = bignum_sub(r, a, b, n);

  (void) bignum_add_masked(r, m, ct_mask(borrow), n);
}


size_t bignum_trim(const limb_t* a, size_t n) {
  while (n > 0 && a[n - 1] == 0)
    n--;
  return n;
}


size_t bignum_bits(const limb_t* a, size_t n) {
  n = bignum_trim(a, n);
  if (n == 0)
    return 0;
  return n * BIGNUM_LIMB_BITS - (size_t) __builtin_clzll(a[n - 1]);
}


bool bignum_from_bytes(limb_t* r, size_t n, const uint8_t* bytes, size_t size) {
  uint64_t excess = 0;

  memset(r, 0, n * sizeof(limb_t));
  for (size_t i = 0; i < size; i++) {
    limb_t byte = bytes[size - 1 - i];
    size_t limb = i / BIGNUM_LIMB_SIZE;

    if (limb < n)
      r[limb] |= byte << (8 * (i % BIGNUM_LIMB_SIZE));
    else
      excess |= byte;
  }
  return excess == 0;
}


bool bignum_to_bytes(uint8_t* bytes, size_t size, const limb_t* a, size_t n) {
  limb_t excess = 0;

  for (size_t i = 0; i < size; i++) {
    size_t limb = i / BIGNUM_LIMB_SIZE;
    limb_t value = limb < n ? a[limb] : 0;

    bytes[size - 1 - i] = (uint8_t) (value >> (8 * (i % BIGNUM_LIMB_SIZE)));
  }
  for (size_t i = size; i < n * BIGNUM_LIMB_SIZE; i++)
    excess |= a[i / BIGNUM_LIMB_SIZE] >> (8 * (i % BIGNUM_LIMB_SIZE)) & 0xff;
  return excess == 0;
}

/*
 * crypto/bignum_mont.c - multiplication and powers modulo an odd number.
 *
 * Montgomery's method: with R = 2^(64 n), numbers stand as x * R mod m, and a
 * product is divided by R instead of by m. One limb of the other factor is
 * multiplied in and one limb of the result divided out in the same pass (the
 * finely integrated form), which keeps two independent chains of carries.
 *
 * Powers use windows of WINDOW_BITS bits. All powers of a window are read and
 * masked for each one used, so memory accesses do not tell which it was.
 *
 * The kernels are compiled anew for the sizes that matter, so that loops have
 * known ends. MULX/ADX kernels would take the place of mul_kernel and
 * sqr_kernel in the two switches below, and nothing else would change.
 */
#include "crypto/bignum.h"

#include "crypto/ct.h"
#include "runtime/base.h"

#define WINDOW_BITS 5u
#define WINDOW_SIZE (1u << WINDOW_BITS)

/* Exponents of one limb, such as 65537, aren't worth a table of 32. */
#define SHORT_WINDOW_BITS 3u

#define KERNEL static inline __attribute__((always_inline))

/* r = t, or t - m when that is not negative; `top` is the limb above t. */
KERNEL void reduce_once(
    limb_t* r, const limb_t* t, limb_t top, const limb_t* m, size_t n) {
  limb_t borrow = 0;

  for (size_t i = 0; i < n; i++) {
    limb2_t difference = (limb2_t) t[i] - m[i] - borrow;
    r[i] = (limb_t) difference;
    borrow = (limb_t) (difference >> 64) & 1;
  }

  limb_t keep = ct_mask(borrow & (top ^ 1));
  for (size_t i = 0; i < n; i++)
    r[i] = ct_select(keep, t[i], r[i]);
}


KERNEL void mul_kernel(limb_t* r,
                       const limb_t* a,
                       const limb_t* b,
                       const bignum_mont_t* mont,
                       size_t n) {
  const limb_t* restrict m = mont->m;
  limb_t* restrict t = mont->work;
  limb_t top = 0;

  for (size_t i = 0; i < n; i++)
    t[i] = 0;
  for (size_t i = 0; i < n; i++) {
    limb_t factor = b[i];
    limb2_t x = (limb2_t) a[0] * factor + t[0];
    limb_t q = (limb_t) x * mont->inverse;
    limb2_t y = (limb2_t) m[0] * q + (limb_t) x; /* its low limb is 0 */
    limb_t carry_x = (limb_t) (x >> 64);
    limb_t carry_y = (limb_t) (y >> 64);

    for (size_t j = 1; j < n; j++) {
      x = (limb2_t) a[j] * factor + t[j] + carry_x;
      carry_x = (limb_t) (x >> 64);
      y = (limb2_t) m[j] * q + (limb_t) x + carry_y;
      carry_y = (limb_t) (y >> 64);
      t[j - 1] = (limb_t) y;
    }

    limb2_t sum = (limb2_t) top + carry_x + carry_y;
    t[n - 1] = (limb_t) sum;
    top = (limb_t) (sum >> 64);
  }
  reduce_once(r, t, top, m, n);
}


/* t = a * a, of 2n limbs: products of unlike limbs once, doubled, and then the
 * squares. */
KERNEL void square(limb_t* restrict t, const limb_t* a, size_t n) {
  for (size_t i = 0; i < 2 * n; i++)
    t[i] = 0;
  for (size_t i = 0; i + 1 < n; i++) {
    limb_t carry = 0;

    for (size_t j = i + 1; j < n; j++) {
      limb2_t x = (limb2_t) a[i] * a[j] + t[i + j] + carry;
      t[i + j] = (limb_t) x;
      carry = (limb_t) (x >> 64);
    }
    t[i + n] = carry;
  }

  limb_t shifted = 0;
  limb_t carry = 0;
  for (size_t i = 0; i < n; i++) {
    limb2_t x = (limb2_t) a[i] * a[i];
    limb_t low = t[2 * i] << 1 | shifted;
    limb_t high = t[2 * i + 1] << 1 | t[2 * i] >> 63;
    shifted = t[2 * i + 1] >> 63;

    limb2_t sum = (limb2_t) low + (limb_t) x + carry;
    t[2 * i] = (limb_t) sum;
    sum = (limb2_t) high + (limb_t) (x >> 64) + (limb_t) (sum >> 64);
    t[2 * i + 1] = (limb_t) sum;
    carry = (limb_t) (sum >> 64);
  }
}


/* Divide t, of 2n limbs, by R. What is left of t is its upper half. */
KERNEL limb_t reduce(limb_t* restrict t,
                     const limb_t* restrict m,
                     limb_t inverse,
                     size_t n) {
  limb_t top = 0;

  for (size_t i = 0; i < n; i++) {
    limb_t q = t[i] * inverse;
    limb_t carry = 0;

    for (size_t j = 0; j < n; j++) {
      limb2_t x = (limb2_t) m[j] * q + t[i + j] + carry;
      t[i + j] = (limb_t) x;
      carry = (limb_t) (x >> 64);
    }

    limb2_t sum = (limb2_t) t[i + n] + carry + top;
    t[i + n] = (limb_t) sum;
    top = (limb_t) (sum >> 64);
  }
  return top;
}


KERNEL void sqr_kernel(limb_t* r,
                       const limb_t* a,
                       const bignum_mont_t* mont,
                       size_t n) {
  limb_t* t = mont->work;

  square(t, a, n);
  limb_t top = reduce(t, mont->m, mont->inverse, n);
  reduce_once(r, t + n, top, mont->m, n);
}


void bignum_mont_mul(limb_t* r,
                     const limb_t* a,
                     const limb_t* b,
                     const bignum_mont_t* mont) {
  switch (mont->n) {
    case 4:
      mul_kernel(r, a, b, mont, 4);
      break;
    case 6:
      mul_kernel(r, a, b, mont, 6);
      break;
    case 9:
      mul_kernel(r, a, b, mont, 9);
      break;
    case 16:
      mul_kernel(r, a, b, mont, 16);
      break;
    case 24:
      mul_kernel(r, a, b, mont, 24);
      break;
    case 32:
      mul_kernel(r, a, b, mont, 32);
      break;
    case 48:
      mul_kernel(r, a, b, mont, 48);
      break;
    default:
      mul_kernel(r, a, b, mont, mont->n);
  }
}


void bignum_mont_sqr(limb_t* r, const limb_t* a, const bignum_mont_t* mont) {
  switch (mont->n) {
    case 4:
      sqr_kernel(r, a, mont, 4);
      break;
    case 6:
      sqr_kernel(r, a, mont, 6);
      break;
    case 9:
      sqr_kernel(r, a, mont, 9);
      break;
    case 16:
      sqr_kernel(r, a, mont, 16);
      break;
    case 24:
      sqr_kernel(r, a, mont, 24);
      break;
    case 32:
      sqr_kernel(r, a, mont, 32);
      break;
    case 48:
      sqr_kernel(r, a, mont, 48);
      break;
    default:
      sqr_kernel(r, a, mont, mont->n);
  }
}


void bignum_mont_init(bignum_mont_t* mont,
                      const limb_t* m,
                      size_t n,
                      limb_t* room) {
  ASSERT(n > 0);
  ASSERT(n <= BIGNUM_MODULUS_LIMBS_MAX);
  ASSERT((m[0] & 1) == 1);
  ASSERT(m[n - 1] != 0);
  ASSERT(n > 1 || m[0] > 1);

  /* Each round doubles the count of right bits; 3 m xor 2 has five. */
  limb_t inverse = 3 * m[0] ^ 2;
  for (int round = 0; round < 4; round++)
    inverse *= 2 - m[0] * inverse;

  mont->n = n;
  mont->m = m;
  mont->inverse = (limb_t) 0 - inverse;
  mont->one = room;
  mont->r_squared = room + n;
  mont->work = room + 2 * n;

  /* R mod m, by doubling the largest power of 2 below m. */
  size_t bits = bignum_bits(m, n);
  memset(mont->one, 0, n * sizeof(limb_t));
  mont->one[(bits - 1) / 64] = (limb_t) 1 << (bits - 1) % 64;
  for (size_t i = bits - 1; i < 64 * n; i++)
    bignum_mod_double(mont->one, m, mont->work, n);

  /* 2^n R, then squared six times: 2^(64 n) R. */
  memcpy(mont->r_squared, mont->one, n * sizeof(limb_t));
  for (size_t i = 0; i < n; i++)
    bignum_mod_double(mont->r_squared, m, mont->work, n);
  for (int i = 0; i < 6; i++)
    bignum_mont_sqr(mont->r_squared, mont->r_squared, mont);
}


void bignum_mont_enter(limb_t* r, const limb_t* a, const bignum_mont_t* mont) {
  bignum_mont_mul(r, a, mont->r_squared, mont);
}


void bignum_mont_leave(limb_t* r, const limb_t* a, const bignum_mont_t* mont) {
  size_t n = mont->n;
  limb_t* t = mont->work;

  memcpy(t, a, n * sizeof(limb_t));
  memset(t + n, 0, n * sizeof(limb_t));
  limb_t top = reduce(t, mont->m, mont->inverse, n);
  reduce_once(r, t + n, top, mont->m, n);
}


/* r = table[index], reading all `count` entries of n limbs. */
static void table_read(
    limb_t* r, const limb_t* table, size_t count, size_t n, limb_t index) {
  memset(r, 0, n * sizeof(limb_t));
  for (size_t i = 0; i < count; i++) {
    limb_t mask = ct_equal_word(i, index);

    for (size_t j = 0; j < n; j++)
      r[j] |= table[i * n + j] & mask;
  }
}


/* `count` bits of a number from bit `low` on; bits above its end are 0. */
static limb_t bits_at(const limb_t* a, size_t n, size_t low, size_t count) {
  size_t limb = low / BIGNUM_LIMB_BITS;
  limb_t above = limb + 1 < n ? a[limb + 1] : 0;
  limb2_t pair = (limb2_t) above << 64 | a[limb];

  return (limb_t) (pair >> low % BIGNUM_LIMB_BITS) &
         (((limb_t) 1 << count) - 1);
}


void bignum_mont_power(limb_t* r,
                       const limb_t* base,
                       const limb_t* exponent,
                       size_t exponent_count,
                       const bignum_mont_t* mont,
                       bignum_scratch_t* s) {
  size_t n = mont->n;
  size_t window = exponent_count > 1 ? WINDOW_BITS : SHORT_WINDOW_BITS;
  size_t table_count = (size_t) 1 << window;
  size_t mark = s->used;
  limb_t* table = bignum_scratch_take(s, table_count * n);
  limb_t* factor = bignum_scratch_take(s, n);

  memcpy(table, mont->one, n * sizeof(limb_t));
  memcpy(table + n, base, n * sizeof(limb_t));
  for (size_t i = 2; i < table_count; i++)
    bignum_mont_mul(table + i * n, table + (i - 1) * n, base, mont);

  size_t windows = (exponent_count * BIGNUM_LIMB_BITS + window - 1) / window;
  memcpy(r, mont->one, n * sizeof(limb_t));
  for (size_t i = windows; i-- > 0;) {
    for (size_t bit = 0; bit < window && i + 1 < windows; bit++)
      bignum_mont_sqr(r, r, mont);
    table_read(factor, table, table_count, n,
               bits_at(exponent, exponent_count, i * window, window));
    bignum_mont_mul(r, r, factor, mont);
    uvx_job_checkpoint();
  }
  bignum_scratch_drop(s, mark);
}


void bignum_mont_power_public(limb_t* r,
                              const limb_t* base,
                              const limb_t* exponent,
                              size_t exponent_count,
                              const bignum_mont_t* mont,
                              bignum_scratch_t* s) {
  size_t n = mont->n;
  size_t mark = s->used;
  limb_t* factor = bignum_scratch_take(s, n);
  size_t bits = bignum_bits(exponent, exponent_count);

  memcpy(factor, base, n * sizeof(limb_t)); /* r may be base */
  memcpy(r, mont->one, n * sizeof(limb_t));
  for (size_t i = bits; i-- > 0;) {
    bignum_mont_sqr(r, r, mont);
    if (bits_at(exponent, exponent_count, i, 1) == 1)
      bignum_mont_mul(r, r, factor, mont);
    if (i % 8 == 0)
      uvx_job_checkpoint();
  }
  bignum_scratch_drop(s, mark);
}

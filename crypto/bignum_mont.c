/*
 * crypto/bignum_mont.c - multiplication and powers modulo an odd number.
 *
 * Montgomery's method: with R = 2^(64 n), numbers stand as x * R mod m, and a
 * product is divided by R instead of by m. It is computed column by column:
 * all products that end in one limb of the result are summed up in three
 * registers, those of the two factors and those that make the limb 0 (the
 * product-scanning form). So nothing but the result is stored, and compilers
 * make an add and two adc of each sum.
 *
 * Powers use windows of WINDOW_BITS bits. All powers of a window are read and
 * masked for each one used, so memory accesses do not tell which it was.
 *
 * The kernels are compiled anew for the sizes of common curves, so that loops
 * have known ends. MULX/ADX kernels would take the place of mul_kernel and
 * sqr_kernel in the two switches below, and nothing else would change.
 */
#include "crypto/bignum.h"

#include "crypto/ct.h"
#include "runtime/base.h"

#define WINDOW_BITS 5u

/* Exponents of one limb, such as 65537, aren't worth a table of 32. */
#define SHORT_WINDOW_BITS 3u

/* From here on squares have a kernel of their own. */
#define SQUARE_LIMBS_MIN 16u

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


/* The sum of a column: three limbs, as up to 2^64 products go into it. */
typedef struct {
  limb2_t low;
  limb_t high;
} sum_t;

KERNEL void sum_product(sum_t* s, limb_t a, limb_t b) {
  s->high += __builtin_add_overflow(s->low, (limb2_t) a * b, &s->low);
}


/* Add a[0] * b[0] + a[1] * b[-1] + ... to s, `count` products. */
KERNEL void sum_column(sum_t* s,
                       const limb_t* a,
                       const limb_t* b,
                       size_t count) {
  size_t i = 0;

  for (; i + 4 <= count; i += 4) {
    sum_product(s, a[i], *(b - i));
    sum_product(s, a[i + 1], *(b - i - 1));
    sum_product(s, a[i + 2], *(b - i - 2));
    sum_product(s, a[i + 3], *(b - i - 3));
  }
  for (; i < count; i++)
    sum_product(s, a[i], *(b - i));
}


/* Go on to the next column. Returns the limb that is done. */
KERNEL limb_t sum_shift(sum_t* s) {
  limb_t done = (limb_t) s->low;

  s->low = s->low >> 64 | (limb2_t) s->high << 64;
  s->high = 0;
  return done;
}


/* Add the multiple of m that makes the lowest limb 0, and note which. */
KERNEL limb_t sum_cancel(sum_t* s, const bignum_mont_t* mont) {
  limb_t q = (limb_t) s->low * mont->inverse;

  sum_product(s, q, mont->m[0]);
  (void) sum_shift(s);
  return q;
}


KERNEL void mul_kernel(limb_t* r,
                       const limb_t* a,
                       const limb_t* b,
                       const bignum_mont_t* mont,
                       size_t n) {
  const limb_t* m = mont->m;
  limb_t* q = mont->work;
  limb_t* t = mont->work + n;
  sum_t s = {0, 0};

  for (size_t i = 0; i < n; i++) {
    sum_column(&s, a, b + i, i + 1);
    sum_column(&s, q, m + i, i);
    q[i] = sum_cancel(&s, mont);
  }
  for (size_t i = 1; i < n; i++) {
    sum_column(&s, a + i, b + n - 1, n - i);
    sum_column(&s, q + i, m + n - 1, n - i);
    t[i - 1] = sum_shift(&s);
  }
  t[n - 1] = sum_shift(&s);
  reduce_once(r, t, (limb_t) s.low, m, n);
}


/* Add the products of unlike limbs of a twice: a[0] * b[0] + a[1] * b[-1] and
 * so on, `count` of them; and then, if that leaves one over, its square. */
KERNEL void sum_squares(sum_t* s,
                        const limb_t* a,
                        const limb_t* b,
                        size_t count) {
  sum_t half = {0, 0};

  sum_column(&half, a, b, count / 2);
  s->high += half.high << 1 | (limb_t) (half.low >> 127);
  s->high += __builtin_add_overflow(s->low, half.low << 1, &s->low);
  if (count % 2 != 0)
    sum_product(s, a[count / 2], a[count / 2]);
}


KERNEL void sqr_kernel(limb_t* r,
                       const limb_t* a,
                       const bignum_mont_t* mont,
                       size_t n) {
  const limb_t* m = mont->m;
  limb_t* q = mont->work;
  limb_t* t = mont->work + n;
  sum_t s = {0, 0};

  for (size_t i = 0; i < n; i++) {
    sum_squares(&s, a, a + i, i + 1);
    sum_column(&s, q, m + i, i);
    q[i] = sum_cancel(&s, mont);
  }
  for (size_t i = 1; i < n; i++) {
    sum_squares(&s, a + i, a + n - 1, n - i);
    sum_column(&s, q + i, m + n - 1, n - i);
    t[i - 1] = sum_shift(&s);
  }
  t[n - 1] = sum_shift(&s);
  reduce_once(r, t, (limb_t) s.low, m, n);
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
    default:
      mul_kernel(r, a, b, mont, mont->n);
  }
}


/* Below some size the saving is less than what short columns cost. */
void bignum_mont_sqr(limb_t* r, const limb_t* a, const bignum_mont_t* mont) {
  if (mont->n < SQUARE_LIMBS_MIN)
    bignum_mont_mul(r, a, a, mont);
  else
    sqr_kernel(r, a, mont, mont->n);
}


void bignum_mont_init(bignum_mont_t* mont,
                      const limb_t* m,
                      size_t n,
                      limb_t* room) {
  ASSERT(n > 0);
  ASSERT(n <= BIGNUM_MODULUS_LIMBS_MAX);
  ASSERT((m[0] & 1) == 1);
  ASSERT(m[n - 1] != 0);
  ASSERT(n > 1 || m[0] != 1); /* odd, so not 0 */

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


/* As a product with 1, of which only the first column has a product. */
void bignum_mont_leave(limb_t* r, const limb_t* a, const bignum_mont_t* mont) {
  size_t n = mont->n;
  limb_t* q = mont->work;
  limb_t* t = mont->work + n;
  sum_t s = {0, 0};

  for (size_t i = 0; i < n; i++) {
    sum_product(&s, a[i], 1);
    sum_column(&s, q, mont->m + i, i);
    q[i] = sum_cancel(&s, mont);
  }
  for (size_t i = 1; i < n; i++) {
    sum_column(&s, q + i, mont->m + n - 1, n - i);
    t[i - 1] = sum_shift(&s);
  }
  t[n - 1] = sum_shift(&s);
  reduce_once(r, t, (limb_t) s.low, mont->m, n);
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

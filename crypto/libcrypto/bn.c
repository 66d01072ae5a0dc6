/*
 * crypto/libcrypto/bn.c - OpenSSL's BN_*, on crypto/bignum.h.
 *
 * libtpms makes thousands of these numbers for a key, so they are one block of
 * a fixed size each, and only as much of it as is in use is ever touched.
 * The arena wipes what is freed, so BN_free is as good as BN_clear_free.
 *
 * Answers are OpenSSL's in the corners too, since libtpms shows them to a
 * guest: comparing with NULL, dividing by 0, inverses that don't exist, even
 * moduli, signs. What differs is that numbers end at BN_LIMBS_MAX limbs:
 * beyond it a function fails as OpenSSL's fail without memory.
 */
#include "crypto/libcrypto/asym.h"

#include "crypto/ct.h"
#include "crypto/libcrypto/libc.h"
#include "runtime/base.h"

static limb_t scratch_limbs[BIGNUM_SCRATCH_LIMBS] __attribute__((aligned(64)));
static bignum_scratch_t scratch = {
    .limbs = scratch_limbs,
    .count = BIGNUM_SCRATCH_LIMBS,
};

bignum_scratch_t* libcrypto_scratch(void) {
  return &scratch;
}


int bn_assign(BIGNUM* r, const limb_t* limbs, size_t n) {
  n = bignum_trim(limbs, n);
  if (n > BN_LIMBS_MAX)
    return 0;
  memmove(r->limbs, limbs, n * sizeof(limb_t));
  r->size = n;
  r->negative = 0;
  return 1;
}


void bn_extend(limb_t* r, const BIGNUM* a, size_t n) {
  ASSERT(a->size <= n);

  memcpy(r, a->limbs, a->size * sizeof(limb_t));
  memset(r + a->size, 0, (n - a->size) * sizeof(limb_t));
}


void bn_reduce(limb_t* r, const BIGNUM* a, const limb_t* m, size_t n) {
  if (a->size >= n)
    bignum_div(NULL, r, a->limbs, a->size, m, n, &scratch);
  else
    bn_extend(r, a, n);
  if (a->negative && bignum_is_zero(r, n) == 0)
    (void) bignum_sub(r, m, r, n);
}


BIGNUM* BN_new(void) {
  BIGNUM* a = libc_malloc(sizeof(*a));

  if (a != NULL) {
    a->size = 0;
    a->flags = 0;
    a->negative = 0;
  }
  return a;
}


void BN_free(BIGNUM* a) {
  libc_free(a);
}


void BN_clear_free(BIGNUM* a) {
  libc_free(a);
}


BIGNUM* BN_copy(BIGNUM* r, const BIGNUM* a) {
  memmove(r->limbs, a->limbs, a->size * sizeof(limb_t));
  r->size = a->size;
  r->negative = a->negative;
  return r;
}


BIGNUM* BN_dup(const BIGNUM* a) {
  BIGNUM* r = a != NULL ? BN_new() : NULL;

  return r != NULL ? BN_copy(r, a) : NULL;
}


/* -1, 0 or 1 as |a| is less than, equal to or more than |b|. */
static int compare_absolute(const BIGNUM* a, const BIGNUM* b) {
  if (a->size != b->size)
    return a->size < b->size ? -1 : 1;

  uint64_t less = bignum_less(a->limbs, b->limbs, a->size) & 1;
  uint64_t more = bignum_less(b->limbs, a->limbs, a->size) & 1;
  return (int) more - (int) less;
}


/* As OpenSSL has it, a NULL is above any number, and equal to itself. */
int BN_cmp(const BIGNUM* a, const BIGNUM* b) {
  if (a == NULL || b == NULL)
    return a != NULL ? -1 : b != NULL;
  if (a->negative != b->negative)
    return a->negative ? -1 : 1;
  return a->negative ? compare_absolute(b, a) : compare_absolute(a, b);
}


int BN_is_zero(const BIGNUM* a) {
  return a->size == 0;
}


int BN_num_bits(const BIGNUM* a) {
  return (int) bignum_bits(a->limbs, a->size);
}


void BN_set_flags(BIGNUM* a, int flags) {
  a->flags |= flags;
}


int BN_set_word(BIGNUM* a, BN_ULONG w) {
  limb_t limb = w;

  return bn_assign(a, &limb, 1);
}


BIGNUM* BN_bin2bn(const unsigned char* s, int len, BIGNUM* r) {
  while (len > 0 && *s == 0) {
    s++;
    len--;
  }
  if (len < 0 || (size_t) len > BN_LIMBS_MAX * BIGNUM_LIMB_SIZE)
    return NULL;

  BIGNUM* a = r != NULL ? r : BN_new();
  if (a == NULL)
    return NULL;

  size_t size = ((size_t) len + BIGNUM_LIMB_SIZE - 1) / BIGNUM_LIMB_SIZE;
  bool fits = bignum_from_bytes(a->limbs, size, s, (size_t) len);
  ASSERT(fits);
  a->size = size;
  a->negative = 0;
  return a;
}


int BN_bn2bin(const BIGNUM* a, unsigned char* to) {
  size_t size = (bignum_bits(a->limbs, a->size) + 7) / 8;
  bool fits = bignum_to_bytes(to, size, a->limbs, a->size);

  ASSERT(fits);
  return (int) size;
}


/* r = |a| + |b|. Returns 0 when that has too many limbs. */
static int add_absolute(BIGNUM* r, const BIGNUM* a, const BIGNUM* b) {
  const BIGNUM* longer = a->size < b->size ? b : a;
  const BIGNUM* shorter = a->size < b->size ? a : b;
  size_t n = shorter->size;
  size_t size = longer->size;
  limb_t carry = bignum_add(r->limbs, a->limbs, b->limbs, n);

  for (; n < size; n++) {
    limb2_t sum = (limb2_t) longer->limbs[n] + carry;
    r->limbs[n] = (limb_t) sum;
    carry = (limb_t) (sum >> 64);
  }
  if (carry != 0 && size == BN_LIMBS_MAX)
    return 0;
  if (carry != 0)
    r->limbs[size++] = carry;
  r->size = size;
  return 1;
}


/* r = |a| - |b|, which is not negative. */
static void sub_absolute(BIGNUM* r, const BIGNUM* a, const BIGNUM* b) {
  size_t n = b->size;
  limb_t borrow = bignum_sub(r->limbs, a->limbs, b->limbs, n);

  for (; n < a->size; n++) {
    limb2_t difference = (limb2_t) a->limbs[n] - borrow;
    r->limbs[n] = (limb_t) difference;
    borrow = (limb_t) (difference >> 64) & 1;
  }
  ASSERT(borrow == 0);
  r->size = bignum_trim(r->limbs, n);
}


int BN_sub(BIGNUM* r, const BIGNUM* a, const BIGNUM* b) {
  if (a->negative != b->negative) {
    int negative = a->negative;
    int ok = add_absolute(r, a, b);

    r->negative = negative;
    return ok;
  }

  bool swap = compare_absolute(a, b) < 0;
  int negative = swap ? !a->negative : a->negative;
  sub_absolute(r, swap ? b : a, swap ? a : b);
  r->negative = r->size != 0 && negative;
  return 1;
}


/* a + w as a - (-w), which BN_sub does for either sign of a. */
int BN_add_word(BIGNUM* a, BN_ULONG w) {
  BIGNUM word = {.size = w != 0, .negative = 1, .limbs = {w}};

  return BN_sub(a, a, &word);
}


int BN_mul(BIGNUM* r, const BIGNUM* a, const BIGNUM* b, BN_CTX* ctx) {
  size_t n = a->size + b->size;
  int negative = a->negative != b->negative;
  (void) ctx;

  if (n > BN_LIMBS_MAX)
    return 0;

  size_t mark = scratch.used;
  limb_t* product = bignum_scratch_take(&scratch, n);
  bignum_mul(product, a->limbs, a->size, b->limbs, b->size);
  (void) bn_assign(r, product, n);
  r->negative = r->size != 0 && negative;
  bignum_scratch_drop(&scratch, mark);
  return 1;
}


int BN_div(
    BIGNUM* q, BIGNUM* r, const BIGNUM* a, const BIGNUM* b, BN_CTX* ctx) {
  int q_negative = a->negative != b->negative;
  int r_negative = a->negative;
  (void) ctx;

  if (b->size == 0)
    return 0;
  if (a->size < b->size) {
    if (r != NULL)
      BN_copy(r, a);
    return q != NULL ? BN_set_word(q, 0) : 1;
  }

  size_t mark = scratch.used;
  size_t q_count = a->size - b->size + 1;
  size_t r_count = b->size;
  limb_t* quotient = bignum_scratch_take(&scratch, q_count);
  limb_t* rest = bignum_scratch_take(&scratch, r_count);
  bignum_div(quotient, rest, a->limbs, a->size, b->limbs, b->size, &scratch);
  if (q != NULL) {
    (void) bn_assign(q, quotient, q_count);
    q->negative = q->size != 0 && q_negative;
  }
  if (r != NULL) {
    (void) bn_assign(r, rest, r_count);
    r->negative = r->size != 0 && r_negative;
  }
  bignum_scratch_drop(&scratch, mark);
  return 1;
}


/* a^p mod m for odd m above 1. */
static void power_odd(BIGNUM* r,
                      const BIGNUM* a,
                      const BIGNUM* p,
                      const BIGNUM* m) {
  size_t n = m->size;
  size_t mark = scratch.used;
  bignum_mont_t mont;
  limb_t* x = bignum_scratch_take(&scratch, n);

  bignum_mont_init(&mont, m->limbs, n,
                   bignum_scratch_take(&scratch, BIGNUM_MONT_LIMBS(n)));
  bn_reduce(x, a, m->limbs, n);
  bignum_mont_enter(x, x, &mont);
  bignum_mont_power(x, x, p->limbs, p->size, &mont, &scratch);
  bignum_mont_leave(x, x, &mont);
  (void) bn_assign(r, x, n);
  bignum_scratch_drop(&scratch, mark);
}


/* a^p mod m for even m, bit by bit with a division each. Nothing in a TPM
 * needs it and no secret comes here (BN_mod_exp sees to that). */
static void power_even(BIGNUM* r,
                       const BIGNUM* a,
                       const BIGNUM* p,
                       const BIGNUM* m) {
  size_t n = m->size;
  size_t mark = scratch.used;
  limb_t* base = bignum_scratch_take(&scratch, n);
  limb_t* x = bignum_scratch_take(&scratch, n);
  limb_t* square = bignum_scratch_take(&scratch, 2 * n);

  bn_reduce(base, a, m->limbs, n);
  memset(x, 0, n * sizeof(limb_t));
  x[0] = 1;
  for (size_t i = bignum_bits(p->limbs, p->size); i-- > 0;) {
    bignum_mul(square, x, n, x, n);
    bignum_div(NULL, x, square, 2 * n, m->limbs, n, &scratch);
    if ((p->limbs[i / 64] >> i % 64 & 1) != 0) {
      bignum_mul(square, x, n, base, n);
      bignum_div(NULL, x, square, 2 * n, m->limbs, n, &scratch);
    }
    uvx_job_checkpoint();
  }
  (void) bn_assign(r, x, n);
  bignum_scratch_drop(&scratch, mark);
}


int BN_mod_exp(
    BIGNUM* r, const BIGNUM* a, const BIGNUM* p, const BIGNUM* m, BN_CTX* ctx) {
  int constant_time = (a->flags | p->flags | m->flags) & BN_FLG_CONSTTIME;
  bool even = m->size == 0 || (m->limbs[0] & 1) == 0;
  (void) ctx;

  /* OpenSSL has no constant-time way for even moduli, and refuses. */
  if (even && constant_time != 0)
    return 0;
  if (p->size == 0)
    return BN_set_word(r, !(m->size == 1 && m->limbs[0] == 1));
  if (m->size == 0 || m->size > BIGNUM_MODULUS_LIMBS_MAX)
    return 0;
  if (m->size == 1 && m->limbs[0] == 1)
    return BN_set_word(r, 0);

  if (even)
    power_even(r, a, p, m);
  else
    power_odd(r, a, p, m);
  return 1;
}


BIGNUM* BN_mod_inverse(BIGNUM* r,
                       const BIGNUM* a,
                       const BIGNUM* n,
                       BN_CTX* ctx) {
  (void) ctx;

  if (n->size == 0 || n->size > BIGNUM_MODULUS_LIMBS_MAX)
    return NULL;
  if (n->size == 1 && n->limbs[0] == 1)
    return NULL;

  size_t mark = scratch.used;
  limb_t* rest = bignum_scratch_take(&scratch, n->size);
  limb_t* inverse = bignum_scratch_take(&scratch, n->size);
  size_t size = n->size;

  bn_reduce(rest, a, n->limbs, size);
  BIGNUM* result = NULL;
  if (bignum_inverse(inverse, rest, n->limbs, size, &scratch))
    result = r != NULL ? r : BN_new();
  if (result != NULL)
    (void) bn_assign(result, inverse, size);
  bignum_scratch_drop(&scratch, mark);
  return result;
}

/*
 * crypto/libcrypto/rsa.c - OpenSSL's RSA_*, and the RSA operation itself.
 *
 * libtpms gives n, e and d and never the primes, so the private operation is
 * one power modulo n. It takes as many steps for any d (crypto/bignum_mont.c),
 * and what comes out is raised to e again before anybody sees it: a fault in
 * the computation must not leave as a signature. That check is 1% of the work
 * for e = 65537.
 *
 * Not here: paddings (rsa_pad.c), making keys (rsa_keygen.c).
 */
#include "crypto/libcrypto/asym.h"

#include "crypto/ct.h"
#include "crypto/libcrypto/libc.h"
#include "runtime/base.h"

/* OpenSSL's bounds on public keys: what they refuse is refused here. */
#define SMALL_MODULUS_BITS 3072
#define SMALL_EXPONENT_BITS 64

RSA* RSA_new(void) {
  RSA* rsa = libc_malloc(sizeof(*rsa));

  if (rsa != NULL) {
    memset(rsa, 0, sizeof(*rsa));
    rsa->references = 1;
  }
  return rsa;
}


void RSA_free(RSA* rsa) {
  if (rsa == NULL)
    return;
  ASSERT(rsa->references > 0);
  if (--rsa->references > 0)
    return;

  BN_free(rsa->n);
  BN_free(rsa->e);
  BN_clear_free(rsa->d);
  BN_clear_free(rsa->p);
  BN_clear_free(rsa->q);
  BN_clear_free(rsa->dp);
  BN_clear_free(rsa->dq);
  BN_clear_free(rsa->q_inv);
  libc_free(rsa);
}


/* Give a field a new value, unless there is none. */
static void replace(BIGNUM** field, BIGNUM* value) {
  if (value == NULL)
    return;
  BN_clear_free(*field);
  *field = value;
}


int RSA_set0_key(RSA* rsa, BIGNUM* n, BIGNUM* e, BIGNUM* d) {
  if ((rsa->n == NULL && n == NULL) || (rsa->e == NULL && e == NULL))
    return 0;
  replace(&rsa->n, n);
  replace(&rsa->e, e);
  replace(&rsa->d, d);
  return 1;
}


int RSA_set0_crt_params(RSA* rsa, BIGNUM* dp, BIGNUM* dq, BIGNUM* q_inv) {
  if ((rsa->dp == NULL && dp == NULL) || (rsa->dq == NULL && dq == NULL) ||
      (rsa->q_inv == NULL && q_inv == NULL))
    return 0;
  replace(&rsa->dp, dp);
  replace(&rsa->dq, dq);
  replace(&rsa->q_inv, q_inv);
  return 1;
}


void RSA_get0_key(const RSA* rsa,
                  const BIGNUM** n,
                  const BIGNUM** e,
                  const BIGNUM** d) {
  if (n != NULL)
    *n = rsa->n;
  if (e != NULL)
    *e = rsa->e;
  if (d != NULL)
    *d = rsa->d;
}


void RSA_get0_factors(const RSA* rsa, const BIGNUM** p, const BIGNUM** q) {
  if (p != NULL)
    *p = rsa->p;
  if (q != NULL)
    *q = rsa->q;
}


/* Kept, and without effect: there is nothing here that a flag could choose. */
void RSA_set_flags(RSA* rsa, int flags) {
  rsa->flags |= flags;
}


size_t rsa_size(const RSA* rsa) {
  return ((size_t) BN_num_bits(rsa->n) + 7) / 8;
}


static bool modulus_usable(const RSA* rsa) {
  const BIGNUM* n = rsa->n;

  return n != NULL && n->size > 0 && n->size <= BIGNUM_MODULUS_LIMBS_MAX &&
         !n->negative && (n->limbs[0] & 1) == 1 && BN_num_bits(n) > 1;
}


static bool exponent_usable(const RSA* rsa) {
  return rsa->e != NULL && BN_cmp(rsa->n, rsa->e) > 0 &&
         (BN_num_bits(rsa->n) <= SMALL_MODULUS_BITS ||
          BN_num_bits(rsa->e) <= SMALL_EXPONENT_BITS);
}


/* Room for one operation on numbers of the modulus's size. */
typedef struct {
  bignum_mont_t mont;
  limb_t* block; /* the input, as a number */
  limb_t* x;     /* the result */
  size_t mark;
} operation_t;

/* Returns false, with nothing taken, unless the block is below the modulus. */
static bool operation_begin(operation_t* o,
                            const RSA* rsa,
                            const uint8_t* in,
                            size_t size) {
  bignum_scratch_t* s = libcrypto_scratch();
  size_t n = rsa->n->size;

  if (size > rsa_size(rsa))
    return false;
  o->mark = s->used;
  o->block = bignum_scratch_take(s, n);
  o->x = bignum_scratch_take(s, n);
  bool fits = bignum_from_bytes(o->block, n, in, size);
  ASSERT(fits);
  if (bignum_less(o->block, rsa->n->limbs, n) == 0) {
    bignum_scratch_drop(s, o->mark);
    return false;
  }
  bignum_mont_init(&o->mont, rsa->n->limbs, n,
                   bignum_scratch_take(s, BIGNUM_MONT_LIMBS(n)));
  return true;
}


static void operation_end(operation_t* o, const RSA* rsa, uint8_t* out) {
  bignum_scratch_t* s = libcrypto_scratch();
  bool fits = bignum_to_bytes(out, rsa_size(rsa), o->x, rsa->n->size);

  ASSERT(fits);
  bignum_scratch_drop(s, o->mark);
}


bool rsa_public(const RSA* rsa, uint8_t* out, const uint8_t* in, size_t size) {
  operation_t o;

  if (!modulus_usable(rsa) || !exponent_usable(rsa))
    return false;
  if (!operation_begin(&o, rsa, in, size))
    return false;

  bignum_mont_enter(o.x, o.block, &o.mont);
  bignum_mont_power_public(o.x, o.x, rsa->e->limbs, rsa->e->size, &o.mont,
                           libcrypto_scratch());
  bignum_mont_leave(o.x, o.x, &o.mont);
  operation_end(&o, rsa, out);
  return true;
}


/* Whether x^e is the block again. x stays. */
static bool result_checks(const operation_t* o, const BIGNUM* e) {
  bignum_scratch_t* s = libcrypto_scratch();
  size_t n = o->mont.n;
  size_t mark = s->used;
  limb_t* again = bignum_scratch_take(s, n);

  bignum_mont_enter(again, o->x, &o->mont);
  bignum_mont_power_public(again, again, e->limbs, e->size, &o->mont, s);
  bignum_mont_leave(again, again, &o->mont);
  bool same = bignum_equal(again, o->block, n) != 0;
  bignum_scratch_drop(s, mark);
  return same;
}


bool rsa_private(const RSA* rsa, uint8_t* out, const uint8_t* in, size_t size) {
  operation_t o;
  const BIGNUM* d = rsa->d;

  if (!modulus_usable(rsa) || !exponent_usable(rsa))
    return false;
  if (d == NULL || d->size > rsa->n->size)
    return false;
  if (!operation_begin(&o, rsa, in, size))
    return false;

  size_t n = rsa->n->size;
  bignum_scratch_t* s = libcrypto_scratch();
  limb_t* exponent = bignum_scratch_take(s, n); /* so that d's size is hidden */
  bn_extend(exponent, d, n);

  bignum_mont_enter(o.x, o.block, &o.mont);
  bignum_mont_power(o.x, o.x, exponent, n, &o.mont, s);
  bignum_mont_leave(o.x, o.x, &o.mont);
  bool good = result_checks(&o, rsa->e);
  if (!good)
    memset(o.x, 0, n * sizeof(limb_t));
  operation_end(&o, rsa, out);
  return good;
}

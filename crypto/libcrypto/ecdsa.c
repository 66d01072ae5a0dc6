/*
 * crypto/libcrypto/ecdsa.c - OpenSSL's EC_KEY_* and ECDSA_*.
 *
 * The nonce is RFC 6979's, made from the key and the digest by HMAC-DRBG, with
 * fresh random bytes as the additional data that section 3.6 allows. So a
 * virtual machine that was rolled back to a snapshot, and draws the same
 * random numbers again, still never uses one nonce for two digests; and a
 * fault that is provoked twice does not meet the same nonce.
 *
 * The hash inside is always SHA-512, which is wide enough for every curve:
 * ECDSA_do_sign isn't told which hash made the digest, and nobody can tell
 * from a signature.
 */
#include "crypto/libcrypto/asym.h"

#include "crypto/ct.h"
#include "crypto/drbg.h"
#include "crypto/libcrypto/libc.h"
#include "runtime/base.h"

#define SCALAR_SIZE_MAX (EC_LIMBS_MAX * BIGNUM_LIMB_SIZE)
#define FRESH_SIZE 32u /* bytes of randomness in a nonce */

/* A nonce or an r or s that is 0 is drawn again. That never happens on a real
 * curve; on one of a few bits the bound keeps this from going on for ever. */
#define ATTEMPTS_MAX 64

EC_KEY* EC_KEY_new(void) {
  EC_KEY* key = libc_malloc(sizeof(*key));

  if (key != NULL)
    memset(key, 0, sizeof(*key));
  return key;
}


void EC_KEY_free(EC_KEY* key) {
  if (key == NULL)
    return;
  EC_GROUP_free(key->group);
  BN_clear_free(key->d);
  EC_POINT_free(key->q);
  libc_free(key);
}


int EC_KEY_set_group(EC_KEY* key, const EC_GROUP* group) {
  EC_GROUP* shared = (EC_GROUP*) group; /* counted, not copied */

  shared->references++;
  EC_GROUP_free(key->group);
  key->group = shared;
  return 1;
}


int EC_KEY_set_private_key(EC_KEY* key, const BIGNUM* d) {
  if (key->group == NULL || key->group->curve.order_n == 0)
    return 0;

  BIGNUM* copy = BN_dup(d);
  if (copy == NULL)
    return 0;
  BN_clear_free(key->d);
  key->d = copy;
  return 1;
}


int EC_KEY_set_public_key(EC_KEY* key, const EC_POINT* q) {
  if (key->group == NULL)
    return 0;

  EC_POINT* copy = EC_POINT_new(key->group);
  if (copy == NULL)
    return 0;
  copy->point = q->point;
  EC_POINT_free(key->q);
  key->q = copy;
  return 1;
}


const BIGNUM* EC_KEY_get0_private_key(const EC_KEY* key) {
  return key->d;
}


/* A random scalar from 1 to order - 1. */
static void scalar_random(const ec_curve_t* curve, limb_t* r) {
  size_t n = curve->order_n;
  size_t bits = bignum_bits(curve->order, n);
  limb_t outside;

  do { /* each turn succeeds with probability 1/2 or more */
    crypto_random(r, n * sizeof(limb_t));
    r[n - 1] &= ~(limb_t) 0 >> (n * BIGNUM_LIMB_BITS - bits);
    outside = ~bignum_less(r, curve->order, n) | bignum_is_zero(r, n);
  } while (outside != 0);
}


int EC_KEY_generate_key(EC_KEY* key) {
  if (key->group == NULL || key->group->curve.order_n == 0)
    return 0;

  ec_curve_t* curve = &key->group->curve;
  ec_field_t scalar;
  ec_term_t term = {scalar, &curve->generator};
  BIGNUM* d = BN_new();
  EC_POINT* q = EC_POINT_new(key->group);

  if (d == NULL || q == NULL) {
    BN_free(d);
    EC_POINT_free(q);
    return 0;
  }
  scalar_random(curve, scalar);
  ec_mul(curve, &q->point, &term, 1, libcrypto_scratch());
  (void) bn_assign(d, scalar, curve->order_n);
  ct_wipe(scalar, sizeof(scalar));

  BN_clear_free(key->d);
  EC_POINT_free(key->q);
  key->d = d;
  key->q = q;
  return 1;
}


ECDSA_SIG* ECDSA_SIG_new(void) {
  ECDSA_SIG* sig = libc_malloc(sizeof(*sig));

  if (sig != NULL) {
    sig->r = NULL;
    sig->s = NULL;
  }
  return sig;
}


void ECDSA_SIG_free(ECDSA_SIG* sig) {
  if (sig == NULL)
    return;
  BN_clear_free(sig->r);
  BN_clear_free(sig->s);
  libc_free(sig);
}


void ECDSA_SIG_get0(const ECDSA_SIG* sig, const BIGNUM** r, const BIGNUM** s) {
  if (r != NULL)
    *r = sig->r;
  if (s != NULL)
    *s = sig->s;
}


int ECDSA_SIG_set0(ECDSA_SIG* sig, BIGNUM* r, BIGNUM* s) {
  if (r == NULL || s == NULL)
    return 0;
  BN_clear_free(sig->r);
  BN_clear_free(sig->s);
  sig->r = r;
  sig->s = s;
  return 1;
}


/* RFC 6979, 2.3.2: the leftmost bits of `bytes`, as many as the order has. */
static void bits_to_scalar(const ec_curve_t* curve,
                           limb_t* r,
                           const uint8_t* bytes,
                           size_t size) {
  size_t n = curve->order_n;
  size_t bits = bignum_bits(curve->order, n);
  size_t wanted = (bits + 7) / 8;

  if (size > wanted)
    size = wanted;
  bool fits = bignum_from_bytes(r, n, bytes, size);
  ASSERT(fits);
  for (size_t excess = 8 * size; excess > bits; excess--)
    bignum_halve(r, r, 0, n);
}


/* The same, less the order if that is not negative: below the order. */
static void digest_to_scalar(const ec_curve_t* curve,
                             limb_t* r,
                             const uint8_t* digest,
                             size_t size) {
  size_t n = curve->order_n;
  ec_field_t t;

  bits_to_scalar(curve, r, digest, size);
  limb_t borrow = bignum_sub(t, r, curve->order, n);
  bignum_copy_masked(r, t, ct_mask(borrow ^ 1), n);
}


/* What signatures are made from. */
typedef struct {
  ec_curve_t* curve;
  const br_hash_class* hash; /* of the nonce's generator */
  const uint8_t* fresh;      /* its additional data, and how much of that */
  size_t fresh_size;
  ec_field_t d; /* the key, a secret */
  ec_field_t e; /* the digest as a scalar */
} signing_t;

/* The generator of nonces: RFC 6979, 3.2, steps a to g. */
static void nonce_begin(br_hmac_drbg_context* drbg, const signing_t* g) {
  uint8_t seed[2 * SCALAR_SIZE_MAX + FRESH_SIZE];
  size_t n = g->curve->order_n;
  size_t size = (bignum_bits(g->curve->order, n) + 7) / 8;

  ASSERT(g->fresh_size <= FRESH_SIZE);
  (void) bignum_to_bytes(seed, size, g->d, n);
  (void) bignum_to_bytes(seed + size, size, g->e, n);
  memcpy(seed + 2 * size, g->fresh, g->fresh_size);
  br_hmac_drbg_init(drbg, g->hash, seed, 2 * size + g->fresh_size);
  ct_wipe(seed, sizeof(seed));
}


/* The next nonce that is between 1 and order - 1: step h. */
static void nonce_next(br_hmac_drbg_context* drbg,
                       const ec_curve_t* curve,
                       limb_t* k) {
  uint8_t bytes[SCALAR_SIZE_MAX];
  size_t n = curve->order_n;
  size_t size = (bignum_bits(curve->order, n) + 7) / 8;
  limb_t outside;

  do {
    br_hmac_drbg_generate(drbg, bytes, size);
    bits_to_scalar(curve, k, bytes, size);
    outside = ~bignum_less(k, curve->order, n) | bignum_is_zero(k, n);
  } while (outside != 0);
  ct_wipe(bytes, sizeof(bytes));
}


/* r = 1/a modulo the order, a prime, by Fermat; all in Montgomery's form. */
static void scalar_invert(const ec_curve_t* curve, limb_t* r, const limb_t* a) {
  ec_field_t exponent;
  ec_field_t two = {2};

  (void) bignum_sub(exponent, curve->order, two, curve->order_n);
  bignum_mont_power(r, a, exponent, curve->order_n, &curve->scalar,
                    libcrypto_scratch());
}


/* r = the point's x modulo the order. Returns false at infinity. */
static bool x_to_scalar(ec_curve_t* curve, limb_t* r, const ec_point_t* point) {
  bignum_scratch_t* s = libcrypto_scratch();
  ec_field_t x = {0};

  if (!ec_point_get(curve, point, x, NULL, s))
    return false;
  if (curve->n >= curve->order_n)
    bignum_div(NULL, r, x, curve->n, curve->order, curve->order_n, s);
  else
    memcpy(r, x, curve->order_n * sizeof(limb_t));
  return true;
}


/* One try: r = x(k G), s = (e + r d) / k. Returns false when either is 0. */
static bool sign_with(const signing_t* g,
                      const limb_t* k,
                      limb_t* r,
                      limb_t* s) {
  ec_curve_t* curve = g->curve;
  const bignum_mont_t* scalar = &curve->scalar;
  size_t n = curve->order_n;
  ec_term_t term = {k, &curve->generator};
  ec_point_t point;
  ec_field_t t;

  ec_mul(curve, &point, &term, 1, libcrypto_scratch());
  if (!x_to_scalar(curve, r, &point))
    return false;

  ct_wipe(&point, sizeof(point));
  bignum_mont_enter(s, g->d, scalar);
  bignum_mont_mul(s, s, r, scalar); /* r d, out of Montgomery's form again */
  bignum_mod_add(s, s, g->e, curve->order, t, n);
  bignum_mont_enter(t, k, scalar);
  scalar_invert(curve, t, t);
  bignum_mont_mul(s, s, t, scalar);

  limb_t zero = bignum_is_zero(r, n) | bignum_is_zero(s, n);
  ct_wipe(t, sizeof(t));
  return zero == 0;
}


static bool sign(const signing_t* g, limb_t* r, limb_t* s) {
  br_hmac_drbg_context drbg;
  ec_field_t k;
  bool done = false;

  nonce_begin(&drbg, g);
  for (int attempt = 0; attempt < ATTEMPTS_MAX && !done; attempt++) {
    nonce_next(&drbg, g->curve, k);
    done = sign_with(g, k, r, s);
  }
  ct_wipe(&drbg, sizeof(drbg));
  ct_wipe(k, sizeof(k));
  return done;
}


/* Whether a is a scalar from 1 to order - 1; then it is put in r. */
static bool scalar_of(const ec_curve_t* curve, limb_t* r, const BIGNUM* a) {
  if (a == NULL || a->negative || a->size == 0 || a->size > curve->order_n)
    return false;
  bn_extend(r, a, curve->order_n);
  return bignum_less(r, curve->order, curve->order_n) != 0;
}


static ECDSA_SIG* signature_new(const limb_t* r, const limb_t* s, size_t n) {
  ECDSA_SIG* sig = ECDSA_SIG_new();
  BIGNUM* r_number = BN_new();
  BIGNUM* s_number = BN_new();

  if (sig == NULL || r_number == NULL || s_number == NULL) {
    ECDSA_SIG_free(sig);
    BN_free(r_number);
    BN_free(s_number);
    return NULL;
  }
  (void) bn_assign(r_number, r, n);
  (void) bn_assign(s_number, s, n);
  (void) ECDSA_SIG_set0(sig, r_number, s_number);
  return sig;
}


ECDSA_SIG* ECDSA_do_sign(const unsigned char* digest, int size, EC_KEY* key) {
  if (key->group == NULL || key->d == NULL || size < 0)
    return NULL;

  uint8_t fresh[FRESH_SIZE];
  signing_t g = {
      .curve = &key->group->curve,
      .hash = &br_sha512_vtable,
      .fresh = fresh,
      .fresh_size = sizeof(fresh),
  };
  ec_field_t r;
  ec_field_t s;

  if (!scalar_of(g.curve, g.d, key->d))
    return NULL; /* a key that is no scalar signs nothing */
  digest_to_scalar(g.curve, g.e, digest, (size_t) size);
  crypto_random(fresh, sizeof(fresh));
  bool done = sign(&g, r, s);
  ct_wipe(fresh, sizeof(fresh));
  ct_wipe(&g, sizeof(g));
  return done ? signature_new(r, s, key->group->curve.order_n) : NULL;
}


/* x((e / s) G + (r / s) Q) = r modulo the order. All of it is public. */
int ECDSA_do_verify(const unsigned char* digest,
                    int size,
                    const ECDSA_SIG* sig,
                    EC_KEY* key) {
  if (key->group == NULL || key->q == NULL || sig == NULL || size < 0)
    return -1;

  ec_curve_t* curve = &key->group->curve;
  const bignum_mont_t* scalar = &curve->scalar;
  ec_field_t r;
  ec_field_t u1;
  ec_field_t u2;
  ec_field_t inverse;
  ec_point_t point;

  if (curve->order_n == 0)
    return -1;
  if (!scalar_of(curve, r, sig->r) || !scalar_of(curve, u1, sig->s))
    return 0;

  bignum_mont_enter(inverse, u1, scalar);
  scalar_invert(curve, inverse, inverse);
  digest_to_scalar(curve, u1, digest, (size_t) size);
  bignum_mont_mul(u1, u1, inverse, scalar);
  bignum_mont_mul(u2, r, inverse, scalar);

  ec_term_t terms[2] = {{u1, &curve->generator}, {u2, &key->q->point}};
  ec_mul(curve, &point, terms, 2, libcrypto_scratch());
  if (!x_to_scalar(curve, u1, &point))
    return 0;
  return bignum_equal(u1, r, curve->order_n) != 0;
}

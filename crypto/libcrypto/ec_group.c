/*
 * crypto/libcrypto/ec_group.c - OpenSSL's EC_GROUP_* and EC_POINT_*, on
 * crypto/ec.h.
 *
 * libtpms builds a group from explicit parameters for each command, so making
 * one is cheap and nothing is precomputed. All curves go the same way.
 *
 * A group holds the working memory of computations on it, which is why it is
 * written to although OpenSSL's prototypes call it const. One caller at a
 * time, as everywhere in this folder.
 */
#include "crypto/libcrypto/asym.h"

#include "crypto/ct.h"
#include "crypto/libcrypto/libc.h"
#include "runtime/base.h"

/* The group's curve, to compute on. */
static ec_curve_t* curve_of(const EC_GROUP* group) {
  return (ec_curve_t*) &group->curve; /* const in OpenSSL's prototypes only */
}


EC_GROUP* EC_GROUP_new_curve_GFp(const BIGNUM* p,
                                 const BIGNUM* a,
                                 const BIGNUM* b,
                                 BN_CTX* ctx) {
  (void) ctx;

  if (p->size == 0 || p->size > EC_LIMBS_MAX || p->negative)
    return NULL;

  EC_GROUP* group = libc_malloc(sizeof(*group));
  if (group == NULL)
    return NULL;

  ec_field_t a_reduced;
  ec_field_t b_reduced;
  bn_reduce(a_reduced, a, p->limbs, p->size);
  bn_reduce(b_reduced, b, p->limbs, p->size);
  group->references = 1;
  if (!ec_curve_init(&group->curve, p->limbs, a_reduced, b_reduced, p->size)) {
    libc_free(group);
    return NULL;
  }
  return group;
}


void EC_GROUP_free(EC_GROUP* group) {
  if (group == NULL)
    return;
  ASSERT(group->references > 0);
  if (--group->references == 0)
    libc_free(group);
}


/* The cofactor is 1 on all curves of a TPM, and not needed. */
int EC_GROUP_set_generator(EC_GROUP* group,
                           const EC_POINT* generator,
                           const BIGNUM* order,
                           const BIGNUM* cofactor) {
  (void) cofactor;

  if (generator == NULL || order == NULL || order->size == 0)
    return 0;
  if (order->negative || (size_t) BN_num_bits(order) >
                             bignum_bits(group->curve.p, EC_LIMBS_MAX) + 1)
    return 0;
  return ec_curve_set_generator(&group->curve, &generator->point, order->limbs,
                                order->size);
}


EC_POINT* EC_POINT_new(const EC_GROUP* group) {
  EC_POINT* point = group != NULL ? libc_malloc(sizeof(*point)) : NULL;

  if (point != NULL)
    ec_point_set_infinity(&group->curve, &point->point);
  return point;
}


void EC_POINT_free(EC_POINT* point) {
  libc_free(point);
}


void EC_POINT_clear_free(EC_POINT* point) {
  libc_free(point);
}


/* Coordinates are taken modulo p first, as OpenSSL does. */
int EC_POINT_set_affine_coordinates(const EC_GROUP* group,
                                    EC_POINT* r,
                                    const BIGNUM* x,
                                    const BIGNUM* y,
                                    BN_CTX* ctx) {
  const ec_curve_t* curve = &group->curve;
  ec_field_t x_reduced;
  ec_field_t y_reduced;
  ec_point_t point;
  (void) ctx;

  if (x == NULL || y == NULL)
    return 0;
  bn_reduce(x_reduced, x, curve->p, curve->n);
  bn_reduce(y_reduced, y, curve->p, curve->n);
  if (!ec_point_set(curve_of(group), &point, x_reduced, y_reduced))
    return 0;
  r->point = point;
  return 1;
}


int EC_POINT_get_affine_coordinates(const EC_GROUP* group,
                                    const EC_POINT* a,
                                    BIGNUM* x,
                                    BIGNUM* y,
                                    BN_CTX* ctx) {
  size_t n = group->curve.n;
  ec_field_t x_limbs;
  ec_field_t y_limbs;
  (void) ctx;

  if (!ec_point_get(curve_of(group), &a->point, x_limbs, y_limbs,
                    libcrypto_scratch()))
    return 0;
  if (x != NULL)
    (void) bn_assign(x, x_limbs, n);
  if (y != NULL)
    (void) bn_assign(y, y_limbs, n);
  ct_wipe(x_limbs, sizeof(x_limbs)); /* a shared secret, perhaps */
  ct_wipe(y_limbs, sizeof(y_limbs));
  return 1;
}


int EC_POINT_add(const EC_GROUP* group,
                 EC_POINT* r,
                 const EC_POINT* a,
                 const EC_POINT* b,
                 BN_CTX* ctx) {
  (void) ctx;

  ec_add(curve_of(group), &r->point, &a->point, &b->point);
  return 1;
}


/* A scalar modulo the order: libtpms adds the order to some of them. */
static void scalar_reduce(const ec_curve_t* curve, limb_t* r, const BIGNUM* k) {
  bn_reduce(r, k, curve->order, curve->order_n);
}


/* r = n * generator + the sum of m[i] * p[i]; n may be NULL.
 * tidy: allow parameters: OpenSSL's own */
int EC_POINTs_mul(const EC_GROUP* group,
                  EC_POINT* r,
                  const BIGNUM* n,
                  size_t num,
                  const EC_POINT* p[],
                  const BIGNUM* m[],
                  BN_CTX* ctx) {
  ec_curve_t* curve = curve_of(group);
  ec_field_t scalars[EC_TERMS_MAX];
  ec_term_t terms[EC_TERMS_MAX];
  size_t count = 0;
  (void) ctx;

  if (curve->order_n == 0 || num + (n != NULL) > EC_TERMS_MAX)
    return 0;
  for (size_t i = 0; i < num; i++) {
    if (p[i] == NULL || m[i] == NULL)
      return 0;
  }
  if (n != NULL) {
    scalar_reduce(curve, scalars[0], n);
    terms[count++] = (ec_term_t){scalars[0], &curve->generator};
  }
  for (size_t i = 0; i < num; i++) {
    scalar_reduce(curve, scalars[count], m[i]);
    terms[count] = (ec_term_t){scalars[count], &p[i]->point};
    count++;
  }

  if (count == 0)
    ec_point_set_infinity(curve, &r->point);
  else
    ec_mul(curve, &r->point, terms, count, libcrypto_scratch());
  ct_wipe(scalars, sizeof(scalars));
  return 1;
}


int EC_POINT_mul(const EC_GROUP* group,
                 EC_POINT* r,
                 const BIGNUM* n,
                 const EC_POINT* q,
                 const BIGNUM* m,
                 BN_CTX* ctx) {
  size_t num = q != NULL && m != NULL;

  return EC_POINTs_mul(group, r, n, num, &q, &m, ctx);
}

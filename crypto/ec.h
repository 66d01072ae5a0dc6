/*
 * crypto/ec.h - elliptic curves y^2 = x^3 + a x + b over a prime field.
 *
 * One implementation for all curves of odd order (P-192 to P-521, BN-256,
 * BN-638, SM2): points are projective, and the addition formulas are complete,
 * which means that they hold for any two points, equal, opposite or infinite,
 * without a case to tell apart.
 *
 * The promise: time and memory accesses depend on the curve, never on a scalar
 * or a coordinate. Whether a result is the point at infinity may show.
 *
 * Parameters are trusted to be a curve (a prime p, a prime order): they come
 * from libtpms's table. Wrong ones give wrong points, no worse. Coordinates
 * are not trusted: ec_point_set refuses what is not on the curve, and there is
 * no other way to make a point.
 *
 * Context:  all of it is [any] and [job]; ec_mul passes uvx_job_checkpoint().
 */
#ifndef EVSM_CRYPTO_EC_H
#define EVSM_CRYPTO_EC_H

#include "crypto/bignum.h"

#define EC_BITS_MAX 638u
#define EC_LIMBS_MAX 10u

/* Scratch for any one function here, in limbs: two tables of 16 points, or a
 * power, whichever is more. */
#define EC_SCRATCH_LIMBS (2 * 16 * 3 * EC_LIMBS_MAX + 32)

typedef limb_t ec_field_t[EC_LIMBS_MAX];

/* A point, in projective Montgomery form: all of it is private to ec.c. The
 * point at infinity is (0 : y : 0). */
typedef struct {
  ec_field_t x;
  ec_field_t y;
  ec_field_t z;
} ec_point_t;

/* How to multiply by the curve's a. */
typedef enum {
  EC_A_ANY,
  EC_A_ZERO,
  EC_A_MINUS_3,
} ec_a_t;

/*
 * A curve and the working memory to compute on it: one computation at a time.
 * It points into itself, so it is never copied.
 */
typedef struct {
  size_t n;       /* limbs of the field's numbers */
  size_t order_n; /* limbs of scalars; 0 until there is a generator */
  bignum_mont_t field;
  bignum_mont_t scalar; /* modulo the order */
  ec_a_t a_kind;
  ec_point_t generator;

  /* private */
  ec_field_t p;
  ec_field_t order;
  ec_field_t a;
  ec_field_t b;
  ec_field_t b3; /* 3 b */
  limb_t field_room[BIGNUM_MONT_LIMBS(EC_LIMBS_MAX)];
  limb_t scalar_room[BIGNUM_MONT_LIMBS(EC_LIMBS_MAX)];
  ec_field_t t[8]; /* of the formulas */
} ec_curve_t;

/*
 * Begin with a curve: p, a and b have `n` limbs each, the top limb of p is not
 * 0, and a, b < p.
 *
 * Returns:  true, or false when p is even or too small or has more than
 *           EC_BITS_MAX bits, or a or b isn't below it.
 */
bool ec_curve_init(ec_curve_t* curve,
                   const limb_t* p,
                   const limb_t* a,
                   const limb_t* b,
                   size_t n);

/*
 * Give the curve its generator and the generator's order, which has `n` limbs,
 * the top one not 0.
 *
 * Returns:  true, or false when the order is even, 1, or longer than a scalar
 *           may be.
 */
bool ec_curve_set_generator(ec_curve_t* curve,
                            const ec_point_t* generator,
                            const limb_t* order,
                            size_t n);

/*
 * Make a point of affine coordinates of curve->n limbs, each below p.
 *
 * Returns:  true, or false when it is not on the curve; `r` is unspecified.
 */
bool ec_point_set(ec_curve_t* curve,
                  ec_point_t* r,
                  const limb_t* x,
                  const limb_t* y);

/* The point at infinity. */
void ec_point_set_infinity(const ec_curve_t* curve, ec_point_t* r);

/*
 * Affine coordinates of curve->n limbs each; either may be NULL.
 *
 * Returns:  true, or false for the point at infinity, which has none.
 */
bool ec_point_get(ec_curve_t* curve,
                  const ec_point_t* a,
                  limb_t* x,
                  limb_t* y,
                  bignum_scratch_t* s);

/* r = a + b; r may be either. */
void ec_add(ec_curve_t* curve,
            ec_point_t* r,
            const ec_point_t* a,
            const ec_point_t* b);

/* One summand: scalar * point. The scalar, a secret, has curve->order_n
 * limbs. */
typedef struct {
  const limb_t* scalar;
  const ec_point_t* point;
} ec_term_t;

#define EC_TERMS_MAX 2u

/* r = the sum of 1 or 2 terms; r may be one of the points. */
void ec_mul(ec_curve_t* curve,
            ec_point_t* r,
            const ec_term_t* terms,
            size_t term_count,
            bignum_scratch_t* s);

#endif /* EVSM_CRYPTO_EC_H */

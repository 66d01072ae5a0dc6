/*
 * crypto/ec.c - elliptic curves by complete addition formulas.
 *
 * The formulas are algorithms 1 and 3 of Renes, Costello and Batina, "Complete
 * addition formulas for prime order elliptic curves" (IACR ePrint 2015/1060).
 * They cost a few multiplications more than others, and in return there is
 * nothing to branch on, so nothing to get wrong.
 *
 * A multiplication walks over its scalars from the top in windows of 4 bits:
 * four doublings, then for each term one addition out of a table of 16
 * multiples, all of which are read. Tables and working numbers are wiped.
 */
#include "crypto/ec.h"

#include "crypto/ct.h"
#include "runtime/base.h"

#define WINDOW_BITS 4u
#define WINDOW_SIZE (1u << WINDOW_BITS)

static void fe_mul(const ec_curve_t* c,
                   limb_t* r,
                   const limb_t* a,
                   const limb_t* b) {
  bignum_mont_mul(r, a, b, &c->field);
}


static void fe_sqr(const ec_curve_t* c, limb_t* r, const limb_t* a) {
  bignum_mont_sqr(r, a, &c->field);
}


static void fe_add(const ec_curve_t* c,
                   limb_t* r,
                   const limb_t* a,
                   const limb_t* b) {
  bignum_mod_add(r, a, b, c->p, c->field.work, c->n);
}


static void fe_sub(const ec_curve_t* c,
                   limb_t* r,
                   const limb_t* a,
                   const limb_t* b) {
  bignum_mod_sub(r, a, b, c->p, c->n);
}


/* r = a * x, where a is the curve's; r is not x. */
static void fe_mul_a(const ec_curve_t* c, limb_t* r, const limb_t* x) {
  switch (c->a_kind) {
    case EC_A_ZERO:
      memset(r, 0, c->n * sizeof(limb_t));
      break;
    case EC_A_MINUS_3:
      memset(r, 0, c->n * sizeof(limb_t));
      fe_sub(c, r, r, x);
      fe_sub(c, r, r, x);
      fe_sub(c, r, r, x);
      break;
    case EC_A_ANY:
      fe_mul(c, r, c->a, x);
  }
}


static void curve_set_a_kind(ec_curve_t* c, const limb_t* a) {
  limb_t* t = c->t[0];

  memset(t, 0, sizeof(ec_field_t));
  t[0] = 3;
  (void) bignum_add(t, t, a, c->n);
  if (bignum_is_zero(a, c->n) != 0)
    c->a_kind = EC_A_ZERO;
  else if (bignum_equal(t, c->p, c->n) != 0)
    c->a_kind = EC_A_MINUS_3;
  else
    c->a_kind = EC_A_ANY;
}


bool ec_curve_init(ec_curve_t* c,
                   const limb_t* p,
                   const limb_t* a,
                   const limb_t* b,
                   size_t n) {
  size_t bits = bignum_bits(p, n);

  if (n > EC_LIMBS_MAX || bits > EC_BITS_MAX || bits < 3 || (p[0] & 1) == 0)
    return false;
  ASSERT(p[n - 1] != 0);
  if ((bignum_less(a, p, n) & bignum_less(b, p, n)) == 0)
    return false;

  memset(c, 0, sizeof(*c));
  c->n = n;
  memcpy(c->p, p, n * sizeof(limb_t));
  bignum_mont_init(&c->field, c->p, n, c->field_room);
  curve_set_a_kind(c, a);

  bignum_mont_enter(c->a, a, &c->field);
  bignum_mont_enter(c->b, b, &c->field);
  fe_add(c, c->b3, c->b, c->b);
  fe_add(c, c->b3, c->b3, c->b);
  return true;
}


bool ec_curve_set_generator(ec_curve_t* c,
                            const ec_point_t* generator,
                            const limb_t* order,
                            size_t n) {
  if (n > EC_LIMBS_MAX || bignum_bits(order, n) < 2 || (order[0] & 1) == 0)
    return false;
  ASSERT(order[n - 1] != 0);

  memset(c->order, 0, sizeof(c->order));
  memcpy(c->order, order, n * sizeof(limb_t));
  c->generator = *generator;
  c->order_n = n;
  bignum_mont_init(&c->scalar, c->order, n, c->scalar_room);
  return true;
}


void ec_point_set_infinity(const ec_curve_t* c, ec_point_t* r) {
  memset(r, 0, sizeof(*r));
  memcpy(r->y, c->field.one, c->n * sizeof(limb_t));
}


bool ec_point_set(ec_curve_t* c,
                  ec_point_t* r,
                  const limb_t* x,
                  const limb_t* y) {
  limb_t* left = c->t[0];
  limb_t* right = c->t[1];
  limb_t below = bignum_less(x, c->p, c->n) & bignum_less(y, c->p, c->n);

  memset(r, 0, sizeof(*r));
  if (below == 0)
    return false;
  bignum_mont_enter(r->x, x, &c->field);
  bignum_mont_enter(r->y, y, &c->field);
  memcpy(r->z, c->field.one, c->n * sizeof(limb_t));

  /* y^2 = (x^2 + a) x + b */
  fe_sqr(c, left, r->y);
  fe_sqr(c, right, r->x);
  fe_add(c, right, right, c->a);
  fe_mul(c, right, right, r->x);
  fe_add(c, right, right, c->b);
  return bignum_equal(left, right, c->n) != 0;
}


bool ec_point_get(ec_curve_t* c,
                  const ec_point_t* a,
                  limb_t* x,
                  limb_t* y,
                  bignum_scratch_t* s) {
  limb_t* exponent = c->t[0];
  limb_t* inverse = c->t[1];
  ec_field_t two = {2};

  if (bignum_is_zero(a->z, c->n) != 0)
    return false;

  /* Fermat: 1/z = z^(p-2). */
  (void) bignum_sub(exponent, c->p, two, c->n);
  bignum_mont_power(inverse, a->z, exponent, c->n, &c->field, s);
  if (x != NULL) {
    fe_mul(c, x, a->x, inverse);
    bignum_mont_leave(x, x, &c->field);
  }
  if (y != NULL) {
    fe_mul(c, y, a->y, inverse);
    bignum_mont_leave(y, y, &c->field);
  }
  ct_wipe(c->t, sizeof(c->t));
  return true;
}


/* Algorithm 1. r may be p or q: t[6], t[7] and the last lines see to it. */
static void add(ec_curve_t* c,
                ec_point_t* r,
                const ec_point_t* p,
                const ec_point_t* q) {
  limb_t *t0 = c->t[0], *t1 = c->t[1], *t2 = c->t[2];
  limb_t *t3 = c->t[3], *t4 = c->t[4], *t5 = c->t[5];
  limb_t *x3 = c->t[6], *z3 = c->t[7];

  fe_mul(c, t0, p->x, q->x);
  fe_mul(c, t1, p->y, q->y);
  fe_mul(c, t2, p->z, q->z);
  fe_add(c, t3, p->x, p->y);
  fe_add(c, t4, q->x, q->y);
  fe_mul(c, t3, t3, t4);
  fe_add(c, t4, t0, t1);
  fe_sub(c, t3, t3, t4); /* x1 y2 + x2 y1 */
  fe_add(c, t4, p->x, p->z);
  fe_add(c, t5, q->x, q->z);
  fe_mul(c, t4, t4, t5);
  fe_add(c, t5, t0, t2);
  fe_sub(c, t4, t4, t5); /* x1 z2 + x2 z1 */
  fe_add(c, t5, p->y, p->z);
  fe_add(c, x3, q->y, q->z);
  fe_mul(c, t5, t5, x3);
  fe_add(c, x3, t1, t2);
  fe_sub(c, t5, t5, x3); /* y1 z2 + y2 z1: p and q are not read below */

  fe_mul_a(c, z3, t4);
  fe_mul(c, x3, c->b3, t2);
  fe_add(c, z3, x3, z3);
  fe_sub(c, x3, t1, z3);
  fe_add(c, z3, t1, z3);
  fe_mul(c, r->y, x3, z3);
  fe_add(c, t1, t0, t0);
  fe_add(c, t1, t1, t0);
  fe_mul_a(c, r->x, t2);
  fe_mul(c, t4, c->b3, t4);
  fe_add(c, t1, t1, r->x);
  fe_sub(c, t2, t0, r->x);
  fe_mul_a(c, r->x, t2);
  fe_add(c, t4, t4, r->x);
  fe_mul(c, t0, t1, t4);
  fe_add(c, r->y, r->y, t0);
  fe_mul(c, t0, t5, t4);
  fe_mul(c, x3, t3, x3);
  fe_sub(c, r->x, x3, t0);
  fe_mul(c, t0, t3, t1);
  fe_mul(c, z3, t5, z3);
  fe_add(c, r->z, z3, t0);
}


/* Algorithm 3; r may be p. */
static void twice(ec_curve_t* c, ec_point_t* r, const ec_point_t* p) {
  limb_t *t0 = c->t[0], *t1 = c->t[1], *t2 = c->t[2];
  limb_t *t3 = c->t[3], *t4 = c->t[4], *t5 = c->t[5];
  limb_t *x3 = c->t[6], *z3 = c->t[7];

  fe_sqr(c, t0, p->x);
  fe_sqr(c, t1, p->y);
  fe_sqr(c, t2, p->z);
  fe_mul(c, t3, p->x, p->y);
  fe_add(c, t3, t3, t3);
  fe_mul(c, z3, p->x, p->z);
  fe_add(c, z3, z3, z3);
  fe_mul(c, t5, p->y, p->z);
  fe_add(c, t5, t5, t5); /* 2 y z: p is not read below */

  fe_mul_a(c, x3, z3);
  fe_mul(c, t4, c->b3, t2);
  fe_add(c, t4, x3, t4);
  fe_sub(c, x3, t1, t4);
  fe_add(c, t4, t1, t4);
  fe_mul(c, r->y, x3, t4);
  fe_mul(c, x3, t3, x3);
  fe_mul(c, z3, c->b3, z3);
  fe_mul_a(c, t4, t2);
  fe_sub(c, t3, t0, t4);
  fe_mul_a(c, t2, t3);
  fe_add(c, t3, t2, z3);
  fe_add(c, z3, t0, t0);
  fe_add(c, t0, z3, t0);
  fe_add(c, t0, t0, t4);
  fe_mul(c, t0, t0, t3);
  fe_add(c, r->y, r->y, t0);
  fe_mul(c, t0, t5, t3);
  fe_sub(c, r->x, x3, t0);
  fe_mul(c, z3, t5, t1);
  fe_add(c, z3, z3, z3);
  fe_add(c, r->z, z3, z3);
}


void ec_add(ec_curve_t* c,
            ec_point_t* r,
            const ec_point_t* a,
            const ec_point_t* b) {
  add(c, r, a, b);
  ct_wipe(c->t, sizeof(c->t));
}


static void table_store(limb_t* entry, const ec_point_t* p, size_t n) {
  memcpy(entry, p->x, n * sizeof(limb_t));
  memcpy(entry + n, p->y, n * sizeof(limb_t));
  memcpy(entry + 2 * n, p->z, n * sizeof(limb_t));
}


static void table_fill(ec_curve_t* c,
                       limb_t* table,
                       const ec_point_t* p,
                       ec_point_t* multiple) {
  ec_point_set_infinity(c, multiple);
  for (size_t i = 0; i < WINDOW_SIZE; i++) {
    table_store(table + i * 3 * c->n, multiple, c->n);
    add(c, multiple, multiple, p);
  }
}


/* r = entry `index`; all of them are read. */
static void table_load(const ec_curve_t* c,
                       ec_point_t* r,
                       const limb_t* table,
                       limb_t index) {
  size_t n = c->n;

  memset(r, 0, sizeof(*r));
  for (size_t i = 0; i < WINDOW_SIZE; i++) {
    const limb_t* entry = table + i * 3 * n;
    limb_t mask = ct_equal_word(i, index);

    for (size_t j = 0; j < n; j++) {
      r->x[j] |= entry[j] & mask;
      r->y[j] |= entry[n + j] & mask;
      r->z[j] |= entry[2 * n + j] & mask;
    }
  }
}


void ec_mul(ec_curve_t* c,
            ec_point_t* r,
            const ec_term_t* terms,
            size_t term_count,
            bignum_scratch_t* s) {
  ASSERT(term_count > 0);
  ASSERT(term_count <= EC_TERMS_MAX);
  ASSERT(c->order_n > 0);

  size_t mark = s->used;
  limb_t* tables[EC_TERMS_MAX];
  ec_point_t picked;

  for (size_t i = 0; i < term_count; i++) {
    tables[i] = bignum_scratch_take(s, WINDOW_SIZE * 3 * c->n);
    table_fill(c, tables[i], terms[i].point, &picked);
  }

  size_t per_limb = BIGNUM_LIMB_BITS / WINDOW_BITS;
  ec_point_set_infinity(c, r);
  for (size_t i = c->order_n * per_limb; i-- > 0;) {
    for (unsigned bit = 0; bit < WINDOW_BITS; bit++)
      twice(c, r, r);
    for (size_t k = 0; k < term_count; k++) {
      limb_t limb = terms[k].scalar[i / per_limb];
      limb_t index = limb >> WINDOW_BITS * (i % per_limb);

      table_load(c, &picked, tables[k], index & (WINDOW_SIZE - 1));
      add(c, r, r, &picked);
    }
    uvx_job_checkpoint();
  }

  bignum_scratch_drop(s, mark);
  ct_wipe(&picked, sizeof(picked));
  ct_wipe(c->t, sizeof(c->t));
}

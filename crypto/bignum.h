/*
 * crypto/bignum.h - natural numbers for public-key cryptography.
 *
 *   limb 0   limb 1   ...   limb n-1        value = sum of limb[i] * 2^(64 i)
 *
 * A number is an array of 64-bit limbs, least significant first, whose length
 * the caller passes along. Nothing here allocates: results go where the
 * caller says, and room for what lies between is taken from a bignum_scratch_t
 * that the caller owns. Stack frames stay small, since jobs have small stacks.
 *
 * The promise: time and memory accesses depend on lengths only, never on what
 * the limbs hold. Where a value may show (a public exponent, the bit length of
 * a modulus) the function says so. Scratch is wiped when it is given back.
 *
 *   bignum.c          add, subtract, compare, multiply, convert
 *   bignum_div.c      division
 *   bignum_mont.c     multiplication and powers modulo an odd number
 *   bignum_inverse.c  inverses, also modulo an even number
 *
 * Context:  all of it is [any] and [job]; long computations pass
 * uvx_job_checkpoint() about every 100 us.
 */
#ifndef EVSM_CRYPTO_BIGNUM_H
#define EVSM_CRYPTO_BIGNUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t limb_t;
__extension__ typedef unsigned __int128 limb2_t; /* C11 has no such type */

#define BIGNUM_LIMB_BITS 64u
#define BIGNUM_LIMB_SIZE 8u /* bytes */

/* The largest modulus, 4096 bits, and the product of two numbers below it. */
#define BIGNUM_MODULUS_LIMBS_MAX 64u
#define BIGNUM_PRODUCT_LIMBS_MAX (2 * BIGNUM_MODULUS_LIMBS_MAX)

/* Scratch that is enough for any one function here, in limbs: a window table
 * of 32 powers, a Montgomery context and a few numbers beside them. */
#define BIGNUM_SCRATCH_LIMBS (48u * BIGNUM_MODULUS_LIMBS_MAX)

/*
 * Room for intermediate numbers, taken and given back like a stack.
 *
 * Memory:   `limbs` belongs to the caller, and to one computation at a time.
 */
typedef struct {
  limb_t* limbs;
  size_t count; /* limbs there are */
  size_t used;  /* limbs taken; also what bignum_scratch_drop goes back to */
} bignum_scratch_t;

/* Take `count` limbs, 32-byte aligned relative to `limbs`, not zeroed. A
 * scratch that is too small is our own mistake, and stops the machine. */
limb_t* bignum_scratch_take(bignum_scratch_t* s, size_t count);

/* Give back and wipe everything taken since `used` was `mark`. */
void bignum_scratch_drop(bignum_scratch_t* s, size_t mark);

/*
 * Sum, difference: r = a +- b, all of `n` limbs, any of them the same array.
 *
 * Returns:  the carry or borrow, 0 or 1.
 */
limb_t bignum_add(limb_t* r, const limb_t* a, const limb_t* b, size_t n);
limb_t bignum_sub(limb_t* r, const limb_t* a, const limb_t* b, size_t n);

/* The same, but b counts as zero unless `mask` is all ones. */
limb_t bignum_add_masked(limb_t* r, const limb_t* b, limb_t mask, size_t n);
limb_t bignum_sub_masked(limb_t* r, const limb_t* b, limb_t mask, size_t n);

/* r += a * b, r -= a * b, over `n` limbs. Returns what is carried out. */
limb_t bignum_mul_add(limb_t* r, const limb_t* a, limb_t b, size_t n);
limb_t bignum_mul_sub(limb_t* r, const limb_t* a, limb_t b, size_t n);

/* r = a * b, of a_count + b_count limbs; r is neither a nor b. */
void bignum_mul(limb_t* r,
                const limb_t* a,
                size_t a_count,
                const limb_t* b,
                size_t b_count);

/* All ones when the relation holds, else zero; see crypto/ct.h. */
limb_t bignum_is_zero(const limb_t* a, size_t n);
limb_t bignum_equal(const limb_t* a, const limb_t* b, size_t n);
limb_t bignum_less(const limb_t* a, const limb_t* b, size_t n);

/* r = a where mask is all ones, else r stays. */
void bignum_copy_masked(limb_t* r, const limb_t* a, limb_t mask, size_t n);

/* Exchange a and b where mask is all ones. */
void bignum_swap_masked(limb_t* a, limb_t* b, limb_t mask, size_t n);

/* r = a / 2, the top bit of the result being `top`, 0 or 1. */
void bignum_halve(limb_t* r, const limb_t* a, limb_t top, size_t n);

/* r = a * 2 mod m, and r = a +- b mod m, for a, b < m. `t` has n limbs and is
 * none of the others. */
void bignum_mod_double(limb_t* r, const limb_t* m, limb_t* t, size_t n);
void bignum_mod_add(limb_t* r,
                    const limb_t* a,
                    const limb_t* b,
                    const limb_t* m,
                    limb_t* t,
                    size_t n);
void bignum_mod_sub(
    limb_t* r, const limb_t* a, const limb_t* b, const limb_t* m, size_t n);

/* How many bits a has; 0 for zero. The number of significant bits shows. */
size_t bignum_bits(const limb_t* a, size_t n);

/* How many limbs a needs, without leading zeros. That number shows. */
size_t bignum_trim(const limb_t* a, size_t n);

/*
 * Big-endian bytes to limbs and back.
 *
 * Returns:  true, or false when the value needs more room than there is: then
 *           what was written is unspecified. Leading zero bytes are allowed,
 *           and written to fill.
 */
bool bignum_from_bytes(limb_t* r, size_t n, const uint8_t* bytes, size_t size);
bool bignum_to_bytes(uint8_t* bytes, size_t size, const limb_t* a, size_t n);

/*
 * Quotient and remainder: a = q * b + r. The top limb of b is not 0: that
 * length shows, and nothing else.
 *
 * tidy: allow parameters: four numbers, two of them with a length of their own
 *
 * Memory:   q has a_count - b_count + 1 limbs, or is NULL; r has b_count limbs
 *           or is NULL; a_count >= b_count. Neither is a or b.
 */
void bignum_div(limb_t* q,
                limb_t* r,
                const limb_t* a,
                size_t a_count,
                const limb_t* b,
                size_t b_count,
                bignum_scratch_t* s);

/* a mod d, d not 0, for one limb; and floor((2^128 - 1) / d) - 2^64 for a d
 * whose top bit is set, the reciprocal that division multiplies by. */
limb_t bignum_mod_word(const limb_t* a, size_t n, limb_t d);
limb_t bignum_reciprocal(limb_t d);

/*
 * What is needed to compute modulo an odd number m of n limbs. Numbers stand
 * in Montgomery's form inside: x * 2^(64 n) mod m.
 *
 * Memory:   the arrays are the caller's; see bignum_mont_init. `work` makes a
 *           context belong to one computation at a time.
 */
typedef struct {
  size_t n;
  limb_t inverse;    /* -1/m mod 2^64 */
  const limb_t* m;   /* n limbs */
  limb_t* r_squared; /* n limbs: 2^(128 n) mod m */
  limb_t* one;       /* n limbs: 2^(64 n) mod m */
  limb_t* work;      /* BIGNUM_MONT_WORK(n) limbs */
} bignum_mont_t;

#define BIGNUM_MONT_WORK(n) (2 * (n) + 2)
#define BIGNUM_MONT_LIMBS(n) (4 * (n) + 2) /* one, r_squared and work */

/*
 * Prepare for a modulus, odd and above 1, whose top limb is not 0 and whose
 * bit length may show.
 *
 * Memory:   `m` is referenced, not copied. `room` has BIGNUM_MONT_LIMBS(n)
 *           limbs and is the context's for as long as it is in use.
 */
void bignum_mont_init(bignum_mont_t* mont,
                      const limb_t* m,
                      size_t n,
                      limb_t* room);

/* r = a * b / 2^(64 n) mod m, for a, b < m; r may be a or b. This is where all
 * time goes: the place for MULX/ADX, chosen at run time, is in here. */
void bignum_mont_mul(limb_t* r,
                     const limb_t* a,
                     const limb_t* b,
                     const bignum_mont_t* mont);
void bignum_mont_sqr(limb_t* r, const limb_t* a, const bignum_mont_t* mont);

/* Into Montgomery's form and out of it; r may be a. */
void bignum_mont_enter(limb_t* r, const limb_t* a, const bignum_mont_t* mont);
void bignum_mont_leave(limb_t* r, const limb_t* a, const bignum_mont_t* mont);

/*
 * r = base ^ exponent mod m, with base and r in Montgomery's form. The
 * exponent is a secret of `exponent_count` limbs; only the count shows.
 *
 * Memory:   r and base are of mont->n limbs and may be the same.
 */
void bignum_mont_power(limb_t* r,
                       const limb_t* base,
                       const limb_t* exponent,
                       size_t exponent_count,
                       const bignum_mont_t* mont,
                       bignum_scratch_t* s);

/* The same for an exponent that everyone knows, faster the fewer bits it has:
 * its value shows. Not for secrets. */
void bignum_mont_power_public(limb_t* r,
                              const limb_t* base,
                              const limb_t* exponent,
                              size_t exponent_count,
                              const bignum_mont_t* mont,
                              bignum_scratch_t* s);

/*
 * r = 1/a mod m, for any modulus above 1, odd or even, and a < m.
 *
 * Returns:  true, or false when there is no inverse; r is unspecified then.
 *           Which of the two shows, as does whether m is even, how many limbs
 *           a has, and, when that is one of several or m is even, whether a
 *           is even.
 * Memory:   a, m and r have n limbs; the top limb of m is not 0; r is neither.
 */
bool bignum_inverse(
    limb_t* r, const limb_t* a, const limb_t* m, size_t n, bignum_scratch_t* s);

#endif /* EVSM_CRYPTO_BIGNUM_H */

/*
 * crypto/ct.h - words for code whose time must not tell a secret.
 *
 * The promise: what is computed with these takes the same instructions and
 * touches the same memory whatever the values are. A mask is all ones for
 * "yes" and zero for "no"; masks are combined with & | ~ and used with
 * ct_select, never with an if. Sizes and positions are public, contents are
 * not.
 *
 * A compiler may see through a mask and put a branch back. ct_mask hides the
 * bit's origin from it, and all masks begin there.
 *
 * Not here: arithmetic (crypto/bignum.h).
 */
#ifndef EVSM_CRYPTO_CT_H
#define EVSM_CRYPTO_CT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t ct_mask_t;

/* All ones when `bit` is 1, zero when it is 0.
 * Context: [any], [job], as all of this file. */
static inline ct_mask_t ct_mask(uint64_t bit) {
  volatile uint64_t hidden = bit; /* so that no branch can be made of it */

  return (uint64_t) 0 - hidden;
}


/* 1 when x is not 0, else 0. */
static inline uint64_t ct_bit_not_zero(uint64_t x) {
  return (x | ((uint64_t) 0 - x)) >> 63;
}


/* 1 when a < b, else 0. */
static inline uint64_t ct_bit_less(uint64_t a, uint64_t b) {
  return (a ^ ((a ^ b) | ((a - b) ^ b))) >> 63;
}


static inline ct_mask_t ct_is_zero(uint64_t x) {
  return ct_mask(1 ^ ct_bit_not_zero(x));
}


static inline ct_mask_t ct_not_zero(uint64_t x) {
  return ct_mask(ct_bit_not_zero(x));
}


static inline ct_mask_t ct_equal_word(uint64_t a, uint64_t b) {
  return ct_is_zero(a ^ b);
}


static inline ct_mask_t ct_less(uint64_t a, uint64_t b) {
  return ct_mask(ct_bit_less(a, b));
}


/* `yes` where the mask is set, `no` elsewhere. */
static inline uint64_t ct_select(ct_mask_t mask, uint64_t yes, uint64_t no) {
  return no ^ (mask & (yes ^ no));
}


/*
 * Whether two blocks hold the same bytes. Only the answer may become public.
 *
 * Memory:   both are read whole, whatever they hold.
 */
bool ct_equal(const void* a, const void* b, size_t size);

/*
 * Overwrite a secret with zeros, in a way that no compiler leaves out.
 *
 * Memory:   `secret` may be NULL when `size` is 0.
 */
void ct_wipe(void* secret, size_t size);

#endif /* EVSM_CRYPTO_CT_H */

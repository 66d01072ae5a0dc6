/*
 * crypto/libcrypto/rsa_keygen.c - RSA_generate_key_ex: a random RSA key.
 *
 * This makes the keys of TPM2_Create. Primary keys are not made here: their
 * primes come from libtpms's own search on its seeded generator.
 *
 * A prime is searched for from a random start upwards, in steps of 4 over a
 * window; small primes strike out their multiples, and what is left goes
 * through Miller-Rabin with random bases. Primes are 3 modulo 4: then one
 * round of Miller-Rabin is one power and nothing else, the same for all
 * candidates, and a key loses one bit of several hundred.
 *
 * What may show in time: how many candidates went through Miller-Rabin. Which
 * ones were struck out doesn't: it tells what the start is modulo each small
 * prime, and hundreds of bits of a prime follow from that. So the window is
 * struck, and the next candidate picked, in constant time.
 */
#include "crypto/libcrypto/asym.h"

#include "crypto/ct.h"
#include "crypto/drbg.h"
#include "runtime/base.h"

#define KEY_BITS_MIN 512
#define KEY_BITS_MAX ((int) (BIGNUM_MODULUS_LIMBS_MAX * BIGNUM_LIMB_BITS))
#define PRIME_LIMBS_MAX (BIGNUM_MODULUS_LIMBS_MAX / 2)

/* Small primes below this strike out candidates. */
#define SMALL_PRIME_MAX 4096u

/* Candidates in a window. A prime is one in 350 of these at 2048 bits. */
#define WINDOW_WORDS 16u
#define WINDOW (64 * WINDOW_WORDS)

/* FIPS 186-4, table C.2, asks for 5 at 1024 bits; the last of them are cheap
 * beside the search. */
#define ROUNDS 8

/* Primes closer than this are looked for again (FIPS 186-4, B.3.3). */
#define DISTANCE_BITS 100u

/* One search. All arrays have n limbs. */
typedef struct {
  size_t bits;
  size_t n;
  limb_t e;
  limb_t* start;
  limb_t* prime;                 /* the candidate, and the result */
  uint64_t struck[WINDOW_WORDS]; /* bit i: start + 4 i is out; secret */
  uint8_t composite[SMALL_PRIME_MAX / 16]; /* of odd numbers: Eratosthenes */
} search_t;

static bool bit_of(const uint8_t* set, size_t i) {
  return (set[i / 8] >> i % 8 & 1) != 0;
}


static void set_bit(uint8_t* set, size_t i) {
  set[i / 8] = (uint8_t) (set[i / 8] | 1u << i % 8);
}


/* Bit i of `composite` stands for 2 i + 1. */
static void small_primes(search_t* s) {
  memset(s->composite, 0, sizeof(s->composite));
  for (size_t p = 3; p * p < SMALL_PRIME_MAX; p += 2) {
    for (size_t k = p * p; k < SMALL_PRIME_MAX; k += 2 * p)
      set_bit(s->composite, k / 2);
  }
}


/* A random start: odd, 3 modulo 4, the two top bits set, so that the product
 * of two primes has all its bits. */
static void start_anew(search_t* s) {
  size_t top = (s->bits - 1) % BIGNUM_LIMB_BITS;

  crypto_random(s->start, s->n * sizeof(limb_t));
  s->start[0] |= 3;
  s->start[s->n - 1] &= ~(limb_t) 0 >> (BIGNUM_LIMB_BITS - 1 - top);
  s->start[s->n - 1] |= (limb_t) 1 << top;
  s->start[(s->bits - 2) / BIGNUM_LIMB_BITS] |=
      (limb_t) 1 << (s->bits - 2) % BIGNUM_LIMB_BITS;
}


/* The least i with start + 4 i = 0 modulo p, an odd prime. */
static uint64_t first_multiple(const search_t* s, limb_t p) {
  uint64_t missing = p - bignum_mod_word(s->start, s->n, p);

  /* 1 to p, and so many p more that 4 divides it: p is its own inverse there.
   * The quotient may be p, which is 0. */
  missing += p * ((0 - missing * p) & 3);
  return missing / 4 - (p & ct_equal_word(missing / 4, p));
}


/* Strike out `first` and each p-th from there on. */
static void strike_multiples(search_t* s, limb_t p, uint64_t first) {
  if (p < 64) {
    for (size_t i = 0; i < WINDOW; i++)
      s->struck[i / 64] |= (1 ^ ct_bit_not_zero(i % p ^ first)) << i % 64;
    return;
  }

  /* At most one in a word. `first` counts from that word's beginning. */
  for (size_t i = 0; i < WINDOW_WORDS; i++) {
    ct_mask_t inside = ct_less(first, 64);

    s->struck[i] |= inside & (uint64_t) 1 << (first & 63);
    first += (p & inside) - 64;
  }
}


/* Strike out the multiples of small primes among start + 4 i. */
static void strike_out(search_t* s) {
  memset(s->struck, 0, sizeof(s->struck));
  for (limb_t p = 3; p < SMALL_PRIME_MAX; p += 2) {
    if (!bit_of(s->composite, p / 2))
      strike_multiples(s, p, first_multiple(s, p));
  }
  uvx_job_checkpoint();
}


/* The first candidate that is left, which is struck out now, or WINDOW. */
static uint64_t next_left(search_t* s) {
  uint64_t found = WINDOW;

  for (size_t i = WINDOW_WORDS; i-- > 0;) {
    uint64_t left = ~s->struck[i];
    uint64_t bit = (uint64_t) __builtin_ctzll(left | (uint64_t) 1 << 63);

    found = ct_select(ct_not_zero(left), 64 * i + bit, found);
  }
  for (size_t i = 0; i < WINDOW_WORDS; i++)
    s->struck[i] |= ct_equal_word(i, found / 64) & (uint64_t) 1 << found % 64;
  return found;
}


/* One round of Miller-Rabin for a prime that is 3 modulo 4: a random base to
 * the power (prime - 1) / 2 is 1 or -1. `half` is that exponent. */
static bool round_passes(const search_t* s,
                         const bignum_mont_t* mont,
                         const limb_t* half,
                         limb_t* base) {
  size_t n = s->n;
  limb_t outside;

  /* Any base below the candidate but 0 will do, as Montgomery forms are as
   * random as numbers are; 1 and -1 pass for nothing with no probability. */
  do {
    crypto_random(base, n * sizeof(limb_t));
    base[n - 1] &= ~(limb_t) 0 >> (n * BIGNUM_LIMB_BITS - s->bits);
    outside = ~bignum_less(base, s->prime, n) | bignum_is_zero(base, n);
  } while (outside != 0);

  bignum_mont_power(base, base, half, n, mont, libcrypto_scratch());
  limb_t plus = bignum_equal(base, mont->one, n);
  (void) bignum_sub(base, s->prime, base, n);
  return (plus | bignum_equal(base, mont->one, n)) != 0;
}


static bool is_prime(const search_t* s) {
  bignum_scratch_t* scratch = libcrypto_scratch();
  size_t n = s->n;
  size_t mark = scratch->used;
  limb_t* half = bignum_scratch_take(scratch, n);
  limb_t* base = bignum_scratch_take(scratch, n);
  bignum_mont_t mont;
  bool passes = true;

  bignum_mont_init(&mont, s->prime, n,
                   bignum_scratch_take(scratch, BIGNUM_MONT_LIMBS(n)));
  bignum_halve(half, s->prime, 0, n);
  for (int round = 0; round < ROUNDS && passes; round++)
    passes = round_passes(s, &mont, half, base);
  bignum_scratch_drop(scratch, mark);
  return passes;
}


/* Whether e, odd, has no factor in common with prime - 1. */
static bool exponent_fits(const search_t* s) {
  bignum_scratch_t* scratch = libcrypto_scratch();
  limb_t rest = bignum_mod_word(s->prime, s->n, s->e);
  limb_t inverse;

  rest = rest == 0 ? s->e - 1 : rest - 1;
  return bignum_inverse(&inverse, &rest, &s->e, 1, scratch);
}


/* Look through one window. Returns false when it holds no prime. */
static bool search_window(search_t* s) {
  for (;;) { /* bound: WINDOW, as each is found once */
    uint64_t i = next_left(s);
    if (i == WINDOW)
      return false;

    limb2_t sum = (limb2_t) s->start[0] + 4 * i;
    s->prime[0] = (limb_t) sum;
    for (size_t j = 1; j < s->n; j++) {
      sum = (sum >> 64) + s->start[j];
      s->prime[j] = (limb_t) sum;
    }
    if (bignum_bits(s->prime, s->n) != s->bits || sum >> 64 != 0)
      return false; /* it has run over the top */
    if (exponent_fits(s) && is_prime(s))
      return true;
  }
}


static void find_prime(search_t* s) {
  do {
    start_anew(s);
    strike_out(s);
  } while (!search_window(s));
}


/* Whether |p - q| is below 2^(bits - DISTANCE_BITS): its top bits are 0. */
static bool too_close(
    const limb_t* p, const limb_t* q, limb_t* t, size_t n, size_t bits) {
  limb_t zero = 0;
  limb_t borrow = bignum_sub(t, p, q, n);
  limb_t carry = borrow;

  for (size_t i = 0; i < n; i++) { /* t = |t| */
    limb2_t sum = (limb2_t) (t[i] ^ ct_mask(borrow)) + carry;
    t[i] = (limb_t) sum;
    carry = (limb_t) (sum >> 64);
  }
  for (size_t i = bits - DISTANCE_BITS; i < bits; i++)
    zero |= t[i / BIGNUM_LIMB_BITS] >> i % BIGNUM_LIMB_BITS & 1;
  return zero == 0;
}


/* n, e, d, p and q of a key, in numbers that the key keeps. d is e's inverse
 * modulo (p-1)(q-1). */
static int key_fill(RSA* rsa, const BIGNUM* e, limb_t* p, limb_t* q, size_t n) {
  bignum_scratch_t* s = libcrypto_scratch();
  limb_t* product = bignum_scratch_take(s, 2 * n);
  limb_t* exponent = bignum_scratch_take(s, 2 * n);
  limb_t* d = bignum_scratch_take(s, 2 * n);
  BIGNUM* numbers[5];

  for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
    numbers[i] = BN_new();
  bool made = true;
  for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
    made = made && numbers[i] != NULL;

  if (made) {
    bignum_mul(product, p, n, q, n);
    (void) bn_assign(numbers[0], product, 2 * n);
    (void) bn_assign(numbers[3], p, n);
    (void) bn_assign(numbers[4], q, n);
    p[0] ^= 1; /* both are odd: less 1 */
    q[0] ^= 1;
    bignum_mul(product, p, n, q, n);
    memset(exponent, 0, 2 * n * sizeof(limb_t));
    exponent[0] = e->limbs[0];
    made = bignum_inverse(d, exponent, product, bignum_trim(product, 2 * n), s);
    (void) bn_assign(numbers[2], d, 2 * n);
    BN_copy(numbers[1], e);
  }
  if (!made) {
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
      BN_clear_free(numbers[i]);
    return 0;
  }

  (void) RSA_set0_key(rsa, numbers[0], numbers[1], numbers[2]);
  BN_clear_free(rsa->p);
  BN_clear_free(rsa->q);
  rsa->p = numbers[3];
  rsa->q = numbers[4];
  return 1;
}


int RSA_generate_key_ex(RSA* rsa, int bits, BIGNUM* e, BN_GENCB* cb) {
  bignum_scratch_t* scratch = libcrypto_scratch();
  size_t mark = scratch->used;
  (void) cb;

  if (bits < KEY_BITS_MIN || bits > KEY_BITS_MAX || bits % 2 != 0)
    return 0;
  if (e->size != 1 || e->negative || e->limbs[0] < 3 || (e->limbs[0] & 1) == 0)
    return 0;

  size_t prime_bits = (size_t) bits / 2;
  size_t n = (prime_bits + BIGNUM_LIMB_BITS - 1) / BIGNUM_LIMB_BITS;
  search_t search = {.bits = prime_bits, .n = n, .e = e->limbs[0]};
  limb_t* p = bignum_scratch_take(scratch, n);
  limb_t* q = bignum_scratch_take(scratch, n);
  search.start = bignum_scratch_take(scratch, n);
  small_primes(&search);

  search.prime = p;
  find_prime(&search);
  search.prime = q;
  do {
    find_prime(&search);
  } while (too_close(p, q, search.start, n, prime_bits));
  bignum_swap_masked(p, q, bignum_less(p, q, n), n); /* p > q, as usual */

  int ok = key_fill(rsa, e, p, q, n);
  bignum_scratch_drop(scratch, mark);
  ct_wipe(&search, sizeof(search));
  return ok;
}

/*
 * crypto/drbg.c - random numbers for everyone in the house.
 *
 *   crypto_random -> a free instance (seeded at its first use) -> bytes
 *
 * Callers are loops and jobs on many CPUs, and a job may be preempted in the
 * middle. A lock would make a loop wait for a preempted job, which it must
 * not; an instance for each CPU would be entered twice when a job is preempted
 * in it. So there are as many instances as there can be callers, each with a
 * flag: a caller takes the first that is free, and holds it for as long as it
 * is inside, preempted or not. Since there is one for everybody, nobody waits.
 * The first instances do nearly all the work, and so stay in the cache.
 *
 * The promise: each instance is a generator of its own, seeded from the
 * machine with 64 bytes for 256 bits of strength, and again after
 * RESEED_CALLS; after each call its state has moved on so that what was given
 * out can't be computed back from it. A source of entropy that errs, or that
 * is visibly stuck, stops the machine.
 *
 * Trust: the machine's entropy (arch_entropy, given to crypto_random_init) is
 * believed to be entropy. Its health tests are its own.
 */
#include "crypto/drbg.h"
#include "crypto/ct.h"
#include "runtime/base.h"

#include <bearssl.h>
#include <stdatomic.h>

#define RESEED_CALLS 1024u /* SP 800-90A allows 2^48; entropy is cheap here */
#define SEED_SIZE 64u      /* bytes: 32 of entropy, 16 of nonce, and a margin */

typedef struct {
  _Alignas(64) atomic_bool taken; /* a cache line each */
  uint32_t calls_left;            /* 0: seed before use, as in zeroed memory */
  br_hmac_drbg_context drbg;
} instance_t;

static instance_t instances[CRYPTO_RANDOM_CALLERS_MAX];
static _Atomic(crypto_entropy_cb) source;


void crypto_random_init(crypto_entropy_cb entropy) {
  ASSERT(entropy != NULL);
  ct_wipe(instances, sizeof(instances));
  atomic_store(&source, entropy);
}


static instance_t* take(void) {
  for (uint32_t i = 0; i < CRYPTO_RANDOM_CALLERS_MAX; i++) {
    instance_t* d = &instances[i];
    /* Look before the exchange, so that a taken one's line is not fetched for
     * writing; acquire, so that what its last user wrote is seen. */
    if (!atomic_load_explicit(&d->taken, memory_order_relaxed) &&
        !atomic_exchange_explicit(&d->taken, true, memory_order_acquire))
      return d;
  }
  base_panic(__FILE__, __LINE__, "more callers than instances");
}


static void give(instance_t* d) {
  /* release: pairs with the acquire in take() */
  atomic_store_explicit(&d->taken, false, memory_order_release);
}


/* Seed `d`, or mix new entropy into it. */
static void seed(instance_t* d, bool first) {
  uint8_t fresh[SEED_SIZE];
  crypto_entropy_cb entropy = atomic_load(&source);

  if (entropy == NULL)
    base_panic(__FILE__, __LINE__, "random numbers before their source");
  if (entropy(fresh, sizeof(fresh)) < 0)
    base_panic(__FILE__, __LINE__, "no entropy");
  /* Some processors' RDRAND has answered all ones for ever after a sleep. */
  if (memcmp(fresh, fresh + SEED_SIZE / 2, SEED_SIZE / 2) == 0)
    base_panic(__FILE__, __LINE__, "entropy repeats itself");

  if (first)
    br_hmac_drbg_init(&d->drbg, &br_sha256_vtable, fresh, sizeof(fresh));
  else
    br_hmac_drbg_update(&d->drbg, fresh, sizeof(fresh));
  d->calls_left = RESEED_CALLS;
  ct_wipe(fresh, sizeof(fresh));
}


void crypto_random(void* buf, size_t size) {
  uint8_t* p = buf;
  instance_t* d = take();

  while (size > 0) {
    size_t piece = size;
    if (piece > CRYPTO_RANDOM_PIECE_MAX)
      piece = CRYPTO_RANDOM_PIECE_MAX;
    if (d->calls_left == 0)
      seed(d, d->drbg.vtable == NULL);
    br_hmac_drbg_generate(&d->drbg, p, piece);
    d->calls_left--;
    p += piece;
    size -= piece;
  }
  give(d);
}


void crypto_random_wipe(void) {
  /* No source first, so that a caller that comes now stops, not reseeds. */
  atomic_store(&source, (crypto_entropy_cb) NULL);
  ct_wipe(instances, sizeof(instances));
}

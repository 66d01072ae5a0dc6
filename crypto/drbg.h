/*
 * crypto/drbg.h - random numbers for everyone in the house.
 *
 * HMAC-DRBG with SHA-256 (NIST SP 800-90A, section 10.1.2), on BearSSL, seeded
 * and reseeded from the machine's own entropy. Whoever asks gets good numbers
 * or does not return: a machine without entropy stops, since nothing that it
 * would go on to do is safe.
 */
#ifndef EVSM_CRYPTO_DRBG_H
#define EVSM_CRYPTO_DRBG_H

#include <stddef.h>
#include <stdint.h>

/*
 * How many callers may be inside crypto_random at once, counting jobs that
 * were preempted in the middle of it: all jobs plus one loop a CPU. The root
 * that puts the house together static-asserts its own sum against this.
 */
#define CRYPTO_RANDOM_CALLERS_MAX 128u

/* The largest single request; more is asked for in pieces. SP 800-90A allows
 * 2^16 bytes a request. */
#define CRYPTO_RANDOM_PIECE_MAX 4096u

/*
 * The machine's entropy: fill all of `buf`, or return a negative error. Full
 * entropy is expected of it; retrying and health tests of the source are its
 * own work. Called in any context that crypto_random is called in.
 */
typedef int (*crypto_entropy_cb)(void* buf, size_t size);

/*
 * Say where entropy comes from. Forgets everything drawn so far, so that a
 * test may begin anew.
 *
 * Context:  [boot].
 */
void crypto_random_init(crypto_entropy_cb entropy);

/*
 * Fill `buf` with `size` random bytes. Never fails: without entropy, or before
 * crypto_random_init, the machine stops (base_panic).
 *
 * Context:  [any], [job]. Takes no lock that anybody waits for; at most
 *           CRYPTO_RANDOM_CALLERS_MAX callers at a time.
 * Memory:   `buf` is the caller's; what is in it is a secret if the caller's
 *           use makes it one.
 * Cost:     about 3 us, plus 0.1 us a byte without SHA instructions; each
 *           1024th call of an instance also asks the machine for entropy.
 */
void crypto_random(void* buf, size_t size);

/*
 * Wipe all state. For the way to a stopped machine: whoever calls
 * crypto_random afterwards stops the machine too.
 *
 * Context:  [any], [trap].
 */
void crypto_random_wipe(void);

#endif /* EVSM_CRYPTO_DRBG_H */

/*
 * tests/unit/peer.h - OpenSSL's libcrypto beside ours, for tests that compare.
 *
 * Both have the same names. OpenSSL's is loaded at run time and out of the
 * linker's sight, and PEER(BN_mul) is its BN_mul where BN_mul is ours. Types
 * have the same names too: an object goes back only to the side it came from.
 *
 * peer.c also stands in for what crypto/libcrypto/ needs: an allocator (the
 * host's, so that AddressSanitizer sees each block) and random numbers that
 * are the same in each run.
 */
#ifndef EVSM_TESTS_UNIT_PEER_H
#define EVSM_TESTS_UNIT_PEER_H

#include "crypto/libcrypto/openssl_asym.h"
#include "tests/unit/unit.h"

typedef void (*peer_function_t)(void);

/* OpenSSL's function of that name. The test fails when there is none. */
peer_function_t peer_function(const char* name);

#define PEER(name) ((__typeof__(&name)) peer_function(#name))

/* The next number of the test's own sequence. */
uint64_t peer_random(void);

/* Start that sequence anew. */
void peer_seed(uint64_t seed);

/* How many blocks of our allocator are not given back. */
size_t peer_blocks(void);

/*
 * `size` bytes that are likely to find a mistake: random, but with runs of
 * zeros and ones, all zeros, all ones, or a single bit.
 */
void peer_bytes(uint8_t* bytes, size_t size);

/* A number for each side from the same big-endian bytes. */
typedef struct {
  BIGNUM* ours;
  BIGNUM* theirs;
} peer_number_t;

peer_number_t peer_number(const uint8_t* bytes, size_t size);
peer_number_t peer_number_hex(const char* hex);
void peer_number_free(peer_number_t number);

/* The test fails unless both are the same number, sign and all. */
void peer_assert_same(const BIGNUM* ours, const BIGNUM* theirs);

#endif /* EVSM_TESTS_UNIT_PEER_H */

/*
 * crypto/libcrypto/block.h - block ciphers, both ways, for the modes.
 *
 * What cipher.c (modes) needs beyond the names that libtpms imports: the
 * inverse ciphers. Inputs and outputs may be the same block, and need no
 * alignment.
 */
#ifndef EVSM_CRYPTO_LIBCRYPTO_BLOCK_H
#define EVSM_CRYPTO_LIBCRYPTO_BLOCK_H

#include "crypto/libcrypto/openssl_sym.h"

/*
 * The schedule for aes_decrypt.
 *
 * Context:  [any], [job].
 * Returns:  0, or a negative number for a key size that does not exist.
 */
int aes_set_decrypt_key(const unsigned char* key, int bits, AES_KEY* aes);
void aes_decrypt(const unsigned char* in,
                 unsigned char* out,
                 const AES_KEY* aes);

/*
 * Use the portable AES even where the processor has instructions for it; for
 * tests. Keys that were set before must not be used afterwards.
 *
 * Context:  one caller, no AES in use.
 */
void aes_force_portable(int on);

/* With the schedule of Camellia_set_key. Context: [any], [job]. */
void camellia_decrypt(const unsigned char* in,
                      unsigned char* out,
                      const CAMELLIA_KEY* camellia);

#endif /* EVSM_CRYPTO_LIBCRYPTO_BLOCK_H */

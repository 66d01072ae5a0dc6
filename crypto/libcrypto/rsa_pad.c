/*
 * crypto/libcrypto/rsa_pad.c - PKCS #1 encodings (RFC 8017).
 *
 *   signature    00 01 ff..ff 00 DigestInfo                     section 9.2
 *   encryption   00 02 random, no zero byte .. 00 message       section 7.2
 *   OAEP         00 masked seed | masked (hash(label) 0..0 01 message)  7.1
 *   PSS          masked (0..0 01 salt) | hash | bc              section 9.1
 *
 * What is decrypted is a secret until it has been found well formed as a
 * whole: the two unpadding functions read all of it and decide once. Where
 * the message begins is then used as an offset, as its length is told anyway.
 */
#include "crypto/libcrypto/asym.h"

#include "crypto/ct.h"
#include "crypto/drbg.h"
#include "runtime/base.h"

/* PKCS #1 v1.5 wants at least 8 bytes of filling, and 3 fixed ones. */
#define PKCS1_OVERHEAD 11u

static void hash_3(uint8_t* digest,
                   const EVP_MD* md,
                   const void* const parts[3],
                   const size_t sizes[3]) {
  br_hash_compat_context context;

  md->hash->init(&context.vtable);
  for (int i = 0; i < 3; i++)
    md->hash->update(&context.vtable, parts[i], sizes[i]);
  md->hash->out(&context.vtable, digest);
  ct_wipe(&context, sizeof(context));
}


/* data ^= MGF1(seed), RFC 8017 appendix B.2.1. */
static void mask(uint8_t* data,
                 size_t size,
                 const EVP_MD* md,
                 const uint8_t* seed,
                 size_t seed_size) {
  uint8_t digest[MD_SIZE_MAX];

  for (size_t i = 0; i < size; i += md->size) {
    uint32_t counter = (uint32_t) (i / md->size);
    uint8_t wire[4] = {(uint8_t) (counter >> 24), (uint8_t) (counter >> 16),
                       (uint8_t) (counter >> 8), (uint8_t) counter};
    const void* const parts[3] = {seed, wire, wire};
    const size_t sizes[3] = {seed_size, sizeof(wire), 0};

    hash_3(digest, md, parts, sizes);
    for (size_t j = 0; j < md->size && i + j < size; j++)
      data[i + j] ^= digest[j];
  }
  ct_wipe(digest, sizeof(digest));
}


bool rsa_pad_signature(uint8_t* em,
                       size_t em_size,
                       const EVP_MD* md,
                       const uint8_t* digest) {
  size_t info_size = md->prefix_size + md->size;

  if (em_size < info_size + PKCS1_OVERHEAD)
    return false;

  size_t zero = em_size - info_size - 1;
  memset(em, 0xff, em_size);
  em[0] = 0;
  em[1] = 1;
  em[zero] = 0;
  memcpy(em + zero + 1, md->prefix, md->prefix_size);
  memcpy(em + zero + 1 + md->prefix_size, digest, md->size);
  return true;
}


bool rsa_pad_encryption(uint8_t* em,
                        size_t em_size,
                        const uint8_t* message,
                        size_t size) {
  if (em_size < PKCS1_OVERHEAD || size > em_size - PKCS1_OVERHEAD)
    return false;

  size_t zero = em_size - size - 1;
  memmove(em + zero + 1, message, size);
  em[0] = 0;
  em[1] = 2;
  em[zero] = 0;
  crypto_random(em + 2, zero - 2);
  for (size_t i = 2; i < zero; i++) {
    while (em[i] == 0)
      crypto_random(em + i, 1);
  }
  return true;
}


bool rsa_unpad_encryption(const uint8_t* em,
                          size_t em_size,
                          uint8_t* message,
                          size_t* size) {
  if (em_size < PKCS1_OVERHEAD)
    return false;

  ct_mask_t good = ct_is_zero(em[0]) & ct_equal_word(em[1], 2);
  ct_mask_t seen = 0;
  uint64_t zero = 0; /* where the first zero byte is */
  for (size_t i = 2; i < em_size; i++) {
    ct_mask_t here = ct_is_zero(em[i]) & ~seen;

    zero = ct_select(here, i, zero);
    seen |= here;
  }
  good &= seen & ~ct_less(zero, PKCS1_OVERHEAD - 1);
  if (good == 0)
    return false;

  *size = em_size - 1 - (size_t) zero;
  memcpy(message, em + zero + 1, *size);
  return true;
}


static void label_hash(uint8_t* digest, const rsa_oaep_t* oaep) {
  const void* const parts[3] = {oaep->label, digest, digest};
  const size_t sizes[3] = {oaep->label_size, 0, 0};

  hash_3(digest, oaep->md, parts, sizes);
}


bool rsa_pad_oaep(uint8_t* em,
                  size_t em_size,
                  const rsa_oaep_t* oaep,
                  const uint8_t* message,
                  size_t size) {
  size_t hash_size = oaep->md->size;

  if (em_size < 2 * hash_size + 2 || size > em_size - 2 * hash_size - 2)
    return false;

  uint8_t* seed = em + 1;
  uint8_t* block = seed + hash_size;
  size_t block_size = em_size - 1 - hash_size;
  size_t one = block_size - size - 1;

  memmove(block + one + 1, message, size);
  memset(block + hash_size, 0, one - hash_size);
  block[one] = 1;
  label_hash(block, oaep);
  em[0] = 0;
  crypto_random(seed, hash_size);
  mask(block, block_size, oaep->md, seed, hash_size);
  mask(seed, hash_size, oaep->md, block, block_size);
  return true;
}


bool rsa_unpad_oaep(uint8_t* em,
                    size_t em_size,
                    const rsa_oaep_t* oaep,
                    uint8_t* message,
                    size_t* size) {
  size_t hash_size = oaep->md->size;
  uint8_t label[MD_SIZE_MAX];

  if (em_size < 2 * hash_size + 2)
    return false;

  uint8_t* seed = em + 1;
  uint8_t* block = seed + hash_size;
  size_t block_size = em_size - 1 - hash_size;
  mask(seed, hash_size, oaep->md, block, block_size);
  mask(block, block_size, oaep->md, seed, hash_size);

  label_hash(label, oaep);
  ct_mask_t good = ct_is_zero(em[0]);
  for (size_t i = 0; i < hash_size; i++)
    good &= ct_equal_word(block[i], label[i]);

  /* Zeros, then one 1; anything else first is wrong. */
  ct_mask_t seen = 0;
  uint64_t one = 0;
  for (size_t i = hash_size; i < block_size; i++) {
    ct_mask_t is_one = ct_equal_word(block[i], 1);
    ct_mask_t is_zero = ct_is_zero(block[i]);

    one = ct_select(is_one & ~seen, i, one);
    seen |= is_one;
    good &= seen | is_zero;
  }
  good &= seen;
  if (good == 0)
    return false;

  *size = block_size - 1 - (size_t) one;
  memcpy(message, block + one + 1, *size);
  return true;
}


/* The hash over eight zeros, the digest and the salt. */
static void pss_hash(uint8_t* out,
                     const EVP_MD* md,
                     const uint8_t* digest,
                     const uint8_t* salt,
                     size_t salt_size) {
  static const uint8_t zeros[8];
  const void* const parts[3] = {zeros, digest, salt};
  const size_t sizes[3] = {sizeof(zeros), md->size, salt_size};

  hash_3(out, md, parts, sizes);
}


/* The bits of em[0] that are in use. */
static uint8_t pss_top_mask(size_t em_bits) {
  return (uint8_t) (0xff >> (7 - (em_bits - 1) % 8));
}


bool rsa_pad_pss(uint8_t* em,
                 size_t em_bits,
                 const EVP_MD* md,
                 int salt_size,
                 const uint8_t* digest) {
  size_t em_size = (em_bits + 7) / 8;

  if (em_size < md->size + 2)
    return false;

  size_t room = em_size - md->size - 2;
  size_t size = room; /* RSA_PSS_SALTLEN_AUTO and RSA_PSS_SALTLEN_MAX */
  if (salt_size == RSA_PSS_SALTLEN_DIGEST)
    size = md->size;
  else if (salt_size >= 0)
    size = (size_t) salt_size;
  if (size > room)
    return false;

  size_t block_size = em_size - md->size - 1;
  uint8_t* salt = em + block_size - size;
  uint8_t* hash = em + block_size;

  memset(em, 0, block_size - size);
  em[block_size - size - 1] = 1;
  crypto_random(salt, size);
  pss_hash(hash, md, digest, salt, size);
  mask(em, block_size, md, hash, md->size);
  em[0] &= pss_top_mask(em_bits);
  em[em_size - 1] = 0xbc;
  return true;
}


/* All of it is public: a signature's verification has no secret. */
bool rsa_check_pss(uint8_t* em,
                   size_t em_bits,
                   const EVP_MD* md,
                   int salt_size,
                   const uint8_t* digest) {
  size_t em_size = (em_bits + 7) / 8;
  uint8_t expected[MD_SIZE_MAX];

  if (em_size < md->size + 2)
    return false;
  if (em[em_size - 1] != 0xbc || (em[0] & ~pss_top_mask(em_bits)) != 0)
    return false;

  size_t block_size = em_size - md->size - 1;
  uint8_t* hash = em + block_size;
  size_t one = 0;

  mask(em, block_size, md, hash, md->size);
  em[0] &= pss_top_mask(em_bits);
  while (one + 1 < block_size && em[one] == 0)
    one++;
  if (em[one] != 1)
    return false;

  size_t size = block_size - one - 1;
  size_t wanted = salt_size >= 0 ? (size_t) salt_size : size;
  if (salt_size == RSA_PSS_SALTLEN_DIGEST)
    wanted = md->size;
  else if (salt_size == RSA_PSS_SALTLEN_MAX)
    wanted = block_size - 1;
  if (size != wanted)
    return false;

  pss_hash(expected, md, digest, em + one + 1, size);
  return ct_equal(expected, hash, md->size);
}

/*
 * crypto/libcrypto/des.c - single blocks of triple DES, and its keys.
 *
 * BearSSL's constant-time DES computes. It knows CBC only; one block of CBC
 * with an IV of zero is the bare cipher. DES_key_schedule has no room for all
 * of BearSSL's schedule, so it keeps the key, and each block builds the
 * schedule anew. That costs some microseconds a block: libtpms comes here for
 * CMAC and counter mode with triple DES only.
 *
 * Modes of triple DES are cipher.c's.
 */
#include "crypto/ct.h"
#include "crypto/drbg.h"
#include "crypto/libcrypto/openssl_sym.h"
#include "runtime/base.h"

#include <bearssl.h>

#define DES_KEY_SIZE 8u /* bytes, as is a block */

_Static_assert(sizeof(DES_key_schedule) == 128, "libtpms.a embeds it by value");


void DES_set_key_unchecked(DES_cblock* key, DES_key_schedule* schedule) {
  memset(schedule, 0, sizeof(*schedule));
  memcpy(schedule->schedule, key, DES_KEY_SIZE);
}


void DES_ecb3_encrypt(DES_cblock* in,
                      DES_cblock* out,
                      DES_key_schedule* ks1,
                      DES_key_schedule* ks2,
                      DES_key_schedule* ks3,
                      int enc) {
  uint8_t key[3 * DES_KEY_SIZE];
  uint8_t iv[DES_KEY_SIZE] = {0};
  uint8_t block[DES_KEY_SIZE];
  union {
    br_des_ct_cbcenc_keys enc;
    br_des_ct_cbcdec_keys dec;
  } keys;

  memcpy(key, ks1->schedule, DES_KEY_SIZE);
  memcpy(key + DES_KEY_SIZE, ks2->schedule, DES_KEY_SIZE);
  memcpy(key + 2 * DES_KEY_SIZE, ks3->schedule, DES_KEY_SIZE);
  memcpy(block, in, sizeof(block));
  if (enc) {
    br_des_ct_cbcenc_init(&keys.enc, key, sizeof(key));
    br_des_ct_cbcenc_run(&keys.enc, iv, block, sizeof(block));
  } else {
    br_des_ct_cbcdec_init(&keys.dec, key, sizeof(key));
    br_des_ct_cbcdec_run(&keys.dec, iv, block, sizeof(block));
  }
  memcpy(out, block, sizeof(block));
  ct_wipe(block, sizeof(block));
  ct_wipe(key, sizeof(key));
  ct_wipe(&keys, sizeof(keys));
}


/* The parity bit is the lowest: set so that each byte has an odd count. */
static uint8_t odd_parity(uint8_t byte) {
  unsigned bits = byte & 0xfeu;
  unsigned parity = bits ^ (bits >> 4);

  parity ^= parity >> 2;
  parity ^= parity >> 1;
  return (uint8_t) (bits | (1u ^ (parity & 1u)));
}


/* SP 800-67 section 3.3.2: four weak keys and six pairs of semi-weak ones, all
 * with odd parity. Every one is looked at, so time does not tell. */
static bool is_weak(const uint8_t* key) {
  static const uint8_t weak[16][DES_KEY_SIZE] = {
      {0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01},
      {0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe},
      {0xe0, 0xe0, 0xe0, 0xe0, 0xf1, 0xf1, 0xf1, 0xf1},
      {0x1f, 0x1f, 0x1f, 0x1f, 0x0e, 0x0e, 0x0e, 0x0e},
      {0x01, 0x1f, 0x01, 0x1f, 0x01, 0x0e, 0x01, 0x0e},
      {0x1f, 0x01, 0x1f, 0x01, 0x0e, 0x01, 0x0e, 0x01},
      {0x01, 0xe0, 0x01, 0xe0, 0x01, 0xf1, 0x01, 0xf1},
      {0xe0, 0x01, 0xe0, 0x01, 0xf1, 0x01, 0xf1, 0x01},
      {0x01, 0xfe, 0x01, 0xfe, 0x01, 0xfe, 0x01, 0xfe},
      {0xfe, 0x01, 0xfe, 0x01, 0xfe, 0x01, 0xfe, 0x01},
      {0x1f, 0xe0, 0x1f, 0xe0, 0x0e, 0xf1, 0x0e, 0xf1},
      {0xe0, 0x1f, 0xe0, 0x1f, 0xf1, 0x0e, 0xf1, 0x0e},
      {0x1f, 0xfe, 0x1f, 0xfe, 0x0e, 0xfe, 0x0e, 0xfe},
      {0xfe, 0x1f, 0xfe, 0x1f, 0xfe, 0x0e, 0xfe, 0x0e},
      {0xe0, 0xfe, 0xe0, 0xfe, 0xf1, 0xfe, 0xf1, 0xfe},
      {0xfe, 0xe0, 0xfe, 0xe0, 0xfe, 0xf1, 0xfe, 0xf1},
  };
  bool found = false;

  for (size_t i = 0; i < ARRAY_SIZE(weak); i++)
    found |= ct_equal(key, weak[i], DES_KEY_SIZE);
  return found;
}


int DES_random_key(DES_cblock* key) {
  uint8_t* bytes = *key;

  do { /* once more in 2^52 times */
    crypto_random(bytes, DES_KEY_SIZE);
    for (size_t i = 0; i < DES_KEY_SIZE; i++)
      bytes[i] = odd_parity(bytes[i]);
  } while (is_weak(bytes));
  return 1;
}

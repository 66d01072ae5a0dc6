/*
 * crypto/libcrypto/cipher.c - ciphers in their modes, behind OpenSSL's names.
 *
 *   EVP_CIPHER      one of 35: AES, Camellia or triple DES, in one mode
 *   EVP_CIPHER_CTX  a key schedule, the IV as it moves on, and what part of a
 *                   block was left over by the last call
 *
 * The promise: for any way of cutting the input, the output and the IV that
 * EVP_CIPHER_CTX_iv shows afterwards are OpenSSL's. libtpms gives that IV back
 * to its caller. So it matters what is in it in the middle of a block:
 *
 *   CFB   bytes done hold ciphertext, the others still keystream
 *   OFB   the keystream block
 *   CTR   the counter of the next block
 *   CBC   the last ciphertext block
 *
 * Padding is not offered: libtpms always turns it off, and a Final with half a
 * block left over is an error. All memory is libtpms's arena, wiped at free.
 */
#include "crypto/ct.h"
#include "crypto/libcrypto/block.h"
#include "crypto/libcrypto/libc.h"
#include "runtime/base.h"

#include <bearssl.h>

#define BLOCK_SIZE_MAX 16u /* bytes */

typedef enum { AES, CAMELLIA, DES } family_t;
typedef enum { ECB, CBC, CFB, OFB, CTR } mode_t;

struct evp_cipher_st {
  family_t family;
  mode_t mode;
  uint32_t key_size;   /* bytes */
  uint32_t block_size; /* bytes */
};

struct evp_cipher_ctx_st {
  const EVP_CIPHER* cipher; /* NULL: not ready */
  bool encrypt;
  uint32_t used; /* bytes of the current block that are done (or waiting) */
  uint8_t iv[BLOCK_SIZE_MAX];
  uint8_t block[BLOCK_SIZE_MAX]; /* CTR: keystream; ECB, CBC: waiting input */
  union {
    AES_KEY aes;
    CAMELLIA_KEY camellia;
    br_des_ct_cbcenc_keys des_enc;
    br_des_ct_cbcdec_keys des_dec;
  } key;
};


/* ---- Blocks ---- */

static void block_encrypt(EVP_CIPHER_CTX* c, const uint8_t* in, uint8_t* out) {
  uint8_t iv[8] = {0};

  switch (c->cipher->family) {
    case AES:
      AES_encrypt(in, out, &c->key.aes);
      break;
    case CAMELLIA:
      Camellia_encrypt(in, out, &c->key.camellia);
      break;
    case DES:
      memmove(out, in, sizeof(iv));
      br_des_ct_cbcenc_run(&c->key.des_enc, iv, out, sizeof(iv));
      ct_wipe(iv, sizeof(iv));
      break;
  }
}


static void block_decrypt(EVP_CIPHER_CTX* c, const uint8_t* in, uint8_t* out) {
  uint8_t iv[8] = {0};

  switch (c->cipher->family) {
    case AES:
      aes_decrypt(in, out, &c->key.aes);
      break;
    case CAMELLIA:
      camellia_decrypt(in, out, &c->key.camellia);
      break;
    case DES:
      memmove(out, in, sizeof(iv));
      br_des_ct_cbcdec_run(&c->key.des_dec, iv, out, sizeof(iv));
      break;
  }
}


/* Only ECB and CBC turn the cipher around; the others make a keystream. */
static bool inverts(const EVP_CIPHER_CTX* c) {
  return !c->encrypt && (c->cipher->mode == ECB || c->cipher->mode == CBC);
}


static int schedule(EVP_CIPHER_CTX* c, const uint8_t* key) {
  int bits = (int) c->cipher->key_size * 8;

  switch (c->cipher->family) {
    case AES:
      return inverts(c) ? aes_set_decrypt_key(key, bits, &c->key.aes)
                        : AES_set_encrypt_key(key, bits, &c->key.aes);
    case CAMELLIA:
      return Camellia_set_key(key, bits, &c->key.camellia);
    case DES:
      if (inverts(c))
        br_des_ct_cbcdec_init(&c->key.des_dec, key, c->cipher->key_size);
      else
        br_des_ct_cbcenc_init(&c->key.des_enc, key, c->cipher->key_size);
      return 0;
  }
  return -1;
}


/* ---- Modes that make a keystream: any number of bytes in, as many out ---- */

static void run_cfb(EVP_CIPHER_CTX* c,
                    const uint8_t* in,
                    uint8_t* out,
                    size_t size) {
  for (size_t i = 0; i < size; i++) {
    if (c->used == 0)
      block_encrypt(c, c->iv, c->iv);
    uint8_t input = in[i];
    uint8_t output = (uint8_t) (input ^ c->iv[c->used]);
    c->iv[c->used] = c->encrypt ? output : input;
    c->used = (c->used + 1) % c->cipher->block_size;
    out[i] = output;
  }
}


static void run_ofb(EVP_CIPHER_CTX* c,
                    const uint8_t* in,
                    uint8_t* out,
                    size_t size) {
  for (size_t i = 0; i < size; i++) {
    if (c->used == 0)
      block_encrypt(c, c->iv, c->iv);
    out[i] = (uint8_t) (in[i] ^ c->iv[c->used]);
    c->used = (c->used + 1) % c->cipher->block_size;
  }
}


/* The whole block counts, big-endian, and wraps. */
static void count_up(uint8_t* counter, uint32_t size) {
  for (uint32_t i = size; i-- > 0;)
    if (++counter[i] != 0)
      return;
}


static void run_ctr(EVP_CIPHER_CTX* c,
                    const uint8_t* in,
                    uint8_t* out,
                    size_t size) {
  for (size_t i = 0; i < size; i++) {
    if (c->used == 0) {
      block_encrypt(c, c->iv, c->block);
      count_up(c->iv, c->cipher->block_size);
    }
    out[i] = (uint8_t) (in[i] ^ c->block[c->used]);
    c->used = (c->used + 1) % c->cipher->block_size;
  }
}


/* ---- Modes of whole blocks: what does not fill one waits ---- */

static void one_block(EVP_CIPHER_CTX* c, uint8_t* out) {
  uint32_t size = c->cipher->block_size;
  uint8_t result[BLOCK_SIZE_MAX];

  if (c->cipher->mode == CBC && c->encrypt)
    for (uint32_t i = 0; i < size; i++)
      c->block[i] ^= c->iv[i];
  if (c->encrypt)
    block_encrypt(c, c->block, result);
  else
    block_decrypt(c, c->block, result);
  if (c->cipher->mode == CBC && !c->encrypt)
    for (uint32_t i = 0; i < size; i++)
      result[i] ^= c->iv[i];
  if (c->cipher->mode == CBC)
    memcpy(c->iv, c->encrypt ? result : c->block, size);
  memcpy(out, result, size);
  ct_wipe(result, sizeof(result));
}


static size_t run_blocks(EVP_CIPHER_CTX* c,
                         const uint8_t* in,
                         uint8_t* out,
                         size_t size) {
  size_t done = 0;

  for (size_t i = 0; i < size; i++) {
    c->block[c->used++] = in[i];
    if (c->used == c->cipher->block_size) {
      one_block(c, out + done);
      done += c->cipher->block_size;
      c->used = 0;
    }
  }
  return done;
}


/* ---- OpenSSL's names ---- */

EVP_CIPHER_CTX* EVP_CIPHER_CTX_new(void) {
  EVP_CIPHER_CTX* c = libc_malloc(sizeof(*c));

  if (c != NULL)
    memset(c, 0, sizeof(*c));
  return c;
}


void EVP_CIPHER_CTX_free(EVP_CIPHER_CTX* c) {
  libc_free(c); /* wipes */
}


const unsigned char* EVP_CIPHER_CTX_iv(const EVP_CIPHER_CTX* c) {
  return c->iv;
}


int EVP_CIPHER_CTX_get_iv_length(const EVP_CIPHER_CTX* c) {
  if (c->cipher == NULL || c->cipher->mode == ECB)
    return 0;
  return (int) c->cipher->block_size;
}


int EVP_CIPHER_CTX_set_padding(EVP_CIPHER_CTX* c, int pad) {
  (void) c;
  return pad == 0;
}


static int init(EVP_CIPHER_CTX* c,
                const EVP_CIPHER* cipher,
                const uint8_t* key,
                const uint8_t* iv,
                bool encrypt) {
  if (cipher == NULL || key == NULL)
    return 0;
  if (cipher->mode != ECB && iv == NULL)
    return 0;
  *c = (EVP_CIPHER_CTX){.cipher = cipher, .encrypt = encrypt};
  if (cipher->mode != ECB)
    memcpy(c->iv, iv, cipher->block_size);
  return schedule(c, key) == 0;
}


static int update(
    EVP_CIPHER_CTX* c, uint8_t* out, int* outl, const uint8_t* in, int inl) {
  *outl = 0;
  if (c->cipher == NULL || inl < 0)
    return 0;

  size_t size = (size_t) inl;
  size_t done = size;
  switch (c->cipher->mode) {
    case ECB:
    case CBC:
      done = run_blocks(c, in, out, size);
      break;
    case CFB:
      run_cfb(c, in, out, size);
      break;
    case OFB:
      run_ofb(c, in, out, size);
      break;
    case CTR:
      run_ctr(c, in, out, size);
      break;
  }
  *outl = (int) done;
  return 1;
}


/* Nothing is left to come out; half a block left over is an error. */
static int final(EVP_CIPHER_CTX* c, int* outl) {
  *outl = 0;
  if (c->cipher == NULL)
    return 0;
  if (c->cipher->mode == ECB || c->cipher->mode == CBC)
    return c->used == 0;
  return 1;
}


int EVP_EncryptInit_ex(EVP_CIPHER_CTX* c,
                       const EVP_CIPHER* cipher,
                       ENGINE* e,
                       const unsigned char* key,
                       const unsigned char* iv) {
  (void) e;
  return init(c, cipher, key, iv, true);
}


int EVP_DecryptInit_ex(EVP_CIPHER_CTX* c,
                       const EVP_CIPHER* cipher,
                       ENGINE* e,
                       const unsigned char* key,
                       const unsigned char* iv) {
  (void) e;
  return init(c, cipher, key, iv, false);
}


int EVP_EncryptUpdate(EVP_CIPHER_CTX* c,
                      unsigned char* out,
                      int* outl,
                      const unsigned char* in,
                      int inl) {
  return update(c, out, outl, in, inl);
}


int EVP_DecryptUpdate(EVP_CIPHER_CTX* c,
                      unsigned char* out,
                      int* outl,
                      const unsigned char* in,
                      int inl) {
  return update(c, out, outl, in, inl);
}


int EVP_EncryptFinal_ex(EVP_CIPHER_CTX* c, unsigned char* out, int* outl) {
  (void) out;
  return final(c, outl);
}


int EVP_DecryptFinal(EVP_CIPHER_CTX* c, unsigned char* out, int* outl) {
  (void) out;
  return final(c, outl);
}


/* ---- The 35 ciphers ---- */

/* clang-format off */
#define CIPHER_MAP(XX)                                                        \
  XX(EVP_aes_128_ecb,         AES,      ECB, 16, 16)                          \
  XX(EVP_aes_128_cbc,         AES,      CBC, 16, 16)                          \
  XX(EVP_aes_128_cfb128,      AES,      CFB, 16, 16)                          \
  XX(EVP_aes_128_ofb,         AES,      OFB, 16, 16)                          \
  XX(EVP_aes_128_ctr,         AES,      CTR, 16, 16)                          \
  XX(EVP_aes_192_ecb,         AES,      ECB, 24, 16)                          \
  XX(EVP_aes_192_cbc,         AES,      CBC, 24, 16)                          \
  XX(EVP_aes_192_cfb128,      AES,      CFB, 24, 16)                          \
  XX(EVP_aes_192_ofb,         AES,      OFB, 24, 16)                          \
  XX(EVP_aes_192_ctr,         AES,      CTR, 24, 16)                          \
  XX(EVP_aes_256_ecb,         AES,      ECB, 32, 16)                          \
  XX(EVP_aes_256_cbc,         AES,      CBC, 32, 16)                          \
  XX(EVP_aes_256_cfb128,      AES,      CFB, 32, 16)                          \
  XX(EVP_aes_256_ofb,         AES,      OFB, 32, 16)                          \
  XX(EVP_aes_256_ctr,         AES,      CTR, 32, 16)                          \
  XX(EVP_camellia_128_ecb,    CAMELLIA, ECB, 16, 16)                          \
  XX(EVP_camellia_128_cbc,    CAMELLIA, CBC, 16, 16)                          \
  XX(EVP_camellia_128_cfb128, CAMELLIA, CFB, 16, 16)                          \
  XX(EVP_camellia_128_ofb,    CAMELLIA, OFB, 16, 16)                          \
  XX(EVP_camellia_128_ctr,    CAMELLIA, CTR, 16, 16)                          \
  XX(EVP_camellia_192_ecb,    CAMELLIA, ECB, 24, 16)                          \
  XX(EVP_camellia_192_cbc,    CAMELLIA, CBC, 24, 16)                          \
  XX(EVP_camellia_192_cfb128, CAMELLIA, CFB, 24, 16)                          \
  XX(EVP_camellia_192_ofb,    CAMELLIA, OFB, 24, 16)                          \
  XX(EVP_camellia_192_ctr,    CAMELLIA, CTR, 24, 16)                          \
  XX(EVP_camellia_256_ecb,    CAMELLIA, ECB, 32, 16)                          \
  XX(EVP_camellia_256_cbc,    CAMELLIA, CBC, 32, 16)                          \
  XX(EVP_camellia_256_cfb128, CAMELLIA, CFB, 32, 16)                          \
  XX(EVP_camellia_256_ofb,    CAMELLIA, OFB, 32, 16)                          \
  XX(EVP_camellia_256_ctr,    CAMELLIA, CTR, 32, 16)                          \
  XX(EVP_des_ede3,            DES,      ECB, 24,  8)                          \
  XX(EVP_des_ede3_ecb,        DES,      ECB, 24,  8)                          \
  XX(EVP_des_ede3_cbc,        DES,      CBC, 24,  8)                          \
  XX(EVP_des_ede3_cfb64,      DES,      CFB, 24,  8)                          \
  XX(EVP_des_ede3_ofb,        DES,      OFB, 24,  8)
/* clang-format on */

#define XX(name, family, mode, key_size, block_size)                       \
  const EVP_CIPHER* name(void) {                                           \
    static const EVP_CIPHER cipher = {family, mode, key_size, block_size}; \
    return &cipher;                                                        \
  }
CIPHER_MAP(XX)
#undef XX

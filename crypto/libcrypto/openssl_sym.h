/*
 * crypto/libcrypto/openssl_sym.h - OpenSSL's symmetric half, as libtpms.a
 * calls it.
 *
 * libtpms.a was compiled against OpenSSL 3's headers. Names, argument orders
 * and the structures that its objects embed by value are therefore fixed, and
 * are written down here anew; we never include OpenSSL's own headers. The
 * sizes are asserted in the files that implement them, and the tests hold the
 * layouts against a real libcrypto.
 *
 * Only what libtpms.a imports is here (reference/libtpms.md, appendix A).
 * The asymmetric half is openssl_asym.h.
 *
 * Context:  [any], [job] for hashes and block ciphers; EVP_CIPHER_CTX_* use
 *           libtpms's arena, and so belong to whoever runs it (libc.h).
 */
#ifndef EVSM_CRYPTO_LIBCRYPTO_OPENSSL_SYM_H
#define EVSM_CRYPTO_LIBCRYPTO_OPENSSL_SYM_H

#include <stddef.h>
#include <stdint.h>

/*
 * Hashes. These are more than storage: libtpms marshals the fields of a hash
 * that is under way into the volatile state, so each must mean what OpenSSL
 * means by it: h the chaining value in native words, Nl and Nh the count of
 * message bits, data the bytes that do not fill a block yet, as they came, and
 * num how many those are.
 */
typedef struct SHAstate_st {
  uint32_t h0, h1, h2, h3, h4;
  uint32_t Nl, Nh;
  uint32_t data[16];
  unsigned int num;
} SHA_CTX;

typedef struct SHA256state_st {
  uint32_t h[8];
  uint32_t Nl, Nh;
  uint32_t data[16];
  unsigned int num, md_len;
} SHA256_CTX;

typedef struct SHA512state_st {
  uint64_t h[8];
  uint64_t Nl, Nh;
  union {
    uint64_t d[16];
    unsigned char p[128];
  } u;
  unsigned int num, md_len;
} SHA512_CTX;

int SHA1_Init(SHA_CTX* c);
int SHA1_Update(SHA_CTX* c, const void* data, size_t len);
int SHA1_Final(unsigned char* md, SHA_CTX* c);
int SHA256_Init(SHA256_CTX* c);
int SHA256_Update(SHA256_CTX* c, const void* data, size_t len);
int SHA256_Final(unsigned char* md, SHA256_CTX* c);
int SHA384_Init(SHA512_CTX* c);
int SHA384_Update(SHA512_CTX* c, const void* data, size_t len);
int SHA384_Final(unsigned char* md, SHA512_CTX* c);
int SHA512_Init(SHA512_CTX* c);
int SHA512_Update(SHA512_CTX* c, const void* data, size_t len);
int SHA512_Final(unsigned char* md, SHA512_CTX* c);

/* Block ciphers. What is inside a key is ours; the size is not. */
typedef struct aes_key_st {
  uint32_t rd_key[60];
  int rounds;
} AES_KEY;

typedef struct camellia_key_st {
  uint64_t rd_key[34];
  int grand_rounds;
} CAMELLIA_KEY;

typedef unsigned char DES_cblock[8];

typedef struct DES_ks {
  unsigned char schedule[128];
} DES_key_schedule;

/* All return 0, or a negative number for a key size that does not exist. */
int AES_set_encrypt_key(const unsigned char* key, int bits, AES_KEY* aes);
void AES_encrypt(const unsigned char* in,
                 unsigned char* out,
                 const AES_KEY* aes);

int Camellia_set_key(const unsigned char* key,
                     int bits,
                     CAMELLIA_KEY* camellia);
void Camellia_encrypt(const unsigned char* in,
                      unsigned char* out,
                      const CAMELLIA_KEY* camellia);

void DES_set_key_unchecked(DES_cblock* key, DES_key_schedule* schedule);
void DES_ecb3_encrypt(DES_cblock* in,
                      DES_cblock* out,
                      DES_key_schedule* ks1,
                      DES_key_schedule* ks2,
                      DES_key_schedule* ks3,
                      int enc);
int DES_random_key(DES_cblock* key);

/* Ciphers in their modes. */
typedef struct evp_cipher_st EVP_CIPHER;
typedef struct evp_cipher_ctx_st EVP_CIPHER_CTX;
typedef struct engine_st ENGINE;

EVP_CIPHER_CTX* EVP_CIPHER_CTX_new(void);
void EVP_CIPHER_CTX_free(EVP_CIPHER_CTX* c);
const unsigned char* EVP_CIPHER_CTX_iv(const EVP_CIPHER_CTX* c);
int EVP_CIPHER_CTX_get_iv_length(const EVP_CIPHER_CTX* c);
int EVP_CIPHER_CTX_set_padding(EVP_CIPHER_CTX* c, int pad);
int EVP_EncryptInit_ex(EVP_CIPHER_CTX* c,
                       const EVP_CIPHER* cipher,
                       ENGINE* e,
                       const unsigned char* key,
                       const unsigned char* iv);
int EVP_EncryptUpdate(EVP_CIPHER_CTX* c,
                      unsigned char* out,
                      int* outl,
                      const unsigned char* in,
                      int inl);
int EVP_EncryptFinal_ex(EVP_CIPHER_CTX* c, unsigned char* out, int* outl);
int EVP_DecryptInit_ex(EVP_CIPHER_CTX* c,
                       const EVP_CIPHER* cipher,
                       ENGINE* e,
                       const unsigned char* key,
                       const unsigned char* iv);
int EVP_DecryptUpdate(EVP_CIPHER_CTX* c,
                      unsigned char* out,
                      int* outl,
                      const unsigned char* in,
                      int inl);
int EVP_DecryptFinal(EVP_CIPHER_CTX* c, unsigned char* out, int* outl);

const EVP_CIPHER* EVP_aes_128_ecb(void);
const EVP_CIPHER* EVP_aes_128_cbc(void);
const EVP_CIPHER* EVP_aes_128_cfb128(void);
const EVP_CIPHER* EVP_aes_128_ofb(void);
const EVP_CIPHER* EVP_aes_128_ctr(void);
const EVP_CIPHER* EVP_aes_192_ecb(void);
const EVP_CIPHER* EVP_aes_192_cbc(void);
const EVP_CIPHER* EVP_aes_192_cfb128(void);
const EVP_CIPHER* EVP_aes_192_ofb(void);
const EVP_CIPHER* EVP_aes_192_ctr(void);
const EVP_CIPHER* EVP_aes_256_ecb(void);
const EVP_CIPHER* EVP_aes_256_cbc(void);
const EVP_CIPHER* EVP_aes_256_cfb128(void);
const EVP_CIPHER* EVP_aes_256_ofb(void);
const EVP_CIPHER* EVP_aes_256_ctr(void);
const EVP_CIPHER* EVP_camellia_128_ecb(void);
const EVP_CIPHER* EVP_camellia_128_cbc(void);
const EVP_CIPHER* EVP_camellia_128_cfb128(void);
const EVP_CIPHER* EVP_camellia_128_ofb(void);
const EVP_CIPHER* EVP_camellia_128_ctr(void);
const EVP_CIPHER* EVP_camellia_192_ecb(void);
const EVP_CIPHER* EVP_camellia_192_cbc(void);
const EVP_CIPHER* EVP_camellia_192_cfb128(void);
const EVP_CIPHER* EVP_camellia_192_ofb(void);
const EVP_CIPHER* EVP_camellia_192_ctr(void);
const EVP_CIPHER* EVP_camellia_256_ecb(void);
const EVP_CIPHER* EVP_camellia_256_cbc(void);
const EVP_CIPHER* EVP_camellia_256_cfb128(void);
const EVP_CIPHER* EVP_camellia_256_ofb(void);
const EVP_CIPHER* EVP_camellia_256_ctr(void);
const EVP_CIPHER* EVP_des_ede3(void);
const EVP_CIPHER* EVP_des_ede3_ecb(void);
const EVP_CIPHER* EVP_des_ede3_cbc(void);
const EVP_CIPHER* EVP_des_ede3_cfb64(void);
const EVP_CIPHER* EVP_des_ede3_ofb(void);

/* Streams: libtpms decodes base64 blobs with them, which we never ask for.
 * All of them are "not there". */
typedef struct bio_st BIO;
typedef struct bio_method_st BIO_METHOD;

const BIO_METHOD* BIO_f_base64(void);
BIO* BIO_new(const BIO_METHOD* type);
BIO* BIO_new_mem_buf(const void* buf, int len);
BIO* BIO_push(BIO* b, BIO* append);
int BIO_read(BIO* b, void* data, int dlen);
void BIO_set_flags(BIO* b, int flags);
int BIO_free(BIO* a);
void BIO_free_all(BIO* a);

#endif /* EVSM_CRYPTO_LIBCRYPTO_OPENSSL_SYM_H */

/*
 * crypto/libcrypto/openssl_asym.h - OpenSSL's asymmetric half, as libtpms.a
 * calls it.
 *
 * libtpms.a was compiled against OpenSSL 3's headers, so names, argument
 * orders and constants are fixed; they are written down here anew, and we
 * never include OpenSSL's own headers. All types are opaque to libtpms, so
 * what is in them is ours (asym.h).
 *
 *   bn.c      BN_*: numbers              bn_ctx.c  BN_CTX_*: lent numbers
 *   ec_group.c  EC_GROUP_*, EC_POINT_*   ecdsa.c   EC_KEY_*, ECDSA_*
 *   rsa.c     RSA_*, and the operation   rsa_keygen.c  RSA_generate_key_ex
 *   rsa_pad.c PKCS #1 paddings           pkey.c    EVP_PKEY_*, EVP_MD_*
 *
 * Return values are OpenSSL's: 1 (or a pointer) for success, 0, negative or
 * NULL for failure; there is no error queue, since libtpms never reads it.
 *
 * Context:  all of it is [job], one caller at a time, as libc.h says.
 * Memory:   what they return, or are given to keep ("set0", "assign"), is in
 *           the arena of libc.h.
 *
 * Only what libtpms.a imports is here (reference/libtpms.md, appendix A). The
 * symmetric half is openssl_sym.h.
 */
#ifndef EVSM_CRYPTO_LIBCRYPTO_OPENSSL_ASYM_H
#define EVSM_CRYPTO_LIBCRYPTO_OPENSSL_ASYM_H

#include <stddef.h>
#include <stdint.h>

typedef struct bignum_st BIGNUM;
typedef struct bignum_ctx BN_CTX;
typedef unsigned long BN_ULONG;
typedef struct ec_group_st EC_GROUP;
typedef struct ec_point_st EC_POINT;
typedef struct ec_key_st EC_KEY;
typedef struct ECDSA_SIG_st ECDSA_SIG;
typedef struct rsa_st RSA;
typedef struct bn_gencb_st BN_GENCB;
typedef struct evp_pkey_st EVP_PKEY;
typedef struct evp_pkey_ctx_st EVP_PKEY_CTX;
typedef struct evp_md_st EVP_MD;
typedef struct engine_st ENGINE;

/* Numbers. */
#define BN_FLG_CONSTTIME 0x04

BIGNUM* BN_new(void);
void BN_free(BIGNUM* a);
void BN_clear_free(BIGNUM* a);
BIGNUM* BN_dup(const BIGNUM* a);
BIGNUM* BN_copy(BIGNUM* r, const BIGNUM* a);
int BN_cmp(const BIGNUM* a, const BIGNUM* b);
int BN_is_zero(const BIGNUM* a);
int BN_num_bits(const BIGNUM* a);
void BN_set_flags(BIGNUM* a, int flags);
int BN_set_word(BIGNUM* a, BN_ULONG w);
BIGNUM* BN_bin2bn(const unsigned char* s, int len, BIGNUM* r);
int BN_bn2bin(const BIGNUM* a, unsigned char* to);
int BN_add_word(BIGNUM* a, BN_ULONG w);
int BN_sub(BIGNUM* r, const BIGNUM* a, const BIGNUM* b);
int BN_mul(BIGNUM* r, const BIGNUM* a, const BIGNUM* b, BN_CTX* ctx);
int BN_div(BIGNUM* q, BIGNUM* r, const BIGNUM* a, const BIGNUM* b, BN_CTX* ctx);
int BN_mod_exp(
    BIGNUM* r, const BIGNUM* a, const BIGNUM* p, const BIGNUM* m, BN_CTX* ctx);
BIGNUM* BN_mod_inverse(BIGNUM* r,
                       const BIGNUM* a,
                       const BIGNUM* n,
                       BN_CTX* ctx);

BN_CTX* BN_CTX_new(void);
void BN_CTX_free(BN_CTX* ctx);
void BN_CTX_start(BN_CTX* ctx);
BIGNUM* BN_CTX_get(BN_CTX* ctx);
void BN_CTX_end(BN_CTX* ctx);

/* Curves and points. */
EC_GROUP* EC_GROUP_new_curve_GFp(const BIGNUM* p,
                                 const BIGNUM* a,
                                 const BIGNUM* b,
                                 BN_CTX* ctx);
void EC_GROUP_free(EC_GROUP* group);
int EC_GROUP_set_generator(EC_GROUP* group,
                           const EC_POINT* generator,
                           const BIGNUM* order,
                           const BIGNUM* cofactor);
EC_POINT* EC_POINT_new(const EC_GROUP* group);
void EC_POINT_free(EC_POINT* point);
void EC_POINT_clear_free(EC_POINT* point);
int EC_POINT_set_affine_coordinates(const EC_GROUP* group,
                                    EC_POINT* r,
                                    const BIGNUM* x,
                                    const BIGNUM* y,
                                    BN_CTX* ctx);
int EC_POINT_get_affine_coordinates(const EC_GROUP* group,
                                    const EC_POINT* a,
                                    BIGNUM* x,
                                    BIGNUM* y,
                                    BN_CTX* ctx);
int EC_POINT_add(const EC_GROUP* group,
                 EC_POINT* r,
                 const EC_POINT* a,
                 const EC_POINT* b,
                 BN_CTX* ctx);
int EC_POINT_mul(const EC_GROUP* group,
                 EC_POINT* r,
                 const BIGNUM* n,
                 const EC_POINT* q,
                 const BIGNUM* m,
                 BN_CTX* ctx);
/* tidy: allow parameters: OpenSSL's own */
int EC_POINTs_mul(const EC_GROUP* group,
                  EC_POINT* r,
                  const BIGNUM* n,
                  size_t num,
                  const EC_POINT* p[],
                  const BIGNUM* m[],
                  BN_CTX* ctx);

/* Keys and signatures on them. */
EC_KEY* EC_KEY_new(void);
void EC_KEY_free(EC_KEY* key);
int EC_KEY_set_group(EC_KEY* key, const EC_GROUP* group);
int EC_KEY_set_private_key(EC_KEY* key, const BIGNUM* d);
int EC_KEY_set_public_key(EC_KEY* key, const EC_POINT* q);
const BIGNUM* EC_KEY_get0_private_key(const EC_KEY* key);
int EC_KEY_generate_key(EC_KEY* key);

ECDSA_SIG* ECDSA_SIG_new(void);
void ECDSA_SIG_free(ECDSA_SIG* sig);
void ECDSA_SIG_get0(const ECDSA_SIG* sig, const BIGNUM** r, const BIGNUM** s);
int ECDSA_SIG_set0(ECDSA_SIG* sig, BIGNUM* r, BIGNUM* s);
ECDSA_SIG* ECDSA_do_sign(const unsigned char* digest, int size, EC_KEY* key);
int ECDSA_do_verify(const unsigned char* digest,
                    int size,
                    const ECDSA_SIG* sig,
                    EC_KEY* key);

/* RSA. */
RSA* RSA_new(void);
void RSA_free(RSA* rsa);
int RSA_set0_key(RSA* rsa, BIGNUM* n, BIGNUM* e, BIGNUM* d);
int RSA_set0_crt_params(RSA* rsa, BIGNUM* dp, BIGNUM* dq, BIGNUM* q_inv);
void RSA_get0_key(const RSA* rsa,
                  const BIGNUM** n,
                  const BIGNUM** e,
                  const BIGNUM** d);
void RSA_get0_factors(const RSA* rsa, const BIGNUM** p, const BIGNUM** q);
void RSA_set_flags(RSA* rsa, int flags);
int RSA_generate_key_ex(RSA* rsa, int bits, BIGNUM* e, BN_GENCB* cb);

#define EVP_PKEY_RSA 6 /* the only type there is here */
#define RSA_PKCS1_PADDING 1
#define RSA_NO_PADDING 3
#define RSA_PKCS1_OAEP_PADDING 4
#define RSA_PKCS1_PSS_PADDING 6
#define RSA_PSS_SALTLEN_DIGEST (-1)
#define RSA_PSS_SALTLEN_AUTO (-2)
#define RSA_PSS_SALTLEN_MAX (-3)

EVP_PKEY* EVP_PKEY_new(void);
void EVP_PKEY_free(EVP_PKEY* pkey);
int EVP_PKEY_assign(EVP_PKEY* pkey, int type, void* key);
RSA* EVP_PKEY_get1_RSA(EVP_PKEY* pkey);

EVP_PKEY_CTX* EVP_PKEY_CTX_new(EVP_PKEY* pkey, ENGINE* e);
void EVP_PKEY_CTX_free(EVP_PKEY_CTX* ctx);
int EVP_PKEY_CTX_set_rsa_padding(EVP_PKEY_CTX* ctx, int padding);
int EVP_PKEY_CTX_set_rsa_pss_saltlen(EVP_PKEY_CTX* ctx, int size);
int EVP_PKEY_CTX_set_signature_md(EVP_PKEY_CTX* ctx, const EVP_MD* md);
int EVP_PKEY_CTX_set_rsa_oaep_md(EVP_PKEY_CTX* ctx, const EVP_MD* md);
int EVP_PKEY_CTX_set0_rsa_oaep_label(EVP_PKEY_CTX* ctx, void* label, int size);

int EVP_PKEY_sign_init(EVP_PKEY_CTX* ctx);
int EVP_PKEY_sign(EVP_PKEY_CTX* ctx,
                  unsigned char* sig,
                  size_t* sig_size,
                  const unsigned char* digest,
                  size_t digest_size);
int EVP_PKEY_verify_init(EVP_PKEY_CTX* ctx);
int EVP_PKEY_verify(EVP_PKEY_CTX* ctx,
                    const unsigned char* sig,
                    size_t sig_size,
                    const unsigned char* digest,
                    size_t digest_size);
int EVP_PKEY_encrypt_init(EVP_PKEY_CTX* ctx);
int EVP_PKEY_encrypt(EVP_PKEY_CTX* ctx,
                     unsigned char* out,
                     size_t* out_size,
                     const unsigned char* in,
                     size_t in_size);
int EVP_PKEY_decrypt_init(EVP_PKEY_CTX* ctx);
int EVP_PKEY_decrypt(EVP_PKEY_CTX* ctx,
                     unsigned char* out,
                     size_t* out_size,
                     const unsigned char* in,
                     size_t in_size);

const EVP_MD* EVP_get_digestbyname(const char* name);
int EVP_MD_get_size(const EVP_MD* md);

#endif /* EVSM_CRYPTO_LIBCRYPTO_OPENSSL_ASYM_H */

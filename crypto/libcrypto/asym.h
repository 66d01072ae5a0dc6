/*
 * crypto/libcrypto/asym.h - what is in OpenSSL's opaque types, and what the
 * files of the asymmetric half share. Nobody else includes this.
 *
 * Context:  all of it is [job], one caller at a time, as libc.h says.
 */
#ifndef EVSM_CRYPTO_LIBCRYPTO_ASYM_H
#define EVSM_CRYPTO_LIBCRYPTO_ASYM_H

#include "crypto/bignum.h"
#include "crypto/ec.h"
#include "crypto/libcrypto/openssl_asym.h"

#include <bearssl.h>

/* The product of two of the largest moduli, and a little on top. */
#define BN_LIMBS_MAX (BIGNUM_PRODUCT_LIMBS_MAX + 2)

/* The largest RSA modulus, in bytes. */
#define RSA_SIZE_MAX (BIGNUM_MODULUS_LIMBS_MAX * BIGNUM_LIMB_SIZE)

#define MD_SIZE_MAX 64u /* SHA-512's */

/*
 * A number. `size` limbs are in use and the last of them is not 0; the rest
 * is not initialised. How many limbs a secret has is not kept secret.
 */
struct bignum_st {
  size_t size;
  int flags; /* BN_FLG_CONSTTIME only changes what even moduli are told */
  int negative;
  limb_t limbs[BN_LIMBS_MAX];
};

struct ec_group_st {
  int references; /* its maker, and the keys that use it */
  ec_curve_t curve;
};

struct ec_point_st {
  ec_point_t point;
};

struct ec_key_st {
  EC_GROUP* group;
  BIGNUM* d; /* secret */
  EC_POINT* q;
};

struct ECDSA_SIG_st {
  BIGNUM* r;
  BIGNUM* s;
};

struct rsa_st {
  int references;
  int flags;
  BIGNUM *n, *e;
  BIGNUM *d, *p, *q;       /* secret */
  BIGNUM *dp, *dq, *q_inv; /* secret; kept and not used */
};

struct evp_md_st {
  const char* name;
  const br_hash_class* hash;
  size_t size;        /* bytes of a digest */
  size_t prefix_size; /* of the DigestInfo that PKCS #1 v1.5 signs */
  uint8_t prefix[19];
};

/*
 * The scratch of this half. libtpms is one caller at a time, so there is one.
 */
bignum_scratch_t* libcrypto_scratch(void);

/* Give a number n limbs' value, leading zeros dropped. Returns 1, or 0 when
 * there are too many limbs; `limbs` may be its own. */
int bn_assign(BIGNUM* r, const limb_t* limbs, size_t n);

/* Copy a to n limbs with zeros on top; its size is at most n. */
void bn_extend(limb_t* r, const BIGNUM* a, size_t n);

/* r = a mod m, from 0 to m - 1 for a negative a too. m has n limbs, the top
 * one not 0. */
void bn_reduce(limb_t* r, const BIGNUM* a, const limb_t* m, size_t n);

/* Bytes that the modulus has. */
size_t rsa_size(const RSA* rsa);

/*
 * The RSA operation, from a block of at most rsa_size() bytes to one of
 * exactly that many; `out` may be `in`.
 *
 * Returns:  true, or false when the key is unusable, when the block is not
 *           below the modulus, or when the private result did not check.
 */
bool rsa_public(const RSA* rsa, uint8_t* out, const uint8_t* in, size_t size);
bool rsa_private(const RSA* rsa, uint8_t* out, const uint8_t* in, size_t size);

/*
 * PKCS #1 encodings (RFC 8017), between a message and a block `em` of
 * `em_size` bytes, the modulus's size. All return true, or false when it
 * doesn't fit, or isn't one.
 */
bool rsa_pad_signature(uint8_t* em,
                       size_t em_size,
                       const EVP_MD* md,
                       const uint8_t* digest);
bool rsa_pad_encryption(uint8_t* em,
                        size_t em_size,
                        const uint8_t* message,
                        size_t size);
bool rsa_unpad_encryption(const uint8_t* em,
                          size_t em_size,
                          uint8_t* message,
                          size_t* size);

typedef struct {
  const EVP_MD* md; /* for the label and for the mask */
  const void* label;
  size_t label_size;
} rsa_oaep_t;

bool rsa_pad_oaep(uint8_t* em,
                  size_t em_size,
                  const rsa_oaep_t* oaep,
                  const uint8_t* message,
                  size_t size);
bool rsa_unpad_oaep(uint8_t* em,
                    size_t em_size,
                    const rsa_oaep_t* oaep,
                    uint8_t* message,
                    size_t* size);

/* `em_bits` is one less than the modulus has; `em` has as many bytes as these
 * bits need. salt_size is a size or one of RSA_PSS_SALTLEN_. */
bool rsa_pad_pss(uint8_t* em,
                 size_t em_bits,
                 const EVP_MD* md,
                 int salt_size,
                 const uint8_t* digest);
bool rsa_check_pss(uint8_t* em,
                   size_t em_bits,
                   const EVP_MD* md,
                   int salt_size,
                   const uint8_t* digest);

#endif /* EVSM_CRYPTO_LIBCRYPTO_ASYM_H */

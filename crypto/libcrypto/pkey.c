/*
 * crypto/libcrypto/pkey.c - OpenSSL's EVP_PKEY_* and EVP_MD_*: what to do with
 * an RSA key.
 *
 * A context remembers a key, one operation and how to pad. Only RSA keys go
 * through here; libtpms signs with elliptic curves by ECDSA_do_sign.
 */
#include "crypto/libcrypto/asym.h"

#include "crypto/ct.h"
#include "crypto/libcrypto/libc.h"
#include "runtime/base.h"

struct evp_pkey_st {
  int references;
  RSA* rsa;
};

typedef enum {
  OPERATION_NONE,
  OPERATION_SIGN,
  OPERATION_VERIFY,
  OPERATION_ENCRYPT,
  OPERATION_DECRYPT,
} operation_t;

struct evp_pkey_ctx_st {
  EVP_PKEY* pkey;
  operation_t operation;
  int padding;
  int salt_size;
  const EVP_MD* md;      /* of signatures, or NULL */
  const EVP_MD* oaep_md; /* or NULL, which is SHA-1 */
  void* label;           /* ours to free */
  size_t label_size;
};

/* The DigestInfo that stands before a digest of each kind: RFC 8017, 9.2. */
/* clang-format off */
#define INFO_SHA2(number, size)                                              \
  {0x30, 0x11 + (size), 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,      \
   0x65, 0x03, 0x04, 0x02, (number), 0x05, 0x00, 0x04, (size)}

static const EVP_MD digests[] = {
    {.name = "SHA1", .hash = &br_sha1_vtable, .size = 20, .prefix_size = 15,
     .prefix = {0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02,
                0x1a, 0x05, 0x00, 0x04, 0x14}},
    {.name = "SHA256", .hash = &br_sha256_vtable, .size = 32,
     .prefix_size = 19, .prefix = INFO_SHA2(1, 32)},
    {.name = "SHA384", .hash = &br_sha384_vtable, .size = 48,
     .prefix_size = 19, .prefix = INFO_SHA2(2, 48)},
    {.name = "SHA512", .hash = &br_sha512_vtable, .size = 64,
     .prefix_size = 19, .prefix = INFO_SHA2(3, 64)},
};
/* clang-format on */

/* Letters count alike in both cases, as in OpenSSL. */
static bool same_name(const char* a, const char* b) {
  for (; *a != 0 && *b != 0; a++, b++) {
    char upper = *b >= 'a' && *b <= 'z' ? (char) (*b - 'a' + 'A') : *b;

    if (*a != upper)
      return false;
  }
  return *a == *b;
}


const EVP_MD* EVP_get_digestbyname(const char* name) {
  for (size_t i = 0; name != NULL && i < ARRAY_SIZE(digests); i++) {
    if (same_name(digests[i].name, name))
      return &digests[i];
  }
  return NULL;
}


int EVP_MD_get_size(const EVP_MD* md) {
  return md != NULL ? (int) md->size : -1;
}


EVP_PKEY* EVP_PKEY_new(void) {
  EVP_PKEY* pkey = libc_malloc(sizeof(*pkey));

  if (pkey != NULL) {
    pkey->references = 1;
    pkey->rsa = NULL;
  }
  return pkey;
}


void EVP_PKEY_free(EVP_PKEY* pkey) {
  if (pkey == NULL)
    return;
  ASSERT(pkey->references > 0);
  if (--pkey->references > 0)
    return;
  RSA_free(pkey->rsa);
  libc_free(pkey);
}


int EVP_PKEY_assign(EVP_PKEY* pkey, int type, void* key) {
  if (pkey == NULL || type != EVP_PKEY_RSA)
    return 0;
  RSA_free(pkey->rsa);
  pkey->rsa = key;
  return key != NULL;
}


RSA* EVP_PKEY_get1_RSA(EVP_PKEY* pkey) {
  if (pkey->rsa != NULL)
    pkey->rsa->references++;
  return pkey->rsa;
}


EVP_PKEY_CTX* EVP_PKEY_CTX_new(EVP_PKEY* pkey, ENGINE* e) {
  (void) e;

  if (pkey == NULL || pkey->rsa == NULL)
    return NULL;

  EVP_PKEY_CTX* ctx = libc_malloc(sizeof(*ctx));
  if (ctx == NULL)
    return NULL;
  memset(ctx, 0, sizeof(*ctx));
  ctx->pkey = pkey;
  pkey->references++;
  return ctx;
}


void EVP_PKEY_CTX_free(EVP_PKEY_CTX* ctx) {
  if (ctx == NULL)
    return;
  EVP_PKEY_free(ctx->pkey);
  libc_free(ctx->label);
  libc_free(ctx);
}


static bool is_signing(const EVP_PKEY_CTX* ctx) {
  return ctx->operation == OPERATION_SIGN || ctx->operation == OPERATION_VERIFY;
}


static bool is_ciphering(const EVP_PKEY_CTX* ctx) {
  return ctx->operation == OPERATION_ENCRYPT ||
         ctx->operation == OPERATION_DECRYPT;
}


/* Each init begins with the usual padding. A key without a modulus is no key,
 * and does not begin anything. */
static int begin(EVP_PKEY_CTX* ctx, operation_t operation) {
  if (ctx->pkey->rsa->n == NULL)
    return 0;
  ctx->operation = operation;
  ctx->padding = RSA_PKCS1_PADDING;
  ctx->salt_size = RSA_PSS_SALTLEN_AUTO;
  ctx->md = NULL;
  ctx->oaep_md = NULL;
  return 1;
}


int EVP_PKEY_sign_init(EVP_PKEY_CTX* ctx) {
  return begin(ctx, OPERATION_SIGN);
}


int EVP_PKEY_verify_init(EVP_PKEY_CTX* ctx) {
  return begin(ctx, OPERATION_VERIFY);
}


int EVP_PKEY_encrypt_init(EVP_PKEY_CTX* ctx) {
  return begin(ctx, OPERATION_ENCRYPT);
}


int EVP_PKEY_decrypt_init(EVP_PKEY_CTX* ctx) {
  return begin(ctx, OPERATION_DECRYPT);
}


int EVP_PKEY_CTX_set_rsa_padding(EVP_PKEY_CTX* ctx, int padding) {
  bool known = padding == RSA_PKCS1_PADDING || padding == RSA_NO_PADDING ||
               (padding == RSA_PKCS1_PSS_PADDING && is_signing(ctx)) ||
               (padding == RSA_PKCS1_OAEP_PADDING && is_ciphering(ctx));

  if (!known || ctx->operation == OPERATION_NONE)
    return -2;
  ctx->padding = padding;
  return 1;
}


int EVP_PKEY_CTX_set_rsa_pss_saltlen(EVP_PKEY_CTX* ctx, int size) {
  if (!is_signing(ctx) || ctx->padding != RSA_PKCS1_PSS_PADDING)
    return -2;
  if (size < RSA_PSS_SALTLEN_MAX)
    return -2;
  ctx->salt_size = size;
  return 1;
}


int EVP_PKEY_CTX_set_signature_md(EVP_PKEY_CTX* ctx, const EVP_MD* md) {
  if (!is_signing(ctx))
    return -2;
  ctx->md = md;
  return 1;
}


int EVP_PKEY_CTX_set_rsa_oaep_md(EVP_PKEY_CTX* ctx, const EVP_MD* md) {
  if (!is_ciphering(ctx) || ctx->padding != RSA_PKCS1_OAEP_PADDING)
    return -2;
  ctx->oaep_md = md;
  return 1;
}


int EVP_PKEY_CTX_set0_rsa_oaep_label(EVP_PKEY_CTX* ctx, void* label, int size) {
  if (!is_ciphering(ctx) || ctx->padding != RSA_PKCS1_OAEP_PADDING)
    return -2;
  if (size < 0)
    return 0;
  libc_free(ctx->label);
  ctx->label = label;
  ctx->label_size = (size_t) size;
  return 1;
}


static rsa_oaep_t oaep_of(const EVP_PKEY_CTX* ctx) {
  return (rsa_oaep_t){
      .md = ctx->oaep_md != NULL ? ctx->oaep_md : &digests[0],
      .label = ctx->label,
      .label_size = ctx->label_size,
  };
}


/* The block that will be signed, of rsa_size() bytes. */
static bool sign_pad(const EVP_PKEY_CTX* ctx,
                     uint8_t* em,
                     const unsigned char* digest,
                     size_t digest_size) {
  const RSA* rsa = ctx->pkey->rsa;
  size_t size = rsa_size(rsa);
  size_t bits = (size_t) BN_num_bits(rsa->n);

  if (bits < 2)
    return false;
  if (ctx->padding == RSA_NO_PADDING) {
    if (digest_size != size)
      return false;
    memcpy(em, digest, size);
    return true;
  }
  if (ctx->md == NULL || digest_size != ctx->md->size)
    return false;
  if (ctx->padding == RSA_PKCS1_PADDING)
    return rsa_pad_signature(em, size, ctx->md, digest);

  /* With a modulus of 8k + 1 bits the block has a zero byte in front. */
  size_t skip = (bits - 1) % 8 == 0;
  em[0] = 0;
  return rsa_pad_pss(em + skip, bits - 1, ctx->md, ctx->salt_size, digest);
}


int EVP_PKEY_sign(EVP_PKEY_CTX* ctx,
                  unsigned char* sig,
                  size_t* sig_size,
                  const unsigned char* digest,
                  size_t digest_size) {
  uint8_t em[RSA_SIZE_MAX];
  const RSA* rsa = ctx->pkey->rsa;
  size_t size = rsa_size(rsa);

  if (ctx->operation != OPERATION_SIGN)
    return -1;
  if (sig == NULL) {
    *sig_size = size;
    return 1;
  }
  if (*sig_size < size || size > sizeof(em))
    return 0;

  int ok =
      sign_pad(ctx, em, digest, digest_size) && rsa_private(rsa, sig, em, size);
  if (ok)
    *sig_size = size;
  ct_wipe(em, sizeof(em));
  return ok;
}


int EVP_PKEY_verify(EVP_PKEY_CTX* ctx,
                    const unsigned char* sig,
                    size_t sig_size,
                    const unsigned char* digest,
                    size_t digest_size) {
  uint8_t em[RSA_SIZE_MAX];
  uint8_t expected[RSA_SIZE_MAX];
  const RSA* rsa = ctx->pkey->rsa;
  size_t size = rsa_size(rsa);
  size_t bits = (size_t) BN_num_bits(rsa->n);

  if (ctx->operation != OPERATION_VERIFY)
    return -1;
  /* OpenSSL's own judgement: only PKCS #1 v1.5 insists on leading zeros. */
  if (ctx->padding == RSA_PKCS1_PADDING && sig_size != size)
    return 0;
  if (size > sizeof(em) || sig_size > size)
    return 0;
  if (!rsa_public(rsa, em, sig, sig_size))
    return 0;

  if (ctx->padding == RSA_PKCS1_PSS_PADDING) {
    size_t skip = (bits - 1) % 8 == 0;

    if (ctx->md == NULL || digest_size != ctx->md->size)
      return 0;
    if (skip != 0 && em[0] != 0)
      return 0;
    return rsa_check_pss(em + skip, bits - 1, ctx->md, ctx->salt_size, digest);
  }

  /* The other encodings have no randomness: make it anew and compare. */
  return sign_pad(ctx, expected, digest, digest_size) &&
         ct_equal(em, expected, size);
}


int EVP_PKEY_encrypt(EVP_PKEY_CTX* ctx,
                     unsigned char* out,
                     size_t* out_size,
                     const unsigned char* in,
                     size_t in_size) {
  uint8_t em[RSA_SIZE_MAX];
  const RSA* rsa = ctx->pkey->rsa;
  size_t size = rsa_size(rsa);
  bool ok = false;

  if (ctx->operation != OPERATION_ENCRYPT)
    return -1;
  if (out == NULL) {
    *out_size = size;
    return 1;
  }
  if (*out_size < size || size > sizeof(em))
    return 0;

  if (ctx->padding == RSA_PKCS1_OAEP_PADDING) {
    rsa_oaep_t oaep = oaep_of(ctx);

    ok = rsa_pad_oaep(em, size, &oaep, in, in_size);
  } else if (ctx->padding == RSA_PKCS1_PADDING) {
    ok = rsa_pad_encryption(em, size, in, in_size);
  } else if (in_size == size) {
    memcpy(em, in, size);
    ok = true;
  }

  ok = ok && rsa_public(rsa, out, em, size);
  if (ok)
    *out_size = size;
  ct_wipe(em, sizeof(em));
  return ok;
}


int EVP_PKEY_decrypt(EVP_PKEY_CTX* ctx,
                     unsigned char* out,
                     size_t* out_size,
                     const unsigned char* in,
                     size_t in_size) {
  uint8_t em[RSA_SIZE_MAX];
  const RSA* rsa = ctx->pkey->rsa;
  size_t size = rsa_size(rsa);
  size_t message_size = size;
  bool ok = false;

  if (ctx->operation != OPERATION_DECRYPT)
    return -1;
  if (out == NULL) {
    *out_size = size;
    return 1;
  }
  if (*out_size < size || size > sizeof(em))
    return 0;
  if (!rsa_private(rsa, em, in, in_size))
    return 0;

  if (ctx->padding == RSA_PKCS1_OAEP_PADDING) {
    rsa_oaep_t oaep = oaep_of(ctx);

    ok = rsa_unpad_oaep(em, size, &oaep, out, &message_size);
  } else if (ctx->padding == RSA_PKCS1_PADDING) {
    ok = rsa_unpad_encryption(em, size, out, &message_size);
  } else {
    memcpy(out, em, size);
    ok = true;
  }

  if (ok)
    *out_size = message_size;
  ct_wipe(em, sizeof(em));
  return ok;
}

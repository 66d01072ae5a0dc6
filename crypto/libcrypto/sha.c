/*
 * crypto/libcrypto/sha.c - SHA-1, SHA-256, SHA-384 and SHA-512, as OpenSSL
 * keeps them.
 *
 * BearSSL computes; between calls the state lies in OpenSSL's structure, since
 * libtpms marshals its fields when a hash sequence is saved, and a state saved
 * here must be good in swtpm and the other way round. A call loads the fields
 * into a BearSSL context on the stack, goes on there, and stores them back.
 *
 *   OpenSSL       BearSSL
 *   h[]           val[]             native words, both
 *   Nh:Nl         count * 8         bits and bytes
 *   data[num]     buf[num]          what does not fill a block yet
 *   num           count % block
 *
 * One kindness beyond OpenSSL: data[] behind num is kept zero, so that a saved
 * state holds no more of a message than it must.
 *
 * A count above 2^61 bytes (SHA-384, -512) can't be kept by BearSSL. Hashing so
 * much takes centuries, but a saved state can claim it; such a hash comes out
 * wrong, in private, and harms nobody else.
 */
#include "crypto/ct.h"
#include "crypto/libcrypto/openssl_sym.h"
#include "runtime/base.h"

#include <bearssl.h>

_Static_assert(sizeof(SHA_CTX) == 96, "libtpms.a embeds it by value");
_Static_assert(sizeof(SHA256_CTX) == 112, "libtpms.a embeds it by value");
_Static_assert(sizeof(SHA512_CTX) == 216, "libtpms.a embeds it by value");
_Static_assert(offsetof(SHA_CTX, num) == 92, "OpenSSL's layout");
_Static_assert(offsetof(SHA256_CTX, num) == 104, "OpenSSL's layout");
_Static_assert(offsetof(SHA512_CTX, num) == 208, "OpenSSL's layout");


/* Bytes hashed so far. `num` is not asked: it could disagree in a forged
 * state, and then name bytes outside of data[]. */
static uint64_t count_of(uint32_t nl, uint32_t nh) {
  return (((uint64_t) nh << 32) | nl) >> 3;
}


/* ---- SHA-1 ---- */

static void sha1_load(br_sha1_context* b, const SHA_CTX* c) {
  const uint32_t h[5] = {c->h0, c->h1, c->h2, c->h3, c->h4};

  br_sha1_init(b);
  b->count = count_of(c->Nl, c->Nh);
  memcpy(b->val, h, sizeof(h));
  memcpy(b->buf, c->data, sizeof(b->buf));
}


static void sha1_store(SHA_CTX* c, br_sha1_context* b) {
  size_t num = b->count & 63;

  c->h0 = b->val[0];
  c->h1 = b->val[1];
  c->h2 = b->val[2];
  c->h3 = b->val[3];
  c->h4 = b->val[4];
  c->Nl = (uint32_t) (b->count << 3);
  c->Nh = (uint32_t) (b->count >> 29);
  memset(c->data, 0, sizeof(c->data));
  memcpy(c->data, b->buf, num);
  c->num = (unsigned) num;
  ct_wipe(b, sizeof(*b));
}


int SHA1_Init(SHA_CTX* c) {
  br_sha1_context b;

  br_sha1_init(&b);
  sha1_store(c, &b);
  return 1;
}


int SHA1_Update(SHA_CTX* c, const void* data, size_t len) {
  br_sha1_context b;

  if (len == 0)
    return 1;
  sha1_load(&b, c);
  br_sha1_update(&b, data, len);
  sha1_store(c, &b);
  return 1;
}


int SHA1_Final(unsigned char* md, SHA_CTX* c) {
  br_sha1_context b;

  sha1_load(&b, c);
  br_sha1_out(&b, md);
  ct_wipe(&b, sizeof(b));
  ct_wipe(c->data, sizeof(c->data));
  c->num = 0;
  return 1;
}


/* ---- SHA-256 ---- */

static void sha256_load(br_sha256_context* b, const SHA256_CTX* c) {
  br_sha256_init(b);
  b->count = count_of(c->Nl, c->Nh);
  memcpy(b->val, c->h, sizeof(b->val));
  memcpy(b->buf, c->data, sizeof(b->buf));
}


static void sha256_store(SHA256_CTX* c, br_sha256_context* b) {
  size_t num = b->count & 63;

  memcpy(c->h, b->val, sizeof(c->h));
  c->Nl = (uint32_t) (b->count << 3);
  c->Nh = (uint32_t) (b->count >> 29);
  memset(c->data, 0, sizeof(c->data));
  memcpy(c->data, b->buf, num);
  c->num = (unsigned) num;
  ct_wipe(b, sizeof(*b));
}


int SHA256_Init(SHA256_CTX* c) {
  br_sha256_context b;

  br_sha256_init(&b);
  sha256_store(c, &b);
  c->md_len = 32;
  return 1;
}


int SHA256_Update(SHA256_CTX* c, const void* data, size_t len) {
  br_sha256_context b;

  if (len == 0)
    return 1;
  sha256_load(&b, c);
  br_sha256_update(&b, data, len);
  sha256_store(c, &b);
  return 1;
}


int SHA256_Final(unsigned char* md, SHA256_CTX* c) {
  br_sha256_context b;

  sha256_load(&b, c);
  br_sha256_out(&b, md);
  ct_wipe(&b, sizeof(b));
  ct_wipe(c->data, sizeof(c->data));
  c->num = 0;
  return 1;
}


/* ---- SHA-384 and SHA-512: one context, two lengths ---- */

/* The two are one type to BearSSL; what differs is where they begin and how
 * much of the state comes out. */
static void sha512_load(br_sha512_context* b, const SHA512_CTX* c) {
  br_sha512_init(b);
  b->count = (c->Nl >> 3) | (c->Nh << 61);
  memcpy(b->val, c->h, sizeof(b->val));
  memcpy(b->buf, c->u.p, sizeof(b->buf));
}


static void sha512_store(SHA512_CTX* c, br_sha512_context* b) {
  size_t num = b->count & 127;

  memcpy(c->h, b->val, sizeof(c->h));
  c->Nl = b->count << 3;
  c->Nh = b->count >> 61;
  memset(c->u.p, 0, sizeof(c->u.p));
  memcpy(c->u.p, b->buf, num);
  c->num = (unsigned) num;
  ct_wipe(b, sizeof(*b));
}


int SHA512_Init(SHA512_CTX* c) {
  br_sha512_context b;

  br_sha512_init(&b);
  sha512_store(c, &b);
  c->md_len = 64;
  return 1;
}


int SHA512_Update(SHA512_CTX* c, const void* data, size_t len) {
  br_sha512_context b;

  if (len == 0)
    return 1;
  sha512_load(&b, c);
  br_sha512_update(&b, data, len);
  sha512_store(c, &b);
  return 1;
}


/* As OpenSSL's: the context's own length decides, whichever name was called.
 * It may come from a saved state, so any other number is refused. */
int SHA512_Final(unsigned char* md, SHA512_CTX* c) {
  br_sha512_context b;
  uint8_t out[64];

  if (c->md_len != 48 && c->md_len != 64)
    return 0;
  sha512_load(&b, c);
  br_sha512_out(&b, out);
  memcpy(md, out, c->md_len);
  ct_wipe(out, sizeof(out));
  ct_wipe(&b, sizeof(b));
  ct_wipe(c->u.p, sizeof(c->u.p));
  c->num = 0;
  return 1;
}


int SHA384_Init(SHA512_CTX* c) {
  br_sha384_context b;

  br_sha384_init(&b);
  sha512_store(c, &b);
  c->md_len = 48;
  return 1;
}


int SHA384_Update(SHA512_CTX* c, const void* data, size_t len) {
  return SHA512_Update(c, data, len);
}


int SHA384_Final(unsigned char* md, SHA512_CTX* c) {
  return SHA512_Final(md, c);
}

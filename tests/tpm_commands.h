/*
 * tests/tpm_commands.h - TPM 2.0 commands for tests, byte by byte.
 *
 * A test fills a t2_bytes_t with one of the builders below, hands it to
 * whatever executes commands (our TPM in process, or swtpm over a socket), and
 * reads the response with the t2_get_ functions. All authorization is by
 * empty password. Specification: TCG "TPM 2.0 Library", parts 2 and 3.
 */
#ifndef EVSM_TESTS_TPM_COMMANDS_H
#define EVSM_TESTS_TPM_COMMANDS_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define T2_BYTES_MAX 4096u

#define T2_RH_OWNER 0x40000001u
#define T2_RH_NULL 0x40000007u
#define T2_RH_ENDORSEMENT 0x4000000bu
#define T2_RH_PLATFORM 0x4000000cu

#define T2_ALG_RSA 0x0001u
#define T2_ALG_SHA1 0x0004u
#define T2_ALG_AES 0x0006u
#define T2_ALG_SHA256 0x000bu
#define T2_ALG_SHA384 0x000cu
#define T2_ALG_SHA512 0x000du
#define T2_ALG_NULL 0x0010u
#define T2_ALG_RSASSA 0x0014u
#define T2_ALG_RSAPSS 0x0016u
#define T2_ALG_ECDSA 0x0018u
#define T2_ALG_ECC 0x0023u
#define T2_ALG_SYMCIPHER 0x0025u
#define T2_ALG_CAMELLIA 0x0026u
#define T2_ALG_CTR 0x0040u
#define T2_ALG_OFB 0x0041u
#define T2_ALG_CBC 0x0042u
#define T2_ALG_CFB 0x0043u
#define T2_ALG_ECB 0x0044u

#define T2_ATTR_STORAGE 0x00030072u /* restricted decrypt, user auth */
#define T2_ATTR_SIGN 0x00040072u    /* sign, user auth */
#define T2_ATTR_CIPHER 0x00060072u  /* sign (encrypt) and decrypt */
#define T2_ATTR_EK 0x000300b2u      /* as storage, admin by policy */

typedef struct {
  uint32_t size; /* bytes in use */
  uint8_t bytes[T2_BYTES_MAX];
} t2_bytes_t;


static inline void t2_put(t2_bytes_t* b, const void* data, size_t size) {
  if (size > T2_BYTES_MAX - b->size)
    abort();
  if (size > 0)
    memcpy(b->bytes + b->size, data, size);
  b->size += (uint32_t) size;
}


static inline void t2_put8(t2_bytes_t* b, uint32_t x) {
  const uint8_t d[1] = {(uint8_t) x};
  t2_put(b, d, sizeof(d));
}


static inline void t2_put16(t2_bytes_t* b, uint32_t x) {
  const uint8_t d[2] = {(uint8_t) (x >> 8), (uint8_t) x};
  t2_put(b, d, sizeof(d));
}


static inline void t2_put32(t2_bytes_t* b, uint32_t x) {
  t2_put16(b, x >> 16);
  t2_put16(b, x & 0xffff);
}


/* A sized buffer: TPM2B. */
static inline void t2_put2b(t2_bytes_t* b, const void* data, size_t size) {
  t2_put16(b, (uint32_t) size);
  t2_put(b, data, size);
}


static inline uint16_t t2_at16(const uint8_t* p) {
  return (uint16_t) (p[0] << 8 | p[1]);
}


static inline uint32_t t2_at32(const uint8_t* p) {
  return (uint32_t) t2_at16(p) << 16 | t2_at16(p + 2);
}


/* The response code. */
static inline uint32_t t2_rc(const t2_bytes_t* r) {
  return r->size < 10 ? UINT32_MAX : t2_at32(r->bytes + 6);
}


/* Begin a command; t2_end() fills in its size. */
static inline void t2_begin(t2_bytes_t* b, uint32_t tag, uint32_t code) {
  b->size = 0;
  t2_put16(b, tag);
  t2_put32(b, 0);
  t2_put32(b, code);
}


static inline void t2_end(t2_bytes_t* b) {
  uint32_t size = b->size;
  b->size = 2;
  t2_put32(b, size);
  b->size = size;
}


/* `count` password sessions, all empty. */
static inline void t2_put_auth(t2_bytes_t* b, uint32_t count) {
  t2_put32(b, 9 * count);
  for (uint32_t i = 0; i < count; i++) {
    t2_put32(b, 0x40000009);
    t2_put16(b, 0);
    t2_put8(b, 0);
    t2_put16(b, 0);
  }
}


static inline void t2_startup(t2_bytes_t* b) {
  t2_begin(b, 0x8001, 0x144);
  t2_put16(b, 0);
  t2_end(b);
}


static inline void t2_shutdown(t2_bytes_t* b) {
  t2_begin(b, 0x8001, 0x145);
  t2_put16(b, 0);
  t2_end(b);
}


static inline void t2_self_test(t2_bytes_t* b) {
  t2_begin(b, 0x8001, 0x143);
  t2_put8(b, 1);
  t2_end(b);
}


static inline void t2_get_random(t2_bytes_t* b, uint32_t count) {
  t2_begin(b, 0x8001, 0x17b);
  t2_put16(b, count);
  t2_end(b);
}


static inline void t2_get_capability(t2_bytes_t* b,
                                     uint32_t what,
                                     uint32_t first,
                                     uint32_t count) {
  t2_begin(b, 0x8001, 0x17a);
  t2_put32(b, what);
  t2_put32(b, first);
  t2_put32(b, count);
  t2_end(b);
}


static inline void t2_pcr_extend(t2_bytes_t* b,
                                 uint32_t pcr,
                                 const uint8_t digest[32]) {
  t2_begin(b, 0x8002, 0x182);
  t2_put32(b, pcr);
  t2_put_auth(b, 1);
  t2_put32(b, 1);
  t2_put16(b, T2_ALG_SHA256);
  t2_put(b, digest, 32);
  t2_end(b);
}


/* One PCR below 24, its SHA-256 bank. */
static inline void t2_pcr_read(t2_bytes_t* b, uint32_t pcr) {
  uint8_t select[3] = {0};

  select[pcr / 8] = (uint8_t) (1u << (pcr % 8));
  t2_begin(b, 0x8001, 0x17e);
  t2_put32(b, 1);
  t2_put16(b, T2_ALG_SHA256);
  t2_put8(b, sizeof(select));
  t2_put(b, select, sizeof(select));
  t2_end(b);
}


/* ---- Public areas ---- */

static const uint8_t t2_ek_policy[32] = {
    /* TCG EK Credential Profile, B.3.1: PolicySecret of endorsement */
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc,
    0x8d, 0x46, 0xa5, 0xd7, 0x24, 0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52,
    0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa};

typedef struct {
  uint32_t type;
  uint32_t attributes;
  uint32_t scheme;       /* T2_ALG_NULL: none; else with SHA-256 */
  uint32_t kind;         /* RSA: bits; ECC: curve; symmetric: bits */
  uint32_t algorithm;    /* symmetric: which cipher */
  uint32_t mode;         /* symmetric */
  const uint8_t* policy; /* 32 bytes, or NULL */
  const uint8_t* unique; /* or NULL: an empty one */
  uint32_t unique_size;
} t2_template_t;


static inline void t2_put_template(t2_bytes_t* b, const t2_template_t* t) {
  uint32_t parent = (t->attributes & 0x00030000) == 0x00030000;

  t2_put16(b, t->type);
  t2_put16(b, T2_ALG_SHA256);
  t2_put32(b, t->attributes);
  t2_put2b(b, t->policy, t->policy == NULL ? 0 : 32);
  if (t->type == T2_ALG_SYMCIPHER) {
    t2_put16(b, t->algorithm);
    t2_put16(b, t->kind);
    t2_put16(b, t->mode);
    t2_put2b(b, NULL, 0);
    return;
  }
  if (parent) {
    t2_put16(b, T2_ALG_AES);
    t2_put16(b, 128);
    t2_put16(b, T2_ALG_CFB);
  } else {
    t2_put16(b, T2_ALG_NULL);
  }
  t2_put16(b, t->scheme);
  if (t->scheme != T2_ALG_NULL)
    t2_put16(b, T2_ALG_SHA256);
  t2_put16(b, t->kind);
  if (t->type == T2_ALG_RSA) {
    t2_put32(b, 0); /* the usual exponent */
    t2_put2b(b, t->unique, t->unique_size);
  } else {
    t2_put16(b, T2_ALG_NULL); /* no KDF */
    t2_put2b(b, t->unique, t->unique_size / 2);
    t2_put2b(b, t->unique == NULL ? NULL : t->unique + t->unique_size / 2,
             t->unique_size / 2);
  }
}


static inline void t2_put2b_template(t2_bytes_t* b, const t2_template_t* t) {
  t2_bytes_t area = {0};

  t2_put_template(&area, t);
  t2_put2b(b, area.bytes, area.size);
}


/* CreatePrimary (a hierarchy) or Create (a loaded parent). */
static inline void t2_create(t2_bytes_t* b,
                             uint32_t parent,
                             const t2_template_t* t) {
  t2_begin(b, 0x8002, parent >> 24 == 0x40 ? 0x131 : 0x153);
  t2_put32(b, parent);
  t2_put_auth(b, 1);
  t2_put16(b, 4); /* no auth, no data */
  t2_put32(b, 0);
  t2_put2b_template(b, t);
  t2_put2b(b, NULL, 0);
  t2_put32(b, 0);
  t2_end(b);
}


/* Load what TPM2_Create answered with. */
static inline void t2_load(t2_bytes_t* b,
                           uint32_t parent,
                           const t2_bytes_t* created) {
  const uint8_t* private = created->bytes + 14;
  uint32_t private_size = 2u + t2_at16(private);
  const uint8_t* public = private + private_size;

  t2_begin(b, 0x8002, 0x157);
  t2_put32(b, parent);
  t2_put_auth(b, 1);
  t2_put(b, private, private_size);
  t2_put(b, public, 2u + t2_at16(public));
  t2_end(b);
}


/* The public area in a response to CreatePrimary, without its size. */
static inline const uint8_t* t2_primary_public(const t2_bytes_t* r,
                                               uint32_t* size) {
  *size = t2_at16(r->bytes + 18);
  return r->bytes + 20;
}


/* The handle in a response to CreatePrimary, Load, HashSequenceStart... */
static inline uint32_t t2_handle(const t2_bytes_t* r) {
  return t2_at32(r->bytes + 10);
}


static inline void t2_flush(t2_bytes_t* b, uint32_t handle) {
  t2_begin(b, 0x8001, 0x165);
  t2_put32(b, handle);
  t2_end(b);
}


static inline void t2_read_public(t2_bytes_t* b, uint32_t handle) {
  t2_begin(b, 0x8001, 0x173);
  t2_put32(b, handle);
  t2_end(b);
}


/* ---- Signatures ---- */

static inline void t2_sign(t2_bytes_t* b,
                           uint32_t key,
                           uint32_t scheme,
                           const uint8_t digest[32]) {
  t2_begin(b, 0x8002, 0x15d);
  t2_put32(b, key);
  t2_put_auth(b, 1);
  t2_put2b(b, digest, 32);
  t2_put16(b, scheme);
  t2_put16(b, T2_ALG_SHA256);
  t2_put16(b, 0x8024); /* no ticket: HASHCHECK of the null hierarchy */
  t2_put32(b, T2_RH_NULL);
  t2_put16(b, 0);
  t2_end(b);
}


/* The signature is what TPM2_Sign answered with. */
static inline void t2_verify(t2_bytes_t* b,
                             uint32_t key,
                             const uint8_t digest[32],
                             const t2_bytes_t* signed_) {
  uint32_t size = t2_at32(signed_->bytes + 10);

  t2_begin(b, 0x8001, 0x177);
  t2_put32(b, key);
  t2_put2b(b, digest, 32);
  t2_put(b, signed_->bytes + 14, size);
  t2_end(b);
}


/* ---- NV and persistent objects ---- */

static inline void t2_nv_define(t2_bytes_t* b, uint32_t index, uint32_t size) {
  t2_begin(b, 0x8002, 0x12a);
  t2_put32(b, T2_RH_OWNER);
  t2_put_auth(b, 1);
  t2_put2b(b, NULL, 0);
  t2_put16(b, 14);
  t2_put32(b, index);
  t2_put16(b, T2_ALG_SHA256);
  t2_put32(b, 0x00020002); /* OWNERWRITE, OWNERREAD */
  t2_put16(b, 0);
  t2_put16(b, size);
  t2_end(b);
}


static inline void t2_nv_write(t2_bytes_t* b,
                               uint32_t index,
                               const void* data,
                               uint32_t size,
                               uint32_t offset) {
  t2_begin(b, 0x8002, 0x137);
  t2_put32(b, T2_RH_OWNER);
  t2_put32(b, index);
  t2_put_auth(b, 1);
  t2_put2b(b, data, size);
  t2_put16(b, offset);
  t2_end(b);
}


static inline void t2_nv_read(t2_bytes_t* b,
                              uint32_t index,
                              uint32_t size,
                              uint32_t offset) {
  t2_begin(b, 0x8002, 0x14e);
  t2_put32(b, T2_RH_OWNER);
  t2_put32(b, index);
  t2_put_auth(b, 1);
  t2_put16(b, size);
  t2_put16(b, offset);
  t2_end(b);
}


static inline void t2_evict_control(t2_bytes_t* b,
                                    uint32_t object,
                                    uint32_t persistent) {
  t2_begin(b, 0x8002, 0x120);
  t2_put32(b, T2_RH_OWNER);
  t2_put32(b, object);
  t2_put_auth(b, 1);
  t2_put32(b, persistent);
  t2_end(b);
}


/* ---- Hash sequences and ciphers ---- */

static inline void t2_hash_sequence_start(t2_bytes_t* b, uint32_t alg) {
  t2_begin(b, 0x8001, 0x186);
  t2_put16(b, 0);
  t2_put16(b, alg);
  t2_end(b);
}


static inline void t2_sequence_update(t2_bytes_t* b,
                                      uint32_t sequence,
                                      const void* data,
                                      uint32_t size) {
  t2_begin(b, 0x8002, 0x15c);
  t2_put32(b, sequence);
  t2_put_auth(b, 1);
  t2_put2b(b, data, size);
  t2_end(b);
}


static inline void t2_sequence_complete(t2_bytes_t* b, uint32_t sequence) {
  t2_begin(b, 0x8002, 0x13e);
  t2_put32(b, sequence);
  t2_put_auth(b, 1);
  t2_put2b(b, NULL, 0);
  t2_put32(b, T2_RH_NULL);
  t2_end(b);
}


/* EncryptDecrypt2 with an IV of `iv_size` bytes. */
static inline void t2_encrypt_decrypt(t2_bytes_t* b,
                                      uint32_t key,
                                      int decrypt,
                                      const t2_bytes_t* iv,
                                      const t2_bytes_t* data) {
  t2_begin(b, 0x8002, 0x193);
  t2_put32(b, key);
  t2_put_auth(b, 1);
  t2_put2b(b, data->bytes, data->size);
  t2_put8(b, decrypt ? 1 : 0);
  t2_put16(b, T2_ALG_NULL);
  t2_put2b(b, iv->bytes, iv->size);
  t2_end(b);
}

#endif /* EVSM_TESTS_TPM_COMMANDS_H */

/*
 * crypto/libcrypto/aes.c - one AES block at a time, in constant time.
 *
 * Two ways, chosen once: the processor's AES instructions, or BearSSL's
 * bitsliced "ct64". Neither indexes a table by a secret. CPUID is asked only
 * once, since in a confidential guest it is a trap.
 *
 * Key schedules: BearSSL computes both kinds, by functions that its headers
 * don't name but its archive exports, as its own modes use them. Each takes 16
 * bytes a round and thus just fits into OpenSSL's AES_KEY, whose size is fixed:
 *
 *   instructions   the schedule as FIPS 197 has it; for decryption the inverse
 *   ct64           two 64-bit words a round, compressed; for both directions
 *
 * Modes are cipher.c's. Whole buffers would be faster in bulk, but libtpms
 * encrypts little at a time, and half of its modes chain block by block.
 */
#include "crypto/ct.h"
#include "crypto/libcrypto/block.h"
#include "runtime/base.h"

#include <bearssl.h>
#include <stdatomic.h>

#define ROUNDS_MAX 14u
#define SCHEDULE_SIZE (16u * (ROUNDS_MAX + 1u)) /* bytes */

_Static_assert(sizeof(AES_KEY) == 244, "libtpms.a embeds it by value");
_Static_assert(SCHEDULE_SIZE == sizeof(((AES_KEY*) NULL)->rd_key),
               "both kinds of schedule fill rd_key");

/* BearSSL's insides, from libbearssl.a. `comp` has two words a round; `wide`
 * has eight. Rounds are returned. */
int br_aes_x86ni_supported(void);
unsigned br_aes_x86ni_keysched_enc(unsigned char* sched,
                                   const void* key,
                                   size_t len);
unsigned br_aes_x86ni_keysched_dec(unsigned char* sched,
                                   const void* key,
                                   size_t len);
unsigned br_aes_ct64_keysched(uint64_t* comp, const void* key, size_t len);
void br_aes_ct64_skey_expand(uint64_t* wide,
                             unsigned rounds,
                             const uint64_t* comp);
void br_aes_ct64_interleave_in(uint64_t* q0, uint64_t* q1, const uint32_t* w);
void br_aes_ct64_interleave_out(uint32_t* w, uint64_t q0, uint64_t q1);
void br_aes_ct64_ortho(uint64_t* q);
void br_aes_ct64_bitslice_encrypt(unsigned rounds,
                                  const uint64_t* wide,
                                  uint64_t* q);
void br_aes_ct64_bitslice_decrypt(unsigned rounds,
                                  const uint64_t* wide,
                                  uint64_t* q);

typedef enum { ASK, INSTRUCTIONS, PORTABLE } way_t;

static _Atomic way_t way; /* relaxed: every asker finds the same answer */


static bool has_instructions(void) {
  way_t w = atomic_load_explicit(&way, memory_order_relaxed);

  if (w == ASK) {
    w = br_aes_x86ni_supported() ? INSTRUCTIONS : PORTABLE;
    atomic_store_explicit(&way, w, memory_order_relaxed);
  }
  return w == INSTRUCTIONS;
}


void aes_force_portable(int on) {
  atomic_store_explicit(&way, on ? PORTABLE : ASK, memory_order_relaxed);
}


static int set_key(const unsigned char* key,
                   int bits,
                   AES_KEY* aes,
                   bool inverse) {
  _Alignas(8) unsigned char schedule[SCHEDULE_SIZE];
  unsigned rounds;

  if (key == NULL || aes == NULL)
    return -1;
  if (bits != 128 && bits != 192 && bits != 256)
    return -2;

  memset(schedule, 0, sizeof(schedule));
  if (!has_instructions()) {
    uint64_t comp[SCHEDULE_SIZE / sizeof(uint64_t)] = {0};
    rounds = br_aes_ct64_keysched(comp, key, (size_t) bits / 8);
    memcpy(schedule, comp, sizeof(schedule));
    ct_wipe(comp, sizeof(comp));
  } else if (inverse) {
    rounds = br_aes_x86ni_keysched_dec(schedule, key, (size_t) bits / 8);
  } else {
    rounds = br_aes_x86ni_keysched_enc(schedule, key, (size_t) bits / 8);
  }
  ASSERT(rounds <= ROUNDS_MAX);
  memcpy(aes->rd_key, schedule, sizeof(schedule));
  aes->rounds = (int) rounds;
  ct_wipe(schedule, sizeof(schedule));
  return 0;
}


int AES_set_encrypt_key(const unsigned char* key, int bits, AES_KEY* aes) {
  return set_key(key, bits, aes, false);
}


int aes_set_decrypt_key(const unsigned char* key, int bits, AES_KEY* aes) {
  return set_key(key, bits, aes, true);
}


/* ---- By instructions ---- */

/* Two vector types, since gcc's builtins want this one and memcpy loads it
 * from any address. */
typedef long long lanes_t __attribute__((vector_size(16)));

__attribute__((target("aes,sse2"))) static lanes_t lanes_at(const void* p) {
  lanes_t v;

  memcpy(&v, p, sizeof(v));
  return v;
}


__attribute__((target("aes,sse2"))) static void instructions_encrypt(
    const unsigned char* in, unsigned char* out, const AES_KEY* aes) {
  const unsigned char* sched = (const unsigned char*) aes->rd_key;
  int rounds = aes->rounds;
  lanes_t x = lanes_at(in) ^ lanes_at(sched);

  for (int i = 1; i < rounds; i++)
    x = __builtin_ia32_aesenc128(x, lanes_at(sched + 16 * i));
  x = __builtin_ia32_aesenclast128(x, lanes_at(sched + 16 * rounds));
  memcpy(out, &x, sizeof(x));
}


__attribute__((target("aes,sse2"))) static void instructions_decrypt(
    const unsigned char* in, unsigned char* out, const AES_KEY* aes) {
  const unsigned char* sched = (const unsigned char*) aes->rd_key;
  int rounds = aes->rounds;
  lanes_t x = lanes_at(in) ^ lanes_at(sched);

  for (int i = 1; i < rounds; i++)
    x = __builtin_ia32_aesdec128(x, lanes_at(sched + 16 * i));
  x = __builtin_ia32_aesdeclast128(x, lanes_at(sched + 16 * rounds));
  memcpy(out, &x, sizeof(x));
}


/* ---- Portable ---- */

/* Four blocks at once are computed; only the first carries anything. */
static void portable(const unsigned char* in,
                     unsigned char* out,
                     const AES_KEY* aes,
                     bool inverse) {
  uint64_t comp[SCHEDULE_SIZE / sizeof(uint64_t)];
  uint64_t wide[8 * (ROUNDS_MAX + 1)];
  uint64_t q[8] = {0};
  uint32_t w[4]; /* little-endian, as this machine is */

  memcpy(comp, aes->rd_key, sizeof(comp));
  br_aes_ct64_skey_expand(wide, (unsigned) aes->rounds, comp);
  memcpy(w, in, sizeof(w));
  br_aes_ct64_interleave_in(&q[0], &q[4], w);
  br_aes_ct64_ortho(q);
  if (inverse)
    br_aes_ct64_bitslice_decrypt((unsigned) aes->rounds, wide, q);
  else
    br_aes_ct64_bitslice_encrypt((unsigned) aes->rounds, wide, q);
  br_aes_ct64_ortho(q);
  br_aes_ct64_interleave_out(w, q[0], q[4]);
  memcpy(out, w, sizeof(w));
  ct_wipe(comp, sizeof(comp));
  ct_wipe(wide, sizeof(wide));
  ct_wipe(q, sizeof(q)); /* the block, which may be a key stream's */
  ct_wipe(w, sizeof(w));
}


void AES_encrypt(const unsigned char* in,
                 unsigned char* out,
                 const AES_KEY* aes) {
  ASSERT(aes->rounds > 0);
  ASSERT(aes->rounds <= (int) ROUNDS_MAX);
  if (has_instructions())
    instructions_encrypt(in, out, aes);
  else
    portable(in, out, aes, false);
}


void aes_decrypt(const unsigned char* in,
                 unsigned char* out,
                 const AES_KEY* aes) {
  ASSERT(aes->rounds > 0);
  ASSERT(aes->rounds <= (int) ROUNDS_MAX);
  if (has_instructions())
    instructions_decrypt(in, out, aes);
  else
    portable(in, out, aes, true);
}

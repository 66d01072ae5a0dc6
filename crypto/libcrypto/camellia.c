/*
 * crypto/libcrypto/camellia.c - Camellia (RFC 3713), in constant time.
 *
 * Written straight, Camellia looks up tables by secrets. Here its S-box is
 * computed, for the eight bytes of a round at once, with one bit of each byte
 * to a word (bitsliced). Camellia's S-box inverts in a field of 256 elements,
 * as AES's does, so it is AES's S-box between two affine maps:
 *
 *   SBOX1(x) = after(AES_SBOX(before(x)))
 *
 * and BearSSL has AES's S-box as a circuit. The two maps were computed from the
 * field polynomials of both ciphers; of the many pairs, this one has the
 * fewest terms. The test compares all 256 values with RFC 3713's table.
 * SBOX2 and SBOX3 are SBOX1 with its output rotated, SBOX4 with its input.
 *
 * The schedule is all subkeys in the order in which encryption uses them:
 *
 *   kw1 kw2 | 6 k | 2 ke | 6 k | 2 ke | ... | 6 k | kw3 kw4
 *
 * Decryption reads the same from the end.
 */
#include "crypto/ct.h"
#include "crypto/libcrypto/block.h"
#include "runtime/base.h"

#define GROUP 6u /* rounds between two FL layers */

_Static_assert(sizeof(CAMELLIA_KEY) == 280, "libtpms.a embeds it by value");

/* In libbearssl.a: q[i] holds bit i of 64 bytes. */
void br_aes_ct64_bitslice_Sbox(uint64_t* q);

/* The four 128-bit keys that all subkeys are rotations of. */
enum { KL, KR, KA, KB };

typedef struct {
  uint64_t hi;
  uint64_t lo;
} wide_t;

/* Where a pair of subkeys comes from: the upper half of one rotated key, the
 * lower half of another (mostly the same). RFC 3713 section 2.2. */
typedef struct {
  uint8_t hi_key;
  uint8_t hi_bits;
  uint8_t lo_key;
  uint8_t lo_bits;
} pair_t;

static const pair_t pairs_128[] = {
    {KL, 0, KL, 0},     {KA, 0, KA, 0},   {KL, 15, KL, 15}, {KA, 15, KA, 15},
    {KA, 30, KA, 30},   {KL, 45, KL, 45}, {KA, 45, KL, 60}, {KA, 60, KA, 60},
    {KL, 77, KL, 77},   {KL, 94, KL, 94}, {KA, 94, KA, 94}, {KL, 111, KL, 111},
    {KA, 111, KA, 111},
};

static const pair_t pairs_256[] = {
    {KL, 0, KL, 0},     {KB, 0, KB, 0},   {KR, 15, KR, 15}, {KA, 15, KA, 15},
    {KR, 30, KR, 30},   {KB, 30, KB, 30}, {KL, 45, KL, 45}, {KA, 45, KA, 45},
    {KL, 60, KL, 60},   {KR, 60, KR, 60}, {KB, 60, KB, 60}, {KL, 77, KL, 77},
    {KA, 77, KA, 77},   {KR, 94, KR, 94}, {KA, 94, KA, 94}, {KL, 111, KL, 111},
    {KB, 111, KB, 111},
};

static const uint64_t sigma[6] = {
    0xa09e667f3bcc908b, 0xb67ae8584caa73b2, 0xc6ef372fe94f82be,
    0x54ff53a5f1d36f1c, 0x10e527fade682d1d, 0xb05688c2b3e6c1fd,
};


static uint64_t load64(const unsigned char* p) {
  uint64_t x;

  memcpy(&x, p, sizeof(x));
  return __builtin_bswap64(x);
}


static void store64(unsigned char* p, uint64_t x) {
  x = __builtin_bswap64(x);
  memcpy(p, &x, sizeof(x));
}


static uint32_t rotate32(uint32_t x) {
  return (x << 1) | (x >> 31);
}


/* Rotate left by up to 127 bits. The count is public. */
static wide_t rotate128(wide_t x, unsigned bits) {
  if (bits >= 64)
    x = (wide_t){.hi = x.lo, .lo = x.hi};
  bits %= 64;
  if (bits == 0)
    return x;
  return (wide_t){
      .hi = (x.hi << bits) | (x.lo >> (64 - bits)),
      .lo = (x.lo << bits) | (x.hi >> (64 - bits)),
  };
}


/* Rows of eight bits become columns. */
static uint64_t transpose(uint64_t x) {
  uint64_t t = (x ^ (x >> 7)) & 0x00aa00aa00aa00aa;
  x ^= t ^ (t << 7);
  t = (x ^ (x >> 14)) & 0x0000cccc0000cccc;
  x ^= t ^ (t << 14);
  t = (x ^ (x >> 28)) & 0x00000000f0f0f0f0;
  return x ^ t ^ (t << 28);
}


/* SBOX1 of each of eight bytes. */
static uint64_t sbox1(uint64_t bytes) {
  uint64_t x[8];
  uint64_t q[8];

  bytes = transpose(bytes);
  for (unsigned i = 0; i < 8; i++)
    x[i] = (bytes >> (8 * i)) & 0xff;

  /* before */
  q[0] = ~(x[1] ^ x[7]);
  q[1] = x[1] ^ x[4];
  q[2] = ~(x[1] ^ x[2] ^ x[3]);
  q[3] = ~(x[1] ^ x[4] ^ x[6]);
  q[4] = x[1] ^ x[5];
  q[5] = x[0] ^ x[3] ^ x[5] ^ x[7];
  q[6] = x[1] ^ x[3];
  q[7] = ~(x[1] ^ x[2] ^ x[3] ^ x[5]);
  br_aes_ct64_bitslice_Sbox(q);
  /* after */
  x[0] = q[0] ^ q[1] ^ q[4];
  x[1] = q[0] ^ q[3];
  x[2] = ~(q[0] ^ q[5]);
  x[3] = ~(q[0] ^ q[1] ^ q[2] ^ q[3] ^ q[7]);
  x[4] = q[0] ^ q[3] ^ q[4] ^ q[5];
  x[5] = ~(q[2] ^ q[4] ^ q[7]);
  x[6] = q[6];
  x[7] = q[0] ^ q[3] ^ q[4] ^ q[6] ^ q[7];

  bytes = 0;
  for (unsigned i = 0; i < 8; i++)
    bytes |= (x[i] & 0xff) << (8 * i);
  return transpose(bytes);
}


/* Rotate those bytes left by one that `mask` selects, and leave the others. */
static uint64_t rotate_bytes(uint64_t x, uint64_t mask) {
  uint64_t rotated =
      ((x << 1) & 0xfefefefefefefefe) | ((x >> 7) & 0x0101010101010101);
  return (x & ~mask) | (rotated & mask);
}


/* The same, by seven bits: right by one. */
static uint64_t rotate_bytes_right(uint64_t x, uint64_t mask) {
  uint64_t rotated =
      ((x >> 1) & 0x7f7f7f7f7f7f7f7f) | ((x << 7) & 0x8080808080808080);
  return (x & ~mask) | (rotated & mask);
}


/* t1 is the highest byte. t1 and t8 go through SBOX1, t2 and t5 through SBOX2,
 * t3 and t6 through SBOX3, t4 and t7 through SBOX4; then they are mixed. */
static uint64_t round_f(uint64_t in, uint64_t subkey) {
  uint64_t x = rotate_bytes(in ^ subkey, 0x000000ff0000ff00);

  x = sbox1(x);
  x = rotate_bytes(x, 0x00ff0000ff000000);
  x = rotate_bytes_right(x, 0x0000ff0000ff0000);

  uint8_t t[9];
  for (unsigned i = 1; i <= 8; i++)
    t[i] = (uint8_t) (x >> (64 - 8 * i));
  const unsigned char y[8] = {
      (unsigned char) (t[1] ^ t[3] ^ t[4] ^ t[6] ^ t[7] ^ t[8]),
      (unsigned char) (t[1] ^ t[2] ^ t[4] ^ t[5] ^ t[7] ^ t[8]),
      (unsigned char) (t[1] ^ t[2] ^ t[3] ^ t[5] ^ t[6] ^ t[8]),
      (unsigned char) (t[2] ^ t[3] ^ t[4] ^ t[5] ^ t[6] ^ t[7]),
      (unsigned char) (t[1] ^ t[2] ^ t[6] ^ t[7] ^ t[8]),
      (unsigned char) (t[2] ^ t[3] ^ t[5] ^ t[7] ^ t[8]),
      (unsigned char) (t[3] ^ t[4] ^ t[5] ^ t[6] ^ t[8]),
      (unsigned char) (t[1] ^ t[4] ^ t[5] ^ t[6] ^ t[7]),
  };
  return load64(y);
}


static uint64_t layer_fl(uint64_t x, uint64_t subkey) {
  uint32_t left = (uint32_t) (x >> 32);
  uint32_t right = (uint32_t) x;

  right ^= rotate32(left & (uint32_t) (subkey >> 32));
  left ^= right | (uint32_t) subkey;
  return ((uint64_t) left << 32) | right;
}


static uint64_t layer_fl_inverse(uint64_t y, uint64_t subkey) {
  uint32_t left = (uint32_t) (y >> 32);
  uint32_t right = (uint32_t) y;

  left ^= right | (uint32_t) subkey;
  right ^= rotate32(left & (uint32_t) (subkey >> 32));
  return ((uint64_t) left << 32) | right;
}


/* KA and KB from KL and KR: six rounds with constants for subkeys. */
static void derive(wide_t keys[4]) {
  wide_t d = {keys[KL].hi ^ keys[KR].hi, keys[KL].lo ^ keys[KR].lo};

  d.lo ^= round_f(d.hi, sigma[0]);
  d.hi ^= round_f(d.lo, sigma[1]);
  d.hi ^= keys[KL].hi;
  d.lo ^= keys[KL].lo;
  d.lo ^= round_f(d.hi, sigma[2]);
  d.hi ^= round_f(d.lo, sigma[3]);
  keys[KA] = d;
  d.hi ^= keys[KR].hi;
  d.lo ^= keys[KR].lo;
  d.lo ^= round_f(d.hi, sigma[4]);
  d.hi ^= round_f(d.lo, sigma[5]);
  keys[KB] = d;
  ct_wipe(&d, sizeof(d));
}


int Camellia_set_key(const unsigned char* key,
                     int bits,
                     CAMELLIA_KEY* camellia) {
  wide_t keys[4] = {{0, 0}};

  if (key == NULL || camellia == NULL)
    return -1;
  if (bits != 128 && bits != 192 && bits != 256)
    return -2;

  keys[KL] = (wide_t){load64(key), load64(key + 8)};
  if (bits == 192)
    keys[KR] = (wide_t){load64(key + 16), ~load64(key + 16)};
  if (bits == 256)
    keys[KR] = (wide_t){load64(key + 16), load64(key + 24)};
  derive(keys);

  const pair_t* pairs = bits == 128 ? pairs_128 : pairs_256;
  size_t count = bits == 128 ? ARRAY_SIZE(pairs_128) : ARRAY_SIZE(pairs_256);
  memset(camellia, 0, sizeof(*camellia));
  camellia->grand_rounds = bits == 128 ? 3 : 4;
  for (size_t i = 0; i < count; i++) {
    const pair_t* p = &pairs[i];
    camellia->rd_key[2 * i] = rotate128(keys[p->hi_key], p->hi_bits).hi;
    camellia->rd_key[2 * i + 1] = rotate128(keys[p->lo_key], p->lo_bits).lo;
  }
  ct_wipe(keys, sizeof(keys));
  return 0;
}


/* One block. `step` is 1 from the first subkey on, or -1 from the last. */
static void run(const unsigned char* in,
                unsigned char* out,
                const uint64_t* subkey,
                int groups,
                ptrdiff_t step) {
  /* Whitening keys lie in pairs, left half first, in either direction. */
  ptrdiff_t left = step > 0 ? 0 : -1;
  ptrdiff_t right = step > 0 ? 1 : 0;
  uint64_t d1 = load64(in) ^ subkey[left];
  uint64_t d2 = load64(in + 8) ^ subkey[right];

  subkey += 2 * step;
  for (int g = 0; g < groups; g++) {
    for (unsigned r = 0; r < GROUP; r += 2) {
      d2 ^= round_f(d1, subkey[0]);
      d1 ^= round_f(d2, subkey[step]);
      subkey += 2 * step;
    }
    if (g + 1 < groups) {
      d1 = layer_fl(d1, subkey[0]);
      d2 = layer_fl_inverse(d2, subkey[step]);
      subkey += 2 * step;
    }
  }
  store64(out, d2 ^ subkey[left]);
  store64(out + 8, d1 ^ subkey[right]);
}


/* How many subkeys there are in `groups` groups. */
static ptrdiff_t subkey_count(int groups) {
  return 8 * (ptrdiff_t) groups + 2;
}


void Camellia_encrypt(const unsigned char* in,
                      unsigned char* out,
                      const CAMELLIA_KEY* camellia) {
  int groups = camellia->grand_rounds;

  ASSERT(groups == 3 || groups == 4);
  run(in, out, camellia->rd_key, groups, 1);
}


void camellia_decrypt(const unsigned char* in,
                      unsigned char* out,
                      const CAMELLIA_KEY* camellia) {
  int groups = camellia->grand_rounds;

  ASSERT(groups == 3 || groups == 4);
  run(in, out, camellia->rd_key + subkey_count(groups) - 1, groups, -1);
}

/*
 * tests/unit/peer.c - OpenSSL's libcrypto beside ours; see peer.h.
 */
#include "tests/unit/peer.h"

#include "crypto/drbg.h"
#include "crypto/libcrypto/asym.h"
#include "crypto/libcrypto/libc.h"

#include <dlfcn.h>

static uint64_t sequence = 1;
static size_t blocks;

peer_function_t peer_function(const char* name) {
  static void* library;
  peer_function_t function;

  if (library == NULL)
    library = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL);
  assert_non_null(library);

  void* symbol = dlsym(library, name);
  assert_non_null(symbol);
  memcpy(&function, &symbol, sizeof(function)); /* C has no cast for it */
  return function;
}


/* splitmix64 */
uint64_t peer_random(void) {
  uint64_t x = sequence += 0x9e3779b97f4a7c15u;

  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}


void peer_seed(uint64_t seed) {
  sequence = seed;
}


size_t peer_blocks(void) {
  return blocks;
}


void peer_bytes(uint8_t* bytes, size_t size) {
  uint64_t kind = peer_random() % 8;

  for (size_t i = 0; i < size; i++)
    bytes[i] = (uint8_t) peer_random();
  if (kind == 0)
    memset(bytes, 0, size);
  if (kind == 1)
    memset(bytes, 0xff, size);
  if (kind == 2 && size > 0) {
    memset(bytes, 0, size);
    bytes[peer_random() % size] = (uint8_t) (1u << peer_random() % 8);
  }
  for (int run = 0; kind == 3 && run < 4 && size > 0; run++) {
    size_t begin = peer_random() % size;
    size_t count = peer_random() % (size - begin + 1);

    memset(bytes + begin, peer_random() % 2 == 0 ? 0 : 0xff, count);
  }
}


peer_number_t peer_number(const uint8_t* bytes, size_t size) {
  peer_number_t number = {
      .ours = BN_bin2bn(bytes, (int) size, NULL),
      .theirs = PEER(BN_bin2bn)(bytes, (int) size, NULL),
  };

  assert_non_null(number.ours);
  assert_non_null(number.theirs);
  return number;
}


peer_number_t peer_number_hex(const char* hex) {
  uint8_t bytes[BN_LIMBS_MAX * BIGNUM_LIMB_SIZE] = {0};
  size_t digits = strlen(hex);
  size_t size = (digits + 1) / 2;

  assert_true(size <= sizeof(bytes));
  for (size_t i = 0; i < digits; i++) {
    char digit[2] = {hex[i], 0};
    size_t at = i + digits % 2; /* an odd count has half a byte in front */
    unsigned value = (unsigned) strtoul(digit, NULL, 16);

    bytes[at / 2] = (uint8_t) (bytes[at / 2] | value << (at % 2 == 0 ? 4 : 0));
  }
  return peer_number(bytes, size);
}


void peer_number_free(peer_number_t number) {
  BN_free(number.ours);
  PEER(BN_free)(number.theirs);
}


/* OpenSSL says a number's sign by a function that we don't have. */
static int peer_is_negative(const BIGNUM* theirs) {
  peer_function_t f = peer_function("BN_is_negative");

  return ((int (*)(const BIGNUM*)) f)(theirs);
}


void peer_assert_same(const BIGNUM* ours, const BIGNUM* theirs) {
  static uint8_t a[BN_LIMBS_MAX * BIGNUM_LIMB_SIZE];
  static uint8_t b[BN_LIMBS_MAX * BIGNUM_LIMB_SIZE];

  assert_non_null(ours);
  assert_non_null(theirs);
  assert_int_equal(BN_num_bits(ours), PEER(BN_num_bits)(theirs));
  assert_int_equal(BN_is_zero(ours), PEER(BN_is_zero)(theirs));
  assert_int_equal(ours->negative != 0, peer_is_negative(theirs) != 0);

  int size = BN_bn2bin(ours, a);
  assert_int_equal(size, PEER(BN_bn2bin)(theirs, b));
  assert_memory_equal(a, b, (size_t) size);
  if (ours->size > 0)
    assert_true(ours->limbs[ours->size - 1] != 0);
}


void* libc_malloc(size_t size) {
  void* block = malloc(size);

  assert_non_null(block);
  memset(block, 0xa5, size); /* nobody may count on zeros */
  blocks++;
  return block;
}


void libc_free(void* block) {
  blocks -= block != NULL;
  free(block);
}


void crypto_random(void* buf, size_t size) {
  uint8_t* bytes = buf;

  for (size_t i = 0; i < size; i++)
    bytes[i] = (uint8_t) peer_random();
}

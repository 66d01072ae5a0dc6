/*
 * tests/unit/test_hash.c - SHA-1 and SHA-2 of crypto/libcrypto/, and the
 * layout in which they wait.
 *
 * Goal:   every digest is right however its message is cut, and a hash under
 *         way is, field by field, what OpenSSL's would be; so that a saved
 *         state goes on in swtpm, and swtpm's here.
 * Method: known answers of FIPS 180-4 (NIST's examples), fed whole, byte by
 *         byte and cut at each byte; then random messages in random pieces on
 *         both sides, comparing after each piece, and changing sides.
 */
#include "tests/unit/peer.h"

#include "crypto/libcrypto/openssl_sym.h"

typedef union {
  SHA_CTX sha1;
  SHA256_CTX sha256;
  SHA512_CTX sha512;
} any_t;

typedef struct {
  int (*init)(any_t* c);
  int (*update)(any_t* c, const void* data, size_t size);
  int (*final)(uint8_t* md, any_t* c);
} side_t;

typedef struct {
  const char* name;
  size_t digest_size;
  side_t ours;
  side_t theirs;
} hash_t;

/* A hash's functions behind one type, ours and OpenSSL's. */
#define SIDES(NAME, member)                                                \
  static int ours_##NAME##_init(any_t* c) {                                \
    return NAME##_Init(&c->member);                                        \
  }                                                                        \
  static int ours_##NAME##_update(any_t* c, const void* d, size_t size) {  \
    return NAME##_Update(&c->member, d, size);                             \
  }                                                                        \
  static int ours_##NAME##_final(uint8_t* md, any_t* c) {                  \
    return NAME##_Final(md, &c->member);                                   \
  }                                                                        \
  static int their_##NAME##_init(any_t* c) {                               \
    return PEER(NAME##_Init)(&c->member);                                  \
  }                                                                        \
  static int their_##NAME##_update(any_t* c, const void* d, size_t size) { \
    return PEER(NAME##_Update)(&c->member, d, size);                       \
  }                                                                        \
  static int their_##NAME##_final(uint8_t* md, any_t* c) {                 \
    return PEER(NAME##_Final)(md, &c->member);                             \
  }

SIDES(SHA1, sha1)
SIDES(SHA256, sha256)
SIDES(SHA384, sha512)
SIDES(SHA512, sha512)

#define HASH(NAME, size)                                                    \
  {                                                                         \
#NAME, size,                                                            \
        {ours_##NAME##_init, ours_##NAME##_update, ours_##NAME##_final }, { \
      their_##NAME##_init, their_##NAME##_update, their_##NAME##_final      \
    }                                                                       \
  }

static const hash_t hashes[] = {
    HASH(SHA1, 20),
    HASH(SHA256, 32),
    HASH(SHA384, 48),
    HASH(SHA512, 64),
};

#define SHORT "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"
#define LONG                                                 \
  "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn" \
  "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu"

static const struct {
  int hash;
  const char* message;
  const char* digest;
} known[] = {
    {0, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
    {0, SHORT, "84983e441c3bd26ebaae4aa1f95129e5e54670f1"},
    {1, "abc",
     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {1, SHORT,
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {2, "abc",
     "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
     "8086072ba1e7cc2358baeca134c825a7"},
    {2, LONG,
     "09330c33f71147e83d192fc782cd1b4753111b173b3b05d22fa08086e3b0f712"
     "fcc7c71a557e2db966c3e9fa91746039"},
    {3, "abc",
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
     "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
    {3, LONG,
     "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018"
     "501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545e96e55b874be909"},
};


static void assert_digest(const char* hex, const uint8_t* md) {
  char text[129];

  for (size_t i = 0; i < strlen(hex) / 2; i++)
    (void) snprintf(text + 2 * i, 3, "%02x", md[i]);
  assert_string_equal(hex, text);
}


static void known_answers_however_cut(void** state) {
  (void) state;
  for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
    const side_t* h = &hashes[known[i].hash].ours;
    const char* m = known[i].message;
    size_t size = strlen(m);
    uint8_t md[64];
    any_t c;

    assert_int_equal(1, h->init(&c));
    for (size_t at = 0; at < size; at++)
      assert_int_equal(1, h->update(&c, m + at, 1));
    assert_int_equal(1, h->final(md, &c));
    assert_digest(known[i].digest, md);

    for (size_t cut = 0; cut <= size; cut++) { /* 0 and size: whole */
      h->init(&c);
      h->update(&c, m, cut);
      h->update(&c, m + cut, size - cut);
      h->final(md, &c);
      assert_digest(known[i].digest, md);
    }
  }
}


static void a_million_bytes(void** state) {
  static const char* const digests[] = {
      "34aa973cd4c4daa4f61eeb2bdbad27316534016f",
      "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
      "9d0e1809716474cb086e834e310a4a1ced149e9c00f248527972cec5704c2a5b"
      "07b8b3dc38ecc4ebae97ddd87f3d8985",
      "e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973eb"
      "de0ff244877ea60a4cb0432ce577c31beb009c5c2c49aa2e4eadb217ad8cc09b",
  };
  static uint8_t some[1000];

  (void) state;
  memset(some, 'a', sizeof(some));
  for (size_t i = 0; i < ARRAY_SIZE(hashes); i++) {
    uint8_t md[64];
    any_t c;
    hashes[i].ours.init(&c);
    for (int n = 0; n < 1000; n++)
      hashes[i].ours.update(&c, some, sizeof(some));
    hashes[i].ours.final(md, &c);
    assert_digest(digests[i], md);
  }
}


/* The fields that mean something: of data[], the first num bytes. */
static void assert_same_state(size_t hash, const any_t* a, const any_t* b) {
  if (hash == 0) {
    assert_memory_equal(&a->sha1, &b->sha1, offsetof(SHA_CTX, data));
    assert_int_equal(a->sha1.num, b->sha1.num);
    assert_memory_equal(a->sha1.data, b->sha1.data, a->sha1.num);
  } else if (hash == 1) {
    assert_memory_equal(&a->sha256, &b->sha256, offsetof(SHA256_CTX, data));
    assert_int_equal(a->sha256.num, b->sha256.num);
    assert_int_equal(a->sha256.md_len, b->sha256.md_len);
    assert_memory_equal(a->sha256.data, b->sha256.data, a->sha256.num);
  } else {
    assert_memory_equal(&a->sha512, &b->sha512, offsetof(SHA512_CTX, u));
    assert_int_equal(a->sha512.num, b->sha512.num);
    assert_int_equal(a->sha512.md_len, b->sha512.md_len);
    assert_memory_equal(a->sha512.u.p, b->sha512.u.p, a->sha512.num);
  }
}


static void a_hash_under_way_is_openssls(void** state) {
  (void) state;
  for (int round = 0; round < 400; round++) {
    size_t i = (size_t) round % ARRAY_SIZE(hashes);
    const hash_t* h = &hashes[i];
    any_t a;
    any_t b;
    uint8_t piece[300];
    uint8_t md[2][64] = {{0}};

    memset(&a, 0, sizeof(a));
    memset(&b, 0, sizeof(b));
    h->ours.init(&a);
    h->theirs.init(&b);
    assert_same_state(i, &a, &b);
    for (uint64_t n = peer_random() % 8; n > 0; n--) {
      size_t size = peer_random() % (sizeof(piece) + 1);
      peer_bytes(piece, size);
      h->ours.update(&a, piece, size);
      h->theirs.update(&b, piece, size);
      assert_same_state(i, &a, &b);
      if (peer_random() % 2 == 0) { /* change sides */
        any_t kept = a;
        a = b;
        b = kept;
      }
    }
    h->ours.final(md[0], &a);
    h->theirs.final(md[1], &b);
    assert_memory_equal(md[0], md[1], h->digest_size);
  }
}


static void a_long_message_is_counted_in_both_words(void** state) {
  static const uint8_t piece[128] = {1};

  (void) state;
  for (size_t i = 0; i < 2; i++) { /* 2^29 bytes and more: Nh is not 0 */
    any_t a;
    any_t b;
    uint8_t md[2][64];

    memset(&a, 0, sizeof(a));
    hashes[i].ours.init(&a);
    if (i == 0)
      a.sha1.Nl = 0xfffffe00u;
    else
      a.sha256.Nl = 0xfffffe00u;
    b = a;
    hashes[i].ours.update(&a, piece, sizeof(piece));
    hashes[i].theirs.update(&b, piece, sizeof(piece));
    assert_same_state(i, &a, &b);
    assert_int_equal(1, i == 0 ? a.sha1.Nh : a.sha256.Nh);
    hashes[i].ours.final(md[0], &a);
    hashes[i].theirs.final(md[1], &b);
    assert_memory_equal(md[0], md[1], hashes[i].digest_size);
  }
}


static void a_forged_state_stays_inside(void** state) {
  uint8_t md[64];
  any_t c;

  (void) state;
  SHA256_Init(&c.sha256);
  c.sha256.num = 0xffffffff; /* not believed: the count says how many */
  SHA256_Update(&c.sha256, "abc", 3);
  assert_int_equal(3, c.sha256.num);
  SHA512_Init(&c.sha512);
  c.sha512.md_len = 65;
  assert_int_equal(0, SHA512_Final(md, &c.sha512));
}


static void nothing_of_the_message_is_left(void** state) {
  any_t c;
  uint8_t md[64];

  (void) state;
  SHA512_Init(&c.sha512);
  SHA512_Update(&c.sha512, LONG LONG, 224);
  SHA512_Update(&c.sha512, LONG LONG, 40); /* 8 over */
  for (size_t i = c.sha512.num; i < sizeof(c.sha512.u.p); i++)
    assert_int_equal(0, c.sha512.u.p[i]);
  SHA512_Final(md, &c.sha512);
  for (size_t i = 0; i < sizeof(c.sha512.u.p); i++)
    assert_int_equal(0, c.sha512.u.p[i]);
}


int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(known_answers_however_cut),
      cmocka_unit_test(a_million_bytes),
      cmocka_unit_test(a_hash_under_way_is_openssls),
      cmocka_unit_test(a_long_message_is_counted_in_both_words),
      cmocka_unit_test(a_forged_state_stays_inside),
      cmocka_unit_test(nothing_of_the_message_is_left),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

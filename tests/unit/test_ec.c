/*
 * tests/unit/test_ec.c - EC_* and ECDSA_* of crypto/libcrypto/, against
 * OpenSSL.
 *
 * Goal:   on each curve that the TPM offers, points and signatures are those
 *         that OpenSSL computes from the same explicit parameters, and what
 *         OpenSSL refuses is refused.
 * Method: the same operations on both sides, with scalars at and around 0, 1
 *         and the order besides random ones; signatures made on one side and
 *         verified on the other; RFC 6979's known answers for the nonces.
 */
#include "tests/unit/peer.h"

#include "crypto/libcrypto/ecdsa.c" /* the unit under test: it has statics */

/* p, a, b, x, y, order. The NIST curves: SEC 2 (P-192 to P-521). BN: TCG
 * Algorithm Registry 1.22, section 6. SM2: GB/T 32918.5. */
typedef struct {
  const char* name;
  const char* p;
  const char* a; /* NULL: p - 3 */
  const char* b;
  const char* x; /* NULL: p - 1 */
  const char* y;
  const char* order;
} parameters_t;

/* clang-format off */
static const parameters_t curves[] = {
  {"P-192",
   "fffffffffffffffffffffffffffffffeffffffffffffffff", NULL,
   "64210519e59c80e70fa7e9ab72243049feb8deecc146b9b1",
   "188da80eb03090f67cbf20eb43a18800f4ff0afd82ff1012",
   "07192b95ffc8da78631011ed6b24cdd573f977a11e794811",
   "ffffffffffffffffffffffff99def836146bc9b1b4d22831"},
  {"P-224",
   "ffffffffffffffffffffffffffffffff000000000000000000000001", NULL,
   "b4050a850c04b3abf54132565044b0b7d7bfd8ba270b39432355ffb4",
   "b70e0cbd6bb4bf7f321390b94a03c1d356c21122343280d6115c1d21",
   "bd376388b5f723fb4c22dfe6cd4375a05a07476444d5819985007e34",
   "ffffffffffffffffffffffffffff16a2e0b8f03e13dd29455c5c2a3d"},
  {"P-256",
   "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff", NULL,
   "5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b",
   "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296",
   "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
   "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"},
  {"P-384",
   "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe"
   "ffffffff0000000000000000ffffffff", NULL,
   "b3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875a"
   "c656398d8a2ed19d2a85c8edd3ec2aef",
   "aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a38"
   "5502f25dbf55296c3a545e3872760ab7",
   "3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c0"
   "0a60b1ce1d7e819d7a431d7c90ea0e5f",
   "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf"
   "581a0db248b0a77aecec196accc52973"},
  {"P-521",
   "01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
   "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", NULL,
   "0051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109"
   "e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00",
   "00c6858e06b70404e9cd9e3ecb662395b4429c648139053fb521f828af606b4d3d"
   "baa14b5e77efe75928fe1dc127a2ffa8de3348b3c1856a429bf97e7e31c2e5bd66",
   "011839296a789a3bc0045c8a5fb42c7d1bd998f54449579b446817afbd17273e66"
   "2c97ee72995ef42640c550b9013fad0761353c7086a272c24088be94769fd16650",
   "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa"
   "51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409"},
  {"BN-256",
   "fffffffffffcf0cd46e5f25eee71a49f0cdc65fb12980a82d3292ddbaed33013", "0",
   "3", "1", "2",
   "fffffffffffcf0cd46e5f25eee71a49e0cdc65fb1299921af62d536cd10b500d"},
  {"BN-638",
   "23fffffdc000000d7fffffb8000001d3fffff942d000165e3fff94870000d52ffffd"
   "d0e00008de55c00086520021e55bfffff51ffff4eb800000004c80015acdffffffff"
   "ffffece00000000000000067", "0",
   "101", NULL, "10",
   "23fffffdc000000d7fffffb8000001d3fffff942d000165e3fff94870000d52ffffd"
   "d0e00008de55600086550021e555fffff54ffff4eac000000049800154d9ffffffff"
   "ffffeda00000000000000061"},
  {"SM2",
   "fffffffeffffffffffffffffffffffffffffffff00000000ffffffffffffffff", NULL,
   "28e9fa9e9d9f5e344d5a9e4bcf6509a7f39789f515ab8f92ddbcbd414d940e93",
   "32c4ae2c1f1981195f9904466a39c9948fe30bbff2660be1715a4589334c74c7",
   "bc3736a2f4f6779c59bdcee36b692153d0a9877cc62a474002df32e52139f0a0",
   "fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123"},
};
/* clang-format on */

/* A curve on both sides. */
typedef struct {
  EC_GROUP* ours;
  EC_GROUP* theirs;
  EC_POINT* our_point;
  EC_POINT* their_point;
  peer_number_t p;
  peer_number_t order;
} pair_t;

static peer_number_t less(peer_number_t a, uint8_t by) {
  peer_number_t b = peer_number(&by, 1);

  assert_int_equal(BN_sub(b.ours, a.ours, b.ours), 1);
  assert_int_equal(PEER(BN_sub)(b.theirs, a.theirs, b.theirs), 1);
  return b;
}


static void pair_open(pair_t* pair, const parameters_t* from) {
  pair->p = peer_number_hex(from->p);
  pair->order = peer_number_hex(from->order);
  peer_number_t a =
      from->a != NULL ? peer_number_hex(from->a) : less(pair->p, 3);
  peer_number_t b = peer_number_hex(from->b);
  peer_number_t x =
      from->x != NULL ? peer_number_hex(from->x) : less(pair->p, 1);
  peer_number_t y = peer_number_hex(from->y);

  pair->ours = EC_GROUP_new_curve_GFp(pair->p.ours, a.ours, b.ours, NULL);
  pair->theirs =
      PEER(EC_GROUP_new_curve_GFp)(pair->p.theirs, a.theirs, b.theirs, NULL);
  assert_non_null(pair->ours);
  assert_non_null(pair->theirs);
  pair->our_point = EC_POINT_new(pair->ours);
  pair->their_point = PEER(EC_POINT_new)(pair->theirs);
  assert_int_equal(EC_POINT_set_affine_coordinates(pair->ours, pair->our_point,
                                                   x.ours, y.ours, NULL),
                   1);
  assert_int_equal(
      PEER(EC_POINT_set_affine_coordinates)(pair->theirs, pair->their_point,
                                            x.theirs, y.theirs, NULL),
      1);
  assert_int_equal(EC_GROUP_set_generator(pair->ours, pair->our_point,
                                          pair->order.ours, NULL),
                   1);
  assert_int_equal(PEER(EC_GROUP_set_generator)(pair->theirs, pair->their_point,
                                                pair->order.theirs, NULL),
                   1);
  peer_number_free(a);
  peer_number_free(b);
  peer_number_free(x);
  peer_number_free(y);
}


static void pair_close(pair_t* pair) {
  EC_POINT_clear_free(pair->our_point);
  PEER(EC_POINT_clear_free)(pair->their_point);
  EC_GROUP_free(pair->ours);
  PEER(EC_GROUP_free)(pair->theirs);
  peer_number_free(pair->p);
  peer_number_free(pair->order);
}


/* Both sides' points are the same, the infinite one included. */
static void points_agree(const pair_t* pair) {
  peer_number_t x = peer_number_hex("0");
  peer_number_t y = peer_number_hex("0");
  int ours = EC_POINT_get_affine_coordinates(pair->ours, pair->our_point,
                                             x.ours, y.ours, NULL);
  int theirs = PEER(EC_POINT_get_affine_coordinates)(
      pair->theirs, pair->their_point, x.theirs, y.theirs, NULL);

  assert_int_equal(ours, theirs);
  if (ours == 1) {
    peer_assert_same(x.ours, x.theirs);
    peer_assert_same(y.ours, y.theirs);
  }
  peer_number_free(x);
  peer_number_free(y);
}


/* Scalars that are worth a look: small, near the order, above it, random. */
static peer_number_t some_scalar(const pair_t* pair, int i) {
  uint8_t bytes[88];
  uint8_t small = (uint8_t) i;
  size_t size = ((size_t) BN_num_bits(pair->order.ours) + 7) / 8;

  if (i < 4)
    return peer_number(&small, 1);
  if (i < 8)
    return less(pair->order, (uint8_t) (i - 4)); /* order - 0, 1, 2, 3 */
  peer_bytes(bytes, size);
  peer_number_t k = peer_number(bytes, size);
  if (i == 8 || i == 9) { /* the order and more: k + order, by 0 - order - k */
    peer_number_t zero = peer_number_hex("0");
    (void) BN_sub(zero.ours, zero.ours, pair->order.ours);
    (void) PEER(BN_sub)(zero.theirs, zero.theirs, pair->order.theirs);
    (void) BN_sub(k.ours, k.ours, zero.ours);
    (void) PEER(BN_sub)(k.theirs, k.theirs, zero.theirs);
    peer_number_free(zero);
  }
  return k;
}


static void multiples_agree_on(const parameters_t* from) {
  pair_t pair;

  pair_open(&pair, from);
  for (int i = 0; i < 14; i++) {
    peer_number_t k = some_scalar(&pair, i);
    peer_number_t m = some_scalar(&pair, (i * 5) % 14);

    /* Of the generator; the points then hold it. */
    assert_int_equal(
        EC_POINT_mul(pair.ours, pair.our_point, k.ours, NULL, NULL, NULL), 1);
    assert_int_equal(PEER(EC_POINT_mul)(pair.theirs, pair.their_point, k.theirs,
                                        NULL, NULL, NULL),
                     1);
    points_agree(&pair);

    /* Of both: k G + m (k G), in place. */
    assert_int_equal(EC_POINT_mul(pair.ours, pair.our_point, k.ours,
                                  pair.our_point, m.ours, NULL),
                     1);
    assert_int_equal(PEER(EC_POINT_mul)(pair.theirs, pair.their_point, k.theirs,
                                        pair.their_point, m.theirs, NULL),
                     1);
    points_agree(&pair);

    /* Of a point that is not the generator. */
    assert_int_equal(EC_POINT_mul(pair.ours, pair.our_point, NULL,
                                  pair.our_point, k.ours, NULL),
                     1);
    assert_int_equal(PEER(EC_POINT_mul)(pair.theirs, pair.their_point, NULL,
                                        pair.their_point, k.theirs, NULL),
                     1);
    points_agree(&pair);
    peer_number_free(k);
    peer_number_free(m);
  }
  pair_close(&pair);
}


static void multiples_agree(void** state) {
  (void) state;
  for (size_t i = 0; i < ARRAY_SIZE(curves); i++)
    multiples_agree_on(&curves[i]);
}


/* P + P, P + (-P), P + infinity, and two unlike points. */
static void sums_agree(void** state) {
  (void) state;
  for (size_t i = 0; i < ARRAY_SIZE(curves); i++) {
    for (int other = 0; other < 8; other++) {
      pair_t a, b;

      pair_open(&a, &curves[i]);
      pair_open(&b, &curves[i]);
      peer_number_t k = some_scalar(&b, other); /* 0, 1.. and -0, -1.. */
      (void) EC_POINT_mul(b.ours, b.our_point, k.ours, NULL, NULL, NULL);
      (void) PEER(EC_POINT_mul)(b.theirs, b.their_point, k.theirs, NULL, NULL,
                                NULL);
      assert_int_equal(
          EC_POINT_add(a.ours, a.our_point, a.our_point, b.our_point, NULL), 1);
      assert_int_equal(PEER(EC_POINT_add)(a.theirs, a.their_point,
                                          a.their_point, b.their_point, NULL),
                       1);
      points_agree(&a);
      peer_number_free(k);
      pair_close(&a);
      pair_close(&b);
    }
  }
}


static void several_points_agree(void** state) {
  (void) state;
  for (size_t i = 0; i < ARRAY_SIZE(curves); i++) {
    pair_t pair;

    pair_open(&pair, &curves[i]);
    peer_number_t k = some_scalar(&pair, 12);
    peer_number_t m = some_scalar(&pair, 13);
    EC_POINT* ours = EC_POINT_new(pair.ours);
    EC_POINT* theirs = PEER(EC_POINT_new)(pair.theirs);
    (void) EC_POINT_mul(pair.ours, ours, m.ours, NULL, NULL, NULL);
    (void) PEER(EC_POINT_mul)(pair.theirs, theirs, m.theirs, NULL, NULL, NULL);

    const EC_POINT* our_points[2] = {ours, pair.our_point};
    const EC_POINT* their_points[2] = {theirs, pair.their_point};
    const BIGNUM* our_scalars[2] = {k.ours, m.ours};
    const BIGNUM* their_scalars[2] = {k.theirs, m.theirs};
    assert_int_equal(EC_POINTs_mul(pair.ours, pair.our_point, NULL, 2,
                                   our_points, our_scalars, NULL),
                     1);
    assert_int_equal(PEER(EC_POINTs_mul)(pair.theirs, pair.their_point, NULL, 2,
                                         their_points, their_scalars, NULL),
                     1);
    points_agree(&pair);
    EC_POINT_free(ours);
    PEER(EC_POINT_free)(theirs);
    peer_number_free(k);
    peer_number_free(m);
    pair_close(&pair);
  }
}


/* A point beside the curve is refused, and one with x + p is x. */
static void strange_coordinates_are_judged_alike(void** state) {
  (void) state;
  for (size_t i = 0; i < ARRAY_SIZE(curves); i++) {
    pair_t pair;

    pair_open(&pair, &curves[i]);
    for (int k = 0; k < 30; k++) {
      uint8_t bytes[81];
      size_t size = ((size_t) BN_num_bits(pair.p.ours) + 7) / 8;

      peer_bytes(bytes, sizeof(bytes));
      peer_number_t x = k % 2 == 0 ? peer_number(bytes, size) : less(pair.p, 0);
      peer_number_t y = k % 3 == 0 ? peer_number(bytes, 3)
                                   : peer_number(bytes + 1, sizeof(bytes) - 1);
      int ours = EC_POINT_set_affine_coordinates(pair.ours, pair.our_point,
                                                 x.ours, y.ours, NULL);
      int theirs = PEER(EC_POINT_set_affine_coordinates)(
          pair.theirs, pair.their_point, x.theirs, y.theirs, NULL);
      assert_int_equal(ours, theirs);
      peer_number_free(x);
      peer_number_free(y);
    }
    pair_close(&pair);
  }
}


/* Keys with d on both sides. */
static void keys_open(const pair_t* pair,
                      peer_number_t d,
                      EC_KEY** ours,
                      EC_KEY** theirs) {
  *ours = EC_KEY_new();
  *theirs = PEER(EC_KEY_new)();
  assert_int_equal(EC_KEY_set_group(*ours, pair->ours), 1);
  assert_int_equal(PEER(EC_KEY_set_group)(*theirs, pair->theirs), 1);
  assert_int_equal(EC_KEY_set_private_key(*ours, d.ours), 1);
  assert_int_equal(PEER(EC_KEY_set_private_key)(*theirs, d.theirs), 1);
  (void) EC_POINT_mul(pair->ours, pair->our_point, d.ours, NULL, NULL, NULL);
  (void) PEER(EC_POINT_mul)(pair->theirs, pair->their_point, d.theirs, NULL,
                            NULL, NULL);
  assert_int_equal(EC_KEY_set_public_key(*ours, pair->our_point), 1);
  assert_int_equal(PEER(EC_KEY_set_public_key)(*theirs, pair->their_point), 1);
}


/* A signature of one side as an object of the other. */
static void signature_crosses(const ECDSA_SIG* from,
                              ECDSA_SIG* to,
                              bool to_ours) {
  const BIGNUM* number[2];
  BIGNUM* copy[2];
  uint8_t bytes[88];

  if (to_ours)
    PEER(ECDSA_SIG_get0)(from, &number[0], &number[1]);
  else
    ECDSA_SIG_get0(from, &number[0], &number[1]);
  for (int i = 0; i < 2; i++) {
    int size = to_ours ? PEER(BN_bn2bin)(number[i], bytes)
                       : BN_bn2bin(number[i], bytes);
    copy[i] = to_ours ? BN_bin2bn(bytes, size, NULL)
                      : PEER(BN_bin2bn)(bytes, size, NULL);
  }
  if (to_ours)
    assert_int_equal(ECDSA_SIG_set0(to, copy[0], copy[1]), 1);
  else
    assert_int_equal(PEER(ECDSA_SIG_set0)(to, copy[0], copy[1]), 1);
}


static void signatures_cross_on(const parameters_t* from, int size) {
  pair_t pair;
  EC_KEY *ours, *theirs;
  uint8_t digest[64];

  pair_open(&pair, from);
  peer_number_t d = some_scalar(&pair, 7);
  keys_open(&pair, d, &ours, &theirs);
  peer_bytes(digest, sizeof(digest));

  ECDSA_SIG* by_us = ECDSA_do_sign(digest, size, ours);
  ECDSA_SIG* by_them = PEER(ECDSA_do_sign)(digest, size, theirs);
  ECDSA_SIG* to_them = PEER(ECDSA_SIG_new)();
  ECDSA_SIG* to_us = ECDSA_SIG_new();
  assert_non_null(by_us);
  assert_non_null(by_them);
  signature_crosses(by_us, to_them, false);
  signature_crosses(by_them, to_us, true);

  assert_int_equal(ECDSA_do_verify(digest, size, by_us, ours), 1);
  assert_int_equal(ECDSA_do_verify(digest, size, to_us, ours), 1);
  assert_int_equal(PEER(ECDSA_do_verify)(digest, size, to_them, theirs), 1);
  digest[0] ^= 0x80;
  if (size > 0) {
    assert_int_equal(ECDSA_do_verify(digest, size, by_us, ours), 0);
    assert_int_equal(ECDSA_do_verify(digest, size, to_us, ours), 0);
  }

  ECDSA_SIG_free(by_us);
  ECDSA_SIG_free(to_us);
  PEER(ECDSA_SIG_free)(by_them);
  PEER(ECDSA_SIG_free)(to_them);
  EC_KEY_free(ours);
  PEER(EC_KEY_free)(theirs);
  peer_number_free(d);
  pair_close(&pair);
}


static void signatures_cross(void** state) {
  (void) state;
  for (size_t i = 0; i < ARRAY_SIZE(curves); i++) {
    signatures_cross_on(&curves[i], 20);
    signatures_cross_on(&curves[i], 32);
    signatures_cross_on(&curves[i], 64);
  }
  signatures_cross_on(&curves[2], 0);
}


/* r or s of 0, the order, and more than that verify nowhere. */
static void strange_signatures_are_refused(void** state) {
  (void) state;
  pair_t pair;
  EC_KEY *ours, *theirs;
  uint8_t digest[32] = {1};

  pair_open(&pair, &curves[2]);
  peer_number_t d = some_scalar(&pair, 11);
  keys_open(&pair, d, &ours, &theirs);
  for (int i = 0; i < 100; i++) {
    peer_number_t r = some_scalar(&pair, i % 10);
    peer_number_t s = some_scalar(&pair, i / 10);
    ECDSA_SIG* our_sig = ECDSA_SIG_new();
    ECDSA_SIG* their_sig = PEER(ECDSA_SIG_new)();

    assert_int_equal(ECDSA_SIG_set0(our_sig, r.ours, s.ours), 1);
    assert_int_equal(PEER(ECDSA_SIG_set0)(their_sig, r.theirs, s.theirs), 1);
    int verdict = ECDSA_do_verify(digest, sizeof(digest), our_sig, ours);
    int theirs_says =
        PEER(ECDSA_do_verify)(digest, sizeof(digest), their_sig, theirs);
    assert_int_equal(verdict == 1, theirs_says == 1);
    assert_int_equal(verdict, 0);
    ECDSA_SIG_free(our_sig);
    PEER(ECDSA_SIG_free)(their_sig);
  }
  EC_KEY_free(ours);
  PEER(EC_KEY_free)(theirs);
  peer_number_free(d);
  pair_close(&pair);
}


/* RFC 6979, A.2.3 to A.2.7: message "sample". */
typedef struct {
  size_t curve;
  const br_hash_class* hash;
  const char* d;
  const char* r;
  const char* s;
} known_t;

/* clang-format off */
static const known_t knowns[] = {
  {0, &br_sha256_vtable,
   "6fab034934e4c0fc9ae67f5b5659a9d7d1fefd187ee09fd4",
   "4b0b8ce98a92866a2820e20aa6b75b56382e0f9bfd5ecb55",
   "ccdb006926ea9565cbadc840829d8c384e06de1f1e381b85"},
  {2, &br_sha256_vtable,
   "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721",
   "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
   "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"},
  {2, &br_sha1_vtable,
   "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721",
   "61340c88c3aaebeb4f6d667f672ca9759a6ccaa9fa8811313039ee4a35471d32",
   "6d7f147dac089441bb2e2fe8f7a3fa264b9c475098fdcf6e00d7c996e1b8b7eb"},
  {3, &br_sha384_vtable,
   "6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba9aa47740787137d8"
   "96d5724e4c70a825f872c9ea60d2edf5",
   "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c"
   "81a648152e44acf96e36dd1e80fabe46",
   "99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94f"
   "a329c145786e679e7b82c71a38628ac8"},
  {4, &br_sha512_vtable,
   "0fad06daa62ba3b25d2fb40133da757205de67f5bb0018fee8c86e1b68c7e75c"
   "aa896eb32f1f47c70855836a6d16fcc1466f6d8fbec67db89ec0c08b0e996b83538",
   "0c328fafcbd79dd77850370c46325d987cb525569fb63c5d3bc53950e6d4c5f1"
   "74e25a1ee9017b5d450606add152b534931d7d4e8455cc91f9b15bf05ec36e377fa",
   "0617cce7cf5064806c467f678d3b4080d6f1cc50af26ca209417308281b68af2"
   "82623eaa63e5b5c0723d8b8c37ff0777b1a20f8ccb1dccc43997f1ee0e44da4a67a"},
};
/* clang-format on */

static void nonces_are_those_of_rfc_6979(void** state) {
  (void) state;
  for (size_t i = 0; i < ARRAY_SIZE(knowns); i++) {
    const known_t* known = &knowns[i];
    br_hash_compat_context context;
    uint8_t digest[64];
    pair_t pair;
    ec_field_t r, s;

    known->hash->init(&context.vtable);
    known->hash->update(&context.vtable, "sample", 6);
    known->hash->out(&context.vtable, digest);
    size_t size = known->hash->desc >> BR_HASHDESC_OUT_OFF & 0x7f;

    pair_open(&pair, &curves[known->curve]);
    peer_number_t d = peer_number_hex(known->d);
    peer_number_t r_known = peer_number_hex(known->r);
    peer_number_t s_known = peer_number_hex(known->s);
    signing_t g = {.curve = &pair.ours->curve,
                   .hash = known->hash,
                   .fresh = digest,
                   .fresh_size = 0};
    assert_true(scalar_of(g.curve, g.d, d.ours));
    digest_to_scalar(g.curve, g.e, digest, size);
    assert_true(sign(&g, r, s));

    bn_assign(d.ours, r, g.curve->order_n);
    peer_assert_same(d.ours, r_known.theirs);
    bn_assign(d.ours, s, g.curve->order_n);
    peer_assert_same(d.ours, s_known.theirs);
    peer_number_free(d);
    peer_number_free(r_known);
    peer_number_free(s_known);
    pair_close(&pair);
  }
}


/* Two signatures of one digest differ, as fresh bytes go into the nonce. */
static void nonces_are_fresh(void** state) {
  (void) state;
  pair_t pair;
  EC_KEY *ours, *theirs;
  uint8_t digest[32] = {2};

  pair_open(&pair, &curves[2]);
  peer_number_t d = some_scalar(&pair, 11);
  keys_open(&pair, d, &ours, &theirs);
  ECDSA_SIG* one = ECDSA_do_sign(digest, sizeof(digest), ours);
  ECDSA_SIG* two = ECDSA_do_sign(digest, sizeof(digest), ours);
  assert_int_not_equal(BN_cmp(one->r, two->r), 0);
  ECDSA_SIG_free(one);
  ECDSA_SIG_free(two);

  /* And a key that is no scalar signs nothing. */
  assert_int_equal(EC_KEY_set_private_key(ours, pair.order.ours), 1);
  assert_null(ECDSA_do_sign(digest, sizeof(digest), ours));
  EC_KEY_free(ours);
  PEER(EC_KEY_free)(theirs);
  peer_number_free(d);
  pair_close(&pair);
}


static void generated_keys_are_scalars_with_their_point(void** state) {
  (void) state;
  for (size_t i = 0; i < ARRAY_SIZE(curves); i++) {
    pair_t pair;

    pair_open(&pair, &curves[i]);
    EC_KEY* key = EC_KEY_new();
    assert_int_equal(EC_KEY_generate_key(key), 0); /* no group yet */
    assert_int_equal(EC_KEY_set_group(key, pair.ours), 1);
    assert_int_equal(EC_KEY_generate_key(key), 1);
    const BIGNUM* d = EC_KEY_get0_private_key(key);
    assert_false(BN_is_zero(d));
    assert_true(BN_cmp(d, pair.order.ours) < 0);

    BIGNUM* x[2] = {BN_new(), BN_new()};
    BIGNUM* y[2] = {BN_new(), BN_new()};
    (void) EC_POINT_mul(pair.ours, pair.our_point, d, NULL, NULL, NULL);
    assert_int_equal(EC_POINT_get_affine_coordinates(pair.ours, pair.our_point,
                                                     x[0], y[0], NULL),
                     1);
    assert_int_equal(
        EC_POINT_get_affine_coordinates(pair.ours, key->q, x[1], y[1], NULL),
        1);
    assert_int_equal(BN_cmp(x[0], x[1]), 0);
    assert_int_equal(BN_cmp(y[0], y[1]), 0);
    for (int k = 0; k < 2; k++) {
      BN_free(x[k]);
      BN_free(y[k]);
    }
    EC_KEY_free(key);
    pair_close(&pair);
  }
}


static void nothing_is_left_behind(void** state) {
  (void) state;
  assert_int_equal(peer_blocks(), 0);
  assert_int_equal(libcrypto_scratch()->used, 0);
}


int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(multiples_agree),
      cmocka_unit_test(sums_agree),
      cmocka_unit_test(several_points_agree),
      cmocka_unit_test(strange_coordinates_are_judged_alike),
      cmocka_unit_test(signatures_cross),
      cmocka_unit_test(strange_signatures_are_refused),
      cmocka_unit_test(nonces_are_those_of_rfc_6979),
      cmocka_unit_test(nonces_are_fresh),
      cmocka_unit_test(generated_keys_are_scalars_with_their_point),
      cmocka_unit_test(nothing_is_left_behind),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * tests/fuzz/fuzz_crypto.c - any operands, beside OpenSSL's libcrypto.
 *
 *   input: WHAT, HOW, then operands, each after its size, or patches
 *
 * Goal:   whatever numbers, points, streams and padded blocks a TPM is given,
 *         our answer is OpenSSL's, refusals too, and nothing is left behind:
 *         a point that is not on its curve is refused above all.
 * Method: the same operation on both sides. Padded blocks and signatures are
 *         good ones, taken to their encoded message by a raw RSA operation,
 *         patched there, and taken back, so that parsers see near misses.
 */
#include "tests/fuzz/fuzz.h"

#include "tests/unit/peer.c"

#include "crypto/libcrypto/openssl_sym.h"

#define KEY_SIZE 128u /* bytes of an RSA modulus */
#define NUMBER_SIZE_MAX 256u
#define POWER_SIZE_MAX 48u
#define DIGEST_SIZE 32u

/* One of the two sides' functions, as an expression. */
#define SIDE(ours, name) ((ours) ? (&name) : PEER(name))

enum { WHAT_NUMBER, WHAT_POINT, WHAT_STREAM, WHAT_BLOCK, WHAT_COUNT };

typedef struct {
  const uint8_t* at;
  size_t left; /* bytes */
} input_t;

static uint8_t take(input_t* in) {
  if (in->left == 0)
    return 0;
  in->left--;
  return *in->at++;
}


/* As many bytes as their size says, as the input has, and as `size_max`. */
static size_t take_bytes(input_t* in, uint8_t* bytes, size_t size_max) {
  size_t size = take(in);

  if (size > in->left)
    size = in->left;
  if (size > size_max)
    size = size_max;
  memcpy(bytes, in->at, size);
  in->at += size;
  in->left -= size;
  return size;
}


/* A number; an odd size byte turns all its bits over, so that large ones with
 * long runs of ones are found as soon as small ones. */
static peer_number_t take_number(input_t* in, size_t size_max) {
  uint8_t bytes[NUMBER_SIZE_MAX] = {0};
  uint8_t how = take(in);
  size_t size = take_bytes(in, bytes, size_max);
  size_t zeros = how / 4u;

  if (size + zeros > size_max)
    zeros = size_max - size; /* behind it: as many powers of 256 */
  for (size_t i = 0; i < size + zeros && (how & 1) != 0; i++)
    bytes[i] = (uint8_t) ~bytes[i];
  return peer_number(bytes, size + zeros);
}


/* ---- Numbers ---- */

static BN_CTX* their_numbers(void) {
  static BN_CTX* ctx;

  if (ctx == NULL)
    ctx = PEER(BN_CTX_new)();
  return ctx;
}


static void same_result(int ours, int theirs, peer_number_t r) {
  assert_int_equal(ours, theirs);
  if (ours == 1)
    peer_assert_same(r.ours, r.theirs);
}


static void run_inverse(peer_number_t a, peer_number_t m) {
  BIGNUM* ours = BN_mod_inverse(NULL, a.ours, m.ours, NULL);
  BIGNUM* theirs =
      PEER(BN_mod_inverse)(NULL, a.theirs, m.theirs, their_numbers());

  assert_int_equal(ours != NULL, theirs != NULL);
  if (ours != NULL)
    peer_assert_same(ours, theirs);
  BN_free(ours);
  PEER(BN_free)(theirs);
}


static void run_quotient(peer_number_t a, peer_number_t b) {
  peer_number_t q = peer_number(NULL, 0);
  peer_number_t r = peer_number(NULL, 0);
  int ours = BN_div(q.ours, r.ours, a.ours, b.ours, NULL);
  int theirs =
      PEER(BN_div)(q.theirs, r.theirs, a.theirs, b.theirs, their_numbers());

  same_result(ours, theirs, q);
  same_result(ours, theirs, r);
  peer_number_free(q);
  peer_number_free(r);
}


static void run_number(input_t* in) {
  uint8_t how = take(in);
  size_t size_max = how % 5 >= 3 ? POWER_SIZE_MAX : NUMBER_SIZE_MAX;
  peer_number_t a = take_number(in, size_max);
  peer_number_t b = take_number(in, size_max);
  peer_number_t m = take_number(in, size_max);
  peer_number_t r = peer_number(NULL, 0);

  assert_int_equal(BN_cmp(a.ours, b.ours) > 0,
                   PEER(BN_cmp)(a.theirs, b.theirs) > 0);
  switch (how % 5) {
    case 0:
      same_result(BN_mul(r.ours, a.ours, b.ours, NULL),
                  PEER(BN_mul)(r.theirs, a.theirs, b.theirs, their_numbers()),
                  r);
      break;
    case 1:
      same_result(BN_sub(r.ours, a.ours, b.ours),
                  PEER(BN_sub)(r.theirs, a.theirs, b.theirs), r);
      break;
    case 2:
      run_quotient(a, b);
      break;
    case 3:
      same_result(BN_mod_exp(r.ours, a.ours, b.ours, m.ours, NULL),
                  PEER(BN_mod_exp)(r.theirs, a.theirs, b.theirs, m.theirs,
                                   their_numbers()),
                  r);
      break;
    default:
      run_inverse(a, m);
  }
  peer_number_free(a);
  peer_number_free(b);
  peer_number_free(m);
  peer_number_free(r);
}


/* ---- Points: SEC 2's P-256 and P-384, TCG's BN-256 ---- */

typedef struct {
  const char* p;
  const char* a;
  const char* b;
  const char* x;
  const char* y;
  const char* order;
  EC_GROUP* theirs; /* made once; ours anew each time, to see it freed */
} curve_t;

static curve_t curves[] = {
    {"ffffffff00000001000000000000000000000000ffffffffffffffffffffffff",
     "ffffffff00000001000000000000000000000000fffffffffffffffffffffffc",
     "5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b",
     "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296",
     "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
     "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", NULL},
    {"fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe"
     "ffffffff0000000000000000ffffffff",
     "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe"
     "ffffffff0000000000000000fffffffc",
     "b3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875a"
     "c656398d8a2ed19d2a85c8edd3ec2aef",
     "aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a38"
     "5502f25dbf55296c3a545e3872760ab7",
     "3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c0"
     "0a60b1ce1d7e819d7a431d7c90ea0e5f",
     "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf"
     "581a0db248b0a77aecec196accc52973",
     NULL},
    {"fffffffffffcf0cd46e5f25eee71a49f0cdc65fb12980a82d3292ddbaed33013", "0",
     "3", "1", "2",
     "fffffffffffcf0cd46e5f25eee71a49e0cdc65fb1299921af62d536cd10b500d", NULL},
};

static EC_GROUP* group_new(const curve_t* curve, bool ours) {
  peer_number_t v[6];
  const char* hex[] = {curve->p, curve->a, curve->b,
                       curve->x, curve->y, curve->order};

  for (size_t i = 0; i < ARRAY_SIZE(v); i++)
    v[i] = peer_number_hex(hex[i]);
#define V(i) (ours ? v[i].ours : v[i].theirs)
  EC_GROUP* group = SIDE(ours, EC_GROUP_new_curve_GFp)(V(0), V(1), V(2), NULL);
  ASSERT(group != NULL);
  EC_POINT* g = SIDE(ours, EC_POINT_new)(group);
  ASSERT(SIDE(ours, EC_POINT_set_affine_coordinates)(group, g, V(3), V(4),
                                                     NULL) == 1);
  ASSERT(SIDE(ours, EC_GROUP_set_generator)(group, g, V(5), NULL) == 1);
  SIDE(ours, EC_POINT_free)(g);
#undef V
  for (size_t i = 0; i < ARRAY_SIZE(v); i++)
    peer_number_free(v[i]);
  return group;
}


/* A curve on both sides, and a point there. */
typedef struct {
  EC_GROUP* group[2];
  EC_POINT* point[2];
} points_t;

static void same_coordinates(const points_t* at) {
  peer_number_t x = peer_number(NULL, 0);
  peer_number_t y = peer_number(NULL, 0);
  int ours = EC_POINT_get_affine_coordinates(at->group[1], at->point[1], x.ours,
                                             y.ours, NULL);
  int theirs = PEER(EC_POINT_get_affine_coordinates)(at->group[0], at->point[0],
                                                     x.theirs, y.theirs, NULL);

  same_result(ours, theirs, x);
  same_result(ours, theirs, y);
  peer_number_free(x);
  peer_number_free(y);
}


/* Set the point to coordinates that need not be any point's. */
static void point_set(const points_t* at, peer_number_t x, peer_number_t y) {
  int ours = EC_POINT_set_affine_coordinates(at->group[1], at->point[1], x.ours,
                                             y.ours, NULL);
  int theirs = PEER(EC_POINT_set_affine_coordinates)(at->group[0], at->point[0],
                                                     x.theirs, y.theirs, NULL);

  assert_int_equal(ours, theirs);
  if (ours == 1)
    same_coordinates(at);
}


/* k times the generator, or k times the point; 0 where there is none. */
static void point_multiply(const points_t* at, peer_number_t k, bool of_point) {
  int ours = EC_POINT_mul(at->group[1], at->point[1], of_point ? NULL : k.ours,
                          of_point ? at->point[1] : NULL,
                          of_point ? k.ours : NULL, NULL);
  int theirs = PEER(EC_POINT_mul)(
      at->group[0], at->point[0], of_point ? NULL : k.theirs,
      of_point ? at->point[0] : NULL, of_point ? k.theirs : NULL, NULL);

  assert_int_equal(ours, theirs);
  same_coordinates(at);
}


/* Its own coordinates with a bit changed: they are no point's, or another's. */
static void point_spoil(const points_t* at, uint8_t which, uint8_t bit) {
  peer_number_t c[2] = {peer_number(NULL, 0), peer_number(NULL, 0)};
  uint8_t bytes[64];

  if (EC_POINT_get_affine_coordinates(at->group[1], at->point[1], c[0].ours,
                                      c[1].ours, NULL) == 1) {
    for (int i = 0; i < 2; i++) {
      size_t size = (size_t) BN_bn2bin(c[i].ours, bytes);
      if (i == which % 2 && size > 0)
        bytes[bit / 8u % size] ^= (uint8_t) (1u << bit % 8);
      peer_number_free(c[i]);
      c[i] = peer_number(bytes, size);
    }
    point_set(at, c[0], c[1]);
  }
  peer_number_free(c[0]);
  peer_number_free(c[1]);
}


static void run_point(input_t* in) {
  uint8_t how = take(in);
  curve_t* curve = &curves[how % ARRAY_SIZE(curves)];
  points_t at = {0};

  if (curve->theirs == NULL)
    curve->theirs = group_new(curve, false);
  at.group[0] = curve->theirs;
  at.group[1] = group_new(curve, true);
  at.point[0] = PEER(EC_POINT_new)(at.group[0]);
  at.point[1] = EC_POINT_new(at.group[1]);
  peer_number_t k = take_number(in, 48);
  point_multiply(&at, k, false);
  if ((how & 0x40) != 0) {
    uint8_t which = take(in);
    point_spoil(&at, which, take(in));
  } else if ((how & 0x80) != 0) {
    peer_number_t y = take_number(in, 48);
    point_set(&at, k, y);
    peer_number_free(y);
  } else {
    peer_number_t m = take_number(in, 48);
    point_multiply(&at, m, true);
    peer_number_free(m);
  }
  peer_number_free(k);
  EC_POINT_free(at.point[1]);
  PEER(EC_POINT_free)(at.point[0]);
  EC_GROUP_free(at.group[1]);
}


/* ---- Streams ---- */

typedef const EVP_CIPHER* (*cipher_t)(void);

#define CIPHERS(XX)                                                          \
  XX(aes_128_ecb), XX(aes_128_cbc), XX(aes_128_cfb128), XX(aes_128_ofb),     \
      XX(aes_128_ctr), XX(aes_256_ctr), XX(aes_256_cfb128), XX(aes_192_cbc), \
      XX(camellia_128_cfb128), XX(camellia_256_cbc), XX(camellia_192_ctr),   \
      XX(des_ede3_cbc), XX(des_ede3_cfb64), XX(des_ede3_ofb)

static const cipher_t our_ciphers[] = {
#define XX(name) EVP_##name
    CIPHERS(XX)
#undef XX
};
static const char* const their_ciphers[] = {
#define XX(name) "EVP_" #name
    CIPHERS(XX)
#undef XX
};

typedef struct {
  EVP_CIPHER_CTX* ctx;
  bool ours;
  bool encrypts;
  int status;
  int size; /* bytes */
  uint8_t out[288];
} stream_t;

static void stream_begin(stream_t* s,
                         size_t which,
                         const uint8_t* key,
                         const uint8_t* iv) {
  cipher_t cipher = our_ciphers[which];

  if (!s->ours) {
    peer_function_t found = peer_function(their_ciphers[which]);
    memcpy(&cipher, &found, sizeof(cipher));
  }
  s->ctx = SIDE(s->ours, EVP_CIPHER_CTX_new)();
  int ok =
      s->encrypts
          ? SIDE(s->ours, EVP_EncryptInit_ex)(s->ctx, cipher(), NULL, key, iv)
          : SIDE(s->ours, EVP_DecryptInit_ex)(s->ctx, cipher(), NULL, key, iv);
  ASSERT(ok == 1);
  SIDE(s->ours, EVP_CIPHER_CTX_set_padding)(s->ctx, 0); /* as libtpms does */
}


static void stream_go(stream_t* s, const uint8_t* in, size_t size) {
  s->size = 0;
  s->status = s->encrypts ? SIDE(s->ours, EVP_EncryptUpdate)(
                                s->ctx, s->out, &s->size, in, (int) size)
                          : SIDE(s->ours, EVP_DecryptUpdate)(
                                s->ctx, s->out, &s->size, in, (int) size);
}


static void stream_end(stream_t* s) {
  s->size = 0;
  s->status = s->encrypts
                  ? SIDE(s->ours, EVP_EncryptFinal_ex)(s->ctx, s->out, &s->size)
                  : SIDE(s->ours, EVP_DecryptFinal)(s->ctx, s->out, &s->size);
  SIDE(s->ours, EVP_CIPHER_CTX_free)(s->ctx);
}


static void same_stream(const stream_t* s) {
  assert_int_equal(s[0].status, s[1].status);
  if (s[0].status != 1)
    return;
  assert_int_equal(s[0].size, s[1].size);
  assert_memory_equal(s[0].out, s[1].out, (size_t) s[0].size);
}


static void run_stream(input_t* in) {
  uint8_t how = take(in);
  uint8_t which = take(in);
  uint8_t key[32] = {0};
  uint8_t iv[16] = {0};
  uint8_t piece[255];
  stream_t s[2] = {{.ours = false, .encrypts = (how & 1) != 0},
                   {.ours = true, .encrypts = (how & 1) != 0}};

  (void) take_bytes(in, key, sizeof(key));
  (void) take_bytes(in, iv, sizeof(iv));
  for (int i = 0; i < 2; i++)
    stream_begin(&s[i], which % ARRAY_SIZE(our_ciphers), key, iv);
  for (int turn = 0; turn < 8 && in->left > 0; turn++) {
    size_t size = take_bytes(in, piece, sizeof(piece));
    for (int i = 0; i < 2; i++)
      stream_go(&s[i], piece, size);
    same_stream(s);
  }
  for (int i = 0; i < 2; i++)
    stream_end(&s[i]);
  same_stream(s);
}


/* ---- Padded blocks ---- */

static EVP_PKEY* keys[2]; /* theirs, ours */

static BIGNUM* to_theirs(const BIGNUM* a) {
  uint8_t bytes[KEY_SIZE];

  return PEER(BN_bin2bn)(bytes, BN_bn2bin(a, bytes), NULL);
}


static void make_keys(void) {
  if (keys[0] != NULL)
    return;
  RSA* rsa = RSA_new();
  RSA* theirs = PEER(RSA_new)();
  BIGNUM* e = BN_new();

  peer_seed(3); /* the same key in each run */
  ASSERT(BN_set_word(e, 65537) == 1);
  ASSERT(RSA_generate_key_ex(rsa, KEY_SIZE * 8, e, NULL) == 1);
  ASSERT(PEER(RSA_set0_key)(theirs, to_theirs(rsa->n), to_theirs(rsa->e),
                            to_theirs(rsa->d)) == 1);
  keys[0] = PEER(EVP_PKEY_new)();
  keys[1] = EVP_PKEY_new();
  ASSERT(PEER(EVP_PKEY_assign)(keys[0], EVP_PKEY_RSA, theirs) == 1);
  ASSERT(EVP_PKEY_assign(keys[1], EVP_PKEY_RSA, rsa) == 1);
  BN_free(e);
}


/* The key's operation on a block, either way. Returns whether there was one;
 * *size is the room there is, and what was used. */
static bool cipher_block(bool ours,
                         bool decrypts,
                         int padding,
                         const uint8_t* in,
                         uint8_t* out,
                         size_t* size) {
  EVP_PKEY_CTX* ctx = SIDE(ours, EVP_PKEY_CTX_new)(keys[ours], NULL);
  size_t in_size = *size;

  *size = KEY_SIZE;
  int ok = decrypts ? SIDE(ours, EVP_PKEY_decrypt_init)(ctx)
                    : SIDE(ours, EVP_PKEY_encrypt_init)(ctx);
  ASSERT(ok == 1);
  ASSERT(SIDE(ours, EVP_PKEY_CTX_set_rsa_padding)(ctx, padding) == 1);
  if (padding == RSA_PKCS1_OAEP_PADDING)
    ASSERT(SIDE(ours, EVP_PKEY_CTX_set_rsa_oaep_md)(
               ctx, SIDE(ours, EVP_get_digestbyname)("sha1")) == 1);
  ok = decrypts ? SIDE(ours, EVP_PKEY_decrypt)(ctx, out, size, in, in_size)
                : SIDE(ours, EVP_PKEY_encrypt)(ctx, out, size, in, in_size);
  SIDE(ours, EVP_PKEY_CTX_free)(ctx);
  return ok == 1;
}


static EVP_PKEY_CTX* signer(bool ours, bool verifies, int padding) {
  EVP_PKEY_CTX* ctx = SIDE(ours, EVP_PKEY_CTX_new)(keys[ours], NULL);
  int ok = verifies ? SIDE(ours, EVP_PKEY_verify_init)(ctx)
                    : SIDE(ours, EVP_PKEY_sign_init)(ctx);

  ASSERT(ok == 1);
  ASSERT(SIDE(ours, EVP_PKEY_CTX_set_rsa_padding)(ctx, padding) == 1);
  ASSERT(SIDE(ours, EVP_PKEY_CTX_set_signature_md)(
             ctx, SIDE(ours, EVP_get_digestbyname)("sha256")) == 1);
  if (padding == RSA_PKCS1_PSS_PADDING)
    ASSERT(SIDE(ours, EVP_PKEY_CTX_set_rsa_pss_saltlen)(
               ctx, RSA_PSS_SALTLEN_AUTO) == 1);
  return ctx;
}


static bool verify(bool ours,
                   int padding,
                   const uint8_t* sig,
                   const uint8_t* digest) {
  EVP_PKEY_CTX* ctx = signer(ours, true, padding);
  int ok = SIDE(ours, EVP_PKEY_verify)(ctx, sig, KEY_SIZE, digest, DIGEST_SIZE);

  SIDE(ours, EVP_PKEY_CTX_free)(ctx);
  return ok == 1;
}


/* Patches to an encoded message: u8 where, u8 the bits to change. */
static void patch(input_t* in, uint8_t* em) {
  for (int i = 0; i < 32 && in->left >= 2; i++) {
    uint8_t where = take(in);
    uint8_t bits = take(in);
    em[where % KEY_SIZE] ^= bits;
  }
}


/* Undo the key's operation on a good block, patch, and do it again. */
static bool respoil(input_t* in, bool is_signature, uint8_t* block) {
  uint8_t em[KEY_SIZE];
  size_t size = KEY_SIZE;

  ASSERT(cipher_block(true, !is_signature, RSA_NO_PADDING, block, em, &size));
  patch(in, em);
  size = KEY_SIZE;
  return cipher_block(true, is_signature, RSA_NO_PADDING, em, block, &size);
}


static void run_signature(input_t* in, int padding) {
  uint8_t digest[DIGEST_SIZE] = {0};
  uint8_t sig[KEY_SIZE];
  size_t size = KEY_SIZE;
  EVP_PKEY_CTX* ctx = signer(true, false, padding);

  (void) take_bytes(in, digest, sizeof(digest));
  if (padding == RSA_PKCS1_PSS_PADDING)
    ASSERT(EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1);
  ASSERT(EVP_PKEY_sign(ctx, sig, &size, digest, DIGEST_SIZE) == 1);
  EVP_PKEY_CTX_free(ctx);
  bool is_good = in->left < 2;
  if (!respoil(in, true, sig))
    return; /* not below the modulus */
  bool ours = verify(true, padding, sig, digest);
  assert_int_equal(ours, verify(false, padding, sig, digest));
  ASSERT(ours || !is_good);
}


static void run_message(input_t* in, int padding) {
  uint8_t message[64] = {0};
  uint8_t block[KEY_SIZE];
  uint8_t out[2][KEY_SIZE];
  size_t size[2];
  bool ok[2];

  size[0] = take_bytes(in, message, sizeof(message));
  ASSERT(cipher_block(true, false, padding, message, block, &size[0]));
  if (!respoil(in, false, block))
    return;
  for (int ours = 0; ours < 2; ours++) {
    size[ours] = KEY_SIZE;
    ok[ours] = cipher_block(ours, true, padding, block, out[ours], &size[ours]);
  }
  assert_int_equal(ok[0], ok[1]);
  if (!ok[1])
    return;
  assert_int_equal(size[0], size[1]);
  assert_memory_equal(out[0], out[1], size[0]);
}


static void run_block(input_t* in) {
  uint8_t how = take(in);

  make_keys();
  peer_seed(how); /* paddings and salts: the same in each run */
  if (how % 4 == 0)
    run_signature(in, RSA_PKCS1_PADDING);
  else if (how % 4 == 1)
    run_signature(in, RSA_PKCS1_PSS_PADDING);
  else
    run_message(in, how % 4 == 2 ? RSA_PKCS1_PADDING : RSA_PKCS1_OAEP_PADDING);
}


int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  input_t in = {.at = data, .left = size};
  uint8_t what = take(&in) % WHAT_COUNT;

  if (what == WHAT_BLOCK)
    make_keys(); /* whose blocks stay */
  size_t before = peer_blocks();
  if (what == WHAT_NUMBER)
    run_number(&in);
  else if (what == WHAT_POINT)
    run_point(&in);
  else if (what == WHAT_STREAM)
    run_stream(&in);
  else
    run_block(&in);
  assert_int_equal(before, peer_blocks());
  return 0;
}

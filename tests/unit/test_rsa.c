/*
 * tests/unit/test_rsa.c - RSA_* and EVP_PKEY_* of crypto/libcrypto/, against
 * OpenSSL.
 *
 * Goal:   what one side signs or encrypts the other verifies or decrypts, and
 *         whatever OpenSSL refuses is refused: wrong lengths, wrong paddings,
 *         damaged blocks, numbers above the modulus, even moduli.
 * Method: the same key on both sides, each scheme and hash in both directions,
 *         and damaged inputs judged by both. Blocks with wrong paddings are
 *         made by encrypting them raw.
 */
#include "tests/unit/peer.h"

#include "crypto/libcrypto/asym.h"
#include "crypto/libcrypto/libc.h"

#define SIZE_MAX_BYTES 512u

static const char* const hashes[] = {"sha1", "sha256", "sha384", "sha512"};

/* One key on both sides. libtpms gives n, e and d, and no primes. */
typedef struct {
  EVP_PKEY* ours;
  EVP_PKEY* theirs;
  size_t size;
} pair_t;

static BIGNUM* to_theirs(const BIGNUM* a) {
  uint8_t bytes[2 * SIZE_MAX_BYTES];

  return PEER(BN_bin2bn)(bytes, BN_bn2bin(a, bytes), NULL);
}


/* The key pair from our RSA object, which is given away. */
static pair_t pair_of(RSA* rsa) {
  pair_t pair = {.ours = EVP_PKEY_new(),
                 .theirs = PEER(EVP_PKEY_new)(),
                 .size = rsa_size(rsa)};
  RSA* theirs = PEER(RSA_new)();

  assert_int_equal(
      PEER(RSA_set0_key)(theirs, to_theirs(rsa->n), to_theirs(rsa->e),
                         rsa->d != NULL ? to_theirs(rsa->d) : NULL),
      1);
  assert_int_equal(EVP_PKEY_assign(pair.ours, EVP_PKEY_RSA, rsa), 1);
  assert_int_equal(PEER(EVP_PKEY_assign)(pair.theirs, EVP_PKEY_RSA, theirs), 1);
  return pair;
}


static pair_t pair_new(int bits, BN_ULONG exponent) {
  RSA* rsa = RSA_new();
  BIGNUM* e = BN_new();

  assert_int_equal(BN_set_word(e, exponent), 1);
  assert_int_equal(RSA_generate_key_ex(rsa, bits, e, NULL), 1);
  assert_int_equal(BN_num_bits(rsa->n), bits);
  BN_free(e);
  return pair_of(rsa);
}


static void pair_free(pair_t pair) {
  EVP_PKEY_free(pair.ours);
  PEER(EVP_PKEY_free)(pair.theirs);
}


/* How to use a key. `ours` says which side. */
typedef struct {
  int padding;
  const char* md; /* NULL: none */
  int salt_size;
  bool salted; /* say the salt's size */
  const char* label;
} scheme_t;

/* One of the two sides' functions, as an expression. */
#define SIDE(ours, name) ((ours) ? (&name) : PEER(name))

static EVP_PKEY_CTX* signer(const pair_t* pair,
                            bool ours,
                            const scheme_t* scheme,
                            bool verify) {
  EVP_PKEY_CTX* ctx =
      SIDE(ours, EVP_PKEY_CTX_new)(ours ? pair->ours : pair->theirs, NULL);
  const EVP_MD* md =
      scheme->md != NULL ? SIDE(ours, EVP_get_digestbyname)(scheme->md) : NULL;

  assert_non_null(ctx);
  assert_int_equal(verify ? SIDE(ours, EVP_PKEY_verify_init)(ctx)
                          : SIDE(ours, EVP_PKEY_sign_init)(ctx),
                   1);
  assert_int_equal(
      SIDE(ours, EVP_PKEY_CTX_set_rsa_padding)(ctx, scheme->padding), 1);
  if (md != NULL)
    assert_int_equal(SIDE(ours, EVP_PKEY_CTX_set_signature_md)(ctx, md), 1);
  if (scheme->salted)
    assert_int_equal(
        SIDE(ours, EVP_PKEY_CTX_set_rsa_pss_saltlen)(ctx, scheme->salt_size),
        1);
  return ctx;
}


static int sign(const pair_t* pair,
                bool ours,
                const scheme_t* scheme,
                uint8_t* sig,
                const uint8_t* digest,
                size_t digest_size) {
  EVP_PKEY_CTX* ctx = signer(pair, ours, scheme, false);
  size_t size = SIZE_MAX_BYTES;
  int ok = SIDE(ours, EVP_PKEY_sign)(ctx, sig, &size, digest, digest_size);

  if (ok == 1)
    assert_int_equal(size, pair->size);
  SIDE(ours, EVP_PKEY_CTX_free)(ctx);
  return ok;
}


/* Both sides' verdict, which is the same. */
static bool verifies_sized(const pair_t* pair,
                           const scheme_t* scheme,
                           const uint8_t* sig,
                           size_t sig_size,
                           const uint8_t* digest,
                           size_t digest_size) {
  bool verdict[2];

  for (int ours = 0; ours < 2; ours++) {
    EVP_PKEY_CTX* ctx = signer(pair, ours, scheme, true);

    verdict[ours] = SIDE(ours, EVP_PKEY_verify)(ctx, sig, sig_size, digest,
                                                digest_size) == 1;
    SIDE(ours, EVP_PKEY_CTX_free)(ctx);
  }
  assert_int_equal(verdict[0], verdict[1]);
  return verdict[1];
}


static bool verifies(const pair_t* pair,
                     const scheme_t* scheme,
                     const uint8_t* sig,
                     const uint8_t* digest,
                     size_t digest_size) {
  return verifies_sized(pair, scheme, sig, pair->size, digest, digest_size);
}


static size_t digest_size(const char* md) {
  return (size_t) EVP_MD_get_size(EVP_get_digestbyname(md));
}


static void signature_crosses(const pair_t* pair, const scheme_t* scheme) {
  uint8_t sig[SIZE_MAX_BYTES];
  uint8_t digest[MD_SIZE_MAX];
  size_t size = digest_size(scheme->md);

  for (int ours = 0; ours < 2; ours++) {
    peer_bytes(digest, size);
    int ok = sign(pair, ours, scheme, sig, digest, size);
    if (ok <= 0) { /* then the other side can't either */
      assert_true(sign(pair, !ours, scheme, sig, digest, size) <= 0);
      continue;
    }

    assert_true(verifies(pair, scheme, sig, digest, size));
    digest[size - 1] ^= 1;
    assert_false(verifies(pair, scheme, sig, digest, size));
    digest[size - 1] ^= 1;
    sig[pair->size / 2] ^= 1;
    assert_false(verifies(pair, scheme, sig, digest, size));
  }
}


static void signatures_cross_with(const pair_t* pair) {
  for (size_t i = 0; i < ARRAY_SIZE(hashes); i++) {
    scheme_t pkcs1 = {.padding = RSA_PKCS1_PADDING, .md = hashes[i]};
    scheme_t pss = {.padding = RSA_PKCS1_PSS_PADDING, .md = hashes[i]};
    static const int salts[] = {RSA_PSS_SALTLEN_DIGEST,
                                RSA_PSS_SALTLEN_AUTO,
                                RSA_PSS_SALTLEN_MAX,
                                0,
                                1,
                                17};

    signature_crosses(pair, &pkcs1);
    signature_crosses(pair, &pss);
    for (size_t k = 0; k < ARRAY_SIZE(salts); k++) {
      pss.salted = true;
      pss.salt_size = salts[k];
      signature_crosses(pair, &pss);
    }
  }
}


/* Odd sizes, where PSS blocks have fewer bits than bytes; and 520 bits, where
 * long hashes do not fit. */
static void signatures_cross(void** state) {
  (void) state;
  static const int sizes[] = {520, 1018, 1024, 1026, 1042};

  for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
    pair_t pair = pair_new(sizes[i], i % 2 == 0 ? 65537 : 3);

    signatures_cross_with(&pair);
    pair_free(pair);
  }
}


/* A signature that says another salt's size than is asked for. */
static void salt_sizes_are_judged_alike(void** state) {
  (void) state;
  pair_t pair = pair_new(1024, 65537);
  uint8_t sig[SIZE_MAX_BYTES];
  uint8_t digest[32] = {3};

  for (int made = -3; made < 40; made += 6) {
    scheme_t by = {RSA_PKCS1_PSS_PADDING, "sha256", made, true, NULL};

    assert_int_equal(sign(&pair, true, &by, sig, digest, 32), 1);
    for (int asked = -3; asked < 40; asked += 6) {
      scheme_t with = {RSA_PKCS1_PSS_PADDING, "sha256", asked, true, NULL};

      (void) verifies(&pair, &with, sig, digest, 32);
    }
  }
  pair_free(pair);
}


/* A signature whose first byte is 0 is the same number without it; one with a
 * 0 before it is too, and one that lost its last byte is another. */
static void signature_sizes_are_judged_alike(void** state) {
  (void) state;
  pair_t pair = pair_new(520, 65537);
  static const int paddings[] = {RSA_PKCS1_PADDING, RSA_PKCS1_PSS_PADDING};

  for (size_t i = 0; i < ARRAY_SIZE(paddings); i++) {
    scheme_t scheme = {.padding = paddings[i], .md = "sha1"};
    uint8_t sig[1 + SIZE_MAX_BYTES] = {0};
    uint8_t digest[20] = {0};

    do { /* 256 turns are expected */
      peer_bytes(digest, sizeof(digest));
      assert_int_equal(sign(&pair, true, &scheme, sig + 1, digest, 20), 1);
    } while (sig[1] != 0);
    for (size_t cut = 0; cut < 3; cut++) {
      for (size_t end = pair.size - 1; end <= pair.size + 2; end++)
        (void) verifies_sized(&pair, &scheme, sig + cut, end - cut, digest, 20);
    }
    (void) verifies_sized(&pair, &scheme, sig, 0, digest, 20);
  }
  pair_free(pair);
}


static EVP_PKEY_CTX* cipherer(const pair_t* pair,
                              bool ours,
                              const scheme_t* scheme,
                              bool decrypt) {
  EVP_PKEY_CTX* ctx =
      SIDE(ours, EVP_PKEY_CTX_new)(ours ? pair->ours : pair->theirs, NULL);

  assert_non_null(ctx);
  assert_int_equal(decrypt ? SIDE(ours, EVP_PKEY_decrypt_init)(ctx)
                           : SIDE(ours, EVP_PKEY_encrypt_init)(ctx),
                   1);
  assert_int_equal(
      SIDE(ours, EVP_PKEY_CTX_set_rsa_padding)(ctx, scheme->padding), 1);
  if (scheme->md != NULL)
    assert_int_equal(SIDE(ours, EVP_PKEY_CTX_set_rsa_oaep_md)(
                         ctx, SIDE(ours, EVP_get_digestbyname)(scheme->md)),
                     1);
  if (scheme->label != NULL) {
    size_t size = strlen(scheme->label) + 1; /* a TPM's has its final zero */
    void* label = ours ? libc_malloc(size) : malloc(size);

    memcpy(label, scheme->label, size);
    assert_int_equal(
        SIDE(ours, EVP_PKEY_CTX_set0_rsa_oaep_label)(ctx, label, (int) size),
        1);
  }
  return ctx;
}


static int encrypt(const pair_t* pair,
                   bool ours,
                   const scheme_t* scheme,
                   uint8_t* block,
                   const uint8_t* message,
                   size_t message_size) {
  EVP_PKEY_CTX* ctx = cipherer(pair, ours, scheme, false);
  size_t size = SIZE_MAX_BYTES;
  int ok =
      SIDE(ours, EVP_PKEY_encrypt)(ctx, block, &size, message, message_size);

  if (ok == 1)
    assert_int_equal(size, pair->size);
  SIDE(ours, EVP_PKEY_CTX_free)(ctx);
  return ok == 1;
}


/* Both sides find the same message, or neither finds one. */
static bool decrypts(const pair_t* pair,
                     const scheme_t* scheme,
                     const uint8_t* block,
                     size_t block_size,
                     uint8_t* message,
                     size_t* message_size) {
  uint8_t out[2][SIZE_MAX_BYTES];
  size_t size[2];
  bool ok[2];

  for (int ours = 0; ours < 2; ours++) {
    EVP_PKEY_CTX* ctx = cipherer(pair, ours, scheme, true);

    size[ours] = SIZE_MAX_BYTES;
    ok[ours] = SIDE(ours, EVP_PKEY_decrypt)(ctx, out[ours], &size[ours], block,
                                            block_size) == 1;
    SIDE(ours, EVP_PKEY_CTX_free)(ctx);
  }
  assert_int_equal(ok[0], ok[1]);
  if (!ok[1])
    return false;
  assert_int_equal(size[0], size[1]);
  assert_memory_equal(out[0], out[1], size[0]);
  memcpy(message, out[1], size[1]);
  *message_size = size[1];
  return true;
}


static void message_crosses(const pair_t* pair,
                            const scheme_t* scheme,
                            size_t size) {
  uint8_t message[SIZE_MAX_BYTES], block[SIZE_MAX_BYTES], out[SIZE_MAX_BYTES];
  size_t out_size;

  peer_bytes(message, size);
  for (int ours = 0; ours < 2; ours++) {
    bool ok = encrypt(pair, ours, scheme, block, message, size);

    assert_int_equal(ok, encrypt(pair, !ours, scheme, block, message, size));
    if (!ok)
      continue;
    assert_true(decrypts(pair, scheme, block, pair->size, out, &out_size));
    assert_int_equal(out_size, size);
    assert_memory_equal(out, message, size);

    block[pair->size - 1] ^= 1; /* damaged */
    (void) decrypts(pair, scheme, block, pair->size, out, &out_size);
  }
}


static void messages_cross(void** state) {
  (void) state;
  static const int sizes[] = {520, 1024, 1026};

  for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
    pair_t pair = pair_new(sizes[i], i % 2 == 0 ? 65537 : 3);

    for (size_t size = 0; size <= pair.size + 1; size += 1 + size / 2) {
      scheme_t scheme = {.padding = RSA_PKCS1_PADDING};

      message_crosses(&pair, &scheme, size);
      for (size_t k = 0; k < ARRAY_SIZE(hashes); k++) {
        scheme_t oaep = {.padding = RSA_PKCS1_OAEP_PADDING, .md = hashes[k]};

        message_crosses(&pair, &oaep, size);
        oaep.label = "DUPLICATE";
        message_crosses(&pair, &oaep, size);
      }
    }
    pair_free(pair);
  }
}


/* The longest messages: one byte more is refused. */
static void the_longest_messages_fit(void** state) {
  (void) state;
  pair_t pair = pair_new(1024, 65537);

  for (size_t size = 128 - 11 - 2; size <= 128 - 11 + 2; size++)
    message_crosses(&pair, &(scheme_t){.padding = RSA_PKCS1_PADDING}, size);
  for (size_t k = 0; k < ARRAY_SIZE(hashes); k++) {
    scheme_t oaep = {.padding = RSA_PKCS1_OAEP_PADDING, .md = hashes[k]};
    size_t overhead = 2 * digest_size(hashes[k]) + 2;

    for (size_t size = 0; size < 130; size++) {
      if (size + overhead > 126 && size + overhead < 131)
        message_crosses(&pair, &oaep, size);
    }
  }
  pair_free(pair);
}


/* Raw blocks: 0, 1, n - 1, n, above n, and the wrong sizes. */
static void raw_blocks_are_judged_alike(void** state) {
  (void) state;
  pair_t pair = pair_new(1024, 65537);
  scheme_t raw = {.padding = RSA_NO_PADDING};
  uint8_t block[SIZE_MAX_BYTES] = {0}, out[2][SIZE_MAX_BYTES];
  uint8_t n[SIZE_MAX_BYTES];
  size_t size;

  RSA* rsa = EVP_PKEY_get1_RSA(pair.ours);
  (void) BN_bn2bin(rsa->n, n);
  RSA_free(rsa);
  for (int i = 0; i < 40; i++) {
    memcpy(block, n, sizeof(block));
    if (i < 4)
      block[127] = (uint8_t) (block[127] + i - 2);
    else if (i < 8)
      memset(block, i == 4 ? 0 : 0xff, 128);
    else
      peer_bytes(block, 128);
    if (i == 8)
      memset(block, 0, 127);

    bool ok = encrypt(&pair, true, &raw, out[0], block, 128);
    assert_int_equal(ok, encrypt(&pair, false, &raw, out[1], block, 128));
    if (ok)
      assert_memory_equal(out[0], out[1], 128);
    (void) decrypts(&pair, &raw, block, 128, out[0], &size);
    (void) decrypts(&pair, &raw, block, 127, out[0], &size);
    (void) decrypts(&pair, &raw, block, 0, out[0], &size);
    (void) decrypts(&pair, &raw, block, 129, out[0], &size);
    assert_int_equal(encrypt(&pair, true, &raw, out[0], block, 127),
                     encrypt(&pair, false, &raw, out[1], block, 127));
  }
  pair_free(pair);
}


/* Type 2 blocks that are wrong in each place. */
static void wrong_paddings_are_judged_alike(void** state) {
  (void) state;
  pair_t pair = pair_new(1024, 65537);
  scheme_t raw = {.padding = RSA_NO_PADDING};
  scheme_t schemes[] = {
      {.padding = RSA_PKCS1_PADDING},
      {.padding = RSA_PKCS1_OAEP_PADDING, .md = "sha1"},
      {.padding = RSA_PKCS1_OAEP_PADDING, .md = "sha256", .label = "x"},
  };
  uint8_t em[SIZE_MAX_BYTES], block[SIZE_MAX_BYTES], out[SIZE_MAX_BYTES];
  size_t size;
  int good = 0;

  for (size_t at = 0; at < 128; at++) {
    memset(em, 0x55, sizeof(em));
    em[0] = at == 126 ? 1 : 0;
    em[1] = at == 127 ? 1 : 2;
    if (at >= 2)
      em[at] = 0; /* where the filling ends */
    assert_true(encrypt(&pair, true, &raw, block, em, 128));
    good += decrypts(&pair, &schemes[0], block, 128, out, &size);
    for (int i = 1; i < 3; i++)
      (void) decrypts(&pair, &schemes[i], block, 128, out, &size);
  }
  assert_int_equal(good, 128 - 10 - 2);

  /* OAEP blocks with one bit changed, inside. */
  rsa_oaep_t oaep = {.md = EVP_get_digestbyname("sha1")};
  for (size_t at = 0; at < 128; at++) {
    assert_true(rsa_pad_oaep(em, 128, &oaep, block, 5));
    em[at] ^= at == 0 ? 1 : 0x10;
    assert_true(encrypt(&pair, true, &raw, block, em, 128));
    assert_false(decrypts(&pair, &schemes[1], block, 128, out, &size));
  }
  pair_free(pair);
}


/* Keys that no one should have: a guest may load such moduli. */
static void strange_keys_are_judged_alike(void** state) {
  (void) state;
  static const char* const moduli[] = {
      "1", "2", "3", "10001", "10003", "ff", "fffffffffffffffe"};
  static const char* const exponents[] = {"0", "1", "2", "3", "10001"};

  for (size_t i = 0; i < ARRAY_SIZE(moduli) + 4; i++) {
    for (size_t k = 0; k < ARRAY_SIZE(exponents); k++) {
      uint8_t bytes[128], out[2][SIZE_MAX_BYTES];
      RSA* rsa = RSA_new();
      scheme_t raw = {.padding = RSA_NO_PADDING};
      scheme_t pkcs1 = {.padding = RSA_PKCS1_PADDING, .md = "sha256"};
      scheme_t pss = {.padding = RSA_PKCS1_PSS_PADDING, .md = "sha256"};

      for (size_t j = 0; j < sizeof(bytes); j++)
        bytes[j] = (uint8_t) peer_random();
      bytes[0] |= 0x80;
      bytes[127] = (uint8_t) ((bytes[127] & 0xfe) | (i & 1)); /* half: even */
      peer_number_t n = i < ARRAY_SIZE(moduli) ? peer_number_hex(moduli[i])
                                               : peer_number(bytes, 128);
      peer_number_t e = peer_number_hex(exponents[k]);
      assert_int_equal(RSA_set0_key(rsa, n.ours, e.ours, NULL), 1);
      PEER(BN_free)(n.theirs);
      PEER(BN_free)(e.theirs);
      pair_t pair = pair_of(rsa);

      memset(bytes, 0, sizeof(bytes));
      bytes[pair.size - 1] = 1;
      bool ok = encrypt(&pair, true, &raw, out[0], bytes, pair.size);
      assert_int_equal(ok,
                       encrypt(&pair, false, &raw, out[1], bytes, pair.size));
      if (ok)
        assert_memory_equal(out[0], out[1], pair.size);
      assert_false(verifies(&pair, &pkcs1, bytes, bytes, 32));
      assert_false(verifies(&pair, &pss, bytes, bytes, 32));
      pair_free(pair);
    }
  }
}


static void sizes_and_states_are_checked(void** state) {
  (void) state;
  pair_t pair = pair_new(1024, 65537);
  uint8_t sig[128], digest[64] = {0};
  scheme_t pkcs1 = {.padding = RSA_PKCS1_PADDING, .md = "sha256"};
  EVP_PKEY_CTX* ctx = signer(&pair, true, &pkcs1, false);
  size_t size = 127;

  assert_true(EVP_PKEY_sign(ctx, sig, &size, digest, 32) <= 0);
  assert_int_equal(EVP_PKEY_sign(ctx, NULL, &size, digest, 32), 1);
  assert_int_equal(size, 128);
  assert_true(EVP_PKEY_sign(ctx, sig, &size, digest, 31) <= 0);
  assert_true(EVP_PKEY_sign(ctx, sig, &size, digest, 33) <= 0);
  assert_true(EVP_PKEY_verify(ctx, sig, 128, digest, 32) <= 0);
  assert_true(EVP_PKEY_decrypt(ctx, sig, &size, digest, 32) <= 0);
  assert_true(EVP_PKEY_CTX_set_rsa_oaep_md(ctx, NULL) <= 0);
  assert_true(EVP_PKEY_CTX_set_rsa_padding(ctx, 4) <= 0);
  assert_true(EVP_PKEY_CTX_set_rsa_padding(ctx, 5) <= 0);
  EVP_PKEY_CTX_free(ctx);
  pair_free(pair);

  assert_null(EVP_get_digestbyname("sha3-256"));
  assert_null(EVP_get_digestbyname("sha"));
  assert_null(EVP_get_digestbyname("sha2567"));
  assert_non_null(EVP_get_digestbyname("SHA256"));
  assert_null(EVP_PKEY_CTX_new(NULL, NULL));
  RSA_free(NULL);
  EVP_PKEY_free(NULL);
  EVP_PKEY_CTX_free(NULL);
}


static int their_is_prime(const BIGNUM* a) {
  BIGNUM* theirs = to_theirs(a);
  peer_function_t f = peer_function("BN_check_prime");
  int verdict =
      ((int (*)(const BIGNUM*, BN_CTX*, BN_GENCB*)) f)(theirs, NULL, NULL);

  PEER(BN_free)(theirs);
  return verdict;
}


static void generated_keys_are_of_primes(void** state) {
  (void) state;
  static const int sizes[] = {512, 1024, 1024, 2048};

  for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
    RSA* rsa = RSA_new();
    BIGNUM* e = BN_new();
    BIGNUM* product = BN_new();
    const BIGNUM *p, *q, *n;

    assert_int_equal(BN_set_word(e, i % 2 == 0 ? 65537 : 3), 1);
    assert_int_equal(RSA_generate_key_ex(rsa, sizes[i], e, NULL), 1);
    RSA_get0_factors(rsa, &p, &q);
    RSA_get0_key(rsa, &n, NULL, NULL);
    assert_int_equal(BN_num_bits(n), sizes[i]);
    assert_int_equal(BN_num_bits(p), sizes[i] / 2);
    assert_int_equal(BN_num_bits(q), sizes[i] / 2);
    assert_int_equal(their_is_prime(p), 1);
    assert_int_equal(their_is_prime(q), 1);
    assert_int_equal(BN_mul(product, p, q, NULL), 1);
    assert_int_equal(BN_cmp(product, n), 0);
    BN_free(product);
    BN_free(e);
    RSA_free(rsa);
  }
}


static void keys_that_cannot_be_made_are_refused(void** state) {
  (void) state;
  RSA* rsa = RSA_new();
  BIGNUM* e = BN_new();

  assert_int_equal(BN_set_word(e, 65537), 1);
  assert_int_equal(RSA_generate_key_ex(rsa, 510, e, NULL), 0);
  assert_int_equal(RSA_generate_key_ex(rsa, 1023, e, NULL), 0);
  assert_int_equal(RSA_generate_key_ex(rsa, 4098, e, NULL), 0);
  static const BN_ULONG words[] = {0, 1, 2, 65536};
  for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
    assert_int_equal(BN_set_word(e, words[i]), 1);
    assert_int_equal(RSA_generate_key_ex(rsa, 1024, e, NULL), 0);
  }
  BN_free(e);
  RSA_free(rsa);
}


static void nothing_is_left_behind(void** state) {
  (void) state;
  assert_int_equal(peer_blocks(), 0);
  assert_int_equal(libcrypto_scratch()->used, 0);
}


int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(signatures_cross),
      cmocka_unit_test(salt_sizes_are_judged_alike),
      cmocka_unit_test(signature_sizes_are_judged_alike),
      cmocka_unit_test(messages_cross),
      cmocka_unit_test(the_longest_messages_fit),
      cmocka_unit_test(raw_blocks_are_judged_alike),
      cmocka_unit_test(wrong_paddings_are_judged_alike),
      cmocka_unit_test(strange_keys_are_judged_alike),
      cmocka_unit_test(sizes_and_states_are_checked),
      cmocka_unit_test(generated_keys_are_of_primes),
      cmocka_unit_test(keys_that_cannot_be_made_are_refused),
      cmocka_unit_test(nothing_is_left_behind),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}

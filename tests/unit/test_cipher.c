/*
 * tests/unit/test_cipher.c - block ciphers and their modes in
 * crypto/libcrypto/.
 *
 * Goal:   AES, Camellia and triple DES give the standards' answers in every
 *         mode, however the input is cut, and leave the IV that OpenSSL would
 *         leave, since libtpms gives it back to its caller.
 * Method: known answers of SP 800-38A, FIPS 197, RFC 3713 and SP 800-67, fed
 *         whole, byte by byte and cut at each byte, encrypting and decrypting,
 *         by the processor's AES and by the portable one; then all 35 ciphers
 *         beside OpenSSL, with random keys, IVs and pieces.
 */
#include "tests/unit/peer.h"

#include "crypto/libcrypto/camellia.c" /* for its S-box */
#include "crypto/libcrypto/block.h"

typedef const EVP_CIPHER* (*cipher_t)(void);

static size_t unhex(uint8_t* out, const char* hex) {
  size_t size = strlen(hex) / 2;

  for (size_t i = 0; i < size; i++) {
    unsigned byte = 0;
    assert_int_equal(1, sscanf(hex + 2 * i, "%2x", &byte));
    out[i] = (uint8_t) byte;
  }
  return size;
}

/* ---- SP 800-38A, appendix F ---- */

static const char* const keys[3] = {
    "2b7e151628aed2a6abf7158809cf4f3c",
    "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
    "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"};

static const char plain_hex[] =
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";

static const struct {
  cipher_t cipher;
  int key;
  const char* text;
} known[] = {
    {EVP_aes_128_ecb, 0,
     "3ad77bb40d7a3660a89ecaf32466ef97f5d3d58503b9699de785895a96fdbaaf"
     "43b1cd7f598ece23881b00e3ed0306887b0c785e27e8ad3f8223207104725dd4"},
    {EVP_aes_192_ecb, 1,
     "bd334f1d6e45f25ff712a214571fa5cc974104846d0ad3ad7734ecb3ecee4eef"
     "ef7afd2270e2e60adce0ba2face6444e9a4b41ba738d6c72fb16691603c18e0e"},
    {EVP_aes_256_ecb, 2,
     "f3eed1bdb5d2a03c064b5a7e3db181f8591ccb10d410ed26dc5ba74a31362870"
     "b6ed21b99ca6f4f9f153e7b1beafed1d23304b7a39f9f3ff067d8d8f9e24ecc7"},
    {EVP_aes_128_cbc, 0,
     "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2"
     "73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7"},
    {EVP_aes_192_cbc, 1,
     "4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a"
     "571b242012fb7ae07fa9baac3df102e008b0e27988598881d920a9e64f5615cd"},
    {EVP_aes_256_cbc, 2,
     "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"
     "39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b"},
    {EVP_aes_128_cfb128, 0,
     "3b3fd92eb72dad20333449f8e83cfb4ac8a64537a0b3a93fcde3cdad9f1ce58b"
     "26751f67a3cbb140b1808cf187a4f4dfc04b05357c5d1c0eeac4c66f9ff7f2e6"},
    {EVP_aes_192_cfb128, 1,
     "cdc80d6fddf18cab34c25909c99a417467ce7f7f81173621961a2b70171d3d7a"
     "2e1e8a1dd59b88b1c8e60fed1efac4c9c05f9f9ca9834fa042ae8fba584b09ff"},
    {EVP_aes_256_cfb128, 2,
     "dc7e84bfda79164b7ecd8486985d386039ffed143b28b1c832113c6331e5407b"
     "df10132415e54b92a13ed0a8267ae2f975a385741ab9cef82031623d55b1e471"},
    {EVP_aes_128_ofb, 0,
     "3b3fd92eb72dad20333449f8e83cfb4a7789508d16918f03f53c52dac54ed825"
     "9740051e9c5fecf64344f7a82260edcc304c6528f659c77866a510d9c1d6ae5e"},
    {EVP_aes_192_ofb, 1,
     "cdc80d6fddf18cab34c25909c99a4174fcc28b8d4c63837c09e81700c1100401"
     "8d9a9aeac0f6596f559c6d4daf59a5f26d9f200857ca6c3e9cac524bd9acc92a"},
    {EVP_aes_256_ofb, 2,
     "dc7e84bfda79164b7ecd8486985d38604febdc6740d20b3ac88f6ad82a4fb08d"
     "71ab47a086e86eedf39d1c5bba97c4080126141d67f37be8538f5a8be740e484"},
    {EVP_aes_128_ctr, 0,
     "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff"
     "5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee"},
    {EVP_aes_192_ctr, 1,
     "1abc932417521ca24f2b0459fe7e6e0b090339ec0aa6faefd5ccc2c6f4ce8e94"
     "1e36b26bd1ebc670d1bd1d665620abf74f78a7f6d29809585a97daec58c6b050"},
    {EVP_aes_256_ctr, 2,
     "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"
     "2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6"},
};


static int begin(EVP_CIPHER_CTX* c, int i, bool encrypt) {
  uint8_t key[32];
  uint8_t iv[16];
  bool ctr = i >= 12;

  (void) unhex(key, keys[known[i].key]);
  (void) unhex(iv, ctr ? "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"
                       : "000102030405060708090a0b0c0d0e0f");
  if (encrypt)
    return EVP_EncryptInit_ex(c, known[i].cipher(), NULL, key, iv);
  return EVP_DecryptInit_ex(c, known[i].cipher(), NULL, key, iv);
}


/* All of `in` in pieces of `first`, then `step` bytes. */
static void feed(EVP_CIPHER_CTX* c,
                 bool encrypt,
                 const uint8_t in[64],
                 uint8_t out[64],
                 int first,
                 int step) {
  int done = 0;
  int got = 0;

  for (int at = 0, size = first; at < 64; at += size, size = step) {
    if (size > 64 - at)
      size = 64 - at;
    if (encrypt)
      assert_int_equal(1,
                       EVP_EncryptUpdate(c, out + done, &got, in + at, size));
    else
      assert_int_equal(1,
                       EVP_DecryptUpdate(c, out + done, &got, in + at, size));
    done += got;
  }
  if (encrypt)
    assert_int_equal(1, EVP_EncryptFinal_ex(c, out + done, &got));
  else
    assert_int_equal(1, EVP_DecryptFinal(c, out + done, &got));
  assert_int_equal(0, got);
  assert_int_equal(64, done);
}


static void known_answers_however_cut(void** state) {
  uint8_t plain[64];
  uint8_t expected[64];
  uint8_t out[64];
  EVP_CIPHER_CTX* c = EVP_CIPHER_CTX_new();

  (void) state;
  (void) unhex(plain, plain_hex);
  for (int i = 0; i < (int) ARRAY_SIZE(known); i++) {
    (void) unhex(expected, known[i].text);
    for (int cut = 1; cut <= 64; cut++) { /* 64: whole */
      for (int step = 1; step <= 64; step += 63) {
        assert_int_equal(1, begin(c, i, true));
        assert_int_equal(1, EVP_CIPHER_CTX_set_padding(c, 0));
        feed(c, true, plain, out, cut, step);
        assert_memory_equal(expected, out, 64);
        assert_int_equal(1, begin(c, i, false));
        feed(c, false, expected, out, cut, step);
        assert_memory_equal(plain, out, 64);
      }
    }
  }
  EVP_CIPHER_CTX_free(c);
}


static void known_answers_without_aes_instructions(void** state) {
  aes_force_portable(1);
  known_answers_however_cut(state);
  aes_force_portable(0);
}


static void both_ways_of_aes_agree(void** state) {
  (void) state;
  for (int round = 0; round < 300; round++) {
    uint8_t key[32];
    uint8_t in[16];
    uint8_t out[2][16];
    AES_KEY aes;
    int bits = 128 + 64 * (round % 3);

    peer_bytes(key, sizeof(key));
    peer_bytes(in, sizeof(in));
    for (int way = 0; way < 2; way++) {
      aes_force_portable(way);
      assert_int_equal(0, AES_set_encrypt_key(key, bits, &aes));
      AES_encrypt(in, out[way], &aes);
      assert_int_equal(0, aes_set_decrypt_key(key, bits, &aes));
      aes_decrypt(out[way], out[way], &aes); /* in place */
      assert_memory_equal(in, out[way], 16);
      assert_int_equal(0, AES_set_encrypt_key(key, bits, &aes));
      memcpy(out[way], in, 16);
      AES_encrypt(out[way], out[way], &aes);
    }
    aes_force_portable(0);
    assert_memory_equal(out[0], out[1], 16);
  }
}


/* ---- Single blocks ---- */

static void aes_gives_fips_197s_answers(void** state) {
  static const char* const texts[3] = {"69c4e0d86a7b0430d8cdb78070b4c55a",
                                       "dda97ca4864cdfe06eaf70a0ec0d7191",
                                       "8ea2b7ca516745bfeafc49904b496089"};
  uint8_t key[32];
  uint8_t in[16];
  uint8_t out[16];
  uint8_t expected[16];
  AES_KEY aes;

  (void) state;
  for (uint8_t i = 0; i < 32; i++)
    key[i] = i;
  (void) unhex(in, "00112233445566778899aabbccddeeff");
  for (int i = 0; i < 3; i++) {
    (void) unhex(expected, texts[i]);
    assert_int_equal(0, AES_set_encrypt_key(key, 128 + 64 * i, &aes));
    AES_encrypt(in, out, &aes);
    assert_memory_equal(expected, out, 16);
  }
  assert_true(AES_set_encrypt_key(key, 129, &aes) < 0);
  assert_true(AES_set_encrypt_key(NULL, 128, &aes) < 0);
}


static void camellia_gives_rfc_3713s_answers(void** state) {
  static const char* const texts[3] = {"67673138549669730857065648eabe43",
                                       "b4993401b3e996f84ee5cee7d79b09b9",
                                       "9acc237dff16d76c20ef7c919e3a7509"};
  uint8_t key[32];
  uint8_t out[16];
  uint8_t expected[16];
  CAMELLIA_KEY camellia;

  (void) state;
  (void) unhex(key,
               "0123456789abcdeffedcba9876543210"
               "00112233445566778899aabbccddeeff");
  for (int i = 0; i < 3; i++) {
    (void) unhex(expected, texts[i]);
    assert_int_equal(0, Camellia_set_key(key, 128 + 64 * i, &camellia));
    Camellia_encrypt(key, out, &camellia); /* the text is the key's beginning */
    assert_memory_equal(expected, out, 16);
    camellia_decrypt(out, out, &camellia);
    assert_memory_equal(key, out, 16);
  }
  assert_true(Camellia_set_key(key, 127, &camellia) < 0);
}


/* RFC 3713 section 2.4.1, SBOX1. */
static void camellias_s_box_is_rfc_3713s(void** state) {
  static const uint8_t table[256] = {
      112, 130, 44,  236, 179, 39,  192, 229, 228, 133, 87,  53,  234, 12,  174,
      65,  35,  239, 107, 147, 69,  25,  165, 33,  237, 14,  79,  78,  29,  101,
      146, 189, 134, 184, 175, 143, 124, 235, 31,  206, 62,  48,  220, 95,  94,
      197, 11,  26,  166, 225, 57,  202, 213, 71,  93,  61,  217, 1,   90,  214,
      81,  86,  108, 77,  139, 13,  154, 102, 251, 204, 176, 45,  116, 18,  43,
      32,  240, 177, 132, 153, 223, 76,  203, 194, 52,  126, 118, 5,   109, 183,
      169, 49,  209, 23,  4,   215, 20,  88,  58,  97,  222, 27,  17,  28,  50,
      15,  156, 22,  83,  24,  242, 34,  254, 68,  207, 178, 195, 181, 122, 145,
      36,  8,   232, 168, 96,  252, 105, 80,  170, 208, 160, 125, 161, 137, 98,
      151, 84,  91,  30,  149, 224, 255, 100, 210, 16,  196, 0,   72,  163, 247,
      117, 219, 138, 3,   230, 218, 9,   63,  221, 148, 135, 92,  131, 2,   205,
      74,  144, 51,  115, 103, 246, 243, 157, 127, 191, 226, 82,  155, 216, 38,
      200, 55,  198, 59,  129, 150, 111, 75,  19,  190, 99,  46,  233, 121, 167,
      140, 159, 110, 188, 142, 41,  245, 249, 182, 47,  253, 180, 89,  120, 152,
      6,   106, 231, 70,  113, 186, 212, 37,  171, 66,  136, 162, 141, 250, 114,
      7,   185, 85,  248, 238, 172, 10,  54,  73,  42,  104, 60,  56,  241, 164,
      64,  40,  211, 123, 187, 201, 67,  193, 21,  227, 173, 244, 119, 199, 128,
      158,
  };

  (void) state;
  for (unsigned x = 0; x < 256; x++) {
    /* Eight different bytes at once, so that each place is tried. */
    uint64_t in = 0;
    uint64_t expected = 0;
    for (unsigned i = 0; i < 8; i++) {
      uint8_t byte = (uint8_t) (x + 31 * i);
      in |= (uint64_t) byte << (8 * i);
      expected |= (uint64_t) table[byte] << (8 * i);
    }
    assert_true(sbox1(in) == expected);
  }
}


static void triple_des_gives_sp_800_67s_answers(void** state) {
  static const char* const key_hex[3] = {"0123456789abcdef", "23456789abcdef01",
                                         "456789abcdef0123"};
  static const char text[] = "The qufck brown fox jump";
  DES_key_schedule ks[3];
  DES_cblock key;
  DES_cblock in;
  DES_cblock out;
  uint8_t expected[24];

  (void) state;
  (void) unhex(expected, "a826fd8ce53b855fcce21c8112256fe668d5c05dd9b6b900");
  for (int i = 0; i < 3; i++) {
    (void) unhex(key, key_hex[i]);
    DES_set_key_unchecked(&key, &ks[i]);
  }
  for (int i = 0; i < 3; i++) {
    memcpy(in, text + 8 * i, 8);
    DES_ecb3_encrypt(&in, &out, &ks[0], &ks[1], &ks[2], 1);
    assert_memory_equal(expected + 8 * i, out, 8);
    DES_ecb3_encrypt(&out, &out, &ks[0], &ks[1], &ks[2], 0);
    assert_memory_equal(in, out, 8);
  }
}


static void random_des_keys_have_odd_parity_and_differ(void** state) {
  DES_cblock before = {0};
  DES_cblock key;

  (void) state;
  for (int round = 0; round < 50; round++) {
    assert_int_equal(1, DES_random_key(&key));
    for (int i = 0; i < 8; i++)
      assert_int_equal(1, __builtin_popcount(key[i]) % 2);
    assert_memory_not_equal(before, key, 8);
    memcpy(before, key, 8);
  }
}


/* ---- All ciphers, beside OpenSSL ---- */

#define AES_CAMELLIA(bits, mode) \
  EVP_aes_##bits##_##mode, EVP_camellia_##bits##_##mode
#define BITS(mode) \
  AES_CAMELLIA(128, mode), AES_CAMELLIA(192, mode), AES_CAMELLIA(256, mode)

static const char* const names[35] = {
#define N(bits, mode) \
  "EVP_aes_" #bits "_" #mode, "EVP_camellia_" #bits "_" #mode
#define N_BITS(mode) N(128, mode), N(192, mode), N(256, mode)
    N_BITS(ecb),        N_BITS(cbc),        N_BITS(cfb128),
    N_BITS(ofb),        N_BITS(ctr),        "EVP_des_ede3",
    "EVP_des_ede3_ecb", "EVP_des_ede3_cbc", "EVP_des_ede3_cfb64",
    "EVP_des_ede3_ofb"};

static const cipher_t ours[35] = {
    BITS(ecb),          BITS(cbc),       BITS(cfb128),     BITS(ofb),
    BITS(ctr),          EVP_des_ede3,    EVP_des_ede3_ecb, EVP_des_ede3_cbc,
    EVP_des_ede3_cfb64, EVP_des_ede3_ofb};


static cipher_t theirs(size_t i) {
  cipher_t function;
  peer_function_t found = peer_function(names[i]);

  memcpy(&function, &found, sizeof(function));
  return function;
}


static void same_iv(const EVP_CIPHER_CTX* a, const EVP_CIPHER_CTX* b) {
  int size = EVP_CIPHER_CTX_get_iv_length(a);

  assert_int_equal(PEER(EVP_CIPHER_CTX_get_iv_length)(b), size);
  assert_memory_equal(PEER(EVP_CIPHER_CTX_iv)(b), EVP_CIPHER_CTX_iv(a),
                      (size_t) size);
}


/* One stream of up to 200 bytes in random pieces, on both sides. */
static void one_stream(size_t i, bool encrypt) {
  uint8_t key[32];
  uint8_t iv[16];
  uint8_t in[48];
  uint8_t out[2][80];
  EVP_CIPHER_CTX* a = EVP_CIPHER_CTX_new();
  EVP_CIPHER_CTX* b = PEER(EVP_CIPHER_CTX_new)();
  int got[2];

  peer_bytes(key, sizeof(key));
  peer_bytes(iv, sizeof(iv));
  if (encrypt) {
    assert_int_equal(1, EVP_EncryptInit_ex(a, ours[i](), NULL, key, iv));
    assert_int_equal(1,
                     PEER(EVP_EncryptInit_ex)(b, theirs(i)(), NULL, key, iv));
  } else {
    assert_int_equal(1, EVP_DecryptInit_ex(a, ours[i](), NULL, key, iv));
    assert_int_equal(1,
                     PEER(EVP_DecryptInit_ex)(b, theirs(i)(), NULL, key, iv));
  }
  assert_int_equal(1, EVP_CIPHER_CTX_set_padding(a, 0));
  assert_int_equal(1, PEER(EVP_CIPHER_CTX_set_padding)(b, 0));
  for (uint64_t n = 1 + peer_random() % 5; n > 0; n--) {
    int size = (int) (peer_random() % (sizeof(in) + 1));
    peer_bytes(in, sizeof(in));
    int (*update)(EVP_CIPHER_CTX*, unsigned char*, int*, const unsigned char*,
                  int) =
        encrypt ? PEER(EVP_EncryptUpdate) : PEER(EVP_DecryptUpdate);
    assert_int_equal(1, update(b, out[1], &got[1], in, size));
    update = encrypt ? EVP_EncryptUpdate : EVP_DecryptUpdate;
    assert_int_equal(1, update(a, out[0], &got[0], in, size));
    assert_int_equal(got[1], got[0]);
    assert_memory_equal(out[1], out[0], (size_t) got[0]);
    same_iv(a, b);
  }
  int (*final)(EVP_CIPHER_CTX*, unsigned char*, int*) =
      encrypt ? PEER(EVP_EncryptFinal_ex) : PEER(EVP_DecryptFinal);
  int their_end = final(b, out[1], &got[1]);
  final = encrypt ? EVP_EncryptFinal_ex : EVP_DecryptFinal;
  assert_int_equal(their_end, final(a, out[0], &got[0]));
  assert_int_equal(0, got[0]);
  EVP_CIPHER_CTX_free(a);
  PEER(EVP_CIPHER_CTX_free)(b);
}


static void every_cipher_is_openssls(void** state) {
  (void) state;
  for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
    for (int round = 0; round < 60; round++)
      one_stream(i, round % 2 == 0);
}


/* CTR counts across all 16 bytes. */
static void a_counter_wraps_as_openssls(void** state) {
  uint8_t key[16] = {1};
  uint8_t iv[16];
  uint8_t in[40] = {0};
  uint8_t out[2][40];
  int got;

  (void) state;
  memset(iv, 0xff, sizeof(iv));
  EVP_CIPHER_CTX* a = EVP_CIPHER_CTX_new();
  EVP_CIPHER_CTX* b = PEER(EVP_CIPHER_CTX_new)();
  EVP_EncryptInit_ex(a, EVP_aes_128_ctr(), NULL, key, iv);
  PEER(EVP_EncryptInit_ex)(b, PEER(EVP_aes_128_ctr)(), NULL, key, iv);
  EVP_EncryptUpdate(a, out[0], &got, in, sizeof(in));
  PEER(EVP_EncryptUpdate)(b, out[1], &got, in, sizeof(in));
  assert_memory_equal(out[1], out[0], sizeof(in));
  same_iv(a, b);
  EVP_CIPHER_CTX_free(a);
  PEER(EVP_CIPHER_CTX_free)(b);
}


static void what_is_not_offered_is_refused(void** state) {
  uint8_t bytes[32] = {0};
  int got = 7;
  EVP_CIPHER_CTX* c = EVP_CIPHER_CTX_new();

  (void) state;
  assert_int_equal(0, EVP_EncryptUpdate(c, bytes, &got, bytes, 16));
  assert_int_equal(0, got);
  assert_int_equal(0, EVP_EncryptInit_ex(c, NULL, NULL, bytes, bytes));
  assert_int_equal(0,
                   EVP_EncryptInit_ex(c, EVP_aes_128_cbc(), NULL, NULL, bytes));
  assert_int_equal(0,
                   EVP_EncryptInit_ex(c, EVP_aes_128_cbc(), NULL, bytes, NULL));
  assert_int_equal(1,
                   EVP_EncryptInit_ex(c, EVP_aes_128_ecb(), NULL, bytes, NULL));
  assert_int_equal(0, EVP_CIPHER_CTX_set_padding(c, 1));
  assert_int_equal(0, EVP_EncryptUpdate(c, bytes, &got, bytes, -1));
  assert_int_equal(1, EVP_EncryptUpdate(c, bytes, &got, bytes, 15));
  assert_int_equal(0, EVP_EncryptFinal_ex(c, bytes, &got));
  EVP_CIPHER_CTX_free(c);
  EVP_CIPHER_CTX_free(NULL);
}


static int nothing_left(void** state) {
  (void) state;
  assert_int_equal(0, peer_blocks());
  return 0;
}


int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(known_answers_however_cut),
      cmocka_unit_test(known_answers_without_aes_instructions),
      cmocka_unit_test(both_ways_of_aes_agree),
      cmocka_unit_test(aes_gives_fips_197s_answers),
      cmocka_unit_test(camellia_gives_rfc_3713s_answers),
      cmocka_unit_test(camellias_s_box_is_rfc_3713s),
      cmocka_unit_test(triple_des_gives_sp_800_67s_answers),
      cmocka_unit_test(random_des_keys_have_odd_parity_and_differ),
      cmocka_unit_test(every_cipher_is_openssls),
      cmocka_unit_test(a_counter_wraps_as_openssls),
      cmocka_unit_test(what_is_not_offered_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, nothing_left);
}

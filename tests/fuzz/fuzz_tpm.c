/*
 * tests/fuzz/fuzz_tpm.c - any bytes as TPM commands and as TPM state.
 *
 * Goal:   no command and no state blob, whatever is in it, stops the machine,
 *         is overread, or leaves memory behind.
 * Method: the first byte says what the rest is: commands at some locality, each
 *         after its size (and with its size field made right, or not); steps,
 *         each a good command with patches, or any command code with handles
 *         and a session put before what the input says; or a blob to switch
 *         the TPM on with. Each input begins with the same TPM. After each
 *         command the arena must hold what it held before.
 */
#include "tests/fuzz/fuzz.h"

#include "tests/tpm_fake.h"

static uint8_t good[TPM_BLOB_SIZE_MAX];
static uint32_t good_size;


static void run_all(const uint8_t* data,
                    size_t size,
                    uint8_t locality,
                    bool mend) {
  for (int turn = 0; turn < 8 && size > 2; turn++) {
    uint32_t one = t2_at16(data);
    data += 2;
    size -= 2;
    if (one > size)
      one = (uint32_t) size;
    command.size = one > T2_BYTES_MAX ? T2_BYTES_MAX : one;
    memcpy(command.bytes, data, command.size);
    if (mend && command.size >= 10)
      t2_end(&command);
    if (tpm_process(command.bytes, command.size, locality, response.bytes,
                    &response.size) == 0)
      ASSERT(response.size >= TPM_HEADER_SIZE);
    data += one;
    size -= one;
  }
}


/* ---- Steps ---- */

#define STEPS_MAX 16
#define STEP_ANY 15u /* any code at all; the others are good commands */

typedef struct {
  const uint8_t* at;
  size_t left; /* bytes */
} input_t;

static t2_bytes_t created; /* what TPM2_Create answered last */
static t2_bytes_t signed_; /* and TPM2_Sign */

static const t2_template_t signing = {
    .type = T2_ALG_ECC,
    .attributes = T2_ATTR_SIGN,
    .scheme = T2_ALG_ECDSA,
    .kind = 3,
};
static const t2_template_t cipher = {
    .type = T2_ALG_SYMCIPHER,
    .attributes = T2_ATTR_CIPHER,
    .kind = 128,
    .algorithm = T2_ALG_AES,
    .mode = T2_ALG_CFB,
};

static uint8_t take(input_t* in) {
  if (in->left == 0)
    return 0;
  in->left--;
  return *in->at++;
}


/* Something that there may be: objects, sequences, sessions, NV, hierarchies.
 */
static uint32_t take_handle(input_t* in) {
  static const uint32_t known[] = {
      0x80000000,        0x80000001,     0x80000002, 0x81000001,  0x01500001,
      0x02000000,        0x03000000,     0x40000009, T2_RH_OWNER, T2_RH_NULL,
      T2_RH_ENDORSEMENT, T2_RH_PLATFORM, 0x4000000A, /* lockout */
      0x00000010, /* a PCR that may be reset */
      0x03000001,        0x81000002,
  };

  return known[take(in) % ARRAY_SIZE(known)];
}


/* Any command: its code, handles, a password session or none, the rest. */
static void build_any(input_t* in) {
  uint8_t how = take(in);
  uint32_t code = 0x11F + take(in) % 0x80u;

  t2_begin(&command, (how & 1) != 0 ? 0x8002 : 0x8001, code);
  for (uint32_t i = how >> 1 & 3u; i > 0; i--)
    t2_put32(&command, take_handle(in));
  if ((how & 1) != 0)
    t2_put_auth(&command, 1 + (how >> 3 & 1u));
  for (uint32_t size = take(in); size > 0 && in->left > 0; size--)
    t2_put8(&command, take(in));
  t2_end(&command);
}


static void build_data(input_t* in, uint32_t handle) {
  uint8_t text[64] = "a text";
  t2_bytes_t iv = {.size = 16};
  t2_bytes_t data = {.size = take(in)};

  switch (take(in) % 4) {
    case 0:
      t2_nv_write(&command, 0x01500001, text, sizeof(text) / 2, take(in));
      break;
    case 1:
      t2_nv_read(&command, 0x01500001, take(in), take(in));
      break;
    case 2:
      t2_sequence_update(&command, handle, text, sizeof(text));
      break;
    default:
      t2_encrypt_decrypt(&command, handle, take(in) & 1, &iv, &data);
  }
}


/* Good ones, given the handles. */
static void build_good(input_t* in, uint32_t which, uint32_t handle) {
  static const t2_template_t* const templates[] = {&srk, &signing, &cipher};
  uint8_t digest[32] = {1};

  switch (which) {
    case 0:
      t2_get_capability(&command, take(in) % 10u, take(in), take(in));
      break;
    case 1:
      t2_pcr_extend(&command, take(in) % 24u, digest);
      break;
    case 2:
      t2_create(&command, T2_RH_OWNER, templates[take(in) % 2]);
      break;
    case 3:
      t2_create(&command, handle, templates[take(in) % 3]);
      break;
    case 4:
      if (t2_rc(&created) == 0)
        t2_load(&command, handle, &created);
      break;
    case 5:
      t2_sign(&command, handle, T2_ALG_ECDSA, digest);
      break;
    case 6:
      if (t2_rc(&signed_) == 0)
        t2_verify(&command, handle, digest, &signed_);
      break;
    case 7:
      t2_nv_define(&command, 0x01500001, 64);
      break;
    case 8:
      t2_evict_control(&command, handle, 0x81000001);
      break;
    case 9:
      t2_hash_sequence_start(&command, T2_ALG_SHA256);
      break;
    case 10:
      t2_sequence_complete(&command, handle);
      break;
    case 11:
      t2_flush(&command, handle);
      break;
    case 12:
      t2_read_public(&command, handle);
      break;
    case 13:
      t2_shutdown(&command);
      break;
    default:
      build_data(in, handle);
  }
}


/* u8 where, u8 the bits to change there; never the header. */
static void patch(input_t* in, uint32_t count) {
  for (; count > 0 && command.size > 10; count--) {
    uint32_t where = 10 + take(in) % (command.size - 10);
    command.bytes[where] ^= take(in);
  }
}


static void one_step(input_t* in) {
  libc_arena_stat_t before;
  libc_arena_stat_t after;
  uint8_t what = take(in);

  t2_get_random(&command, 8);
  if (what % 16 == STEP_ANY)
    build_any(in);
  else
    build_good(in, what % 16, take_handle(in));
  patch(in, what / 16u % 8u);
  fake.cancel = true; /* an RSA key would take seconds */
  libc_arena_stat(&before);
  uint32_t rc = run_at(0); /* holds the response's size to its header */
  if (rc == 0x922) {       /* TPM_RC_RETRY: see run_command() */
    fake.cancel = true;
    rc = run_at(0);
  }
  fake.cancel = false;
  libc_arena_stat(&after);
  ASSERT(rc != 0x101); /* TPM_RC_FAILURE: libtpms has given up */
  ASSERT(after.blocks == before.blocks);
  ASSERT(after.used == before.used);
  uint32_t code = t2_at32(command.bytes + 6);
  if (rc == 0 && code == 0x153)
    created = response;
  if (rc == 0 && code == 0x15D)
    signed_ = response;
}


static void run_steps(const uint8_t* data, size_t size) {
  input_t in = {.at = data, .left = size};

  created.size = 0;
  signed_.size = 0;
  t2_get_random(&command, 8); /* the response's room is made */
  (void) run_at(0);
  for (int i = 0; i < STEPS_MAX && in.left > 0; i++)
    one_step(&in);
}


/* Switch on with a blob of the input's, and see whether it still answers. */
static void run_state(const uint8_t* data, size_t size, int which_blob) {
  tpm_power_off();
  if (size > sizeof(fake.data[0]))
    size = sizeof(fake.data[0]);
  memcpy(fake.data[which_blob], data, size);
  fake.size[which_blob] = (uint32_t) size;
  if (tpm_power_on() != 0)
    return;
  t2_get_random(&command, 8);
  (void) tpm_process(command.bytes, command.size, 0, response.bytes,
                     &response.size);
}


int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1)
    return 0;
  if (good_size == 0) { /* once: a TPM that all inputs begin with */
    fake_begin();
    memcpy(good, fake.data[0], fake.size[0]);
    good_size = fake.size[0];
    tpm_power_off();
  }
  memcpy(fake.data[0], good, good_size);
  fake.size[0] = good_size;
  fake.size[1] = 0;
  start_up();
  switch (data[0] & 7) {
    case 6:
      run_state(data + 1, size - 1, 0);
      break;
    case 7:
      run_state(data + 1, size - 1, 1);
      break;
    default:
      if ((data[0] & 16) != 0)
        run_steps(data + 1, size - 1);
      else
        run_all(data + 1, size - 1, data[0] % 8 % 5, (data[0] & 8) != 0);
  }
  fake_end();
  return 0;
}

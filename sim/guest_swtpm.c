/*
 * sim/guest_swtpm.c - the swtpm wire: what stands behind the two TCP ports.
 *
 *   data port      TPM commands as they are, one after the other; answers too
 *   control port   u32 command, body; answer: u32 result, body; big-endian
 *                  (abi.md 7.1, swtpm's tpm_ioctl.h)
 *
 * A command is cut out of the stream by the size in its header, and by nothing
 * else: what a command means, and what a wrong one is answered, is the TPM's.
 * Where the size itself can't be true the stream can't be cut any more: the
 * client gets the TPM's code for that, and we hang up.
 *
 * Of the control channel we have what can be done by SVSM calls. The rest (its
 * state blobs, passing descriptors, locking) is no bit of GET_CAPABILITY, and
 * answers TPM_BAD_ORDINAL. STOP and SHUTDOWN switch the TPM off, until INIT;
 * evsm itself goes on, since others are served too. One TPM has one locality,
 * as in swtpm: it holds for all clients from then on.
 */
#include "sim/guest_front_door.h"

#include "runtime/base.h"

#include <string.h>

/*    command             number  body  platform  cap: its bit
 * `platform` is the vTPM's platform command that does it, or goes with it:
 * where the vTPM lacks it, so do we; 0: none is needed. */
/* clang-format off */
#define CHANNEL_MAP(XX)                          \
  XX(GET_CAPABILITY,        0x01,  0,   0,   -1) \
  XX(INIT,                  0x02,  4,   1,    0) \
  XX(SHUTDOWN,              0x03,  0,   2,    1) \
  XX(GET_TPMESTABLISHED,    0x04,  0,   1,    2) \
  XX(SET_LOCALITY,          0x05,  1,   1,    3) \
  XX(HASH_START,            0x06,  0,   5,    4) \
  XX(HASH_DATA,             0x07,  4,   6,   -1) \
  XX(HASH_END,              0x08,  0,   7,   -1) \
  XX(CANCEL_TPM_CMD,        0x09,  0,   9,    5) \
  XX(RESET_TPMESTABLISHED,  0x0B,  1,   1,    7) \
  XX(STOP,                  0x0E,  0,   2,   10) \
  XX(GET_CONFIG,            0x0F,  0,   0,   11) \
  XX(SET_BUFFERSIZE,        0x11,  4,   0,   13)
/* clang-format on */

enum {
#define XX(name, number, body_size, platform, bit) CHANNEL_##name = number,
  CHANNEL_MAP(XX)
#undef XX
};

typedef struct {
  uint32_t number;
  uint32_t body_size; /* bytes */
  uint32_t platform;
  int bit;
} channel_command_t;

static const channel_command_t channel_commands[] = {
#define XX(name, number, body_size, platform, bit) \
  {number, body_size, platform, bit},
    CHANNEL_MAP(XX)
#undef XX
};

#define PLATFORM_POWER_ON 1u
#define PLATFORM_POWER_OFF 2u
#define PLATFORM_HASH_DATA 6u
#define PLATFORM_GET_ESTABLISHED 0x80000001u /* evsm's own: vtpm.c */
#define PLATFORM_RESET_ESTABLISHED 0x80000002u

#define TPM_SUCCESS 0u /* the control channel speaks TPM 1.2's codes */
#define TPM_FAIL 9u
#define TPM_BAD_ORDINAL 0x0Au
#define TPM_BAD_LOCALITY 0x3Du
#define TPM_BAD_PARAM_SIZE 0x19u

#define LOCALITY_MAX 4u
#define HASH_DATA_SIZE_MAX 4087u /* bytes: a page less the vTPM's header */
#define CHANNEL_WORD_SIZE 4u     /* bytes */

/* ---- The data port ---- */

static parsed_t answer_code(client_t* client, uint32_t code, parsed_t parsed) {
  client->out = client->answer;
  client->out_size = tpm_response_code(client->answer, code);
  return parsed;
}


parsed_t tpm_parse(front_door_t* door, client_t* client) {
  (void) door;
  if (client->in_size < DOOR_TPM_HEADER_SIZE)
    return PARSED_MORE;

  uint32_t client_size = read_be32(client->in + 2);
  if (client_size < DOOR_TPM_HEADER_SIZE ||
      client_size > DOOR_TPM_COMMAND_SIZE_MAX) {
    client->request_size = client->in_size;
    return answer_code(client, TPM_RC_COMMAND_SIZE, PARSED_LAST);
  }
  if (client->in_size < client_size)
    return PARSED_MORE;

  client->request_size = client_size;
  client->is_tpm = true;
  return PARSED_REQUEST;
}


void tpm_call(front_door_t* door, guest_vcpu_t* vcpu, client_t* client) {
  uint32_t result;

  client->out = client->answer;
  client->out_size = front_door_tpm(
      door, vcpu, client->in, client->request_size, client->answer, &result);
  client->is_retry = read_be32(client->answer + 6) == TPM_RC_RETRY;
}


/* ---- The control port ---- */

static const channel_command_t* channel_find(uint32_t number) {
  for (size_t i = 0; i < ARRAY_SIZE(channel_commands); i++) {
    if (channel_commands[i].number == number)
      return &channel_commands[i];
  }
  return NULL;
}


/* Can it be done, given what the vTPM has? */
static bool channel_offers(const front_door_t* door,
                           const channel_command_t* command) {
  return command->platform == 0 ||
         (door->platform_commands >> command->platform & 1u) != 0;
}


static uint32_t channel_capability(const front_door_t* door) {
  uint32_t bits = 0;

  for (size_t i = 0; i < ARRAY_SIZE(channel_commands); i++) {
    const channel_command_t* command = &channel_commands[i];
    if (command->bit >= 0 && channel_offers(door, command))
      bits |= 1u << command->bit;
  }
  return bits;
}


static void channel_answer(client_t* client,
                           const uint32_t* words,
                           size_t word_count) {
  ASSERT(word_count * CHANNEL_WORD_SIZE <= sizeof(client->answer));

  client->out = client->answer;
  client->out_size = word_count * CHANNEL_WORD_SIZE;
  for (size_t i = 0; i < word_count; i++)
    write_be32(client->answer + i * CHANNEL_WORD_SIZE, words[i]);
}


static parsed_t channel_refuse(client_t* client, uint32_t code) {
  client->request_size = client->in_size;
  channel_answer(client, &code, 1);
  return PARSED_LAST;
}


parsed_t channel_parse(front_door_t* door, client_t* client) {
  if (client->in_size < CHANNEL_WORD_SIZE)
    return PARSED_MORE;

  const channel_command_t* command = channel_find(read_be32(client->in));
  if (command == NULL || !channel_offers(door, command))
    return channel_refuse(client, TPM_BAD_ORDINAL);
  size_t size = CHANNEL_WORD_SIZE + command->body_size;
  if (client->in_size < size)
    return PARSED_MORE;

  if (command->number == CHANNEL_HASH_DATA) {
    uint32_t client_size = read_be32(client->in + CHANNEL_WORD_SIZE);
    if (client_size > HASH_DATA_SIZE_MAX)
      return channel_refuse(client, TPM_BAD_PARAM_SIZE);
    size += client_size;
    if (client->in_size < size)
      return PARSED_MORE;
  }

  /* A body of one byte comes with three more from those who send the whole
   * union (QEMU). No command is that short, so they are its padding. Behind
   * any other body they are the next command's first bytes. */
  if (command->body_size == 1 && client->in_size - size < CHANNEL_WORD_SIZE)
    size = client->in_size;
  client->request_size = size;
  /* A cancel must not wait for what it cancels. */
  client->is_tpm =
      command->platform != 0 && command->number != CHANNEL_CANCEL_TPM_CMD;
  return PARSED_REQUEST;
}


/* A platform command without data, at the door's locality. */
static uint32_t channel_platform(front_door_t* door,
                                 guest_vcpu_t* vcpu,
                                 uint32_t number) {
  uint8_t locality = (uint8_t) atomic_load(&door->locality);
  uint32_t result = front_door_platform(door, vcpu, number, locality, NULL, 0);

  return result == 0 ? TPM_SUCCESS : TPM_FAIL;
}


/* A reset of the TPM: its power goes off, and on again. */
static uint32_t channel_init(front_door_t* door, guest_vcpu_t* vcpu) {
  uint32_t code = channel_platform(door, vcpu, PLATFORM_POWER_OFF);

  if (code == TPM_SUCCESS)
    code = channel_platform(door, vcpu, PLATFORM_POWER_ON);
  if (code == TPM_SUCCESS)
    atomic_store(&door->locality, 0);
  return code;
}


static uint32_t channel_locality(front_door_t* door, const client_t* client) {
  uint8_t client_locality = client->in[CHANNEL_WORD_SIZE];

  if (client_locality > LOCALITY_MAX)
    return TPM_BAD_LOCALITY;
  atomic_store(&door->locality, client_locality);
  return TPM_SUCCESS;
}


/* Has there been a measured launch? A byte and its padding, in *word. */
static uint32_t channel_established(front_door_t* door,
                                    guest_vcpu_t* vcpu,
                                    uint32_t* word) {
  uint32_t code = channel_platform(door, vcpu, PLATFORM_GET_ESTABLISHED);
  const uint8_t* page =
      guest_memory(door->tpm_page_gpa[guest_vcpu_index(vcpu)], 5);

  *word = code == TPM_SUCCESS ? (uint32_t) page[4] << 24 : 0;
  return code;
}


/* Only localities 3 and 4 may; the TPM knows. */
static uint32_t channel_reset_established(front_door_t* door,
                                          guest_vcpu_t* vcpu,
                                          const client_t* client) {
  uint8_t client_locality = client->in[CHANNEL_WORD_SIZE];

  if (client_locality > LOCALITY_MAX)
    return TPM_BAD_LOCALITY;
  uint32_t result = front_door_platform(door, vcpu, PLATFORM_RESET_ESTABLISHED,
                                        client_locality, NULL, 0);
  return result == 0 ? TPM_SUCCESS : TPM_BAD_LOCALITY;
}


static uint32_t channel_hash_data(front_door_t* door,
                                  guest_vcpu_t* vcpu,
                                  const client_t* client) {
  size_t size = read_be32(client->in + CHANNEL_WORD_SIZE);
  uint32_t result = front_door_platform(
      door, vcpu, PLATFORM_HASH_DATA, (uint8_t) atomic_load(&door->locality),
      client->in + CHANNEL_WORD_SIZE * 2, size);

  return result == 0 ? TPM_SUCCESS : TPM_FAIL;
}


void channel_call(front_door_t* door, guest_vcpu_t* vcpu, client_t* client) {
  const channel_command_t* command = channel_find(read_be32(client->in));
  ASSERT(command != NULL);
  uint32_t words[4] = {TPM_SUCCESS};
  size_t word_count = 1;

  switch (command->number) {
    case CHANNEL_GET_CAPABILITY:
      words[word_count++] = channel_capability(door);
      break;
    case CHANNEL_INIT:
      words[0] = channel_init(door, vcpu);
      break;
    case CHANNEL_SET_LOCALITY:
      words[0] = channel_locality(door, client);
      break;
    case CHANNEL_GET_TPMESTABLISHED:
      words[0] = channel_established(door, vcpu, &words[word_count]);
      word_count++;
      break;
    case CHANNEL_RESET_TPMESTABLISHED:
      words[0] = channel_reset_established(door, vcpu, client);
      break;
    case CHANNEL_HASH_DATA:
      words[0] = channel_hash_data(door, vcpu, client);
      break;
    case CHANNEL_GET_CONFIG: /* no keys, no passphrases: no flags */
      words[word_count++] = 0;
      break;
    case CHANNEL_SET_BUFFERSIZE: /* one size: what fits a page */
      words[word_count++] = DOOR_TPM_COMMAND_SIZE_MAX;
      words[word_count++] = DOOR_TPM_COMMAND_SIZE_MAX;
      words[word_count++] = DOOR_TPM_COMMAND_SIZE_MAX;
      break;
    default: /* what is one platform command, as the table says */
      words[0] = channel_platform(door, vcpu, command->platform);
  }
  channel_answer(client, words, word_count);
}

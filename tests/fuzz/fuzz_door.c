/*
 * tests/fuzz/fuzz_door.c - any bytes through the front doors.
 *
 * Goal:   whatever a client sends, in whatever pieces, the doors' parsers stay
 *         within its buffer, answer or ask for more, and never stand still;
 *         and how the bytes were cut into pieces changes no answer.
 * Method: the parsers and their calls with a guest that answers from a fixed
 *         page. The first byte picks the door and the pieces; each input goes
 *         through whole and in pieces, and the answers are compared (not for
 *         the control channel, whose padding depends on where a message ends).
 */
#include "sim/guest_swtpm.c"

#include "sim/guest_control.c"

#include "handlers/result.c"
#include "sim/control.c"

#define OUT_SIZE_MAX 65536u

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

static front_door_t door = {
    .platform_commands = UINT64_MAX,
};
static client_t client;
static uint8_t page[4096];
static uint8_t out[2][OUT_SIZE_MAX];
static size_t out_size[2];

/* ---- The guest ---- */

void* guest_memory(uint64_t gpa, size_t size) {
  ASSERT(gpa + size <= sizeof(page));
  return page + gpa;
}


uint32_t guest_vcpu_index(const guest_vcpu_t* vcpu) {
  (void) vcpu;
  return 0;
}


uint32_t guest_call(guest_vcpu_t* vcpu, guest_regs_t* regs) {
  (void) vcpu;
  ASSERT(regs->rax == SVSM_CORE_QUERY_PROTOCOL);
  regs->rcx = UINT64_C(1) << 32 | 1;
  return 0;
}


uint32_t front_door_platform(front_door_t* d,
                             guest_vcpu_t* vcpu,
                             uint32_t number,
                             uint8_t locality,
                             const void* data,
                             size_t size) {
  (void) d;
  (void) vcpu;
  ASSERT(locality <= LOCALITY_MAX);
  ASSERT(size <= HASH_DATA_SIZE_MAX);
  if (size > 0)
    memcpy(page, data, size); /* read to the last byte */
  return number == PLATFORM_RESET_ESTABLISHED && locality < 3;
}


size_t front_door_tpm(front_door_t* d,
                      guest_vcpu_t* vcpu,
                      const uint8_t* command,
                      size_t command_size,
                      uint8_t* response,
                      uint32_t* result) {
  (void) d;
  (void) vcpu;
  ASSERT(command_size > 0);
  ASSERT(command_size <= DOOR_TPM_COMMAND_SIZE_MAX);
  memcpy(page, command, command_size);
  *result = 0;
  return tpm_response_code(response, page[0]);
}


size_t tpm_response_code(uint8_t* response, uint32_t code) {
  memset(response, 0, DOOR_TPM_HEADER_SIZE);
  write_be32(response + 6, code);
  return DOOR_TPM_HEADER_SIZE;
}


uint32_t read_be32(const uint8_t* at) {
  return (uint32_t) at[0] << 24 | (uint32_t) at[1] << 16 |
         (uint32_t) at[2] << 8 | at[3];
}


void write_be32(uint8_t* at, uint32_t value) {
  for (int i = 0; i < 4; i++)
    at[i] = (uint8_t) (value >> (24 - 8 * i));
}


static json_object* stat_cb(front_door_t* d) {
  (void) d;
  return json_object_new_object();
}


/* ---- A client, as guest_front_door.c has it ---- */

static parsed_t parse(void) {
  if (client.in_size == 0)
    return PARSED_MORE;
  if (client.kind == DOOR_TPM)
    return tpm_parse(&door, &client);
  if (client.kind == DOOR_CHANNEL)
    return channel_parse(&door, &client);
  return control_parse(&door, &client);
}


static void call(void) {
  if (client.kind == DOOR_TPM)
    tpm_call(&door, NULL, &client);
  else if (client.kind == DOOR_CHANNEL)
    channel_call(&door, NULL, &client);
  else
    control_call(&door, NULL, &client);
}


/* The answer, but for how long a call took. */
static void take_answer(int which) {
  ASSERT(client.out_size > 0);
  size_t size = client.out_size;
  const char* ns = client.kind == DOOR_CONTROL
                       ? memmem(client.out, size, "\"ns\":", 5)
                       : NULL;

  if (ns != NULL)
    size = (size_t) (ns - (const char*) client.out);
  if (size > OUT_SIZE_MAX - out_size[which])
    size = OUT_SIZE_MAX - out_size[which];
  memcpy(out[which] + out_size[which], client.out, size);
  out_size[which] += size;

  ASSERT(client.request_size > 0); /* it gets on */
  ASSERT(client.request_size <= client.in_size);
  control_forget(&client);
  client.in_size -= client.request_size;
  memmove(client.in, client.in + client.request_size, client.in_size);
  client.request_size = client.out_size = 0;
}


/* All that can be done with what is there. False: hung up. */
static bool step(int which) {
  for (;;) {
    parsed_t parsed = parse();
    if (parsed == PARSED_MORE) {
      ASSERT(client.in_size < sizeof(client.in)); /* or it waits forever */
      return true;
    }
    if (parsed == PARSED_REQUEST) {
      client.is_retry = false;
      call();
      ASSERT(!client.is_retry);
    }
    take_answer(which);
    if (parsed == PARSED_LAST)
      return false;
  }
}


static void feed(door_kind_t kind,
                 const uint8_t* data,
                 size_t size,
                 size_t piece_max,
                 int which) {
  bool goes_on = true;

  client = (client_t){.kind = kind};
  out_size[which] = 0;
  while (size > 0 && goes_on) {
    size_t piece = size < piece_max ? size : piece_max;
    size_t room = sizeof(client.in) - client.in_size;
    if (piece > room)
      piece = room;
    memcpy(client.in + client.in_size, data, piece);
    client.in_size += piece;
    data += piece;
    size -= piece;
    goes_on = step(which);
  }
  control_forget(&client);
}


int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1)
    return 0;
  door.stat_cb = stat_cb;
  door_kind_t kind = (door_kind_t) (data[0] % DOOR_COUNT);
  size_t piece = 1u + data[0] / DOOR_COUNT;

  feed(kind, data + 1, size - 1, SIZE_MAX, 0);
  atomic_store(&door.locality, 0);
  feed(kind, data + 1, size - 1, piece, 1);
  atomic_store(&door.locality, 0);
  if (kind == DOOR_CHANNEL)
    return 0;
  ASSERT(out_size[0] == out_size[1]);
  ASSERT(memcmp(out[0], out[1], out_size[0]) == 0);
  return 0;
}

/*
 * sim/guest_control.c - evsm's own control socket, served by the guest.
 *
 *   {"do":"query","protocol":P,"version":V} -> QUERY_PROTOCOL (core, call 6)
 *   {"do":"tpm","command":HEX}              -> vTPM SEND_COMMAND
 *   {"do":"stat"}                           -> the root's counters
 *
 * sim/control.h has the wire. The answer says how long the call took as the
 * guest saw it ("ns"), and on which vCPU. A line is one JSON object of at most
 * CONTROL_REQUEST_SIZE_MAX bytes and two levels; whatever else comes is told
 * what is wrong with it.
 */
#include "sim/guest_front_door.h"

#include "handlers/result.h"
#include "runtime/base.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CONTROL_DEPTH_MAX 3
#define SVSM_CORE_QUERY_PROTOCOL 6u

typedef enum {
  CONTROL_QUERY,
  CONTROL_TPM,
  CONTROL_STAT,
  CONTROL_UNKNOWN,
} control_do_t;

static uint64_t now_ns(void) {
  struct timespec now;

  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t) now.tv_sec * 1000000000u + (uint64_t) now.tv_nsec;
}


void control_forget(client_t* client) {
  json_object_put(client->json);
  client->json = NULL;
  if (client->text != NULL) /* a TPM's response, perhaps */
    explicit_bzero(client->text, strlen(client->text));
  free(client->text);
  client->text = NULL;
}


/* Make `answer` what is sent, in place of the request. */
static void control_answer(client_t* client, json_object* answer) {
  size_t size;
  const char* text =
      json_object_to_json_string_length(answer, JSON_C_TO_STRING_PLAIN, &size);

  control_forget(client);
  client->text = malloc(size + 2);
  ASSERT(client->text != NULL);
  memcpy(client->text, text, size);
  client->text[size] = '\n';
  client->text[size + 1] = '\0';
  client->out = (const uint8_t*) client->text;
  client->out_size = size + 1;
  json_object_put(answer);
}


static json_object* control_new(void) {
  json_object* answer = json_object_new_object();

  ASSERT(answer != NULL);
  json_object_object_add(answer, "ok", json_object_new_boolean(true));
  return answer;
}


static void control_refuse(client_t* client, const char* error) {
  json_object* answer = json_object_new_object();

  ASSERT(answer != NULL);
  json_object_object_add(answer, "ok", json_object_new_boolean(false));
  json_object_object_add(answer, "error", json_object_new_string(error));
  control_answer(client, answer);
}


static control_do_t control_do(json_object* request) {
  const char* name = control_text(request, "do");

  if (name == NULL)
    return CONTROL_UNKNOWN;
  if (strcmp(name, "query") == 0)
    return CONTROL_QUERY;
  if (strcmp(name, "tpm") == 0)
    return CONTROL_TPM;
  if (strcmp(name, "stat") == 0)
    return CONTROL_STAT;
  return CONTROL_UNKNOWN;
}


/* One line of at most in[]; NULL if it is no JSON object. */
static json_object* control_read(const char* line, size_t size) {
  json_tokener* tokener = json_tokener_new_ex(CONTROL_DEPTH_MAX);
  ASSERT(tokener != NULL);
  json_tokener_set_flags(tokener,
                         JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);

  json_object* request = json_tokener_parse_ex(tokener, line, (int) size);
  bool is_whole = json_tokener_get_error(tokener) == json_tokener_success &&
                  json_tokener_get_parse_end(tokener) == size;
  json_tokener_free(tokener);
  if (is_whole && json_object_is_type(request, json_type_object))
    return request;
  json_object_put(request);
  return NULL;
}


parsed_t control_parse(front_door_t* door, client_t* client) {
  (void) door;
  const uint8_t* end = memchr(client->in, '\n', client->in_size);

  if (end == NULL && client->in_size < sizeof(client->in))
    return PARSED_MORE;
  if (end == NULL) {
    client->request_size = client->in_size;
    control_refuse(client, "the request is too long a line");
    return PARSED_LAST;
  }

  size_t size = (size_t) (end - client->in);
  client->request_size = size + 1;
  client->json = control_read((const char*) client->in, size);
  if (client->json == NULL) {
    control_refuse(client, "the request is not a line with a JSON object");
    return PARSED_ANSWER;
  }
  control_do_t what = control_do(client->json);
  if (what == CONTROL_UNKNOWN) {
    control_refuse(client, "\"do\" is none of query, tpm, stat");
    return PARSED_ANSWER;
  }
  client->is_tpm = what == CONTROL_TPM;
  return PARSED_REQUEST;
}


static void control_query(guest_vcpu_t* vcpu, client_t* client) {
  uint64_t protocol;
  uint64_t version;
  if (!control_number(client->json, "protocol", UINT32_MAX, &protocol) ||
      !control_number(client->json, "version", UINT32_MAX, &version)) {
    control_refuse(client, "query wants \"protocol\" and \"version\"");
    return;
  }

  guest_regs_t regs = {
      .rax = SVSM_CORE_QUERY_PROTOCOL,
      .rcx = protocol << 32 | version,
  };
  uint64_t began_ns = now_ns();
  uint32_t result = guest_call(vcpu, &regs);
  uint64_t took_ns = now_ns() - began_ns;

  json_object* answer = control_new();
  json_object_object_add(answer, "protocol", json_object_new_uint64(protocol));
  json_object_object_add(answer, "version", json_object_new_uint64(version));
  json_object_object_add(answer, "result", json_object_new_uint64(result));
  json_object_object_add(answer, "result_name",
                         json_object_new_string(svsm_result_name(result)));
  json_object_object_add(answer, "version_min",
                         json_object_new_uint64(regs.rcx & UINT32_MAX));
  json_object_object_add(answer, "version_max",
                         json_object_new_uint64(regs.rcx >> 32));
  json_object_object_add(answer, "ns", json_object_new_uint64(took_ns));
  json_object_object_add(answer, "vcpu",
                         json_object_new_uint64(guest_vcpu_index(vcpu)));
  control_answer(client, answer);
}


static int hex_digit(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  if (c >= 'A' && c <= 'F')
    return c - 'A' + 10;
  return -1;
}


/* Returns the number of bytes, or 0 if `text` isn't 1 to size_max of them. */
static size_t hex_read(const char* text, uint8_t* bytes, size_t size_max) {
  size_t size = strlen(text) / 2;

  if (strlen(text) % 2 != 0 || size > size_max)
    return 0;
  for (size_t i = 0; i < size; i++) {
    int high = hex_digit(text[2 * i]);
    int low = hex_digit(text[2 * i + 1]);
    if (high < 0 || low < 0)
      return 0;
    bytes[i] = (uint8_t) (high << 4 | low);
  }
  return size;
}


/* `text` has room for two digits a byte and the end. */
static void hex_write(char* text, const uint8_t* bytes, size_t size) {
  static const char digits[] = "0123456789abcdef";

  for (size_t i = 0; i < size; i++) {
    text[2 * i] = digits[bytes[i] >> 4];
    text[2 * i + 1] = digits[bytes[i] & 15u];
  }
  text[2 * size] = '\0';
}


/* answer[] takes the command, and then the response. */
static void control_tpm(front_door_t* door,
                        guest_vcpu_t* vcpu,
                        client_t* client) {
  const char* hex = control_text(client->json, "command");
  size_t size = 0;

  if (hex != NULL)
    size = hex_read(hex, client->answer, DOOR_TPM_COMMAND_SIZE_MAX);
  if (size == 0) {
    control_refuse(client, "tpm wants \"command\": 1 to 4087 bytes in hex");
    return;
  }

  uint32_t result;
  uint64_t began_ns = now_ns();
  size_t response_size =
      front_door_tpm(door, vcpu, client->answer, size, client->answer, &result);
  uint64_t took_ns = now_ns() - began_ns;
  uint32_t code = read_be32(client->answer + 6);
  client->is_retry = result == 0 && code == TPM_RC_RETRY;
  if (client->is_retry && client->retries < DOOR_RETRIES_MAX)
    return; /* the request stays as it is */

  json_object* answer = control_new();
  json_object_object_add(answer, "result", json_object_new_uint64(result));
  json_object_object_add(answer, "result_name",
                         json_object_new_string(svsm_result_name(result)));
  if (result == 0) {
    char* text = malloc(response_size * 2 + 1);
    ASSERT(text != NULL);
    hex_write(text, client->answer, response_size);
    json_object_object_add(answer, "response", json_object_new_string(text));
    explicit_bzero(text, response_size * 2);
    free(text);
    json_object_object_add(answer, "code", json_object_new_uint64(code));
  }
  json_object_object_add(answer, "ns", json_object_new_uint64(took_ns));
  json_object_object_add(answer, "vcpu",
                         json_object_new_uint64(guest_vcpu_index(vcpu)));
  control_answer(client, answer);
}


void control_call(front_door_t* door, guest_vcpu_t* vcpu, client_t* client) {
  ASSERT(client->json != NULL);

  switch (control_do(client->json)) {
    case CONTROL_QUERY:
      control_query(vcpu, client);
      break;
    case CONTROL_TPM:
      control_tpm(door, vcpu, client);
      break;
    case CONTROL_STAT: {
      json_object* answer = door->stat_cb(door);
      ASSERT(answer != NULL);
      json_object_object_add(answer, "ok", json_object_new_boolean(true));
      control_answer(client, answer);
      break;
    }
    case CONTROL_UNKNOWN:
      ASSERT(false);
  }
}

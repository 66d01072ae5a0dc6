/*
 * sim/call.c - `evsm call`: an SVSM call from the shell, made by a guest vCPU.
 *
 * With --count the same call is made over and over, one at a time, and what
 * is printed is how long it took: as the guest saw it (from VMGEXIT to the
 * answer), and there and back over the control socket.
 */
#include "sim/commands.h"

#include "runtime/base.h"
#include "sim/control.h"
#include "sim/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CALL_COUNT_MAX 10000000u
#define PROTOCOLS_KNOWN 5u /* asked when `query` names none: 0 to 4 */

static const char help[] =
    "evsm call - one SVSM call, made by a vCPU of the running guest\n"
    "\n"
    "  evsm call query [PROTOCOL[.VERSION]]  is there this protocol? (all)\n"
    "  evsm call tpm HEX                     a TPM command, as bytes in hex\n"
    "\n"
    "PROTOCOL is a number or one of core, attest, vtpm, apic, mm; VERSION is\n"
    "1 unless given.\n"
    "\n"
    "  --count N       make it N times, and print how long it took\n"
    "  --control PATH  the evsm to ask (the one started last)\n"
    "  --json          print JSON: what came, or the figures\n"
    "  --help          print this\n"
    "\n"
    "  evsm call query vtpm\n"
    "  evsm call tpm 80010000000c0000017b0008   # TPM2_GetRandom, 8 bytes\n"
    "  evsm call query 0 --count 10000\n"
    "\n"
    "Exit status: 0; 1 if nobody answers, or the SVSM refuses a TPM command;\n"
    "2 for a wrong command line.\n";

static const char* const protocol_names[PROTOCOLS_KNOWN] = {
    "core", "attest", "vtpm", "apic", "mm",
};

typedef struct {
  const char* control;
  bool is_json;
  uint64_t count; /* 0: once, and print the answer */
  int fd;
} call_t;

/* How long `count` calls took, sorted before it is read. */
typedef struct {
  uint64_t* ns;
  size_t count;
} samples_t;

static uint64_t now_ns(void) {
  struct timespec now;

  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t) now.tv_sec * 1000000000u + (uint64_t) now.tv_nsec;
}


/* "2", "2.1", "vtpm.1". Returns whether it is one. */
static bool protocol_read(const char* text,
                          uint64_t* protocol,
                          uint64_t* version) {
  char name[32];
  size_t size = strcspn(text, ".");

  *version = 1;
  if (size >= sizeof(name))
    return false;
  memcpy(name, text, size);
  name[size] = '\0';
  if (text[size] == '.' &&
      !options_number(text + size + 1, 0, UINT32_MAX, version))
    return false;
  for (uint64_t i = 0; i < PROTOCOLS_KNOWN; i++) {
    if (strcmp(name, protocol_names[i]) == 0) {
      *protocol = i;
      return true;
    }
  }
  return options_number(name, 0, UINT32_MAX, protocol);
}


/* Whole bytes in hex, at least one. Whether there are too many of them is for
 * the evsm that is asked to say. */
static bool is_hex(const char* text) {
  size_t size = strspn(text, "0123456789abcdefABCDEF");

  return size > 0 && size % 2 == 0 && text[size] == '\0';
}


static json_object* query_request(uint64_t protocol, uint64_t version) {
  json_object* request = json_object_new_object();

  json_object_object_add(request, "do", json_object_new_string("query"));
  json_object_object_add(request, "protocol", json_object_new_uint64(protocol));
  json_object_object_add(request, "version", json_object_new_uint64(version));
  return request;
}


static json_object* tpm_request(const char* hex) {
  json_object* request = json_object_new_object();

  json_object_object_add(request, "do", json_object_new_string("tpm"));
  json_object_object_add(request, "command", json_object_new_string(hex));
  return request;
}


/* ---- What came ---- */

static uint64_t number_of(json_object* answer, const char* name) {
  uint64_t number = 0;

  control_number(answer, name, UINT64_MAX, &number);
  return number;
}


static void print_query(json_object* answer) {
  uint64_t protocol = number_of(answer, "protocol");
  const char* name = protocol < PROTOCOLS_KNOWN ? protocol_names[protocol] : "";
  uint64_t max = number_of(answer, "version_max");

  printf("protocol %-2llu %-7s version %llu: ", (unsigned long long) protocol,
         name, (unsigned long long) number_of(answer, "version"));
  if (max == 0)
    printf("no");
  else
    printf("yes, %llu to %llu",
           (unsigned long long) number_of(answer, "version_min"),
           (unsigned long long) max);
  printf("  (%.1f us, vCPU %llu)\n", (double) number_of(answer, "ns") / 1000,
         (unsigned long long) number_of(answer, "vcpu"));
}


/* Returns the exit status: a refusal by the SVSM is an error. */
static int print_tpm(json_object* answer) {
  const char* response = control_text(answer, "response");

  if (response == NULL) {
    const char* name = control_text(answer, "result_name");
    fprintf(stderr, "evsm call: the SVSM refuses the call: %s\n",
            name != NULL ? name : "unknown");
    return 1;
  }
  printf("%s\n", response);
  return 0;
}


static int call_once(const call_t* call, json_object* request) {
  json_object* answer = control_ask("evsm call", call->fd, request);
  int status = 0;

  if (answer == NULL)
    return 1;
  if (call->is_json) {
    printf("%s\n",
           json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN));
    status = number_of(answer, "result") == 0 ? 0 : 1;
  } else if (control_text(answer, "result_name") != NULL &&
             json_object_object_get(answer, "protocol") != NULL)
    print_query(answer);
  else
    status = print_tpm(answer);
  json_object_put(answer);
  return status;
}


/* ---- Over and over ---- */

static int by_value(const void* a, const void* b) {
  uint64_t x = *(const uint64_t*) a;
  uint64_t y = *(const uint64_t*) b;

  return x < y ? -1 : x > y;
}


/* The value below which `per_mille` of the samples are, in us. */
static double percentile_us(const samples_t* samples, size_t per_mille) {
  ASSERT(samples->count > 0);
  size_t index = samples->count * per_mille / 1000;

  if (index >= samples->count)
    index = samples->count - 1;
  return (double) samples->ns[index] / 1000;
}


static json_object* samples_json(const samples_t* samples) {
  json_object* json = json_object_new_object();

  json_object_object_add(json, "count", json_object_new_uint64(samples->count));
  json_object_object_add(json, "p50",
                         json_object_new_double(percentile_us(samples, 500)));
  json_object_object_add(json, "p99",
                         json_object_new_double(percentile_us(samples, 990)));
  json_object_object_add(json, "p99_9",
                         json_object_new_double(percentile_us(samples, 999)));
  json_object_object_add(json, "max",
                         json_object_new_double(percentile_us(samples, 1000)));
  return json;
}


static void print_samples(const char* what, const samples_t* samples) {
  printf("%-28s %8zu %10.1f %10.1f %10.1f %10.1f\n", what, samples->count,
         percentile_us(samples, 500), percentile_us(samples, 990),
         percentile_us(samples, 999), percentile_us(samples, 1000));
}


static void print_figures(const call_t* call,
                          samples_t* guest,
                          samples_t* round_trip) {
  qsort(guest->ns, guest->count, sizeof(uint64_t), by_value);
  qsort(round_trip->ns, round_trip->count, sizeof(uint64_t), by_value);
  if (!call->is_json) {
    printf("%-28s %8s %10s %10s %10s %10s\n", "us", "count", "p50", "p99",
           "p99.9", "max");
    print_samples("the call, in the guest", guest);
    print_samples("there and back, by socket", round_trip);
    return;
  }
  json_object* json = json_object_new_object();
  json_object_object_add(json, "call_us", samples_json(guest));
  json_object_object_add(json, "round_trip_us", samples_json(round_trip));
  printf("%s\n", json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN));
  json_object_put(json);
}


static int call_often(const call_t* call, json_object* request) {
  samples_t guest = {calloc(call->count, sizeof(uint64_t)), 0};
  samples_t round_trip = {calloc(call->count, sizeof(uint64_t)), 0};
  int status = 1;

  if (guest.ns == NULL || round_trip.ns == NULL) {
    fprintf(stderr, "evsm call: out of memory; give a smaller --count\n");
    goto out;
  }
  for (uint64_t i = 0; i < call->count; i++) {
    uint64_t began_ns = now_ns();
    json_object* answer = control_ask("evsm call", call->fd, request);
    if (answer == NULL)
      goto out;
    round_trip.ns[round_trip.count++] = now_ns() - began_ns;
    guest.ns[guest.count++] = number_of(answer, "ns");
    json_object_put(answer);
  }
  print_figures(call, &guest, &round_trip);
  status = 0;

out:
  free(guest.ns);
  free(round_trip.ns);
  return status;
}


/* Make the call as often as is wanted; takes `request`. */
static int call_make(const call_t* call, json_object* request) {
  int status =
      call->count > 0 ? call_often(call, request) : call_once(call, request);

  json_object_put(request);
  return status;
}


static int call_query(const call_t* call,
                      const command_t* command,
                      const char* word) {
  uint64_t protocol = 0;
  uint64_t version = 1;

  if (word != NULL && !protocol_read(word, &protocol, &version))
    return options_wrong(command, "this is no PROTOCOL[.VERSION]:", word);
  if (word != NULL || call->count > 0)
    return call_make(call, query_request(protocol, version));
  int status = 0;
  for (protocol = 0; protocol < PROTOCOLS_KNOWN && status == 0; protocol++)
    status = call_make(call, query_request(protocol, 1));
  return status;
}


int call_main(char** argv) {
  call_t call = {0};
  const option_t options[] = {
      {.name = "--control", .text = &call.control},
      {.name = "--json", .flag = &call.is_json},
      {.name = "--count",
       .number = &call.count,
       .min = 1,
       .max = CALL_COUNT_MAX},
  };
  const command_t command = {"evsm call", help, options, ARRAY_SIZE(options),
                             2};
  const char* words[2] = {NULL, NULL};
  int status;
  int count = options_parse(&command, argv, words, &status);

  if (count < 0)
    return status;
  if (count == 0)
    return options_wrong(&command, "name a call, such as", "query");
  bool is_query = strcmp(words[0], "query") == 0;
  if (!is_query && strcmp(words[0], "tpm") != 0)
    return options_wrong(&command, "there is no call", words[0]);
  if (!is_query && count < 2)
    return options_wrong(&command, "give a TPM command in hex to", "tpm");
  if (!is_query && !is_hex(words[1]))
    return options_wrong(&command, "this is no TPM command in hex:", words[1]);

  uint64_t ignored;
  if (is_query && words[1] != NULL &&
      !protocol_read(words[1], &ignored, &ignored))
    return options_wrong(&command, "this is no PROTOCOL[.VERSION]:", words[1]);
  call.fd = control_connect("evsm call", call.control);
  if (call.fd < 0)
    return 1;
  return is_query ? call_query(&call, &command, words[1])
                  : call_make(&call, tpm_request(words[1]));
}

/*
 * tests/fuzz/fuzz_control.c - evsm's control socket, either side hostile.
 *
 * Goal:   no client stops evsm or keeps it from others, and no server stops
 *         `evsm stat` or `evsm call`, whatever bytes they send.
 * Method: the first byte says who is hostile. A client: tests/fuzz/door.h. A
 *         server: control_ask() reads what it says, and each of the commands
 *         prints what came, as tables or as JSON.
 */
#include "tests/fuzz/fuzz.h"

static FILE* nowhere; /* /dev/null: what the commands print */

#undef stderr
#define stderr nowhere
#define printf(...) fprintf(nowhere, __VA_ARGS__)

#include "tests/fuzz/door.h"

/* Names that two of these files have, each for itself. */
#define help options_help
#include "sim/options.c"
#undef help
#define now_ns call_now_ns
#define help call_help
#include "sim/call.c"
#undef help
#define help stat_help
#include "sim/stat.c"
#undef help

#define FLAG_SERVER 1u /* it is the server who is hostile */
#define FLAG_STAT 2u
#define FLAG_JSON 4u
#define FLAG_OFTEN 8u

static void stat_once(int fd) {
  json_object* request = json_object_new_object();

  json_object_object_add(request, "do", json_object_new_string("stat"));
  json_object* stat = control_ask("evsm stat", fd, request);
  json_object_put(request);
  if (stat == NULL)
    return;
  print_stat(stat);
  json_object_put(stat);
}


/* The server's bytes are the stream; ours go to fake.out. */
static void ask(uint8_t flags, const uint8_t* data, size_t size) {
  static uint8_t requests[65536];
  call_t call = {
      .is_json = (flags & FLAG_JSON) != 0,
      .count = (flags & FLAG_OFTEN) != 0 ? 3 : 0,
      .fd = 99,
  };

  memset(&fake, 0, sizeof(fake));
  fake_split_as(data, size);
  fake.in = fake.stream;
  fake.in_left = fake.stream_size;
  fake.out = requests;
  fake.waits = true;
  if ((flags & FLAG_STAT) != 0)
    stat_once(call.fd);
  else
    (void) call_make(&call, query_request(2, 1));
}


int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (nowhere == NULL)
    nowhere = fopen("/dev/null", "w");
  if (size < 2 || nowhere == NULL)
    return 0;
  if ((data[0] & FLAG_SERVER) != 0) {
    ask(data[0], data + 1, size - 1);
    return 0;
  }
  memset(&fake, 0, sizeof(fake));
  fake_serve_both(DOOR_CONTROL, data + 1, size - 1);
  return 0;
}

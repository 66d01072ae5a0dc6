/*
 * tests/fuzz/fuzz_swtpm.c - any bytes at the swtpm ports, split anyhow.
 *
 * Goal:   neither port is stopped, overread or held up by what a client sends,
 *         and TPM commands are cut where their headers say.
 * Method: tests/fuzz/door.h; and the data port's stream is cut by a second,
 *         simpler reader here, whose answers must be the same.
 */
#include "tests/fuzz/door.h"

/* How many commands there are in a stream to the data port. */
static uint64_t commands_in(const uint8_t* in, size_t size) {
  uint64_t count = 0;

  while (size >= 10) {
    uint64_t one = (uint64_t) in[2] << 24 | (uint64_t) in[3] << 16 |
                   (uint64_t) in[4] << 8 | in[5];
    if (one < 10 || one > 4087 || one > size)
      break;
    in += one;
    size -= (size_t) one;
    count++;
  }
  return count;
}


int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2)
    return 0;
  if ((data[0] & 1) != 0) {
    fake_serve_both(DOOR_CHANNEL, data + 1, size - 1);
    return 0;
  }
  fake_serve_both(DOOR_TPM, data + 1, size - 1);
  ASSERT(door.requests_total[DOOR_TPM] ==
         commands_in(fake.stream, fake.stream_size));
  return 0;
}

/*
 * tests/fuzz/fuzz_tpm.c - any bytes as TPM commands and as TPM state.
 *
 * Goal:   no command and no state blob, whatever is in it, stops the machine,
 *         is overread, or leaves memory behind.
 * Method: the first byte says what the rest is: commands at some locality, each
 *         after its size (and with its size field made right, or not), or a
 *         blob to switch the TPM on with. Each input begins with the same TPM.
 */
#include "tests/tpm_fake.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

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
      run_all(data + 1, size - 1, data[0] % 8 % 5, (data[0] & 8) != 0);
  }
  fake_end();
  return 0;
}

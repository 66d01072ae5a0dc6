/*
 * tests/unit/test_tpm_state.c - the TPM on a forged state.
 *
 * Goal:   a state blob that a hostile disk has changed stops nothing: the TPM
 *         refuses it, or fails and says so, or runs on with it, but the machine
 *         goes on and no memory is lost.
 * Method: disturb a byte of a good state, or cut it off, and switch the TPM on;
 *         for bytes all over both blobs. (Not run under valgrind: libtpms looks
 *         at a variable that it has not set when a permanent state is cut off.)
 */
#include "tests/tpm_fake.h"


static int fresh(void** state) {
  (void) state;
  fake_begin();
  return 0;
}


static int nothing_left(void** state) {
  (void) state;
  fake_end();
  return 0;
}


/* One byte of a blob is disturbed. It may be noticed or not, but the TPM
 * neither stops the machine nor keeps memory. */
static void try_disturbed(uint8_t* blob, uint32_t size, uint32_t at) {
  blob[at] ^= (uint8_t) (1 + at % 255);
  if (tpm_power_on() == 0) {
    t2_startup(&command);
    (void) run_command();
    t2_begin(&command, 0x8001, 0x181);
    t2_end(&command);
    (void) run_command();
    t2_get_random(&command, 8);
    (void) run_command();
  }
  tpm_power_off();
  (void) size;
}


static void a_disturbed_state_stops_nothing(void** state) {
  static uint8_t good[2][TPM_BLOB_SIZE_MAX];
  uint32_t size[2];

  (void) state;
  assert_int_equal(0, tpm_store_volatile());
  memcpy(good, fake.data, sizeof(good));
  memcpy(size, fake.size, sizeof(size));
  tpm_power_off();
  for (int i = 0; i < 2; i++) {
    for (uint32_t at = 0; at < size[i]; at += i == 0 ? 3 : 17) {
      memcpy(fake.data, good, sizeof(good));
      memcpy(fake.size, size, sizeof(size));
      try_disturbed(fake.data[i], size[i], at);
      fake.size[i] = at; /* cut off there; 0 is none at all */
      (void) tpm_power_on();
      tpm_power_off();
    }
  }
  memcpy(fake.data, good, sizeof(good));
  memcpy(fake.size, size, sizeof(size));
  assert_int_equal(0, tpm_power_on());
  assert_int_equal(
      UV_EINVAL,
      (tpm_power_off(), tpm_set_state(TPM_BLOB_PERMANENT, good[1], size[1])));
  assert_int_equal(UV_EINVAL, tpm_set_state(TPM_BLOB_PERMANENT, NULL, 0));
}


int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_disturbed_state_stops_nothing, fresh,
                                      nothing_left),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * tests/unit/test_result.c - no failure reads as success.
 *
 * Goal:   every error of ours becomes a result code, the codes are the ones on
 *         the wire, and what is unknown is an error.
 * Method: all of libuv's numbers and then some; the specification's table.
 */
#include "tests/unit/unit.h"

#include "handlers/result.c" /* the unit under test */

static void no_error_becomes_success(void** state) {
  (void) state;

  assert_int_equal(SVSM_SUCCESS, svsm_result_from_uv(0));
  for (int err = -5000; err < 0; err++)
    assert_int_not_equal(SVSM_SUCCESS, svsm_result_from_uv(err));
  for (int err = 1; err < 100; err++)
    assert_int_equal(SVSM_INVALID_REQUEST, svsm_result_from_uv(err));
  assert_int_equal(SVSM_INVALID_ADDRESS, svsm_result_from_uv(UV_EFAULT));
  assert_int_equal(SVSM_INVALID_PARAMETER, svsm_result_from_uv(UV_EINVAL));
}


static void codes_are_those_of_the_specification(void** state) {
  (void) state;

  assert_int_equal(0, svsm_result_wire(SVSM_SUCCESS));
  assert_int_equal(0x80000000u, svsm_result_wire(SVSM_INCOMPLETE));
  assert_int_equal(0x80000001u, svsm_result_wire(SVSM_UNSUPPORTED_PROTOCOL));
  assert_int_equal(0x80000004u, svsm_result_wire(SVSM_INVALID_FORMAT));
  assert_int_equal(0x80000007u, svsm_result_wire(SVSM_BUSY));
  for (uint32_t i = 1; i < SVSM_RESULT_COUNT; i++)
    assert_true(svsm_result_wire((svsm_result_t) i) >> 31 == 1);
}


static void what_the_rmp_says_is_passed_on(void** state) {
  (void) state;

  assert_int_equal(0, svsm_result_rmp(0));
  assert_int_equal(0x80001006u, svsm_result_rmp(6));
  assert_int_equal(0x8000100Fu, svsm_result_rmp(15));
  assert_int_equal(0x80001011u, svsm_result_rmp(16)); /* not 0x80001010 */
  assert_int_equal(0x80001011u, svsm_result_rmp(UINT32_MAX));
}


static void results_have_names(void** state) {
  (void) state;

  assert_string_equal("INVALID_ADDRESS", svsm_result_name(0x80000003u));
  assert_string_equal("SUCCESS", svsm_result_name(0));
  assert_string_equal("unknown", svsm_result_name(0x12345678));
}


int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(no_error_becomes_success),
      cmocka_unit_test(codes_are_those_of_the_specification),
      cmocka_unit_test(what_the_rmp_says_is_passed_on),
      cmocka_unit_test(results_have_names),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}

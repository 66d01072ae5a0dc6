/*
 * tests/unit/test_error.c - names and messages of errors.
 *
 * Goal:   the texts for what no table knows, and any size of buffer.
 * Method: a table of codes; every size from nothing to more than enough.
 *         What the tables say is compared with libuv's in tests/compat.
 */
#include "tests/unit/unit.h"

#include "runtime/error.c"

static void unknown_codes_have_a_text(void** state) {
  (void) state;
  static const struct {
    int err;
    const char* text;
  } cases[] = {
      {0, "Unknown system error 0"},
      {1, "Unknown system error 1"},
      {-5000, "Unknown system error -5000"},
      {2147483647, "Unknown system error 2147483647"},
      {-2147483647 - 1, "Unknown system error -2147483648"},
  };

  for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
    assert_string_equal(cases[i].text, uv_strerror(cases[i].err));
    assert_string_equal(cases[i].text, uv_err_name(cases[i].err));
  }
  const char* first = uv_strerror(-7001);
  const char* second = uv_strerror(-7002);
  assert_string_equal("Unknown system error -7001", first);
  assert_string_equal("Unknown system error -7002", second);
}


static void texts_are_cut_to_their_buffer(void** state) {
  (void) state;
  static const char* const whole[] = {"EINVAL", "invalid argument",
                                      "Unknown system error 77"};

  for (size_t size = 0; size < 40; size++) {
    for (unsigned i = 0; i < ARRAY_SIZE(whole); i++) {
      char buf[41];
      size_t length = strlen(whole[i]);

      memset(buf, '#', sizeof(buf));
      char* (*get)(int, char*, size_t) = i == 0 ? uv_err_name_r : uv_strerror_r;
      assert_ptr_equal(buf, get(i == 2 ? 77 : UV_EINVAL, buf, size));
      if (size == 0) {
        assert_int_equal('#', buf[0]);
        continue;
      }
      size_t kept = length < size - 1 ? length : size - 1;
      assert_memory_equal(whole[i], buf, kept);
      assert_int_equal('\0', buf[kept]);
      assert_int_equal('#', buf[size]);
    }
  }
}


static void the_version_is_libuvs(void** state) {
  (void) state;
  assert_string_equal("1.44.2", uv_version_string());
  assert_int_equal(0x012c02, uv_version());
}


int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(unknown_codes_have_a_text),
      cmocka_unit_test(texts_are_cut_to_their_buffer),
      cmocka_unit_test(the_version_is_libuvs),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * tests/unit/test_libc.c - the C library that libtpms gets.
 *
 * Goal:   what libtpms uses of it does what the host's does, and the rest
 *         answers that there are no files, without reaching the host.
 * Method: the same calls on both sides, at the edges of each.
 */
#include "tests/unit/unit.h"

#include "crypto/libcrypto/libc.c"


__attribute__((format(printf, 2, 3))) static int ours(char* dst,
                                                      const char* format,
                                                      ...) {
  va_list args;

  va_start(args, format);
  int count = libc_vsnprintf(dst, 64, format, args);
  va_end(args);
  return count;
}

#define SAME(...)                                         \
  do {                                                    \
    char a[64];                                           \
    char b[64];                                           \
    assert_int_equal(snprintf(b, sizeof(b), __VA_ARGS__), \
                     ours(a, __VA_ARGS__));               \
    assert_string_equal(b, a);                            \
  } while (0)


static void formats_as_the_hosts(void** state) {
  (void) state;
  SAME("plain");
  SAME("%s|%5s|%-5s|%.2s|%c|%%", "abc", "abc", "abc", "abc", 'x');
  SAME("%d %i %u", -5, INT32_MIN, UINT32_MAX);
  SAME("%x %X %08X %-8x|", 0xabcu, 0xabcu, 0xabcu, 0xabcu);
  SAME("%5d|%-5d|%05d|%.3d", 42, 42, 42, 42);
  SAME("%ld %lu %llx %zu", -1L, 1ul << 63, ~0ull, (size_t) 7);
  SAME("%hhx %hd %hu", (unsigned char) 0x34, (short) -2,
       (unsigned short) 65535);
  SAME("%*d|%.*s", 6, 3, 2, "xyz");
}


static void asprintf_gives_a_block(void** state) {
  char* text = NULL;
  libc_arena_stat_t stat;

  (void) state;
  assert_int_equal(5, libc_asprintf_chk(&text, 1, "%s%d", "abc", 42));
  assert_string_equal("abc42", text);
  libc_free(text);
  char* copy = libc_strdup("x");
  assert_string_equal("x", copy);
  libc_free(copy);
  libc_arena_stat(&stat);
  assert_int_equal(0, stat.blocks);
}


static void strings_compare_as_the_hosts(void** state) {
  static const char* const s[] = {"", "a", "ab", "abc", "b", "\xff", "aab"};

  (void) state;
  for (size_t i = 0; i < ARRAY_SIZE(s); i++)
    for (size_t k = 0; k < ARRAY_SIZE(s); k++) {
      int expected = strcmp(s[i], s[k]);
      int got = libc_strcmp(s[i], s[k]);
      assert_int_equal(expected > 0, got > 0);
      assert_int_equal(expected < 0, got < 0);
      assert_ptr_equal(strstr(s[i], s[k]), libc_strstr(s[i], s[k]));
    }
}


static void there_are_no_files(void** state) {
  (void) state;
  assert_null(libc_fopen("/etc/passwd", "r"));
  assert_int_equal(0, libc_fread(NULL, 1, 1, NULL));
  assert_int_equal(0, libc_fwrite("x", 1, 1, NULL));
  assert_true(libc_fclose(NULL) != 0);
  assert_true(libc_fflush(NULL) != 0);
  assert_true(libc_fseek(NULL, 0, 0) != 0);
  assert_true(libc_ftell(NULL) < 0);
  assert_true(libc_remove("/nothing") != 0);
  assert_null(libc_getenv("PATH"));
  assert_int_equal(0, *libc_errno_location());
  assert_non_null(libc_strerror(0));
  assert_int_equal(0, (*libc_ctype_b_loc())['A']);
  assert_int_equal(0, (*libc_ctype_b_loc())[-128]);
  assert_null(libc_stderr);
  assert_int_equal(0, libc_dprintf_chk(1, 0, "x"));
}


static void what_does_not_fit_stops_the_machine(void** state) {
  char small[4];

  (void) state;
  assert_ptr_equal(small, libc_memcpy_chk(small, "abcd", 4, 4));
  expect_assert_failure(libc_memcpy_chk(small, "abcde", 5, 4));
  expect_assert_failure(libc_memset_chk(small, 0, 5, 4));
  expect_assert_failure(libc_snprintf_chk(small, 5, 0, 4, "x"));
  assert_int_equal(5, libc_snprintf_chk(small, 4, 0, 4, "%d", 12345));
  assert_string_equal("123", small);
  expect_assert_failure(libc_assert_fail("x", "f.c", 1, "f"));
  expect_assert_failure(libc_stack_chk_fail());
}


int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(formats_as_the_hosts),
      cmocka_unit_test(asprintf_gives_a_block),
      cmocka_unit_test(strings_compare_as_the_hosts),
      cmocka_unit_test(there_are_no_files),
      cmocka_unit_test(what_does_not_fit_stops_the_machine),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

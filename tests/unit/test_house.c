/*
 * tests/unit/test_house.c - the words of runtime/base.h.
 *
 * Goal:   the macros that every file uses mean what they say.
 * Method: use each on a case whose answer is plain.
 */
#include "tests/unit/unit.h"

typedef struct {
  int first;
  int second;
} pair_t;

static void container_of_finds_the_owner(void** state) {
  (void) state;
  pair_t pair = {1, 2};

  assert_ptr_equal(&pair, container_of(&pair.second, pair_t, second));
  assert_ptr_equal(&pair, container_of(&pair.first, pair_t, first));
}


static void array_size_counts_elements(void** state) {
  (void) state;
  uint16_t three[3] = {0};

  assert_int_equal(3, ARRAY_SIZE(three));
  assert_int_equal(6, sizeof(three));
}


static void fail_an_assert(int x) {
  ASSERT(x == 1);
}


static void assert_stops_on_a_mistake_only(void** state) {
  (void) state;

  fail_an_assert(1);
  expect_assert_failure(fail_an_assert(2));
}


int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(container_of_finds_the_owner),
      cmocka_unit_test(array_size_counts_elements),
      cmocka_unit_test(assert_stops_on_a_mistake_only),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}

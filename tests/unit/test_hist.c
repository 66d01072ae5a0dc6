/*
 * tests/unit/test_hist.c - a histogram tells what was put into it.
 *
 * Goal:   count, sum and maximum are exact; percentiles are off by no more
 *         than 1/32; no value falls out of the buckets.
 * Method: every bucket's edges, and sets of values whose percentiles are
 *         known.
 */
#include "tests/unit/unit.h"

#include "handlers/hist.c" /* the unit under test */

static hist_t hist;
static hist_t other;

static void buckets_are_in_order_without_gaps(void** state) {
  (void) state;
  uint32_t last = 0;

  for (uint32_t bit = 0; bit < 64; bit++) {
    for (uint64_t sub = 0; sub < 64; sub++) {
      uint64_t value = ((uint64_t) 1 << bit) + (sub << bit) / 64;
      uint32_t bucket = hist_bucket(value);
      assert_true(bucket < HIST_BUCKETS);
      assert_true(bucket >= last);
      last = bucket;
      uint64_t back = hist_value(bucket);
      uint64_t off = back > value ? back - value : value - back;
      if (bit < HIST_VALUE_BITS)
        assert_true(off <= value / 32 + 1);
    }
  }
  assert_int_equal(HIST_BUCKETS - 1, last);
  assert_int_equal(HIST_BUCKETS - 1, hist_bucket(UINT64_MAX));
}


static void percentiles_are_close(void** state) {
  (void) state;
  hist_summary_t s;

  hist_clear(&hist);
  for (uint64_t i = 1; i <= 10000; i++)
    hist_add(&hist, i * 1000);
  hist_summarize(&hist, &s);
  assert_int_equal(10000, s.count);
  assert_int_equal(10000000, s.max_ns);
  assert_int_equal(50005000000, s.sum_ns);
  assert_in_range(s.p50_ns, 5000000 - 170000, 5000000 + 170000);
  assert_in_range(s.p99_ns, 9900000 - 320000, 9900000 + 320000);
  assert_in_range(s.p999_ns, 9990000 - 320000, 10000000);
}


static void a_sum_of_histograms_has_all(void** state) {
  (void) state;
  hist_summary_t s;

  hist_clear(&hist);
  hist_clear(&other);
  hist_add(&hist, 7);
  hist_add(&other, 900000000000ull); /* longer than the last bucket */
  hist_merge(&hist, &other);
  hist_summarize(&hist, &s);
  assert_int_equal(2, s.count);
  assert_int_equal(7, s.p50_ns);
  assert_int_equal(900000000000ull, s.max_ns);
}


static void an_empty_one_is_all_zero(void** state) {
  (void) state;
  hist_summary_t s;

  hist_clear(&hist);
  hist_summarize(&hist, &s);
  assert_int_equal(0, s.count);
  assert_int_equal(0, s.p999_ns);
  assert_int_equal(0, s.max_ns);
}


int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(buckets_are_in_order_without_gaps),
      cmocka_unit_test(percentiles_are_close),
      cmocka_unit_test(a_sum_of_histograms_has_all),
      cmocka_unit_test(an_empty_one_is_all_zero),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * tests/unit/test_service_stats.c - who is to blame for a late entry.
 *
 * Goal:   an entry is past its budget only by what the firmware itself took;
 *         what the host took of the CPU is told apart, and never made up.
 * Method: entries on a clock that is a number, with a host that steals.
 */
#include "tests/unit/unit.h"

#include "handlers/hist.c"
#include "handlers/service_stats.c" /* the unit under test */
#include "runtime/trace.c"

#define US 1000u /* ns */
#define BUDGET_US 1000u

static uint64_t clock_now_ns;
static uint64_t stolen_so_far_ns;
static service_stats_t stats;

uint64_t arch_clock_ns(void) {
  return clock_now_ns;
}


uint64_t arch_stolen_ns(void) {
  return stolen_so_far_ns;
}


uint64_t arch_stamp(void) {
  return 0;
}


uint32_t arch_cpu(void) {
  return ARCH_CPU_NONE; /* no trace ring */
}


bool arch_interrupts_close(void) {
  return false;
}


void arch_interrupts_open(void) {
}


dispatch_counts_t dispatch_counts(uint32_t cpu) {
  (void) cpu;
  return (dispatch_counts_t){0};
}


/* One entry: a handler, then a job. `stolen_us` is a part of the job's time. */
static void entry(uint32_t call_us, uint32_t job_us, uint32_t stolen_us) {
  service_entry_t e = {
      .began_ns = clock_now_ns,
      .mark_ns = clock_now_ns,
      .deadline_ns = clock_now_ns + BUDGET_US * US,
      .protocol = 2,
  };

  clock_now_ns += call_us * US;
  service_stats_part(&e, SERVICE_DOING_CALL);
  service_stats_long(0, &e);
  clock_now_ns += job_us * US;
  stolen_so_far_ns += stolen_us * US;
  service_stats_part(&e, SERVICE_DOING_JOB);
  clock_now_ns += US;
  service_stats_part(&e, SERVICE_DOING_CALL); /* is it answered? */
  service_stats_entry(0, &e, clock_now_ns, true);
  service_stats(0, &stats);
}


static int start(void** state) {
  (void) state;
  clock_now_ns = 1;
  stolen_so_far_ns = 0;
  service_stats_init(BUDGET_US * US);
  return 0;
}


static void what_the_host_took_is_no_overrun(void** state) {
  (void) state;
  entry(10, 3000, 2500);
  assert_int_equal(3011 * US, stats.residency.max_ns);
  assert_int_equal(511 * US, stats.held.max_ns);
  assert_int_equal(0, stats.overrun.count);
  assert_int_equal(3011 * US, stats.worst_ns);
  assert_int_equal(2500 * US, stats.worst_stolen_ns);
}


static void what_we_took_is_one_and_names_the_longest_part(void** state) {
  (void) state;
  entry(10, 3000, 500);
  assert_int_equal(2511 * US, stats.held.max_ns);
  assert_int_equal(1, stats.overrun.count);
  assert_int_equal(1511 * US, stats.overrun.max_ns);
  assert_int_equal(1, stats.overruns[SERVICE_DOING_JOB]);
  entry(1500, 10, 0);
  assert_int_equal(2, stats.overrun.count);
  assert_int_equal(1, stats.overruns[SERVICE_DOING_CALL]);
}


static void the_budget_itself_is_within_it(void** state) {
  (void) state;
  entry(499, 500, 0);
  assert_int_equal(0, stats.overrun.count);
  entry(499, 501, 0);
  assert_int_equal(1, stats.overrun.count);
  assert_int_equal(US, stats.overrun.max_ns);
}


static void no_more_is_stolen_than_there_was(void** state) {
  (void) state;
  service_entry_t e = {.began_ns = clock_now_ns,
                       .mark_ns = clock_now_ns,
                       .deadline_ns = clock_now_ns + BUDGET_US * US};

  /* Never helped: all that was taken since the last halt is in question. */
  service_stats_watch(0);
  stolen_so_far_ns += 9000 * US;
  clock_now_ns += 2000 * US;
  service_stats_entry(0, &e, clock_now_ns, true);
  service_stats(0, &stats);
  assert_int_equal(0, stats.held.max_ns);
  assert_int_equal(2000 * US, stats.residency.max_ns);

  entry(0, 2000, 0); /* and it is not counted twice */
  assert_int_equal(2001 * US, stats.held.max_ns);
}


static void what_was_taken_before_the_help_counts_up_to_the_handler(
    void** state) {
  (void) state;
  service_stats_watch(0);
  stolen_so_far_ns += 700 * US; /* of the handler's 800, and of the guest */
  entry(800, 900, 100);
  assert_int_equal(1701 * US, stats.residency.max_ns);
  assert_int_equal(901 * US, stats.held.max_ns);

  stolen_so_far_ns += 9000 * US; /* mostly while the guest ran */
  entry(10, 2000, 0);
  assert_int_equal(2001 * US, stats.held.max_ns);
}


int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(what_the_host_took_is_no_overrun, start),
      cmocka_unit_test_setup(what_we_took_is_one_and_names_the_longest_part,
                             start),
      cmocka_unit_test_setup(the_budget_itself_is_within_it, start),
      cmocka_unit_test_setup(
          what_was_taken_before_the_help_counts_up_to_the_handler, start),
      cmocka_unit_test_setup(no_more_is_stolen_than_there_was, start),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Goal:   a job that was chosen just before a better one came gives way at
 *         once, one before an equal came after its slice, and one before a
 *         lesser came not at all.
 * Method: put a CPU into the moment between choosing a job and entering it,
 *         let another become ready, and look at what its timer is set to.
 */
#include "tests/unit/unit.h"

#include "tests/unit/machine.h"

#include "runtime/cpu.c" /* the unit under test, statics and all */

static struct {
  uvx_job_priority_t priority; /* of the job that comes late */
  uint64_t now_ns;
  uint64_t timer_ns;
  uvx_job_t chosen;
  uvx_job_t late;
  uint32_t done_count;
} moment;


static void run_nothing(uvx_job_t* job) {
  (void) job;
}


static void on_done(uvx_job_t* job, int status) {
  ASSERT(status == 0);
  MAYBE(job == &moment.late);
  if (++moment.done_count == 2)
    machine_stop();
}


static void boot_moment(uint32_t index) {
  cpu_t* cpu = &cpus[index];
  int err = uvx_job_submit(&cpu->loop, &moment.chosen, UVX_JOB_NORMAL,
                           run_nothing, on_done);
  ASSERT(err == 0);
  ASSERT(uv__job_claim(NULL, index) == &moment.chosen);
  err = uvx_job_submit(&cpu->loop, &moment.late, moment.priority, run_nothing,
                       on_done);
  ASSERT(err == 0);

  moment.now_ns = arch_clock_ns();
  cpu->job = &moment.chosen;
  cpu->asked = false;
  cpu->deadline_ns = ARCH_FOREVER;
  cpu->due_ns = ARCH_FOREVER;
  cpu->slice_ns = moment.now_ns + UVX_SLICE_US * 1000u;
  cpu_stay(cpu, moment.now_ns);
  moment.timer_ns = cpu->timer_ns;

  cpu->job = NULL;
  atomic_store(&cpu->place, PLACE_NONE);
  uv__job_put_back(&moment.chosen, true);
}


static uint64_t timer_after(uvx_job_priority_t priority) {
  memset(&moment, 0, sizeof(moment));
  moment.priority = priority;
  machine_run(1, boot_moment);
  return moment.timer_ns == ARCH_FOREVER ? ARCH_FOREVER
                                         : moment.timer_ns - moment.now_ns;
}


static void better_job_that_just_came_interrupts_at_once(void** state) {
  (void) state;
  assert_int_equal(0, timer_after(UVX_JOB_HIGH));
}


static void equal_job_that_just_came_waits_for_a_slice(void** state) {
  (void) state;
  assert_int_equal(UVX_SLICE_US * 1000u, timer_after(UVX_JOB_NORMAL));
}


static void lesser_job_sets_no_timer(void** state) {
  (void) state;
  assert_true(timer_after(UVX_JOB_IDLE) == ARCH_FOREVER);
}


int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(better_job_that_just_came_interrupts_at_once),
      cmocka_unit_test(equal_job_that_just_came_waits_for_a_slice),
      cmocka_unit_test(lesser_job_sets_no_timer),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}

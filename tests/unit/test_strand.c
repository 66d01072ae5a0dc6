/*
 * Goal:   tasks of a strand run one at a time, none is lost, those of one
 *         poster in the order of its posts - from whichever CPUs they come.
 * Method: four CPUs post thousands of tasks each; some tasks are over at once,
 *         some keep the strand until a job has ended, some are released by
 *         another CPU. A counter that only a task may hold shows overlaps.
 */
#include "tests/unit/unit.h"

#include "tests/unit/machine.h"

#define CPUS 4u
#define TASKS 3000u /* of each CPU */

typedef struct {
  uvx_task_t task;
  uvx_job_t job;
  uint32_t cpu;
  uint32_t index;
} post_t;

static uvx_strand_t strand;
static post_t posts[CPUS][TASKS];
static uint32_t next_of[CPUS]; /* only a task touches these two: */
static uint32_t run_count;     /* TSan sees it if two do at once */
static _Atomic uint32_t holders;
static _Atomic uint32_t bad;
static uint32_t posted[CPUS];
static uv_async_t hand_over[CPUS]; /* releases on another CPU */


static void leave(void) {
  bool last = ++run_count == CPUS * TASKS;

  atomic_fetch_sub(&holders, 1);
  uvx_strand_release(&strand);
  if (last)
    machine_stop();
}


static void on_hand_over(uv_async_t* async) {
  (void) async;
  leave();
}


static void run_job(uvx_job_t* job) {
  (void) job;
}


static void on_job_done(uvx_job_t* job, int status) {
  (void) job;
  (void) status;
  leave();
}


static void on_task(uvx_task_t* task) {
  post_t* post = container_of(task, post_t, task);

  if (atomic_fetch_add(&holders, 1) != 0)
    bad++;
  if (next_of[post->cpu]++ != post->index)
    bad++;
  switch (post->index % 8) {
    case 3: {
      int err = uvx_job_submit(uvx_cpu_loop(arch_cpu()), &post->job,
                               UVX_JOB_HIGH, run_job, on_job_done);
      ASSERT(err == 0);
      break;
    }
    case 6:
      uv_async_send(&hand_over[(arch_cpu() + 1) % CPUS]);
      break;
    default:
      leave();
  }
}


/* A few in each turn, so that posts and runs mix. */
static void on_idle(uv_idle_t* idle) {
  uint32_t cpu = arch_cpu();

  for (uint32_t i = 0; i < 7 && posted[cpu] < TASKS; i++) {
    post_t* post = &posts[cpu][posted[cpu]];
    post->cpu = cpu;
    post->index = posted[cpu]++;
    uvx_strand_post(&strand, &post->task, on_task);
  }
  if (posted[cpu] == TASKS)
    uv_close((uv_handle_t*) idle, NULL);
}


static _Atomic uint32_t ready;


static void on_stop(uv_prepare_t* prepare) {
  uint32_t cpu = arch_cpu();

  if (!atomic_load(&machine.stop))
    return;
  uv_close((uv_handle_t*) &hand_over[cpu], NULL);
  uv_close((uv_handle_t*) prepare, NULL);
}


static void boot(uint32_t cpu) {
  static uv_idle_t idle[CPUS];
  static uv_prepare_t prepare[CPUS];
  uv_loop_t* loop = uvx_cpu_loop(cpu);

  uv_async_init(loop, &hand_over[cpu], on_hand_over);
  uv_prepare_init(loop, &prepare[cpu]);
  uv_prepare_start(&prepare[cpu], on_stop);
  uv_idle_init(loop, &idle[cpu]);
  uv_idle_start(&idle[cpu], on_idle);
  atomic_fetch_add(&ready, 1);
  while (atomic_load(&ready) < CPUS) /* for all hand_over to be there */
    arch_relax();
}


static void tasks_run_one_at_a_time_in_order(void** state) {
  (void) state;
  uvx_strand_init(&strand);
  machine_run(CPUS, boot);

  assert_int_equal(0, bad);
  assert_int_equal(CPUS * TASKS, run_count);
  for (uint32_t i = 0; i < CPUS; i++)
    assert_int_equal(TASKS, next_of[i]);
}


/* ---- Never inside the post ---- */

static uvx_task_t lone[3];
static uint32_t lone_runs;


static void on_lone(uvx_task_t* task) {
  lone_runs++;
  if (task == &lone[0]) {
    uvx_strand_post(&strand, &lone[1], on_lone);
    ASSERT(lone_runs == 1);
  }
  if (task == &lone[1]) {
    uvx_strand_release(&strand);
    uvx_strand_post(&strand, &lone[2], on_lone);
    ASSERT(lone_runs == 2);
    return;
  }
  uvx_strand_release(&strand);
  if (task == &lone[2])
    machine_stop();
}


static void boot_lone(uint32_t cpu) {
  (void) cpu;
  uvx_strand_post(&strand, &lone[0], on_lone);
  ASSERT(lone_runs == 0);
}


static void post_never_runs_the_task_itself(void** state) {
  (void) state;
  uvx_strand_init(&strand);
  machine_run(1, boot_lone);
  assert_int_equal(3, lone_runs);
}


int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(tasks_run_one_at_a_time_in_order),
      cmocka_unit_test(post_never_runs_the_task_itself),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}

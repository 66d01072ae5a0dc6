/*
 * Goal:   a job is called back exactly once, in its own loop, and what is
 *         asked of jobs - order, priority, parking, taking back - holds while
 *         several CPUs run them.
 * Method: real CPUs (threads) and jobs that spin until something has happened
 *         that must be able to happen: if it can't, the test hangs and its
 *         time-out tells. Nothing depends on how fast anything is.
 */
#include "tests/unit/unit.h"

#include "tests/unit/machine.h"

#define JOBS_MANY (3u * JOBS_RUNNING_MAX)

typedef struct {
  uvx_job_t job;
  uvx_wait_t wait;
  _Atomic uint32_t runs;
  _Atomic uint32_t dones;
  int status; /* of done_cb */
  int answer; /* of uvx_job_await() */
  uint32_t cpu_done;
} task_t;

static task_t tasks[JOBS_MANY];
static _Atomic uint32_t done_count;
static uint32_t done_order[JOBS_MANY];
static uint32_t done_wanted; /* the machine stops at so many */
static _Atomic uint32_t flag;


static void reset(uint32_t wanted) {
  memset(tasks, 0, sizeof(tasks));
  done_count = 0;
  done_wanted = wanted;
  flag = 0;
  machine.slice_ns = 0;
}


static void on_done(uvx_job_t* job, int status) {
  task_t* task = container_of(job, task_t, job);
  uint32_t before = atomic_fetch_add(&done_count, 1);

  task->status = status;
  task->dones++;
  task->cpu_done = arch_cpu();
  done_order[before] = (uint32_t) (task - tasks);
  if (before + 1 == done_wanted)
    machine_stop();
}


static void run_short(uvx_job_t* job) {
  container_of(job, task_t, job)->runs++;
}


static void submit(uint32_t cpu,
                   uint32_t index,
                   uvx_job_priority_t priority,
                   uvx_job_cb work) {
  int err = uvx_job_submit(uvx_cpu_loop(cpu), &tasks[index].job, priority, work,
                           on_done);
  ASSERT(err == 0);
}


/* Spin until the flag has this bit; give way where nothing preempts. */
static void spin_until(uint32_t bit) {
  while ((atomic_load(&flag) & bit) == 0)
    uvx_job_checkpoint();
}


/* ---- Once, and at home ---- */

static void boot_once(uint32_t cpu) {
  for (uint32_t i = cpu; i < JOBS_MANY; i += 4)
    submit(cpu, i, (uvx_job_priority_t) (i % 3), run_short);
}


static void job_is_called_back_once_in_its_own_loop(void** state) {
  (void) state;
  reset(JOBS_MANY);
  machine_run(4, boot_once);

  for (uint32_t i = 0; i < JOBS_MANY; i++) {
    assert_int_equal(1, tasks[i].runs);
    assert_int_equal(1, tasks[i].dones);
    assert_int_equal(0, tasks[i].status);
    assert_int_equal(i % 4, tasks[i].cpu_done);
    assert_int_equal(UVX_JOB_REST, tasks[i].job.state);
  }
}


static void job_without_work_is_refused(void** state) {
  (void) state;
  uvx_job_t job;
  assert_int_equal(UV_EINVAL,
                   uvx_job_submit(NULL, &job, UVX_JOB_NORMAL, NULL, on_done));
}


/* ---- Order and priority ---- */

static void boot_order(uint32_t cpu) {
  static const uvx_job_priority_t order[] = {UVX_JOB_IDLE,   UVX_JOB_NORMAL,
                                             UVX_JOB_HIGH,   UVX_JOB_IDLE,
                                             UVX_JOB_NORMAL, UVX_JOB_HIGH};

  for (uint32_t i = 0; i < ARRAY_SIZE(order); i++)
    submit(cpu, i, order[i], run_short);
}


static void jobs_run_by_priority_then_in_order(void** state) {
  (void) state;
  static const uint32_t wanted[] = {2, 5, 1, 4, 0, 3};

  reset(ARRAY_SIZE(wanted));
  machine_run(1, boot_order);
  assert_memory_equal(wanted, done_order, sizeof(wanted));
}


static void run_until_1(uvx_job_t* job) {
  (void) job;
  spin_until(1);
}


static void run_set_1(uvx_job_t* job) {
  (void) job;
  atomic_fetch_or(&flag, 1);
}


static void run_park_then_set_1(uvx_job_t* job) {
  task_t* task = container_of(job, task_t, job);

  atomic_fetch_or(&flag, 2);
  task->answer = uvx_job_await(&task->wait);
  atomic_fetch_or(&flag, 1);
}


/* A host thread that is no CPU: a device. Waits until the job in [0] is about
 * to park and all CPUs are in jobs that spin, then lets it go on. */
static void* device_wakes_0(void* arg) {
  (void) arg;
  while ((atomic_load(&flag) & 2) == 0)
    arch_relax();
  while (tasks[0].job.state != UVX_JOB_PARKED || tasks[1].runs == 0 ||
         tasks[2].runs == 0)
    arch_relax();
  uvx_wait_done(&tasks[0].wait, -7);
  return NULL;
}


static void run_spin_told(uvx_job_t* job) {
  container_of(job, task_t, job)->runs++;
  spin_until(1);
}


static uvx_job_priority_t priority_of_0;


static void boot_busy(uint32_t cpu) {
  if (cpu != 0)
    return;
  submit(0, 0, priority_of_0, run_park_then_set_1);
  submit(0, 1, UVX_JOB_NORMAL, run_spin_told);
  submit(0, 2, UVX_JOB_NORMAL, run_spin_told);
}


static void all_cpus_spin_until_0_has_run(uvx_job_priority_t priority) {
  pthread_t device;

  reset(3);
  priority_of_0 = priority;
  assert_int_equal(0, pthread_create(&device, NULL, device_wakes_0, NULL));
  machine_run(2, boot_busy);
  pthread_join(device, NULL);
  assert_int_equal(-7, tasks[0].answer);
}


static void better_job_takes_the_place_of_a_running_one(void** state) {
  (void) state;
  all_cpus_spin_until_0_has_run(UVX_JOB_HIGH);
}


static void equal_job_gets_its_slice_though_no_timer_ran(void** state) {
  (void) state;
  all_cpus_spin_until_0_has_run(UVX_JOB_NORMAL);
}


static void boot_slices(uint32_t cpu) {
  submit(cpu, 0, UVX_JOB_NORMAL, run_until_1);
  submit(cpu, 1, UVX_JOB_NORMAL, run_set_1);
}


static void equal_jobs_share_one_cpu_by_slices(void** state) {
  (void) state;
  reset(2);
  machine_run(1, boot_slices);
  assert_int_equal(1, done_order[0]);
}


static void run_yield(uvx_job_t* job) {
  (void) job;
  while (atomic_load(&flag) == 0)
    uvx_job_yield();
}


static void boot_yield(uint32_t cpu) {
  submit(cpu, 0, UVX_JOB_NORMAL, run_yield);
  submit(cpu, 1, UVX_JOB_NORMAL, run_set_1);
}


static void job_that_yields_lets_its_equal_run(void** state) {
  (void) state;
  reset(2);
  machine_run(1, boot_yield);
  assert_int_equal(1, done_order[0]);
}


/* ---- Events go first ---- */

static void on_timer(uv_timer_t* timer) {
  atomic_fetch_or(&flag, 1);
  uv_close((uv_handle_t*) timer, NULL);
}


static void boot_timer(uint32_t cpu) {
  static uv_timer_t timer;

  uv_timer_init(uvx_cpu_loop(cpu), &timer);
  uv_timer_start(&timer, on_timer, 2, 0);
  submit(cpu, 0, UVX_JOB_HIGH, run_until_1);
}


static void timer_of_the_loop_interrupts_a_job(void** state) {
  (void) state;
  reset(1);
  machine_run(1, boot_timer);
  assert_int_equal(1, tasks[0].dones);
}


static uv_async_t async;


static void on_async(uv_async_t* handle) {
  atomic_fetch_or(&flag, 1);
  uv_close((uv_handle_t*) handle, NULL);
}


static void* device_sends(void* arg) {
  (void) arg;
  while (tasks[0].runs == 0)
    arch_relax();
  uv_async_send(&async);
  return NULL;
}


static void boot_async(uint32_t cpu) {
  uv_async_init(uvx_cpu_loop(cpu), &async, on_async);
  submit(cpu, 0, UVX_JOB_HIGH, run_spin_told);
}


static void send_from_a_host_thread_interrupts_a_job(void** state) {
  (void) state;
  pthread_t device;

  reset(1);
  assert_int_equal(0, pthread_create(&device, NULL, device_sends, NULL));
  machine_run(1, boot_async);
  pthread_join(device, NULL);
  assert_int_equal(1, tasks[0].dones);
}


/* ---- By name ---- */

static uvx_ran_t ran[8];


static void boot_by_name(uint32_t cpu) {
  if (cpu == 1) {
    while (tasks[0].runs == 0)
      arch_relax();
    ran[0] = uvx_job_run(&tasks[0].job, ARCH_FOREVER); /* runs elsewhere */
    atomic_fetch_or(&flag, 1);
    return;
  }
  submit(0, 0, UVX_JOB_NORMAL, run_spin_told);
  ran[1] = uvx_job_run(&tasks[0].job, ARCH_FOREVER);
  ran[2] = uvx_job_run(&tasks[0].job, ARCH_FOREVER); /* has ended */
  submit(0, 1, UVX_JOB_NORMAL, run_park_then_set_1);
  ran[3] = uvx_job_run(&tasks[1].job, ARCH_FOREVER);
  ran[4] = uvx_job_run(&tasks[1].job, ARCH_FOREVER); /* is parked */
  uvx_wait_done(&tasks[1].wait, 5);
  atomic_store(&flag, 0);
  submit(0, 2, UVX_JOB_NORMAL, run_until_1);
  ran[5] = uvx_job_run(&tasks[2].job, arch_clock_ns() + 1000);
  ran[6] = uvx_job_run(&tasks[2].job, 0); /* a deadline that is over */
}


static void job_asked_for_by_name_says_what_became_of_it(void** state) {
  (void) state;
  reset(3);
  machine_run(2, boot_by_name);

  assert_int_equal(UVX_RAN_NOTHING, ran[0]);
  assert_int_equal(5, tasks[1].answer);
  assert_int_equal(3, done_count);
}


/* CPU 0 asks for a parked job, and then is in its guest for long. */
static void boot_in_guest(uint32_t cpu) {
  if (cpu != 0)
    return;
  submit(0, 0, UVX_JOB_NORMAL, run_park_then_set_1);
  while (tasks[0].job.state != UVX_JOB_PARKED)
    uvx_job_run(&tasks[0].job, ARCH_FOREVER);
  uvx_job_run(&tasks[0].job, ARCH_FOREVER);
  atomic_fetch_or(&flag, 4);
  while ((atomic_load(&flag) & 1) == 0)
    arch_relax();
}


static void* device_answers_0(void* arg) {
  (void) arg;
  while ((atomic_load(&flag) & 4) == 0)
    arch_relax();
  uvx_wait_done(&tasks[0].wait, 3);
  return NULL;
}


static void job_goes_on_though_who_asked_for_it_has_left(void** state) {
  (void) state;
  pthread_t device;

  reset(1);
  assert_int_equal(0, pthread_create(&device, NULL, device_answers_0, NULL));
  machine_run(2, boot_in_guest);
  pthread_join(device, NULL);
  assert_int_equal(3, tasks[0].answer);
}


/* ---- Parking ---- */

static void run_await(uvx_job_t* job) {
  task_t* task = container_of(job, task_t, job);

  for (int i = 0; i < 100; i++) {
    task->answer = uvx_job_await(&task->wait);
    if (task->answer != i)
      return;
  }
  task->runs = 1;
}


/* Answers each task 100 times, sometimes before it has asked. */
static void* device_answers(void* arg) {
  uint32_t first = *(uint32_t*) arg;

  for (int i = 0; i < 100; i++) {
    for (uint32_t k = first; k < 12; k += 2) {
      /* Exactly once a wait: the one before must have been seen. */
      while (i > 0 && atomic_load(&tasks[k].wait.state) == 2)
        arch_relax();
      uvx_wait_done(&tasks[k].wait, i);
    }
  }
  return NULL;
}


static void boot_await(uint32_t cpu) {
  for (uint32_t i = cpu; i < 12; i += 4)
    submit(cpu, i, UVX_JOB_NORMAL, run_await);
}


static void job_gets_each_answer_whether_early_or_late(void** state) {
  (void) state;
  pthread_t devices[2];
  uint32_t first[2] = {0, 1};

  reset(12);
  for (int i = 0; i < 2; i++)
    assert_int_equal(
        0, pthread_create(&devices[i], NULL, device_answers, &first[i]));
  machine_run(4, boot_await);
  for (int i = 0; i < 2; i++)
    pthread_join(devices[i], NULL);
  for (uint32_t i = 0; i < 12; i++)
    assert_int_equal(1, tasks[i].runs);
}


/* ---- More jobs than stacks ---- */

static void run_park(uvx_job_t* job) {
  task_t* task = container_of(job, task_t, job);

  task->runs++;
  task->answer = uvx_job_await(&task->wait);
}


/* A job of high priority still gets a stack, and lets the others go. */
static void run_high(uvx_job_t* job) {
  (void) job;
  for (uint32_t i = 1; i < JOBS_MANY; i++)
    uvx_wait_done(&tasks[i].wait, 1);
}


/* Once as many are parked as there can be. */
static void on_crowd_timer(uv_timer_t* timer) {
  uint32_t parked = 0;

  for (uint32_t i = 1; i < JOBS_MANY; i++)
    parked += tasks[i].job.state == UVX_JOB_PARKED;
  if (parked < JOBS_RUNNING_MAX - 1)
    return; /* the timer comes again */
  ASSERT(parked == JOBS_RUNNING_MAX - 1);
  ASSERT(!uvx_job_ready());
  uvx_ran_t by_name = uvx_job_run(&tasks[JOBS_MANY - 1].job, ARCH_FOREVER);
  ASSERT(by_name == UVX_RAN_NOTHING || by_name == UVX_RAN_EVENT);
  submit(0, 0, UVX_JOB_HIGH, run_high);
  uv_close((uv_handle_t*) timer, NULL);
}


static void boot_crowd(uint32_t cpu) {
  static uv_timer_t timer;

  for (uint32_t i = 1; i < JOBS_MANY; i++)
    submit(cpu, i, UVX_JOB_NORMAL, run_park);
  uv_timer_init(uvx_cpu_loop(cpu), &timer);
  uv_timer_start(&timer, on_crowd_timer, 1, 1);
}


static void crowd_of_parked_jobs_leaves_a_stack_to_a_better_one(void** state) {
  (void) state;
  reset(JOBS_MANY);
  machine_run(1, boot_crowd);
  for (uint32_t i = 1; i < JOBS_MANY; i++)
    assert_int_equal(1, tasks[i].answer);
}


/* ---- Taking back ---- */

static int cancel_results[4];


static void boot_cancel(uint32_t cpu) {
  submit(cpu, 0, UVX_JOB_NORMAL, run_short);
  submit(cpu, 1, UVX_JOB_NORMAL, run_park);
  submit(cpu, 2, UVX_JOB_NORMAL, run_short);
  uvx_job_run(&tasks[1].job, ARCH_FOREVER);
  uvx_job_run(&tasks[2].job, ARCH_FOREVER);
  cancel_results[0] = uvx_job_cancel(&tasks[0].job); /* had not begun */
  cancel_results[1] = uvx_job_cancel(&tasks[1].job); /* is parked */
  cancel_results[2] = uvx_job_cancel(&tasks[2].job); /* has ended */
  cancel_results[3] = uvx_job_cancel(&tasks[0].job); /* is on its way */
  ASSERT(done_count == 0);                           /* never inside the call */
  uvx_wait_done(&tasks[1].wait, 0);
}


static void job_is_taken_back_only_before_it_has_begun(void** state) {
  (void) state;
  reset(3);
  machine_run(1, boot_cancel);

  assert_int_equal(0, cancel_results[0]);
  assert_int_equal(UV_EBUSY, cancel_results[1]);
  assert_int_equal(UV_EBUSY, cancel_results[2]);
  assert_int_equal(UV_EBUSY, cancel_results[3]);
  assert_int_equal(UV_ECANCELED, tasks[0].status);
  assert_int_equal(0, tasks[0].runs);
  assert_int_equal(0, tasks[1].status);
  assert_int_equal(0, tasks[2].status);
}


#define RACE_ROUNDS 200u

static uint32_t race_round[4];
static _Atomic uint32_t race_bad;
static _Atomic uint32_t race_cpus_over;


static void race_begin(uint32_t cpu);


static void on_race_done(uvx_job_t* job, int status) {
  task_t* task = container_of(job, task_t, job);
  uint32_t cpu = (uint32_t) (task - tasks) % 4;

  if ((status == 0) != (task->runs == 1) || cpu != arch_cpu())
    race_bad++;
  task->dones++;
  for (uint32_t i = cpu; i < 16; i += 4)
    if (tasks[i].dones == 0)
      return;
  if (++race_round[cpu] < RACE_ROUNDS)
    race_begin(cpu);
  else if (atomic_fetch_add(&race_cpus_over, 1) == 3)
    machine_stop();
}


/* Four jobs each on four CPUs; every second is taken back while the other
 * CPUs, perhaps, are taking it to run it. */
static void race_begin(uint32_t cpu) {
  for (uint32_t i = cpu; i < 16; i += 4) {
    tasks[i].runs = 0;
    tasks[i].dones = 0;
    int err = uvx_job_submit(uvx_cpu_loop(cpu), &tasks[i].job, UVX_JOB_NORMAL,
                             run_short, on_race_done);
    ASSERT(err == 0);
  }
  for (uint32_t i = cpu + 4; i < 16; i += 8)
    (void) uvx_job_cancel(&tasks[i].job); /* either answer is right */
}


static void cancel_that_races_with_a_run_has_one_outcome(void** state) {
  (void) state;
  reset(UINT32_MAX);
  memset(race_round, 0, sizeof(race_round));
  race_bad = 0;
  race_cpus_over = 0;
  machine_run(4, race_begin);
  assert_int_equal(0, race_bad);
}


int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(job_is_called_back_once_in_its_own_loop),
      cmocka_unit_test(job_without_work_is_refused),
      cmocka_unit_test(jobs_run_by_priority_then_in_order),
      cmocka_unit_test(better_job_takes_the_place_of_a_running_one),
      cmocka_unit_test(equal_job_gets_its_slice_though_no_timer_ran),
      cmocka_unit_test(equal_jobs_share_one_cpu_by_slices),
      cmocka_unit_test(job_that_yields_lets_its_equal_run),
      cmocka_unit_test(timer_of_the_loop_interrupts_a_job),
      cmocka_unit_test(send_from_a_host_thread_interrupts_a_job),
      cmocka_unit_test(job_asked_for_by_name_says_what_became_of_it),
      cmocka_unit_test(job_goes_on_though_who_asked_for_it_has_left),
      cmocka_unit_test(job_gets_each_answer_whether_early_or_late),
      cmocka_unit_test(crowd_of_parked_jobs_leaves_a_stack_to_a_better_one),
      cmocka_unit_test(job_is_taken_back_only_before_it_has_begun),
      cmocka_unit_test(cancel_that_races_with_a_run_has_one_outcome),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Goal:   whatever the order in which CPUs, IPIs and timers come, the runtime
 *         keeps what it promises.
 * Method: jobs, waits, strands, asyncs, interrupt handles and timers on the
 *         seeded machine, a run a seed. Each CPU checks as it goes: each job
 *         is delivered once, at home, and either ran or was cancelled; a
 *         strand runs one task at a time, of one poster in order; what was
 *         sent is seen, else the run doesn't end, which the machine reports as
 *         a deadlock. On one CPU jobs begin by rank, then in order. At last a
 *         machine that loses IPIs shows that these checks can fail.
 *
 *   test_seeded                       the tests
 *   test_seeded SEED                  one run again
 *   test_seeded --seconds N [FIRST]   runs for so long
 *
 * A run that goes wrong ends the process with its seed and the command that
 * shows it again.
 */
#include "tests/unit/unit.h"

#include "arch/arch.h"
#include "runtime/uvx.h"
#include "sim/cpu.h"
#include "sim/seeded.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SEEDS 1000u
#define HOMES_MAX 4u /* CPUs */
#define JOBS_A_CPU 4u
#define TASKS_A_CPU 12u
#define STRANDS 2u
#define WAIT_STATUS 7
#define HANG_SECONDS 20u /* a run takes milliseconds */

typedef struct {
  uvx_job_t job;
  uvx_wait_t wait;
  _Atomic uint32_t waker; /* the CPU that is to end the wait, plus one */
  uint32_t home;
  uint32_t rounds; /* still to come */
  uint32_t ran_count;
  bool pending;
  bool cancelled;
} item_t;

typedef struct {
  uvx_task_t task;
  uvx_job_t job; /* that holds the strand, for some */
  uint32_t poster;
  uint32_t strand;
  uint32_t number; /* of this poster on this strand */
} post_t;

typedef struct {
  uv_async_t async;
  uvx_irq_t irq;
  uv_timer_t timer;
  _Atomic uint32_t sent_count; /* by anybody, to the async */
  uint32_t seen_count;
  _Atomic uint32_t raised_count;
  uint32_t taken_count;
  uint64_t due_ms;
  item_t items[JOBS_A_CPU];
  post_t posts[TASKS_A_CPU];
  uint32_t post_count;
  uint32_t numbers[STRANDS];
} home_t;

static struct {
  home_t homes[HOMES_MAX];
  uvx_strand_t strands[STRANDS];
  bool busy[STRANDS];
  uint32_t numbers[STRANDS][HOMES_MAX]; /* the next of each poster */
  uint32_t cpu_count;
  _Atomic uint32_t open_count; /* CPUs that have their handles */
  _Atomic uint32_t left;       /* things that must still happen */
} world;


/* ---- What there is to do, and when all is done ---- */

static void left_less(uint32_t count) {
  uint32_t before = atomic_fetch_sub(&world.left, count);

  ASSERT(before >= count);
  if (before == count)
    for (uint32_t i = 0; i < world.cpu_count; i++)
      uvx_cpu_kick(i);
}


static home_t* home_any(void) {
  return &world.homes[seeded_below(world.cpu_count)];
}


static home_t* home_here(void) {
  ASSERT(arch_cpu() < world.cpu_count);
  return &world.homes[arch_cpu()];
}


/* Mostly microseconds, sometimes more than a slice. */
static void compute(void) {
  seeded_compute(seeded_below(16) == 0 ? seeded_below(6000000)
                                       : seeded_below(30000));
}


static void send(home_t* to) {
  atomic_fetch_add(&world.left, 1);
  atomic_fetch_add(&to->sent_count, 1);
  ASSERT(uv_async_send(&to->async) == 0);
}


static void raise_irq(home_t* to) {
  atomic_fetch_add(&world.left, 1);
  atomic_fetch_add(&to->raised_count, 1);
  uvx_irq_raise(&to->irq);
}


/* ---- Asyncs and interrupts: what came before a send is seen ---- */

static void wake_items(uint32_t cpu) {
  for (uint32_t i = 0; i < world.cpu_count; i++) {
    for (uint32_t k = 0; k < JOBS_A_CPU; k++) {
      item_t* item = &world.homes[i].items[k];
      if (atomic_load(&item->waker) != cpu + 1)
        continue;
      atomic_store(&item->waker, 0);
      uvx_wait_done(&item->wait, WAIT_STATUS);
    }
  }
}


static void on_async(uv_async_t* async) {
  home_t* home = container_of(async, home_t, async);
  ASSERT(home == home_here());

  uint32_t sent_count = atomic_load(&home->sent_count);
  uint32_t new_count = sent_count - home->seen_count;
  home->seen_count = sent_count;
  seeded_note(new_count);
  seeded_compute(1 + seeded_below(3000)); /* what comes now is seen later */
  wake_items(arch_cpu());
  if (new_count > 0)
    left_less(new_count);
}


static void on_irq(uvx_irq_t* irq) {
  home_t* home = container_of(irq, home_t, irq);
  ASSERT(home == home_here());

  uint32_t raised_count = atomic_load(&home->raised_count);
  uint32_t new_count = raised_count - home->taken_count;
  home->taken_count = raised_count;
  seeded_note(new_count);
  seeded_compute(1 + seeded_below(3000)); /* as above */
  if (new_count > 0)
    left_less(new_count);
}


/* ---- Jobs ---- */

/* Have another CPU, or this one, end our wait. */
static void item_await(item_t* item) {
  home_t* waker = home_any();

  atomic_store(&item->waker, (uint32_t) (waker - world.homes) + 1);
  send(waker);
  ASSERT(uvx_job_await(&item->wait) == WAIT_STATUS);
  ASSERT(atomic_load(&item->waker) == 0);
}


static void item_work(uvx_job_t* job) {
  item_t* item = container_of(job, item_t, job);
  uint64_t steps = 1 + seeded_below(5);

  item->ran_count++;
  for (uint64_t i = 0; i < steps; i++) {
    compute();
    uvx_job_checkpoint();
    ASSERT(uvx_job_self() == job);
    switch (seeded_below(5)) {
      case 0:
        send(home_any());
        break;
      case 1:
        raise_irq(home_any());
        break;
      case 2:
        uvx_job_yield();
        break;
      case 3:
        item_await(item);
        break;
      default:
        break;
    }
  }
}


static void item_done(uvx_job_t* job, int status);


static void item_submit(item_t* item) {
  ASSERT(!item->pending);
  item->pending = true;
  item->cancelled = false;
  item->ran_count = 0;
  uvx_job_priority_t priority =
      (uvx_job_priority_t) seeded_below(JOB_PRIORITIES_MAX);
  ASSERT(uvx_job_submit(uvx_cpu_loop(item->home), &item->job, priority,
                        item_work, item_done) == 0);
}


static void item_done(uvx_job_t* job, int status) {
  item_t* item = container_of(job, item_t, job);

  ASSERT(arch_cpu() == item->home);
  ASSERT(item->pending);
  ASSERT(status == (item->cancelled ? UV_ECANCELED : 0));
  ASSERT(item->ran_count == (item->cancelled ? 0 : 1));
  item->pending = false;
  if (--item->rounds > 0)
    item_submit(item);
  else
    left_less(1);
}


static void item_cancel(item_t* item) {
  if (!item->pending || item->cancelled)
    return;
  int err = uvx_job_cancel(&item->job);
  ASSERT(err == 0 || err == UV_EBUSY);
  item->cancelled = err == 0;
}


/* ---- Strands ---- */

static void post_release(post_t* post) {
  ASSERT(world.busy[post->strand]);
  world.busy[post->strand] = false;
  uvx_strand_release(&world.strands[post->strand]);
  left_less(1);
}


static void post_job(uvx_job_t* job) {
  (void) job;
  compute();
  uvx_job_checkpoint();
}


static void post_job_done(uvx_job_t* job, int status) {
  ASSERT(status == 0);
  post_release(container_of(job, post_t, job));
}


static void post_run(uvx_task_t* task) {
  post_t* post = container_of(task, post_t, task);

  ASSERT(!world.busy[post->strand]);
  world.busy[post->strand] = true;
  ASSERT(post->number == world.numbers[post->strand][post->poster]++);
  seeded_note(post->poster);
  seeded_compute(1 + seeded_below(5000));
  if (seeded_below(3) != 0)
    post_release(post);
  else
    ASSERT(uvx_job_submit(uvx_cpu_loop(arch_cpu()), &post->job, UVX_JOB_HIGH,
                          post_job, post_job_done) == 0);
}


static void post_next(home_t* home) {
  post_t* post = &home->posts[home->post_count++];

  post->poster = (uint32_t) (home - world.homes);
  post->strand = (uint32_t) seeded_below(STRANDS);
  post->number = home->numbers[post->strand]++;
  uvx_strand_post(&world.strands[post->strand], &post->task, post_run);
}


/* ---- Timers drive the rest ---- */

static void on_timer(uv_timer_t* timer);


static void timer_again(home_t* home) {
  uint64_t timeout_ms = seeded_below(4);

  home->due_ms = uv_now(home->timer.loop) + timeout_ms;
  ASSERT(uv_timer_start(&home->timer, on_timer, timeout_ms, 0) == 0);
}


static void on_timer(uv_timer_t* timer) {
  home_t* home = container_of(timer, home_t, timer);

  ASSERT(home == home_here());
  ASSERT(arch_clock_ns() / 1000000 >= home->due_ms);
  for (uint64_t i = 1 + seeded_below(4); i > 0; i--)
    if (home->post_count < TASKS_A_CPU)
      post_next(home);
  item_cancel(&home->items[seeded_below(JOBS_A_CPU)]);
  if (home->post_count < TASKS_A_CPU)
    timer_again(home);
  else
    left_less(1);
}


/* ---- The machine ---- */

static void home_open(home_t* home, uint32_t cpu) {
  uv_loop_t* loop = uvx_cpu_loop(cpu);

  ASSERT(uv_async_init(loop, &home->async, on_async) == 0);
  ASSERT(uvx_irq_init(loop, &home->irq, on_irq) == 0);
  ASSERT(uv_timer_init(loop, &home->timer) == 0);
}


/* Everybody's handles must be there before anybody sends. */
static void home_meet(void) {
  atomic_fetch_add(&world.open_count, 1);
  while (atomic_load(&world.open_count) != world.cpu_count)
    arch_relax();
}


static void home_begin(home_t* home, uint32_t cpu) {
  for (uint32_t i = 0; i < JOBS_A_CPU; i++) {
    item_t* item = &home->items[i];
    item->home = cpu;
    item->rounds = 2 + (uint32_t) seeded_below(12);
    item_submit(item);
  }
  timer_again(home);
}


static void world_cpu(uint32_t cpu) {
  home_t* home = &world.homes[cpu];

  uvx_cpu_init(cpu);
  home_open(home, cpu);
  home_meet();
  home_begin(home, cpu);
  while (atomic_load(&world.left) > 0) {
    if (uvx_cpu_turn())
      continue;
    uint64_t deadline_ns = ARCH_FOREVER;
    if (seeded_below(4) == 0)
      deadline_ns = arch_clock_ns() + seeded_below(1000000);
    if (uvx_job_run(NULL, deadline_ns) == UVX_RAN_NOTHING &&
        atomic_load(&world.left) > 0)
      uvx_cpu_halt(ARCH_FOREVER);
  }
  uv_close((uv_handle_t*) &home->async, NULL);
  uv_close((uv_handle_t*) &home->irq, NULL);
  uv_close((uv_handle_t*) &home->timer, NULL);
  while (uvx_cpu_turn() || uv_loop_alive(uvx_cpu_loop(cpu)))
    arch_relax();
  uvx_cpu_close(cpu);
}


/* One run; its hash. */
static uint64_t world_run(uint64_t seed, uint32_t lose_one_in) {
  seeded_reset(seed);
  seeded_lose_ipis(lose_one_in);
  memset(&world, 0, sizeof(world));
  world.cpu_count = 1 + (uint32_t) seeded_below(HOMES_MAX);
  world.left = world.cpu_count * (JOBS_A_CPU + TASKS_A_CPU + 1);
  for (uint32_t i = 0; i < STRANDS; i++)
    uvx_strand_init(&world.strands[i]);
  ASSERT(cpu_start(world.cpu_count, world_cpu) == 0);
  cpu_join();

  for (uint32_t i = 0; i < STRANDS; i++) {
    ASSERT(!world.busy[i]);
    for (uint32_t k = 0; k < world.cpu_count; k++)
      ASSERT(world.homes[k].numbers[i] == world.numbers[i][k]);
  }
  return seeded_hash();
}


/* ---- On one CPU: by rank, then in order ---- */

#define RANKED_JOBS 9u

static uvx_job_t ranked[RANKED_JOBS];
static uint32_t ranked_begun[RANKED_JOBS];
static uint32_t ranked_begun_count;
static uint32_t ranked_done_count;


static void ranked_work(uvx_job_t* job) {
  ranked_begun[ranked_begun_count++] = (uint32_t) (job - ranked);
  for (uint64_t i = seeded_below(8); i > 0; i--) {
    compute();
    uvx_job_checkpoint();
  }
}


static void ranked_done(uvx_job_t* job, int status) {
  (void) job;
  ASSERT(status == 0);
  ranked_done_count++;
}


static void ranked_cpu(uint32_t cpu) {
  uvx_cpu_init(cpu);
  for (uint32_t i = 0; i < RANKED_JOBS; i++)
    ASSERT(uvx_job_submit(uvx_cpu_loop(cpu), &ranked[i],
                          (uvx_job_priority_t) seeded_below(3), ranked_work,
                          ranked_done) == 0);
  while (ranked_done_count < RANKED_JOBS)
    if (!uvx_cpu_turn())
      uvx_job_run(NULL, ARCH_FOREVER);
  uvx_cpu_close(cpu);
}


static uint32_t rank_of(uint32_t index) {
  static const uint32_t ranks[] = {
      [UVX_JOB_NORMAL] = 2, [UVX_JOB_HIGH] = 3, [UVX_JOB_IDLE] = 1};

  return ranks[ranked[index].priority];
}


static void ranked_run(uint64_t seed) {
  seeded_reset(seed);
  memset(ranked, 0, sizeof(ranked));
  ranked_begun_count = 0;
  ranked_done_count = 0;
  ASSERT(cpu_start(1, ranked_cpu) == 0);
  cpu_join();

  for (uint32_t i = 1; i < RANKED_JOBS; i++) {
    uint32_t before = ranked_begun[i - 1];
    uint32_t after = ranked_begun[i];
    ASSERT(rank_of(before) >= rank_of(after));
    if (rank_of(before) == rank_of(after))
      ASSERT(before < after);
  }
}


/* ---- The tests ---- */

/* The machine sees no loop that never comes to a point of it. What this one
 * says is the same panic; the run itself knows nothing of real time. */
static void on_alarm(int number) {
  (void) number;
  base_panic(__FILE__, __LINE__, "the run hangs between two points");
}


static void seed_run(uint64_t seed) {
  alarm(HANG_SECONDS);
  world_run(seed, 0);
  ranked_run(seed);
  alarm(0);
}


static void runtime_keeps_its_promises_under_any_seed(void** state) {
  (void) state;
  for (uint64_t seed = 1; seed <= SEEDS; seed++)
    seed_run(seed);
}


static void a_seed_runs_the_same_again_and_no_other_does(void** state) {
  uint64_t hashes[100];
  (void) state;

  for (uint32_t i = 0; i < ARRAY_SIZE(hashes); i++) {
    hashes[i] = world_run(i, 0);
    for (uint32_t k = 0; k < i; k++)
      assert_true(hashes[k] != hashes[i]);
  }
  for (uint32_t i = (uint32_t) ARRAY_SIZE(hashes); i-- > 0;)
    assert_true(world_run(i, 0) == hashes[i]);
}


/* Run `seed` in a process of its own. Returns its end, as waitpid() has it,
 * and what it said. */
static int run_apart(uint64_t seed, uint32_t lose_one_in, char* said, int max) {
  int ends[2];
  int status;
  ssize_t got;
  int size = 0;

  assert_int_equal(pipe(ends), 0);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    signal(SIGABRT, SIG_DFL);
    world_run(seed, lose_one_in);
    _exit(0);
  }
  close(ends[1]);
  while (size < max - 1 &&
         (got = read(ends[0], said + size, (size_t) (max - 1 - size))) > 0)
    size += (int) got;
  said[size] = '\0';
  close(ends[0]);
  assert_int_equal(waitpid(child, &status, 0), child);
  return status;
}


static void a_machine_that_loses_ipis_is_found_out(void** state) {
  char said[4096];
  char again[64];
  uint32_t found_count = 0;
  (void) state;

  for (uint64_t seed = 1; seed <= SEEDS; seed++) {
    if (run_apart(seed, 1000, said, (int) sizeof(said)) == 0)
      continue;
    found_count++;
    assert_non_null(strstr(said, "deadlock"));
    snprintf(again, sizeof(again), "again with: test_seeded %llu\n",
             (unsigned long long) seed);
    assert_non_null(strstr(said, again));
  }
  print_message("lost IPIs: found by %u of %u seeds\n", found_count, SEEDS);
  assert_true(found_count > 0);
}


/* ---- One seed, or many ---- */

static void soak(uint64_t seconds, uint64_t first) {
  time_t until = time(NULL) + (time_t) seconds;
  time_t told = time(NULL);
  uint64_t seed = first;

  printf("from seed %llu\n", (unsigned long long) first);
  fflush(stdout);
  for (; time(NULL) < until; seed++) {
    seed_run(seed);
    if (time(NULL) - told < 10)
      continue;
    told = time(NULL);
    printf("%llu seeds, all well\n", (unsigned long long) (seed - first));
    fflush(stdout);
  }
  printf("%llu seeds, all well\n", (unsigned long long) (seed - first));
}


int main(int argc, char** argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(runtime_keeps_its_promises_under_any_seed),
      cmocka_unit_test(a_seed_runs_the_same_again_and_no_other_does),
  };
  const struct CMUnitTest planted[] = {
      cmocka_unit_test(a_machine_that_loses_ipis_is_found_out),
  };

  signal(SIGALRM, on_alarm);
  seeded_replay_with(argv[0]);
  if (argc >= 3 && strcmp(argv[1], "--seconds") == 0) {
    uint64_t first = (uint64_t) time(NULL) * 100000;
    if (argc > 3)
      first = strtoull(argv[3], NULL, 0);
    soak(strtoull(argv[2], NULL, 0), first);
    return 0;
  }
  if (argc == 2) {
    uint64_t seed = strtoull(argv[1], NULL, 0);
    printf("seed %llu: ", (unsigned long long) seed);
    fflush(stdout);
    seed_run(seed);
    printf("trace %016llx\n", (unsigned long long) world_run(seed, 0));
    return 0;
  }
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  seeded_replay_with("test_seeded"); /* what the test looks for */
  return failed + cmocka_run_group_tests(planted, NULL, NULL);
}

/*
 * Goal:   a job that is interrupted thousands of times, and goes on on another
 *         CPU each time, computes the same as one that is left alone.
 * Method: integer, x87, SSE and AVX work, first here without any machine, then
 *         as jobs that four CPUs take from each other every 50 to 100 us; all
 *         results are compared. Then a job that must leave at a deadline: it
 *         never leaves before, and how late it leaves is printed.
 */
#include "tests/unit/unit.h"

#include "tests/unit/machine.h"

#define STORM_JOBS 12u
#define STORM_CPUS 4u
#define STORM_ROUNDS 3000u /* of 4096 steps each */
#define LATE_SAMPLES 2000u

typedef struct {
  uvx_job_t job;
  uint64_t result[4];
} storm_t;

static storm_t storms[STORM_JOBS];
static uint64_t wanted[STORM_JOBS][4];
static _Atomic uint32_t done_count;
static _Atomic uint32_t submitted_count;
static uint32_t rounds;


/* ---- The work: one kind each ---- */

static void work_integer(uint64_t seed, uint64_t* out) {
  uint64_t a = seed;
  uint64_t b = ~seed;

  for (uint32_t i = 0; i < rounds; i++) {
    for (uint32_t k = 0; k < 4096; k++) {
      a = a * 6364136223846793005u + 1442695040888963407u;
      b ^= (a >> 17) | (a << 47);
    }
    uvx_job_checkpoint();
  }
  out[0] = a;
  out[1] = b;
}


static void work_x87(uint64_t seed, uint64_t* out) {
  long double x = 1.0L + (long double) seed;

  for (uint32_t i = 0; i < rounds; i++) {
    for (uint32_t k = 0; k < 1024; k++)
      x = x * 0.999999L + 1.0L / (x + 3.0L);
    uvx_job_checkpoint();
  }
  double rounded = (double) x;
  memcpy(&out[0], &rounded, sizeof(rounded));
}


static void work_double(uint64_t seed, uint64_t* out) {
  double x = 0.5 + (double) seed;
  double y = 2.0;

  for (uint32_t i = 0; i < rounds; i++) {
    for (uint32_t k = 0; k < 1024; k++) {
      x = x * 1.0000001 + 0.25 / y;
      y = y + 1.0 / x;
    }
    uvx_job_checkpoint();
  }
  memcpy(&out[0], &x, sizeof(x));
  memcpy(&out[1], &y, sizeof(y));
}


/* Four lanes kept in vector registers; the compiler makes SSE of it, or AVX. */
typedef double lanes_t __attribute__((vector_size(32)));

#define WORK_LANES(name, attribute)                          \
  attribute static void name(uint64_t seed, uint64_t* out) { \
    double s = (double) seed;                                \
    lanes_t x = {1.0 + s, 2.0 + s, 3.0 + s, 4.0 + s};        \
    lanes_t y = {4.0, 3.0, 2.0, 1.0};                        \
    for (uint32_t i = 0; i < rounds; i++) {                  \
      for (uint32_t k = 0; k < 1024; k++) {                  \
        x = x * 0.9999999 + y;                               \
        y = y * 0.5 + 1.0 / x;                               \
      }                                                      \
      uvx_job_checkpoint();                                  \
    }                                                        \
    lanes_t sum = x + y;                                     \
    memcpy(out, &sum, sizeof(sum));                          \
  }

WORK_LANES(work_sse, )
WORK_LANES(work_avx, __attribute__((target("avx"))))


static void work(uint32_t index, uint64_t* out) {
  switch (index % 5) {
    case 0:
      work_integer(index, out);
      break;
    case 1:
      work_x87(index, out);
      break;
    case 2:
      work_double(index, out);
      break;
    case 3:
      work_sse(index, out);
      break;
    default:
      if (__builtin_cpu_supports("avx"))
        work_avx(index, out);
      else
        work_sse(index, out);
  }
}


/* ---- The storm ---- */

static void run_storm(uvx_job_t* job) {
  storm_t* storm = container_of(job, storm_t, job);

  work((uint32_t) (storm - storms), storm->result);
}


static void on_done(uvx_job_t* job, int status) {
  (void) job;
  ASSERT(status == 0);
  atomic_fetch_add(&done_count, 1);
}


/* Submit each CPU's share of jobs; all of them are there after that. */
static void submit_share(uint32_t cpu, uvx_job_cb work_cb) {
  for (uint32_t i = cpu; i < STORM_JOBS; i += STORM_CPUS) {
    int err = uvx_job_submit(uvx_cpu_loop(cpu), &storms[i].job,
                             (uvx_job_priority_t) (i % 3), work_cb, on_done);
    ASSERT(err == 0);
    atomic_fetch_add(&submitted_count, 1);
  }
  while (atomic_load(&submitted_count) < STORM_JOBS)
    arch_relax();
}


/* Ask for one job after the other by name, 50 to 100 us each, so that they
 * change CPUs as often as can be. */
static void take_turns(uint32_t cpu) {
  uint64_t random = cpu + 1;
  uint32_t next = cpu;

  while (atomic_load(&done_count) < STORM_JOBS) {
    uvx_cpu_turn();
    random = random * 6364136223846793005u + 1442695040888963407u;
    uint64_t slice_ns = 50000 + (random >> 33) % 50000;
    uvx_job_run(&storms[next].job, arch_clock_ns() + slice_ns);
    next = (next + 1) % STORM_JOBS;
  }
  machine_stop();
}


static void boot_storm(uint32_t cpu) {
  submit_share(cpu, run_storm);
  take_turns(cpu);
}


static void storm_of_interrupts_changes_no_result(void** state) {
  (void) state;
  rounds = STORM_ROUNDS;
  memset(storms, 0, sizeof(storms));
  done_count = 0;
  submitted_count = 0;
  for (uint32_t i = 0; i < STORM_JOBS; i++)
    work(i, wanted[i]);

  machine_run(STORM_CPUS, boot_storm);
  for (uint32_t i = 0; i < STORM_JOBS; i++)
    assert_memory_equal(wanted[i], storms[i].result, sizeof(wanted[i]));
  assert_true(MACHINE_SUM(preemptions) > 0);
  printf("storm: %llu slices, %llu preempted, %llu migrations\n",
         (unsigned long long) MACHINE_SUM(slices),
         (unsigned long long) MACHINE_SUM(preemptions),
         (unsigned long long) MACHINE_SUM(migrations));
}


/* ---- Closed interrupts inside jobs ---- */

static _Atomic uint32_t inside[STORM_CPUS];
static _Atomic uint32_t nested;


/* While interrupts are closed this job stays where it is, and nobody else runs
 * there. */
static void run_closing(uvx_job_t* job) {
  (void) job;
  for (uint32_t i = 0; i < rounds; i++) {
    bool opened = arch_interrupts_close();
    uint32_t cpu = arch_cpu();
    if (atomic_fetch_add(&inside[cpu], 1) != 0)
      nested++;
    for (uint32_t k = 0; k < 512; k++)
      if (arch_cpu() != cpu || arch_interrupts_close())
        nested++;
    atomic_fetch_sub(&inside[cpu], 1);
    ASSERT(opened);
    arch_interrupts_open();
    uvx_job_checkpoint();
  }
}


static void boot_closing(uint32_t cpu) {
  submit_share(cpu, run_closing);
  take_turns(cpu);
}


static void job_that_closed_interrupts_stays_where_it_is(void** state) {
  (void) state;
  rounds = 10000;
  done_count = 0;
  submitted_count = 0;
  machine_run(STORM_CPUS, boot_closing);
  assert_int_equal(0, nested);
}


/* ---- How late? ---- */

static uint64_t late_ns[LATE_SAMPLES];
static _Atomic bool late_over;


static void run_spin(uvx_job_t* job) {
  (void) job;
  while (!atomic_load(&late_over))
    uvx_job_checkpoint();
}


static void boot_late(uint32_t cpu) {
  int err = uvx_job_submit(uvx_cpu_loop(cpu), &storms[0].job, UVX_JOB_NORMAL,
                           run_spin, on_done);
  ASSERT(err == 0);
  for (uint32_t i = 0; i < LATE_SAMPLES;) {
    uint64_t deadline_ns = arch_clock_ns() + 100000;
    if (uvx_job_run(&storms[0].job, deadline_ns) == UVX_RAN_DEADLINE)
      late_ns[i++] = arch_clock_ns() - deadline_ns;
    else
      uvx_cpu_turn();
  }
  atomic_store(&late_over, true);
  while (atomic_load(&done_count) == 0) {
    uvx_job_run(NULL, ARCH_FOREVER);
    uvx_cpu_turn();
  }
  machine_stop();
}


static int compare_u64(const void* a, const void* b) {
  uint64_t x = *(const uint64_t*) a;
  uint64_t y = *(const uint64_t*) b;

  return (x > y) - (x < y);
}


static void a_job_leaves_at_its_deadline_and_never_before(void** state) {
  (void) state;
  done_count = 0;
  submitted_count = 0;
  machine_run(1, boot_late);
  qsort(late_ns, LATE_SAMPLES, sizeof(late_ns[0]), compare_u64);
  /* One that came early is a huge number here. How late is the host's affair:
   * it is shown, not judged. */
  assert_true(late_ns[LATE_SAMPLES - 1] < UINT64_MAX / 2);
  printf("late: p50 %.1f p99 %.1f p99.9 %.1f max %.1f us\n",
         (double) late_ns[LATE_SAMPLES / 2] / 1e3,
         (double) late_ns[LATE_SAMPLES * 99 / 100] / 1e3,
         (double) late_ns[LATE_SAMPLES * 999 / 1000] / 1e3,
         (double) late_ns[LATE_SAMPLES - 1] / 1e3);
}


int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(storm_of_interrupts_changes_no_result),
      cmocka_unit_test(job_that_closed_interrupts_stays_where_it_is),
      cmocka_unit_test(a_job_leaves_at_its_deadline_and_never_before),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * tests/bench/floors.c - what the machine itself costs, under any loop.
 *
 *     floors                 prints: case <tab> value <tab> unit <tab> n
 *
 * Goal:   show beside our numbers what no loop on this machine can go below.
 * Method: the bare operations: reading clocks, a system call, and a ball
 *         between two threads by a cache line, a futex and an eventfd, on one
 *         CPU and on two, awake and halted.
 */
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define must(x)                                                      \
  do {                                                               \
    if (!(x)) {                                                      \
      (void) fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x); \
      exit(1);                                                       \
    }                                                                \
  } while (0)

static uint64_t clock_ns(void) {
  struct timespec t;

  (void) clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t) t.tv_sec * 1000000000u + (uint64_t) t.tv_nsec;
}


static void tell(const char* name, double ns, uint64_t n) {
  (void) printf("%s\t%.2f\tns\t%llu\n", name, ns, (unsigned long long) n);
}


/* The CPUs that this process may use, before any thread was pinned. */
static cpu_set_t allowed;

static void pin(int cpu) {
  cpu_set_t one;
  int seen = 0;

  CPU_ZERO(&one);
  for (int i = 0; i < CPU_SETSIZE; i++) {
    if (CPU_ISSET((size_t) i, &allowed) && seen++ == cpu)
      CPU_SET((size_t) i, &one);
  }
  if (CPU_COUNT(&one) == 1)
    must(pthread_setaffinity_np(pthread_self(), sizeof(one), &one) == 0);
}


/* ---- Reading clocks, entering the kernel ---- */

static void bench_reads(void) {
  enum { N = 1000000 };
  uint64_t sum = 0;

  uint64_t start = clock_ns();
  for (int i = 0; i < N; i++)
    sum += __builtin_ia32_rdtsc();
  tell("floor: reading the TSC", (double) (clock_ns() - start) / N, N);
  start = clock_ns();
  for (int i = 0; i < N; i++)
    sum += clock_ns();
  tell("floor: clock_gettime", (double) (clock_ns() - start) / N, N);
  start = clock_ns();
  for (int i = 0; i < N; i++)
    sum += (uint64_t) syscall(SYS_getppid);
  tell("floor: a system call", (double) (clock_ns() - start) / N, N);
  must(sum != 0);
}


/* ---- A ball between two threads ---- */

typedef enum { BY_LINE, BY_FUTEX, BY_EVENTFD } means_t;

static means_t means;
static _Atomic uint32_t words[2];
static int eventfds[2];
static uint32_t trips_wanted;
static int far_cpu;

static void throw_ball(int to) {
  static const uint64_t one = 1;

  if (means == BY_EVENTFD) {
    must(write(eventfds[to], &one, sizeof(one)) == sizeof(one));
    return;
  }
  atomic_store(&words[to], 1);
  if (means == BY_FUTEX)
    (void) syscall(SYS_futex, &words[to], FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}


static void catch_ball(int at) {
  uint64_t count;

  if (means == BY_EVENTFD) {
    must(read(eventfds[at], &count, sizeof(count)) == sizeof(count));
    return;
  }
  while (atomic_exchange(&words[at], 0) == 0) {
    if (means == BY_FUTEX)
      (void) syscall(SYS_futex, &words[at], FUTEX_WAIT_PRIVATE, 0, NULL, NULL,
                     0);
    else
      __builtin_ia32_pause();
  }
}


static void* play_far(void* arg) {
  (void) arg;
  pin(far_cpu);
  for (uint32_t i = 0; i < trips_wanted; i++) {
    catch_ball(1);
    throw_ball(0);
  }
  return NULL;
}


static int compare_ns(const void* a, const void* b) {
  uint64_t x = *(const uint64_t*) a;
  uint64_t y = *(const uint64_t*) b;

  return (x > y) - (x < y);
}


static void bench_ball(
    const char* name, means_t by, int cpu, uint32_t count, long pause_ns) {
  pthread_t thread;
  struct timespec pause = {0, pause_ns};
  uint64_t* trip_ns = calloc(count, sizeof(*trip_ns));

  must(trip_ns != NULL);
  means = by;
  far_cpu = cpu;
  trips_wanted = count;
  must(pthread_create(&thread, NULL, play_far, NULL) == 0);
  pin(0);
  for (uint32_t i = 0; i < count; i++) {
    if (pause_ns != 0)
      (void) nanosleep(&pause, NULL);
    uint64_t start = clock_ns();
    throw_ball(1);
    catch_ball(0);
    trip_ns[i] = clock_ns() - start;
  }
  must(pthread_join(thread, NULL) == 0);
  qsort(trip_ns, count, sizeof(*trip_ns), compare_ns);
  tell(name, (double) trip_ns[count / 2], count);
  free(trip_ns);
}


int main(void) {
  must(sched_getaffinity(0, sizeof(allowed), &allowed) == 0);
  bench_reads();
  for (int i = 0; i < 2; i++)
    must((eventfds[i] = eventfd(0, EFD_CLOEXEC)) >= 0);
  bench_ball("floor: eventfd ping-pong, one CPU", BY_EVENTFD, 0, 50000, 0);
  bench_ball("floor: eventfd ping-pong, two CPUs", BY_EVENTFD, 1, 20000, 0);
  bench_ball("floor: eventfd ping-pong, halted", BY_EVENTFD, 1, 400, 2000000);
  bench_ball("floor: futex ping-pong, one CPU", BY_FUTEX, 0, 50000, 0);
  bench_ball("floor: futex ping-pong, two CPUs", BY_FUTEX, 1, 20000, 0);
  bench_ball("floor: futex ping-pong, halted", BY_FUTEX, 1, 400, 2000000);
  bench_ball("floor: cache line ping-pong", BY_LINE, 1, 50000, 0);
  return 0;
}

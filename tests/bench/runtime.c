/*
 * tests/bench/runtime.c - how fast a loop is; built with libuv and with ours.
 *
 *     runtime GROUP          prints: case <tab> value <tab> unit <tab> n
 *
 * Goal:   numbers that can be laid beside each other: the same source, the
 *         same calls, one process a group and a side (tests/bench/runtime.py).
 * Method: each case does its work n times and divides; waits between two CPUs
 *         are taken one by one, and the median is told.
 *
 * Not here: what the machine itself costs (tests/bench/floors.c).
 */
#include <uv.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MILLION 1000000u

#define must(x)                                                      \
  do {                                                               \
    if (!(x)) {                                                      \
      (void) fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x); \
      exit(1);                                                       \
    }                                                                \
  } while (0)

static uv_loop_t loop;
static uint64_t calls;
static uint64_t calls_wanted;

/* The clock of both sides is the system's, not the loop's. */
static uint64_t clock_ns(void) {
  struct timespec t;

  (void) clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t) t.tv_sec * 1000000000u + (uint64_t) t.tv_nsec;
}


static void tell(const char* name, double value, const char* unit, uint64_t n) {
  (void) printf("%s\t%.2f\t%s\t%llu\n", name, value, unit,
                (unsigned long long) n);
}


static void tell_each(const char* name, uint64_t ns, uint64_t n) {
  tell(name, (double) ns / (double) n, "ns", n);
}


static void close_one(uv_handle_t* handle, void* arg) {
  (void) arg;
  if (!uv_is_closing(handle))
    uv_close(handle, NULL);
}


static void loop_finish(uv_loop_t* l) {
  uv_walk(l, close_one, NULL);
  must(uv_run(l, UV_RUN_DEFAULT) == 0);
  must(uv_loop_close(l) == 0);
}


static void* allocate(size_t count, size_t size) {
  void* p = calloc(count, size);

  must(p != NULL);
  /* Pages are there before the clock runs. Volatile: calloc's memory is known
   * to be zero, so a plain store would be left out. */
  for (size_t i = 0; i < count * size; i += 4096)
    ((volatile char*) p)[i] = 0;
  return p;
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


/* ---- Loop iterations ---- */

static void on_prepare(uv_prepare_t* handle) {
  (void) handle;
  calls++;
}


static void on_check(uv_check_t* handle) {
  (void) handle;
  calls++;
}


static void on_idle(uv_idle_t* handle) {
  (void) handle;
  if (++calls >= calls_wanted)
    uv_stop(&loop);
}


static void bench_loop(const char* name, size_t handles, uint64_t turns) {
  uv_prepare_t* prepares = allocate(handles, sizeof(*prepares));
  uv_check_t* checks = allocate(handles, sizeof(*checks));
  uv_idle_t* idles = allocate(handles, sizeof(*idles));

  must(uv_loop_init(&loop) == 0);
  for (size_t i = 0; i < handles; i++) {
    must(uv_prepare_init(&loop, &prepares[i]) == 0);
    must(uv_check_init(&loop, &checks[i]) == 0);
    must(uv_idle_init(&loop, &idles[i]) == 0);
    must(uv_prepare_start(&prepares[i], on_prepare) == 0);
    must(uv_check_start(&checks[i], on_check) == 0);
    must(uv_idle_start(&idles[i], on_idle) == 0);
  }
  calls = 0;
  calls_wanted = turns / 10 * 3 * handles;
  (void) uv_run(&loop, UV_RUN_DEFAULT);
  calls = 0;
  calls_wanted = turns * 3 * handles;
  uint64_t start = clock_ns();
  (void) uv_run(&loop, UV_RUN_DEFAULT);
  tell_each(name, clock_ns() - start, turns);
  loop_finish(&loop);
  free(prepares);
  free(checks);
  free(idles);
}


static void group_loop(void) {
  bench_loop("loop iteration, 1 handle of each kind", 1, 300000);
  bench_loop("loop iteration, 64 handles of each kind", 64, 30000);
  bench_loop("loop iteration, 1024 handles of each kind", 1024, 2000);
}


/* ---- Timers ---- */

static void on_timer(uv_timer_t* handle) {
  (void) handle;
  calls++;
}


static uint32_t next_random(void) {
  static uint64_t state = 88172645463325252u;

  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (uint32_t) (state >> 16);
}


typedef struct {
  uint64_t start_ns, restart_ns, stop_ns, expire_ns;
} timer_times_t;

static void wait_until_late(uint64_t ms) {
  uint64_t end = clock_ns() + ms * MILLION;

  while (clock_ns() < end) {
  }
}


static void time_timers(uv_timer_t* timers, size_t count, timer_times_t* t) {
  uint64_t a = clock_ns();
  for (size_t i = 0; i < count; i++)
    (void) uv_timer_start(&timers[i], on_timer, 1 + next_random() % 60000, 0);
  uint64_t b = clock_ns();
  t->start_ns += b - a;
  for (size_t i = 0; i < count; i++)
    (void) uv_timer_start(&timers[i], on_timer, 1 + next_random() % 60000, 0);
  a = clock_ns();
  t->restart_ns += a - b;
  for (size_t i = 0; i < count; i++)
    (void) uv_timer_stop(&timers[i]);
  b = clock_ns();
  t->stop_ns += b - a;

  for (size_t i = 0; i < count; i++)
    (void) uv_timer_start(&timers[i], on_timer, 1 + next_random() % 20, 0);
  wait_until_late(25);
  calls = 0;
  a = clock_ns();
  (void) uv_run(&loop, UV_RUN_NOWAIT);
  b = clock_ns();
  must(calls == count);
  t->expire_ns += b - a;
}


static void bench_timers(const char* size, size_t count, int rounds) {
  uv_timer_t* timers = allocate(count, sizeof(*timers));
  timer_times_t t = {0};
  char name[64];
  uint64_t n = count * (uint64_t) rounds;

  must(uv_loop_init(&loop) == 0);
  for (size_t i = 0; i < count; i++)
    must(uv_timer_init(&loop, &timers[i]) == 0);
  for (int i = 0; i < rounds; i++) {
    uv_update_time(&loop);
    time_timers(timers, count, &t);
  }
  (void) snprintf(name, sizeof(name), "%s timers: start", size);
  tell_each(name, t.start_ns, n);
  (void) snprintf(name, sizeof(name), "%s timers: restart", size);
  tell_each(name, t.restart_ns, n);
  (void) snprintf(name, sizeof(name), "%s timers: stop", size);
  tell_each(name, t.stop_ns, n);
  (void) snprintf(name, sizeof(name), "%s timers: expire", size);
  tell_each(name, t.expire_ns, n);
  loop_finish(&loop);
  free(timers);
}


static void group_timers(void) {
  bench_timers("1,000", 1000, 30);
  bench_timers("1,000,000", MILLION, 1);
}


/* ---- A million asyncs ---- */

static void on_async(uv_async_t* handle) {
  (void) handle;
  calls++;
}


static void bench_sends(void) {
  uv_async_t async;

  must(uv_loop_init(&loop) == 0);
  must(uv_async_init(&loop, &async, on_async) == 0);
  must(uv_async_send(&async) == 0);
  uint64_t start = clock_ns();
  for (uint32_t i = 0; i < MILLION; i++)
    (void) uv_async_send(&async);
  tell_each("a million sends, already pending", clock_ns() - start, MILLION);
  (void) uv_run(&loop, UV_RUN_NOWAIT);

  calls = 0;
  start = clock_ns();
  for (uint32_t i = 0; i < MILLION; i++) {
    (void) uv_async_send(&async);
    (void) uv_run(&loop, UV_RUN_NOWAIT);
  }
  tell_each("a million times: send and turn", clock_ns() - start, MILLION);
  must(calls == MILLION);
  loop_finish(&loop);
}


static void bench_handles(void) {
  uv_async_t* asyncs = allocate(MILLION, sizeof(*asyncs));

  must(uv_loop_init(&loop) == 0);
  uint64_t start = clock_ns();
  for (uint32_t i = 0; i < MILLION; i++)
    (void) uv_async_init(&loop, &asyncs[i], on_async);
  tell_each("a million async handles: init", clock_ns() - start, MILLION);

  calls = 0;
  start = clock_ns();
  for (uint32_t i = 0; i < MILLION; i++)
    (void) uv_async_send(&asyncs[i]);
  (void) uv_run(&loop, UV_RUN_NOWAIT);
  tell_each("a million async handles: send to all and turn", clock_ns() - start,
            MILLION);
  must(calls == MILLION);

  start = clock_ns();
  for (uint32_t i = 0; i < 20; i++) {
    (void) uv_async_send(&asyncs[i * 49999]);
    (void) uv_run(&loop, UV_RUN_NOWAIT);
  }
  tell_each("one of a million async handles: send and turn", clock_ns() - start,
            20);

  start = clock_ns();
  for (uint32_t i = 0; i < MILLION; i++)
    uv_close((uv_handle_t*) &asyncs[i], NULL);
  must(uv_run(&loop, UV_RUN_DEFAULT) == 0);
  tell_each("a million async handles: close", clock_ns() - start, MILLION);
  loop_finish(&loop);
  free(asyncs);
}


/* Another thread sends to many handles, round and round, as fast as it can:
 * what counts is how many callbacks that makes. */
#define CROWD 4096u
#define CROWD_NS 400000000u

static uv_async_t crowd[CROWD];
static uv_async_t crowd_over;

static void* send_to_crowd(void* arg) {
  uint64_t end = *(uint64_t*) arg;

  pin(1);
  for (uint32_t i = 0; i % 64 != 0 || clock_ns() < end; i++)
    (void) uv_async_send(&crowd[i % CROWD]);
  (void) uv_async_send(&crowd_over);
  return NULL;
}


static void on_crowd_over(uv_async_t* handle) {
  (void) handle;
  uv_stop(&loop);
}


static void bench_crowd(void) {
  pthread_t thread;

  must(uv_loop_init(&loop) == 0);
  for (uint32_t i = 0; i < CROWD; i++)
    must(uv_async_init(&loop, &crowd[i], on_async) == 0);
  must(uv_async_init(&loop, &crowd_over, on_crowd_over) == 0);
  pin(0);
  calls = 0;
  uint64_t start = clock_ns();
  uint64_t end = start + CROWD_NS;
  must(pthread_create(&thread, NULL, send_to_crowd, &end) == 0);
  (void) uv_run(&loop, UV_RUN_DEFAULT);
  end = clock_ns();
  must(pthread_join(thread, NULL) == 0);
  tell_each("sends from another thread to 4096 handles: a callback",
            end - start, calls);
  loop_finish(&loop);
}


static void group_asyncs(void) {
  bench_sends();
  bench_handles();
  bench_crowd();
}


/* ---- Async round trips ---- */

typedef enum { ONE_CPU, POLLING, AWAKE, HALTED } trip_t;

typedef struct {
  uv_loop_t loop;
  uv_async_t async;
  uv_timer_t timer;
} end_t;

static end_t near_end;
static end_t far_end;
static trip_t trip;
static uint32_t trips_wanted;
static uint32_t trips;
static uint64_t* trip_ns;
static uint64_t sent_ns;
static atomic_int over;

static int compare_ns(const void* a, const void* b) {
  uint64_t x = *(const uint64_t*) a;
  uint64_t y = *(const uint64_t*) b;

  return (x > y) - (x < y);
}


static void send_ball(void) {
  sent_ns = clock_ns();
  (void) uv_async_send(&far_end.async);
}


static void on_pause_over(uv_timer_t* handle) {
  (void) handle;
  send_ball();
}


static void on_near(uv_async_t* handle) {
  trip_ns[trips++] = clock_ns() - sent_ns;
  if (trips == trips_wanted) {
    atomic_store(&over, 1);
    (void) uv_async_send(&far_end.async);
    uv_stop(handle->loop);
  } else if (trip == HALTED) {
    (void) uv_timer_start(&near_end.timer, on_pause_over, 2, 0);
  } else {
    send_ball();
  }
}


static void on_far(uv_async_t* handle) {
  if (atomic_load(&over))
    uv_stop(handle->loop);
  else
    (void) uv_async_send(&near_end.async);
}


static void run_end(end_t* end, int cpu) {
  pin(trip == ONE_CPU ? 0 : cpu);
  if (trip != POLLING) {
    (void) uv_run(&end->loop, UV_RUN_DEFAULT);
    return;
  }
  while (!atomic_load_explicit(&over, memory_order_relaxed))
    (void) uv_run(&end->loop, UV_RUN_NOWAIT);
}


static void* run_far(void* arg) {
  run_end(arg, 1);
  return NULL;
}


static void bench_trip(const char* name, trip_t kind, uint32_t count) {
  pthread_t thread;

  trip = kind;
  trips = 0;
  trips_wanted = count;
  trip_ns = allocate(count, sizeof(*trip_ns));
  atomic_store(&over, 0);
  must(uv_loop_init(&near_end.loop) == 0);
  must(uv_loop_init(&far_end.loop) == 0);
  must(uv_async_init(&near_end.loop, &near_end.async, on_near) == 0);
  must(uv_timer_init(&near_end.loop, &near_end.timer) == 0);
  must(uv_async_init(&far_end.loop, &far_end.async, on_far) == 0);
  must(pthread_create(&thread, NULL, run_far, &far_end) == 0);
  send_ball();
  run_end(&near_end, 0);
  must(pthread_join(thread, NULL) == 0);
  qsort(trip_ns, count, sizeof(*trip_ns), compare_ns);
  char full[96];
  (void) snprintf(full, sizeof(full), "async round trip, %s", name);
  tell(full, (double) trip_ns[count / 2], "ns", count);
  free(trip_ns);
  loop_finish(&near_end.loop);
  loop_finish(&far_end.loop);
}


static void group_trips(void) {
  bench_trip("one CPU", ONE_CPU, 50000);
  bench_trip("two CPUs, polling", POLLING, 50000);
  bench_trip("two CPUs, kept awake", AWAKE, 20000);
  bench_trip("two CPUs, halted", HALTED, 400);
}


/* ---- Works ---- */

static uv_work_t works[1024];
static uint64_t works_left;

static void on_work(uv_work_t* req) {
  (void) req;
}


static void after_work_again(uv_work_t* req, int status) {
  (void) status;
  if (--works_left > 0)
    (void) uv_queue_work(&loop, req, on_work, after_work_again);
}


static void after_work(uv_work_t* req, int status) {
  (void) req;
  (void) status;
  calls++;
}


static void bench_work_trip(uint64_t count) {
  must(uv_loop_init(&loop) == 0);
  works_left = 100; /* the threads are there before the clock runs */
  must(uv_queue_work(&loop, &works[0], on_work, after_work_again) == 0);
  must(uv_run(&loop, UV_RUN_DEFAULT) == 0);
  works_left = count;
  uint64_t start = clock_ns();
  must(uv_queue_work(&loop, &works[0], on_work, after_work_again) == 0);
  must(uv_run(&loop, UV_RUN_DEFAULT) == 0);
  tell_each("queue_work round trip, depth 1", clock_ns() - start, count);
  loop_finish(&loop);
}


static void bench_work_depth(uint64_t rounds) {
  size_t depth = sizeof(works) / sizeof(works[0]);

  must(uv_loop_init(&loop) == 0);
  calls = 0;
  uint64_t start = clock_ns();
  for (uint64_t round = 0; round < rounds; round++) {
    for (size_t i = 0; i < depth; i++)
      must(uv_queue_work(&loop, &works[i], on_work, after_work) == 0);
    must(uv_run(&loop, UV_RUN_DEFAULT) == 0);
  }
  tell_each("queue_work, each of 1024 at once", clock_ns() - start,
            rounds * depth);
  must(calls == rounds * depth);
  loop_finish(&loop);
}


static void group_works(void) {
  bench_work_trip(20000);
  bench_work_depth(100);
}


int main(int argc, char** argv) {
  static const struct {
    const char* name;
    void (*run)(void);
  } groups[] = {
      {"loop", group_loop},     {"timers", group_timers},
      {"asyncs", group_asyncs}, {"trips", group_trips},
      {"works", group_works},
  };

  must(sched_getaffinity(0, sizeof(allowed), &allowed) == 0);
  for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
    if (argc == 2 && strcmp(argv[1], groups[i].name) == 0) {
      groups[i].run();
      return 0;
    }
  }
  (void) fprintf(stderr, "usage: runtime loop|timers|asyncs|trips|works\n");
  return 2;
}

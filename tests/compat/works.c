/*
 * tests/compat/works.c - uv_queue_work: computing beside the loop.
 *
 * Goal:   work callbacks run on other threads, after callbacks on the loop's,
 *         in the poll phase and before its asyncs; a request under way keeps
 *         the loop alive; four works may wait for each other.
 * Method: hold works back by semaphores, so that their order is ours.
 */
#include "tests/compat/say.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#define WORKS 64

static uv_loop_t loop;
static uv_work_t works[WORKS];
static pthread_t loop_thread;
static atomic_int on_loop_thread;
static atomic_int ran;
static int after_count;

static void work_count(uv_work_t* req) {
  (void) req;
  if (pthread_equal(pthread_self(), loop_thread))
    atomic_fetch_add(&on_loop_thread, 1);
  atomic_fetch_add(&ran, 1);
}


static void after_count_up(uv_work_t* req, int status) {
  must(status == 0);
  must(req->type == UV_WORK);
  must(pthread_equal(pthread_self(), loop_thread));
  after_count++;
}


static void set_up(void) {
  must(uv_loop_init(&loop) == 0);
  loop_thread = pthread_self();
  atomic_store(&ran, 0);
  atomic_store(&on_loop_thread, 0);
  after_count = 0;
}


static void try_many(void) {
  set_up();
  for (int i = 0; i < WORKS; i++)
    must(uv_queue_work(&loop, &works[i], work_count, after_count_up) == 0);
  say("alive with works under way: %d", uv_loop_alive(&loop) != 0);
  say("loop close: %s", result(uv_loop_close(&loop)));
  say("uv_run returns %d", uv_run(&loop, UV_RUN_DEFAULT) != 0);
  say("%d ran, %d of them on the loop's thread, %d were told of",
      atomic_load(&ran), atomic_load(&on_loop_thread), after_count);
  finish(&loop);
}


/* Each is queued by the one before, and the request is used again. */
static void after_next(uv_work_t* req, int status) {
  must(status == 0);
  if (++after_count < 50)
    must(uv_queue_work(&loop, req, work_count, after_next) == 0);
}


static void try_chain(void) {
  set_up();
  must(uv_queue_work(&loop, &works[0], work_count, after_next) == 0);
  say("uv_run returns %d", uv_run(&loop, UV_RUN_DEFAULT) != 0);
  say("a chain of %d, %d ran", after_count, atomic_load(&ran));
  finish(&loop);
}


static void try_arguments(void) {
  set_up();
  works[0].data = (void*) (uintptr_t) "kept";
  say("no work callback: %s",
      result(uv_queue_work(&loop, &works[0], NULL, after_count_up)));
  say("alive %d", uv_loop_alive(&loop) != 0);
  say("no after callback: %s",
      result(uv_queue_work(&loop, &works[0], work_count, NULL)));
  say("alive %d", uv_loop_alive(&loop) != 0);
  say("uv_run returns %d", uv_run(&loop, UV_RUN_DEFAULT) != 0);
  say("%d ran, data is %s, type %s", atomic_load(&ran),
      (const char*) works[0].data,
      uv_req_type_name(uv_req_get_type((uv_req_t*) &works[0])));
  finish(&loop);
}


static sem_t go;
static sem_t there;

static void work_wait(uv_work_t* req) {
  (void) req;
  must(sem_post(&there) == 0);
  while (sem_wait(&go) != 0) {
  }
}


/* Four works at a time: each waits until all four run. */
static atomic_int meeting;

static void work_meet(uv_work_t* req) {
  (void) req;
  atomic_fetch_add(&meeting, 1);
  while (atomic_load(&meeting) < 4)
    burn_ms(1);
}


static void try_meeting(void) {
  set_up();
  for (int i = 0; i < 4; i++)
    must(uv_queue_work(&loop, &works[i], work_meet, after_count_up) == 0);
  say("uv_run returns %d", uv_run(&loop, UV_RUN_DEFAULT) != 0);
  say("%d met", atomic_load(&meeting));
  finish(&loop);
}


/* Order within one poll: what came back, then the asyncs. */
static uv_async_t async;
static uv_check_t check;

static void on_async(uv_async_t* handle) {
  (void) handle;
  say("  async");
}


static void on_check(uv_check_t* handle) {
  say("  check");
  if (after_count == 1)
    uv_check_stop(handle);
}


static void after_say(uv_work_t* req, int status) {
  say("  after %s: %s", (const char*) req->data, result(status));
  after_count++;
  must(uv_async_send(&async) == 0);
  uv_unref(base_of(&async));
}


static void try_phase(void) {
  set_up();
  must(sem_init(&go, 0, 0) == 0);
  must(sem_init(&there, 0, 0) == 0);
  must(uv_async_init(&loop, &async, on_async) == 0);
  must(uv_check_init(&loop, &check) == 0);
  works[0].data = (void*) (uintptr_t) "the work";
  must(uv_queue_work(&loop, &works[0], work_wait, after_say) == 0);
  must(sem_wait(&there) == 0);
  say("the work waits; a turn without waiting returns %d",
      uv_run(&loop, UV_RUN_NOWAIT) != 0);
  must(sem_post(&go) == 0);
  must(uv_check_start(&check, on_check) == 0);
  uv_unref(base_of(&check));
  say("ONCE waits for it:");
  say("uv_run returns %d", uv_run(&loop, UV_RUN_ONCE) != 0);
  must(sem_destroy(&go) == 0);
  must(sem_destroy(&there) == 0);
  finish(&loop);
}


/* Works of two loops; each hears of its own. */
typedef struct {
  uv_loop_t loop;
  uv_work_t works[WORKS];
  pthread_t thread;
  int told;
  int strangers;
} side_t;

static void after_side(uv_work_t* req, int status) {
  side_t* side = req->data;

  must(status == 0);
  side->told++;
  if (!pthread_equal(pthread_self(), side->thread))
    side->strangers++;
}


static void* run_side(void* arg) {
  side_t* side = arg;

  side->thread = pthread_self();
  must(uv_loop_init(&side->loop) == 0);
  for (int round = 0; round < 10; round++) {
    for (int i = 0; i < WORKS; i++) {
      side->works[i].data = side;
      must(uv_queue_work(&side->loop, &side->works[i], work_count,
                         after_side) == 0);
    }
    must(uv_run(&side->loop, UV_RUN_DEFAULT) == 0);
  }
  must(uv_loop_close(&side->loop) == 0);
  return NULL;
}


static void try_sides(void) {
  static side_t sides[3];
  pthread_t threads[3];

  atomic_store(&ran, 0);
  for (int i = 0; i < 3; i++)
    must(pthread_create(&threads[i], NULL, run_side, &sides[i]) == 0);
  for (int i = 0; i < 3; i++) {
    must(pthread_join(threads[i], NULL) == 0);
    say("side %d: told of %d, %d on a strange thread", i, sides[i].told,
        sides[i].strangers);
  }
  say("%d ran", atomic_load(&ran));
}


/* What a work sends by asyncs arrives while it computes. */
static atomic_int progress;
static int last_seen;

static void work_report(uv_work_t* req) {
  (void) req;
  for (int i = 1; i <= 100; i++) {
    atomic_store(&progress, i);
    must(uv_async_send(&async) == 0);
  }
}


static void on_progress(uv_async_t* handle) {
  last_seen = atomic_load(&progress);
  if (last_seen == 100 && !uv_is_closing(base_of(handle)))
    uv_close(base_of(handle), NULL);
}


static void try_progress(void) {
  set_up();
  must(uv_async_init(&loop, &async, on_progress) == 0);
  must(uv_queue_work(&loop, &works[0], work_report, after_count_up) == 0);
  say("uv_run returns %d", uv_run(&loop, UV_RUN_DEFAULT) != 0);
  say("progress seen: %d of 100, told %d", last_seen, after_count);
  finish(&loop);
}


int main(void) {
  try_many();
  try_chain();
  try_arguments();
  try_meeting();
  try_phase();
  try_sides();
  try_progress();
  return 0;
}

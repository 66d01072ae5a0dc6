/*
 * tests/compat/works_cancel.c - one thread, the order of works, and uv_cancel.
 *
 * Goal:   with UV_THREADPOOL_SIZE=1 works run and come back in order; what has
 *         not begun can be cancelled, once, and its after callback still comes;
 *         what runs or ran can't.
 * Method: a first work holds the only thread until the others are queued.
 */
#include "tests/compat/say.h"

#include <pthread.h>
#include <semaphore.h>

#define WORKS 8

static uv_loop_t loop;
static uv_work_t gate;
static uv_work_t works[WORKS];
static uv_random_t randoms[2];
static unsigned char bytes[64];
static const char* const names[WORKS] = {"a", "b", "c", "d",
                                         "e", "f", "g", "h"};
static sem_t go;
static sem_t there;
static char order[64];
static size_t ran_count;
static int requeue;

static void work_gate(uv_work_t* req) {
  (void) req;
  must(sem_post(&there) == 0);
  while (sem_wait(&go) != 0) {
  }
}


static void after_gate(uv_work_t* req, int status) {
  (void) req;
  say("  the gate: %s", result(status));
}


/* Only one thread runs works, and the loop reads this when they are over. */
static void work_note(uv_work_t* req) {
  order[ran_count++] = *(const char*) req->data;
}


static void after_note(uv_work_t* req, int status) {
  say("  %s: %s", (const char*) req->data, result(status));
  if (requeue > 0 && status == UV_ECANCELED) {
    requeue--;
    say("  queued again: %s",
        result(uv_queue_work(&loop, req, work_note, after_note)));
  }
}


static void after_random(uv_random_t* req, int status, void* buf, size_t size) {
  say("  random %s: %s, buffer %d, size %d", (const char*) req->data,
      result(status), buf == bytes, (int) size);
}


static void shut_gate(void) {
  must(uv_loop_init(&loop) == 0);
  memset(order, 0, sizeof(order));
  ran_count = 0;
  must(sem_init(&go, 0, 0) == 0);
  must(sem_init(&there, 0, 0) == 0);
  must(uv_queue_work(&loop, &gate, work_gate, after_gate) == 0);
  must(sem_wait(&there) == 0);
  for (int i = 0; i < WORKS; i++) {
    works[i].data = (void*) (uintptr_t) names[i];
    must(uv_queue_work(&loop, &works[i], work_note, after_note) == 0);
  }
}


static int cancel(uv_work_t* work) {
  return uv_cancel((uv_req_t*) work);
}


static void open_gate(void) {
  must(sem_post(&go) == 0);
  say("uv_run returns %d", uv_run(&loop, UV_RUN_DEFAULT) != 0);
  say("ran in this order: %s", order);
  say("cancel of the gate, which ran: %s", result(cancel(&gate)));
  must(sem_destroy(&go) == 0);
  must(sem_destroy(&there) == 0);
  finish(&loop);
}


static void try_order(void) {
  say("in order:");
  shut_gate();
  open_gate();
}


static void try_cancel(void) {
  say("c, a and h are cancelled:");
  shut_gate();
  say("the gate itself: %s", result(cancel(&gate)));
  say("c: %s", result(cancel(&works[2])));
  say("a: %s", result(cancel(&works[0])));
  say("h: %s", result(cancel(&works[7])));
  say("c again: %s", result(cancel(&works[2])));
  say("alive %d", uv_loop_alive(&loop) != 0);
  say("a turn tells of them, as they were cancelled:");
  say("uv_run returns %d", uv_run(&loop, UV_RUN_NOWAIT) != 0);
  open_gate();
}


static void try_cancel_all(void) {
  say("all are cancelled, from the last on, and some queued again:");
  shut_gate();
  requeue = 3;
  for (int i = WORKS - 1; i >= 0; i--)
    say("%s: %s", names[i], result(cancel(&works[i])));
  say("uv_run returns %d", uv_run(&loop, UV_RUN_ONCE) != 0);
  open_gate();
  requeue = 0;
}


static void try_random(void) {
  say("random bytes wait for the same thread:");
  shut_gate();
  for (int i = 0; i < 2; i++) {
    randoms[i].data = (void*) (uintptr_t) names[i];
    must(uv_random(&loop, &randoms[i], bytes, 32 + (size_t) i, 0,
                   after_random) == 0);
  }
  say("cancel b: %s", result(uv_cancel((uv_req_t*) &randoms[1])));
  say("uv_run returns %d", uv_run(&loop, UV_RUN_NOWAIT) != 0);
  open_gate();
}


static void try_other_requests(void) {
  uv_req_t req;

  memset(&req, 0, sizeof(req));
  req.type = UV_REQ;
  say("cancel of a plain request: %s", result(uv_cancel(&req)));
  req.type = UV_CONNECT;
  say("cancel of a connect request: %s", result(uv_cancel(&req)));
  req.type = UV_UNKNOWN_REQ;
  say("cancel of an unknown request: %s", result(uv_cancel(&req)));
}


/* Cancelled from an after callback of the same poll. */
static void after_cancels(uv_work_t* req, int status) {
  say("  %s: %s", (const char*) req->data, result(status));
  say("  cancels g: %s", result(cancel(&works[6])));
  say("  cancels h: %s", result(cancel(&works[7])));
}


static void try_cancel_in_callback(void) {
  say("a cancelled one cancels others:");
  shut_gate();
  must(cancel(&works[5]) == 0);
  must(uv_run(&loop, UV_RUN_NOWAIT) != 0);
  must(uv_queue_work(&loop, &works[5], work_note, after_cancels) == 0);
  must(cancel(&works[5]) == 0);
  say("uv_run returns %d", uv_run(&loop, UV_RUN_NOWAIT) != 0);
  say("uv_run returns %d", uv_run(&loop, UV_RUN_NOWAIT) != 0);
  open_gate();
}


int main(void) {
  must(setenv("UV_THREADPOOL_SIZE", "1", 1) == 0);
  try_order();
  try_cancel();
  try_cancel_all();
  try_random();
  try_other_requests();
  try_cancel_in_callback();
  return 0;
}

/*
 * tests/unit/test_work.c - uv_queue_work, uv_cancel and uv_random on threads.
 *
 * Goal:   each work is called back exactly once, in its loop, with the status
 *         that it deserves; taking back works or says why not; workers that
 *         sleep, search and spin lose no job.
 * Method: many small works from several loops; works held by a semaphore, so
 *         that others queue behind them.
 */
#include "tests/unit/unit.h"

#include "runtime/work.c"

#include <pthread.h>
#include <semaphore.h>

#define WORKS 500
#define WORKERS 4 /* UV_THREADPOOL_SIZE is not set here */

typedef struct {
  uv_loop_t loop;
  uv_work_t works[WORKS];
  unsigned ran[WORKS]; /* written by the worker, read after the callback */
  unsigned done;
  unsigned canceled;
  unsigned again; /* how often each is queued anew */
} batch_t;

static batch_t batches[3];
static sem_t held;
static sem_t go;

static void work_count(uv_work_t* req) {
  batch_t* batch = req->data;

  batch->ran[req - batch->works]++;
}


static void after_count(uv_work_t* req, int status) {
  batch_t* batch = req->data;

  if (status == UV_ECANCELED)
    batch->canceled++;
  else
    batch->done++;
  if (batch->again > 0) {
    batch->again--;
    uv_queue_work(&batch->loop, req, work_count, after_count);
  }
}


static void* run_batch(void* arg) {
  batch_t* batch = arg;

  for (unsigned i = 0; i < WORKS; i++) {
    batch->works[i].data = batch;
    uv_queue_work(&batch->loop, &batch->works[i], work_count, after_count);
  }
  uv_run(&batch->loop, UV_RUN_DEFAULT);
  return NULL;
}


static void many_works_of_many_loops_all_come_back(void** state) {
  (void) state;
  pthread_t threads[ARRAY_SIZE(batches)];

  for (unsigned i = 0; i < ARRAY_SIZE(batches); i++) {
    memset(&batches[i], 0, sizeof(batches[i]));
    batches[i].again = 1000;
    uv_loop_init(&batches[i].loop);
    assert_int_equal(0,
                     pthread_create(&threads[i], NULL, run_batch, &batches[i]));
  }
  for (unsigned i = 0; i < ARRAY_SIZE(batches); i++) {
    unsigned ran = 0;

    pthread_join(threads[i], NULL);
    for (unsigned w = 0; w < WORKS; w++)
      ran += batches[i].ran[w];
    assert_int_equal(WORKS + 1000, ran);
    assert_int_equal(WORKS + 1000, batches[i].done);
    assert_int_equal(0, uv_loop_close(&batches[i].loop));
  }
}


static void work_hold(uv_work_t* req) {
  (void) req;
  sem_post(&held);
  while (sem_wait(&go) != 0)
    MAYBE(true);
}


static void what_has_not_begun_can_be_taken_back(void** state) {
  (void) state;
  batch_t* batch = &batches[0];
  uv_work_t holders[WORKERS];

  memset(batch, 0, sizeof(*batch));
  uv_loop_init(&batch->loop);
  sem_init(&held, 0, 0);
  sem_init(&go, 0, 0);
  for (unsigned i = 0; i < WORKERS; i++)
    uv_queue_work(&batch->loop, &holders[i], work_hold, NULL);
  for (unsigned i = 0; i < WORKERS; i++) /* all four run at a time */
    assert_int_equal(0, sem_wait(&held));

  for (unsigned i = 0; i < 10; i++) {
    batch->works[i].data = batch;
    uv_queue_work(&batch->loop, &batch->works[i], work_count, after_count);
  }
  assert_int_equal(UV_EBUSY, uv_cancel((uv_req_t*) &holders[0]));
  assert_int_equal(0, uv_cancel((uv_req_t*) &batch->works[3]));
  assert_int_equal(0, uv_cancel((uv_req_t*) &batch->works[3]));
  assert_int_equal(0, uv_cancel((uv_req_t*) &batch->works[9]));
  assert_int_equal(0, batch->canceled); /* never inside the call */
  assert_int_equal(UV_EBUSY, uv_loop_close(&batch->loop));

  for (unsigned i = 0; i < WORKERS; i++)
    sem_post(&go);
  assert_int_equal(0, uv_run(&batch->loop, UV_RUN_DEFAULT));
  assert_int_equal(2, batch->canceled);
  assert_int_equal(8, batch->done);
  assert_int_equal(0, batch->ran[3]);
  assert_int_equal(UV_EBUSY, uv_cancel((uv_req_t*) &batch->works[0]));
  assert_int_equal(0, uv_loop_close(&batch->loop));
}


static void what_is_no_work_is_refused(void** state) {
  (void) state;
  uv_req_t req = {.type = UV_FS};
  uv_work_t work;

  uv_loop_init(&batches[0].loop);
  assert_int_equal(UV_EINVAL, uv_cancel(&req));
  req.type = UV_UNKNOWN_REQ;
  assert_int_equal(UV_EINVAL, uv_cancel(&req));
  assert_int_equal(UV_EINVAL,
                   uv_queue_work(&batches[0].loop, &work, NULL, after_count));
  assert_false(uv_loop_alive(&batches[0].loop));
  assert_int_equal(0, uv_loop_close(&batches[0].loop));
}


static unsigned random_calls;

static void on_random(uv_random_t* req, int status, void* buf, size_t size) {
  assert_int_equal(0, status);
  assert_ptr_equal(req->data, buf);
  assert_int_equal(16, size);
  random_calls++;
}


static void random_bytes_come_at_once_or_later(void** state) {
  (void) state;
  static const unsigned char zeroes[16];
  unsigned char now[16] = {0};
  unsigned char later[16] = {0};
  uv_random_t req = {.data = later};
  uv_loop_t* loop = &batches[0].loop;

  uv_loop_init(loop);
  assert_int_equal(0, uv_random(NULL, NULL, now, sizeof(now), 0, NULL));
  assert_memory_not_equal(zeroes, now, sizeof(now));
  assert_int_equal(0, uv_random(NULL, NULL, NULL, 0, 0, NULL));
  assert_int_equal(UV_EINVAL, uv_random(NULL, NULL, now, 1, 1, NULL));
  assert_int_equal(UV_E2BIG,
                   uv_random(loop, &req, now, 0x80000000u, 1, on_random));
  assert_false(uv_loop_alive(loop));

  assert_int_equal(0, uv_random(loop, &req, later, 16, 0, on_random));
  assert_true(uv_loop_alive(loop));
  assert_int_equal(0, random_calls);
  assert_int_equal(0, uv_run(loop, UV_RUN_DEFAULT));
  assert_int_equal(1, random_calls);
  assert_memory_not_equal(zeroes, later, sizeof(later));
  assert_int_equal(0, uv_loop_close(loop));
}


int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(many_works_of_many_loops_all_come_back),
      cmocka_unit_test(what_has_not_begun_can_be_taken_back),
      cmocka_unit_test(what_is_no_work_is_refused),
      cmocka_unit_test(random_bytes_come_at_once_or_later),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}

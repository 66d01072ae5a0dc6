/*
 * tests/unit/test_async.c - asyncs, from the loop's own thread and from others.
 *
 * Goal:   no send is lost, whoever sends and however the loop sleeps; asyncs
 *         run in order of their rank; a close in the middle of sends is safe,
 *         and so is freeing the loop's memory right after.
 * Method: threads that send as fast as they can, with counts on both sides;
 *         ThreadSanitizer and AddressSanitizer see the rest.
 */
#include "tests/unit/unit.h"

#include "runtime/async.c"

#include <pthread.h>

#define SENDERS 4
#define SENDS 2000

static uv_loop_t loop;
static unsigned calls;

/* ---- Ranks ---- */

static uv_async_t many[600];
static unsigned seen[ARRAY_SIZE(many)];
static unsigned seen_count;

static void note_index(uv_async_t* async) {
  assert_true(seen_count < ARRAY_SIZE(seen));
  seen[seen_count++] = (unsigned) (async - many);
}


static void close_all(unsigned count) {
  for (unsigned i = 0; i < count; i++)
    uv_close((uv_handle_t*) &many[i], NULL);
  assert_int_equal(0, uv_run(&loop, UV_RUN_DEFAULT));
  assert_int_equal(0, uv_loop_close(&loop));
}


static void set_up(unsigned count) {
  seen_count = 0;
  calls = 0;
  assert_int_equal(0, uv_loop_init(&loop));
  for (unsigned i = 0; i < count; i++)
    assert_int_equal(0, uv_async_init(&loop, &many[i], note_index));
}


static void any_order_of_sends_comes_out_in_order_of_init(void** state) {
  (void) state;
  uint32_t rng = 12345;

  set_up(ARRAY_SIZE(many));
  for (unsigned round = 0; round < 20; round++) {
    unsigned count = 0;

    seen_count = 0;
    for (unsigned i = 0; i < 40 * round; i++) {
      rng = rng * 1664525u + 1013904223u;
      uv_async_send(&many[(rng >> 8) % ARRAY_SIZE(many)]);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(many); i++)
      count += many[i].state == UV__ASYNC_PENDING;
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(count, seen_count);
    for (unsigned i = 1; i < seen_count; i++)
      assert_true(seen[i - 1] < seen[i]);
  }
  close_all(ARRAY_SIZE(many));
}


/* Each callback sends to the next one: all in one pass, as in libuv. */
static void send_next(uv_async_t* async) {
  note_index(async);
  if (async + 1 < many + ARRAY_SIZE(many))
    uv_async_send(async + 1);
  uv_async_send(&many[0]);
}


static void a_chain_of_sends_is_one_pass(void** state) {
  (void) state;
  set_up(0);
  for (unsigned i = 0; i < ARRAY_SIZE(many); i++)
    uv_async_init(&loop, &many[i], send_next);
  uv_async_send(&many[0]);
  uv_run(&loop, UV_RUN_NOWAIT);
  assert_int_equal(ARRAY_SIZE(many), seen_count);
  assert_true((loop.flags & UV__AGAIN) != 0 || uv__loop_pending(&loop));
  for (unsigned i = 0; i < ARRAY_SIZE(many); i++)
    uv_close((uv_handle_t*) &many[i], NULL);
  assert_int_equal(0, uv_run(&loop, UV_RUN_DEFAULT));
  assert_int_equal(ARRAY_SIZE(many), seen_count);
  assert_int_equal(0, uv_loop_close(&loop));
}


/* What a callback inits has its place right after it, however many there are:
 * room between ranks runs out, and all are spread anew. */
static unsigned opened;

static void open_more(uv_async_t* async) {
  note_index(async);
  for (; opened < ARRAY_SIZE(many); opened++)
    uv_async_init(&loop, &many[opened], note_index);
}


static void a_callbacks_own_asyncs_come_after_it(void** state) {
  (void) state;
  set_up(0);
  opened = 3;
  uv_async_init(&loop, &many[0], note_index);
  uv_async_init(&loop, &many[1], open_more);
  uv_async_init(&loop, &many[2], note_index);
  many[2].rank = many[1].rank + 40; /* a narrow place */
  uv_async_send(&many[1]);
  uv_run(&loop, UV_RUN_NOWAIT);
  assert_int_equal(1, seen_count);

  seen_count = 0;
  for (unsigned i = ARRAY_SIZE(many); i-- > 0;)
    uv_async_send(&many[i]);
  uv_run(&loop, UV_RUN_NOWAIT);
  assert_int_equal(ARRAY_SIZE(many), seen_count);
  assert_int_equal(0, seen[0]);
  assert_int_equal(1, seen[1]);
  assert_int_equal(3, seen[2]);
  assert_int_equal(ARRAY_SIZE(many) - 1, seen[ARRAY_SIZE(many) - 2]);
  assert_int_equal(2, seen[ARRAY_SIZE(many) - 1]);
  close_all(ARRAY_SIZE(many));
}


static void ranks_that_reach_the_end_begin_anew(void** state) {
  (void) state;
  set_up(2);
  many[1].rank = UINT64_MAX - 5;
  uv_async_init(&loop, &many[2], note_index);
  assert_true(many[0].rank < many[1].rank);
  assert_true(many[1].rank < many[2].rank);
  assert_true(many[2].rank < UINT64_MAX / 2);
  close_all(3);
}


/* ---- Closing ---- */

static void a_closed_async_is_not_called(void** state) {
  (void) state;
  set_up(3);
  uv_async_send(&many[0]);
  uv_async_send(&many[1]);
  uv_async_send(&many[2]);
  uv_close((uv_handle_t*) &many[1], NULL);
  uv_async_send(&many[1]);
  uv_async_send(&many[1]);
  uv_run(&loop, UV_RUN_NOWAIT);
  assert_int_equal(2, seen_count);
  assert_int_equal(2, seen[1]);
  uv_async_init(&loop, &many[1], NULL);
  uv_async_send(&many[1]); /* no callback: only turns the loop */
  uv_run(&loop, UV_RUN_ONCE);
  assert_int_equal(2, seen_count);
  close_all(3);
}


static void all_that_was_sent_may_be_closed(void** state) {
  (void) state;
  set_up(3);
  uv_async_send(&many[2]);
  uv_async_send(&many[0]); /* out of order, and taken by the first close */
  uv_close((uv_handle_t*) &many[0], NULL);
  uv_close((uv_handle_t*) &many[2], NULL);
  uv_run(&loop, UV_RUN_NOWAIT);
  assert_int_equal(0, seen_count);
  uv_async_send(&many[1]);
  uv_run(&loop, UV_RUN_NOWAIT);
  assert_int_equal(1, seen_count);
  uv_close((uv_handle_t*) &many[1], NULL);
  assert_int_equal(0, uv_run(&loop, UV_RUN_DEFAULT));
  assert_int_equal(0, uv_loop_close(&loop));
}


/* ---- Threads ---- */

static uv_async_t targets[3];
static _Atomic unsigned sent;
static _Atomic unsigned senders_left;
static unsigned last_seen;

static void* send_many(void* arg) {
  for (unsigned i = 0; i < SENDS; i++) {
    atomic_fetch_add(&sent, 1);
    uv_async_send(&targets[i % ARRAY_SIZE(targets)]);
    if (i % 64 == 0)
      sched_yield();
  }
  atomic_fetch_sub(&senders_left, 1);
  uv_async_send(&targets[0]);
  return arg;
}


static void on_target(uv_async_t* async) {
  (void) async;
  calls++;
  last_seen = atomic_load(&sent);
  if (atomic_load(&senders_left) == 0 &&
      !uv_is_closing((uv_handle_t*) &targets[0])) {
    for (unsigned i = 0; i < ARRAY_SIZE(targets); i++)
      uv_close((uv_handle_t*) &targets[i], NULL);
  }
}


static void no_send_of_many_threads_is_lost(void** state) {
  (void) state;
  pthread_t threads[SENDERS];

  set_up(0);
  atomic_store(&sent, 0);
  atomic_store(&senders_left, SENDERS);
  for (unsigned i = 0; i < ARRAY_SIZE(targets); i++)
    uv_async_init(&loop, &targets[i], on_target);
  for (unsigned i = 0; i < SENDERS; i++)
    assert_int_equal(0, pthread_create(&threads[i], NULL, send_many, NULL));
  assert_int_equal(0, uv_run(&loop, UV_RUN_DEFAULT));
  for (unsigned i = 0; i < SENDERS; i++)
    pthread_join(threads[i], NULL);
  assert_int_equal(SENDERS * SENDS, last_seen);
  assert_true(calls > 0);
  assert_int_equal(0, uv_loop_close(&loop));
}


/* Two loops on two threads, a ball between them. */
typedef struct {
  uv_loop_t loop;
  uv_async_t async;
  uv_async_t* other;
  unsigned got;
} side_t;

#define ROUNDS 3000u

static void on_ball(uv_async_t* async) {
  side_t* side = async->data;

  if (++side->got <= ROUNDS)
    uv_async_send(side->other);
  if (side->got >= ROUNDS)
    uv_close((uv_handle_t*) async, NULL);
}


static void* play(void* arg) {
  side_t* side = arg;

  uv_run(&side->loop, UV_RUN_DEFAULT);
  return NULL;
}


static void two_loops_play_ball(void** state) {
  (void) state;
  static side_t sides[2];
  pthread_t thread;

  for (unsigned i = 0; i < 2; i++) {
    uv_loop_init(&sides[i].loop);
    uv_async_init(&sides[i].loop, &sides[i].async, on_ball);
    sides[i].async.data = &sides[i];
    sides[i].other = &sides[1 - i].async;
  }
  uv_async_send(&sides[0].async);
  assert_int_equal(0, pthread_create(&thread, NULL, play, &sides[1]));
  play(&sides[0]);
  pthread_join(thread, NULL);
  for (unsigned i = 0; i < 2; i++) {
    assert_int_equal(ROUNDS, sides[i].got);
    assert_int_equal(0, uv_loop_close(&sides[i].loop));
  }
}


/* A loop whose memory goes as soon as it may, while its last sender is still
 * inside uv_async_send(). */
static void on_last(uv_async_t* async) {
  uv_close((uv_handle_t*) async, NULL);
}


static void* send_once(void* arg) {
  uv_async_send(arg);
  return NULL;
}


typedef struct {
  uv_loop_t loop;
  uv_async_t async;
  uv_timer_t timer;
} short_lived_t;

static void on_tick(uv_timer_t* timer) {
  (void) timer;
}


static void a_loop_may_go_right_after_the_last_send(void** state) {
  (void) state;

  for (unsigned i = 0; i < 200; i++) {
    short_lived_t* s = malloc(sizeof(*s));
    pthread_t thread;

    uv_loop_init(&s->loop);
    uv_async_init(&s->loop, &s->async, on_last);
    uv_timer_init(&s->loop, &s->timer); /* so that waits end by time, too */
    uv_timer_start(&s->timer, on_tick, 1, 1);
    uv_unref((uv_handle_t*) &s->timer);
    assert_int_equal(0, pthread_create(&thread, NULL, send_once, &s->async));
    assert_int_equal(0, uv_run(&s->loop, UV_RUN_DEFAULT));
    uv_close((uv_handle_t*) &s->timer, NULL);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    assert_int_equal(0, uv_loop_close(&s->loop));
    memset(s, 0xa5, sizeof(*s));
    free(s);
    pthread_join(thread, NULL);
  }
}


int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(any_order_of_sends_comes_out_in_order_of_init),
      cmocka_unit_test(a_chain_of_sends_is_one_pass),
      cmocka_unit_test(a_callbacks_own_asyncs_come_after_it),
      cmocka_unit_test(ranks_that_reach_the_end_begin_anew),
      cmocka_unit_test(a_closed_async_is_not_called),
      cmocka_unit_test(all_that_was_sent_may_be_closed),
      cmocka_unit_test(no_send_of_many_threads_is_lost),
      cmocka_unit_test(two_loops_play_ball),
      cmocka_unit_test(a_loop_may_go_right_after_the_last_send),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}

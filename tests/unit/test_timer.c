/*
 * tests/unit/test_timer.c - timers and their wheel.
 *
 * Goal:   timers run in order of (due, start), exact to the millisecond, for
 *         any operations and any jumps of time; and libuv's rules for them.
 * Method: beside the wheel stands the plainest list there can be, searched
 *         from end to end; random operations go to both, and each timer that
 *         runs must be the one that the list would choose. Time is a number.
 */
#include "tests/unit/unit.h"

#include "runtime/timer.c"
#include "tests/unit/fake_time.h"

#define TIMERS 200

typedef struct {
  uv_timer_t timer;
  bool active;
  uint64_t due;
  uint64_t order; /* of its start */
  uint64_t repeat;
} pair_t;

static uv_loop_t loop;
static pair_t pairs[TIMERS];
static uint64_t order;
static uint64_t rng;
static unsigned ran;
static unsigned acts; /* that callbacks may still do in this run */

static uint64_t pick(uint64_t below) {
  rng ^= rng << 13;
  rng ^= rng >> 7;
  rng ^= rng << 17;
  return (rng >> 8) % below;
}


/* Of each size alike, for each level of the wheel has its own traps. */
static uint64_t some_ms(void) {
  uint64_t bits = pick(8) == 0 ? pick(65) : pick(14);
  uint64_t ms = bits == 0 ? 0 : (rng * 0x9e3779b97f4a7c15u) >> (64 - bits);

  return pick(4) == 0 ? ms & ~UINT64_C(63) : ms;
}


static pair_t* list_first(void) {
  pair_t* first = NULL;

  for (unsigned i = 0; i < TIMERS; i++) {
    pair_t* p = &pairs[i];
    if (p->active && (first == NULL || p->due < first->due ||
                      (p->due == first->due && p->order < first->order)))
      first = p;
  }
  return first;
}


static void act(void);

static void on_timer(uv_timer_t* timer) {
  pair_t* p = list_first();

  ran++;
  assert_ptr_equal(p, container_of(timer, pair_t, timer));
  assert_true(p->due <= uv_now(&loop));
  p->active = p->repeat != 0;
  if (p->active) {
    uint64_t now = uv_now(&loop);
    p->due = p->repeat > UINT64_MAX - now ? UINT64_MAX : now + p->repeat;
    p->order = order++;
  }
  assert_int_equal(p->active, uv_is_active((uv_handle_t*) timer));
  if (acts > 0 && pick(3) == 0) {
    acts--;
    act();
  }
}


static void act(void) {
  pair_t* p = &pairs[pick(TIMERS)];
  uint64_t timeout = some_ms();

  switch (pick(5)) {
    case 0:
      p->active = false;
      assert_int_equal(0, uv_timer_stop(&p->timer));
      break;
    case 1:
      if (p->repeat != 0) {
        uint64_t now = uv_now(&loop);
        p->active = true;
        p->due = p->repeat > UINT64_MAX - now ? UINT64_MAX : now + p->repeat;
        p->order = order++;
      }
      uv_timer_again(&p->timer);
      break;
    default:
      /* A repeat must be long: time may jump far, and each is one callback. */
      p->repeat = pick(6) == 0 ? 1 + some_ms() : 0;
      p->active = true;
      p->due = timeout > UINT64_MAX - uv_now(&loop) ? UINT64_MAX
                                                    : uv_now(&loop) + timeout;
      p->order = order++;
      assert_int_equal(0,
                       uv_timer_start(&p->timer, on_timer, timeout, p->repeat));
  }
}


/* What the loop asks of the wheel agrees with the list. */
static void check_first(void) {
  pair_t* first = list_first();
  uint64_t when = 0;

  if (pick(2) == 0)
    assert_int_equal(first != NULL && first->due <= uv_now(&loop),
                     uv__timers_due(&loop));
  uint64_t bound = uv__timers_bound(&loop);
  assert_true(first == NULL ? bound == UINT64_MAX : bound <= first->due);
  if (pick(2) == 0)
    return; /* so that the wheel is also used without having been asked */
  assert_int_equal(first != NULL, uv__timers_first(&loop, &when));
  if (first != NULL)
    assert_true(when == first->due);
}


static void jump(void) {
  uint64_t far = pick(50) == 0 ? pick(UINT64_C(1) << 40) : some_ms();
  uint64_t limit = UINT64_C(1) << 43; /* ms: ns must not overflow */

  if (far < limit && uv_now(&loop) < limit)
    fake_now_ns += far * FAKE_MS_NS;
  uv_update_time(&loop);
}


static void the_wheel_agrees_with_a_list(void** state) {
  (void) state;

  for (uint64_t seed = 1; seed <= 150; seed++) {
    rng = seed * 0x9e3779b97f4a7c15u;
    memset(pairs, 0, sizeof(pairs));
    assert_int_equal(0, uv_loop_init(&loop));
    for (unsigned i = 0; i < TIMERS; i++)
      uv_timer_init(&loop, &pairs[i].timer);

    for (unsigned step = 0; step < 100; step++) {
      for (uint64_t n = pick(60); n > 0; n--)
        act();
      check_first();
      if (pick(3) != 0)
        jump();
      check_first();
      acts = 20;
      uv__timers_run(&loop);
      pair_t* first = list_first();
      assert_true(first == NULL || first->due > uv_now(&loop));
    }
    for (unsigned i = 0; i < TIMERS; i++)
      uv_close((uv_handle_t*) &pairs[i].timer, NULL);
    assert_int_equal(0, loop.wheel.levels);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(0, uv_loop_close(&loop));
  }
  assert_true(ran > 1000);
}


/* ---- Rules ---- */

static unsigned calls;

static void count(uv_timer_t* timer) {
  (void) timer;
  calls++;
}


static void set_up(uv_timer_t* timer) {
  assert_int_equal(0, uv_loop_init(&loop));
  assert_int_equal(0, uv_timer_init(&loop, timer));
  calls = 0;
}


static void tear_down(uv_timer_t* timer) {
  uv_close((uv_handle_t*) timer, NULL);
  uv_run(&loop, UV_RUN_DEFAULT);
  assert_int_equal(0, uv_loop_close(&loop));
}


static void starts_that_make_no_sense_are_refused(void** state) {
  (void) state;
  uv_timer_t timer;

  set_up(&timer);
  assert_int_equal(UV_EINVAL, uv_timer_again(&timer));
  assert_int_equal(UV_EINVAL, uv_timer_start(&timer, NULL, 0, 0));
  assert_int_equal(0, uv_timer_stop(&timer));
  assert_int_equal(0, uv_is_active((uv_handle_t*) &timer));
  uv_close((uv_handle_t*) &timer, NULL);
  assert_int_equal(UV_EINVAL, uv_timer_start(&timer, count, 0, 0));
  uv_run(&loop, UV_RUN_DEFAULT);
  assert_int_equal(0, calls);
  assert_int_equal(0, uv_loop_close(&loop));
}


static void a_timeout_without_end_never_comes(void** state) {
  (void) state;
  uv_timer_t timer;

  set_up(&timer);
  uv_run(&loop, UV_RUN_NOWAIT);
  assert_int_equal(0, uv_timer_start(&timer, count, UINT64_MAX, UINT64_MAX));
  assert_true(timer.timeout == UINT64_MAX);
  uv_run(&loop, UV_RUN_NOWAIT);
  assert_int_equal(0x7fffffff, uv_backend_timeout(&loop));
  assert_true(uv_timer_get_due_in(&timer) == UINT64_MAX - uv_now(&loop));
  assert_int_equal(0, calls);
  tear_down(&timer);
}


static void repeats_follow_the_clock_and_not_each_other(void** state) {
  (void) state;
  uv_timer_t timer;

  set_up(&timer);
  assert_int_equal(0, uv_timer_start(&timer, count, 10, 10));
  fake_now_ns += 35 * FAKE_MS_NS; /* three periods late: one call */
  uv_run(&loop, UV_RUN_NOWAIT);
  assert_int_equal(1, calls);
  assert_int_equal(10, uv_timer_get_due_in(&timer));

  uv_timer_set_repeat(&timer, 3); /* from the next call on */
  assert_int_equal(10, uv_timer_get_due_in(&timer));
  fake_now_ns += 10 * FAKE_MS_NS;
  uv_run(&loop, UV_RUN_NOWAIT);
  assert_int_equal(2, calls);
  assert_int_equal(3, uv_timer_get_due_in(&timer));
  assert_int_equal(3, uv_timer_get_repeat(&timer));

  uv_timer_set_repeat(&timer, 0);
  assert_int_equal(0, uv_timer_again(&timer)); /* no repeat: nothing happens */
  assert_int_equal(3, uv_timer_get_due_in(&timer));
  tear_down(&timer);
}


/* A crowd in one far slot: the wait may end early, but no timer runs early,
 * and the loop goes through its phases only once. */
static void a_crowd_of_far_timers_is_exact(void** state) {
  (void) state;
  static uv_timer_t crowd[1000];
  uv_prepare_t prepare;
  uint64_t first = 1000000;

  assert_int_equal(0, uv_loop_init(&loop));
  calls = 0;
  for (unsigned i = 0; i < ARRAY_SIZE(crowd); i++) {
    uv_timer_init(&loop, &crowd[i]);
    uv_timer_start(&crowd[i], count, first + 1 + i, 0);
  }
  uv_timer_stop(&crowd[0]);
  uv_timer_start(&crowd[0], count, first, 0);
  uv_timer_stop(&crowd[0]);
  uv_prepare_init(&loop, &prepare);

  uint64_t began = uv_now(&loop);
  uv_run(&loop, UV_RUN_ONCE);
  assert_int_equal(first + 2, uv_now(&loop) - began);
  assert_int_equal(1, calls);
  uv_run(&loop, UV_RUN_DEFAULT);
  assert_int_equal(ARRAY_SIZE(crowd) - 1, calls);
  assert_int_equal(first + 1000, uv_now(&loop) - began);

  for (unsigned i = 0; i < ARRAY_SIZE(crowd); i++)
    uv_close((uv_handle_t*) &crowd[i], NULL);
  uv_close((uv_handle_t*) &prepare, NULL);
  uv_run(&loop, UV_RUN_DEFAULT);
  assert_int_equal(0, uv_loop_close(&loop));
}


static void a_clock_that_goes_back_is_not_followed(void** state) {
  (void) state;
  uv_timer_t timer;

  set_up(&timer);
  uint64_t now = uv_now(&loop);
  fake_now_ns -= 3 * FAKE_MS_NS;
  uv_update_time(&loop);
  assert_true(now == uv_now(&loop));
  fake_now_ns += 3 * FAKE_MS_NS;
  tear_down(&timer);
}


int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_wheel_agrees_with_a_list),
      cmocka_unit_test(starts_that_make_no_sense_are_refused),
      cmocka_unit_test(a_timeout_without_end_never_comes),
      cmocka_unit_test(repeats_follow_the_clock_and_not_each_other),
      cmocka_unit_test(a_crowd_of_far_timers_is_exact),
      cmocka_unit_test(a_clock_that_goes_back_is_not_followed),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * tests/unit/test_loop.c - phases, handles, closing, waiting.
 *
 * Goal:   the rules of uv_run(), of uv_close() and of references, where
 *         tests/compat can't look: how often the loop waits, and until when.
 * Method: a machine whose waiting moves a number (fake_time.h). Callbacks
 *         write one letter each.
 */
#include "tests/unit/unit.h"

#include "runtime/loop.c"
#include "tests/unit/fake_time.h"

static uv_loop_t loop;
static uv_timer_t timer;
static uv_prepare_t prepares[3];
static uv_check_t check;
static uv_idle_t idle;
static uv_async_t async;
static char text[64];

static void say(char letter) {
  size_t size = strlen(text);

  assert_true(size + 1 < sizeof(text));
  text[size] = letter;
}


/* What has been said since the last time. */
static const char* said(void) {
  static char last[sizeof(text)];

  memcpy(last, text, sizeof(last));
  memset(text, 0, sizeof(text));
  return last;
}


static void on_timer(uv_timer_t* h) {
  (void) h;
  say('t');
}


static void on_prepare(uv_prepare_t* h) {
  say((char) ('0' + (h - prepares)));
}


static void on_check(uv_check_t* h) {
  (void) h;
  say('c');
}


static void on_idle(uv_idle_t* h) {
  (void) h;
  say('i');
}


static void on_async(uv_async_t* h) {
  (void) h;
  say('a');
}


static void on_close(uv_handle_t* h) {
  static const char letters[UV_HANDLE_TYPE_MAX] = {
      [UV_TIMER] = 'T', [UV_PREPARE] = 'P', [UV_CHECK] = 'C',
      [UV_IDLE] = 'I',  [UV_ASYNC] = 'A',
  };

  say(letters[h->type]);
}


static int set_up(void** state) {
  (void) state;
  fake_wait_hook = NULL;
  fake_waits = 0;
  (void) said();
  assert_int_equal(0, uv_loop_init(&loop));
  uv_timer_init(&loop, &timer);
  for (unsigned i = 0; i < ARRAY_SIZE(prepares); i++)
    uv_prepare_init(&loop, &prepares[i]);
  uv_check_init(&loop, &check);
  uv_idle_init(&loop, &idle);
  uv_async_init(&loop, &async, on_async);
  return 0;
}


static void close_it(uv_handle_t* h, void* arg) {
  (void) arg;
  if (!uv_is_closing(h))
    uv_close(h, on_close);
}


static int tear_down(void** state) {
  (void) state;
  fake_wait_hook = NULL;
  uv_walk(&loop, close_it, NULL);
  assert_int_equal(UV_EBUSY, uv_loop_close(&loop));
  assert_int_equal(0, uv_run(&loop, UV_RUN_DEFAULT));
  assert_int_equal(0, uv_loop_close(&loop));
  return 0;
}


static void phases_come_in_their_order(void** state) {
  (void) state;
  uv_check_start(&check, on_check);
  uv_idle_start(&idle, on_idle);
  for (unsigned i = 0; i < ARRAY_SIZE(prepares); i++)
    uv_prepare_start(&prepares[i], on_prepare);
  uv_timer_start(&timer, on_timer, 0, 0);
  uv_async_send(&async);
  uv_close((uv_handle_t*) &timer, on_close);
  assert_true(uv_run(&loop, UV_RUN_NOWAIT));
  assert_string_equal("i210acT", said());
  assert_int_equal(0, fake_waits);
}


static void closing_runs_newest_first(void** state) {
  (void) state;
  uv_close((uv_handle_t*) &timer, on_close);
  uv_close((uv_handle_t*) &check, on_close);
  uv_close((uv_handle_t*) &idle, NULL);
  uv_close((uv_handle_t*) &async, on_close);
  assert_int_equal(1, uv_is_closing((uv_handle_t*) &check));
  assert_int_equal(0, uv_is_active((uv_handle_t*) &async));
  assert_int_equal(1, uv_has_ref((uv_handle_t*) &async));
  assert_int_equal(0, uv_run(&loop, UV_RUN_DEFAULT));
  assert_string_equal("ACT", said());
  assert_int_equal(0, uv_has_ref((uv_handle_t*) &async));
  assert_int_equal(0, fake_waits);
}


static void stop_prepare_0(uv_prepare_t* h) {
  on_prepare(h);
  uv_prepare_stop(&prepares[0]);
  uv_prepare_stop(&prepares[1]);
  uv_prepare_start(&prepares[1], on_prepare); /* runs from the next turn on */
}


static void a_walk_survives_what_its_callbacks_do(void** state) {
  (void) state;
  uv_prepare_start(&prepares[0], on_prepare);
  uv_prepare_start(&prepares[1], on_prepare);
  uv_prepare_start(&prepares[2], stop_prepare_0);
  uv_run(&loop, UV_RUN_NOWAIT);
  assert_string_equal("2", said());
  uv_run(&loop, UV_RUN_NOWAIT);
  assert_string_equal("12", said());
}


static void only_what_is_due_ends_a_wait(void** state) {
  (void) state;
  uint64_t began = uv_now(&loop);

  uv_timer_start(&timer, on_timer, 5000, 0);
  uv_run(&loop, UV_RUN_ONCE);
  assert_string_equal("t", said());
  assert_int_equal(5000, uv_now(&loop) - began);
  assert_int_equal(1, fake_waits);
}


static void send(void) {
  uv_async_send(&async);
  uv_async_send(&async);
}


static void a_send_ends_a_wait_and_is_one_call(void** state) {
  (void) state;
  fake_wait_hook = send;
  assert_true(uv_run(&loop, UV_RUN_ONCE));
  assert_string_equal("a", said());
  assert_int_equal(1, fake_waits);
}


/* The timer ends the wait while a sender is about to wake us: it found us
 * dozing, so we may not go on without its wake. */
static void wake_late(void) {
  static bool owes;

  if (!owes) {
    owes = true;
    uv__inbox_push(&uv__shared(&loop)->inbox, &uv__shared(&loop)->poke);
    return;
  }
  owes = false;
  arch_wake(uv__loop_waiter(&loop));
}


static void who_owes_a_wake_is_waited_for(void** state) {
  (void) state;
  fake_wait_hook = wake_late;
  uv_timer_start(&timer, on_timer, 1, 0);
  uv_run(&loop, UV_RUN_ONCE);
  assert_int_equal(2, fake_waits);
  assert_int_equal(0, uv__shared(&loop)->waiter.word);
}


static void stop_ends_a_run_before_and_in_it(void** state) {
  (void) state;
  uv_idle_start(&idle, on_idle);
  uv_stop(&loop);
  assert_true(uv_run(&loop, UV_RUN_DEFAULT));
  assert_string_equal("", said());
  assert_true(uv_run(&loop, UV_RUN_NOWAIT));
  assert_string_equal("i", said());
}


static void without_references_nothing_keeps_a_loop(void** state) {
  (void) state;
  assert_true(uv_loop_alive(&loop)); /* the async */
  uv_unref((uv_handle_t*) &async);
  uv_unref((uv_handle_t*) &async);
  assert_false(uv_loop_alive(&loop));
  uv_timer_start(&timer, on_timer, 0, 0);
  uv_unref((uv_handle_t*) &timer);
  assert_int_equal(0, uv_run(&loop, UV_RUN_DEFAULT));
  assert_string_equal("", said());
  uv_ref((uv_handle_t*) &timer);
  assert_int_equal(0, uv_run(&loop, UV_RUN_ONCE));
  assert_string_equal("t", said());
}


static void a_timeout_is_told_after_the_first_poll(void** state) {
  (void) state;
  uv_timer_start(&timer, on_timer, 700, 0);
  assert_int_equal(0, uv_backend_timeout(&loop));
  uv_run(&loop, UV_RUN_NOWAIT);
  assert_int_equal(700, uv_backend_timeout(&loop));
  uv_timer_stop(&timer);
  assert_int_equal(-1, uv_backend_timeout(&loop));
  uv_idle_start(&idle, on_idle);
  assert_int_equal(0, uv_backend_timeout(&loop));
}


static void options_are_libuvs(void** state) {
  (void) state;
  assert_int_equal(0, uv_loop_configure(&loop, UV_LOOP_BLOCK_SIGNAL, 27));
  assert_int_equal(UV_EINVAL,
                   uv_loop_configure(&loop, UV_LOOP_BLOCK_SIGNAL, 15));
  assert_int_equal(0, uv_loop_configure(&loop, UV_METRICS_IDLE_TIME));
  assert_int_equal(UV_ENOSYS, uv_loop_configure(&loop, (uv_loop_option) 77));
}


static void waiting_is_measured_when_asked_for(void** state) {
  (void) state;
  uv_timer_start(&timer, on_timer, 30, 0);
  uv_run(&loop, UV_RUN_ONCE);
  assert_int_equal(0, uv_metrics_idle_time(&loop));
  uv_loop_configure(&loop, UV_METRICS_IDLE_TIME);
  uv_timer_start(&timer, on_timer, 30, 0);
  uv_run(&loop, UV_RUN_ONCE);
  assert_true(uv_metrics_idle_time(&loop) == 30 * FAKE_MS_NS);
}


static void a_turn_serves_a_loop_without_handles(void** state) {
  (void) state;
  uv_unref((uv_handle_t*) &async);
  assert_false(uv_loop_alive(&loop));
  uv_async_send(&async);
  assert_true(uv__loop_pending(&loop));
  assert_false(uv__loop_doze(&loop));
  assert_false(uv__loop_turn(&loop));
  assert_string_equal("a", said());
  assert_true(uv__loop_deadline_ns(&loop) == ARCH_FOREVER);

  uv_timer_start(&timer, on_timer, 20, 0);
  assert_true(uv__loop_deadline_ns(&loop) == fake_now_ns + 20 * FAKE_MS_NS);
  uv_idle_start(&idle, on_idle);
  assert_true(uv__loop_turn(&loop));
  assert_true(uv__loop_deadline_ns(&loop) == 0);

  uv__loop_wake(&loop);
  uv__loop_wake(&loop);
  assert_true(uv__loop_pending(&loop));
  uv__loop_turn(&loop);
  assert_false(uv__loop_pending(&loop));
}


static void the_default_loop_can_be_closed_and_had_again(void** state) {
  (void) state;
  uv_loop_t* first = uv_default_loop();

  first->data = &first;
  assert_ptr_equal(first, uv_default_loop());
  assert_int_equal(0, uv_loop_close(first));
  assert_ptr_equal(first, uv_default_loop());
  assert_ptr_equal(&first, uv_loop_get_data(first));
  assert_int_equal(0, uv_loop_close(first));
}


#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(phases_come_in_their_order),
      TEST(closing_runs_newest_first),
      TEST(a_walk_survives_what_its_callbacks_do),
      TEST(only_what_is_due_ends_a_wait),
      TEST(a_send_ends_a_wait_and_is_one_call),
      TEST(who_owes_a_wake_is_waited_for),
      TEST(stop_ends_a_run_before_and_in_it),
      TEST(without_references_nothing_keeps_a_loop),
      TEST(a_timeout_is_told_after_the_first_poll),
      TEST(options_are_libuvs),
      TEST(waiting_is_measured_when_asked_for),
      TEST(a_turn_serves_a_loop_without_handles),
      cmocka_unit_test(the_default_loop_can_be_closed_and_had_again),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * tests/compat/accessors.c - what one may ask of handles and requests.
 *
 * Goal:   types, names, sizes and data read the same by field and by function,
 *         and for values that are no type at all.
 * Method: ask everything of every kind. Sizes differ between the two libraries,
 *         so only their relations are said.
 */
#include "tests/compat/say.h"

static uv_loop_t loop;

static const char* name_or_null(const char* name) {
  return name == NULL ? "(null)" : name;
}


static void on_timer(uv_timer_t* handle) {
  (void) handle;
}


static void on_async(uv_async_t* handle) {
  (void) handle;
}


static void say_type_names(void) {
  for (int i = 0; i <= UV_HANDLE_TYPE_MAX + 1; i++)
    say("handle type %d is %s", i,
        name_or_null(uv_handle_type_name((uv_handle_type) i)));
  for (int i = 0; i <= UV_RANDOM; i++)
    say("request type %d is %s", i,
        name_or_null(uv_req_type_name((uv_req_type) i)));
  say("request type 1000 is %s",
      name_or_null(uv_req_type_name((uv_req_type) 1000)));
  say("handle type 1000 is %s",
      name_or_null(uv_handle_type_name((uv_handle_type) 1000)));
}


static void say_sizes(void) {
  say("loop %d", uv_loop_size() == sizeof(uv_loop_t));
  say("timer %d", uv_handle_size(UV_TIMER) == sizeof(uv_timer_t));
  say("prepare %d", uv_handle_size(UV_PREPARE) == sizeof(uv_prepare_t));
  say("check %d", uv_handle_size(UV_CHECK) == sizeof(uv_check_t));
  say("idle %d", uv_handle_size(UV_IDLE) == sizeof(uv_idle_t));
  say("async %d", uv_handle_size(UV_ASYNC) == sizeof(uv_async_t));
  say("handle %d", uv_handle_size(UV_HANDLE) == sizeof(uv_handle_t));
  say("no handle %d", uv_handle_size(UV_UNKNOWN_HANDLE) == (size_t) -1);
  say("far out %d", uv_handle_size(UV_HANDLE_TYPE_MAX) == (size_t) -1);
  say("work %d", uv_req_size(UV_WORK) == sizeof(uv_work_t));
  say("random %d", uv_req_size(UV_RANDOM) == sizeof(uv_random_t));
  say("request %d", uv_req_size(UV_REQ) == sizeof(uv_req_t));
  say("no request %d", uv_req_size(UV_UNKNOWN_REQ) == (size_t) -1);
  say("far out %d", uv_req_size(UV_REQ_TYPE_MAX) == (size_t) -1);
  say("a handle is the smallest: %d",
      sizeof(uv_handle_t) <= sizeof(uv_timer_t) &&
          sizeof(uv_handle_t) <= sizeof(uv_prepare_t) &&
          sizeof(uv_handle_t) <= sizeof(uv_async_t));
  say("a request is the smallest: %d",
      sizeof(uv_req_t) <= sizeof(uv_work_t) &&
          sizeof(uv_req_t) <= sizeof(uv_random_t));
}


static void ask(uv_handle_t* h, const char* what, uv_handle_type type) {
  static int thing;

  say("%s:", what);
  say("  type by function %d, by field %d, name %s",
      uv_handle_get_type(h) == type, h->type == type,
      uv_handle_type_name(h->type));
  say("  loop by function %d, by field %d", uv_handle_get_loop(h) == &loop,
      h->loop == &loop);
  say("  data kept by init: %d", h->data == &loop);
  uv_handle_set_data(h, &thing);
  say("  data by function %d, by field %d", uv_handle_get_data(h) == &thing,
      h->data == &thing);
  h->data = NULL;
  say("  data by function %d", uv_handle_get_data(h) == NULL);
  h->data = (void*) (uintptr_t) what;
  say_state(h);
}


static void say_handles(void) {
  static uv_timer_t timer;
  static uv_prepare_t prepare;
  static uv_check_t check;
  static uv_idle_t idle;
  static uv_async_t async;

  timer.data = prepare.data = check.data = idle.data = async.data = &loop;
  say("init: %s", result(uv_timer_init(&loop, &timer)));
  say("init: %s", result(uv_prepare_init(&loop, &prepare)));
  say("init: %s", result(uv_check_init(&loop, &check)));
  say("init: %s", result(uv_idle_init(&loop, &idle)));
  say("init: %s", result(uv_async_init(&loop, &async, on_async)));
  ask(base_of(&timer), "a timer", UV_TIMER);
  ask(base_of(&prepare), "a prepare", UV_PREPARE);
  ask(base_of(&check), "a check", UV_CHECK);
  ask(base_of(&idle), "an idle", UV_IDLE);
  ask(base_of(&async), "an async", UV_ASYNC);
  say("a new timer: repeat %d, due in %d", (int) uv_timer_get_repeat(&timer),
      (int) uv_timer_get_due_in(&timer));
  must(uv_timer_start(&timer, on_timer, 1000, 77) == 0);
  say("a started one: repeat %d, due in %d", (int) uv_timer_get_repeat(&timer),
      (int) uv_timer_get_due_in(&timer));
  must(uv_timer_stop(&timer) == 0);
  say("init again of a stopped one's memory after its close:");
  uv_close(base_of(&timer), say_closed);
  must(uv_run(&loop, UV_RUN_NOWAIT) != 0);
  must(uv_timer_init(&loop, &timer) == 0);
  say_state(&timer);
  say("repeat %d, due in %d, again: %s", (int) uv_timer_get_repeat(&timer),
      (int) uv_timer_get_due_in(&timer), result(uv_timer_again(&timer)));
}


static void on_work(uv_work_t* req) {
  (void) req;
}


static void after_work(uv_work_t* req, int status) {
  uv_req_t* base = (uv_req_t*) req;

  say("after: %s, type %d, data %s", result(status),
      uv_req_get_type(base) == UV_WORK, (const char*) uv_req_get_data(base));
}


static void say_requests(void) {
  static uv_work_t work;
  uv_req_t* base = (uv_req_t*) &work;

  uv_req_set_data(base, (void*) (uintptr_t) "mine");
  must(uv_queue_work(&loop, &work, on_work, after_work) == 0);
  say("type by function %d, by field %d", uv_req_get_type(base) == UV_WORK,
      work.type == UV_WORK);
  say("data by function %d", uv_req_get_data(base) == work.data);
}


/* One piece of memory for a handle of any type, as libuv's own tests do. */
static void say_any(void) {
  union uv_any_handle handle;
  union uv_any_req request;
  uv_loop_t own; /* with nothing else in it that would keep it alive */

  must(uv_loop_init(&own) == 0);
  say("any handle %d %d", sizeof(handle) >= sizeof(uv_async_t),
      sizeof(handle) >= sizeof(uv_timer_t));
  say("any request %d %d", sizeof(request) >= sizeof(uv_work_t),
      sizeof(request) >= sizeof(uv_random_t));
  say("init %d", uv_timer_init(&own, &handle.timer));
  say("type %s", uv_handle_type_name(uv_handle_get_type(&handle.handle)));
  uv_close(&handle.handle, NULL);
  say("run %d", uv_run(&own, UV_RUN_DEFAULT));
  finish(&own);
  request.req.data = &handle;
  say("data %d", request.work.data == &handle);
}


int main(void) {
  must(uv_loop_init(&loop) == 0);
  say_type_names();
  say_sizes();
  say_handles();
  say_requests();
  say_any();
  finish(&loop);
  return 0;
}

/*
 * tests/compat/say.h - what the compat programs share: saying things.
 *
 * A compat program uses uv.h and POSIX only, and is built twice: with Debian's
 * libuv and with ours. What it prints must be equal, byte for byte; so it says
 * nothing that depends on the wall clock, on addresses or on how threads race.
 */
#ifndef EVSM_TESTS_COMPAT_SAY_H
#define EVSM_TESTS_COMPAT_SAY_H

#include <uv.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* One line of the log. */
#define say(...) ((void) printf(__VA_ARGS__), (void) putchar('\n'))

/* Ends the program where a premise of the test fails. */
#define must(x)                                                 \
  do {                                                          \
    if (!(x)) {                                                 \
      say("%s:%d: it is not true: %s", __FILE__, __LINE__, #x); \
      exit(1);                                                  \
    }                                                           \
  } while (0)


/* "0" or the error's name; only for errors that have one. */
static inline const char* result(int err) {
  return err == 0 ? "0" : uv_err_name(err);
}


static inline uv_handle_t* base_of(void* handle) {
  return handle;
}


/* A handle's name, which the programs keep in its `data`. */
static inline const char* name_of(const void* handle) {
  return ((const uv_handle_t*) handle)->data;
}


static inline void say_state(const void* handle) {
  const uv_handle_t* h = handle;

  say("  %s: active %d, closing %d, referenced %d", name_of(h),
      uv_is_active(h) != 0, uv_is_closing(h) != 0, uv_has_ref(h) != 0);
}


/* Burn time, so that the clock moves while the loop can't look. */
static inline void burn_ms(uint64_t ms) {
  uint64_t end = uv_hrtime() + ms * 1000000u;

  while (uv_hrtime() < end) {
  }
}


static inline void say_closed(uv_handle_t* handle) {
  say("%s: closed", name_of(handle));
}


/* Close all that is left, and the loop. */
static inline void close_one(uv_handle_t* handle, void* arg) {
  (void) arg;
  if (!uv_is_closing(handle))
    uv_close(handle, NULL);
}


static inline void finish(uv_loop_t* loop) {
  uv_walk(loop, close_one, NULL);
  int more = uv_run(loop, UV_RUN_DEFAULT);
  say("after closing all, uv_run returns %d", more != 0);
  say("uv_loop_close: %s", result(uv_loop_close(loop)));
}

#endif /* EVSM_TESTS_COMPAT_SAY_H */

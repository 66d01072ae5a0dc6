/*
 * tests/compat/errors.c - the error codes, their names and messages.
 *
 * Goal:   every code has libuv's number, name and message; codes that are none
 *         are told in the same words; the _r forms cut where libuv cuts.
 * Method: say them all, and cut at every length around their own.
 */
#include "tests/compat/say.h"

static void say_all(void) {
  char name[64];
  char text[64];

#define XX(code, message)                                                   \
  say("%s is %d: %s; %s, %s", uv_err_name(UV_##code), UV_##code,            \
      uv_strerror(UV_##code), uv_err_name_r(UV_##code, name, sizeof(name)), \
      uv_strerror_r(UV_##code, text, sizeof(text)));
  UV_ERRNO_MAP(XX)
#undef XX
  say("the last is %d", UV_ERRNO_MAX);
}


static void say_unknown(void) {
  static const int codes[] = {0,     1,     -1000,     -4096,     12345,
                              -9999, 99999, INT32_MAX, INT32_MIN, -500};
  char buf[64];

  for (size_t i = 0; i < COUNT_OF(codes); i++) {
    say("%d: %s", codes[i], uv_err_name_r(codes[i], buf, sizeof(buf)));
    say("%d: %s", codes[i], uv_strerror_r(codes[i], buf, sizeof(buf)));
  }
}


/* The plain forms, whose text may not be freed by us. */
static void say_unknown_static(void) {
  say("%s", uv_strerror(-1000));
  say("%s", uv_err_name(-1000));
  say("%s", uv_strerror(7));
}


static void say_cuts(void) {
  static const int codes[] = {UV_EINVAL, UV_ECANCELED, -1000, UV_E2BIG, 0};
  char buf[40];

  for (size_t i = 0; i < COUNT_OF(codes); i++) {
    for (size_t size = 1; size < sizeof(buf); size++) {
      memset(buf, '#', sizeof(buf));
      int same = uv_err_name_r(codes[i], buf, size) == buf;
      say("%d in %d: '%s', %d, beyond '%c'", codes[i], (int) size, buf, same,
          buf[size]);
      memset(buf, '#', sizeof(buf));
      same = uv_strerror_r(codes[i], buf, size) == buf;
      say("%d in %d: '%s', %d, beyond '%c'", codes[i], (int) size, buf, same,
          buf[size]);
    }
  }
}


/* No room at all: nothing is written. */
static void say_no_room(void) {
  char buf[4] = "###";

  say("%d", uv_err_name_r(UV_EINVAL, buf, 0) == buf);
  say("%d", uv_strerror_r(UV_EINVAL, buf, 0) == buf);
  say("%d", uv_err_name_r(-1000, buf, 0) == buf);
  say("%d", uv_strerror_r(-1000, buf, 0) == buf);
  say("%s", buf);
}


int main(void) {
  say_all();
  say_unknown();
  say_unknown_static();
  say_cuts();
  say_no_room();
  return 0;
}

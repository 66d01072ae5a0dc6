/*
 * tests/compat/watchers.c - prepare, check and idle handles among themselves.
 *
 * Goal:   the same order as libuv's (the one started last runs first), also
 *         while callbacks start, stop, restart and close themselves and their
 *         neighbours in the middle of a round.
 * Method: the same script for each of the three kinds; every handle has a list
 *         of things to do in its next call.
 */
#include "tests/compat/say.h"

#define HANDLES 5

typedef enum { PREPARE, CHECK, IDLE } kind_t;

typedef union {
  uv_handle_t handle;
  uv_prepare_t prepare;
  uv_check_t check;
  uv_idle_t idle;
} watcher_t;

static uv_loop_t loop;
static kind_t kind;
static watcher_t watchers[HANDLES];
static const char* const names[HANDLES] = {"a", "b", "c", "d", "e"};
static const char* scripts[HANDLES];

static void follow(uv_handle_t* handle);


static void on_prepare(uv_prepare_t* handle) {
  say("  %s", name_of(handle));
  follow(base_of(handle));
}


static void on_prepare_2(uv_prepare_t* handle) {
  say("  %s, second callback", name_of(handle));
}


static void on_check(uv_check_t* handle) {
  say("  %s", name_of(handle));
  follow(base_of(handle));
}


static void on_check_2(uv_check_t* handle) {
  say("  %s, second callback", name_of(handle));
}


static void on_idle(uv_idle_t* handle) {
  say("  %s", name_of(handle));
  follow(base_of(handle));
}


static void on_idle_2(uv_idle_t* handle) {
  say("  %s, second callback", name_of(handle));
}


static int start(int i, int second) {
  if (kind == PREPARE)
    return uv_prepare_start(&watchers[i].prepare,
                            second ? on_prepare_2 : on_prepare);
  if (kind == CHECK)
    return uv_check_start(&watchers[i].check, second ? on_check_2 : on_check);
  return uv_idle_start(&watchers[i].idle, second ? on_idle_2 : on_idle);
}


static int start_null(int i) {
  if (kind == PREPARE)
    return uv_prepare_start(&watchers[i].prepare, NULL);
  if (kind == CHECK)
    return uv_check_start(&watchers[i].check, NULL);
  return uv_idle_start(&watchers[i].idle, NULL);
}


static int stop(int i) {
  if (kind == PREPARE)
    return uv_prepare_stop(&watchers[i].prepare);
  if (kind == CHECK)
    return uv_check_stop(&watchers[i].check);
  return uv_idle_stop(&watchers[i].idle);
}


static int init(int i) {
  int err;

  if (kind == PREPARE)
    err = uv_prepare_init(&loop, &watchers[i].prepare);
  else if (kind == CHECK)
    err = uv_check_init(&loop, &watchers[i].check);
  else
    err = uv_idle_init(&loop, &watchers[i].idle);
  watchers[i].handle.data = (void*) (uintptr_t) names[i];
  return err;
}


/*
 * Do the steps of a script: a letter for what, one for whom.
 * s start, S start with the other callback, x stop, c close, . a new turn
 */
static void follow(uv_handle_t* handle) {
  int self = (int) ((watcher_t*) (void*) handle - watchers);
  const char* script = scripts[self];

  while (script != NULL && *script != '\0' && *script != '.') {
    int whom = script[1] - 'a';
    int err = 0;
    if (*script == 's')
      err = start(whom, 0);
    if (*script == 'S')
      err = start(whom, 1);
    if (*script == 'x')
      err = stop(whom);
    if (*script == 'c' && !uv_is_closing(&watchers[whom].handle))
      uv_close(&watchers[whom].handle, say_closed);
    say("    %c%c: %s", script[0], script[1], result(err));
    script += 2;
  }
  if (script != NULL && *script == '.')
    script++;
  scripts[self] = script;
}


/* `started` are started in that order; then three turns. */
static void play(const char* started, const char* const script[HANDLES]) {
  must(uv_loop_init(&loop) == 0);
  say("started %s:", started);
  for (int i = 0; i < HANDLES; i++) {
    must(init(i) == 0);
    scripts[i] = script == NULL ? NULL : script[i];
  }
  for (const char* s = started; *s != '\0'; s++)
    must(start(*s - 'a', 0) == 0);
  for (int turn = 0; turn < 3; turn++) {
    int more = uv_run(&loop, UV_RUN_NOWAIT) != 0;
    say(" turn %d returns %d", turn, more);
  }
  for (int i = 0; i < HANDLES; i++)
    say_state(&watchers[i]);
  finish(&loop);
}


static void try_arguments(void) {
  must(uv_loop_init(&loop) == 0);
  must(init(0) == 0);
  scripts[0] = NULL;
  say("start without a callback: %s", result(start_null(0)));
  say("stop before any start: %s", result(stop(0)));
  say("start: %s", result(start(0, 0)));
  say("start again, with another callback: %s", result(start(0, 1)));
  say("start again without one: %s", result(start_null(0)));
  (void) uv_run(&loop, UV_RUN_NOWAIT);
  say("stop: %s, and again: %s", result(stop(0)), result(stop(0)));
  say("start with another callback: %s", result(start(0, 1)));
  (void) uv_run(&loop, UV_RUN_NOWAIT);
  uv_close(&watchers[0].handle, say_closed);
  say("stop while closing: %s", result(stop(0)));
  finish(&loop);
}


/* What each handle does in its first, second and third call. */
static const struct {
  const char* started;
  const char* script[HANDLES];
} plays[] = {
    {"abcde", {0}},
    {"edcba", {0}},
    {"cacbe", {0}},
    {"abcde", {"xa", "xb", "xc", "xd", "xe"}},
    {"abcde", {"xbxd.sbsd", "xcxa", "sa.xe", "", "sc"}},
    {"abcde", {"xasa", "", "xcsc.xcsc", "", "xese"}},
    {"abcde", {"", "xcsc", "xbsb", "xese", "xdsd"}},
    {"abcde", {"", "", "xaxbxdxe", "", ""}},
    {"abcde", {"", "", "xasaxbsbxdsdxese", "", ""}},
    {"ac", {"sbsdse", "", "", "xa", "xcsc"}},
    {"ac", {"", "sd", "sbse.xb", "", "xe"}},
    {"abcde", {"ca", "", "cc", "", "ce"}},
    {"abcde", {"", "cacbcccdce", "", "", ""}},
    {"abcde", {"", "", "", "cbce", ""}},
    {"abcde", {"xaSa", "", "xcSc", "", "Se"}},
    {"abcde", {"xbSbxeSe", "", "", "xaSa", ""}},
    {"abcde", {"xa.", "xaxbxcxdxe", "", "", "xdsdxdsd"}},
    {"e", {"", "", "", "se", "sasbscsd.xaxbxcxd.sa"}},
    {"abcde", {"xesexdsd", "xasa", "xbsb", "xcsc", "xdsd"}},
};


int main(void) {
  static const char* const kinds[] = {"prepare", "check", "idle"};

  for (int k = PREPARE; k <= IDLE; k++) {
    kind = (kind_t) k;
    say("---- %s ----", kinds[k]);
    try_arguments();
    for (size_t i = 0; i < COUNT_OF(plays); i++)
      play(plays[i].started, plays[i].script);
  }
  return 0;
}

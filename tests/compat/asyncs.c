/*
 * tests/compat/asyncs.c - asyncs within one thread.
 *
 * Goal:   sends coalesce; callbacks come in the order of the handles' inits,
 *         after a round those are behind whose turn it was; a send from a
 *         callback to a handle that is still to be visited is seen in the same
 *         poll, one to an earlier handle in the next.
 * Method: a script for each handle, as in watchers.c.
 */
#include "tests/compat/say.h"

#define HANDLES 6

static uv_loop_t loop;
static uv_async_t asyncs[HANDLES];
static const char* const names[HANDLES] = {"a", "b", "c", "d", "e", "f"};
static const char* scripts[HANDLES];

static void on_async(uv_async_t* handle);


static void open_one(int i) {
  must(uv_async_init(&loop, &asyncs[i], on_async) == 0);
  asyncs[i].data = (void*) (uintptr_t) names[i];
}


/* s send, c close, i init (of one that is not open), u unref, r ref. */
static void follow(const char** script) {
  while (*script != NULL && **script != '\0' && **script != '.') {
    int whom = (*script)[1] - 'a';
    say("    %.2s", *script);
    if (**script == 's')
      must(uv_async_send(&asyncs[whom]) == 0);
    if (**script == 'c')
      uv_close(base_of(&asyncs[whom]), say_closed);
    if (**script == 'i')
      open_one(whom);
    if (**script == 'u')
      uv_unref(base_of(&asyncs[whom]));
    if (**script == 'r')
      uv_ref(base_of(&asyncs[whom]));
    *script += 2;
  }
  if (*script != NULL && **script == '.')
    *script += 1;
}


static void on_async(uv_async_t* handle) {
  say("  %s", name_of(handle));
  follow(&scripts[handle - asyncs]);
}


/* `opened` are initialised in that order, `before` is done before the run. */
static void play(const char* opened,
                 const char* before,
                 const char* const script[HANDLES]) {
  must(uv_loop_init(&loop) == 0);
  say("opened %s, then %s:", opened, before);
  for (int i = 0; i < HANDLES; i++)
    scripts[i] = script[i];
  for (const char* s = opened; *s != '\0'; s++)
    open_one(*s - 'a');
  follow(&before);
  for (int turn = 0; turn < 4; turn++) {
    int more = uv_run(&loop, UV_RUN_NOWAIT) != 0;
    say(" turn %d returns %d", turn, more);
  }
  finish(&loop);
}


static int calls;

static void on_count(uv_async_t* handle) {
  (void) handle;
  calls++;
}


static void try_coalescing(void) {
  must(uv_loop_init(&loop) == 0);
  must(uv_async_init(&loop, &asyncs[0], on_count) == 0);
  asyncs[0].data = (void*) (uintptr_t) names[0];
  for (int i = 0; i < 1000; i++)
    must(uv_async_send(&asyncs[0]) == 0);
  (void) uv_run(&loop, UV_RUN_NOWAIT);
  say("a thousand sends before the run: %d call", calls);
  (void) uv_run(&loop, UV_RUN_NOWAIT);
  say("one more turn: %d call", calls);
  for (int i = 0; i < 100; i++) {
    must(uv_async_send(&asyncs[0]) == 0);
    must(uv_async_send(&asyncs[0]) == 0);
    (void) uv_run(&loop, UV_RUN_NOWAIT);
  }
  say("a hundred times two sends and a turn: %d calls", calls);
  must(uv_async_send(&asyncs[0]) == 0);
  say("ONCE doesn't wait when one is pending: %d",
      uv_run(&loop, UV_RUN_ONCE) != 0);
  say("%d calls", calls);
  finish(&loop);
}


static void on_stop_loop(uv_async_t* handle) {
  say("  %s runs and stops the loop", name_of(handle));
  uv_stop(&loop);
}


/* A loop that blocks for ever but for an async: a timer's callback sends. */
static void on_timer(uv_timer_t* handle) {
  (void) handle;
  say("  the timer sends");
  must(uv_async_send(&asyncs[1]) == 0);
}


static void try_blocking(void) {
  uv_timer_t timer;

  must(uv_loop_init(&loop) == 0);
  say("a loop that would wait for ever:");
  open_one(0);
  must(uv_async_init(&loop, &asyncs[1], on_stop_loop) == 0);
  asyncs[1].data = (void*) (uintptr_t) names[1];
  must(uv_timer_init(&loop, &timer) == 0);
  must(uv_timer_start(&timer, on_timer, 3, 0) == 0);
  say("uv_run returns %d", uv_run(&loop, UV_RUN_DEFAULT) != 0);
  finish(&loop);
}


/* Without a callback a send is still taken, and wakes the loop. */
static void try_no_callback(void) {
  must(uv_loop_init(&loop) == 0);
  say("no callback: %s", result(uv_async_init(&loop, &asyncs[0], NULL)));
  asyncs[0].data = (void*) (uintptr_t) names[0];
  open_one(1);
  scripts[1] = NULL;
  say("send: %s", result(uv_async_send(&asyncs[0])));
  say("ONCE returns %d", uv_run(&loop, UV_RUN_ONCE) != 0);
  must(uv_async_send(&asyncs[1]) == 0);
  must(uv_async_send(&asyncs[0]) == 0);
  say("ONCE returns %d", uv_run(&loop, UV_RUN_ONCE) != 0);
  finish(&loop);
}


/* Two hundred, of which every third is sent to, in a scrambled order. */
static void try_many(void) {
  static uv_async_t many[200];
  static char text[200][8];

  must(uv_loop_init(&loop) == 0);
  say("two hundred:");
  for (size_t i = 0; i < COUNT_OF(many); i++) {
    (void) snprintf(text[i], sizeof(text[i]), "%u", (unsigned) i);
    must(uv_async_init(&loop, &many[i], on_stop_loop) == 0);
    many[i].data = text[i];
  }
  for (size_t i = 0; i < COUNT_OF(many); i++) {
    size_t whom = i * 77 % COUNT_OF(many);
    if (whom % 3 == 0)
      must(uv_async_send(&many[whom]) == 0);
  }
  say("uv_run returns %d", uv_run(&loop, UV_RUN_DEFAULT) != 0);
  for (size_t i = 0; i < COUNT_OF(many); i += 2)
    uv_close(base_of(&many[i]), NULL);
  for (size_t i = 0; i < COUNT_OF(many); i++) {
    if (i % 10 == 1)
      must(uv_async_send(&many[i]) == 0);
  }
  say("uv_run returns %d", uv_run(&loop, UV_RUN_DEFAULT) != 0);
  finish(&loop);
}


/* One callback sends to all others of a crowd, and another one into the middle
 * of those still due: libuv's order is that of their inits all the same. */
static uv_async_t crowd[300];

static void on_crowd(uv_async_t* handle) {
  size_t self = (size_t) (handle - crowd);

  printf(" %u", (unsigned) self);
  for (size_t i = 0; self == 0 && i < COUNT_OF(crowd); i++) {
    size_t whom = i * 77 % COUNT_OF(crowd);
    if (whom % 2 == 0)
      must(uv_async_send(&crowd[whom]) == 0);
  }
  if (self % 10 == 4)
    must(uv_async_send(&crowd[(self * 7 + 1) % COUNT_OF(crowd)]) == 0);
}


static void try_crowd(void) {
  must(uv_loop_init(&loop) == 0);
  for (size_t i = 0; i < COUNT_OF(crowd); i++)
    must(uv_async_init(&loop, &crowd[i], on_crowd) == 0);
  must(uv_async_send(&crowd[0]) == 0);
  for (int turn = 0; turn < 4; turn++) {
    int more = uv_run(&loop, UV_RUN_NOWAIT) != 0;
    say("; turn %d returns %d", turn, more);
  }
  finish(&loop);
}


static const struct {
  const char* opened;
  const char* before;
  const char* script[HANDLES];
} plays[] = {
    {"abcdef", "sfsesdscsbsa", {0}},
    {"fedcba", "sasbscsdsesf", {0}},
    {"abcdef", "sc", {"", "", "sasbscsdsesf", "", "", ""}},
    {"abcdef", "sb", {"sb.", "sa.sf", "", "", "", "sasb"}},
    {"abc", "sb", {"", "idsdiese", "sa", "sa", "sb", ""}},
    {"abc", "sa", {"idieif.sbscsdsesf", "", "sa", "", "", "sa"}},
    {"abcdef", "sasbsc", {"cb", "", "cccdcasd", "", "", ""}},
    {"abcdef", "sasbscsd", {"ca", "cb", "cc", "cd", "", ""}},
    {"abcdef", "sasfcacf", {0}},
    {"abcdef", "sauaubucudueufsb", {"sb", "sc", "sdrd", "sf", "", "sa"}},
    {"abcd", "sa", {"sd", "", "", "scsbsa", "", ""}},
    {"abcd", "sd", {"sb", "sc", "sd", "sa.sa.sa", "", ""}},
    {"ab", "sasb", {"icscid", "sd", "sa", "sa.", "", ""}},
};


int main(void) {
  for (size_t i = 0; i < COUNT_OF(plays); i++)
    play(plays[i].opened, plays[i].before, plays[i].script);
  try_coalescing();
  try_blocking();
  try_no_callback();
  try_many();
  try_crowd();
  return 0;
}

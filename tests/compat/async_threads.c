/*
 * tests/compat/async_threads.c - asyncs between threads and between loops.
 *
 * Goal:   no send is lost, whatever the loop does when it comes: after the last
 *         send to a handle its callback runs once more. Several loops on
 *         several threads can play ping-pong.
 * Method: senders count before they send, the receiver sees all counts in the
 *         end or never ends; what is said depends on sums only.
 */
#include "tests/compat/say.h"

#include <pthread.h>
#include <stdatomic.h>

#define SENDERS 4
#define SENDS 20000
#define RALLIES 2000

typedef struct {
  uv_async_t* async;
  atomic_int* count;
  int pause;
} sender_t;

static uv_loop_t loop;
static uv_async_t shared;
static uv_async_t own[SENDERS];
static atomic_int shared_count;
static atomic_int own_count[SENDERS];
static int shared_seen;
static int own_seen[SENDERS];

static void* send_many(void* arg) {
  sender_t* s = arg;

  for (int i = 0; i < SENDS; i++) {
    atomic_fetch_add(s->count, 1);
    (void) uv_async_send(s->async);
    if (s->pause != 0 && i % s->pause == 0)
      burn_ms(1);
  }
  return NULL;
}


static void end_if_all_seen(void) {
  int sum = shared_seen;

  for (int i = 0; i < SENDERS; i++)
    sum += own_seen[i];
  if (sum == SENDERS * SENDS * 2)
    uv_stop(&loop);
}


static void on_shared(uv_async_t* handle) {
  (void) handle;
  shared_seen = atomic_load(&shared_count);
  end_if_all_seen();
}


static void on_own(uv_async_t* handle) {
  long i = handle - own;

  own_seen[i] = atomic_load(&own_count[i]);
  end_if_all_seen();
}


static void try_senders(int pause) {
  pthread_t threads[SENDERS * 2];
  sender_t senders[SENDERS * 2];

  must(uv_loop_init(&loop) == 0);
  must(uv_async_init(&loop, &shared, on_shared) == 0);
  shared_seen = 0;
  atomic_store(&shared_count, 0);
  for (int i = 0; i < SENDERS; i++) {
    must(uv_async_init(&loop, &own[i], on_own) == 0);
    atomic_store(&own_count[i], 0);
    own_seen[i] = 0;
    senders[i] = (sender_t){&own[i], &own_count[i], pause};
    senders[SENDERS + i] = (sender_t){&shared, &shared_count, pause};
  }
  for (int i = 0; i < SENDERS * 2; i++)
    must(pthread_create(&threads[i], NULL, send_many, &senders[i]) == 0);
  say("uv_run returns %d", uv_run(&loop, UV_RUN_DEFAULT) != 0);
  for (int i = 0; i < SENDERS * 2; i++)
    must(pthread_join(threads[i], NULL) == 0);
  say("shared: %d sends seen", shared_seen);
  for (int i = 0; i < SENDERS; i++)
    say("own %d: %d sends seen", i, own_seen[i]);
  finish(&loop);
}


/* Two loops on two threads, one ball. */
typedef struct player_s player_t;

struct player_s {
  uv_loop_t loop;
  uv_async_t ball;
  uv_async_t whistle;
  player_t* other;
  int hits;
  int status;
  int polls;
  int serves;
};

static void on_ball(uv_async_t* handle) {
  player_t* p = handle->data;

  p->hits++;
  if (p->hits == RALLIES) {
    uv_close(base_of(&p->ball), NULL);
    uv_close(base_of(&p->whistle), NULL);
  }
  if (p->serves || p->hits < RALLIES)
    (void) uv_async_send(&p->other->ball); /* the other's last hit is last */
}


static void on_whistle(uv_async_t* handle) {
  (void) handle;
}


static void* play(void* arg) {
  player_t* p = arg;

  if (p->polls) {
    do
      p->status = uv_run(&p->loop, UV_RUN_NOWAIT);
    while (p->status != 0);
  } else {
    p->status = uv_run(&p->loop, UV_RUN_DEFAULT);
  }
  return NULL;
}


static void player_init(player_t* p, player_t* other, int polls) {
  must(uv_loop_init(&p->loop) == 0);
  must(uv_async_init(&p->loop, &p->ball, on_ball) == 0);
  must(uv_async_init(&p->loop, &p->whistle, on_whistle) == 0);
  p->ball.data = p;
  p->other = other;
  p->hits = 0;
  p->polls = polls;
}


static void try_ping_pong(int left_polls, int right_polls) {
  static player_t left;
  static player_t right;
  pthread_t thread;

  player_init(&left, &right, left_polls);
  player_init(&right, &left, right_polls);
  left.serves = 1;
  right.serves = 0;
  must(pthread_create(&thread, NULL, play, &right) == 0);
  must(uv_async_send(&left.ball) == 0);
  (void) play(&left);
  must(pthread_join(thread, NULL) == 0);
  say("ping-pong, polling %d and %d: %d and %d hits, returned %d and %d",
      left_polls, right_polls, left.hits, right.hits, left.status,
      right.status);
  must(uv_loop_close(&left.loop) == 0);
  must(uv_loop_close(&right.loop) == 0);
}


/* A ring of loops: a number goes round, each adds one. */
#define RING 5
#define ROUNDS 200

typedef struct {
  uv_loop_t loop;
  uv_async_t async;
  int index;
  int visits;
} station_t;

static station_t ring[RING];
static int number;

static void on_visit(uv_async_t* handle) {
  station_t* s = handle->data;

  number++;
  s->visits++;
  (void) uv_async_send(&ring[(s->index + 1) % RING].async);
  if (s->visits == ROUNDS)
    uv_stop(&s->loop);
}


static void* run_station(void* arg) {
  station_t* s = arg;

  return uv_run(&s->loop, UV_RUN_DEFAULT) != 0 ? arg : NULL;
}


static void try_ring(void) {
  pthread_t threads[RING];
  void* out;

  for (int i = 0; i < RING; i++) {
    must(uv_loop_init(&ring[i].loop) == 0);
    must(uv_async_init(&ring[i].loop, &ring[i].async, on_visit) == 0);
    ring[i].async.data = &ring[i];
    ring[i].index = i;
    ring[i].visits = 0;
  }
  for (int i = 0; i < RING; i++)
    must(pthread_create(&threads[i], NULL, run_station, &ring[i]) == 0);
  must(uv_async_send(&ring[0].async) == 0);
  for (int i = 0; i < RING; i++) {
    must(pthread_join(threads[i], &out) == 0);
    say("station %d: %d visits, alive when stopped: %d", i, ring[i].visits,
        out != NULL);
  }
  say("the number is %d", number);
  for (int i = 0; i < RING; i++) {
    uv_close(base_of(&ring[i].async), NULL);
    must(uv_run(&ring[i].loop, UV_RUN_DEFAULT) == 0);
    must(uv_loop_close(&ring[i].loop) == 0);
  }
}


/* A loop made on one thread may be run by another. */
static void try_handed_over(void) {
  static station_t s;
  pthread_t thread;

  must(uv_loop_init(&s.loop) == 0);
  must(uv_async_init(&s.loop, &s.async, on_visit) == 0);
  s.async.data = &s;
  s.index = RING - 1;
  s.visits = ROUNDS - 1;
  must(uv_loop_init(&ring[0].loop) == 0);
  must(uv_async_init(&ring[0].loop, &ring[0].async, on_visit) == 0);
  must(uv_async_send(&s.async) == 0);
  must(pthread_create(&thread, NULL, run_station, &s) == 0);
  must(pthread_join(thread, NULL) == 0);
  say("handed over: %d visits", s.visits);
  finish(&s.loop);
  finish(&ring[0].loop);
}


int main(void) {
  try_senders(0);
  try_senders(2000);
  try_ping_pong(0, 0);
  try_ping_pong(1, 0);
  try_ping_pong(1, 1);
  try_ring();
  try_handed_over();
  return 0;
}

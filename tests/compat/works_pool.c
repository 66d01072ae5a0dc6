/*
 * tests/compat/works_pool.c - how many works run at the same time.
 *
 * Goal:   UV_THREADPOOL_SIZE sets it; 4 unless set, 1 for what is no number.
 * Method: one process a setting (its first work reads it). Works wait until as
 *         many run as should; one more must not begin until one of them ends.
 */
#include "tests/compat/say.h"

#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKS 16

static uv_loop_t loop;
static uv_work_t works[WORKS];
static atomic_int inside;
static atomic_int most;
static atomic_int begun;
static int expected;

static void work_crowd(uv_work_t* req) {
  (void) req;
  int now = atomic_fetch_add(&inside, 1) + 1;
  int old = atomic_load(&most);
  while (now > old && !atomic_compare_exchange_weak(&most, &old, now)) {
  }
  atomic_fetch_add(&begun, 1);
  while (atomic_load(&begun) < expected)
    burn_ms(1);
  burn_ms(1); /* long enough for one too many to come in */
  atomic_fetch_sub(&inside, 1);
}


static void after_crowd(uv_work_t* req, int status) {
  (void) req;
  must(status == 0);
}


static void try_size(const char* size, int threads) {
  pid_t child = fork();

  if (child > 0) {
    int status;
    must(waitpid(child, &status, 0) == child);
    must(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return;
  }
  must(child == 0);
  if (size == NULL)
    must(unsetenv("UV_THREADPOOL_SIZE") == 0);
  else
    must(setenv("UV_THREADPOOL_SIZE", size, 1) == 0);
  expected = threads;
  must(uv_loop_init(&loop) == 0);
  for (int i = 0; i < WORKS; i++)
    must(uv_queue_work(&loop, &works[i], work_crowd, after_crowd) == 0);
  must(uv_run(&loop, UV_RUN_DEFAULT) == 0);
  say("size %s: %d at the same time", size == NULL ? "unset" : size,
      atomic_load(&most));
  must(uv_loop_close(&loop) == 0);
  exit(0);
}


int main(void) {
  setvbuf(stdout, NULL, _IONBF, 0);
  try_size(NULL, 4);
  try_size("1", 1);
  try_size("2", 2);
  try_size("7", 7);
  try_size("0", 1);
  try_size("many", 1);
  return 0;
}

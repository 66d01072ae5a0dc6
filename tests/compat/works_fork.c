/*
 * tests/compat/works_fork.c - uv_queue_work in the child of a fork.
 *
 * Goal:   a child whose parent has used the workers gets workers of its own
 *         for the loops that it opens, and so does a child of that child.
 * Method: run a work, fork, run a work on a new loop, fork again. A child that
 *         waits for workers that it has not is ended by alarm().
 */
#include "tests/compat/say.h"

#include <sys/wait.h>
#include <unistd.h>

#define GENERATIONS 3

static int worked;

static void work(uv_work_t* req) {
  (void) req;
  worked++;
}


static void after_work(uv_work_t* req, int status) {
  (void) req;
  say("worked %d times: %s", worked, result(status));
}


static void use_the_workers(void) {
  uv_loop_t loop;
  uv_work_t req;

  must(uv_loop_init(&loop) == 0);
  must(uv_queue_work(&loop, &req, work, after_work) == 0);
  say("run: %d", uv_run(&loop, UV_RUN_DEFAULT));
  say("close: %s", result(uv_loop_close(&loop)));
}


int main(void) {
  setvbuf(stdout, NULL, _IONBF, 0);
  use_the_workers();
  for (int i = 1; i < GENERATIONS; i++) {
    pid_t child = fork();

    must(child >= 0);
    if (child > 0) {
      int status;
      must(waitpid(child, &status, 0) == child);
      say("generation %d ended: %d", i, status);
      return 0;
    }
    alarm(20);
    use_the_workers();
  }
  return 0;
}

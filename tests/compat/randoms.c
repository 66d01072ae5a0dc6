/*
 * tests/compat/randoms.c - uv_random, at once and beside the loop.
 *
 * Goal:   the same arguments are taken and refused; the bytes are all written
 *         and nothing beside them; the request is like others.
 * Method: buffers of many sizes between guards.
 */
#include "tests/compat/say.h"

static uv_loop_t loop;
static unsigned char buffer[4096 + 2];
static int calls;

/* Did it write all of `size` bytes, and only them? A byte stays zero once in
 * 256 times; that it stays so in 8 tries does not happen. */
static int filled(size_t size, int err) {
  return err == 0 && buffer[0] == 0xa5 && buffer[size + 1] == 0xa5;
}


static void try_sizes(void) {
  static const size_t sizes[] = {0,   1,   2,   15,   16,  17,
                                 255, 256, 257, 1024, 4096};

  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    unsigned char seen[4096] = {0};
    int ok = 1;
    for (int round = 0; round < 8; round++) {
      memset(buffer, 0xa5, sizeof(buffer));
      int err = uv_random(NULL, NULL, buffer + 1, sizes[i], 0, NULL);
      ok = ok && filled(sizes[i], err);
      for (size_t k = 0; k < sizes[i]; k++)
        seen[k] = (unsigned char) (seen[k] | (buffer[k + 1] ^ 0xa5));
    }
    for (size_t k = 0; k < sizes[i]; k++)
      ok = ok && seen[k] != 0;
    say("%d bytes at once: %d", (int) sizes[i], ok);
  }
}


static void on_random(uv_random_t* req, int status, void* buf, size_t size) {
  calls++;
  say("  %s: %s, buffer %d, size %d, filled %d, type %s",
      (const char*) req->data, result(status), buf == buffer + 1, (int) size,
      filled(size, status), uv_req_type_name(req->type));
}


static void on_random_again(uv_random_t* req,
                            int status,
                            void* buf,
                            size_t size) {
  on_random(req, status, buf, size);
  memset(buffer, 0xa5, sizeof(buffer));
  must(uv_random(&loop, req, buf, size / 2, 0, on_random) == 0);
}


static void try_beside(void) {
  uv_random_t req;

  must(uv_loop_init(&loop) == 0);
  memset(buffer, 0xa5, sizeof(buffer));
  req.data = (void*) (uintptr_t) "request";
  say("beside the loop: %s",
      result(uv_random(&loop, &req, buffer + 1, 4096, 0, on_random)));
  say("calls before the run: %d, alive %d", calls, uv_loop_alive(&loop) != 0);
  say("loop close: %s", result(uv_loop_close(&loop)));
  say("uv_run returns %d", uv_run(&loop, UV_RUN_DEFAULT) != 0);
  say("no bytes: %s",
      result(uv_random(&loop, &req, buffer + 1, 0, 0, on_random)));
  say("uv_run returns %d", uv_run(&loop, UV_RUN_DEFAULT) != 0);
  memset(buffer, 0xa5, sizeof(buffer));
  must(uv_random(&loop, &req, buffer + 1, 4096, 0, on_random_again) == 0);
  say("uv_run returns %d", uv_run(&loop, UV_RUN_ONCE) != 0);
  say("uv_run returns %d", uv_run(&loop, UV_RUN_DEFAULT) != 0);
  finish(&loop);
}


static void try_arguments(void) {
  uv_random_t req;

  must(uv_loop_init(&loop) == 0);
  req.data = (void*) (uintptr_t) "request";
  say("too many at once: %s",
      result(uv_random(NULL, NULL, buffer, (size_t) 0x80000000u, 0, NULL)));
  say("too many beside: %s",
      result(
          uv_random(&loop, &req, buffer, (size_t) 0x80000000u, 0, on_random)));
  say("flags at once: %s", result(uv_random(NULL, NULL, buffer, 1, 1, NULL)));
  say("flags beside: %s",
      result(uv_random(&loop, &req, buffer, 1, ~0u, on_random)));
  say("too many and flags: %s",
      result(uv_random(&loop, &req, buffer, SIZE_MAX, 1, on_random)));
  say("alive after what was refused: %d", uv_loop_alive(&loop) != 0);
  finish(&loop);
}


int main(void) {
  try_sizes();
  try_beside();
  try_arguments();
  return 0;
}

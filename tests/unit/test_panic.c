/*
 * tests/unit/test_panic.c - how the simulator stops, base_panic() of sim/cpu.c.
 *
 * Goal:   a stopped machine says why, and leaves no secrets in a core file.
 * Method: stop in a child, and look from its handler of SIGABRT, which runs
 *         where the core would be written.
 */
#include "tests/unit/unit.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto/drbg.c"
#include "crypto/libcrypto/libc.h"

#define SECRET_SIZE 256u

static const volatile uint8_t* secret;

static int entropy(void* buf, size_t size) {
  uint8_t* p = buf;

  for (size_t i = 0; i < size; i++)
    p[i] = (uint8_t) (i + 1);
  return 0;
}


static void look(int number) {
  const volatile uint8_t* state = (const volatile uint8_t*) instances;
  unsigned left = 0;

  (void) number;
  for (size_t i = 0; i < SECRET_SIZE; i++)
    left += secret[i] != 0;
  for (size_t i = 0; i < sizeof(instances); i++)
    left += state[i] != 0;
  _exit(left == 0 ? 0 : 3);
}


static void a_panic_wipes_what_is_secret(void** state) {
  (void) state;
  char text[256];
  int ends[2];
  int status;

  assert_int_equal(pipe(ends), 0);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    uint8_t byte;
    void* block = libc_malloc(SECRET_SIZE + 16);

    memset(block, 0xaa, SECRET_SIZE + 16);
    secret = (uint8_t*) block + 16; /* a hole has its links before that */
    crypto_random_init(entropy);
    crypto_random(&byte, 1);
    signal(SIGABRT, look);
    (void) dup2(ends[1], STDERR_FILENO);
    base_panic("here.c", 7, "for a reason");
  }
  close(ends[1]);
  ssize_t size = read(ends[0], text, sizeof(text) - 1);
  close(ends[0]);
  assert_true(size > 0);
  text[size] = 0;
  assert_non_null(strstr(text, "here.c:7: for a reason"));
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
}


int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_panic_wipes_what_is_secret),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}

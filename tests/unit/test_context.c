/*
 * Goal:   a stack that overflows meets its guard page before anything else,
 *         and each stack keeps its own registers and rounding.
 * Method: a child process recurses on such a stack until it faults, and tells
 *         by its exit status where that was; two stacks hand over to each
 *         other, each with a rounding mode of its own.
 */
#include "tests/unit/unit.h"

#include "arch/arch.h"

#include <fenv.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define TURNS 100
#define FAULT_IN_GUARD 42
#define FAULT_ELSEWHERE 43

static arch_context_t here;
static arch_context_t there;
static char* stack_low;
static volatile int depth_max = 1 << 24; /* more than any stack holds */
static uint32_t there_turns;


static void on_fault(int number, siginfo_t* info, void* context) {
  (void) number;
  (void) context;
  uintptr_t low = (uintptr_t) stack_low;
  uintptr_t at = (uintptr_t) info->si_addr;
  uintptr_t page_size = (uintptr_t) sysconf(_SC_PAGESIZE);

  _exit(at < low && low - at <= page_size ? FAULT_IN_GUARD : FAULT_ELSEWHERE);
}


static int sink(int depth) {
  volatile char frame[512];

  frame[0] = (char) depth;
  if (depth >= depth_max)
    return 0;
  return sink(depth + 1) + frame[0]; /* no tail call: the frame is needed */
}


static void overflow(void* arg) {
  (void) arg;
  _exit(sink(0) == 0 ? 1 : 2);
}


static _Noreturn void child_overflows(void) {
  static char alternate[64 * 1024];
  stack_t other = {.ss_sp = alternate, .ss_size = sizeof(alternate)};
  struct sigaction action = {.sa_sigaction = on_fault,
                             .sa_flags = SA_SIGINFO | SA_ONSTACK};
  size_t size;

  if (sigaltstack(&other, NULL) != 0 || sigaction(SIGSEGV, &action, NULL) != 0)
    _exit(3);
  stack_low = arch_stack(1, &size);
  arch_context_init(&there, stack_low, size, overflow, NULL);
  arch_context_switch(&here, &there);
  _exit(4);
}


static void overflow_ends_at_the_guard_page(void** state) {
  (void) state;
  size_t size;
  int status;

  /* A neighbour above and below, as a running machine has. */
  assert_non_null(arch_stack(0, &size));
  assert_non_null(arch_stack(2, &size));
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0)
    child_overflows();

  assert_int_equal(child, waitpid(child, &status, 0));
  assert_true(WIFEXITED(status));
  assert_int_equal(FAULT_IN_GUARD, WEXITSTATUS(status));
}


static void take_turns(void* arg) {
  uint32_t* turns = arg;

  ASSERT(fegetround() == FE_TONEAREST); /* as every stack begins */
  for (;;) {
    fesetround(FE_UPWARD);
    (*turns)++;
    arch_context_switch(&there, &here);
    ASSERT(fegetround() == FE_UPWARD);
  }
}


static void each_stack_keeps_its_own_rounding(void** state) {
  (void) state;
  size_t size;
  void* low = arch_stack(1, &size);

  fesetround(FE_DOWNWARD);
  arch_context_init(&there, low, size, take_turns, &there_turns);
  for (uint32_t i = 1; i <= TURNS; i++) {
    arch_context_switch(&here, &there);
    assert_int_equal(i, there_turns);
    assert_int_equal(FE_DOWNWARD, fegetround());
  }
  fesetround(FE_TONEAREST);
  arch_context_destroy(&there);
}


static void stack_given_twice_is_the_same(void** state) {
  (void) state;
  size_t size;
  size_t again;

  void* low = arch_stack(0, &size);
  assert_ptr_equal(low, arch_stack(0, &again));
  assert_int_equal(size, again);
  assert_true(size >= ARCH_STACK_SIZE_MIN);
}


int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(overflow_ends_at_the_guard_page),
      cmocka_unit_test(each_stack_keeps_its_own_rounding),
      cmocka_unit_test(stack_given_twice_is_the_same),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}

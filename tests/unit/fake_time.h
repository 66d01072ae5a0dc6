/*
 * tests/unit/fake_time.h - a machine of one thread whose time is a number.
 *
 * For tests of loops without threads: waiting takes no time, it moves the
 * clock. Include it in one file of a test that links "panic" before "uv"; what
 * stands here then takes the place of sim/thread.c and sim/host.c.
 *
 *   fake_now_ns      the clock; tests move it as they like, never back
 *   fake_wait_hook   runs while the loop waits: what other threads would do
 *   fake_waits       how often the loop has waited
 */
#ifndef EVSM_TESTS_UNIT_FAKE_TIME_H
#define EVSM_TESTS_UNIT_FAKE_TIME_H

#include "arch/arch.h"
#include "tests/unit/unit.h"

#define FAKE_MS_NS UINT64_C(1000000)

static uint64_t fake_now_ns = 5 * FAKE_MS_NS;
static void (*fake_wait_hook)(void);
static unsigned fake_waits;

uint64_t arch_clock_ns(void) {
  return fake_now_ns;
}


uint64_t arch_clock_coarse_ns(void) {
  return fake_now_ns;
}


uint64_t arch_stamp(void) {
  return fake_now_ns;
}


void arch_waiter_init(arch_waiter_t* waiter) {
  atomic_init(&waiter->word, 0);
}


bool arch_wait(arch_waiter_t* waiter, uint64_t deadline_ns) {
  fake_waits++;
  if (fake_wait_hook != NULL)
    fake_wait_hook();
  if (atomic_exchange(&waiter->word, 0) != 0)
    return true;
  ASSERT(deadline_ns != ARCH_FOREVER); /* nobody would ever wake us */
  if (deadline_ns > fake_now_ns)
    fake_now_ns = deadline_ns;
  return false;
}


void arch_wake(arch_waiter_t* waiter) {
  ASSERT(atomic_exchange(&waiter->word, 1) == 0); /* only one owes a wake */
}


void arch_relax(void) {
}


bool arch_interrupts_close(void) {
  return false;
}


void arch_interrupts_open(void) {
}

#endif /* EVSM_TESTS_UNIT_FAKE_TIME_H */

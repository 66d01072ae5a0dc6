/*
 * sim/futex.c - how a host thread sleeps and is woken.
 *
 *   EMPTY --wait--> ASLEEP --wake--> WOKEN --wait takes it--> EMPTY
 *     \------------ wake ------------->/
 *
 * The promise: each wake is answered by exactly one wait that returns true,
 * however the two meet, and a thread that is awake costs its waker no system
 * call.
 *
 * Waking a thread whose CPU has halted takes tens of microseconds on a virtual
 * machine, so a thread spins a little before it sleeps if its last wait was
 * short and there is another CPU for its waker. That helps two threads that
 * talk to each other; for all others it must cost nothing: a spin that was in
 * vain doubles how many waits go by before the next one, and one long sleep
 * ends the spinning.
 */
#include "sim/futex.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define FUTEX_SPIN_NS 50000u   /* a spin: what a wake-up costs otherwise */
#define FUTEX_SHORT_NS 150000u /* a wait that spins could have shortened */
#define FUTEX_MISSES_MAX 10u   /* at most 1 wait in 2^10 spins in vain */

enum { FUTEX_EMPTY, FUTEX_WOKEN, FUTEX_ASLEEP };

/* How waiting went for this thread lately. */
static _Thread_local struct {
  bool was_short;  /* the last wait was */
  uint32_t misses; /* spins in vain, in a row */
  uint32_t skip;   /* so many waits go by without a spin */
} futex_past;


void arch_futex_init(arch_waiter_t* waiter) {
  atomic_init(&waiter->word, FUTEX_EMPTY);
  waiter->cpu = ARCH_CPU_NONE;
}


static bool futex_take(arch_waiter_t* waiter) {
  uint32_t woken = FUTEX_WOKEN;

  /* Acquire: what the waker did before. */
  return atomic_compare_exchange_strong_explicit(
      &waiter->word, &woken, FUTEX_EMPTY, memory_order_acquire,
      memory_order_relaxed);
}


static bool futex_can_spin(void) {
  static _Atomic long cpu_count; /* of this machine; 0: not counted yet */
  long count = atomic_load_explicit(&cpu_count, memory_order_relaxed);

  /* Not those that this thread may use: one that is pinned has its waker on
   * another CPU as like as not, and spins in vain end soon if it hasn't. */
  if (count == 0) {
    count = sysconf(_SC_NPROCESSORS_ONLN);
    atomic_store_explicit(&cpu_count, count, memory_order_relaxed);
  }
  if (count < 2 || !futex_past.was_short)
    return false;
  if (futex_past.skip == 0)
    return true;
  futex_past.skip--;
  return false;
}


/* Wait awake for a little while; true if the wake came. */
static bool futex_spin(arch_waiter_t* waiter,
                       uint64_t now_ns,
                       uint64_t deadline_ns) {
  uint64_t until_ns = now_ns + FUTEX_SPIN_NS;

  if (deadline_ns < until_ns)
    return false; /* too soon to learn anything from it */
  while (arch_clock_ns() < until_ns) {
    for (uint32_t i = 0; i < 32; i++) {
      /* Relaxed: only a look; futex_take() acquires. */
      if (atomic_load_explicit(&waiter->word, memory_order_relaxed) ==
              FUTEX_WOKEN &&
          futex_take(waiter)) {
        futex_past.misses = 0;
        return true;
      }
      __builtin_ia32_pause();
    }
  }
  if (futex_past.misses < FUTEX_MISSES_MAX)
    futex_past.misses++;
  futex_past.skip = 1u << futex_past.misses;
  return false;
}


static void futex_sleep(arch_waiter_t* waiter, uint64_t deadline_ns) {
  struct timespec limit = {
      .tv_sec = (time_t) (deadline_ns / 1000000000u),
      .tv_nsec = (long) (deadline_ns % 1000000000u),
  };

  /* Until an absolute time, so that a signal in between costs no time. */
  syscall(SYS_futex, &waiter->word, FUTEX_WAIT_BITSET_PRIVATE, FUTEX_ASLEEP,
          deadline_ns == ARCH_FOREVER ? NULL : &limit, NULL,
          FUTEX_BITSET_MATCH_ANY);
}


bool arch_futex_wait(arch_waiter_t* waiter, uint64_t deadline_ns) {
  if (futex_take(waiter))
    return true;

  uint64_t began_ns = arch_clock_ns();
  if (deadline_ns <= began_ns)
    return false;
  if (futex_can_spin() && futex_spin(waiter, began_ns, deadline_ns))
    return true;

  int error = errno; /* a callback's errno is none of our business */
  uint32_t empty = FUTEX_EMPTY;
  if (atomic_compare_exchange_strong_explicit(
          &waiter->word, &empty, FUTEX_ASLEEP, memory_order_relaxed,
          memory_order_relaxed)) /* relaxed: nothing is handed over here */
    futex_sleep(waiter, deadline_ns);
  errno = error;

  /* Acquire: what the waker did before, if there was one. */
  bool woken = atomic_exchange_explicit(&waiter->word, FUTEX_EMPTY,
                                        memory_order_acquire) == FUTEX_WOKEN;
  futex_past.was_short = woken && arch_clock_ns() - began_ns < FUTEX_SHORT_NS;
  if (!futex_past.was_short) {
    futex_past.misses = 0;
    futex_past.skip = 0;
  }
  return woken;
}


void arch_futex_wake(arch_waiter_t* waiter) {
  /* Release: all that came before, to the thread. It may see this and free
   * the waiter before the system call, which then finds nobody: the kernel
   * looks at the address only. */
  if (atomic_exchange_explicit(&waiter->word, FUTEX_WOKEN,
                               memory_order_release) != FUTEX_ASLEEP)
    return;
  int error = errno;
  syscall(SYS_futex, &waiter->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
  errno = error;
}

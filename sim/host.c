/*
 * sim/host.c - the part of arch/arch.h that any Linux thread can offer: time,
 * entropy, spinning.
 *
 * Not here: CPUs (sim/cpu.c), plain threads (sim/thread.c).
 */
#include "arch/arch.h"
#include "sim/sanitize.h"

#include <errno.h>
#include <sched.h>
#include <sys/random.h>
#include <time.h>

#include "runtime/uv.h"


static uint64_t host_clock(clockid_t which) {
  struct timespec now;

  ASSERT(clock_gettime(which, &now) == 0);
  return (uint64_t) now.tv_sec * 1000000000u + (uint64_t) now.tv_nsec;
}


uint64_t arch_clock_ns(void) {
  return host_clock(CLOCK_MONOTONIC);
}


/* The kernel's coarse clock goes by its tick: 1 ms, or 4 and then too slow for
 * timers of 1 ms. */
static clockid_t host_coarse(void) {
  static _Atomic int which = -1; /* not asked yet */
  int id = atomic_load_explicit(&which, memory_order_relaxed);

  if (id < 0) {
    struct timespec tick;
    bool fine = clock_getres(CLOCK_MONOTONIC_COARSE, &tick) == 0 &&
                tick.tv_sec == 0 && tick.tv_nsec <= 1000000;
    id = fine ? CLOCK_MONOTONIC_COARSE : CLOCK_MONOTONIC;
    atomic_store_explicit(&which, id, memory_order_relaxed);
  }
  return (clockid_t) id;
}


uint64_t arch_clock_coarse_ns(void) {
  return host_clock(host_coarse());
}


uint64_t arch_stamp(void) {
  return __builtin_ia32_rdtsc();
}


int arch_entropy(void* buf, size_t size) {
  char* at = buf;

  while (size > 0) {
    ssize_t got = getrandom(at, size, 0);
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0)
      return UV_EIO;
    at += got;
    size -= (size_t) got;
  }
  return 0;
}

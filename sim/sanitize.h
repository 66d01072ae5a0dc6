/*
 * sim/sanitize.h - what sanitizers and valgrind must be told of stacks.
 *
 * Each switch from one stack to another is sanitize_leave() before it, and
 * sanitize_arrive() after it, on the other stack. In a plain build these are
 * nothing. Context of all: the thread that switches.
 *
 *   AddressSanitizer   wants the bounds of the stack we go to
 *   ThreadSanitizer    wants a fiber for each stack; it also holds signals
 *                      back, so jobs can't be preempted by them
 *   valgrind           wants stacks registered; runs one thread at a time, and
 *                      delivers signals late, so the same holds for it
 */
#ifndef EVSM_SIM_SANITIZE_H
#define EVSM_SIM_SANITIZE_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZE_ADDRESS 1
#elif defined(__SANITIZE_THREAD__)
#define SANITIZE_THREAD 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZE_ADDRESS 1
#elif __has_feature(thread_sanitizer)
#define SANITIZE_THREAD 1
#endif
#endif

#ifndef SANITIZE_ADDRESS
#define SANITIZE_ADDRESS 0
#endif
#ifndef SANITIZE_THREAD
#define SANITIZE_THREAD 0
#endif

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#define SANITIZE_VALGRIND 1
#endif
#endif
#ifndef SANITIZE_VALGRIND
#define SANITIZE_VALGRIND 0
#endif

#if SANITIZE_THREAD
#define SANITIZE_NOT __attribute__((noinline, no_sanitize("thread")))
#elif SANITIZE_ADDRESS
#define SANITIZE_NOT __attribute__((noinline, no_sanitize("address")))
#else
#define SANITIZE_NOT __attribute__((noinline))
#endif

/* The same for what is inline: ThreadSanitizer counts the calls of a stack, and
 * one entered on this stack and left on the next would be counted wrongly. */
#if SANITIZE_THREAD
#define SANITIZE_QUIET \
  static inline __attribute__((always_inline, no_sanitize("thread")))
#else
#define SANITIZE_QUIET static inline
#endif

#if SANITIZE_ADDRESS
void __sanitizer_start_switch_fiber(void** save, const void* low, size_t size);
void __sanitizer_finish_switch_fiber(void* saved, const void**, size_t*);
#endif
#if SANITIZE_THREAD
void* __tsan_get_current_fiber(void);
void* __tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void* fiber);
void __tsan_switch_to_fiber(void* fiber, unsigned flags);
#endif


/* Does it matter that signals come late here? */
static inline bool sanitize_delays_signals(void) {
#if SANITIZE_VALGRIND
  if (RUNNING_ON_VALGRIND)
    return true;
#endif
  return SANITIZE_THREAD;
}


/* A stack has come to be. Returns what sanitize_leave() wants of it. */
static inline void* sanitize_fiber_create(void* low, size_t size) {
#if SANITIZE_VALGRIND
  (void) VALGRIND_STACK_REGISTER(low, (char*) low + size);
#endif
  (void) low;
  (void) size;
#if SANITIZE_THREAD
  return __tsan_create_fiber(0);
#else
  return NULL;
#endif
}


static inline void sanitize_fiber_destroy(void* fiber) {
#if SANITIZE_THREAD
  if (fiber != NULL)
    __tsan_destroy_fiber(fiber);
#endif
  (void) fiber;
}


/* About to leave the stack of *from for that of `to`. */
SANITIZE_QUIET void sanitize_leave(void** from,
                                   void* to,
                                   const void* low,
                                   size_t size) {
#if SANITIZE_ADDRESS
  __sanitizer_start_switch_fiber(from, low, size);
#elif SANITIZE_THREAD
  if (*from == NULL)
    *from = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(to, 0);
#endif
  (void) from;
  (void) to;
  (void) low;
  (void) size;
}


/* On the stack that was left with `saved`, or on a new one (NULL). */
SANITIZE_QUIET void sanitize_arrive(void* saved) {
#if SANITIZE_ADDRESS
  __sanitizer_finish_switch_fiber(saved, NULL, NULL);
#endif
  (void) saved;
}

#endif /* EVSM_SIM_SANITIZE_H */

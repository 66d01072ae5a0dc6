/*
 * runtime/base.h - the few words that every file of the house may use.
 *
 * Freestanding: nothing here needs a C library's header. The memory functions
 * declared below are those that a C compiler may call on its own; a hosted
 * program gets them from its C library, the firmware from runtime/libc.c.
 *
 * Not here: what a machine offers (arch/arch.h), limits (runtime/bounds.h).
 */
#ifndef EVSM_RUNTIME_BASE_H
#define EVSM_RUNTIME_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Stop the machine: say where and why, wipe what is secret, never return.
 *
 * Context:  [any], [job], [trap]. Each machine provides it (sim/, arch/).
 */
_Noreturn void base_panic(const char* file, int line, const char* what);

/* For our own mistakes only, and on in release. Never on anything that a
 * guest, the host, the disk or a client chose: that is an error, not a bug. */
#define ASSERT(x) \
  ((x) ? (void) 0 : base_panic(__FILE__, __LINE__, "ASSERT(" #x ")"))

/* Marks a condition that may or may not hold, where a reader would wrongly
 * expect an invariant. It checks nothing. */
#define MAYBE(x) ((void) sizeof((x) ? 1 : 0))

#define container_of(ptr, type, member) \
  ((type*) (void*) ((char*) (ptr) -offsetof(type, member)))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/*
 * A long computation offers here to give way. Where the machine preempts jobs
 * by interrupts this is one load; where it can't (ThreadSanitizer delays
 * signals; the seeded simulator chooses its own preemption points) this is
 * where a job gives way. Call it about every 100 us of computing, never with
 * a lock held.
 *
 * Context:  [any], [job]. Outside a job it does nothing.
 */
void uvx_job_checkpoint(void);

void* memcpy(void* restrict dst, const void* restrict src, size_t size);
void* memmove(void* dst, const void* src, size_t size);
void* memset(void* dst, int byte, size_t size);
int memcmp(const void* a, const void* b, size_t size);
size_t strlen(const char* s);

#endif /* EVSM_RUNTIME_BASE_H */

/*
 * runtime/trace.h - what happened on each CPU, always on.
 *
 *   ring of one CPU:  | r | r | r | r | ... | r |   TRACE_RECORDS_MAX, 32 bytes
 *                               ^ head % TRACE_RECORDS_MAX: the next
 *
 * A CPU writes only to its own ring, with interrupts closed, so it needs no
 * lock: a TSC read and a few plain stores, about 10 ns. The newest record takes
 * the oldest one's place. Anybody may read while it is written (trace_read).
 * Nothing is formatted here, and a thread that is no CPU writes nothing.
 *
 * The promise: a record that trace_read() gives is whole, in order, and no
 * record is given twice or lost without being counted.
 *
 * Each type and field is declared once, in TRACE_MAP; a field that could tell
 * of a secret is marked so there and never leaves the machine. Write by
 * trace_NAME(number, ...): its first word says which call or job it is about.
 */
#ifndef EVSM_RUNTIME_TRACE_H
#define EVSM_RUNTIME_TRACE_H

#include "arch/arch.h"
#include "runtime/bounds.h"

#include <stdatomic.h>

/* Units of fields. */
#define TRACE_COUNT "count"
#define TRACE_INDEX "index"
#define TRACE_NS "ns"
#define TRACE_CODE "code" /* a value of an enum or a protocol */

/* Who may see a field. */
#define TRACE_PUBLIC false
#define TRACE_SECRET true /* only a debugger on the machine itself */

/* clang-format off */
/*
 * X0(NAME, name)
 * X1(NAME, name, field, unit, secret)
 * X2(NAME, name, field, unit, secret, field, unit, secret)
 */
#define TRACE_MAP(X0, X1, X2)                                                  \
  /* a job: the number is uvx_job_t's trace_id */                              \
  X1(JOB_QUEUE, job_queue, priority, TRACE_CODE, TRACE_PUBLIC)                 \
  X0(JOB_START, job_start)                                                     \
  X1(JOB_SLICE, job_slice, slice, TRACE_COUNT, TRACE_PUBLIC)                   \
  X1(JOB_PREEMPT, job_preempt, why, TRACE_CODE, TRACE_PUBLIC)                  \
  X1(JOB_MIGRATE, job_migrate, cpu_from, TRACE_INDEX, TRACE_PUBLIC)            \
  X0(JOB_PARK, job_park)                                                       \
  X1(JOB_END, job_end, ran, TRACE_NS, TRACE_PUBLIC)                            \
  /* interrupts and timers: the number is the job's that ran, or 0; a timer */ \
  /* that finds a job is an interrupt taken, too */                            \
  X1(IPI_SENT, ipi_sent, cpu_to, TRACE_INDEX, TRACE_PUBLIC)                    \
  X0(IPI_TAKEN, ipi_taken)                                                     \
  X1(TIMER_DUE, timer_due, late, TRACE_NS, TRACE_PUBLIC)                       \
  X1(TIMER_LATE, timer_late, late, TRACE_NS, TRACE_PUBLIC)                     \
  /* a strand: the number tells strands apart */                               \
  X1(STRAND_POST, strand_post, waiting, TRACE_COUNT, TRACE_PUBLIC)             \
  X1(STRAND_RUN, strand_run, waiting, TRACE_COUNT, TRACE_PUBLIC)               \
  /* a guest's call: the number is the call's */                               \
  X2(CALL, call, state, TRACE_CODE, TRACE_PUBLIC,                              \
     protocol_call, TRACE_CODE, TRACE_PUBLIC)                                  \
  /* an entry was held past it: the number is what took longest in it, a */    \
  /* service_doing_t */                                                        \
  X2(BUDGET_OVERRUN, budget_overrun, held, TRACE_NS, TRACE_PUBLIC,             \
     budget, TRACE_NS, TRACE_PUBLIC)
/* clang-format on */

typedef enum {
  TRACE_NONE, /* 0: no record */
#define X0(NAME, ...) TRACE_##NAME,
  TRACE_MAP(X0, X0, X0)
#undef X0
      TRACE_TYPE_COUNT
} trace_type_t;

/* One record, as trace_read() gives it. */
typedef struct trace_record_s {
  uint64_t stamp; /* arch_stamp() */
  uint16_t type;  /* trace_type_t */
  uint16_t cpu;
  uint32_t number; /* which call, job or strand; its low 32 bits */
  uint64_t value[2];
} trace_record_t;

_Static_assert(sizeof(trace_record_t) == 32, "half a cache line");

#define TRACE_FIELDS_MAX 2u

/* What a type is, for tools. */
typedef struct trace_describe_s {
  const char* name;
  struct {
    const char* name; /* NULL: no such field */
    const char* unit;
    bool secret;
  } field[TRACE_FIELDS_MAX];
} trace_describe_t;

extern const trace_describe_t trace_describe[TRACE_TYPE_COUNT];

/* A CPU's ring; the words are private, and trace_record_t's in their order. */
typedef struct trace_ring_s {
  _Alignas(ARCH_CACHE_LINE_SIZE) _Atomic uint64_t head; /* records so far */
  _Alignas(ARCH_CACHE_LINE_SIZE) _Atomic uint64_t word[TRACE_RECORDS_MAX][4];
} trace_ring_t;

_Static_assert((TRACE_RECORDS_MAX & (TRACE_RECORDS_MAX - 1)) == 0, "masked");

/* Private: NULL while a CPU has no ring. */
extern trace_ring_t* _Atomic trace_rings[CPUS_MAX];

/*
 * Give `cpu` its ring, or take it away (NULL). Context: [boot] of that CPU.
 * Memory: the ring is ours until it is taken away.
 */
void trace_use(uint32_t cpu, trace_ring_t* ring);

/*
 * Copy records of `cpu`, oldest first, from *cursor on (0 at first), into
 * out[0 .. count_max - 1], and move *cursor behind them.
 *
 * Context:  [any], [job], also while the CPU writes.
 * Returns:  how many were copied. *lost_count grows by those that were
 *           overwritten before they could be read.
 * Cost:     O(count_max).
 */
size_t trace_read(uint32_t cpu,
                  uint64_t* cursor,
                  trace_record_t* out,
                  size_t count_max,
                  uint64_t* lost_count);


/* Write one record. Use the typed ones below. Context: [any], [job], [trap]. */
static inline void trace_write(trace_type_t type,
                               uint64_t number,
                               uint64_t value0,
                               uint64_t value1) {
  bool opened = arch_interrupts_close();
  uint32_t cpu = arch_cpu();
  trace_ring_t* ring = NULL;

  if (cpu < CPUS_MAX)
    ring = atomic_load_explicit(&trace_rings[cpu], memory_order_relaxed);
  if (ring != NULL) {
    /* Release on each word: who reads a new word sees at least this head, and
     * so knows that the old record is gone. On x86 these are plain stores. */
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    _Atomic uint64_t* word = ring->word[head % TRACE_RECORDS_MAX];
    uint64_t what =
        (uint64_t) type | (uint64_t) cpu << 16 | (uint64_t) number << 32;
    atomic_store_explicit(&word[0], arch_stamp(), memory_order_release);
    atomic_store_explicit(&word[1], what, memory_order_release);
    atomic_store_explicit(&word[2], value0, memory_order_release);
    atomic_store_explicit(&word[3], value1, memory_order_release);
    atomic_store_explicit(&ring->head, head + 1, memory_order_release);
  }
  if (opened)
    arch_interrupts_open();
}


/* clang-format off */
#define X0(NAME, name)                                                         \
  static inline void trace_##name(uint64_t number) {                           \
    trace_write(TRACE_##NAME, number, 0, 0);                                   \
  }
#define X1(NAME, name, field, unit, secret)                                    \
  static inline void trace_##name(uint64_t number, uint64_t field) {           \
    trace_write(TRACE_##NAME, number, field, 0);                               \
  }
#define X2(NAME, name, field, unit, secret, field1, unit1, secret1)            \
  static inline void trace_##name(                                             \
      uint64_t number, uint64_t field, uint64_t field1) {                      \
    trace_write(TRACE_##NAME, number, field, field1);                          \
  }
TRACE_MAP(X0, X1, X2)
#undef X0
#undef X1
#undef X2
/* clang-format on */

#endif /* EVSM_RUNTIME_TRACE_H */

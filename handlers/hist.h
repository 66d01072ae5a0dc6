/*
 * handlers/hist.h - a histogram of durations: fixed buckets, no allocation.
 *
 *   0 1 2 .. 31 | 16 buckets for each further power of two up to 2^36 ns
 *
 * One CPU adds; any CPU may take a snapshot meanwhile. A value read back from
 * its bucket is off by at most 1/32; count and maximum are exact.
 */
#ifndef EVSM_HANDLERS_HIST_H
#define EVSM_HANDLERS_HIST_H

#include "runtime/base.h"

#include <stdatomic.h>

#define HIST_SUB_BITS 4u /* 16 buckets a power of two */
#define HIST_VALUE_BITS                                 \
  36u /* ns: 68 s; longer ones count in the last bucket \
       */
#define HIST_BUCKETS ((HIST_VALUE_BITS - HIST_SUB_BITS + 1u) << HIST_SUB_BITS)

typedef struct hist_s {
  _Atomic uint64_t count;
  _Atomic uint64_t sum_ns;
  _Atomic uint64_t max_ns;
  _Atomic uint32_t buckets[HIST_BUCKETS];
} hist_t;

/* What people ask of one. */
typedef struct hist_summary_s {
  uint64_t count;
  uint64_t sum_ns;
  uint64_t p50_ns;
  uint64_t p99_ns;
  uint64_t p999_ns;
  uint64_t max_ns; /* exact */
} hist_summary_t;

/* Context: [loop] of its one CPU. Cost: a few stores. */
void hist_add(hist_t* hist, uint64_t ns);

/* Add `from`, which may be growing, to `to`, which nobody else has. */
void hist_merge(hist_t* to, const hist_t* from);

/* Context: [any]. Cost: O(HIST_BUCKETS). */
void hist_summarize(const hist_t* hist, hist_summary_t* out);

void hist_clear(hist_t* hist);

#endif /* EVSM_HANDLERS_HIST_H */

/*
 * handlers/hist.c - adding to a histogram, and reading it.
 *
 * The bucket of a value is its highest bit and the HIST_SUB_BITS bits after
 * it; small values have one bucket each. Counters are relaxed atomics with
 * one writer: a snapshot may lack the last few values, never more.
 */
#include "handlers/hist.h"

#define HIST_SUBS (1u << HIST_SUB_BITS)

static uint32_t hist_bucket(uint64_t ns) {
  if (ns < HIST_SUBS)
    return (uint32_t) ns;
  if (ns >> HIST_VALUE_BITS != 0)
    return HIST_BUCKETS - 1;
  uint32_t top = 63u - (uint32_t) __builtin_clzll(ns);
  uint32_t shift = top - HIST_SUB_BITS;
  return ((shift + 1) << HIST_SUB_BITS) +
         (uint32_t) ((ns >> shift) & (HIST_SUBS - 1));
}


/* The middle of a bucket. */
static uint64_t hist_value(uint32_t bucket) {
  if (bucket < 2 * HIST_SUBS)
    return bucket;
  uint32_t shift = (bucket >> HIST_SUB_BITS) - 1;
  uint64_t low = (uint64_t) (HIST_SUBS + (bucket & (HIST_SUBS - 1))) << shift;
  return low + ((uint64_t) 1 << shift) / 2;
}


static void hist_grow(_Atomic uint64_t* counter, uint64_t by) {
  uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);
  atomic_store_explicit(counter, now + by, memory_order_relaxed);
}


void hist_add(hist_t* hist, uint64_t ns) {
  _Atomic uint32_t* bucket = &hist->buckets[hist_bucket(ns)];
  uint32_t now = atomic_load_explicit(bucket, memory_order_relaxed);

  atomic_store_explicit(bucket, now + 1, memory_order_relaxed);
  hist_grow(&hist->count, 1);
  hist_grow(&hist->sum_ns, ns);
  if (ns > atomic_load_explicit(&hist->max_ns, memory_order_relaxed))
    atomic_store_explicit(&hist->max_ns, ns, memory_order_relaxed);
}


void hist_merge(hist_t* to, const hist_t* from) {
  for (uint32_t i = 0; i < HIST_BUCKETS; i++) {
    uint32_t more =
        atomic_load_explicit(&from->buckets[i], memory_order_relaxed);
    uint32_t now = atomic_load_explicit(&to->buckets[i], memory_order_relaxed);
    atomic_store_explicit(&to->buckets[i], now + more, memory_order_relaxed);
  }
  hist_grow(&to->count,
            atomic_load_explicit(&from->count, memory_order_relaxed));
  hist_grow(&to->sum_ns,
            atomic_load_explicit(&from->sum_ns, memory_order_relaxed));
  uint64_t max = atomic_load_explicit(&from->max_ns, memory_order_relaxed);
  if (max > atomic_load_explicit(&to->max_ns, memory_order_relaxed))
    atomic_store_explicit(&to->max_ns, max, memory_order_relaxed);
}


void hist_summarize(const hist_t* hist, hist_summary_t* out) {
  uint64_t total = 0;
  uint64_t seen = 0;

  *out = (hist_summary_t){
      .count = atomic_load_explicit(&hist->count, memory_order_relaxed),
      .sum_ns = atomic_load_explicit(&hist->sum_ns, memory_order_relaxed),
      .max_ns = atomic_load_explicit(&hist->max_ns, memory_order_relaxed),
  };
  /* The sum of what the buckets hold now: `count` may be a few ahead. */
  for (uint32_t i = 0; i < HIST_BUCKETS; i++)
    total += atomic_load_explicit(&hist->buckets[i], memory_order_relaxed);
  for (uint32_t i = 0; i < HIST_BUCKETS; i++) {
    uint64_t here =
        atomic_load_explicit(&hist->buckets[i], memory_order_relaxed);
    uint64_t value = hist_value(i);

    if (here == 0)
      continue;
    if (value > out->max_ns)
      value = out->max_ns;
    seen += here;
    if (out->p50_ns == 0 && seen * 2 >= total)
      out->p50_ns = value;
    if (out->p99_ns == 0 && seen * 100 >= total * 99)
      out->p99_ns = value;
    if (out->p999_ns == 0 && seen * 1000 >= total * 999)
      out->p999_ns = value;
  }
}


void hist_clear(hist_t* hist) {
  atomic_store_explicit(&hist->count, 0, memory_order_relaxed);
  atomic_store_explicit(&hist->sum_ns, 0, memory_order_relaxed);
  atomic_store_explicit(&hist->max_ns, 0, memory_order_relaxed);
  for (uint32_t i = 0; i < HIST_BUCKETS; i++)
    atomic_store_explicit(&hist->buckets[i], 0, memory_order_relaxed);
}

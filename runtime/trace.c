/*
 * runtime/trace.c - the table of record types, and reading a ring.
 *
 * Reading takes no lock and stops no writer: records are copied first, and
 * then the head is looked at again. What the writer may have come to in the
 * meantime is thrown away and counted as lost.
 *
 * Not here: writing (inline, in trace.h), the rings' memory (cpu.c), tools.
 */
#include "runtime/trace.h"

trace_ring_t* _Atomic trace_rings[CPUS_MAX];

/* clang-format off */
#define X0(NAME, name) \
  [TRACE_##NAME] = {#name, {{NULL, NULL, false}, {NULL, NULL, false}}},
#define X1(NAME, name, field, unit, secret) \
  [TRACE_##NAME] = {#name, {{#field, unit, secret}, {NULL, NULL, false}}},
#define X2(NAME, name, field, unit, secret, field1, unit1, secret1) \
  [TRACE_##NAME] = {#name, {{#field, unit, secret}, {#field1, unit1, secret1}}},
/* clang-format on */

const trace_describe_t trace_describe[TRACE_TYPE_COUNT] = {
    [TRACE_NONE] = {"none", {{NULL, NULL, false}, {NULL, NULL, false}}},
    /* clang-format off */
    TRACE_MAP(X0, X1, X2)
    /* clang-format on */
};


void trace_use(uint32_t cpu, trace_ring_t* ring) {
  ASSERT(cpu < CPUS_MAX);

  atomic_store(&trace_rings[cpu], ring);
}


static trace_record_t trace_record(const trace_ring_t* ring, uint64_t index) {
  const _Atomic uint64_t* word = ring->word[index % TRACE_RECORDS_MAX];
  uint64_t what = atomic_load_explicit(&word[1], memory_order_acquire);
  trace_record_t record = {
      .stamp = atomic_load_explicit(&word[0], memory_order_acquire),
      .type = (uint16_t) what,
      .cpu = (uint16_t) (what >> 16),
      .number = (uint32_t) (what >> 32),
      .value = {atomic_load_explicit(&word[2], memory_order_acquire),
                atomic_load_explicit(&word[3], memory_order_acquire)}};

  return record;
}


/* The first record that is surely whole, when the head is `head`: the one in
 * the place of the next may be half written. */
static uint64_t trace_oldest(uint64_t head) {
  return head < TRACE_RECORDS_MAX ? 0 : head - TRACE_RECORDS_MAX + 1;
}


size_t trace_read(uint32_t cpu,
                  uint64_t* cursor,
                  trace_record_t* out,
                  size_t count_max,
                  uint64_t* lost_count) {
  ASSERT(cpu < CPUS_MAX);
  const trace_ring_t* ring = atomic_load(&trace_rings[cpu]);
  if (ring == NULL)
    return 0;

  uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
  uint64_t first = *cursor;
  if (first < trace_oldest(head))
    first = trace_oldest(head);
  if (first > head)
    first = head; /* a cursor from another life of this CPU */
  size_t count = 0;
  for (; count < count_max && first + count < head; count++)
    out[count] = trace_record(ring, first + count);

  /* Which of those were still whole when the last of them was copied? */
  head = atomic_load_explicit(&ring->head, memory_order_relaxed);
  size_t gone = 0;
  if (trace_oldest(head) > first)
    gone = (size_t) (trace_oldest(head) - first);
  if (gone > count)
    gone = count;
  memmove(out, out + gone, (count - gone) * sizeof(*out));

  if (first + gone > *cursor)
    *lost_count += first + gone - *cursor;
  *cursor = first + count;
  return count - gone;
}

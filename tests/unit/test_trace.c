/*
 * Goal:   trace_read() gives whole records, in order, none twice, and counts
 *         what it could not give - also while the CPU writes.
 * Method: the test's own thread plays a CPU (the functions of arch/arch.h that
 *         tracing needs are made here), with a reader beside it; each record's
 *         words depend on its number, so a torn one shows.
 */
#include "tests/unit/unit.h"

#include <pthread.h>

#include "runtime/trace.c"

static trace_ring_t ring;
static uint32_t cpu_here;
static bool closed;
static uint32_t opens;
static trace_record_t got[TRACE_RECORDS_MAX + 8];


uint64_t arch_stamp(void) {
  return __builtin_ia32_rdtsc();
}


uint32_t arch_cpu(void) {
  return cpu_here;
}


bool arch_interrupts_close(void) {
  bool opened = !closed;

  closed = true;
  return opened;
}


void arch_interrupts_open(void) {
  closed = false;
  opens++;
}


static void begin(void) {
  memset(&ring, 0, sizeof(ring));
  cpu_here = 2;
  trace_use(2, &ring);
}


/* ---- Writing ---- */

static void record_says_what_its_writer_said(void** state) {
  (void) state;
  uint64_t cursor = 0;
  uint64_t lost = 0;

  begin();
  trace_job_end(0x1122334455667788u, 99);
  trace_call(7, 3, 0x200000003u);
  trace_job_park(8);
  assert_int_equal(3, trace_read(2, &cursor, got, 8, &lost));
  assert_int_equal(TRACE_JOB_END, got[0].type);
  assert_int_equal(2, got[0].cpu);
  assert_int_equal(0x55667788u, got[0].number);
  assert_int_equal(99, got[0].value[0]);
  assert_int_equal(0, got[0].value[1]);
  assert_int_equal(TRACE_CALL, got[1].type);
  assert_int_equal(3, got[1].value[0]);
  assert_int_equal(0x200000003u, got[1].value[1]);
  assert_int_equal(TRACE_JOB_PARK, got[2].type);
  assert_true(got[0].stamp <= got[1].stamp);
  assert_int_equal(0, lost);
  assert_int_equal(0, trace_read(2, &cursor, got, 8, &lost));
}


static void writer_leaves_interrupts_as_they_were(void** state) {
  (void) state;
  begin();
  closed = true;
  opens = 0;
  trace_job_park(1);
  assert_int_equal(0, opens);
  closed = false;
  trace_job_park(1);
  assert_int_equal(1, opens);
  assert_false(closed);
}


static void thread_that_is_no_cpu_writes_nothing(void** state) {
  (void) state;
  begin();
  cpu_here = ARCH_CPU_NONE;
  trace_job_park(1);
  cpu_here = 3; /* a CPU without a ring */
  trace_job_park(1);
  assert_int_equal(0, ring.head);
}


/* ---- Reading ---- */

static void oldest_are_lost_and_counted(void** state) {
  (void) state;
  static const struct {
    uint64_t written;
    uint64_t lost;
  } rows[] = {
      {TRACE_RECORDS_MAX - 1, 0},
      {TRACE_RECORDS_MAX, 1}, /* the oldest may be half overwritten */
      {TRACE_RECORDS_MAX + 1, 2},
      {3 * TRACE_RECORDS_MAX + 5, 2 * TRACE_RECORDS_MAX + 6},
  };

  for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
    uint64_t cursor = 0;
    uint64_t lost = 0;
    begin();
    for (uint64_t k = 0; k < rows[i].written; k++)
      trace_job_end(k, k);
    size_t count = trace_read(2, &cursor, got, ARRAY_SIZE(got), &lost);
    assert_int_equal(rows[i].lost, lost);
    assert_int_equal(rows[i].written - rows[i].lost, count);
    assert_int_equal(rows[i].lost, got[0].value[0]);
    assert_int_equal(rows[i].written - 1, got[count - 1].value[0]);
    assert_int_equal(rows[i].written, cursor);
  }
}


static void cursor_beyond_the_head_starts_at_the_head(void** state) {
  (void) state;
  uint64_t cursor = 1000;
  uint64_t lost = 0;

  begin();
  trace_job_park(1);
  assert_int_equal(0, trace_read(2, &cursor, got, 8, &lost));
  assert_int_equal(1, cursor);
  assert_int_equal(0, lost);
}


#define LIVE_RECORDS 300000u

static _Atomic bool live_over;
static uint64_t live_bad;
static uint64_t live_seen;
static uint64_t live_lost;


static void live_check(uint64_t* cursor, uint64_t* next) {
  uint64_t lost_before = live_lost;
  size_t count = trace_read(2, cursor, got, 500, &live_lost);

  *next += live_lost - lost_before;
  for (size_t i = 0; i < count; i++) {
    const trace_record_t* r = &got[i];
    if (r->value[0] != *next || r->value[1] != ~*next ||
        r->number != (uint32_t) *next || r->type != TRACE_CALL)
      live_bad++;
    (*next)++;
  }
  live_seen += count;
}


static void* live_reader(void* arg) {
  uint64_t cursor = 0;
  uint64_t next = 0;

  (void) arg;
  while (!atomic_load(&live_over))
    live_check(&cursor, &next);
  while (next < LIVE_RECORDS)
    live_check(&cursor, &next);
  return NULL;
}


static void reader_beside_a_writer_sees_whole_records(void** state) {
  (void) state;
  pthread_t reader;

  begin();
  assert_int_equal(0, pthread_create(&reader, NULL, live_reader, NULL));
  for (uint64_t i = 0; i < LIVE_RECORDS; i++)
    trace_call(i, i, ~i);
  atomic_store(&live_over, true);
  pthread_join(reader, NULL);
  assert_int_equal(0, live_bad);
  assert_int_equal(LIVE_RECORDS, live_seen + live_lost);
}


/* ---- The table ---- */

static void each_type_is_described(void** state) {
  (void) state;
  for (int i = 0; i < TRACE_TYPE_COUNT; i++) {
    assert_non_null(trace_describe[i].name);
    for (int k = 0; k < i; k++)
      assert_string_not_equal(trace_describe[i].name, trace_describe[k].name);
    for (size_t f = 0; f < TRACE_FIELDS_MAX; f++)
      if (trace_describe[i].field[f].name != NULL)
        assert_non_null(trace_describe[i].field[f].unit);
  }
  assert_string_equal("job_end", trace_describe[TRACE_JOB_END].name);
  assert_string_equal("ran", trace_describe[TRACE_JOB_END].field[0].name);
  assert_string_equal("ns", trace_describe[TRACE_JOB_END].field[0].unit);
}


int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(record_says_what_its_writer_said),
      cmocka_unit_test(writer_leaves_interrupts_as_they_were),
      cmocka_unit_test(thread_that_is_no_cpu_writes_nothing),
      cmocka_unit_test(oldest_are_lost_and_counted),
      cmocka_unit_test(cursor_beyond_the_head_starts_at_the_head),
      cmocka_unit_test(reader_beside_a_writer_sees_whole_records),
      cmocka_unit_test(each_type_is_described),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}

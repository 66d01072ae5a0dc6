/*
 * tests/unit/test_arena.c - the heap that libtpms has,
 * crypto/libcrypto/arena.c.
 *
 * Goal:   blocks are aligned, apart and bounded; what is freed is wiped and
 *         found again, however the arena was cut up; misuse stops the machine.
 * Method: long random runs of malloc, realloc and free with a pattern in each
 *         block, walking the whole arena now and then; and each edge by hand.
 */
#include "tests/unit/unit.h"

#include "crypto/libcrypto/arena.c"

#define BLOCKS_MAX 300

static uint64_t sequence;


static uint64_t next(void) {
  uint64_t x = sequence += 0x9e3779b97f4a7c15u;

  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  return x ^ x >> 31;
}


static int begin(void** state) {
  (void) state;
  libc_arena_wipe();
  sequence = 1;
  return 0;
}


/* Whether a hole's bytes are zero behind its links. */
ARENA_INSIDE static bool hole_is_wiped(header_t* h) {
  const uint8_t* p = (const uint8_t*) (h + 1);

  for (size_t i = sizeof(links_t); i < (size_t) (h->units - 1) * UNIT; i++)
    if (p[i] != 0)
      return false;
  return true;
}


/* All invariants of the arena, from its first byte to its last. */
ARENA_INSIDE static void walk(void) {
  uint32_t before = 0;
  uint32_t holes = 0;
  size_t used = 0;
  size_t blocks = 0;
  bool after_hole = false;
  header_t* h = at(0);

  while (h->state != STATE_END) {
    assert_int_equal(before, h->before);
    assert_true(h->units >= 2);
    if (h->state == STATE_HOLE) {
      assert_false(after_hole); /* two holes never touch */
      assert_true(hole_is_wiped(h));
      holes++;
    } else {
      assert_int_equal(STATE_USED, h->state);
      used += h->units;
      blocks++;
    }
    after_hole = h->state == STATE_HOLE;
    before = h->units;
    h = at(offset_of(h) + h->units);
  }
  assert_int_equal(ARENA_UNITS - 1, offset_of(h));
  assert_int_equal(arena.used, used);
  assert_int_equal(arena.blocks, blocks);
  for (uint32_t list = 0; list < LISTS_MAX; list++) {
    bool filled = (arena.filled[list / 64] >> (list % 64)) & 1;
    assert_true(filled == (arena.lists[list] != NOWHERE));
    for (uint32_t o = arena.lists[list]; o != NOWHERE; o = links(at(o))->next) {
      assert_int_equal(list, list_of(at(o)->units));
      holes--;
    }
  }
  assert_int_equal(0, holes); /* each hole is in one list */
}


/* Mostly small sizes, sometimes large, now and then beyond the arena. */
static size_t some_size(void) {
  switch (next() % 16) {
    case 0:
      return next() % 300000;
    case 1:
      return next() % (LIBC_ARENA_SIZE + 100000);
    case 2:
      return 0;
    default:
      return next() % 600;
  }
}


static void random_use_keeps_blocks_apart(void** state) {
  static struct {
    uint8_t* p;
    size_t size;
    uint8_t pattern;
  } b[BLOCKS_MAX];
  uint32_t refused = 0;

  (void) state;
  memset(b, 0, sizeof(b));
  for (int step = 0; step < 12000; step++) {
    size_t i = next() % BLOCKS_MAX;
    for (size_t k = 0; k < b[i].size; k += 1 + b[i].size / 16)
      assert_int_equal(b[i].pattern, b[i].p[k]);
    size_t size = some_size();
    if (next() % 3 == 0 && b[i].p != NULL) {
      libc_free(b[i].p);
      b[i].p = NULL;
      b[i].size = 0;
      continue;
    }
    uint8_t* p = libc_realloc(b[i].p, size);
    if (p == NULL) {
      refused++;
      continue; /* the old block is as it was */
    }
    assert_int_equal(0, (uintptr_t) p % LIBC_ALIGNMENT);
    if (b[i].size > 0 && size > 0)
      assert_int_equal(b[i].pattern, p[0]);
    b[i].p = p;
    b[i].size = size;
    b[i].pattern = (uint8_t) next();
    memset(p, b[i].pattern, size);
    if (step % 400 == 0)
      walk();
  }
  assert_true(refused > 0);
  for (size_t i = 0; i < BLOCKS_MAX; i++)
    libc_free(b[i].p);
  walk();
  libc_arena_stat_t stat;
  libc_arena_stat(&stat);
  assert_int_equal(0, stat.used);
  assert_int_equal(0, stat.blocks);
  assert_int_equal(refused, stat.refused);
  assert_int_equal(LIBC_ARENA_SIZE - 2 * UNIT, stat.largest);
}


static void a_full_arena_refuses_and_recovers(void** state) {
  static void* b[LIBC_ARENA_SIZE / 65536];
  libc_arena_stat_t stat;
  size_t count = 0;

  (void) state;
  assert_null(libc_malloc(LIBC_ARENA_SIZE));
  assert_null(libc_malloc(SIZE_MAX));
  void* whole = libc_malloc(LIBC_ARENA_SIZE - 2 * UNIT);
  assert_non_null(whole);
  assert_null(libc_malloc(0));
  libc_free(whole);

  while ((b[count] = libc_malloc(65536)) != NULL)
    count++;
  assert_int_equal(63, count); /* the headers take the place of the 64th */
  for (size_t i = 1; i < count; i += 2)
    libc_free(b[i]);
  assert_null(libc_malloc(70000)); /* room enough, but in pieces */
  libc_arena_stat(&stat);
  assert_int_equal(65536, stat.largest);
  for (size_t i = 0; i < count; i += 2)
    libc_free(b[i]);
  walk();
  libc_arena_stat(&stat);
  assert_int_equal(LIBC_ARENA_SIZE - 2 * UNIT, stat.largest);
  assert_int_equal(5, stat.refused);
}


static void what_libtpms_was_seen_to_want_fits_many_times(void** state) {
  void* b[12];

  (void) state;
  for (size_t i = 0; i < ARRAY_SIZE(b); i++) {
    b[i] = libc_malloc(277184);
    assert_non_null(b[i]);
  }
  for (size_t i = 0; i < ARRAY_SIZE(b); i++)
    libc_free(b[i]);
}


static void resizing_keeps_what_it_should(void** state) {
  (void) state;
  uint8_t* a = libc_realloc(NULL, 100);
  memset(a, 1, 100);
  uint8_t* grown = libc_realloc(a, 1000);
  assert_ptr_equal(a, grown); /* the hole behind it */
  void* next_one = libc_malloc(16);
  memset(grown, 1, 1000);
  uint8_t* moved = libc_realloc(grown, 5000);
  assert_ptr_not_equal(grown, moved);
  for (size_t i = 0; i < 1000; i++)
    assert_int_equal(1, moved[i]);
  memset(moved, 1, 5000);
  uint8_t* shrunk = libc_realloc(moved, 50);
  assert_ptr_equal(moved, shrunk);
  walk(); /* what was cut off is wiped */
  assert_null(libc_realloc(shrunk, LIBC_ARENA_SIZE));
  assert_int_equal(1, shrunk[49]);
  libc_free(shrunk);
  libc_free(next_one);
  libc_free(NULL);
  walk();
}


ARENA_INSIDE static void overrun(uint8_t* p, size_t at_byte) {
  p[at_byte] ^= 0xff;
}


static void misuse_stops_the_machine(void** state) {
  static uint8_t foreign[64];

  (void) state;
  uint8_t* p = libc_malloc(64);
  libc_free(p);
  expect_assert_failure(libc_free(p)); /* twice */
  libc_arena_wipe();

  expect_assert_failure(libc_free(foreign + 32));
  libc_arena_wipe();

  p = libc_malloc(64);
  expect_assert_failure(libc_free(p + 16)); /* the middle of a block */
  libc_arena_wipe();
  p = libc_malloc(64);
  expect_assert_failure(libc_free(p + 1));
  libc_arena_wipe();

  p = libc_malloc(64);
  (void) libc_malloc(64);
  overrun(p, 64 + 4); /* the next header's `before` */
  expect_assert_failure(libc_free(p));
  libc_arena_wipe();

  enter(); /* somebody is inside */
  expect_assert_failure((void) libc_malloc(1));
  libc_arena_wipe();
  walk();
}


int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(random_use_keeps_blocks_apart, begin),
      cmocka_unit_test_setup(a_full_arena_refuses_and_recovers, begin),
      cmocka_unit_test_setup(what_libtpms_was_seen_to_want_fits_many_times,
                             begin),
      cmocka_unit_test_setup(resizing_keeps_what_it_should, begin),
      cmocka_unit_test_setup(misuse_stops_the_machine, begin),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

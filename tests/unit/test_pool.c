/*
 * Goal:   a pool gives each of its items to one taker at a time, says when it
 *         has none, and knows how many were out at once.
 * Method: take all, give back in another order, take again; marks in the items
 *         show if two takers share one.
 */
#include "tests/unit/unit.h"

#include "runtime/pool.c"

#define ITEMS 5u

typedef struct {
  uint64_t words[3];
} item_t;

static item_t items[ITEMS];
static pool_t pool;


static void pool_gives_each_item_once(void** state) {
  (void) state;
  item_t* taken[ITEMS];

  pool_init(&pool, items, sizeof(items[0]), ITEMS);
  for (uint32_t i = 0; i < ITEMS; i++) {
    taken[i] = pool_take(&pool);
    assert_ptr_equal(&items[i], taken[i]); /* in order at first */
    memset(taken[i], (int) i, sizeof(*taken[i]));
  }
  assert_null(pool_take(&pool));
  assert_null(pool_take(&pool));
  for (uint32_t i = 0; i < ITEMS; i++)
    assert_int_equal(i * 0x0101010101010101u, taken[i]->words[2]);

  pool_give(&pool, taken[1]);
  pool_give(&pool, taken[4]);
  assert_ptr_equal(taken[4], pool_take(&pool)); /* the last one, still warm */
  assert_ptr_equal(taken[1], pool_take(&pool));
  assert_null(pool_take(&pool));
}


static void pool_knows_how_many_were_out(void** state) {
  (void) state;
  pool_init(&pool, items, sizeof(items[0]), ITEMS);
  assert_int_equal(0, pool_taken_max(&pool));
  void* a = pool_take(&pool);
  void* b = pool_take(&pool);
  pool_give(&pool, a);
  pool_give(&pool, b);
  (void) pool_take(&pool);
  assert_int_equal(2, pool_taken_max(&pool));
}


static void empty_pool_has_nothing(void** state) {
  (void) state;
  pool_init(&pool, items, sizeof(items[0]), 0);
  assert_null(pool_take(&pool));
}


int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(pool_gives_each_item_once),
      cmocka_unit_test(pool_knows_how_many_were_out),
      cmocka_unit_test(empty_pool_has_nothing),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}

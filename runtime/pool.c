/*
 * runtime/pool.c - things of one size, all of them there from the start.
 *
 * The free ones are a list through their own first words; the one given back
 * last is taken first, for it is still in the cache.
 */
#include "runtime/pool.h"


void pool_init(pool_t* pool,
               void* memory,
               uint32_t item_size,
               uint32_t item_count) {
  ASSERT(item_size >= sizeof(void*));
  ASSERT(item_size % sizeof(void*) == 0);
  ASSERT((uintptr_t) memory % sizeof(void*) == 0);

  pool->memory = memory;
  pool->item_size = item_size;
  pool->item_count = item_count;
  pool->free_count = 0;
  pool->free = NULL;
  for (uint32_t i = item_count; i > 0; i--) /* so that [0] is taken first */
    pool_give(pool, pool->memory + (size_t) (i - 1) * item_size);
  pool->free_count_min = item_count;
}


void* pool_take(pool_t* pool) {
  void* item = pool->free;
  if (item == NULL)
    return NULL;

  memcpy(&pool->free, item, sizeof(pool->free));
  pool->free_count--;
  if (pool->free_count < pool->free_count_min)
    pool->free_count_min = pool->free_count;
  return item;
}


void pool_give(pool_t* pool, void* item) {
  size_t offset = (size_t) ((char*) item - pool->memory);

  ASSERT(offset < (size_t) pool->item_size * pool->item_count);
  ASSERT(offset % pool->item_size == 0);
  ASSERT(pool->free_count < pool->item_count);
  memcpy(item, &pool->free, sizeof(pool->free));
  pool->free = item;
  pool->free_count++;
}


uint32_t pool_taken_max(const pool_t* pool) {
  return pool->item_count - pool->free_count_min;
}

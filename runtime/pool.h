/*
 * runtime/pool.h - things of one size, all of them there from the start.
 *
 * A pool has no lock: it belongs to one loop, or to whoever else sees to it
 * that one at a time uses it. Nothing is cleared: who takes one initialises it,
 * and who gives one back wipes what was secret in it.
 */
#ifndef EVSM_RUNTIME_POOL_H
#define EVSM_RUNTIME_POOL_H

#include "runtime/base.h"

/* The caller provides the memory and reads nothing. */
typedef struct pool_s {
  char* memory; /* private, as all that follows */
  uint32_t item_size;
  uint32_t item_count;
  uint32_t free_count;
  uint32_t free_count_min; /* since pool_init() */
  void* free;
} pool_t;

/*
 * Make a pool of the array memory[item_count], of items of `item_size` bytes:
 * a multiple of a pointer's size.
 *
 * Context:  [boot].
 * Memory:   `memory` is the pool's for good, aligned for a pointer at least.
 */
void pool_init(pool_t* pool,
               void* memory,
               uint32_t item_size,
               uint32_t item_count);

/*
 * Context:  [loop] of the pool's owner.
 * Memory:   the item is the caller's until pool_give().
 * Returns:  NULL if all are taken: answer UV_EAGAIN.
 */
void* pool_take(pool_t* pool);

/* Context: as pool_take(). The item must have come from there. */
void pool_give(pool_t* pool, void* item);

/* How many were taken at once, at most. Context: as pool_take(). */
uint32_t pool_taken_max(const pool_t* pool);

#endif /* EVSM_RUNTIME_POOL_H */

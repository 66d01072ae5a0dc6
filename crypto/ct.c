/*
 * crypto/ct.c - comparing and wiping secrets.
 *
 * Both functions are out of line so that a caller's compiler knows nothing of
 * what they do with the memory. Everything else is inline in ct.h.
 */
#include "crypto/ct.h"

#include "runtime/base.h"

/* Called through a pointer that might change, a store can't be proved dead. */
static void* (*volatile const ct_memset)(void*, int, size_t) = memset;

bool ct_equal(const void* a, const void* b, size_t size) {
  const uint8_t* x = a;
  const uint8_t* y = b;
  uint64_t difference = 0;

  for (size_t i = 0; i < size; i++)
    difference |= (uint64_t) (x[i] ^ y[i]);
  return ct_bit_not_zero(difference) == 0;
}


void ct_wipe(void* secret, size_t size) {
  if (size != 0)
    ct_memset(secret, 0, size);
}

/*
 * crypto/libcrypto/arena.c - the one heap of the house, which is libtpms's.
 *
 *   | header | bytes ... | header | bytes ... | header | ... | end header |
 *       16      n * 16       16
 *
 * Blocks lie side by side, and each header knows its own size and that of the
 * block before it, so that a freed block finds both neighbours and joins them:
 * two holes never touch. Holes hang in lists by size, one list for each small
 * size and one for each power of two above, and a bitmap names the lists that
 * hold something. Taking a small block is thus a few instructions; only within
 * a list of large holes is there a search, first fit.
 *
 * The promise: a block is wiped before anybody else gets its bytes; a pointer
 * that is no block, is freed twice, or was written past its end (so that the
 * next header changed) stops the machine; what is asked for beyond the arena
 * is NULL, and changes nothing.
 *
 * One caller at a time, since libtpms is one: `busy` asserts it. It is not a
 * lock. A job that was preempted in here is still the one caller.
 *
 * Under AddressSanitizer all but the bytes that were asked for is poisoned, so
 * that each block has a red zone: its neighbours' headers.
 */
#include "crypto/ct.h"
#include "crypto/libcrypto/libc.h"
#include "runtime/base.h"

#include <stdatomic.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#endif

#ifdef ARENA_ASAN
void __asan_poison_memory_region(void const volatile* p, size_t size);
void __asan_unpoison_memory_region(void const volatile* p, size_t size);
#define POISON(p, size) __asan_poison_memory_region((p), (size))
#define UNPOISON(p, size) __asan_unpoison_memory_region((p), (size))
/* Headers are poisoned for everyone but the functions so marked. */
#define ARENA_INSIDE __attribute__((no_sanitize("address")))
#else
#define POISON(p, size) ((void) (p), (void) (size))
#define UNPOISON(p, size) ((void) (p), (void) (size))
#define ARENA_INSIDE
#endif

#define UNIT 16u        /* bytes: alignment, header, smallest payload */
#define SMALL_UNITS 64u /* holes of up to so many units have a list each */
#define LISTS_MAX                                            \
  (SMALL_UNITS + 1u + 13u) /* 13 powers reach 4 MiB and over \
                            */
#define NOWHERE UINT32_MAX

/* Words that no text or number is likely to be. Anything else in a header's
 * `state` means that somebody wrote where it is. */
#define STATE_HOLE 0x484f4c45u
#define STATE_USED 0x55534544u
#define STATE_END 0x454e4421u

/* All counts are in units, offsets too: 4 MiB are 2^18 units. */
typedef struct {
  uint32_t units;  /* of this block, its header included */
  uint32_t before; /* units of the block before it; 0 for the first */
  uint32_t state;
  uint32_t slack; /* bytes at the end that were not asked for */
} header_t;

/* In a hole the payload begins with its place in the list. */
typedef struct {
  uint32_t next; /* offset of the next hole's header, or NOWHERE */
  uint32_t prev;
} links_t;

_Static_assert(sizeof(header_t) == UNIT, "a header is one unit");
_Static_assert(sizeof(links_t) <= UNIT, "the smallest hole holds its links");
_Static_assert(LIBC_ARENA_SIZE % UNIT == 0, "the arena is whole units");
_Static_assert(LIBC_ALIGNMENT == UNIT, "each payload follows a header");

#define ARENA_UNITS (LIBC_ARENA_SIZE / UNIT)

_Static_assert(ARENA_UNITS >> 6 < (1u << 13), "the last list takes the whole");

static struct {
  _Alignas(64) uint8_t bytes[LIBC_ARENA_SIZE];
  uint32_t lists[LISTS_MAX];
  uint64_t filled[2]; /* bit i: lists[i] is not empty */
  size_t used;        /* units */
  size_t peak;        /* units */
  size_t blocks;
  size_t refused;
  bool ready;
  _Atomic bool busy;
} arena;

_Static_assert(LISTS_MAX <= 128, "two words of bits");


static void enter(void) {
  ASSERT(!atomic_load_explicit(&arena.busy, memory_order_relaxed));
  atomic_store_explicit(&arena.busy, true, memory_order_relaxed);
}


static void leave(void) {
  atomic_store_explicit(&arena.busy, false, memory_order_relaxed);
}


static header_t* at(uint32_t offset) {
  ASSERT(offset < ARENA_UNITS);
  return (header_t*) (void*) (arena.bytes + (size_t) offset * UNIT);
}


static uint32_t offset_of(const header_t* h) {
  return (uint32_t) ((size_t) ((const uint8_t*) h - arena.bytes) / UNIT);
}


static void* payload(header_t* h) {
  return h + 1;
}


static links_t* links(header_t* h) {
  return (links_t*) (void*) (h + 1);
}


/* The list that holes of `units` hang in: sizes up to SMALL_UNITS have their
 * own, the rest share one from each power of two to the next. */
static uint32_t list_of(uint32_t units) {
  if (units <= SMALL_UNITS)
    return units;
  uint32_t power = 31u - (uint32_t) __builtin_clz(units >> 6);
  return SMALL_UNITS + 1u + power;
}


ARENA_INSIDE static void hole_link(header_t* h) {
  uint32_t list = list_of(h->units);

  h->state = STATE_HOLE;
  h->slack = 0;
  links(h)->next = arena.lists[list];
  links(h)->prev = NOWHERE;
  if (arena.lists[list] != NOWHERE)
    links(at(arena.lists[list]))->prev = offset_of(h);
  arena.lists[list] = offset_of(h);
  arena.filled[list / 64] |= 1ull << (list % 64);
}


ARENA_INSIDE static void hole_unlink(header_t* h) {
  uint32_t list = list_of(h->units);
  links_t* l = links(h);

  ASSERT(h->state == STATE_HOLE);
  if (l->next != NOWHERE)
    links(at(l->next))->prev = l->prev;
  if (l->prev != NOWHERE)
    links(at(l->prev))->next = l->next;
  else
    arena.lists[list] = l->next;
  if (arena.lists[list] == NOWHERE)
    arena.filled[list / 64] &= ~(1ull << (list % 64));
  l->next = 0; /* so that a hole's bytes are zero but for its links */
  l->prev = 0;
}


/* One hole, and an end that is never given out. */
ARENA_INSIDE static void arena_begin(void) {
  UNPOISON(arena.bytes, sizeof(arena.bytes));
  for (uint32_t i = 0; i < LISTS_MAX; i++)
    arena.lists[i] = NOWHERE;
  arena.filled[0] = 0;
  arena.filled[1] = 0;

  header_t* first = at(0);
  header_t* end = at(ARENA_UNITS - 1);
  *first = (header_t){.units = ARENA_UNITS - 1};
  *end = (header_t){.units = 1, .before = ARENA_UNITS - 1, .state = STATE_END};
  hole_link(first);
  POISON(arena.bytes, sizeof(arena.bytes));
  arena.ready = true;
}


/* The first list at or after `from` that holds something, or LISTS_MAX. */
static uint32_t filled_from(uint32_t from) {
  for (uint32_t word = from / 64; word < 2; word++) {
    uint64_t bits = arena.filled[word];
    if (word == from / 64)
      bits &= ~0ull << (from % 64);
    if (bits != 0)
      return word * 64 + (uint32_t) __builtin_ctzll(bits);
  }
  return LISTS_MAX;
}


/* A hole of at least `units`, still linked, or NULL. */
ARENA_INSIDE static header_t* hole_find(uint32_t units) {
  uint32_t list = filled_from(list_of(units));

  while (list < LISTS_MAX) {
    uint32_t offset = arena.lists[list];
    while (offset != NOWHERE) { /* bound: the holes of one list */
      header_t* h = at(offset);
      ASSERT(h->state == STATE_HOLE);
      if (h->units >= units)
        return h;
      offset = links(h)->next;
    }
    list = filled_from(list + 1);
  }
  return NULL;
}


/* Cut `h`, which is in no list, to `units`; what is left over becomes a hole.
 * A rest of one unit would be a header without payload, and stays inside. */
ARENA_INSIDE static void split(header_t* h, uint32_t units) {
  ASSERT(h->units >= units);
  if (h->units - units < 2)
    return;

  header_t* rest = at(offset_of(h) + units);
  *rest = (header_t){.units = h->units - units, .before = units};
  h->units = units;
  header_t* after = at(offset_of(rest) + rest->units);
  ASSERT(after->before == rest->units + units);
  after->before = rest->units;
  if (after->state == STATE_HOLE) { /* only after a shrink */
    hole_unlink(after);
    rest->units += after->units;
    at(offset_of(rest) + rest->units)->before = rest->units;
    *after = (header_t){0};
  }
  hole_link(rest);
}


/* Make `h` a block that the caller sees `size` bytes of. */
ARENA_INSIDE static void* hand_out(header_t* h, size_t size) {
  size_t room = (size_t) (h->units - 1) * UNIT;

  ASSERT(room >= size);
  h->state = STATE_USED;
  h->slack = (uint32_t) (room - size);
  UNPOISON(payload(h), size);
  return payload(h);
}


/* Units that a block of `size` bytes takes, or 0 when no arena has them. */
static uint32_t units_for(size_t size) {
  if (size > LIBC_ARENA_SIZE)
    return 0;
  if (size == 0)
    size = 1;
  return (uint32_t) ((size + UNIT - 1) / UNIT) + 1;
}


ARENA_INSIDE static void* arena_take(size_t size) {
  uint32_t units = units_for(size);
  header_t* h = units == 0 ? NULL : hole_find(units);

  if (h == NULL) {
    arena.refused++;
    return NULL;
  }
  hole_unlink(h);
  split(h, units);
  arena.used += h->units;
  arena.blocks++;
  if (arena.used > arena.peak)
    arena.peak = arena.used;
  return hand_out(h, size);
}


/* The header of a block that we gave out, or the machine stops. */
ARENA_INSIDE static header_t* checked(void* block) {
  const uint8_t* p = block;

  ASSERT(p >= arena.bytes + UNIT);
  ASSERT(p < arena.bytes + sizeof(arena.bytes));
  ASSERT((size_t) (p - arena.bytes) % UNIT == 0);
  header_t* h = (header_t*) block - 1;
  ASSERT(h->state == STATE_USED);
  ASSERT(h->units >= 2);
  ASSERT(h->units <= ARENA_UNITS - 1 - offset_of(h));
  ASSERT(at(offset_of(h) + h->units)->before == h->units);
  return h;
}


ARENA_INSIDE static void arena_give(header_t* h) {
  size_t room = (size_t) (h->units - 1) * UNIT;

  arena.used -= h->units;
  arena.blocks--;
  UNPOISON(payload(h), room);
  ct_wipe(payload(h), room);

  header_t* after = at(offset_of(h) + h->units);
  if (after->state == STATE_HOLE) {
    hole_unlink(after);
    h->units += after->units;
    *after = (header_t){0};
  }
  if (h->before != 0) {
    header_t* before = at(offset_of(h) - h->before);
    if (before->state == STATE_HOLE) {
      hole_unlink(before);
      before->units += h->units;
      *h = (header_t){0};
      h = before;
    }
  }
  at(offset_of(h) + h->units)->before = h->units;
  hole_link(h);
  POISON(payload(h), (size_t) (h->units - 1) * UNIT);
}


/* Change a block without moving it, if it or the hole behind it has room. */
ARENA_INSIDE static bool arena_resize(header_t* h, size_t size) {
  uint32_t units = units_for(size);
  header_t* after = at(offset_of(h) + h->units);
  uint32_t spare = after->state == STATE_HOLE ? after->units : 0;

  if (units == 0 || h->units + spare < units)
    return false;

  size_t room = (size_t) (h->units - 1) * UNIT;
  UNPOISON(payload(h), room);
  if (size < room)
    ct_wipe((uint8_t*) payload(h) + size, room - size);
  arena.used -= h->units;
  if (h->units < units) {
    hole_unlink(after);
    h->units += spare;
    *after = (header_t){0};
    at(offset_of(h) + h->units)->before = h->units;
  }
  room = (size_t) (h->units - 1) * UNIT;
  split(h, units);
  arena.used += h->units;
  if (arena.used > arena.peak)
    arena.peak = arena.used;
  POISON((uint8_t*) payload(h) + size, room - size);
  (void) hand_out(h, size);
  return true;
}


void* libc_malloc(size_t size) {
  enter();
  if (!arena.ready)
    arena_begin();
  void* block = arena_take(size);
  leave();
  return block;
}


ARENA_INSIDE void* libc_realloc(void* block, size_t size) {
  if (block == NULL)
    return libc_malloc(size);

  enter();
  header_t* h = checked(block);
  size_t old_size = (size_t) (h->units - 1) * UNIT - h->slack;
  void* moved = block;
  if (!arena_resize(h, size)) {
    moved = arena_take(size);
    if (moved != NULL) {
      memcpy(moved, block, old_size < size ? old_size : size);
      arena_give(h);
    }
  }
  leave();
  return moved;
}


void libc_free(void* block) {
  if (block == NULL)
    return;
  enter();
  arena_give(checked(block));
  leave();
}


ARENA_INSIDE void libc_arena_stat(libc_arena_stat_t* stat) {
  enter();
  if (!arena.ready)
    arena_begin();
  uint32_t largest = 1;
  for (uint32_t list = 0; list < LISTS_MAX; list++)
    for (uint32_t o = arena.lists[list]; o != NOWHERE; o = links(at(o))->next)
      if (at(o)->units > largest)
        largest = at(o)->units;
  *stat = (libc_arena_stat_t){
      .used = arena.used * UNIT,
      .peak = arena.peak * UNIT,
      .blocks = arena.blocks,
      .largest = (size_t) (largest - 1) * UNIT,
      .refused = arena.refused,
  };
  leave();
}


void libc_arena_wipe(void) {
  UNPOISON(arena.bytes, sizeof(arena.bytes));
  ct_wipe(arena.bytes, sizeof(arena.bytes));
  arena_begin();
  arena.used = 0;
  arena.peak = 0;
  arena.blocks = 0;
  arena.refused = 0;
  leave();
}

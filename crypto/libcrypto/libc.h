/*
 * crypto/libcrypto/libc.h - the C library that third-party objects get.
 *
 * libtpms was compiled against a hosted C library, and runs here inside a job
 * that is preempted and goes on in another thread. So it gets nothing of the
 * host's: no errno, no stdio, no thread-local data, no heap of the process.
 * The link step (crypto/libtpms.py) renames each of its C library imports to
 * the libc_ name declared here, and refuses those that it does not know.
 * crypto/libcrypto/ itself allocates with the same functions, since its
 * objects live and die with libtpms's.
 *
 * What stays with the compiler's runtime, because a compiler may call it
 * anyway: memcpy, memmove, memset, memcmp and strlen.
 *
 * All of this belongs to whoever runs libtpms: one caller at a time, which the
 * arena asserts. A preempted job that is in the middle of it stays the caller.
 *
 * Not here: the TPM's platform, which is clock, entropy, cancelling and the
 * way out of a failed command (handlers/tpm_platform.c).
 */
#ifndef EVSM_CRYPTO_LIBCRYPTO_LIBC_H
#define EVSM_CRYPTO_LIBCRYPTO_LIBC_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The arena's size in bytes. libtpms was seen to have 288 KB live at its peak,
 * most of it one block of 277 KB, which each change of NV asks for anew; the
 * caller's copies of a full NV add 3 x 147 KB, and a volatile blob 177 KB. A
 * failed allocation inside libtpms is its failure mode, so there is room for
 * several times the sum, and for what a fragmented arena wastes.
 */
#define LIBC_ARENA_SIZE (4u * 1024 * 1024)

/* What malloc(3) aligns to, and libtpms's objects expect (movaps). */
#define LIBC_ALIGNMENT 16u

/*
 * Allocate `size` bytes, aligned to LIBC_ALIGNMENT.
 *
 * Context:  [job], [loop]: one caller at a time, see above.
 * Memory:   the caller's until libc_free or libc_realloc. Not zeroed by
 *           promise. A size of 0 gives a block that may be freed.
 * Returns:  the block, or NULL when the arena has no hole that is big enough;
 *           nothing has changed then.
 */
void* libc_malloc(size_t size);

/*
 * Change a block's size, moving it when it must; NULL allocates anew.
 *
 * Context:  as libc_malloc.
 * Memory:   the old block is gone after success (wiped when it moved), and
 *           untouched after failure. A size of 0 keeps a block.
 * Returns:  the block, or NULL when there is no room.
 */
void* libc_realloc(void* block, size_t size);

/*
 * Give a block back. It is wiped: libtpms frees private keys without doing so.
 *
 * Context:  as libc_malloc. A pointer that the arena did not give out, or has
 *           taken back already, stops the machine.
 */
void libc_free(void* block);

/* How full the arena is, in bytes that include each block's own header. */
typedef struct {
  size_t used;    /* bytes in blocks now */
  size_t peak;    /* the most that `used` has been */
  size_t blocks;  /* blocks now */
  size_t largest; /* bytes of the largest hole: what malloc could still give */
  size_t refused; /* calls that got NULL */
} libc_arena_stat_t;

/*
 * Context:  as libc_malloc.
 * Cost:     O(holes), for `largest`.
 */
void libc_arena_stat(libc_arena_stat_t* stat);

/*
 * Forget all blocks and wipe the whole arena.
 *
 * Context:  as libc_malloc, with nothing of libtpms in use: after
 *           tpm_terminate, or on the way to a stopped machine.
 */
void libc_arena_wipe(void);

/* What libtpms calls besides. Each does what its C namesake does, less what is
 * said at it in libc.c; those that would reach a file or a log do nothing. */
char* libc_strdup(const char* s);
int libc_strcmp(const char* a, const char* b);
char* libc_strstr(const char* haystack, const char* needle);

/*
 * Format into `dst`: %s %c %d %i %u %x %X %p %%, the lengths hh h l ll z, the
 * flags 0 and -, width and precision. Anything else is printed as it stands.
 *
 * Context:  [any], [job].
 * Returns:  the size without the final zero that the whole text has, which is
 *           what was written when it is below `size`.
 */
int libc_vsnprintf(char* dst, size_t size, const char* format, va_list args);

#endif /* EVSM_CRYPTO_LIBCRYPTO_LIBC_H */

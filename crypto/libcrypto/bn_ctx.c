/*
 * crypto/libcrypto/bn_ctx.c - OpenSSL's BN_CTX_*: numbers lent for a while.
 *
 * A frame is opened by BN_CTX_start; BN_CTX_end takes back all that were lent
 * in it. They are kept for the next frame, and freed with the context.
 */
#include "crypto/libcrypto/asym.h"

#include "crypto/libcrypto/libc.h"
#include "runtime/base.h"

/* libtpms has at most 2 frames and 8 numbers at a time. */
#define FRAMES_MAX 16u
#define NUMBERS_MAX 48u

struct bignum_ctx {
  size_t count; /* of numbers made */
  size_t lent;  /* of these, lent now */
  size_t depth; /* frames open; those above FRAMES_MAX lend nothing */
  size_t frames[FRAMES_MAX]; /* what `lent` was when each began */
  BIGNUM* numbers[NUMBERS_MAX];
};

BN_CTX* BN_CTX_new(void) {
  BN_CTX* ctx = libc_malloc(sizeof(*ctx));

  if (ctx != NULL) {
    ctx->count = 0;
    ctx->lent = 0;
    ctx->depth = 0;
  }
  return ctx;
}


void BN_CTX_free(BN_CTX* ctx) {
  if (ctx == NULL)
    return;
  for (size_t i = 0; i < ctx->count; i++)
    BN_free(ctx->numbers[i]);
  libc_free(ctx);
}


void BN_CTX_start(BN_CTX* ctx) {
  if (ctx->depth < FRAMES_MAX)
    ctx->frames[ctx->depth] = ctx->lent;
  ctx->depth++;
}


/* Returns a number that is 0, or NULL. */
BIGNUM* BN_CTX_get(BN_CTX* ctx) {
  if (ctx->depth == 0 || ctx->depth > FRAMES_MAX)
    return NULL;
  if (ctx->lent == NUMBERS_MAX)
    return NULL;
  if (ctx->lent == ctx->count) {
    BIGNUM* made = BN_new();

    if (made == NULL)
      return NULL;
    ctx->numbers[ctx->count++] = made;
  }

  BIGNUM* a = ctx->numbers[ctx->lent++];
  a->size = 0;
  a->negative = 0;
  a->flags = 0;
  return a;
}


void BN_CTX_end(BN_CTX* ctx) {
  if (ctx == NULL || ctx->depth == 0)
    return;
  ctx->depth--;
  if (ctx->depth < FRAMES_MAX)
    ctx->lent = ctx->frames[ctx->depth];
}

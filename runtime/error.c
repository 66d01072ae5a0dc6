/*
 * runtime/error.c - names and messages of errors, and the version.
 *
 * Tables come from UV_ERRNO_MAP in uv.h. A code that it does not know becomes
 * "Unknown system error N", as in libuv; libuv allocates that text and never
 * frees it, here it stands in one of a few buffers that are used in turn.
 */
#include "runtime/internal.h"

#define UV__TEXT_SIZE 40u /* bytes: the words, a sign, ten digits */
#define UV__TEXTS_MAX 16u

static const char uv__unknown[] = "Unknown system error ";

/* NULL if `err` is not in the table. */
static const char* uv__name(int err) {
  switch (err) {
#define XX(name, message) \
  case UV_##name:         \
    return #name;
    UV_ERRNO_MAP(XX)
#undef XX
    default:
      return NULL;
  }
}


static const char* uv__message(int err) {
  switch (err) {
#define XX(name, message) \
  case UV_##name:         \
    return message;
    UV_ERRNO_MAP(XX)
#undef XX
    default:
      return NULL;
  }
}


/* `from`, cut to fit `buf` with its NUL. */
static char* uv__text_copy(char* buf, size_t size, const char* from) {
  if (size == 0)
    return buf;

  size_t length = strlen(from);
  if (length > size - 1)
    length = size - 1;
  memcpy(buf, from, length);
  buf[length] = '\0';
  return buf;
}


static char* uv__text_unknown(char* buf, size_t size, int err) {
  char text[UV__TEXT_SIZE];
  char* end = text + sizeof(text);
  unsigned value = err < 0 ? 0u - (unsigned) err : (unsigned) err;

  *--end = '\0';
  do {
    *--end = (char) ('0' + value % 10);
    value /= 10;
  } while (value != 0);
  if (err < 0)
    *--end = '-';
  end -= sizeof(uv__unknown) - 1;
  memcpy(end, uv__unknown, sizeof(uv__unknown) - 1);
  return uv__text_copy(buf, size, end);
}


static const char* uv__text_static(int err) {
  static char texts[UV__TEXTS_MAX][UV__TEXT_SIZE];
  static _Atomic uint32_t turn;

  /* Relaxed: each caller wants a number of its own, and nothing else. */
  uint32_t index = atomic_fetch_add_explicit(&turn, 1, memory_order_relaxed);
  return uv__text_unknown(texts[index % UV__TEXTS_MAX], UV__TEXT_SIZE, err);
}


const char* uv_err_name(int err) {
  const char* name = uv__name(err);

  return name != NULL ? name : uv__text_static(err);
}


const char* uv_strerror(int err) {
  const char* message = uv__message(err);

  return message != NULL ? message : uv__text_static(err);
}


char* uv_err_name_r(int err, char* buf, size_t buflen) {
  const char* name = uv__name(err);

  return name != NULL ? uv__text_copy(buf, buflen, name)
                      : uv__text_unknown(buf, buflen, err);
}


char* uv_strerror_r(int err, char* buf, size_t buflen) {
  const char* message = uv__message(err);

  return message != NULL ? uv__text_copy(buf, buflen, message)
                         : uv__text_unknown(buf, buflen, err);
}


/* ---- Version ---- */

#define UV__STRING(x) #x
#define UV__STRING_OF(x) UV__STRING(x)

unsigned int uv_version(void) {
  return UV_VERSION_HEX;
}


const char* uv_version_string(void) {
  return UV__STRING_OF(UV_VERSION_MAJOR) "." UV__STRING_OF(
      UV_VERSION_MINOR) "." UV__STRING_OF(UV_VERSION_PATCH);
}

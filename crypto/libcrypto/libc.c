/*
 * crypto/libcrypto/libc.c - what libtpms finds where it expects a C library.
 *
 * The link step renames libtpms's imports to the names below. Three kinds:
 * what is really used (strings, formatting for TPMLIB_GetInfo), what libtpms
 * would log with (dropped: its messages may hold commands and thus passwords),
 * and files, which are never reached while NV callbacks are registered, and
 * answer that there are none if they ever are.
 *
 * The promise: nothing here touches the host, errno or a thread's own data,
 * so a job may be preempted in it and go on in another thread.
 *
 * libtpms was built with _FORTIFY_SOURCE, so some names carry a further
 * argument: the size of the destination, which is checked, and a flag, which
 * has no meaning here.
 *
 * Not here: the heap (arena.c), the memory functions that keep their C names.
 */
#include "crypto/libcrypto/libc.h"
#include "crypto/libcrypto/libc_names.h"
#include "runtime/base.h"

#define FORMAT_DIGITS_MAX 24u /* 64 bits in octal are 22, and then some */

const void* const libc_stderr = NULL;


char* libc_strdup(const char* s) {
  size_t size = strlen(s) + 1;
  char* copy = libc_malloc(size);

  if (copy != NULL)
    memcpy(copy, s, size);
  return copy;
}


int libc_strcmp(const char* a, const char* b) {
  while (*a != '\0' && *a == *b) {
    a++;
    b++;
  }
  return (int) (unsigned char) *a - (int) (unsigned char) *b;
}


char* libc_strstr(const char* haystack, const char* needle) {
  size_t size = strlen(needle);

  for (size_t left = strlen(haystack); left >= size; left--, haystack++)
    if (memcmp(haystack, needle, size) == 0)
      return (char*) (uintptr_t) haystack; /* cast: strstr's own signature */
  return NULL;
}


/* ---- Formatting ---- */

typedef struct {
  char* dst;
  size_t size;  /* bytes that dst has */
  size_t count; /* bytes that the text has, so far */
} sink_t;

typedef struct {
  bool left;
  bool zero;
  unsigned width;
  unsigned precision; /* UINT32_MAX: none given */
  unsigned bytes;     /* size of the number */
  char what;
} spec_t;


static void put(sink_t* sink, char c) {
  if (sink->count + 1 < sink->size)
    sink->dst[sink->count] = c;
  sink->count++;
}


static void put_padded(sink_t* sink,
                       const spec_t* spec,
                       const char* text,
                       size_t size) {
  size_t pad = spec->width > size ? spec->width - size : 0;

  for (size_t i = 0; !spec->left && i < pad; i++)
    put(sink, spec->zero ? '0' : ' ');
  for (size_t i = 0; i < size; i++)
    put(sink, text[i]);
  for (size_t i = 0; spec->left && i < pad; i++)
    put(sink, ' ');
}


static unsigned number_of(const char** format, va_list* args) {
  unsigned n = 0;

  if (**format == '*') {
    (*format)++;
    int given = va_arg(*args, int);
    return given < 0 ? 0 : (unsigned) given;
  }
  while (**format >= '0' && **format <= '9' && n < 1000)
    n = n * 10 + (unsigned) (*(*format)++ - '0');
  return n;
}


static unsigned number_bytes(const char** format) {
  unsigned bytes = sizeof(int);

  while (**format == 'h' || **format == 'l' || **format == 'z') {
    if (**format == 'h')
      bytes = bytes == sizeof(short) ? 1 : sizeof(short);
    else
      bytes = sizeof(long);
    (*format)++;
  }
  return bytes;
}


static spec_t spec_of(const char** format, va_list* args) {
  spec_t spec = {.precision = UINT32_MAX};

  for (; **format == '-' || **format == '0'; (*format)++) {
    spec.left = spec.left || **format == '-';
    spec.zero = spec.zero || **format == '0';
  }
  spec.width = number_of(format, args);
  if (**format == '.') {
    (*format)++;
    spec.precision = number_of(format, args);
  }
  spec.bytes = number_bytes(format);
  spec.what = **format;
  if (spec.what != '\0')
    (*format)++;
  return spec;
}


static uint64_t number_arg(const spec_t* spec, bool is_signed, va_list* args) {
  if (spec->bytes == sizeof(long))
    return va_arg(*args, unsigned long);

  unsigned n = va_arg(*args, unsigned);
  if (spec->bytes == 1)
    return is_signed ? (uint64_t) (signed char) n : (unsigned char) n;
  if (spec->bytes == sizeof(short))
    return is_signed ? (uint64_t) (short) n : (unsigned short) n;
  return is_signed ? (uint64_t) (int) n : n;
}


static void put_number(sink_t* sink, spec_t* spec, va_list* args) {
  bool is_signed = spec->what == 'd' || spec->what == 'i';
  unsigned base = is_signed || spec->what == 'u' ? 10 : 16;
  const char* digits =
      spec->what == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
  char text[FORMAT_DIGITS_MAX];
  size_t at = sizeof(text);

  if (spec->what == 'p')
    spec->bytes = sizeof(void*);
  uint64_t n = number_arg(spec, is_signed, args);
  bool minus = is_signed && (n >> 63) != 0;
  if (minus)
    n = 0 - n;
  do {
    text[--at] = digits[n % base];
    n /= base;
  } while (n != 0);
  while (spec->precision != UINT32_MAX && sizeof(text) - at < spec->precision &&
         at > 2)
    text[--at] = '0';
  if (minus)
    text[--at] = '-';
  spec->zero = spec->zero && !spec->left && !minus;
  put_padded(sink, spec, text + at, sizeof(text) - at);
}


static void put_string(sink_t* sink, spec_t* spec, const char* s) {
  size_t size = 0;

  if (s == NULL)
    s = "(null)";
  while (size < spec->precision && s[size] != '\0')
    size++;
  spec->zero = false;
  put_padded(sink, spec, s, size);
}


static void put_spec(sink_t* sink, spec_t* spec, va_list* args) {
  char c;

  switch (spec->what) {
    case 's':
      put_string(sink, spec, va_arg(*args, const char*));
      break;
    case 'c':
      c = (char) va_arg(*args, int);
      put_padded(sink, spec, &c, 1);
      break;
    case 'd':
    case 'i':
    case 'u':
    case 'x':
    case 'X':
    case 'p':
      put_number(sink, spec, args);
      break;
    case '\0':
      put(sink, '%');
      break;
    default:
      if (spec->what != '%')
        put(sink, '%');
      put(sink, spec->what);
  }
}


int libc_vsnprintf(char* dst, size_t size, const char* format, va_list args) {
  sink_t sink = {.dst = dst, .size = size};
  va_list own; /* a va_list of our own, since its address is passed on */

  va_copy(own, args);
  while (*format != '\0') {
    if (*format != '%') {
      put(&sink, *format++);
      continue;
    }
    format++;
    spec_t spec = spec_of(&format, &own);
    put_spec(&sink, &spec, &own);
  }
  va_end(own);
  if (size > 0)
    dst[sink.count < size ? sink.count : size - 1] = '\0';
  return sink.count > INT32_MAX ? -1 : (int) sink.count;
}


int libc_vsnprintf_chk(char* dst,
                       size_t size,
                       int flag,
                       size_t room,
                       const char* format,
                       va_list args) {
  (void) flag;
  ASSERT(room >= size);
  return libc_vsnprintf(dst, size, format, args);
}


/* Seven parameters with the dots: the signature is the C library's. */
int libc_snprintf_chk(
    char* dst, size_t size, int flag, size_t room, const char* format, ...) {
  va_list args;

  va_start(args, format);
  int count = libc_vsnprintf_chk(dst, size, flag, room, format, args);
  va_end(args);
  return count;
}


int libc_asprintf_chk(char** text, int flag, const char* format, ...) {
  va_list args;

  (void) flag;
  *text = NULL;
  va_start(args, format);
  int count = libc_vsnprintf(NULL, 0, format, args);
  va_end(args);
  if (count < 0)
    return -1;

  char* dst = libc_malloc((size_t) count + 1);
  if (dst == NULL)
    return -1;
  va_start(args, format);
  (void) libc_vsnprintf(dst, (size_t) count + 1, format, args);
  va_end(args);
  *text = dst;
  return count;
}


/* ---- The log: dropped, see above ---- */

int libc_dprintf_chk(int fd, int flag, const char* format, ...) {
  (void) fd;
  (void) flag;
  (void) format;
  return 0;
}


int libc_vdprintf_chk(int fd, int flag, const char* format, va_list args) {
  (void) fd;
  (void) flag;
  (void) format;
  (void) args;
  return 0;
}


/* ---- Checked memory functions, and what ends everything ---- */

void* libc_memcpy_chk(void* dst, const void* src, size_t size, size_t room) {
  ASSERT(size <= room);
  return memcpy(dst, src, size);
}


void* libc_memset_chk(void* dst, int byte, size_t size, size_t room) {
  ASSERT(size <= room);
  return memset(dst, byte, size);
}


/* libtpms's own mistake, which we can't mend: its state is not to be trusted
 * any more. (What it can answer for itself it does by its failure mode.) */
_Noreturn void libc_assert_fail(const char* what,
                                const char* file,
                                unsigned line,
                                const char* function) {
  (void) function;
  base_panic(file, (int) line, what);
}


_Noreturn void libc_stack_chk_fail(void) {
  base_panic(__FILE__, __LINE__, "stack overwritten in libtpms");
}


/* ---- Files and the environment: there are none ---- */

void* libc_fopen(const char* name, const char* mode) {
  (void) name;
  (void) mode;
  return NULL;
}


int libc_fclose(void* file) {
  (void) file;
  return -1;
}


int libc_fflush(void* file) {
  (void) file;
  return -1;
}


size_t libc_fread(void* dst, size_t size, size_t count, void* file) {
  (void) dst;
  (void) size;
  (void) count;
  (void) file;
  return 0;
}


size_t libc_fwrite(const void* src, size_t size, size_t count, void* file) {
  (void) src;
  (void) size;
  (void) count;
  (void) file;
  return 0;
}


int libc_fseek(void* file, long offset, int whence) {
  (void) file;
  (void) offset;
  (void) whence;
  return -1;
}


long libc_ftell(void* file) {
  (void) file;
  return -1;
}


int libc_remove(const char* name) {
  (void) name;
  return -1;
}


char* libc_getenv(const char* name) {
  (void) name;
  return NULL;
}


char* libc_strerror(int number) {
  static char text[] = "no files here"; /* never written to */

  (void) number;
  return text;
}


/* Only ever read by libtpms, right after one of the above has failed. */
int* libc_errno_location(void) {
  static int number;

  return &number;
}


/* The classes of no character: libtpms asks when it decodes base64 blobs,
 * which crypto/libcrypto/bio.c refuses anyway. Indices are -128 to 255. */
const unsigned short** libc_ctype_b_loc(void) {
  static const unsigned short none[384];
  static const unsigned short* table = none + 128;

  return &table;
}

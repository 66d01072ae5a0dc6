/*
 * crypto/libcrypto/libc_names.h - what only libtpms calls of libc.c.
 *
 * Declared so that the compiler sees each name twice; nobody in the house
 * calls them. Each stands for the C library's function of the same name, with
 * two leading underscores where it ends in _chk, and __assert_fail,
 * __stack_chk_fail, __errno_location, __ctype_b_loc and stderr. The list of
 * names is crypto/libtpms.py's.
 *
 * Context:  [job], [loop]: whoever runs libtpms, one at a time (libc.h).
 */
#ifndef EVSM_CRYPTO_LIBCRYPTO_LIBC_NAMES_H
#define EVSM_CRYPTO_LIBCRYPTO_LIBC_NAMES_H

#include <stdarg.h>
#include <stddef.h>

extern const void* const libc_stderr;

int libc_vsnprintf_chk(char* dst,
                       size_t size,
                       int flag,
                       size_t room,
                       const char* format,
                       va_list args);
int libc_snprintf_chk(
    char* dst, size_t size, int flag, size_t room, const char* format, ...);
int libc_asprintf_chk(char** text, int flag, const char* format, ...);
int libc_dprintf_chk(int fd, int flag, const char* format, ...);
int libc_vdprintf_chk(int fd, int flag, const char* format, va_list args);
void* libc_memcpy_chk(void* dst, const void* src, size_t size, size_t room);
void* libc_memset_chk(void* dst, int byte, size_t size, size_t room);
_Noreturn void libc_assert_fail(const char* what,
                                const char* file,
                                unsigned line,
                                const char* function);
_Noreturn void libc_stack_chk_fail(void);
void* libc_fopen(const char* name, const char* mode);
int libc_fclose(void* file);
int libc_fflush(void* file);
size_t libc_fread(void* dst, size_t size, size_t count, void* file);
size_t libc_fwrite(const void* src, size_t size, size_t count, void* file);
int libc_fseek(void* file, long offset, int whence);
long libc_ftell(void* file);
int libc_remove(const char* name);
char* libc_getenv(const char* name);
char* libc_strerror(int number);
int* libc_errno_location(void);
const unsigned short** libc_ctype_b_loc(void);

#endif /* EVSM_CRYPTO_LIBCRYPTO_LIBC_NAMES_H */

/*
 * crypto/headers/sys/types.h - what libtpms's headers want of <sys/types.h>.
 *
 * Why it is here: crypto/headers/string.h.
 * tidy: allow unbuilt: only libtpms's headers include it.
 */
#ifndef EVSM_CRYPTO_HEADERS_SYS_TYPES_H
#define EVSM_CRYPTO_HEADERS_SYS_TYPES_H

#include <stddef.h>
#include <stdint.h>

#endif /* EVSM_CRYPTO_HEADERS_SYS_TYPES_H */

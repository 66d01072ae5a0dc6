/*
 * crypto/headers/string.h - the part of <string.h> that BearSSL's inlines use.
 *
 * BearSSL's and libtpms's own headers name a few hosted headers. Where there is
 * no C library (the freestanding and metal variants) these stand in for them,
 * and hold nothing but what those headers need. Our files never include them:
 * they use runtime/base.h (tests/tidy.py).
 * tidy: allow unbuilt: only BearSSL's headers include it.
 */
#ifndef EVSM_CRYPTO_HEADERS_STRING_H
#define EVSM_CRYPTO_HEADERS_STRING_H

#include "runtime/base.h"

#endif /* EVSM_CRYPTO_HEADERS_STRING_H */

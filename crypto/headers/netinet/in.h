/*
 * crypto/headers/netinet/in.h - nothing: libtpms's headers name it only.
 *
 * Why it is here: crypto/headers/string.h.
 * tidy: allow unbuilt: only libtpms's headers include it.
 */
#ifndef EVSM_CRYPTO_HEADERS_NETINET_IN_H
#define EVSM_CRYPTO_HEADERS_NETINET_IN_H

#endif /* EVSM_CRYPTO_HEADERS_NETINET_IN_H */

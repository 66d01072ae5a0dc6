/*
 * crypto/headers/netinet/in.h - nothing: libtpms's headers name it only.
 *
 * Why it is here: crypto/headers/string.h.
 */
#ifndef EVSM_CRYPTO_HEADERS_NETINET_IN_H
#define EVSM_CRYPTO_HEADERS_NETINET_IN_H

#endif /* EVSM_CRYPTO_HEADERS_NETINET_IN_H */

/*
 * crypto/libcrypto/bio.c - OpenSSL's streams, which are not there.
 *
 * The BIO functions are imported by TPMLIB_DecodeBlob, which reads base64
 * blobs that nobody gives us. BIO_new answers that there is no memory, and
 * TPMLIB_DecodeBlob then says that the blob is bad.
 *
 * RAND_bytes isn't here, nor anywhere: libtpms would fall back to rand() and
 * the clock if it failed, so its Entropy member is replaced as a whole
 * (handlers/tpm_platform.c) and draws from crypto/drbg.h, which stops the
 * machine instead.
 */
#include "crypto/libcrypto/openssl_sym.h"
#include "runtime/base.h"

const BIO_METHOD* BIO_f_base64(void) {
  return NULL;
}


BIO* BIO_new(const BIO_METHOD* type) {
  (void) type;
  return NULL;
}


BIO* BIO_new_mem_buf(const void* buf, int len) {
  (void) buf;
  (void) len;
  return NULL;
}


BIO* BIO_push(BIO* b, BIO* append) {
  (void) b;
  (void) append;
  return NULL;
}


int BIO_read(BIO* b, void* data, int dlen) {
  (void) b;
  (void) data;
  (void) dlen;
  return -1;
}


void BIO_set_flags(BIO* b, int flags) {
  (void) b;
  (void) flags;
}


int BIO_free(BIO* a) {
  (void) a;
  return 0;
}


void BIO_free_all(BIO* a) {
  (void) a;
}

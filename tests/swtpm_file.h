/*
 * tests/swtpm_file.h - the header of swtpm's state files.
 *
 *   02 01 000a 0000 <size of the file, u32>   swtpm's own
 *   0001 <size of the blob, u32>              the only field: libtpms's blob
 *   <blob>
 *
 * All big-endian. The blob is the one that our TPM loads and stores; files that
 * swtpm has encrypted are not understood here.
 */
#ifndef EVSM_TESTS_SWTPM_FILE_H
#define EVSM_TESTS_SWTPM_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SWTPM_FILE_HEADER_SIZE 16u


/* The header for a blob of `size` bytes. */
static inline void swtpm_file_header(uint8_t header[SWTPM_FILE_HEADER_SIZE],
                                     uint32_t size) {
  const uint8_t start[6] = {2, 1, 0, 10, 0, 0};
  uint32_t whole = size + SWTPM_FILE_HEADER_SIZE;

  memcpy(header, start, sizeof(start));
  for (int i = 0; i < 4; i++) {
    header[6 + i] = (uint8_t) (whole >> (24 - 8 * i));
    header[12 + i] = (uint8_t) (size >> (24 - 8 * i));
  }
  header[10] = 0;
  header[11] = 1;
}


/* The blob in a file, and its size; NULL when it is no such file. */
static inline const uint8_t* swtpm_file_blob(const uint8_t* file,
                                             size_t file_size,
                                             uint32_t* size) {
  uint8_t expected[SWTPM_FILE_HEADER_SIZE];

  if (file_size < SWTPM_FILE_HEADER_SIZE || file_size > UINT32_MAX)
    return NULL;
  *size = (uint32_t) file_size - SWTPM_FILE_HEADER_SIZE;
  swtpm_file_header(expected, *size);
  if (memcmp(file, expected, sizeof(expected)) != 0)
    return NULL;
  return file + SWTPM_FILE_HEADER_SIZE;
}

#endif /* EVSM_TESTS_SWTPM_FILE_H */

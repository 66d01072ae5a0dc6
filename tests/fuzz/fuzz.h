/*
 * tests/fuzz/fuzz.h - what a fuzzer needs that links no machine.
 *
 * Included once a program, since it defines: a failed ASSERT says where, and
 * aborts, so that libFuzzer keeps the input. There are no jobs.
 */
#ifndef EVSM_TESTS_FUZZ_FUZZ_H
#define EVSM_TESTS_FUZZ_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/base.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

_Noreturn void base_panic(const char* file, int line, const char* what) {
  fprintf(stderr, "%s:%d: %s\n", file, line, what);
  abort();
}


void uvx_job_checkpoint(void) {
}

#endif /* EVSM_TESTS_FUZZ_FUZZ_H */

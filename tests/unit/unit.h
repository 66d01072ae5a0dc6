/*
 * tests/unit/unit.h - cmocka and the standard headers that it wants first.
 *
 * Each test file is a program of its own: it may include the .c under test,
 * statics and all, and ends with a main() that hands its table of tests to
 * cmocka_run_group_tests().
 */
#ifndef EVSM_TESTS_UNIT_UNIT_H
#define EVSM_TESTS_UNIT_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base.h"

#endif /* EVSM_TESTS_UNIT_UNIT_H */

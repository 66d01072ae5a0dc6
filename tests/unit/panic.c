/*
 * tests/unit/panic.c - base.h's two functions, for a unit that stands alone.
 *
 * For tests that link no machine (`links=["panic"]`). A failed ASSERT becomes
 * a failed test, or what expect_assert_failure() waits for. Nothing here gives
 * way, since there are no jobs.
 */
#include "tests/unit/unit.h"

_Noreturn void base_panic(const char* file, int line, const char* what) {
  mock_assert(0, what, file, line);
  abort(); /* mock_assert jumped out */
}


void uvx_job_checkpoint(void) {
}

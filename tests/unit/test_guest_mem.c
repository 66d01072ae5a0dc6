/*
 * tests/unit/test_guest_mem.c - what a guest may name.
 *
 * Goal:   each rule refuses the first address over its edge, and no other.
 * Method: a fake firmware range, VMSA and calling area, and a table of ranges
 *         around them.
 */
#include "tests/unit/unit.h"

#include "arch/arch.h"
#include "arch/platform.h"
#include "handlers/vcpu.h"

#include "handlers/guest_mem.c" /* the unit under test */

#define FIRMWARE 0x800000ull
#define FIRMWARE_SIZE 0x200000ull
#define VMSA 0x5000ull
#define CAA 0x9000ull
#define END 0x1000000ull /* of memory */

static uint32_t fake_copies;

uint32_t arch_cpu(void) {
  return 0;
}


bool vcpu_section_held(uint32_t cpu) {
  return cpu == 0;
}


static bool overlaps(uint64_t gpa, uint64_t size, uint64_t at, uint64_t len) {
  return gpa >= at ? gpa - at < len : at - gpa < size;
}


uint32_t vcpu_pages_in(uint64_t gpa, uint64_t size, const vcpu_t* except) {
  (void) except;
  return (overlaps(gpa, size, VMSA, 4096) ? VCPU_PAGE_VMSA : 0) |
         (overlaps(gpa, size, CAA, 4096) ? VCPU_PAGE_CAA : 0);
}


bool platform_is_firmware(uint64_t gpa, uint64_t size) {
  return overlaps(gpa, size, FIRMWARE, FIRMWARE_SIZE);
}


int platform_guest_read(void* dst, uint64_t gpa, size_t size) {
  (void) dst;
  fake_copies++;
  return gpa < END && size <= END - gpa ? 0 : UV_EFAULT;
}


int platform_guest_write(uint64_t gpa, const void* src, size_t size) {
  (void) src;
  return platform_guest_read(NULL, gpa, size);
}


static void each_rule_has_its_edge(void** state) {
  (void) state;
  static const struct {
    uint64_t gpa;
    uint64_t size;
    uint64_t align;
    uint32_t rules;
    svsm_result_t want;
  } cases[] = {
      {0, 1, 1, 0, SVSM_SUCCESS},
      {8, 8, 8, 0, SVSM_SUCCESS},
      {4, 8, 8, 0, SVSM_INVALID_PARAMETER},
      {FIRMWARE + 1, 8, 8, 0, SVSM_INVALID_PARAMETER}, /* alignment is first */
      {UINT64_MAX, 1, 1, 0, SVSM_SUCCESS},             /* a fault will tell */
      {UINT64_MAX, 2, 1, 0, SVSM_INVALID_ADDRESS},
      {UINT64_MAX - 7, 8, 8, 0, SVSM_SUCCESS},
      {UINT64_MAX - 7, 16, 8, 0, SVSM_INVALID_ADDRESS},
      {1, UINT64_MAX, 1, 0, SVSM_INVALID_ADDRESS}, /* has everything in it */
      {2, UINT64_MAX, 1, 0, SVSM_INVALID_ADDRESS},
      {0xFF8, 8, 8, GUEST_MEM_ONE_PAGE, SVSM_SUCCESS},
      {0xFF8, 9, 8, GUEST_MEM_ONE_PAGE, SVSM_INVALID_PARAMETER},
      {0xFF8, 9, 8, 0, SVSM_SUCCESS},
      {0, 4096, 1, GUEST_MEM_ONE_PAGE, SVSM_SUCCESS},
      {1, 4096, 1, GUEST_MEM_ONE_PAGE, SVSM_INVALID_PARAMETER},
      {FIRMWARE - 1, 1, 1, 0, SVSM_SUCCESS},
      {FIRMWARE - 1, 2, 1, 0, SVSM_INVALID_ADDRESS},
      {FIRMWARE + FIRMWARE_SIZE - 1, 1, 1, 0, SVSM_INVALID_ADDRESS},
      {FIRMWARE + FIRMWARE_SIZE, 1, 1, 0, SVSM_SUCCESS},
      {VMSA - 1, 1, 1, 0, SVSM_SUCCESS},
      {VMSA - 1, 2, 1, 0, SVSM_INVALID_ADDRESS},
      {VMSA + 4095, 1, 1, GUEST_MEM_CAA_OK, SVSM_INVALID_ADDRESS},
      {VMSA + 4096, 1, 1, 0, SVSM_SUCCESS},
      {CAA + 8, 8, 8, 0, SVSM_INVALID_ADDRESS},
      {CAA + 8, 8, 8, GUEST_MEM_CAA_OK, SVSM_SUCCESS},
      {CAA - 1, 2, 1, 0, SVSM_INVALID_ADDRESS},
      {CAA + 4096, 1, 1, 0, SVSM_SUCCESS},
  };

  for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
    svsm_result_t got = guest_mem_check(cases[i].gpa, cases[i].size,
                                        cases[i].align, cases[i].rules);
    if (got != cases[i].want)
      fail_msg("case %zu: %d, not %d", i, got, cases[i].want);
  }
}


static void what_is_refused_is_not_copied(void** state) {
  (void) state;
  uint8_t byte = 0;

  fake_copies = 0;
  assert_int_equal(SVSM_INVALID_ADDRESS, guest_mem_read(&byte, VMSA, 1, 0));
  assert_int_equal(SVSM_INVALID_ADDRESS, guest_mem_write(CAA, &byte, 1, 0));
  assert_int_equal(SVSM_INVALID_ADDRESS,
                   guest_mem_write(FIRMWARE, &byte, 1, GUEST_MEM_CAA_OK));
  assert_int_equal(0, fake_copies);
  assert_int_equal(SVSM_SUCCESS, guest_mem_read(&byte, END - 1, 1, 0));
  assert_int_equal(SVSM_INVALID_ADDRESS, guest_mem_read(&byte, END - 1, 2, 0));
  assert_int_equal(SVSM_INVALID_ADDRESS, guest_mem_write(END, &byte, 1, 0));
  assert_int_equal(3, fake_copies);
}


int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_rule_has_its_edge),
      cmocka_unit_test(what_is_refused_is_not_copied),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}

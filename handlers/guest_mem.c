/*
 * handlers/guest_mem.c - which guest addresses a handler may touch, and the
 * copies.
 *
 * The promise: nothing a guest names makes us read or write our own pages or
 * a VMSA, whatever other vCPUs do at the same time.
 */
#include "handlers/guest_mem.h"

#include "arch/arch.h"
#include "arch/platform.h"
#include "handlers/vcpu.h"

svsm_result_t guest_mem_check(uint64_t gpa,
                              uint64_t size,
                              uint64_t align,
                              uint32_t rules) {
  ASSERT(size > 0);
  ASSERT(align > 0);
  ASSERT((align & (align - 1)) == 0);
  ASSERT(vcpu_section_held(arch_cpu()));

  if ((gpa & (align - 1)) != 0)
    return SVSM_INVALID_PARAMETER;
  if (size - 1 > UINT64_MAX - gpa)
    return SVSM_INVALID_ADDRESS;
  if ((rules & GUEST_MEM_ONE_PAGE) != 0 &&
      gpa / PLATFORM_PAGE_SIZE != (gpa + size - 1) / PLATFORM_PAGE_SIZE)
    return SVSM_INVALID_PARAMETER;
  if (platform_is_firmware(gpa, size))
    return SVSM_INVALID_ADDRESS;

  uint32_t kinds = vcpu_pages_in(gpa, size, NULL);
  if ((rules & GUEST_MEM_CAA_OK) != 0)
    kinds &= ~VCPU_PAGE_CAA;
  return kinds == 0 ? SVSM_SUCCESS : SVSM_INVALID_ADDRESS;
}


svsm_result_t guest_mem_read(void* dst,
                             uint64_t gpa,
                             uint64_t size,
                             uint32_t rules) {
  svsm_result_t result = guest_mem_check(gpa, size, 1, rules);

  if (result == SVSM_SUCCESS && platform_guest_read(dst, gpa, size) != 0)
    result = SVSM_INVALID_ADDRESS;
  return result;
}


svsm_result_t guest_mem_write(uint64_t gpa,
                              const void* src,
                              uint64_t size,
                              uint32_t rules) {
  svsm_result_t result = guest_mem_check(gpa, size, 1, rules);

  if (result == SVSM_SUCCESS && platform_guest_write(gpa, src, size) != 0)
    result = SVSM_INVALID_ADDRESS;
  return result;
}

/*
 * handlers/guest_mem.h - the only way from a handler to guest memory.
 *
 * A guest may name any 64-bit value. What it may not name: what wraps around
 * or isn't memory, the firmware's own pages, the page of a VMSA, and (unless
 * the call's structure may lie there) a calling area. Each datum is copied
 * once into private memory and judged from the copy; a pointer into guest
 * memory does not exist above this file.
 *
 * All of it runs inside a vcpu_section (handlers/vcpu.h), so a page that was
 * no VMSA when it was checked is none when it is written.
 *
 * Not here: whether the page is there and validated; that is what a fault
 * tells (arch/platform.h).
 */
#ifndef EVSM_HANDLERS_GUEST_MEM_H
#define EVSM_HANDLERS_GUEST_MEM_H

#include "handlers/result.h"

/* Rules beside those that hold always. */
#define GUEST_MEM_CAA_OK 1u   /* may lie in a calling area: lists do */
#define GUEST_MEM_ONE_PAGE 2u /* must not cross a 4 KiB boundary */

/*
 * May the guest name [gpa, gpa + size) for this purpose? `align` is a power
 * of two.
 *
 * Context:  [loop], in a section of this CPU.
 * Returns:  SVSM_SUCCESS
 *           SVSM_INVALID_PARAMETER  misaligned, or crosses a page and mustn't
 *           SVSM_INVALID_ADDRESS    not the guest's to name
 */
svsm_result_t guest_mem_check(uint64_t gpa,
                              uint64_t size,
                              uint64_t align,
                              uint32_t rules);

/*
 * Copy `size` bytes, having checked them as above (any alignment).
 *
 * Context:  [loop], in a section of this CPU.
 * Returns:  SVSM_SUCCESS, or SVSM_INVALID_ADDRESS: `dst` is then unspecified,
 *           and the guest's memory holds any part of `src`.
 */
svsm_result_t guest_mem_read(void* dst,
                             uint64_t gpa,
                             uint64_t size,
                             uint32_t rules);
svsm_result_t guest_mem_write(uint64_t gpa,
                              const void* src,
                              uint64_t size,
                              uint32_t rules);

#endif /* EVSM_HANDLERS_GUEST_MEM_H */

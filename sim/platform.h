/*
 * sim/platform.h - the simulated platform's own switches: how much memory,
 * and what its host does to it. For sim/main.c, sim/guest.c and tests; the
 * firmware knows only arch/platform.h.
 *
 *   0 ......... 8 MiB | firmware, 2 MiB | ........... 3/4 | not validated | end
 */
#ifndef EVSM_SIM_PLATFORM_H
#define EVSM_SIM_PLATFORM_H

#include "arch/platform.h"

#define PLATFORM_MEMORY_SIZE_DEFAULT (64ull << 20) /* bytes */
#define PLATFORM_MEMORY_SIZE_MIN (16ull << 20)
#define PLATFORM_MEMORY_SIZE_MAX (16ull << 30)

#define PLATFORM_FIRMWARE_GPA (8ull << 20)
#define PLATFORM_FIRMWARE_SIZE (2ull << 20)

/*
 * Give the machine `size` bytes of guest memory, a multiple of 2 MiB. All of
 * it is assigned to the guest in 2 MiB pages, and validated up to
 * platform_validated_size() with all rights for the guest.
 *
 * Context:  [boot], and again for a new machine, when no CPU runs.
 * Returns:  0, UV_EINVAL for such a size, UV_ENOMEM.
 */
int platform_memory_init(uint64_t size);
void platform_memory_close(void);

uint64_t platform_memory_size(void);
uint64_t platform_validated_size(void);

/*
 * Where guest memory is in this process, NULL if [gpa, gpa + size) is not all
 * memory. For guests, and for the processor's own part in sim/guest.c.
 */
void* platform_memory(uint64_t gpa, uint64_t size);

/* ---- The processor: a VMSA in use ---- */

/* Begin to run from this VMSA: false if the page is none, or is in use. */
bool platform_vmsa_take(uint64_t vmsa_gpa);
void platform_vmsa_give(uint64_t vmsa_gpa);

/* Make a page a VMSA, as the launch does with the boot vCPU's. */
void platform_vmsa_launch(uint64_t vmsa_gpa);

/* ---- The host: what it does to pages. For tests. ---- */

/* It backs the 2 MiB around `gpa` with 4 KiB pages: SIZEMISMATCH for 2 MiB
 * operations. */
void platform_host_split(uint64_t gpa);

/* It takes the page away from the guest: to touch it is a fault. */
void platform_host_unassign(uint64_t gpa);

/* What the RMP says: is it validated; rights of `vmpl` (PLATFORM_RIGHT_). */
bool platform_is_validated(uint64_t gpa);
uint32_t platform_rights_of(uint64_t gpa, uint32_t vmpl);

#endif /* EVSM_SIM_PLATFORM_H */

/*
 * arch/platform.h - what a confidential platform offers its firmware.
 *
 *   sim/platform.c   guest memory and page states as tables in a process
 *   arch/snp/        PVALIDATE, RMPADJUST, VMGEXIT (its own issue)
 *
 * The guest and the host are hostile. Addresses that come in here may be any
 * 64-bit value; the functions check existence and page state themselves, in
 * the way that a fault would tell the firmware. Policy (may this guest name
 * this page?) is handlers/guest_mem.c's.
 *
 * A guest CPU is known by its VMSA, a page that the guest can no longer touch
 * once it is a VMSA; registers pass through it, at the offsets of AMD's APM
 * vol. 2, table B-4 (handlers/vmsa.h).
 */
#ifndef EVSM_ARCH_PLATFORM_H
#define EVSM_ARCH_PLATFORM_H

#include "runtime/base.h"

#define PLATFORM_PAGE_SIZE 4096u             /* bytes */
#define PLATFORM_PAGE_2M_SIZE (512u * 4096u) /* bytes */

/* ---- Entering the guest ---- */

/* Why the guest left. */
typedef enum {
  PLATFORM_EXIT_ABSENT,    /* no guest can run on this CPU now */
  PLATFORM_EXIT_VMGEXIT,   /* it asks: look at its calling area */
  PLATFORM_EXIT_HALT,      /* it waits for an interrupt */
  PLATFORM_EXIT_INTERRUPT, /* the host delivered one of ours */
} platform_exit_t;

/*
 * Run this CPU's guest from the VMSA at `vmsa_gpa` until it leaves. The host
 * decides whether it runs at all, and may come back for no reason.
 *
 * Context:  [loop], on a CPU.
 */
platform_exit_t platform_guest_enter(uint32_t cpu, uint64_t vmsa_gpa);

/*
 * Has this CPU's halted guest an interrupt to take, or has the host made an
 * absent one ready? Then it is time to enter it again; the platform kicks the
 * CPU (uvx_cpu_kick) whenever the answer becomes true. Context: [loop].
 */
bool platform_guest_wants_cpu(uint32_t cpu);

/*
 * The CPU that has this APIC id, or PLATFORM_CPU_NONE. Context: [any].
 */
#define PLATFORM_CPU_NONE UINT32_MAX
uint32_t platform_cpu_of_apic_id(uint32_t apic_id);

/* ---- Guest memory ---- */

/*
 * Copy from or to guest-physical memory, with the guest's pages as they are at
 * this moment; another vCPU may be writing. Never use twice for one datum.
 *
 * Context:  [loop], [job].
 * Returns:  0, or UV_EFAULT if any byte is not there or its page is not
 *           validated; then nothing is promised about the destination.
 */
int platform_guest_read(void* dst, uint64_t gpa, size_t size);
int platform_guest_write(uint64_t gpa, const void* src, size_t size);

/* Atomically store `value`, releasing what was written before. As above. */
int platform_guest_store_u8(uint64_t gpa, uint8_t value);

/* Would such a copy find all of [gpa, gpa + size) there just now? */
bool platform_guest_has(uint64_t gpa, uint64_t size);

/* Does any byte of [gpa, gpa + size) belong to the firmware? Any context. */
bool platform_is_firmware(uint64_t gpa, uint64_t size);

/* ---- Page states: the RMP ---- */

/* What PVALIDATE and RMPADJUST answer in EAX (APM vol. 3). */
#define PLATFORM_RMP_OK 0u
#define PLATFORM_RMP_FAIL_INPUT 1u
#define PLATFORM_RMP_FAIL_PERMISSION 2u
#define PLATFORM_RMP_FAIL_INUSE 3u
#define PLATFORM_RMP_FAIL_SIZEMISMATCH 6u

#define PLATFORM_RIGHT_READ 0x100u /* RMPADJUST RDX */
#define PLATFORM_RIGHT_WRITE 0x200u
#define PLATFORM_RIGHT_USER_EXECUTE 0x400u
#define PLATFORM_RIGHT_EXECUTE 0x800u
#define PLATFORM_RIGHT_ALL 0xF00u
#define PLATFORM_RIGHT_VMSA 0x10000u

/*
 * PVALIDATE one page of 4 KiB, or of 2 MiB if `is_2m`. *unchanged is the carry
 * flag: the page was in that state already.
 *
 * Context:  [loop].
 * Returns:  a PLATFORM_RMP_ code, or 0x10 and up for what is no page at all.
 */
uint32_t platform_pvalidate(uint64_t gpa,
                            bool is_2m,
                            bool validate,
                            bool* unchanged);

/*
 * RMPADJUST: `vmpl`'s rights to the page, and whether it is a VMSA. A VMSA in
 * which a guest CPU runs at this moment can't be changed: FAIL_INUSE.
 * Context and returns as above.
 */
uint32_t platform_rmpadjust(uint64_t gpa,
                            bool is_2m,
                            uint32_t vmpl,
                            uint32_t rights);

/*
 * Zero `size` bytes of a page that has just been validated. Context: [loop].
 * Returns 0 or UV_EFAULT.
 */
int platform_page_clear(uint64_t gpa, size_t size);

#endif /* EVSM_ARCH_PLATFORM_H */

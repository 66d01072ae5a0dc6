/*
 * handlers/vmsa.h - the fields of a VMSA that we read or write.
 *
 * A VMSA is the page in which the processor keeps a guest CPU's registers
 * while the guest does not run (AMD APM vol. 2, table B-4). What lies between
 * the fields is the guest's and stays as it is: we never write a VMSA whole.
 *
 * Trust: a page becomes a VMSA only after the guest lost all write access to
 * it, so a field that was checked then stays true; its registers are what the
 * guest chose, and are checked as anything a guest chose.
 */
#ifndef EVSM_HANDLERS_VMSA_H
#define EVSM_HANDLERS_VMSA_H

#include "runtime/base.h"

/* clang-format off */
typedef struct vmsa_wire_s {
  uint8_t segments[0xCA];
  uint8_t vmpl;            /* 0xCA: the privilege level it runs at */
  uint8_t cpl;
  uint8_t rsvd_cc[4];
  uint64_t efer;           /* 0xD0 */
  uint8_t between_d8[0x120];
  uint64_t rax;            /* 0x1F8 */
  uint8_t between_200[0x108];
  uint64_t rcx;            /* 0x308 */
  uint64_t rdx;            /* 0x310 */
  uint8_t between_318[0x28];
  uint64_t r8;             /* 0x340 */
  uint64_t r9;             /* 0x348 */
  uint8_t between_350[0x60];
  uint64_t sev_features;   /* 0x3B0 */
  uint64_t vintr_ctrl;     /* 0x3B8 */
  uint64_t guest_exit_code;/* 0x3C0 */
  uint8_t between_3c8[0xC38];
} vmsa_wire_t;
/* clang-format on */

_Static_assert(offsetof(vmsa_wire_t, vmpl) == 0xCA, "APM vol. 2, B-4");
_Static_assert(offsetof(vmsa_wire_t, efer) == 0xD0, "APM vol. 2, B-4");
_Static_assert(offsetof(vmsa_wire_t, rax) == 0x1F8, "APM vol. 2, B-4");
_Static_assert(offsetof(vmsa_wire_t, rcx) == 0x308, "APM vol. 2, B-4");
_Static_assert(offsetof(vmsa_wire_t, rdx) == 0x310, "APM vol. 2, B-4");
_Static_assert(offsetof(vmsa_wire_t, r8) == 0x340, "APM vol. 2, B-4");
_Static_assert(offsetof(vmsa_wire_t, r9) == 0x348, "APM vol. 2, B-4");
_Static_assert(offsetof(vmsa_wire_t, sev_features) == 0x3B0, "APM vol. 2");
_Static_assert(offsetof(vmsa_wire_t, vintr_ctrl) == 0x3B8, "APM vol. 2");
_Static_assert(offsetof(vmsa_wire_t, guest_exit_code) == 0x3C0, "APM vol. 2");
_Static_assert(sizeof(vmsa_wire_t) == 4096, "a VMSA is a page");

#define VMSA_EFER_SVME (1ull << 12) /* clear: VMRUN of this VMSA fails */

#define VMSA_EXIT_VMGEXIT 0x403u

/* Where a field is, given the page it is in. */
#define VMSA_GPA(vmsa_gpa, field) ((vmsa_gpa) + offsetof(vmsa_wire_t, field))

#endif /* EVSM_HANDLERS_VMSA_H */

/*
 * handlers/result.h - what a guest finds in RAX: the one border between our
 * errors and its result codes (abi.md 1.4, AMD 58019 table 4).
 *
 * Inside the house a failure is a negative UV_E*; here it becomes a code of
 * the guest's vocabulary, and nowhere else. An error this file does not know
 * becomes INVALID_REQUEST, never SUCCESS.
 */
#ifndef EVSM_HANDLERS_RESULT_H
#define EVSM_HANDLERS_RESULT_H

#include "runtime/base.h"

/* clang-format off */
/*    name                  on the wire  when */
#define SVSM_RESULT_MAP(XX)                                                   \
  XX(SUCCESS,               0x00000000u, "done")                              \
  XX(INCOMPLETE,            0x80000000u, "part done; call again to go on")    \
  XX(UNSUPPORTED_PROTOCOL,  0x80000001u, "no such protocol here")             \
  XX(UNSUPPORTED_CALL,      0x80000002u, "no such call in this protocol")     \
  XX(INVALID_ADDRESS,       0x80000003u, "not an address the guest may name") \
  XX(INVALID_FORMAT,        0x80000004u, "structure is malformed")            \
  XX(INVALID_PARAMETER,     0x80000005u, "a field is out of range")           \
  XX(INVALID_REQUEST,       0x80000006u, "not possible in the present state") \
  XX(BUSY,                  0x80000007u, "try again later")                   \
  /* PVALIDATE's own, and DELETE_VCPU's: 0x80001000 and what RMP answered */  \
  XX(RMP_FAIL_INPUT,        0x80001001u, "the page can't be in that state")   \
  XX(RMP_FAIL_PERMISSION,   0x80001002u, "the page's rights don't allow it")  \
  XX(RMP_FAIL_INUSE,        0x80001003u, "the vCPU of that VMSA is running")  \
  XX(RMP_FAIL_SIZEMISMATCH, 0x80001006u, "2 MiB asked, but 4 KiB pages there")\
  XX(RMP_UNCHANGED,         0x80001010u, "the page was in that state already")\
  XX(RMP_UNKNOWN,           0x80001011u, "PVALIDATE answered what no one knows")
/* clang-format on */

/* An ordinal, not the wire value: those do not fit an int, and C11 enums do. */
typedef enum {
#define XX(name, wire, when) SVSM_##name,
  SVSM_RESULT_MAP(XX)
#undef XX
      SVSM_RESULT_COUNT
} svsm_result_t;

/* Context: [any]. An error it does not know becomes SVSM_INVALID_REQUEST,
 * never success. */
svsm_result_t svsm_result_from_uv(int err);

/* Context: [any]. The value for the guest's RAX. */
uint64_t svsm_result_wire(svsm_result_t result);

/*
 * The value for RAX after PVALIDATE or RMPADJUST answered `rmp` (a
 * PLATFORM_RMP_ code): 0x80001000 + rmp up to 15, else 0x80001011; SUCCESS
 * for PLATFORM_RMP_OK.
 *
 * Context: [any].
 */
uint64_t svsm_result_rmp(uint32_t rmp);

/* For people: "INVALID_ADDRESS", or "unknown". Context: [any]. */
const char* svsm_result_name(uint64_t wire);

#endif /* EVSM_HANDLERS_RESULT_H */

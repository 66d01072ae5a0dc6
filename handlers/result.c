/*
 * handlers/result.c - UV_E* on our side, result codes on the guest's.
 *
 * Only tables. The promise: no failure of ours ever reads as success.
 */
#include "handlers/result.h"

#include "runtime/uv.h"

#define RMP_RESULT_BASE 0x80001000u
#define RMP_RESULT_CODE_MAX 0xFu

uint64_t svsm_result_wire(svsm_result_t result) {
  static const uint32_t wires[] = {
#define XX(name, wire, when) wire,
      SVSM_RESULT_MAP(XX)
#undef XX
  };

  ASSERT((size_t) result < ARRAY_SIZE(wires));
  return wires[result];
}


svsm_result_t svsm_result_from_uv(int err) {
  switch (err) {
    case 0:
      return SVSM_SUCCESS;
    case UV_EFAULT:
      return SVSM_INVALID_ADDRESS;
    case UV_EINVAL:
      return SVSM_INVALID_PARAMETER;
    case UV_ENOSYS:
      return SVSM_UNSUPPORTED_CALL;
    case UV_EAGAIN:
    case UV_EBUSY:
      return SVSM_BUSY;
    default:
      return SVSM_INVALID_REQUEST;
  }
}


uint64_t svsm_result_rmp(uint32_t rmp) {
  if (rmp == 0)
    return svsm_result_wire(SVSM_SUCCESS);
  if (rmp > RMP_RESULT_CODE_MAX)
    return svsm_result_wire(SVSM_RMP_UNKNOWN);
  return RMP_RESULT_BASE + rmp;
}


const char* svsm_result_name(uint64_t wire) {
  switch ((uint32_t) wire) {
#define XX(name, value, when) \
  case value:                 \
    return #name;
    SVSM_RESULT_MAP(XX)
#undef XX
    default:
      return "unknown";
  }
}

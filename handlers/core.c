/*
 * handlers/core.c - protocol 0 (abi.md 1.6): which call is whose, and the two
 * short ones.
 *
 * DEPOSIT_MEM and WITHDRAW_MEM are not here: evsm has all the memory it will
 * ever need from the start, so it neither asks for pages nor has any to give.
 */
#include "handlers/core.h"

#include "handlers/dispatch.h"
#include "handlers/result.h"

typedef enum {
  CORE_REMAP_CA,
  CORE_PVALIDATE,
  CORE_CREATE_VCPU,
  CORE_DELETE_VCPU,
  CORE_DEPOSIT_MEM,
  CORE_WITHDRAW_MEM,
  CORE_QUERY_PROTOCOL,
  CORE_CONFIGURE_VTOM,
} core_call_t;

#define CORE_VTOM_QUERY 1ull /* RCX bit 0 */

/* RCX in: protocol and version; out: what versions there are, or 0 if not
 * this one. Always SUCCESS. */
static void core_query_protocol(svsm_call_t* call) {
  uint32_t version = (uint32_t) call->in.rcx;
  const svsm_protocol_t* protocol =
      dispatch_protocol((uint32_t) (call->in.rcx >> 32));

  call->out_rcx = 0;
  if (protocol != NULL && version >= protocol->version_min &&
      version <= protocol->version_max)
    call->out_rcx =
        (uint64_t) protocol->version_max << 32 | protocol->version_min;
  call->outs = SVSM_OUT_RCX;
  svsm_call_finish(call, svsm_result_wire(SVSM_SUCCESS));
}


/* We have no vTOM to give: the query says so, and so does the rest. */
static void core_configure_vtom(svsm_call_t* call) {
  svsm_result_t result = SVSM_INVALID_REQUEST;

  if ((call->in.rcx & CORE_VTOM_QUERY) != 0) {
    call->out_rcx = 0;
    call->outs = SVSM_OUT_RCX;
    result = SVSM_SUCCESS;
  }
  svsm_call_finish(call, svsm_result_wire(result));
}


static void core_start(svsm_call_t* call) {
  switch (call->number) {
    case CORE_REMAP_CA:
      core_vcpu_remap(call);
      return;
    case CORE_PVALIDATE:
      core_page_validate(call);
      return;
    case CORE_CREATE_VCPU:
      core_vcpu_create(call);
      return;
    case CORE_DELETE_VCPU:
      core_vcpu_delete(call);
      return;
    case CORE_QUERY_PROTOCOL:
      core_query_protocol(call);
      return;
    case CORE_CONFIGURE_VTOM:
      core_configure_vtom(call);
      return;
    default: /* CORE_DEPOSIT_MEM and CORE_WITHDRAW_MEM too */
      svsm_call_finish(call, svsm_result_wire(SVSM_UNSUPPORTED_CALL));
  }
}


const svsm_protocol_t core_protocol = {
    .number = 0,
    .version_min = 1,
    .version_max = 1,
    .start = core_start,
};

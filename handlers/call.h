/*
 * handlers/call.h - one SVSM call, from VMGEXIT to answer.
 *
 *   REST -> RUNNING ------------------> ANSWERED -> (delivered) REST
 *              |  budget spent: INCOMPLETE ^
 *              +--- the same call again ---+
 *
 * One slot per vCPU. A handler is an asynchronous function: it may finish at
 * once, or keep the call and finish it later from a callback on any CPU. A
 * call that comes again with the same registers after INCOMPLETE is the same
 * call: it is recognised here and never executed twice.
 *
 * Everything in a call came from the guest: nothing is checked but that RAX
 * names a protocol and a call of it (dispatch.c).
 */
#ifndef EVSM_HANDLERS_CALL_H
#define EVSM_HANDLERS_CALL_H

#include "runtime/uvx.h"

typedef enum {
  SVSM_CALL_REST, /* 0 */
  SVSM_CALL_RUNNING,
  SVSM_CALL_ANSWERED, /* the answer waits for the vCPU */
} svsm_call_state_t;

typedef struct svsm_call_s {
  /* in: the guest's registers, copied once */
  uint32_t protocol;
  uint32_t number; /* of the call in the protocol */
  uint64_t rcx;
  uint64_t rdx;
  uint64_t r8;
  uint64_t r9;

  /* what a handler may set while the call is RUNNING */
  uvx_job_t* job;       /* what computes for it; the waiting CPU helps */
  uint64_t out_rcx;     /* registers to give back; those not in `outs` keep */
  uint64_t out_rdx;     /* what the guest had in them */
  uint64_t out_r8;
  uint32_t outs;        /* SVSM_OUT_ bits */

  /* private to handlers/ */
  uint32_t cpu; /* whose vCPU asks */
  uint32_t vmpl;
  _Atomic uint32_t state; /* svsm_call_state_t */
  uint64_t result;
  uint64_t trace_id;
  uint64_t came_ns;
  uint32_t rounds;
  void* owner; /* the handler's own object for this call */
} svsm_call_t;

#define SVSM_OUT_RCX 1u
#define SVSM_OUT_RDX 2u
#define SVSM_OUT_R8 4u

/*
 * Answer `call` with `result` (a wire value: handlers/result.h). The last
 * thing a handler does with it.
 *
 * Context:  [loop] of any CPU, once a call; possibly inside the handler.
 */
void svsm_call_finish(svsm_call_t* call, uint64_t result);

#endif /* EVSM_HANDLERS_CALL_H */

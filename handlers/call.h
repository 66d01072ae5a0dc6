/*
 * handlers/call.h - one SVSM call, from VMGEXIT to answer.
 *
 *   REST -> RUNNING ------------------> ANSWERED -> (delivered) REST
 *              |  budget spent: INCOMPLETE ^
 *              +--- the same call again ---+
 *
 * One slot per vCPU. A handler is an asynchronous function: it may finish at
 * once, or keep the call and finish it later from a callback or a job on any
 * CPU. A call that comes again with the same registers after INCOMPLETE is
 * the same call: it is recognised in dispatch.c and never executed twice.
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

/* The five registers of a call; by them it is recognised. */
typedef struct svsm_regs_s {
  uint64_t rax;
  uint64_t rcx;
  uint64_t rdx;
  uint64_t r8;
  uint64_t r9;
} svsm_regs_t;

typedef struct svsm_call_s svsm_call_t;

struct svsm_call_s {
  /* in: the guest's registers, copied once */
  uint32_t protocol;
  uint32_t number; /* of the call in the protocol */
  svsm_regs_t in;

  /* what a handler may set while the call is RUNNING */
  uvx_job_t* job;   /* what computes for it; the waiting CPU helps */
  uint64_t out_rcx; /* registers to give back; those not in `outs` keep */
  uint64_t out_rdx; /* what the guest had in them */
  uint64_t out_r8;
  uint32_t outs; /* SVSM_OUT_ bits */

  /* Last chance to write guest memory: called once, in the loop of the vCPU's
   * CPU, when the answer leaves; may change `result`. Not called at all if
   * the vCPU is gone by then. NULL: nothing to do. */
  void (*deliver)(svsm_call_t* call);

  /* Go on, if you can: called in the loop of the vCPU's CPU, in a section,
   * each time somebody looks whether the call is over; until its budget is
   * spent that CPU does nothing else, so it is for short waits only. NULL:
   * nothing to do. */
  void (*step)(svsm_call_t* call);

  /* The vCPU is gone for good, and `step` will not be called again: give back
   * what you hold and finish. In the loop of any CPU. NULL: the call will
   * finish by itself. */
  void (*abandon)(svsm_call_t* call);

  /* what a handler may read */
  uint32_t vcpu_index;  /* whose call: below VCPUS_MAX (handlers/vcpu.h) */
  uint32_t cpu;         /* the CPU that vCPU is on */
  uint32_t vmpl;        /* of the caller */
  uint64_t caa_gpa;     /* the calling area it came through */
  uint64_t deadline_ns; /* when this round's budget is spent */

  /* private to dispatch.c */
  _Atomic uint32_t state; /* svsm_call_state_t */
  uint64_t result;        /* on the wire */
  uint64_t came_ns;       /* when its first round came */
  uint32_t rounds;
  uint64_t trace_id; /* its number in the trace */
  bool goes_on;      /* its last answer was INCOMPLETE */
};

#define SVSM_OUT_RCX 1u
#define SVSM_OUT_RDX 2u
#define SVSM_OUT_R8 4u

/* Who answers the calls of one protocol. */
typedef struct svsm_protocol_s {
  uint32_t number;
  uint32_t version_min;
  uint32_t version_max;
  /* Context: [loop] of the vCPU's CPU, inside a vcpu_section. Finishes the
   * call, now or later, exactly once. */
  void (*start)(svsm_call_t* call);
} svsm_protocol_t;

/*
 * Answer `call` with `result` (a wire value: handlers/result.h). The last
 * thing a handler does with it: the slot may be in use again at once.
 *
 * Context:  [loop] of any CPU, or [job] with interrupts closed; once a call;
 *           possibly inside `start`.
 */
void svsm_call_finish(svsm_call_t* call, uint64_t result);

#endif /* EVSM_HANDLERS_CALL_H */

/*
 * handlers/dispatch.h - from a guest's exit to its call's handler, and back.
 *
 * service.c decides when; this file does the steps of abi.md 1.3 in their
 * order. All of it is [loop] on the vCPU's own CPU, in a vcpu_section, and
 * none of it waits.
 */
#ifndef EVSM_HANDLERS_DISPATCH_H
#define EVSM_HANDLERS_DISPATCH_H

#include "handlers/vcpu.h"

#define DISPATCH_PROTOCOLS_MAX 8u

/* What became of a guest's exit, or of what it asks for. */
typedef enum {
  DISPATCH_NOTHING, /* 0: it asked for nothing; enter it again */
  DISPATCH_WAITS,   /* its call has no answer yet */
  DISPATCH_ANSWERED /* the answer is in its registers; enter it */
} dispatch_t;

/* The `state` of the trace's CALL records. */
typedef enum {
  DISPATCH_TRACE_START = 1,
  DISPATCH_TRACE_AGAIN,      /* it came again, and goes on */
  DISPATCH_TRACE_FINISH,     /* its handler is done, on this CPU */
  DISPATCH_TRACE_INCOMPLETE, /* the budget was spent */
  DISPATCH_TRACE_ANSWER,     /* the answer left */
  DISPATCH_TRACE_DROP,       /* the answer was of no use */
} dispatch_trace_t;

typedef struct dispatch_done_s {
  uint32_t protocol;
  uint64_t latency_ns; /* from the first round's arrival to this answer */
  uint32_t rounds;
  bool goes_on; /* the answer is INCOMPLETE: no end of the call */
} dispatch_done_t;

/* What guests and hosts did that was of no use. */
typedef struct dispatch_counts_s {
  uint64_t spurious;    /* entered, but no call was pending */
  uint64_t not_vmgexit; /* a call was pending, but the guest left otherwise */
  uint64_t unreadable;  /* the calling area is not there */
  uint64_t bad_pending; /* CALL_PENDING was neither 0 nor 1 */
  uint64_t given_up;    /* answers dropped, since another call was made */
  uint64_t unknown;     /* protocols and calls that we don't have */
} dispatch_counts_t;

/* Context: [boot]. */
void dispatch_init(void);

/* Have `protocol` answered. Context: [boot]. Memory: *protocol is ours. */
void dispatch_add_protocol(const svsm_protocol_t* protocol);

/* The protocol with this number, or NULL. Context: [any]. */
const svsm_protocol_t* dispatch_protocol(uint32_t number);

/*
 * The vCPU has left at `now_ns` and may be asking: look at its calling area.
 * The round's budget ends at `deadline_ns`.
 */
dispatch_t dispatch_arrive(vcpu_t* vcpu, uint64_t now_ns, uint64_t deadline_ns);

/* Has what an asking vCPU waits for come to an end? Answers it if so: then
 * *done tells how it went. */
dispatch_t dispatch_poll(vcpu_t* vcpu, dispatch_done_t* done);

/* The budget is spent: answer INCOMPLETE. The call goes on. */
void dispatch_incomplete(vcpu_t* vcpu);

/* Context: [any]. CPU `cpu`'s counts, as they are just now. */
dispatch_counts_t dispatch_counts(uint32_t cpu);

#endif /* EVSM_HANDLERS_DISPATCH_H */

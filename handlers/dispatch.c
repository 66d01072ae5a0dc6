/*
 * handlers/dispatch.c - a guest's call: taken, recognised, started, answered.
 *
 *   arrive:  SVME off -> CALL_PENDING -> exit code -> registers
 *   poll:    the running call, if it is this one -> else start it -> answer
 *   answer:  registers -> CALL_PENDING off -> SVME on
 *
 * The rule of resumption. A vCPU has one call. A round with the registers of
 * the call that is running, or that was answered meanwhile, *is* that call:
 * it is never started again. A round with other registers gives it up: the
 * old call runs to its end (what it changes, it changes) and its answer is
 * dropped; until then the new one is answered INCOMPLETE, unlooked at. A
 * guest that comes back to the old call before that end has not given it up.
 *
 * The promise: a handler is started once for each call, finishes it once, and
 * writes to its vCPU only while that is active (vcpu_section). A vCPU that
 * asks can't be entered by the host: SVME stays off until the answer is in.
 *
 * Trust: all that is read here is the guest's, and the host chooses when.
 */
#include "handlers/dispatch.h"

#include "arch/arch.h"
#include "arch/platform.h"
#include "handlers/result.h"
#include "handlers/vmsa.h"
#include "runtime/trace.h"

#define CAA_CALL_PENDING 0u /* offsets in a calling area */

typedef struct dispatch_cpu_s {
  _Alignas(ARCH_CACHE_LINE_SIZE) _Atomic uint64_t spurious;
  _Atomic uint64_t not_vmgexit;
  _Atomic uint64_t unreadable;
  _Atomic uint64_t bad_pending;
  _Atomic uint64_t given_up;
  _Atomic uint64_t unknown;
  uint64_t call_count; /* started here; numbers them for the trace */
} dispatch_cpu_t;

static dispatch_cpu_t dispatch_cpus[CPUS_MAX];
static const svsm_protocol_t* dispatch_protocols[DISPATCH_PROTOCOLS_MAX];
static uint32_t dispatch_protocol_count;

/* One writer, its CPU: no locked instruction is needed. */
static void dispatch_count(_Atomic uint64_t* counter) {
  uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);
  atomic_store_explicit(counter, now + 1, memory_order_relaxed);
}


static void dispatch_trace(const svsm_call_t* call, dispatch_trace_t what) {
  trace_call(call->trace_id, (uint64_t) what, call->in.rax);
}


dispatch_counts_t dispatch_counts(uint32_t cpu) {
  ASSERT(cpu < CPUS_MAX);

  dispatch_cpu_t* c = &dispatch_cpus[cpu];
  return (dispatch_counts_t){
      .spurious = atomic_load_explicit(&c->spurious, memory_order_relaxed),
      .not_vmgexit =
          atomic_load_explicit(&c->not_vmgexit, memory_order_relaxed),
      .unreadable = atomic_load_explicit(&c->unreadable, memory_order_relaxed),
      .bad_pending =
          atomic_load_explicit(&c->bad_pending, memory_order_relaxed),
      .given_up = atomic_load_explicit(&c->given_up, memory_order_relaxed),
      .unknown = atomic_load_explicit(&c->unknown, memory_order_relaxed),
  };
}


void dispatch_init(void) {
  dispatch_protocol_count = 0;
  memset(dispatch_cpus, 0, sizeof(dispatch_cpus));
}


void dispatch_add_protocol(const svsm_protocol_t* protocol) {
  ASSERT(dispatch_protocol_count < DISPATCH_PROTOCOLS_MAX);
  ASSERT(dispatch_protocol(protocol->number) == NULL);

  dispatch_protocols[dispatch_protocol_count++] = protocol;
}


const svsm_protocol_t* dispatch_protocol(uint32_t number) {
  for (uint32_t i = 0; i < dispatch_protocol_count; i++) {
    if (dispatch_protocols[i]->number == number)
      return dispatch_protocols[i];
  }
  return NULL;
}


/* ---- The VMSA ---- */

/* A VMSA that was accepted stays readable: nobody below can take it away. If
 * the host did (it can't on SNP without our noticing), the guest is dead and
 * reads as zeroes. */
static uint64_t dispatch_vmsa_read(uint64_t gpa) {
  uint64_t value = 0;

  if (platform_guest_read(&value, gpa, sizeof(value)) != 0)
    value = 0;
  return value;
}


static void dispatch_vmsa_write(uint64_t gpa, uint64_t value) {
  (void) platform_guest_write(gpa, &value, sizeof(value));
}


static void dispatch_set_svme(const vcpu_t* vcpu, bool on) {
  uint64_t gpa = VMSA_GPA(vcpu_vmsa_gpa(vcpu), efer);
  uint64_t efer = dispatch_vmsa_read(gpa) & ~VMSA_EFER_SVME;

  dispatch_vmsa_write(gpa, on ? efer | VMSA_EFER_SVME : efer);
}


static void dispatch_regs_read(const vcpu_t* vcpu, svsm_regs_t* regs) {
  uint64_t vmsa = vcpu_vmsa_gpa(vcpu);

  regs->rax = dispatch_vmsa_read(VMSA_GPA(vmsa, rax));
  regs->rcx = dispatch_vmsa_read(VMSA_GPA(vmsa, rcx));
  regs->rdx = dispatch_vmsa_read(VMSA_GPA(vmsa, rdx));
  regs->r8 = dispatch_vmsa_read(VMSA_GPA(vmsa, r8));
  regs->r9 = dispatch_vmsa_read(VMSA_GPA(vmsa, r9));
}


/* The last steps, in the order of the specification: RAX, then CALL_PENDING,
 * then SVME. If the calling area is gone, the guest finds its call pending. */
static void dispatch_answer(vcpu_t* vcpu, uint64_t rax) {
  dispatch_vmsa_write(VMSA_GPA(vcpu_vmsa_gpa(vcpu), rax), rax);
  (void) platform_guest_store_u8(vcpu->asked_caa + CAA_CALL_PENDING, 0);
  dispatch_set_svme(vcpu, true);
  vcpu->asking = false;
}


/* ---- Arrival ---- */

static bool dispatch_same(const svsm_regs_t* a, const svsm_regs_t* b) {
  return a->rax == b->rax && a->rcx == b->rcx && a->rdx == b->rdx &&
         a->r8 == b->r8 && a->r9 == b->r9;
}


dispatch_t dispatch_arrive(vcpu_t* vcpu,
                           uint64_t now_ns,
                           uint64_t deadline_ns) {
  ASSERT(vcpu_section_held(vcpu->cpu));
  ASSERT(!vcpu->asking);

  dispatch_cpu_t* counts = &dispatch_cpus[vcpu->cpu];
  uint64_t caa_gpa = vcpu_caa_gpa(vcpu);
  uint8_t guest_pending;

  dispatch_set_svme(vcpu, false);
  int err = platform_guest_read(&guest_pending, caa_gpa + CAA_CALL_PENDING,
                                sizeof(guest_pending));
  _Atomic uint64_t* useless = NULL;
  if (err != 0)
    useless = &counts->unreadable;
  else if (guest_pending == 0)
    useless = &counts->spurious;
  else if (dispatch_vmsa_read(VMSA_GPA(vcpu_vmsa_gpa(vcpu), guest_exit_code)) !=
           VMSA_EXIT_VMGEXIT)
    useless = &counts->not_vmgexit;
  if (useless != NULL) {
    dispatch_count(useless);
    dispatch_set_svme(vcpu, true);
    return DISPATCH_NOTHING;
  }

  vcpu->asked_caa = caa_gpa;
  vcpu->asking = true;
  if (guest_pending != 1) {
    dispatch_count(&counts->bad_pending);
    dispatch_answer(vcpu, svsm_result_wire(SVSM_INVALID_FORMAT));
    return DISPATCH_ANSWERED;
  }
  dispatch_regs_read(vcpu, &vcpu->asked);
  if (atomic_load_explicit(&vcpu->call.state, memory_order_relaxed) !=
          SVSM_CALL_REST &&
      dispatch_same(&vcpu->call.in, &vcpu->asked)) {
    vcpu->call.rounds++;
    dispatch_trace(&vcpu->call, DISPATCH_TRACE_AGAIN);
  }
  vcpu->arrived_ns = now_ns;
  vcpu->deadline_ns = deadline_ns;
  return DISPATCH_WAITS;
}


/* ---- The call ---- */

static void dispatch_start(vcpu_t* vcpu) {
  svsm_call_t* call = &vcpu->call;
  bool goes_on = call->goes_on && dispatch_same(&call->in, &vcpu->asked);

  ASSERT(vcpu->asking);
  ASSERT(atomic_load_explicit(&call->state, memory_order_relaxed) ==
         SVSM_CALL_REST);

  if (!goes_on) {
    MAYBE(vcpu->came_new_ns != 0);
    call->came_ns =
        vcpu->came_new_ns != 0 ? vcpu->came_new_ns : vcpu->arrived_ns;
    call->rounds = vcpu->rounds_new;
    uint64_t count = ++dispatch_cpus[vcpu->cpu].call_count;
    call->trace_id = count * CPUS_MAX + vcpu->cpu;
  }
  vcpu->came_new_ns = 0;
  vcpu->rounds_new = 0;
  call->goes_on = false;
  call->protocol = (uint32_t) (vcpu->asked.rax >> 32);
  call->number = (uint32_t) vcpu->asked.rax;
  call->in = vcpu->asked;
  call->job = NULL;
  call->outs = 0;
  call->deliver = NULL;
  call->step = NULL;
  call->abandon = NULL;
  call->caa_gpa = vcpu->asked_caa;
  call->deadline_ns = vcpu->deadline_ns;
  call->rounds++;
  atomic_store_explicit(&call->state, SVSM_CALL_RUNNING, memory_order_relaxed);

  dispatch_trace(call, DISPATCH_TRACE_START);
  const svsm_protocol_t* protocol = dispatch_protocol(call->protocol);
  if (protocol == NULL) {
    svsm_call_finish(call, svsm_result_wire(SVSM_UNSUPPORTED_PROTOCOL));
    return;
  }
  protocol->start(call);
}


void svsm_call_finish(svsm_call_t* call, uint64_t result) {
  ASSERT(atomic_load_explicit(&call->state, memory_order_relaxed) ==
         SVSM_CALL_RUNNING);

  dispatch_trace(call, DISPATCH_TRACE_FINISH);
  uint32_t cpu = call->cpu; /* after the store the slot is not ours */
  call->result = result;
  /* Release: whoever sees ANSWERED sees the answer too. */
  atomic_store_explicit(&call->state, SVSM_CALL_ANSWERED, memory_order_release);
  if (cpu != arch_cpu())
    uvx_cpu_kick(cpu);
}


/* An answered call that is the one asked for: into the registers with it. */
static void dispatch_deliver(vcpu_t* vcpu, dispatch_done_t* done) {
  svsm_call_t* call = &vcpu->call;
  uint64_t vmsa = vcpu_vmsa_gpa(vcpu);

  if (call->deliver != NULL)
    call->deliver(call);
  if ((call->outs & SVSM_OUT_RCX) != 0)
    dispatch_vmsa_write(VMSA_GPA(vmsa, rcx), call->out_rcx);
  if ((call->outs & SVSM_OUT_RDX) != 0)
    dispatch_vmsa_write(VMSA_GPA(vmsa, rdx), call->out_rdx);
  if ((call->outs & SVSM_OUT_R8) != 0)
    dispatch_vmsa_write(VMSA_GPA(vmsa, r8), call->out_r8);
  dispatch_trace(call, DISPATCH_TRACE_ANSWER);
  if (call->result == svsm_result_wire(SVSM_UNSUPPORTED_PROTOCOL) ||
      call->result == svsm_result_wire(SVSM_UNSUPPORTED_CALL))
    dispatch_count(&dispatch_cpus[vcpu->cpu].unknown);
  call->goes_on = call->result == svsm_result_wire(SVSM_INCOMPLETE);
  *done = (dispatch_done_t){
      .protocol = call->protocol,
      .latency_ns = arch_clock_ns() - call->came_ns,
      .rounds = call->rounds,
      .goes_on = call->goes_on,
  };
  atomic_store_explicit(&call->state, SVSM_CALL_REST, memory_order_relaxed);
  dispatch_answer(vcpu, call->result);
}


dispatch_t dispatch_poll(vcpu_t* vcpu, dispatch_done_t* done) {
  svsm_call_t* call = &vcpu->call;

  ASSERT(vcpu_section_held(vcpu->cpu));
  if (!vcpu->asking)
    return DISPATCH_NOTHING;

  /* Acquire: the answer, by whichever CPU it was made. */
  uint32_t state = atomic_load_explicit(&call->state, memory_order_acquire);
  if (state == SVSM_CALL_RUNNING && call->step != NULL) {
    call->step(call);
    state = atomic_load_explicit(&call->state, memory_order_acquire);
  }
  if (state == SVSM_CALL_ANSWERED && !dispatch_same(&call->in, &vcpu->asked)) {
    dispatch_count(&dispatch_cpus[vcpu->cpu].given_up);
    dispatch_trace(call, DISPATCH_TRACE_DROP);
    atomic_store_explicit(&call->state, SVSM_CALL_REST, memory_order_relaxed);
    state = SVSM_CALL_REST;
  }
  if (state == SVSM_CALL_REST) {
    dispatch_start(vcpu);
    state = atomic_load_explicit(&call->state, memory_order_acquire);
  }
  if (state == SVSM_CALL_RUNNING)
    return DISPATCH_WAITS;

  ASSERT(state == SVSM_CALL_ANSWERED);
  dispatch_deliver(vcpu, done);
  return DISPATCH_ANSWERED;
}


void dispatch_incomplete(vcpu_t* vcpu) {
  svsm_call_t* call = &vcpu->call;

  ASSERT(vcpu_section_held(vcpu->cpu));
  ASSERT(vcpu->asking);

  dispatch_trace(call, DISPATCH_TRACE_INCOMPLETE);
  if (dispatch_same(&call->in, &vcpu->asked)) {
    vcpu->came_new_ns = 0;
    vcpu->rounds_new = 0;
  } else {
    if (vcpu->came_new_ns == 0)
      vcpu->came_new_ns = vcpu->arrived_ns;
    vcpu->rounds_new++;
  }
  dispatch_answer(vcpu, svsm_result_wire(SVSM_INCOMPLETE));
}

/*
 * handlers/service.c - each CPU's main loop: who goes first (DESIGN.md 2).
 *
 *   1 events that are due        4 budget spent: INCOMPLETE
 *   2 the guest, if answered     5 no call: the guest
 *   3 help the job it waits for  6 halted or absent: any ready job  7 halt
 *
 * The promise: a guest that asks is held until its answer or until its
 * deadline plus one interrupt latency, whichever is first; and a guest that
 * doesn't ask is never held. What was late is counted, with what we did then.
 *
 * Progress needs no other CPU: the CPU whose guest waits runs the job itself,
 * and if that one is running elsewhere, another one, or halts to the deadline.
 */
#include "handlers/service.h"

#include "arch/arch.h"
#include "arch/platform.h"
#include "crypto/drbg.h"
#include "handlers/core.h"
#include "handlers/service_stats.h"
#include "handlers/vtpm.h"

typedef struct service_loop_s {
  _Alignas(ARCH_CACHE_LINE_SIZE) bool is_open; /* an entry is under way */
  bool halted;   /* the guest waits for an interrupt, or is absent */
  bool answered; /* the entry ends with an answer */
  vcpu_t* vcpu;  /* whom all this is about: only compared */
  service_entry_t entry;
} service_loop_t;

#define SERVICE_BOOT_CPU 0u /* whose loop has what is one a machine */

static service_loop_t service_loops[CPUS_MAX];
static uint64_t service_budget_ns;
static _Atomic bool service_stopping;
static _Atomic uint32_t service_cpus_running;

void service_init(const service_config_t* config) {
  uint32_t budget_us =
      config->budget_us == 0 ? BUDGET_US_DEFAULT : config->budget_us;

  ASSERT(budget_us >= BUDGET_US_MIN);
  ASSERT(budget_us <= BUDGET_US_MAX);
  service_budget_ns = (uint64_t) budget_us * 1000;
  memset(service_loops, 0, sizeof(service_loops));
  atomic_store(&service_stopping, false);
  atomic_store(&service_cpus_running, 0);
  crypto_random_init(arch_entropy);
  service_stats_init(service_budget_ns);
  vcpu_init();
  core_init();
  dispatch_init();
  dispatch_add_protocol(&core_protocol);
  if (config->has_tpm) {
    vtpm_init(config->tpm_platform_commands);
    dispatch_add_protocol(&vtpm_protocol);
  }
}


void service_stop(void) {
  atomic_store(&service_stopping, true);
  for (uint32_t cpu = 0; cpu < CPUS_MAX; cpu++) {
    if (uvx_cpu_loop(cpu) != NULL)
      uvx_cpu_kick(cpu);
  }
}


/* ---- The guest leaves, and asks ---- */

static void service_entry_open(service_loop_t* l,
                               vcpu_t* vcpu,
                               uint64_t vmsa_gpa) {
  uint64_t now_ns = arch_clock_ns();

  l->entry = (service_entry_t){
      .began_ns = now_ns,
      .mark_ns = now_ns,
      .deadline_ns = now_ns + service_budget_ns,
  };
  /* Gone meanwhile, deleted by another vCPU: then nobody asks. */
  if (!vcpu_is_active(vcpu) || vcpu_vmsa_gpa(vcpu) != vmsa_gpa)
    return;
  if (dispatch_arrive(vcpu, now_ns, l->entry.deadline_ns) == DISPATCH_NOTHING)
    return;
  l->entry.protocol = (uint32_t) (vcpu->asked.rax >> 32);
  l->entry.call = (uint32_t) vcpu->asked.rax;
  l->is_open = true;
  l->answered = true; /* INVALID_FORMAT is said at once; others tell */
}


/* The guest goes on in the next instant: how long was it held? */
static void service_entry_close(uint32_t cpu) {
  service_loop_t* l = &service_loops[cpu];

  if (!l->is_open)
    return;
  l->is_open = false;
  service_stats_entry(cpu, &l->entry, arch_clock_ns(), l->answered);
}


/* ---- What the CPU does next ---- */

typedef enum {
  SERVICE_ENTER, /* 0: the guest */
  SERVICE_HELP,
  SERVICE_LOOK_AGAIN,
  SERVICE_IDLE,
} service_next_t;

/* Steps 2, 4 and 5, in a section. *job is what to help. */
static service_next_t service_decide(uint32_t cpu,
                                     vcpu_t* vcpu,
                                     uvx_job_t** job) {
  service_loop_t* l = &service_loops[cpu];
  dispatch_done_t done;

  if (!vcpu->asking) {
    bool wants = !l->halted || platform_guest_wants_cpu(cpu);
    return wants ? SERVICE_ENTER : SERVICE_IDLE;
  }
  dispatch_t how = dispatch_poll(vcpu, &done);
  service_stats_part(&l->entry, SERVICE_DOING_CALL);
  if (how == DISPATCH_ANSWERED) {
    service_stats_call(cpu, &done);
    l->answered = !done.goes_on;
    return SERVICE_ENTER;
  }
  if (l->entry.mark_ns >= l->entry.deadline_ns) {
    dispatch_incomplete(vcpu);
    l->answered = false;
    return SERVICE_ENTER;
  }
  /* What goes on in steps waits for other CPUs' sections and locks, a few
   * instructions each, and nobody tells when they end. */
  if (vcpu->call.step != NULL)
    return SERVICE_LOOK_AGAIN;
  *job = vcpu->call.job;
  return SERVICE_HELP;
}


/* Step 3. Each way ends at the deadline, or when an event is due. */
static void service_help(uint32_t cpu, uvx_job_t* job) {
  service_entry_t* entry = &service_loops[cpu].entry;
  uvx_ran_t ran = UVX_RAN_NOTHING;

  if (!entry->is_long)
    service_stats_long(cpu, entry);
  if (job != NULL)
    ran = uvx_job_run(job, entry->deadline_ns);
  if (ran == UVX_RAN_NOTHING)
    ran = uvx_job_run(NULL, entry->deadline_ns);
  if (ran != UVX_RAN_NOTHING) {
    service_stats_part(entry, SERVICE_DOING_JOB);
    return;
  }
  uvx_cpu_halt(entry->deadline_ns);
  service_stats_part(entry, SERVICE_DOING_HALT);
}


/* Steps 6 and 7. No timer: an event, or a guest's interrupt, ends it. */
static void service_idle(uint32_t cpu, bool more) {
  core_vcpu_bury();
  if (more || vcpu_any_gone())
    return;
  if (uvx_job_run(NULL, ARCH_FOREVER) == UVX_RAN_NOTHING) {
    uvx_cpu_halt(ARCH_FOREVER);
    service_stats_watch(cpu);
  }
}


/* Run the guest until it asks, halts, or the host interrupts. */
static void service_enter(uint32_t cpu, vcpu_t* vcpu, uint64_t vmsa_gpa) {
  service_loop_t* l = &service_loops[cpu];

  if (!uvx_cpu_guest_enter())
    return; /* something is due: the events go first */
  service_entry_close(cpu);
  platform_exit_t why = platform_guest_enter(cpu, vmsa_gpa);
  uvx_cpu_guest_leave();

  l->halted = why == PLATFORM_EXIT_HALT || why == PLATFORM_EXIT_ABSENT;
  if (why == PLATFORM_EXIT_HALT)
    service_stats_halt(cpu);
  if (why != PLATFORM_EXIT_VMGEXIT)
    return;
  vcpu_section_begin(cpu);
  service_entry_open(l, vcpu, vmsa_gpa);
  vcpu_section_end(cpu);
}


bool service_step(uint32_t cpu) {
  ASSERT(cpu < CPUS_MAX);

  service_loop_t* l = &service_loops[cpu];
  uvx_job_t* job = NULL;
  uint64_t vmsa_gpa = 0;
  service_next_t next = SERVICE_IDLE;
  bool more = uvx_cpu_turn();

  if (l->is_open)
    service_stats_part(&l->entry, SERVICE_DOING_EVENTS);
  if (atomic_load_explicit(&service_stopping, memory_order_relaxed))
    return false;

  vcpu_section_begin(cpu);
  vcpu_t* vcpu = vcpu_current(cpu);
  if (vcpu != l->vcpu) { /* a new one, or none: not yet known to be halted */
    l->vcpu = vcpu;
    l->halted = false;
    l->is_open = false;
  }
  if (vcpu != NULL) {
    next = service_decide(cpu, vcpu, &job);
    vmsa_gpa = vcpu_vmsa_gpa(vcpu);
  }
  vcpu_section_end(cpu);

  if (next == SERVICE_ENTER)
    service_enter(cpu, vcpu, vmsa_gpa);
  else if (next == SERVICE_HELP)
    service_help(cpu, job);
  else if (next == SERVICE_LOOK_AGAIN)
    arch_relax();
  else
    service_idle(cpu, more);
  return true;
}


void service_begin(uint32_t cpu) {
  atomic_fetch_add(&service_cpus_running, 1);
  if (cpu == SERVICE_BOOT_CPU &&
      dispatch_protocol(vtpm_protocol.number) != NULL)
    vtpm_start(uvx_cpu_loop(cpu));
}


/* Do what comes, then look again. The turn stands behind the halt: what it
 * runs may be what is waited for, and nothing else would end the next halt. */
static void service_wait(void) {
  if (uvx_job_run(NULL, ARCH_FOREVER) == UVX_RAN_NOTHING)
    uvx_cpu_halt(ARCH_FOREVER);
  while (uvx_cpu_turn())
    continue;
}


/* The boot CPU goes last: it has what is one a machine. When no other serves
 * any more, the TPM's job is brought to its end. */
void service_end(uint32_t cpu) {
  if (cpu != SERVICE_BOOT_CPU) {
    atomic_fetch_sub(&service_cpus_running, 1);
    uvx_cpu_kick(SERVICE_BOOT_CPU);
    return;
  }
  while (uvx_cpu_turn())
    continue;
  while (atomic_load(&service_cpus_running) != 1)
    service_wait();
  atomic_store(&service_cpus_running, 0);
  if (vtpm_job() == NULL)
    return;
  vtpm_stop();
  while (vtpm_job() != NULL)
    service_wait();
}


void service_run(uint32_t cpu) {
  service_begin(cpu);
  while (service_step(cpu))
    continue;
  service_end(cpu);
}

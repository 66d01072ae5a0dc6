/*
 * sim/guest.c - guest CPUs: C code on stacks of its own, entered and left by
 * the firmware's CPU threads.
 *
 *     the CPU's loop                      the guest program
 *     platform_guest_enter() ----switch---> ... guest_vmgexit(), guest_halt()
 *              ^------------------switch--------------'
 *
 * This file plays three parts: the processor (registers pass through the
 * VMSA, a VMSA without EFER.SVME or in use can't be entered), the host (which
 * vCPU runs, and its lies), and the little kernel that a guest program sees.
 *
 * A vCPU's `wanted` word is the only thing that other threads touch: set and
 * then kick (uvx_cpu_kick), so a CPU about to halt finds one or the other.
 */
#include "sim/guest.h"

#include "arch/arch.h"
#include "handlers/vcpu.h"
#include "handlers/vmsa.h"
#include "runtime/uvx.h"
#include "sim/cpu.h"
#include "sim/platform.h"

#include <sys/mman.h>

#define GUEST_STACK_SIZE (512u * 1024u) /* bytes; C library calls included */
#define GUEST_GUARD_SIZE 65536u         /* bytes below it that fault */

#define GUEST_VMPL 1u /* where the simulator's guests run */

#define GUEST_SEV_FEATURES 1u /* SNP */

#define GUEST_BOOT_VMSA_GPA (1ull << 20)
#define GUEST_BOOT_CAA_GPA ((1ull << 20) + PLATFORM_PAGE_SIZE)
#define GUEST_PAGES_GPA (PLATFORM_FIRMWARE_GPA + PLATFORM_FIRMWARE_SIZE)

#define CAA_CALL_PENDING 0u

struct guest_vcpu_s {
  uint32_t index;
  uint64_t caa_gpa;
  guest_main_cb main;
  void* arg;

  /* the host's: where it runs from, may it run, does an interrupt wait for it,
   * its lies. Its CPU may look at any time, so what is above is touched only
   * once the VMSA has been taken: the host sets it before. */
  _Atomic uint64_t vmsa_gpa;
  _Atomic bool is_started;
  _Atomic bool is_refused;
  _Atomic bool is_wanted;
  _Atomic uint32_t skips;

  /* only its CPU */
  bool is_halted;
  bool has_context;
  platform_exit_t exit;
  arch_context_t loop_context;
  arch_context_t context;
  void* stack; /* made at the first start, kept for the next */
};

static guest_vcpu_t guests[CPUS_MAX];
static _Atomic uint64_t guest_next_page;

/* ---- The processor and the host: arch/platform.h ---- */

uint32_t platform_cpu_of_apic_id(uint32_t apic_id) {
  return apic_id < cpu_started_count() ? apic_id : PLATFORM_CPU_NONE;
}


static vmsa_wire_t* guest_vmsa(uint64_t vmsa_gpa) {
  return platform_memory(vmsa_gpa, sizeof(vmsa_wire_t));
}


bool platform_guest_wants_cpu(uint32_t cpu) {
  guest_vcpu_t* vcpu = &guests[cpu];

  return atomic_load(&vcpu->is_started) && !atomic_load(&vcpu->is_refused) &&
         atomic_load(&vcpu->is_wanted);
}


/* The first thing a guest does, and where it stays when `main` is over. */
static void guest_entry(void* arg) {
  guest_vcpu_t* vcpu = arg;

  vcpu->main(vcpu, vcpu->arg);
  for (;;)
    guest_halt(vcpu);
}


static void guest_context_make(guest_vcpu_t* vcpu) {
  if (vcpu->has_context)
    return;
  if (vcpu->stack == NULL) {
    uint8_t* at = mmap(NULL, GUEST_GUARD_SIZE + GUEST_STACK_SIZE, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ASSERT(at != MAP_FAILED);
    vcpu->stack = at + GUEST_GUARD_SIZE;
    int err = mprotect(vcpu->stack, GUEST_STACK_SIZE, PROT_READ | PROT_WRITE);
    ASSERT(err == 0);
  }
  arch_context_init(&vcpu->context, vcpu->stack, GUEST_STACK_SIZE, guest_entry,
                    vcpu);
  memset(&vcpu->loop_context, 0, sizeof(vcpu->loop_context));
  vcpu->has_context = true;
  vcpu->is_halted = false;
}


/* VMRUN: what the processor refuses, and what the host does. */
platform_exit_t platform_guest_enter(uint32_t cpu, uint64_t vmsa_gpa) {
  ASSERT(cpu < CPUS_MAX);

  guest_vcpu_t* vcpu = &guests[cpu];
  /* Acquire: what guest_host_start() said. */
  if (!atomic_load(&vcpu->is_started) || atomic_load(&vcpu->is_refused))
    return PLATFORM_EXIT_ABSENT;
  if (atomic_load(&vcpu->vmsa_gpa) != vmsa_gpa) {
    /* A guest may name several for a CPU; the host runs one. The CPU must not
     * ask for another again and again. Looks again: guest_host_start() sets
     * the VMSA first, then `is_wanted`. */
    atomic_store(&vcpu->is_wanted, false);
    if (atomic_load(&vcpu->vmsa_gpa) == vmsa_gpa)
      atomic_store(&vcpu->is_wanted, true);
    return PLATFORM_EXIT_ABSENT;
  }
  uint64_t efer =
      __atomic_load_n(&guest_vmsa(vmsa_gpa)->efer, __ATOMIC_RELAXED);
  if ((efer & VMSA_EFER_SVME) == 0 || !platform_vmsa_take(vmsa_gpa)) {
    atomic_store(&vcpu->is_wanted, false);
    return PLATFORM_EXIT_ABSENT;
  }
  guest_context_make(vcpu);
  bool wanted = atomic_exchange(&vcpu->is_wanted, false);
  if (vcpu->is_halted && !wanted) {
    platform_vmsa_give(vmsa_gpa);
    return PLATFORM_EXIT_HALT;
  }
  /* An interrupt that comes while it runs is kept for its next HLT. */
  if (!vcpu->is_halted && wanted)
    atomic_store(&vcpu->is_wanted, true);
  vcpu->is_halted = false;
  arch_context_switch(&vcpu->loop_context, &vcpu->context);
  platform_vmsa_give(vmsa_gpa);
  return vcpu->exit;
}


static void guest_leave(guest_vcpu_t* vcpu, platform_exit_t why) {
  vcpu->exit = why;
  arch_context_switch(&vcpu->context, &vcpu->loop_context);
}


void guest_fill_vmsa(uint64_t vmsa_gpa) {
  vmsa_wire_t* vmsa = platform_memory(vmsa_gpa, sizeof(*vmsa));

  ASSERT(vmsa != NULL);
  memset(vmsa, 0, sizeof(*vmsa));
  vmsa->vmpl = GUEST_VMPL;
  vmsa->efer = VMSA_EFER_SVME;
  vmsa->sev_features = GUEST_SEV_FEATURES;
}


void guest_host_start(uint32_t index,
                      uint64_t vmsa_gpa,
                      uint64_t caa_gpa,
                      guest_main_cb main,
                      void* arg) {
  ASSERT(index < CPUS_MAX);

  guest_vcpu_t* vcpu = &guests[index];
  atomic_store(&vcpu->is_started, false);
  if (vcpu->has_context) { /* it was deleted, or this is a new machine */
    arch_context_destroy(&vcpu->context);
    vcpu->has_context = false;
  }
  vcpu->index = index;
  vcpu->caa_gpa = caa_gpa;
  vcpu->main = main;
  vcpu->arg = arg;
  atomic_store(&vcpu->vmsa_gpa, vmsa_gpa);
  atomic_store(&vcpu->is_wanted, true);
  atomic_store(&vcpu->is_started, true);
  if (uvx_cpu_loop(index) != NULL)
    uvx_cpu_kick(index);
}


void guest_boot(guest_main_cb main, void* arg) {
  vcpu_new_t new = {
      .vmsa_gpa = GUEST_BOOT_VMSA_GPA,
      .caa_gpa = GUEST_BOOT_CAA_GPA,
      .cpu = 0,
      .vmpl = GUEST_VMPL,
  };

  if (platform_memory_size() == 0) {
    int err = platform_memory_init(PLATFORM_MEMORY_SIZE_DEFAULT);
    ASSERT(err == 0);
  }
  for (uint32_t i = 0; i < CPUS_MAX; i++) /* of the machine before */
    atomic_store(&guests[i].is_started, false);
  atomic_store(&guest_next_page, GUEST_PAGES_GPA);
  guest_fill_vmsa(new.vmsa_gpa);
  vcpu_t* boot = vcpu_boot(&new, GUEST_SEV_FEATURES);
  ASSERT(boot != NULL);
  platform_vmsa_launch(new.vmsa_gpa);
  guest_host_start(0, new.vmsa_gpa, new.caa_gpa, main, arg);
}


void guest_interrupt(uint32_t index) {
  ASSERT(index < CPUS_MAX);

  atomic_store(&guests[index].is_wanted, true);
  if (uvx_cpu_loop(index) != NULL)
    uvx_cpu_kick(index);
}


void guest_host_skips(uint32_t index, uint32_t count) {
  ASSERT(index < CPUS_MAX);
  atomic_store(&guests[index].skips, count);
}


void guest_host_refuses(uint32_t index, bool refuses) {
  ASSERT(index < CPUS_MAX);
  atomic_store(&guests[index].is_refused, refuses);
  if (!refuses)
    guest_interrupt(index);
}


/* ---- The guest's own ---- */

uint32_t guest_vcpu_index(const guest_vcpu_t* vcpu) {
  return vcpu->index;
}


void* guest_memory(uint64_t gpa, size_t size) {
  return platform_memory(gpa, size);
}


uint64_t guest_memory_size(void) {
  return platform_memory_size();
}


uint64_t guest_alloc_pages(size_t page_count) {
  uint64_t size = page_count * PLATFORM_PAGE_SIZE;
  uint64_t gpa = atomic_load(&guest_next_page);

  do {
    if (page_count == 0 || gpa > platform_validated_size() ||
        page_count > (platform_validated_size() - gpa) / PLATFORM_PAGE_SIZE)
      return 0;
  } while (!atomic_compare_exchange_weak(&guest_next_page, &gpa, gpa + size));
  return gpa;
}


uint64_t guest_calling_area(const guest_vcpu_t* vcpu) {
  return vcpu->caa_gpa;
}


void guest_set_calling_area(guest_vcpu_t* vcpu, uint64_t caa_gpa) {
  vcpu->caa_gpa = caa_gpa;
}


/* The registers are the processor's to put into the VMSA, and to take. */
static void guest_exit_with(guest_vcpu_t* vcpu,
                            guest_regs_t* regs,
                            uint64_t exit_code) {
  vmsa_wire_t* vmsa = guest_vmsa(atomic_load(&vcpu->vmsa_gpa));

  __atomic_store_n(&vmsa->rax, regs->rax, __ATOMIC_RELAXED);
  __atomic_store_n(&vmsa->rcx, regs->rcx, __ATOMIC_RELAXED);
  __atomic_store_n(&vmsa->rdx, regs->rdx, __ATOMIC_RELAXED);
  __atomic_store_n(&vmsa->r8, regs->r8, __ATOMIC_RELAXED);
  __atomic_store_n(&vmsa->r9, regs->r9, __ATOMIC_RELAXED);
  __atomic_store_n(&vmsa->guest_exit_code, exit_code, __ATOMIC_RELAXED);
  guest_leave(vcpu, PLATFORM_EXIT_VMGEXIT);
  regs->rax = __atomic_load_n(&vmsa->rax, __ATOMIC_RELAXED);
  regs->rcx = __atomic_load_n(&vmsa->rcx, __ATOMIC_RELAXED);
  regs->rdx = __atomic_load_n(&vmsa->rdx, __ATOMIC_RELAXED);
  regs->r8 = __atomic_load_n(&vmsa->r8, __ATOMIC_RELAXED);
  regs->r9 = __atomic_load_n(&vmsa->r9, __ATOMIC_RELAXED);
}


/* The host's lie: back in the guest, and the firmware never ran. */
static bool guest_host_skipped(guest_vcpu_t* vcpu) {
  uint32_t skips = atomic_load(&vcpu->skips);

  if (skips == 0)
    return false;
  atomic_store(&vcpu->skips, skips - 1);
  return true;
}


uint8_t guest_vmgexit_raw(guest_vcpu_t* vcpu,
                          guest_regs_t* regs,
                          uint8_t pending,
                          uint64_t exit_code) {
  uint8_t* caa = platform_memory(vcpu->caa_gpa, PLATFORM_PAGE_SIZE);

  ASSERT(caa != NULL);
  __atomic_store_n(&caa[CAA_CALL_PENDING], pending, __ATOMIC_SEQ_CST);
  if (!guest_host_skipped(vcpu))
    guest_exit_with(vcpu, regs, exit_code);
  return __atomic_exchange_n(&caa[CAA_CALL_PENDING], 0, __ATOMIC_SEQ_CST);
}


int guest_vmgexit(guest_vcpu_t* vcpu, guest_regs_t* regs) {
  return guest_vmgexit_raw(vcpu, regs, 1, VMSA_EXIT_VMGEXIT) == 0 ? 0 : -1;
}


uint32_t guest_call(guest_vcpu_t* vcpu, guest_regs_t* regs) {
  const guest_regs_t asked = *regs;
  const uint32_t incomplete = 0x80000000u; /* abi.md 1.4 */
  const uint32_t busy = 0x80000007u;
  uint32_t result;

  do {
    *regs = asked;
    if (guest_vmgexit(vcpu, regs) != 0)
      return UINT32_MAX; /* the host never ran the firmware */
    result = (uint32_t) regs->rax;
  } while (result == incomplete || result == busy);
  return result;
}


uint32_t guest_start_vcpu(guest_vcpu_t* vcpu,
                          uint32_t index,
                          guest_main_cb main,
                          void* arg) {
  uint64_t vmsa_gpa = guest_alloc_pages(2);
  uint64_t caa_gpa = vmsa_gpa + PLATFORM_PAGE_SIZE;

  if (vmsa_gpa == 0)
    return UINT32_MAX;
  guest_fill_vmsa(vmsa_gpa);
  guest_regs_t regs = {
      .rax = 2, /* protocol 0, CREATE_VCPU */
      .rcx = vmsa_gpa,
      .rdx = caa_gpa,
      .r8 = index,
  };
  uint32_t result = guest_call(vcpu, &regs);
  if (result == 0)
    guest_host_start(index, vmsa_gpa, caa_gpa, main, arg);
  return result;
}


void guest_halt(guest_vcpu_t* vcpu) {
  if (atomic_exchange(&vcpu->is_wanted, false))
    return;
  vcpu->is_halted = true;
  guest_leave(vcpu, PLATFORM_EXIT_HALT);
}

/*
 * handlers/core_vcpu.c - REMAP_CA, CREATE_VCPU, DELETE_VCPU (abi.md 1.6).
 *
 *   create:  check -> reserve -> (settle) -> take the page away -> judge it
 *                                            -> make it a VMSA -> active
 *   delete:  VMSA no more -> retire -> (settle) -> bury: pages given back
 *
 * The promise: a page becomes a VMSA only after the guest has lost its rights
 * to it, no other CPU of ours is still copying into it, and what was checked
 * in it can't change any more. So nobody gets a VMSA that says VMPL0.
 *
 * Nothing waits here: a step that can't be done yet is tried again when the
 * call is looked at next, and a vCPU deleted in between is abandoned.
 */
#include "handlers/core.h"

#include "arch/arch.h"
#include "arch/platform.h"
#include "handlers/result.h"
#include "handlers/vcpu.h"
#include "handlers/vmsa.h"

#define GUEST_VMPL_MAX 3u

typedef struct core_change_s {
  vcpu_t* vcpu; /* which is being created or deleted */
} core_change_t;

static core_change_t core_changes[VCPUS_MAX]; /* by the asking vCPU */

void core_init(void) {
  for (uint32_t i = 0; i < VCPUS_MAX; i++) {
    core_changes[i].vcpu = NULL;
    core_page_forget(i);
  }
}


static void core_vcpu_finish(svsm_call_t* call, svsm_result_t result) {
  svsm_call_finish(call, svsm_result_wire(result));
}


static bool core_page_aligned(uint64_t gpa) {
  return gpa % PLATFORM_PAGE_SIZE == 0;
}


/* A whole page for a calling area or a VMSA: memory, the guest's, and in no
 * such use yet, but as `except`'s calling area. */
static bool core_page_usable(uint64_t gpa, const vcpu_t* except) {
  if (gpa > UINT64_MAX - PLATFORM_PAGE_SIZE)
    return false;
  return !platform_is_firmware(gpa, PLATFORM_PAGE_SIZE) &&
         vcpu_pages_in(gpa, PLATFORM_PAGE_SIZE, except) == 0 &&
         platform_guest_has(gpa, PLATFORM_PAGE_SIZE);
}


/* No guest level has any right to the page. */
static uint32_t core_take_away(uint64_t gpa) {
  for (uint32_t vmpl = 1; vmpl <= GUEST_VMPL_MAX; vmpl++) {
    uint32_t rmp = platform_rmpadjust(gpa, false, vmpl, 0);
    if (rmp != PLATFORM_RMP_OK)
      return rmp;
  }
  return PLATFORM_RMP_OK;
}


/* The page is the guest's again: of its first level, which deals out rights to
 * the others. What they had isn't known any more, and a call must not win them
 * any. A failure means that the host took the page: there is nothing to give.
 */
static void core_give_back(uint64_t gpa) {
  (void) platform_rmpadjust(gpa, false, 1, PLATFORM_RIGHT_ALL);
}


/* ---- REMAP_CA ---- */

static void core_vcpu_remap_step(svsm_call_t* call) {
  vcpu_t* vcpu = vcpu_at(call->vcpu_index);
  svsm_result_t result = SVSM_INVALID_ADDRESS;

  if (!vcpu_try_lock())
    return;
  if (core_page_usable(call->in.rcx, vcpu) &&
      platform_guest_store_u8(call->in.rcx, 0) == 0) {
    vcpu_set_caa(vcpu, call->in.rcx);
    result = SVSM_SUCCESS;
  }
  vcpu_unlock();
  core_vcpu_finish(call, result);
}


static void core_vcpu_remap_abandoned(svsm_call_t* call) {
  core_vcpu_finish(call, SVSM_INVALID_REQUEST); /* nobody will see it */
}


void core_vcpu_remap(svsm_call_t* call) {
  if (!core_page_aligned(call->in.rcx)) {
    core_vcpu_finish(call, SVSM_INVALID_PARAMETER);
    return;
  }
  call->step = core_vcpu_remap_step;
  call->abandon = core_vcpu_remap_abandoned;
  core_vcpu_remap_step(call);
}


/* ---- CREATE_VCPU ---- */

/* May this page be a VMSA that `caller_vmpl` asks for? The page can't change
 * any more. */
static bool core_vmsa_good(uint64_t gpa, uint32_t caller_vmpl, uint32_t* vmpl) {
  uint8_t guest_vmpl;
  uint64_t guest_efer;
  uint64_t guest_features;

  if (platform_guest_read(&guest_vmpl, VMSA_GPA(gpa, vmpl),
                          sizeof(guest_vmpl)) != 0 ||
      platform_guest_read(&guest_efer, VMSA_GPA(gpa, efer),
                          sizeof(guest_efer)) != 0 ||
      platform_guest_read(&guest_features, VMSA_GPA(gpa, sev_features),
                          sizeof(guest_features)) != 0)
    return false;
  *vmpl = guest_vmpl;
  return guest_vmpl != 0 && guest_vmpl <= GUEST_VMPL_MAX &&
         guest_vmpl >= caller_vmpl && (guest_efer & VMSA_EFER_SVME) != 0 &&
         guest_features == vcpu_sev_features();
}


static svsm_result_t core_vcpu_make(svsm_call_t* call, vcpu_t* new) {
  uint64_t gpa = vcpu_vmsa_gpa(new);

  if (core_take_away(gpa) != PLATFORM_RMP_OK)
    return SVSM_INVALID_ADDRESS;
  if (!core_vmsa_good(gpa, call->vmpl, &new->vmpl)) {
    core_give_back(gpa);
    return SVSM_INVALID_PARAMETER;
  }
  /* Linux reads SEV_FEATURES from the page afterwards: it may. */
  if (platform_rmpadjust(gpa, false, 1,
                         PLATFORM_RIGHT_VMSA | PLATFORM_RIGHT_READ) !=
      PLATFORM_RMP_OK) {
    core_give_back(gpa);
    return SVSM_INVALID_ADDRESS;
  }
  new->call.vmpl = new->vmpl;
  return SVSM_SUCCESS;
}


static void core_vcpu_create_settled(svsm_call_t* call) {
  core_change_t* change = &core_changes[call->vcpu_index];
  vcpu_t* new = change->vcpu;

  if (!vcpu_settled(new, call->cpu) || !vcpu_try_lock())
    return;
  svsm_result_t result = core_vcpu_make(call, new);
  if (result == SVSM_SUCCESS)
    vcpu_activate(new);
  else
    vcpu_unreserve(new);
  uint32_t cpu = new->cpu;
  vcpu_unlock();
  change->vcpu = NULL;
  core_vcpu_finish(call, result);
  uvx_cpu_kick(cpu); /* it has a guest to look at now */
}


static void core_vcpu_create_abandoned(svsm_call_t* call) {
  core_change_t* change = &core_changes[call->vcpu_index];

  if (change->vcpu != NULL)
    vcpu_unreserve(change->vcpu); /* whoever buries has the lock */
  change->vcpu = NULL;
  core_vcpu_finish(call, SVSM_INVALID_REQUEST);
}


static void core_vcpu_create_step(svsm_call_t* call) {
  core_change_t* change = &core_changes[call->vcpu_index];
  vcpu_new_t new = {
      .vmsa_gpa = call->in.rcx,
      .caa_gpa = call->in.rdx,
      .cpu = platform_cpu_of_apic_id((uint32_t) call->in.r8),
      .vmpl = GUEST_VMPL_MAX, /* until its VMSA has been read */
  };

  if (change->vcpu != NULL) {
    core_vcpu_create_settled(call);
    return;
  }
  if (!vcpu_try_lock())
    return;
  svsm_result_t result = SVSM_SUCCESS;
  if (!core_page_usable(new.vmsa_gpa, NULL) ||
      !core_page_usable(new.caa_gpa, NULL) || new.vmsa_gpa == new.caa_gpa) {
    result = SVSM_INVALID_ADDRESS;
  } else {
    change->vcpu = vcpu_reserve(&new);
    if (change->vcpu == NULL)
      result = SVSM_INVALID_REQUEST; /* VCPUS_MAX are known: no use to retry */
  }
  vcpu_unlock();
  if (result != SVSM_SUCCESS)
    core_vcpu_finish(call, result);
  else
    core_vcpu_create_settled(call);
}


void core_vcpu_create(svsm_call_t* call) {
  uint32_t cpu = platform_cpu_of_apic_id((uint32_t) call->in.r8);

  ASSERT(core_changes[call->vcpu_index].vcpu == NULL);
  if (!core_page_aligned(call->in.rcx) || !core_page_aligned(call->in.rdx) ||
      call->in.r8 > UINT32_MAX || cpu == PLATFORM_CPU_NONE) {
    core_vcpu_finish(call, SVSM_INVALID_PARAMETER);
    return;
  }
  if (cpu == call->cpu) { /* would take the CPU from under the caller */
    core_vcpu_finish(call, SVSM_INVALID_REQUEST);
    return;
  }
  call->step = core_vcpu_create_step;
  call->abandon = core_vcpu_create_abandoned;
  core_vcpu_create_step(call);
}


/* ---- DELETE_VCPU ---- */

static void core_vcpu_bury_one(vcpu_t* vcpu) {
  svsm_call_t* call = &vcpu->call;

  core_give_back(vcpu_vmsa_gpa(vcpu));
  core_page_forget(vcpu->index);
  if (atomic_load_explicit(&call->state, memory_order_acquire) ==
          SVSM_CALL_RUNNING &&
      call->abandon != NULL)
    call->abandon(call);
  vcpu_bury(vcpu);
}


void core_vcpu_bury(void) {
  if (!vcpu_any_gone() || !vcpu_try_lock())
    return;
  vcpu_t* vcpu = vcpu_to_bury();
  if (vcpu != NULL)
    core_vcpu_bury_one(vcpu);
  vcpu_unlock();
}


/* Retired by us: over when it has been buried, by whomever. */
static void core_vcpu_delete_settle(svsm_call_t* call) {
  core_change_t* change = &core_changes[call->vcpu_index];

  core_vcpu_bury();
  if (atomic_load(&change->vcpu->state) == VCPU_GONE)
    return;
  change->vcpu = NULL;
  core_vcpu_finish(call, SVSM_SUCCESS);
}


static void core_vcpu_delete_abandoned(svsm_call_t* call) {
  core_changes[call->vcpu_index].vcpu = NULL; /* it is buried without us */
  core_vcpu_finish(call, SVSM_SUCCESS);
}


/* Take the VMSA out of use; with the lock. */
static svsm_result_t core_vcpu_unmake(svsm_call_t* call, vcpu_t* target) {
  uint64_t efer = 0;

  if (target == NULL || target->is_boot || target->vmpl < call->vmpl)
    return SVSM_INVALID_PARAMETER;
  uint64_t gpa = vcpu_vmsa_gpa(target);
  uint32_t rmp = platform_rmpadjust(gpa, false, 1, PLATFORM_RIGHT_READ);
  if (rmp == PLATFORM_RMP_FAIL_INUSE)
    return SVSM_RMP_FAIL_INUSE; /* it runs just now */
  if (rmp != PLATFORM_RMP_OK)
    return SVSM_INVALID_PARAMETER;
  uint64_t efer_gpa = VMSA_GPA(gpa, efer);
  if (platform_guest_read(&efer, efer_gpa, sizeof(efer)) == 0) {
    efer &= ~VMSA_EFER_SVME;
    (void) platform_guest_write(efer_gpa, &efer, sizeof(efer));
  }
  vcpu_retire(target);
  return SVSM_SUCCESS;
}


static void core_vcpu_delete_step(svsm_call_t* call) {
  core_change_t* change = &core_changes[call->vcpu_index];

  if (change->vcpu != NULL) {
    core_vcpu_delete_settle(call);
    return;
  }
  if (!vcpu_try_lock())
    return;
  vcpu_t* target = vcpu_find(call->in.rcx);
  svsm_result_t result = core_vcpu_unmake(call, target);
  vcpu_unlock();
  if (result != SVSM_SUCCESS) {
    core_vcpu_finish(call, result);
    return;
  }
  /* One that deletes itself gets no answer: nobody is left to get it. Its
   * call ends with its burial. */
  change->vcpu = target;
  if (target->index != call->vcpu_index)
    core_vcpu_delete_settle(call);
}


void core_vcpu_delete(svsm_call_t* call) {
  ASSERT(core_changes[call->vcpu_index].vcpu == NULL);

  if (!core_page_aligned(call->in.rcx)) {
    core_vcpu_finish(call, SVSM_INVALID_PARAMETER);
    return;
  }
  call->step = core_vcpu_delete_step;
  call->abandon = core_vcpu_delete_abandoned;
  core_vcpu_delete_step(call);
}

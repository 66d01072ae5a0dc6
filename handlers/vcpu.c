/*
 * handlers/vcpu.c - the table of the guest's CPUs and the sections of those
 * who read it.
 *
 * The promise: after vcpu_settled() said true, no CPU acts on what the table
 * said before the change. Each CPU counts its sections: odd inside,
 * even outside. A writer notes all counts and is done when each one was even
 * or has changed since; a busy machine can't keep it from getting there.
 *
 * Why the orders are sequentially consistent: a reader stores its count and
 * then loads the table, a writer stores to the table and then loads the
 * counts; with less, both could miss the other's store.
 */
#include "handlers/vcpu.h"

#include "arch/arch.h"
#include "arch/platform.h"

#define VCPU_PAGE_HELD 1u /* bit 0 of a page: it is the vCPU's */

typedef struct vcpu_section_s {
  _Alignas(ARCH_CACHE_LINE_SIZE) _Atomic uint32_t count;
} vcpu_section_t;

static vcpu_t vcpus[VCPUS_MAX];
static _Atomic uint32_t vcpus_used; /* all above were never in use */
static _Atomic(vcpu_t*) vcpu_currents[CPUS_MAX];
static uint64_t vcpu_features;

static vcpu_section_t vcpu_sections[CPUS_MAX];
static _Atomic bool vcpu_lock;
static _Atomic uint32_t vcpu_gone_count; /* not yet buried */

void vcpu_init(void) {
  memset(vcpus, 0, sizeof(vcpus));
  for (uint32_t i = 0; i < CPUS_MAX; i++)
    atomic_store(&vcpu_currents[i], NULL);
  atomic_store(&vcpus_used, 0);
  atomic_store(&vcpu_gone_count, 0);
  atomic_store(&vcpu_lock, false);
  vcpu_features = 0;
}


vcpu_t* vcpu_boot(const vcpu_new_t* new, uint64_t sev_features) {
  vcpu_t* vcpu = vcpu_reserve(new);

  if (vcpu == NULL)
    return NULL;
  vcpu->is_boot = true;
  vcpu_features = sev_features;
  vcpu_activate(vcpu);
  return vcpu;
}


uint64_t vcpu_sev_features(void) {
  return vcpu_features;
}


void vcpu_section_begin(uint32_t cpu) {
  ASSERT(cpu < CPUS_MAX);
  ASSERT(!vcpu_section_held(cpu));

  /* Before anything in the section: see the top of the file. */
  atomic_fetch_add(&vcpu_sections[cpu].count, 1);
}


void vcpu_section_end(uint32_t cpu) {
  ASSERT(vcpu_section_held(cpu));

  uint32_t count =
      atomic_load_explicit(&vcpu_sections[cpu].count, memory_order_relaxed);
  /* Release: what was done inside is done before a writer goes on. Nobody else
   * counts here, so a plain store does. */
  atomic_store_explicit(&vcpu_sections[cpu].count, count + 1,
                        memory_order_release);
}


bool vcpu_section_held(uint32_t cpu) {
  ASSERT(cpu < CPUS_MAX);
  return (atomic_load_explicit(&vcpu_sections[cpu].count,
                               memory_order_relaxed) &
          1) != 0;
}


vcpu_t* vcpu_current(uint32_t cpu) {
  ASSERT(vcpu_section_held(cpu));

  vcpu_t* vcpu = atomic_load(&vcpu_currents[cpu]);
  MAYBE(vcpu == NULL);
  return vcpu;
}


vcpu_t* vcpu_at(uint32_t index) {
  return index < VCPUS_MAX ? &vcpus[index] : NULL;
}


bool vcpu_is_active(const vcpu_t* vcpu) {
  return atomic_load(&vcpu->state) == VCPU_ACTIVE;
}


uint64_t vcpu_vmsa_gpa(const vcpu_t* vcpu) {
  return atomic_load(&vcpu->vmsa_page) & ~(uint64_t) VCPU_PAGE_HELD;
}


uint64_t vcpu_caa_gpa(const vcpu_t* vcpu) {
  return atomic_load(&vcpu->caa_page) & ~(uint64_t) VCPU_PAGE_HELD;
}


/* Does the vCPU's `page` lie in [gpa, gpa + size)? `gpa` is any byte's. */
static bool vcpu_page_in(uint64_t page, uint64_t gpa, uint64_t size) {
  uint64_t page_gpa = page & ~(uint64_t) VCPU_PAGE_HELD;

  if ((page & VCPU_PAGE_HELD) == 0)
    return false;
  if (gpa >= page_gpa)
    return gpa - page_gpa < PLATFORM_PAGE_SIZE;
  return page_gpa - gpa < size;
}


uint32_t vcpu_pages_in(uint64_t gpa, uint64_t size, const vcpu_t* except) {
  uint32_t used = atomic_load(&vcpus_used);
  uint32_t kinds = 0;

  for (uint32_t i = 0; i < used; i++) {
    if (vcpu_page_in(atomic_load(&vcpus[i].vmsa_page), gpa, size))
      kinds |= VCPU_PAGE_VMSA;
    if (&vcpus[i] != except &&
        vcpu_page_in(atomic_load(&vcpus[i].caa_page), gpa, size))
      kinds |= VCPU_PAGE_CAA;
  }
  return kinds;
}


/* A place that nobody uses: a vCPU that is gone keeps its own until its last
 * call has ended. */
static vcpu_t* vcpu_place(void) {
  for (uint32_t i = 0; i < VCPUS_MAX; i++) {
    uint32_t state = atomic_load(&vcpus[i].state);
    uint32_t call = atomic_load(&vcpus[i].call.state);

    if (state == VCPU_FREE ||
        (state == VCPU_BURIED && call != SVSM_CALL_RUNNING))
      return &vcpus[i];
  }
  return NULL;
}


/* The change is published; note who might have missed it. */
static void vcpu_settle_begin(vcpu_t* vcpu) {
  for (uint32_t i = 0; i < CPUS_MAX; i++)
    vcpu->seen[i] = atomic_load(&vcpu_sections[i].count);
}


vcpu_t* vcpu_reserve(const vcpu_new_t* new) {
  ASSERT(new->cpu < CPUS_MAX);
  ASSERT((new->vmsa_gpa& VCPU_PAGE_HELD) == 0);
  ASSERT((new->caa_gpa& VCPU_PAGE_HELD) == 0);

  vcpu_t* vcpu = vcpu_place();
  if (vcpu == NULL)
    return NULL;
  uint32_t index = (uint32_t) (vcpu - vcpus);
  vcpu->index = index; /* field by field: others are looking at the atomics */
  vcpu->cpu = new->cpu;
  vcpu->vmpl = new->vmpl;
  vcpu->is_boot = false;
  vcpu->asking = false;
  vcpu->came_new_ns = 0;
  vcpu->rounds_new = 0;
  vcpu->call.goes_on = false;
  atomic_store(&vcpu->call.state, SVSM_CALL_REST);
  vcpu->call.vcpu_index = index;
  vcpu->call.cpu = new->cpu;
  vcpu->call.vmpl = new->vmpl;
  atomic_store(&vcpu->state, VCPU_COMING);
  atomic_store(&vcpu->vmsa_page, new->vmsa_gpa | VCPU_PAGE_HELD);
  atomic_store(&vcpu->caa_page, new->caa_gpa | VCPU_PAGE_HELD);
  if (index >= atomic_load(&vcpus_used))
    atomic_store(&vcpus_used, index + 1);
  vcpu_settle_begin(vcpu);
  return vcpu;
}


void vcpu_activate(vcpu_t* vcpu) {
  ASSERT(atomic_load(&vcpu->state) == VCPU_COMING);

  atomic_store(&vcpu->state, VCPU_ACTIVE);
  atomic_store(&vcpu_currents[vcpu->cpu], vcpu);
}


void vcpu_unreserve(vcpu_t* vcpu) {
  ASSERT(atomic_load(&vcpu->state) == VCPU_COMING);

  atomic_store(&vcpu->vmsa_page, 0);
  atomic_store(&vcpu->caa_page, 0);
  atomic_store(&vcpu->state, VCPU_FREE);
}


vcpu_t* vcpu_find(uint64_t vmsa_gpa) {
  uint32_t used = atomic_load(&vcpus_used);

  for (uint32_t i = 0; i < used; i++) {
    if (vcpu_is_active(&vcpus[i]) && vcpu_vmsa_gpa(&vcpus[i]) == vmsa_gpa)
      return &vcpus[i];
  }
  return NULL;
}


void vcpu_retire(vcpu_t* vcpu) {
  ASSERT(vcpu_is_active(vcpu));
  ASSERT(!vcpu->is_boot);

  vcpu_t* expected = vcpu;
  atomic_compare_exchange_strong(&vcpu_currents[vcpu->cpu], &expected, NULL);
  atomic_fetch_add(&vcpu_gone_count, 1);
  atomic_store(&vcpu->state, VCPU_GONE);
  vcpu_settle_begin(vcpu);
}


vcpu_t* vcpu_to_bury(void) {
  uint32_t used = atomic_load(&vcpus_used);

  for (uint32_t i = 0; i < used; i++) {
    if (atomic_load(&vcpus[i].state) == VCPU_GONE &&
        vcpu_settled(&vcpus[i], CPUS_MAX))
      return &vcpus[i];
  }
  return NULL;
}


void vcpu_bury(vcpu_t* vcpu) {
  ASSERT(atomic_load(&vcpu->state) == VCPU_GONE);

  atomic_store(&vcpu->vmsa_page, 0);
  atomic_store(&vcpu->caa_page, 0);
  atomic_store(&vcpu->state, VCPU_BURIED);
  atomic_fetch_sub(&vcpu_gone_count, 1);
}


bool vcpu_any_gone(void) {
  return atomic_load(&vcpu_gone_count) != 0;
}


void vcpu_set_caa(vcpu_t* vcpu, uint64_t caa_gpa) {
  ASSERT((caa_gpa & VCPU_PAGE_HELD) == 0);

  atomic_store(&vcpu->caa_page, caa_gpa | VCPU_PAGE_HELD);
}


bool vcpu_settled(const vcpu_t* vcpu, uint32_t cpu) {
  for (uint32_t i = 0; i < CPUS_MAX; i++) {
    if (i != cpu && (vcpu->seen[i] & 1) != 0 &&
        atomic_load(&vcpu_sections[i].count) == vcpu->seen[i])
      return false;
  }
  return true;
}


bool vcpu_try_lock(void) {
  return !atomic_exchange(&vcpu_lock, true);
}


void vcpu_unlock(void) {
  ASSERT(atomic_load(&vcpu_lock));
  atomic_store(&vcpu_lock, false);
}

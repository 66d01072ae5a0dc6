/*
 * handlers/vcpu.h - the guest's CPUs: who they are, and which pages are theirs.
 *
 *   FREE -> COMING -> ACTIVE -> GONE -> BURIED = FREE, once its last call
 *           (checks)            (settles)        has ended
 *
 * One table for the machine. Who changes it holds vcpu_try_lock(), for a few
 * instructions and never while waiting; any CPU reads it, without locks. A
 * reader that acts on what it has read (copies to a page that is no VMSA,
 * answers a vCPU that is still there) does so inside a *section*; a writer
 * first publishes the change and goes on only when every section that might
 * have missed it is over (vcpu_settled). So nobody ever writes into a page that
 * has become a VMSA meanwhile, which would be the way to VMPL0.
 *
 * A CPU may have several VMSAs (Linux makes the new one before it deletes the
 * old one); the one made last is its current one, the only one we enter.
 */
#ifndef EVSM_HANDLERS_VCPU_H
#define EVSM_HANDLERS_VCPU_H

#include "handlers/call.h"
#include "runtime/bounds.h"

#define VCPUS_MAX (2u * CPUS_MAX) /* VMSAs known at one time */

typedef enum {
  VCPU_FREE, /* 0 */
  VCPU_COMING,
  VCPU_ACTIVE,
  VCPU_GONE,   /* its pages are still refused */
  VCPU_BURIED, /* they are the guest's again */
} vcpu_state_t;

typedef struct vcpu_s {
  /* Written under the lock, read by any CPU. An address has bit 0 set
   * while the page is the vCPU's, and is 0 otherwise. */
  _Atomic uint32_t state; /* vcpu_state_t */
  _Atomic uint64_t vmsa_page;
  _Atomic uint64_t caa_page;

  uint32_t seen[CPUS_MAX]; /* vcpu_settle_begin's, while COMING or GONE */

  /* Fixed while it isn't FREE. */
  uint32_t index;
  uint32_t cpu;
  uint32_t vmpl;
  bool is_boot; /* the guest may not delete it */

  /* Only its CPU, in a section. */
  bool asking;        /* it left with a call and waits for the answer */
  svsm_regs_t asked;  /* what it asks for, this round */
  uint64_t asked_caa; /* through which calling area */
  uint64_t arrived_ns;
  uint64_t deadline_ns; /* of this round */
  uint32_t rounds_new;  /* rounds of `asked` spent behind a given-up call */
  uint64_t came_new_ns; /* when the first of them came; 0: none */
  svsm_call_t call;
} vcpu_t;

typedef struct vcpu_new_s {
  uint64_t vmsa_gpa;
  uint64_t caa_gpa;
  uint32_t cpu;
  uint32_t vmpl;
} vcpu_new_t;

/* Forget everything. Context: [boot]. */
void vcpu_init(void);

/*
 * The vCPU that the machine starts with on `new->cpu`, whose VMSA was
 * measured; all later ones must have the same SEV_FEATURES.
 *
 * Context:  [boot].
 * Returns:  it, or NULL if the table is full.
 */
vcpu_t* vcpu_boot(const vcpu_new_t* new, uint64_t sev_features);

uint64_t vcpu_sev_features(void);

/* ---- Reading: any CPU ---- */

/*
 * A section: short, waits for nothing, not nested; interrupts closed.
 * Context: [loop], on CPU `cpu`.
 */
void vcpu_section_begin(uint32_t cpu);
void vcpu_section_end(uint32_t cpu);
bool vcpu_section_held(uint32_t cpu);

/* The vCPU that CPU `cpu` enters, or NULL. Context: in a section. */
vcpu_t* vcpu_current(uint32_t cpu);

/* Context: [any]. NULL unless `index` is below VCPUS_MAX. */
vcpu_t* vcpu_at(uint32_t index);

bool vcpu_is_active(const vcpu_t* vcpu);

/* Its pages; valid for an active one. */
uint64_t vcpu_vmsa_gpa(const vcpu_t* vcpu);
uint64_t vcpu_caa_gpa(const vcpu_t* vcpu);

#define VCPU_PAGE_VMSA 1u
#define VCPU_PAGE_CAA 2u

/*
 * Is any page of [gpa, gpa + size) a VMSA or a calling area? Returns the kinds
 * found (VCPU_PAGE_ bits); the calling area of `except` does not count.
 *
 * Context:  in a section, if one acts on the answer; or with the lock.
 * Cost:     O(vCPUs).
 */
uint32_t vcpu_pages_in(uint64_t gpa, uint64_t size, const vcpu_t* except);

/* ---- Changing: with the lock ---- */

/*
 * Take the right to change the table; false if another CPU has it: try again
 * in a later turn. Held for a few instructions, never across a turn.
 *
 * Context:  [loop].
 */
bool vcpu_try_lock(void);
void vcpu_unlock(void);

/* Reserve a place: both pages are refused to everybody from now on. NULL if
 * the table is full. Begins to settle. */
vcpu_t* vcpu_reserve(const vcpu_new_t* new);

/* The reserved one is ready, and current on its CPU. */
void vcpu_activate(vcpu_t* vcpu);

/* The reserved one is not wanted after all. */
void vcpu_unreserve(vcpu_t* vcpu);

/* The active one with this VMSA, or NULL. Also without the lock. */
vcpu_t* vcpu_find(uint64_t vmsa_gpa);

/* Out of use: not current any more, its pages still refused. Begins to
 * settle. */
void vcpu_retire(vcpu_t* vcpu);

/* One that is gone and settled, or NULL. */
vcpu_t* vcpu_to_bury(void);

/* Its pages are the guest's again; its place is free when its call ends. */
void vcpu_bury(vcpu_t* vcpu);

/* Is anybody gone and not yet buried? Context: [any]. */
bool vcpu_any_gone(void);

void vcpu_set_caa(vcpu_t* vcpu, uint64_t caa_gpa);

/* No section of another CPU than `cpu` is left that had begun before `vcpu`
 * was reserved, or retired. Also without the lock. */
bool vcpu_settled(const vcpu_t* vcpu, uint32_t cpu);

#endif /* EVSM_HANDLERS_VCPU_H */

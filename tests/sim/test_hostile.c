/*
 * tests/sim/test_hostile.c - a guest at war with itself and with us.
 *
 * Goal:   whatever vCPUs ask for and do to one another's memory, registers and
 *         lives, a vCPU that behaves is served, and the machine ends clean.
 * Method: attackers draw calls, registers and gPAs by chance, give calls up in
 *         the middle, and write into calling areas, lists, TPM buffers and
 *         VMSAs meanwhile; the boot vCPU asks properly, deletes them and makes
 *         them anew. All of it again with each seed, and a small budget.
 */
#include "tests/unit/unit.h"

#include "handlers/result.h"
#include "handlers/vmsa.h"
#include "tests/sim/machine.h"

#define ATTACKERS 3u /* on CPUs 1.. */
#define PAGE 4096u
#define POOL_PAGES 24u
#define ROUNDS 400u
#define SEND_COMMAND 8u
#define BUSY_VMSA 0x80001003u

static struct {
  uint64_t pool; /* gPA of the pages that are fought for */
  _Atomic uint64_t vmsa[ATTACKERS + 1];
  _Atomic bool over;
  _Atomic uint32_t calls;
  uint32_t made;
  uint32_t unserved; /* of the boot vCPU's own calls */
} war;

typedef struct {
  uint64_t state;
} dice_t;

static uint64_t roll(dice_t* dice) {
  dice->state ^= dice->state << 13;
  dice->state ^= dice->state >> 7;
  dice->state ^= dice->state << 17;
  return dice->state;
}


static uint64_t any_page(dice_t* dice) {
  return war.pool + roll(dice) % POOL_PAGES * PAGE;
}


/* Pages of the pool, now and then an attacker's VMSA, and what is no page. */
static uint64_t any_gpa(dice_t* dice) {
  switch (roll(dice) % 16u) {
    case 0:
      return roll(dice);
    case 1:
      return any_page(dice) + roll(dice) % PAGE;
    case 2:
      return guest_memory_size() - PAGE;
    case 3:
      return UINT64_MAX - roll(dice) % PAGE;
    case 4:
      return any_page(dice) | 1ull << (52u + roll(dice) % 12u);
    case 5:
      return PLATFORM_FIRMWARE_GPA;
    case 6:
      return war.vmsa[1u + roll(dice) % ATTACKERS];
    default:
      return any_page(dice);
  }
}


static void scribble(dice_t* dice) {
  uint8_t* page = guest_memory(any_page(dice), PAGE);
  uint64_t count = roll(dice) % 32u;

  for (uint64_t i = 0; i < count; i++) {
    uint64_t at = roll(dice) % 2u == 0 ? i * 8u : roll(dice) % PAGE & ~7ull;
    uint64_t what = roll(dice) % 3u == 0 ? any_gpa(dice) | roll(dice) % 8u
                                         : roll(dice) % 300u;
    __atomic_store_n((uint64_t*) (void*) (page + at), what, __ATOMIC_RELAXED);
  }
}


/* The head of a TPM command; the rest is what lies there. */
static void aim_at_tpm(dice_t* dice, uint64_t gpa) {
  uint8_t* page = guest_memory(gpa, PAGE);
  uint8_t head[] = {SEND_COMMAND, 0, 0, 0, 0, 12, 0, 0, 0, 0x80, 1, 0, 0, 0,
                    12,           0, 0, 1, 0, 0,  32};

  head[18] = (uint8_t) (0x1Fu + roll(dice) % 0x7Bu);
  if (roll(dice) % 8u == 0)
    head[5 + roll(dice) % 4u] = (uint8_t) roll(dice);
  for (size_t i = 0; i < sizeof(head); i++)
    __atomic_store_n(&page[i], head[i], __ATOMIC_RELAXED);
}


/* As guest_fill_vmsa() does it, in a page that others write to as well. */
static void fill_vmsa(uint64_t gpa) {
  vmsa_wire_t* vmsa = guest_memory(gpa, sizeof(*vmsa));

  __atomic_store_n(&vmsa->vmpl, 1, __ATOMIC_RELAXED);
  __atomic_store_n(&vmsa->efer, VMSA_EFER_SVME, __ATOMIC_RELAXED);
  __atomic_store_n(&vmsa->sev_features, 1, __ATOMIC_RELAXED);
}


static guest_regs_t any_call(dice_t* dice) {
  static const uint64_t often[] = {MACHINE_REMAP_CA,       MACHINE_PVALIDATE,
                                   MACHINE_CREATE_VCPU,    MACHINE_DELETE_VCPU,
                                   MACHINE_QUERY_PROTOCOL, MACHINE_VTPM_QUERY,
                                   MACHINE_VTPM_CMD,       MACHINE_VTPM_CMD};
  guest_regs_t regs = {.rax = often[roll(dice) % ARRAY_SIZE(often)],
                       .rcx = any_gpa(dice),
                       .rdx = any_gpa(dice),
                       .r8 = 1 + roll(dice) % (ATTACKERS + 2u),
                       .r9 = roll(dice)};

  if (roll(dice) % 16u == 0)
    regs.rax = (roll(dice) % 6u) << 32 | roll(dice) % 10u;
  if (roll(dice) % 64u == 0)
    regs.rax = roll(dice);
  /* Others' VMSAs are for deleting: whom the host runs is the host's. */
  if (regs.rax == MACHINE_CREATE_VCPU) {
    regs.rcx = any_page(dice);
    fill_vmsa(regs.rcx);
  }
  if (regs.rax == MACHINE_VTPM_CMD && regs.rcx % PAGE == 0 &&
      regs.rcx - war.pool < (uint64_t) POOL_PAGES * PAGE)
    aim_at_tpm(dice, regs.rcx);
  return regs;
}


static void attacker(guest_vcpu_t* vcpu, void* arg) {
  dice_t dice = {(uint64_t) (uintptr_t) arg * 0x9E3779B97F4A7C15ull +
                 guest_vcpu_index(vcpu)};

  while (!atomic_load(&war.over)) {
    guest_regs_t regs = any_call(&dice);
    uint64_t asked = regs.rcx;
    bool moves = regs.rax == MACHINE_REMAP_CA;
    scribble(&dice);
    /* Now and then it does not come back for the answer. */
    uint64_t turns = 1 + roll(&dice) % 8u;
    guest_regs_t again = regs;
    do {
      regs = again;
      (void) guest_vmgexit(vcpu, &regs);
    } while ((uint32_t) regs.rax == SVSM_INCOMPLETE && --turns != 0);
    /* RAX is 0, too, if CALL_PENDING was taken away and nobody was asked. */
    if (moves && regs.rax == 0 && asked % PAGE == 0 &&
        guest_memory(asked, PAGE) != NULL)
      guest_set_calling_area(vcpu, asked);
    atomic_fetch_add(&war.calls, 1);
  }
}


static void make(guest_vcpu_t* vcpu, uint32_t index, uint64_t seed) {
  uint64_t rcx = atomic_load(&war.vmsa[index]);
  uint32_t result = 0;

  while (rcx != 0 &&
         (result = machine_call(vcpu, MACHINE_DELETE_VCPU, &rcx)) == BUSY_VMSA)
    continue;
  /* New pages: the host may still be about to run the old VMSA. */
  uint64_t vmsa = guest_alloc_pages(2);
  atomic_store(&war.vmsa[index], vmsa);
  guest_fill_vmsa(vmsa);
  guest_regs_t regs = {
      .rax = MACHINE_CREATE_VCPU, .rcx = vmsa, .rdx = vmsa + PAGE, .r8 = index};
  /* Others' VMSAs may have filled all places: then that is so. */
  if (guest_call(vcpu, &regs) != 0)
    return;
  war.made++;
  guest_host_start(index, vmsa, vmsa + PAGE, attacker,
                   (void*) (uintptr_t) (seed + war.made));
}


static uint32_t ask_random(guest_vcpu_t* vcpu, uint64_t gpa) {
  static const uint8_t command[] = {SEND_COMMAND, 0, 0, 0, 0, 12, 0, 0, 0,
                                    0x80,         1, 0, 0, 0, 12, 0, 0, 1,
                                    0x7B,         0, 16};
  uint64_t rcx = gpa;

  memcpy(guest_memory(gpa, sizeof(command)), command, sizeof(command));
  return machine_call(vcpu, MACHINE_VTPM_CMD, &rcx);
}


static void judge(guest_vcpu_t* vcpu, void* arg) {
  uint64_t seed = (uint64_t) (uintptr_t) arg;
  uint64_t own = guest_alloc_pages(1);

  war.pool = guest_alloc_pages(POOL_PAGES);
  for (uint32_t i = 1; i <= ATTACKERS; i++) {
    make(vcpu, i, seed);
  }
  for (uint32_t round = 0; round < ROUNDS; round++) {
    uint64_t rcx = 1;
    if (machine_call(vcpu, MACHINE_QUERY_PROTOCOL, &rcx) != 0)
      war.unserved++;
    if (ask_random(vcpu, own) != 0)
      war.unserved++;
    if (round % 8u == 0)
      make(vcpu, 1u + round / 8u % ATTACKERS, seed);
  }
  atomic_store(&war.over, true);
  service_stop();
}


static void one_that_behaves_is_served_in_a_war(void** state) {
  (void) state;
  const service_config_t config = {.has_tpm = true, .budget_us = 50};

  for (uintptr_t seed = 1; seed <= 3; seed++) {
    memset(&war, 0, sizeof(war));
    machine_run(ATTACKERS + 1, &config, judge, (void*) (seed * 1000u));
    assert_int_equal(0, war.unserved);
    assert_true(war.made > 0);
  }
}


int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_that_behaves_is_served_in_a_war),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

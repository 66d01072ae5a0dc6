/*
 * tests/sim/test_core.c - protocol 0, call by call, just over each edge.
 *
 * Goal:   a guest can't name what isn't its own, pages change state only as
 *         PVALIDATE says, no page becomes a VMSA that could be written, and a
 *         long list never outlasts its budget.
 * Method: tables of bad values against the real service on one or two CPUs;
 *         page states are read from the simulated RMP afterwards.
 */
#include "tests/unit/unit.h"

#include "handlers/result.h"
#include "handlers/vmsa.h"
#include "tests/sim/machine.h"

#define PAGE 4096ull
#define PAGE_2M (512 * PAGE)

#define INCOMPLETE 0x80000000u
#define UNSUPPORTED_PROTOCOL 0x80000001u
#define UNSUPPORTED_CALL 0x80000002u
#define INVALID_ADDRESS 0x80000003u
#define INVALID_PARAMETER 0x80000005u
#define INVALID_REQUEST 0x80000006u
#define INUSE 0x80001003u
#define SIZEMISMATCH 0x80001006u
#define UNCHANGED 0x80001010u

#define IS_2M 1u
#define VALIDATE 4u
#define IGNORE_CF 8u

#define CASES_MAX 64u

static const service_config_t plain = {0};

typedef struct {
  uint32_t want;
  uint32_t got;
  uint64_t out;
} case_t;

/* What the body found, to be judged afterwards. */
static struct {
  uint32_t count;
  case_t cases[CASES_MAX];
} found;

static void expect(uint32_t want, uint32_t got) {
  ASSERT(found.count < CASES_MAX);
  found.cases[found.count++] = (case_t){.want = want, .got = got};
}


static void run(uint32_t cpus, guest_main_cb body) {
  memset(&found, 0, sizeof(found));
  machine_run(cpus, &plain, body, NULL);
  assert_true(found.count > 0);
  for (uint32_t i = 0; i < found.count; i++) {
    if (found.cases[i].want != found.cases[i].got)
      fail_msg("case %u: 0x%x, not 0x%x", i, found.cases[i].got,
               found.cases[i].want);
  }
}


static uint32_t call4(
    guest_vcpu_t* vcpu, uint64_t rax, uint64_t rcx, uint64_t rdx, uint64_t r8) {
  guest_regs_t regs = {.rax = rax, .rcx = rcx, .rdx = rdx, .r8 = r8};

  return guest_call(vcpu, &regs);
}


/* ---- QUERY_PROTOCOL and what isn't there ---- */

static void query_all(guest_vcpu_t* vcpu, void* arg) {
  static const struct {
    uint64_t rcx;
    uint64_t want;
  } queries[] = {
      {0ull << 32 | 1, 1ull << 32 | 1},
      {0ull << 32 | 0, 0}, /* no version 0 */
      {0ull << 32 | 2, 0},
      {1ull << 32 | 1, 0}, /* no attestation, and no TPM in this machine */
      {2ull << 32 | 1, 0},
      {0xFFFFFFFFull << 32 | 1, 0},
  };

  (void) arg;
  for (uint32_t i = 0; i < ARRAY_SIZE(queries); i++) {
    uint64_t rcx = queries[i].rcx;
    expect(0, machine_call(vcpu, MACHINE_QUERY_PROTOCOL, &rcx));
    expect((uint32_t) (queries[i].want >> 32), (uint32_t) (rcx >> 32));
    expect((uint32_t) queries[i].want, (uint32_t) rcx);
  }
  expect(UNSUPPORTED_CALL, call4(vcpu, 4, 0, 0, 0)); /* DEPOSIT_MEM */
  expect(UNSUPPORTED_CALL, call4(vcpu, 5, 0, 0, 0)); /* WITHDRAW_MEM */
  expect(UNSUPPORTED_CALL, call4(vcpu, 8, 0, 0, 0));
  expect(UNSUPPORTED_CALL, call4(vcpu, UINT32_MAX, 0, 0, 0));
  expect(UNSUPPORTED_PROTOCOL, call4(vcpu, 1ull << 32, 0, 0, 0));
  expect(UNSUPPORTED_PROTOCOL, call4(vcpu, 0x80000000ull << 32, 0, 0, 0));
  uint64_t rcx = 1; /* vTOM: query */
  expect(0, machine_call(vcpu, 7, &rcx));
  expect(0, (uint32_t) rcx);
  expect(INVALID_REQUEST, call4(vcpu, 7, 2, 0, 0));
  service_stop();
}


static void queries_tell_what_there_is(void** state) {
  (void) state;
  run(1, query_all);
}


/* ---- REMAP_CA ---- */

static void remap(guest_vcpu_t* vcpu, void* arg) {
  uint64_t old = guest_calling_area(vcpu);
  uint64_t gpa = guest_alloc_pages(2);
  const struct {
    uint64_t gpa;
    uint32_t want;
  } bads[] = {
      {gpa + 1, INVALID_PARAMETER},
      {gpa + 2048, INVALID_PARAMETER},
      {PLATFORM_FIRMWARE_GPA, INVALID_ADDRESS},
      {PLATFORM_FIRMWARE_GPA + PLATFORM_FIRMWARE_SIZE - PAGE, INVALID_ADDRESS},
      {old - PAGE, INVALID_ADDRESS}, /* our own VMSA */
      {platform_validated_size(), INVALID_ADDRESS},
      {guest_memory_size(), INVALID_ADDRESS},
      {1ull << 63, INVALID_ADDRESS},
      {UINT64_MAX - PAGE + 1, INVALID_ADDRESS},
  };

  (void) arg;
  for (uint32_t i = 0; i < ARRAY_SIZE(bads); i++)
    expect(bads[i].want, call4(vcpu, MACHINE_REMAP_CA, bads[i].gpa, 0, 0));
  memset(guest_memory(gpa, PAGE), 0xFF, PAGE);
  expect(0, call4(vcpu, MACHINE_REMAP_CA, gpa, 0, 0));
  expect(0, *(uint8_t*) guest_memory(gpa, 1)); /* no call pending there */
  guest_set_calling_area(vcpu, gpa);
  expect(0, call4(vcpu, MACHINE_REMAP_CA, gpa, 0, 0)); /* to itself */
  expect(0, call4(vcpu, MACHINE_REMAP_CA, old, 0, 0)); /* the old one is free */
  guest_set_calling_area(vcpu, old);
  expect(0, call4(vcpu, MACHINE_REMAP_CA, gpa, 0, 0));
  /* From the old one nobody is heard any more. */
  guest_regs_t regs = {.rax = MACHINE_QUERY_PROTOCOL, .rcx = 1};
  expect(1, guest_vmgexit_raw(vcpu, &regs, 1, VMSA_EXIT_VMGEXIT));
  service_stop();
}


static void a_calling_area_moves_only_to_the_guests_own_pages(void** state) {
  (void) state;
  run(1, remap);
}


/* ---- PVALIDATE ---- */

static uint32_t pvalidate(guest_vcpu_t* vcpu,
                          uint64_t list_gpa,
                          const uint64_t* entries,
                          uint16_t count,
                          uint16_t* next) {
  uint8_t* list = guest_memory(list_gpa, 8 + 8ull * count);

  memcpy(list, &count, 2);
  memcpy(list + 2, next, 2);
  memset(list + 4, 0xEE, 4); /* reserved: as Linux leaves it */
  memcpy(list + 8, entries, 8ull * count);
  uint32_t result = call4(vcpu, MACHINE_PVALIDATE, list_gpa, 0, 0);
  memcpy(next, list + 2, 2);
  return result;
}


static void validate_bad_entries(guest_vcpu_t* vcpu, void* arg) {
  uint64_t list = guest_calling_area(vcpu) + 8; /* where Linux has it */
  uint64_t vmsa = guest_calling_area(vcpu) - PAGE;
  uint64_t fresh = platform_validated_size();
  uint64_t split = fresh + PAGE_2M;
  const struct {
    uint64_t entry;
    uint32_t want;
  } bads[] = {
      {fresh | VALIDATE | 2, INVALID_PARAMETER}, /* sizes 2 and 3 */
      {fresh | VALIDATE | 3, INVALID_PARAMETER},
      {fresh | VALIDATE | 0x10, INVALID_PARAMETER},
      {fresh | VALIDATE | 0x800, INVALID_PARAMETER},
      {(fresh + PAGE) | VALIDATE | IS_2M, INVALID_PARAMETER},
      {vmsa | VALIDATE, INVALID_ADDRESS},
      {vmsa, INVALID_ADDRESS},
      {guest_calling_area(vcpu), INVALID_ADDRESS},
      {0x100000 / PAGE_2M * PAGE_2M | IS_2M, INVALID_ADDRESS}, /* around both */
      {PLATFORM_FIRMWARE_GPA, INVALID_ADDRESS},
      {PLATFORM_FIRMWARE_GPA | IS_2M, INVALID_ADDRESS},
      {guest_memory_size() | VALIDATE, INVALID_ADDRESS},
      {0xFFFFFFFFFFFFF000ull | VALIDATE, INVALID_ADDRESS},
      {0xFFFFFFFFFFE00000ull | VALIDATE | IS_2M, INVALID_ADDRESS},
      {0x8000000000000000ull | VALIDATE, INVALID_ADDRESS},
      {split | VALIDATE | IS_2M, SIZEMISMATCH},
      {fresh | IS_2M, UNCHANGED}, /* not validated anyway */
      {fresh, UNCHANGED},
  };

  (void) arg;
  platform_host_split(split);
  for (uint32_t i = 0; i < ARRAY_SIZE(bads); i++) {
    uint16_t next = 0;
    expect(bads[i].want, pvalidate(vcpu, list, &bads[i].entry, 1, &next));
    expect(0, next);
  }
  service_stop();
}


static void bad_entries_change_nothing(void** state) {
  (void) state;
  run(1, validate_bad_entries);
}


static void validate_bad_lists(guest_vcpu_t* vcpu, void* arg) {
  uint64_t gpa = guest_alloc_pages(2);
  uint64_t fresh = platform_validated_size();
  const struct {
    uint64_t list_gpa;
    uint16_t count;
    uint16_t next;
    uint32_t want;
  } bads[] = {
      {gpa, 0, 0, INVALID_PARAMETER},
      {gpa, 1, 1, INVALID_PARAMETER},
      {gpa, 1, 0xFFFF, INVALID_PARAMETER},
      {gpa, 512, 0, INVALID_PARAMETER}, /* one more than a page has */
      {gpa, 0xFFFF, 0, INVALID_PARAMETER},
      {gpa + 4, 1, 0, INVALID_PARAMETER},
      {gpa + PAGE - 8, 1, 0, INVALID_PARAMETER}, /* crosses */
      {gpa + 8, 511, 0, INVALID_PARAMETER},
      {PLATFORM_FIRMWARE_GPA, 1, 0, INVALID_ADDRESS},
      {guest_calling_area(vcpu) - PAGE, 1, 0, INVALID_ADDRESS}, /* VMSA */
      {fresh, 1, 0, INVALID_ADDRESS},
  };

  (void) arg;
  for (uint32_t i = 0; i < ARRAY_SIZE(bads); i++) {
    uint8_t* list = guest_memory(bads[i].list_gpa, 16);
    const uint64_t entry = fresh | VALIDATE;
    bool mine = bads[i].list_gpa - gpa < 2 * PAGE;
    if (mine) {
      memcpy(list, &bads[i].count, 2);
      memcpy(list + 2, &bads[i].next, 2);
      memcpy(list + 8, &entry, 8);
    }
    expect(bads[i].want,
           call4(vcpu, MACHINE_PVALIDATE, bads[i].list_gpa, 0, 0));
  }
  expect(INVALID_ADDRESS, call4(vcpu, MACHINE_PVALIDATE, 1ull << 52, 0, 0));
  expect(INVALID_ADDRESS, call4(vcpu, MACHINE_PVALIDATE, UINT64_MAX - 7, 0, 0));
  expect(false, platform_is_validated(fresh));
  service_stop();
}


static void bad_lists_are_refused(void** state) {
  (void) state;
  run(1, validate_bad_lists);
}


static void validate_and_back(guest_vcpu_t* vcpu, void* arg) {
  uint64_t list = guest_alloc_pages(1);
  uint64_t fresh = platform_validated_size();
  uint8_t* small = guest_memory(fresh, PAGE);
  const uint64_t take[] = {fresh | VALIDATE,
                           (fresh + PAGE_2M) | VALIDATE | IS_2M,
                           fresh | VALIDATE, /* again: nothing changes */
                           (fresh + PAGE) | VALIDATE};
  uint16_t next = 0;

  (void) arg;
  memset(small, 0x5A, PAGE); /* what the host left there */
  expect(UNCHANGED, pvalidate(vcpu, list, take, 4, &next));
  expect(2, next); /* the one that failed */
  expect(0, small[0] | small[PAGE - 1]);
  expect(true, platform_is_validated(fresh));
  expect(false, platform_is_validated(fresh + PAGE));
  expect(PLATFORM_RIGHT_ALL, platform_rights_of(fresh, 1));
  expect(0, platform_rights_of(fresh, 2)); /* the caller is VMPL1 */
  expect(PLATFORM_RIGHT_ALL, platform_rights_of(fresh + 2 * PAGE_2M - 1, 1));
  next = 3; /* go on behind it */
  expect(0, pvalidate(vcpu, list, take, 4, &next));
  expect(4, next);
  const uint64_t give[] = {fresh, fresh | IGNORE_CF};
  next = 0;
  expect(0, pvalidate(vcpu, list, give, 2, &next));
  expect(false, platform_is_validated(fresh));
  expect(0, platform_rights_of(fresh, 1));
  service_stop();
}


static void pages_are_taken_clean_and_given_back(void** state) {
  (void) state;
  run(1, validate_and_back);
}


/* 1 GiB worth of pages: 512 entries of 2 MiB, each of which gets validated and
 * cleared, given up, and so on. */
static struct {
  uint32_t rounds;
  uint32_t result;
  service_stats_t stats;
} big;

static void validate_a_gigabyte(guest_vcpu_t* vcpu, void* arg) {
  uint64_t list_gpa = guest_alloc_pages(1);
  uint64_t fresh = platform_validated_size();
  uint16_t* list = guest_memory(list_gpa, PAGE);

  (void) arg;
  for (uint32_t pass = 0; pass < 2 && big.result == 0; pass++) {
    uint64_t* entries = guest_memory(list_gpa + 8, PAGE - 8);
    list[0] = 510;
    list[1] = 0;
    for (uint32_t i = 0; i < 510; i++)
      entries[i] =
          (fresh + i / 2 % 4 * PAGE_2M) | IS_2M | (i % 2 == 0 ? VALIDATE : 0);
    do {
      guest_regs_t regs = {.rax = MACHINE_PVALIDATE, .rcx = list_gpa};
      if (guest_vmgexit(vcpu, &regs) != 0)
        break;
      big.rounds++;
      big.result = (uint32_t) regs.rax;
    } while (big.result == INCOMPLETE);
    expect(510, list[1]);
  }
  expect(0, big.result);
  expect(false, platform_is_validated(fresh));
  service_stats(0, &big.stats);
  service_stop();
}


static void a_gigabyte_is_validated_in_rounds(void** state) {
  (void) state;

  memset(&big, 0, sizeof(big));
  run(1, validate_a_gigabyte);
  assert_true(big.rounds > 2); /* it did not fit into two budgets */
  const service_kind_stats_t* core = &big.stats.kinds[SERVICE_KIND_CORE];
  assert_int_equal(2, core->calls); /* however many rounds */
  assert_int_equal(big.rounds, core->rounds);
  print_message("%u rounds, residency us: p50 %llu max %llu\n", big.rounds,
                (unsigned long long) big.stats.residency.p50_ns / 1000,
                (unsigned long long) big.stats.residency.max_ns / 1000);
}


/* ---- CREATE_VCPU and DELETE_VCPU ---- */

static void never_runs(guest_vcpu_t* vcpu, void* arg) {
  (void) arg;
  for (;;)
    guest_halt(vcpu);
}


static void create_bad(guest_vcpu_t* vcpu, void* arg) {
  uint64_t own_vmsa = guest_calling_area(vcpu) - PAGE;
  uint64_t own_caa = guest_calling_area(vcpu);
  uint64_t vmsa = guest_alloc_pages(3);
  uint64_t caa = vmsa + PAGE;
  vmsa_wire_t* page = guest_memory(vmsa, PAGE);
  const struct {
    uint64_t vmsa;
    uint64_t caa;
    uint64_t apic_id;
    uint32_t want;
  } bads[] = {
      {vmsa + 8, caa, 1, INVALID_PARAMETER},
      {vmsa, caa + 8, 1, INVALID_PARAMETER},
      {vmsa, caa, 2, INVALID_PARAMETER}, /* two CPUs: 0 and 1 */
      {vmsa, caa, 1ull << 32 | 1, INVALID_PARAMETER},
      {vmsa, caa, UINT64_MAX, INVALID_PARAMETER},
      {vmsa, caa, 0, INVALID_REQUEST}, /* the caller's own */
      {own_vmsa, caa, 1, INVALID_ADDRESS},
      {own_caa, caa, 1, INVALID_ADDRESS},
      {vmsa, own_vmsa, 1, INVALID_ADDRESS},
      {vmsa, own_caa, 1, INVALID_ADDRESS},
      {vmsa, vmsa, 1, INVALID_ADDRESS},
      {PLATFORM_FIRMWARE_GPA, caa, 1, INVALID_ADDRESS},
      {vmsa, PLATFORM_FIRMWARE_GPA, 1, INVALID_ADDRESS},
      {platform_validated_size(), caa, 1, INVALID_ADDRESS},
      {UINT64_MAX - PAGE + 1, caa, 1, INVALID_ADDRESS},
      {1ull << 52, caa, 1, INVALID_ADDRESS},
  };

  (void) arg;
  guest_fill_vmsa(vmsa);
  for (uint32_t i = 0; i < ARRAY_SIZE(bads); i++)
    expect(bads[i].want, call4(vcpu, MACHINE_CREATE_VCPU, bads[i].vmsa,
                               bads[i].caa, bads[i].apic_id));
  for (uint32_t spoil = 0; spoil < 5; spoil++) {
    guest_fill_vmsa(vmsa);
    if (spoil == 0)
      page->vmpl = 0;
    if (spoil == 1)
      page->vmpl = 4;
    if (spoil == 2)
      page->efer = 0;
    if (spoil == 3)
      page->sev_features = 3;
    if (spoil == 4)
      page->vmpl = 255;
    expect(INVALID_PARAMETER, call4(vcpu, MACHINE_CREATE_VCPU, vmsa, caa, 1));
    expect(PLATFORM_RIGHT_ALL, platform_rights_of(vmsa, 1)); /* given back */
    expect(0, platform_rights_of(vmsa, 2)); /* and to nobody else */
  }
  service_stop();
}


static void bad_vcpus_are_not_made(void** state) {
  (void) state;
  run(2, create_bad);
}


static void create_and_delete(guest_vcpu_t* vcpu, void* arg) {
  uint64_t own_vmsa = guest_calling_area(vcpu) - PAGE;
  uint64_t vmsa = guest_alloc_pages(3);
  uint64_t caa = vmsa + PAGE;
  uint64_t list = guest_alloc_pages(1);
  const uint64_t entry = vmsa;
  uint16_t next = 0;

  (void) arg;
  expect(INVALID_PARAMETER, call4(vcpu, MACHINE_DELETE_VCPU, own_vmsa, 0, 0));
  expect(INVALID_PARAMETER, call4(vcpu, MACHINE_DELETE_VCPU, vmsa, 0, 0));
  expect(INVALID_PARAMETER, call4(vcpu, MACHINE_DELETE_VCPU, vmsa + 1, 0, 0));
  for (uint32_t i = 0; i < 2 * VCPUS_MAX / 8; i++) {
    guest_fill_vmsa(vmsa);
    uint32_t made = call4(vcpu, MACHINE_CREATE_VCPU, vmsa, caa, 1);
    uint32_t deleted = call4(vcpu, MACHINE_DELETE_VCPU, vmsa, 0, 0);
    if (made != 0 || deleted != 0)
      expect(made, deleted + 1);
  }
  guest_fill_vmsa(vmsa);
  expect(0, call4(vcpu, MACHINE_CREATE_VCPU, vmsa, caa, 1));
  expect(PLATFORM_RIGHT_READ, platform_rights_of(vmsa, 1));
  expect(0, platform_rights_of(vmsa, 2));
  expect(INVALID_ADDRESS, call4(vcpu, MACHINE_CREATE_VCPU, vmsa, caa, 1));
  expect(INVALID_ADDRESS, call4(vcpu, MACHINE_REMAP_CA, vmsa, 0, 0));
  expect(INVALID_ADDRESS, call4(vcpu, MACHINE_REMAP_CA, caa, 0, 0));
  expect(INVALID_ADDRESS, pvalidate(vcpu, list, &entry, 1, &next));
  guest_host_start(1, vmsa, caa, never_runs, NULL);
  uint32_t deleted;
  do {
    deleted = call4(vcpu, MACHINE_DELETE_VCPU, vmsa, 0, 0);
  } while (deleted == INUSE); /* it runs to its first HLT */
  expect(0, deleted);
  expect(PLATFORM_RIGHT_ALL, platform_rights_of(vmsa, 1));
  expect(0, pvalidate(vcpu, list, &entry, 1, &next));
  service_stop();
}


static void a_vcpu_is_made_and_deleted(void** state) {
  (void) state;
  run(2, create_and_delete);
}


/* ---- A PVALIDATE whose vCPU goes away in the middle ---- */

static const service_config_t hasty = {.budget_us = BUDGET_US_MIN};

typedef struct {
  uint64_t list;
  uint64_t result; /* of the one round that it makes */
  _Atomic bool is_over;
} half_t;

static void validates_once(guest_vcpu_t* vcpu, void* arg) {
  half_t* half = arg;
  guest_regs_t regs = {.rax = MACHINE_PVALIDATE, .rcx = half->list};

  (void) guest_vmgexit(vcpu, &regs);
  half->result = regs.rax;
  atomic_store(&half->is_over, true);
}


/* A vCPU 1 that makes one round of PVALIDATE, and is deleted. */
static uint64_t half_a_pvalidate(guest_vcpu_t* vcpu, uint64_t list) {
  uint64_t vmsa = guest_alloc_pages(2);
  half_t half = {.list = list};

  guest_fill_vmsa(vmsa);
  expect(0, call4(vcpu, MACHINE_CREATE_VCPU, vmsa, vmsa + PAGE, 1));
  guest_host_start(1, vmsa, vmsa + PAGE, validates_once, &half);
  while (!atomic_load(&half.is_over)) {
    uint64_t rcx = 1;
    (void) machine_call(vcpu, MACHINE_QUERY_PROTOCOL, &rcx);
  }
  uint32_t deleted;
  do {
    deleted = call4(vcpu, MACHINE_DELETE_VCPU, vmsa, 0, 0);
  } while (deleted == INUSE);
  expect(0, deleted);
  return half.result;
}


static void its_successor_begins_anew(guest_vcpu_t* vcpu, void* arg) {
  uint64_t gpa = platform_validated_size();
  uint64_t list = guest_alloc_pages(2);
  uint64_t other = list + PAGE;
  const uint64_t take = gpa | IS_2M | VALIDATE;
  const uint64_t give = gpa | IS_2M;
  uint16_t next = 0;

  (void) arg;
  uint64_t* words = guest_memory(list, PAGE);
  words[0] = 1;
  words[1] = take;
  uint64_t first = half_a_pvalidate(vcpu, list);
  MAYBE(first == 0); /* a machine that clears 2 MiB in 50 us */
  expect(0, pvalidate(vcpu, other, &give, 1, &next));
  words[0] = 1;
  uint64_t second = half_a_pvalidate(vcpu, list);
  expect(0, second == 0 ? 0 : (uint32_t) second ^ INCOMPLETE);
  service_stop();
}


/* Else it is told that the page isn't there, or gets one that isn't clean. */
static void a_new_vcpu_goes_on_with_nothing_of_the_old_ones(void** state) {
  (void) state;

  memset(&found, 0, sizeof(found));
  machine_run(2, &hasty, its_successor_begins_anew, NULL);
  for (uint32_t i = 0; i < found.count; i++)
    assert_int_equal(found.cases[i].want, found.cases[i].got);
}


/* A budget so large that a test which waits for it is told from all others. */
static const service_config_t patient = {.budget_us = BUDGET_US_MAX};
static service_stats_t patient_stats;

static void create_and_delete_often(guest_vcpu_t* vcpu, void* arg) {
  uint64_t vmsa = guest_alloc_pages(2);

  (void) arg;
  for (uint32_t i = 0; i < CASES_MAX / 2; i++) {
    guest_fill_vmsa(vmsa);
    expect(0, call4(vcpu, MACHINE_CREATE_VCPU, vmsa, vmsa + PAGE, 1));
    expect(0, call4(vcpu, MACHINE_DELETE_VCPU, vmsa, 0, 0));
  }
  service_stats(0, &patient_stats);
  service_stop();
}


/* Nothing of it waits for anybody but a CPU in a section, and those are short:
 * no call may sleep until its budget is spent. */
static void changing_vcpus_waits_for_no_deadline(void** state) {
  (void) state;

  memset(&found, 0, sizeof(found));
  machine_run(2, &patient, create_and_delete_often, NULL);
  for (uint32_t i = 0; i < found.count; i++)
    assert_int_equal(found.cases[i].want, found.cases[i].got);
  assert_true(patient_stats.entries >= CASES_MAX);
  assert_true(patient_stats.residency.max_ns <
              (uint64_t) BUDGET_US_MAX * 1000 / 2);
}


static _Atomic uint32_t self_deleted;

static void deletes_itself(guest_vcpu_t* vcpu, void* arg) {
  uint64_t vmsa = guest_calling_area(vcpu) - PAGE;

  (void) arg;
  atomic_store(&self_deleted, 1);
  (void) call4(vcpu, MACHINE_DELETE_VCPU, vmsa, 0, 0);
  atomic_store(&self_deleted, 2); /* never */
}


static void waits_for_the_other_to_go(guest_vcpu_t* vcpu, void* arg) {
  uint64_t vmsa = guest_alloc_pages(2);

  (void) arg;
  guest_fill_vmsa(vmsa);
  expect(0, call4(vcpu, MACHINE_CREATE_VCPU, vmsa, vmsa + PAGE, 1));
  guest_host_start(1, vmsa, vmsa + PAGE, deletes_itself, NULL);
  while (platform_rights_of(vmsa, 1) != PLATFORM_RIGHT_ALL) {
    uint64_t rcx = 1;
    (void) machine_call(vcpu, MACHINE_QUERY_PROTOCOL, &rcx);
  }
  expect(1, atomic_load(&self_deleted));
  guest_fill_vmsa(vmsa);
  expect(0, call4(vcpu, MACHINE_CREATE_VCPU, vmsa, vmsa + PAGE, 1));
  service_stop();
}


static void one_that_deletes_itself_never_returns(void** state) {
  (void) state;

  atomic_store(&self_deleted, 0);
  run(2, waits_for_the_other_to_go);
}


int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(queries_tell_what_there_is),
      cmocka_unit_test(a_calling_area_moves_only_to_the_guests_own_pages),
      cmocka_unit_test(bad_entries_change_nothing),
      cmocka_unit_test(bad_lists_are_refused),
      cmocka_unit_test(pages_are_taken_clean_and_given_back),
      cmocka_unit_test(a_gigabyte_is_validated_in_rounds),
      cmocka_unit_test(bad_vcpus_are_not_made),
      cmocka_unit_test(a_vcpu_is_made_and_deleted),
      cmocka_unit_test(a_new_vcpu_goes_on_with_nothing_of_the_old_ones),
      cmocka_unit_test(changing_vcpus_waits_for_no_deadline),
      cmocka_unit_test(one_that_deletes_itself_never_returns),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}

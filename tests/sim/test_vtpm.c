/*
 * tests/sim/test_vtpm.c - the one TPM behind several vCPUs.
 *
 * Goal:   each TPM command is executed once and answered to whoever asked,
 *         whatever other vCPUs do meanwhile; a long one holds nobody longer
 *         than its budget; a guest that isn't the platform can't act as one.
 * Method: real libtpms in real jobs; guest programs that send commands, write
 *         into buffers while they are read, cancel, and disappear.
 */
#include "tests/unit/unit.h"

#include "arch/arch.h"
#include "handlers/result.h"
#include "handlers/tpm_state.h"
#include "handlers/vtpm.h"
#include "tests/sim/machine.h"

#define VCPUS 4u
#define PAGE 4096u
#define INCOMPLETE 0x80000000u
#define UNSUPPORTED_CALL 0x80000002u
#define INVALID_ADDRESS 0x80000003u
#define INVALID_PARAMETER 0x80000005u

#define SEND_COMMAND 8u

static const service_config_t any_guest = {.has_tpm = true};
static const service_config_t platform = {.has_tpm = true,
                                          .tpm_platform_commands = true};

/* clang-format off */
static const uint8_t startup[] = {
    0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x44, 0, 0};
static const uint8_t get_random[] = {
    0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x7B, 0, 16};
/* CreatePrimary in the owner's hierarchy, empty password, a P-256 signing key
 * and an RSA-2048 one; the byte at UNIQUE makes each template its own. */
static const uint8_t create_rsa[] = {
    0x80, 0x02, 0, 0, 0, 0x45, 0, 0, 0x01, 0x31, 0x40, 0, 0, 0x01,
    0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0,          /* password session */
    0, 4, 0, 0, 0, 0,                                  /* inSensitive */
    0, 0x1C, 0, 1, 0, 0x0B, 0, 4, 0, 0x72, 0, 0,       /* RSA, sign, userauth */
    0, 0x10, 0, 0x14, 0, 0x0B, 8, 0, 0, 0, 0, 0, 0, 4, /* RSASSA SHA-256 */
    0, 0, 0, 0,                                        /* unique: below */
    0, 0, 0, 0, 0, 0};                                 /* outside, PCRs */
/* clang-format on */

/* Send one whole command from `gpa`; the answer's TPM code, or all ones if the
 * call itself failed, with its result in *result. */
static uint32_t tpm_send(guest_vcpu_t* vcpu,
                         uint64_t gpa,
                         const uint8_t* command,
                         uint32_t size,
                         uint32_t* result) {
  uint8_t* page = guest_memory(gpa, PAGE);
  const uint32_t op = SEND_COMMAND;
  uint64_t rcx = gpa;

  memcpy(page, &op, 4);
  page[4] = 0;
  memcpy(page + 5, &size, 4);
  memcpy(page + 9, command, size);
  *result = machine_call(vcpu, MACHINE_VTPM_CMD, &rcx);
  if (*result != 0)
    return UINT32_MAX;
  return (uint32_t) page[4 + 6] << 24 | (uint32_t) page[4 + 7] << 16 |
         (uint32_t) page[4 + 8] << 8 | page[4 + 9];
}


/* ---- One vCPU ---- */

typedef struct {
  uint32_t result[4];
  uint32_t code[4];
  uint64_t ops;
  uint64_t features;
  int status;
  uint32_t answer_size;
} seen_t;

static void send_a_few(guest_vcpu_t* vcpu, void* arg) {
  seen_t* seen = arg;
  uint64_t gpa = guest_alloc_pages(1);
  guest_regs_t regs = {.rax = MACHINE_VTPM_QUERY, .rdx = 7};

  seen->result[0] = guest_call(vcpu, &regs);
  seen->ops = regs.rcx;
  seen->features = regs.rdx;
  seen->code[1] =
      tpm_send(vcpu, gpa, startup, sizeof(startup), &seen->result[1]);
  seen->code[2] =
      tpm_send(vcpu, gpa, get_random, sizeof(get_random), &seen->result[2]);
  memcpy(&seen->answer_size, guest_memory(gpa, 4), 4);
  seen->status = vtpm_status();
  service_stop();
}


static void a_guest_uses_the_tpm(void** state) {
  (void) state;
  static seen_t seen;

  machine_run(2, &any_guest, send_a_few, &seen);
  assert_int_equal(0, seen.result[0]);
  assert_int_equal(1u << 8 | 1u << 9 | 1u << 10, seen.ops);
  assert_int_equal(0, seen.features);
  assert_int_equal(0, seen.result[1]);
  assert_int_equal(0, seen.code[1]);
  assert_int_equal(0, seen.result[2]);
  assert_int_equal(0, seen.code[2]);
  assert_int_equal(10 + 2 + 16, seen.answer_size);
  assert_int_equal(0, seen.status);
}


/* ---- What is refused ---- */

typedef struct {
  uint32_t op;
  uint8_t locality;
  uint32_t size;
  uint32_t as_guest;
  uint32_t as_platform;
} bad_t;

static const bad_t bads[] = {
    {SEND_COMMAND, 1, 12, INVALID_PARAMETER, 0},
    {SEND_COMMAND, 4, 12, INVALID_PARAMETER, 0},
    {SEND_COMMAND, 5, 12, INVALID_PARAMETER, INVALID_PARAMETER},
    {SEND_COMMAND, 0, 0, INVALID_PARAMETER, INVALID_PARAMETER},
    {SEND_COMMAND, 0, 4087, 0, 0}, /* the largest: the TPM refuses it */
    {SEND_COMMAND, 0, 4088, INVALID_PARAMETER, INVALID_PARAMETER},
    {SEND_COMMAND, 0, UINT32_MAX, INVALID_PARAMETER, INVALID_PARAMETER},
    {0, 0, 12, UNSUPPORTED_CALL, UNSUPPORTED_CALL},
    {1, 0, 0, UNSUPPORTED_CALL, 0},                /* POWER_ON: it is on */
    {3, 0, 0, UNSUPPORTED_CALL, UNSUPPORTED_CALL}, /* PHYS_PRES_ON */
    {5, 0, 0, UNSUPPORTED_CALL, 0},                /* HASH_START */
    {6, 0, 8, UNSUPPORTED_CALL, 0},                /* HASH_DATA */
    {6, 0, 0, UNSUPPORTED_CALL, INVALID_PARAMETER},
    {7, 0, 0, UNSUPPORTED_CALL, 0},  /* HASH_END */
    {9, 0, 0, 0, 0},                 /* CANCEL_ON */
    {10, 0, 0, 0, 0},                /* CANCEL_OFF */
    {17, 0, 0, UNSUPPORTED_CALL, 0}, /* RESET */
    {63, 0, 0, UNSUPPORTED_CALL, UNSUPPORTED_CALL},
    {64, 0, 0, UNSUPPORTED_CALL, UNSUPPORTED_CALL},
    {72, 0, 12, UNSUPPORTED_CALL, UNSUPPORTED_CALL}, /* 8 modulo 64 */
    {UINT32_MAX, 0, 12, UNSUPPORTED_CALL, UNSUPPORTED_CALL},
};

typedef struct {
  uint32_t results[ARRAY_SIZE(bads)];
  uint32_t at[7]; /* by buffer address */
} refused_t;

static void try_what_is_bad(guest_vcpu_t* vcpu, void* arg) {
  refused_t* seen = arg;
  uint64_t gpa = guest_alloc_pages(2);
  uint32_t result;

  (void) tpm_send(vcpu, gpa, startup, sizeof(startup), &result);
  for (uint32_t i = 0; i < ARRAY_SIZE(bads); i++) {
    uint8_t* page = guest_memory(gpa, PAGE);
    uint64_t rcx = gpa;
    memcpy(page, &bads[i].op, 4);
    page[4] = bads[i].locality;
    memcpy(page + 5, &bads[i].size, 4);
    memcpy(page + 9, get_random, sizeof(get_random));
    seen->results[i] = machine_call(vcpu, MACHINE_VTPM_CMD, &rcx);
  }
  const uint64_t where[] = {
      0,
      guest_calling_area(vcpu),
      PLATFORM_FIRMWARE_GPA - PAGE + 1, /* its last byte is ours */
      UINT64_MAX - PAGE + 1,            /* not canonical, does not wrap */
      UINT64_MAX,                       /* wraps */
      platform_validated_size(),
      gpa + 1, /* across a page, misaligned: allowed */
  };
  for (uint32_t i = 0; i < ARRAY_SIZE(where); i++) {
    uint64_t rcx = where[i];
    if (i == 6)
      memset(guest_memory(gpa, PAGE), 0, PAGE);
    seen->at[i] = machine_call(vcpu, MACHINE_VTPM_CMD, &rcx);
  }
  service_stop();
}


static void refuse(const service_config_t* config, bool is_platform) {
  static refused_t seen;
  static const uint32_t at[] = {INVALID_PARAMETER, INVALID_ADDRESS,
                                INVALID_ADDRESS,   INVALID_ADDRESS,
                                INVALID_ADDRESS,   INVALID_ADDRESS,
                                UNSUPPORTED_CALL}; /* op 0 was read there */

  memset(&seen, 0, sizeof(seen));
  machine_run(1, config, try_what_is_bad, &seen);
  for (uint32_t i = 0; i < ARRAY_SIZE(bads); i++) {
    uint32_t want = is_platform ? bads[i].as_platform : bads[i].as_guest;
    if (want != seen.results[i])
      fail_msg("case %u: 0x%x, not 0x%x", i, seen.results[i], want);
  }
  for (uint32_t i = 0; i < ARRAY_SIZE(at); i++)
    assert_int_equal(at[i], seen.at[i]);
}


static void bad_requests_of_a_guest_are_refused(void** state) {
  (void) state;
  refuse(&any_guest, false);
}


static void the_platform_may_more_but_not_all(void** state) {
  (void) state;
  refuse(&platform, true);
}


/* ---- Four vCPUs ---- */

typedef struct {
  _Atomic uint32_t done;
  _Atomic uint32_t wrong;
  _Atomic uint32_t queries;
  _Atomic bool over;
  uint32_t keys;
  service_stats_t stats;
} crowd_t;

static crowd_t crowd;

static void make_keys(guest_vcpu_t* vcpu, uint64_t gpa) {
  uint8_t command[sizeof(create_rsa)];
  uint8_t flush[14] = {0x80, 0x01, 0, 0, 0, 14, 0, 0, 0x01, 0x65};
  uint32_t result;

  for (uint8_t i = 0; i < crowd.keys; i++) {
    memcpy(command, create_rsa, sizeof(command));
    command[sizeof(command) - 7] = i;
    if (tpm_send(vcpu, gpa, command, sizeof(command), &result) != 0)
      atomic_fetch_add(&crowd.wrong, 1);
    memcpy(flush + 10, (uint8_t*) guest_memory(gpa, PAGE) + 4 + 10, 4);
    if (tpm_send(vcpu, gpa, flush, sizeof(flush), &result) != 0)
      atomic_fetch_add(&crowd.wrong, 1);
  }
  atomic_store(&crowd.over, true);
}


static void hammer(guest_vcpu_t* vcpu, uint64_t gpa) {
  uint32_t result;

  while (!atomic_load(&crowd.over)) {
    uint64_t rcx = 2ull << 32 | 1;
    if (tpm_send(vcpu, gpa, get_random, sizeof(get_random), &result) != 0)
      atomic_fetch_add(&crowd.wrong, 1);
    if (machine_call(vcpu, MACHINE_QUERY_PROTOCOL, &rcx) != 0)
      atomic_fetch_add(&crowd.wrong, 1);
    atomic_fetch_add(&crowd.queries, 1);
  }
}


static void crowd_member(guest_vcpu_t* vcpu, void* arg) {
  uint64_t gpa = guest_alloc_pages(1);

  (void) arg;
  if (guest_vcpu_index(vcpu) == 0)
    make_keys(vcpu, gpa);
  else
    hammer(vcpu, gpa);
  if (atomic_fetch_add(&crowd.done, 1) == VCPUS - 1) {
    service_stats(SERVICE_ALL_CPUS, &crowd.stats);
    service_stop();
  }
}


static void crowd_boot(guest_vcpu_t* vcpu, void* arg) {
  uint64_t gpa = guest_alloc_pages(1);
  uint32_t result;

  if (tpm_send(vcpu, gpa, startup, sizeof(startup), &result) != 0)
    atomic_fetch_add(&crowd.wrong, 1);
  for (uint32_t i = 1; i < VCPUS; i++) {
    if (guest_start_vcpu(vcpu, i, crowd_member, arg) != 0)
      atomic_fetch_add(&crowd.wrong, 100);
  }
  crowd_member(vcpu, arg);
}


static void keys_are_made_while_others_are_served(void** state) {
  (void) state;

  memset(&crowd, 0, sizeof(crowd));
  crowd.keys = 3;
  machine_run(VCPUS, &any_guest, crowd_boot, NULL);
  assert_int_equal(VCPUS, atomic_load(&crowd.done));
  assert_int_equal(0, atomic_load(&crowd.wrong));
  assert_true(atomic_load(&crowd.queries) > 0);

  const service_stats_t* s = &crowd.stats;
  print_message("residency us: p50 %llu p99.9 %llu max %llu, over by %llu\n",
                (unsigned long long) s->residency.p50_ns / 1000,
                (unsigned long long) s->residency.p999_ns / 1000,
                (unsigned long long) s->residency.max_ns / 1000,
                (unsigned long long) s->overrun.max_ns / 1000);
  assert_int_equal(s->entries, s->residency.count);
  assert_true(s->kinds[SERVICE_KIND_VTPM].incomplete > 0);
}


/* ---- A buffer that changes while it is read ---- */

typedef struct {
  uint64_t gpa;
  _Atomic bool over;
  _Atomic bool left;
  uint32_t odd; /* results that nothing explains */
  uint32_t good;
} scribble_t;

static scribble_t scribble;

/* Another vCPU writes the size field and the command, again and again. */
static void scribbler(guest_vcpu_t* vcpu, void* arg) {
  uint8_t* page = guest_memory(scribble.gpa, PAGE);
  uint32_t n = 0;

  (void) vcpu;
  (void) arg;
  while (!atomic_load(&scribble.over)) {
    for (uint32_t i = 0; i < 64; i++)
      __atomic_store_n(&page[i], (uint8_t) (n * 7 + i), __ATOMIC_RELAXED);
    n++;
  }
  atomic_store(&scribble.left, true);
}


static void put(uint8_t* at, const uint8_t* from, size_t size) {
  for (size_t i = 0; i < size; i++)
    __atomic_store_n(&at[i], from[i], __ATOMIC_RELAXED);
}


static void victim(guest_vcpu_t* vcpu, void* arg) {
  uint32_t result;
  uint64_t own = guest_alloc_pages(1);

  (void) arg;
  scribble.gpa = guest_alloc_pages(1);
  (void) tpm_send(vcpu, own, startup, sizeof(startup), &result);
  if (guest_start_vcpu(vcpu, 1, scribbler, NULL) != 0)
    scribble.odd += 1000;
  for (uint32_t i = 0; i < 300; i++) {
    uint8_t* page = guest_memory(scribble.gpa, PAGE);
    const uint8_t head[9] = {SEND_COMMAND, 0, 0, 0, 0, sizeof(get_random)};
    guest_regs_t regs = {.rax = MACHINE_VTPM_CMD, .rcx = scribble.gpa};
    put(page, head, sizeof(head));
    put(page + 9, get_random, sizeof(get_random));
    result = guest_call(vcpu, &regs);
    if (result != 0 && result != INVALID_PARAMETER &&
        result != UNSUPPORTED_CALL)
      scribble.odd++;
    if (result == 0)
      scribble.good++;
  }
  atomic_store(&scribble.over, true);
  while (!atomic_load(&scribble.left)) {
    guest_regs_t regs = {.rax = MACHINE_QUERY_PROTOCOL, .rcx = 1};
    (void) guest_call(vcpu, &regs);
  }
  if (tpm_send(vcpu, own, get_random, sizeof(get_random), &result) != 0)
    scribble.odd += 10000;
  service_stop();
}


static void a_buffer_that_changes_is_judged_from_the_copy(void** state) {
  (void) state;

  memset(&scribble, 0, sizeof(scribble));
  machine_run(2, &any_guest, victim, NULL);
  assert_int_equal(0, scribble.odd);
}


/* ---- A vCPU that is deleted in mid-command ---- */

typedef struct {
  uint64_t vmsa_gpa;
  _Atomic bool asked;
  uint32_t deleted;
  uint32_t code_after;
  uint32_t again;
} gone_t;

static gone_t gone;

static void asks_and_is_gone(guest_vcpu_t* vcpu, void* arg) {
  uint64_t gpa = guest_alloc_pages(1);
  uint32_t result;

  (void) arg;
  atomic_store(&gone.asked, true);
  (void) tpm_send(vcpu, gpa, create_rsa, sizeof(create_rsa), &result);
  for (;;)
    guest_halt(vcpu);
}


static void deletes(guest_vcpu_t* vcpu, void* arg) {
  uint64_t gpa = guest_alloc_pages(1);
  uint64_t pages = guest_alloc_pages(2);
  uint32_t result;
  const uint32_t in_use = 0x80001003u;

  (void) arg;
  (void) tpm_send(vcpu, gpa, startup, sizeof(startup), &result);
  guest_fill_vmsa(pages);
  guest_regs_t regs = {
      .rax = MACHINE_CREATE_VCPU, .rcx = pages, .rdx = pages + PAGE, .r8 = 1};
  if (guest_call(vcpu, &regs) == 0)
    guest_host_start(1, pages, pages + PAGE, asks_and_is_gone, NULL);
  while (!atomic_load(&gone.asked)) {
    uint64_t rcx = 1;
    (void) machine_call(vcpu, MACHINE_QUERY_PROTOCOL, &rcx);
  }
  do {
    uint64_t rcx = pages;
    gone.deleted = machine_call(vcpu, MACHINE_DELETE_VCPU, &rcx);
  } while (gone.deleted == in_use);
  gone.code_after =
      tpm_send(vcpu, gpa, get_random, sizeof(get_random), &result);
  uint64_t rcx = pages;
  gone.again = machine_call(vcpu, MACHINE_DELETE_VCPU, &rcx);
  service_stop();
}


static void a_deleted_vcpus_command_ends_unheard(void** state) {
  (void) state;

  memset(&gone, 0, sizeof(gone));
  machine_run(2, &any_guest, deletes, NULL);
  assert_int_equal(0, gone.deleted);
  assert_int_equal(0, gone.code_after);
  assert_int_equal(INVALID_PARAMETER, gone.again);
}


/* ---- A page that becomes a VMSA while an answer is on its way to it ---- */

/* The command lies in the page before; of the answer, the end lies in it. */
#define BEFORE (9 + sizeof(get_random))

static struct {
  uint64_t vmsa_gpa;
  _Atomic bool over;
  _Atomic bool left;
  _Atomic uint32_t answered;
  _Atomic uint32_t refused;
  uint32_t odd;
  uint32_t changed; /* VMSAs that were written to */
  uint32_t made;
} aim;

static void aims_at_it(guest_vcpu_t* vcpu, void* arg) {
  uint64_t gpa = aim.vmsa_gpa - BEFORE;
  const uint8_t head[9] = {SEND_COMMAND, 0, 0, 0, 0, sizeof(get_random)};

  (void) arg;
  while (!atomic_load(&aim.over)) {
    guest_regs_t regs = {.rax = MACHINE_VTPM_CMD, .rcx = gpa};
    put(guest_memory(gpa, 9), head, sizeof(head));
    put(guest_memory(gpa + 9, 1), get_random, sizeof(get_random));
    uint32_t result = guest_call(vcpu, &regs);
    if (result == 0)
      atomic_fetch_add(&aim.answered, 1);
    else if (result == INVALID_ADDRESS)
      atomic_fetch_add(&aim.refused, 1);
    else
      aim.odd++;
  }
  atomic_store(&aim.left, true);
}


static uint64_t peek(uint64_t gpa) {
  return __atomic_load_n((uint64_t*) guest_memory(gpa, 8), __ATOMIC_RELAXED);
}


static void makes_and_unmakes(guest_vcpu_t* vcpu, void* arg) {
  uint64_t own = guest_alloc_pages(1);
  uint64_t pages = guest_alloc_pages(3);
  uint32_t result;

  (void) arg;
  (void) tpm_send(vcpu, own, startup, sizeof(startup), &result);
  aim.vmsa_gpa = pages + PAGE;
  guest_fill_vmsa(aim.vmsa_gpa);
  if (guest_start_vcpu(vcpu, 1, aims_at_it, NULL) != 0)
    aim.odd += 1000;
  while (aim.made < 200 || atomic_load(&aim.answered) == 0) {
    guest_regs_t regs = {.rax = MACHINE_CREATE_VCPU,
                         .rcx = aim.vmsa_gpa,
                         .rdx = pages + 2 * PAGE,
                         .r8 = 2};
    if (guest_call(vcpu, &regs) != 0) {
      aim.odd++;
      break;
    }
    uint64_t first = peek(aim.vmsa_gpa);
    for (uint32_t i = 0; i < 2000; i++) {
      if (peek(aim.vmsa_gpa) != first) {
        aim.changed++;
        break;
      }
    }
    aim.made++;
    uint64_t rcx = aim.vmsa_gpa;
    if (machine_call(vcpu, MACHINE_DELETE_VCPU, &rcx) != 0)
      aim.odd++;
    /* SVME was taken from it: put it back, as a guest does. */
    uint8_t* efer = guest_memory(aim.vmsa_gpa + 0xD0, 8);
    const uint8_t svme[2] = {0, 0x10};
    put(efer, svme, sizeof(svme));
  }
  atomic_store(&aim.over, true);
  while (!atomic_load(&aim.left)) {
    uint64_t rcx = 1;
    (void) machine_call(vcpu, MACHINE_QUERY_PROTOCOL, &rcx);
  }
  service_stop();
}


static void no_answer_is_written_into_a_vmsa(void** state) {
  (void) state;

  memset(&aim, 0, sizeof(aim));
  machine_run(3, &any_guest, makes_and_unmakes, NULL);
  assert_int_equal(0, aim.odd);
  assert_int_equal(0, aim.changed);
  assert_true(aim.made >= 200);
  print_message("%u VMSAs, %u answers written, %u refused\n", aim.made,
                atomic_load(&aim.answered), atomic_load(&aim.refused));
}


int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_guest_uses_the_tpm),
      cmocka_unit_test(bad_requests_of_a_guest_are_refused),
      cmocka_unit_test(the_platform_may_more_but_not_all),
      cmocka_unit_test(keys_are_made_while_others_are_served),
      cmocka_unit_test(a_buffer_that_changes_is_judged_from_the_copy),
      cmocka_unit_test(a_deleted_vcpus_command_ends_unheard),
      cmocka_unit_test(no_answer_is_written_into_a_vmsa),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}

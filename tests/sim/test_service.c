/*
 * tests/sim/test_service.c - calls from guest to service and back.
 *
 * Goal:   what a guest asks is answered once, in time, by whichever CPUs there
 *         are, however it and the host behave.
 * Method: guest programs on real CPUs; a protocol of the test's own whose one
 *         call counts in a job until it is told to stop.
 */
#include "tests/unit/unit.h"

#include "arch/arch.h"
#include "handlers/result.h"
#include "handlers/vmsa.h"
#include "tests/sim/machine.h"

#define INCOMPLETE 0x80000000u
#define INVALID_FORMAT 0x80000004u
#define VCPUS 4u

static const service_config_t plain = {0};

/* ---- One call ---- */

typedef struct {
  uint32_t result;
  uint64_t rcx;
  service_stats_t stats;
} seen_t;

static void ask_query_protocol(guest_vcpu_t* vcpu, void* arg) {
  seen_t* seen = arg;

  seen->rcx = 1; /* core, version 1 */
  seen->result = machine_call(vcpu, MACHINE_QUERY_PROTOCOL, &seen->rcx);
  service_stats(SERVICE_ALL_CPUS, &seen->stats);
  service_stop();
}


static void a_guest_gets_an_answer(void** state) {
  (void) state;
  static seen_t seen;

  machine_run(1, &plain, ask_query_protocol, &seen);
  assert_int_equal(0, seen.result);
  assert_int_equal(1ull << 32 | 1, seen.rcx);
  assert_int_equal(1, seen.stats.entries);
  assert_int_equal(1, seen.stats.kinds[SERVICE_KIND_CORE].calls);
  assert_int_equal(0, seen.stats.kinds[SERVICE_KIND_CORE].incomplete);
}


/* ---- Spurious entries and lies ---- */

typedef struct {
  uint8_t pending_after[5];
  uint64_t rax_after[5];
  uint64_t skipped;
  dispatch_counts_t counts;
} lies_t;

#define RAX_UNTOUCHED 0x0000000012345678ull

static void enter_in_odd_ways(guest_vcpu_t* vcpu, void* arg) {
  static const struct {
    uint8_t pending;
    uint64_t exit_code;
  } ways[] = {
      {0, VMSA_EXIT_VMGEXIT}, /* the host came for no reason */
      {1, 0x400},             /* a call is pending, but it is a page fault */
      {2, VMSA_EXIT_VMGEXIT}, /* neither 0 nor 1 */
      {255, VMSA_EXIT_VMGEXIT},
      {2, 0x400},
  };
  lies_t* seen = arg;

  for (uint32_t i = 0; i < ARRAY_SIZE(ways); i++) {
    guest_regs_t regs = {.rax = RAX_UNTOUCHED};
    seen->pending_after[i] =
        guest_vmgexit_raw(vcpu, &regs, ways[i].pending, ways[i].exit_code);
    seen->rax_after[i] = regs.rax;
  }
  guest_regs_t regs = {.rax = MACHINE_QUERY_PROTOCOL, .rcx = 1};
  guest_host_skips(0, 1);
  seen->skipped = (uint64_t) (int64_t) guest_vmgexit(vcpu, &regs);
  seen->counts = dispatch_counts(0);
  service_stop();
}


static void odd_entries_touch_nothing_and_are_counted(void** state) {
  (void) state;
  static lies_t seen;
  static const uint8_t pending[] = {0, 1, 0, 0, 2};
  static const uint64_t rax[] = {RAX_UNTOUCHED, RAX_UNTOUCHED, INVALID_FORMAT,
                                 INVALID_FORMAT, RAX_UNTOUCHED};

  machine_run(1, &plain, enter_in_odd_ways, &seen);
  for (uint32_t i = 0; i < ARRAY_SIZE(pending); i++) {
    assert_int_equal(pending[i], seen.pending_after[i]);
    assert_int_equal(rax[i], seen.rax_after[i]);
  }
  assert_int_equal(UINT64_MAX, seen.skipped); /* -1: nobody was there */
  assert_int_equal(1, seen.counts.spurious);
  assert_int_equal(2, seen.counts.not_vmgexit);
  assert_int_equal(2, seen.counts.bad_pending);
}


/* ---- A long call ---- */

/* The test's own protocol: call 0 counts in a job, `rcx` rounds of work. */
#define WORK_UNTIL_TOLD 0ull /* in RCX; else for how many ns */
#define LONG_PROTOCOL 0x80010099ull

static struct {
  _Atomic bool told; /* to stop */
  _Atomic uint32_t starts;
  _Atomic uint32_t ends;
  _Atomic uint32_t inside; /* two at once would be seen here */
  _Atomic uint64_t sum;
  uvx_job_t jobs[VCPUS_MAX];
} work;

static void work_run(uvx_job_t* job) {
  svsm_call_t* call = job->data;
  uint64_t until_ns = arch_clock_ns() + call->in.rcx;

  atomic_fetch_add(&work.inside, 1);
  while (call->in.rcx == WORK_UNTIL_TOLD ? !atomic_load(&work.told)
                                         : arch_clock_ns() < until_ns) {
    atomic_fetch_add(&work.sum, 1);
    uvx_job_checkpoint();
  }
  atomic_fetch_sub(&work.inside, 1);
}


static void work_run_done(uvx_job_t* job, int status) {
  svsm_call_t* call = job->data;

  atomic_fetch_add(&work.ends, 1);
  call->out_rcx = call->in.rcx + 1;
  call->outs = SVSM_OUT_RCX;
  svsm_call_finish(call, svsm_result_wire(svsm_result_from_uv(status)));
}


static void work_start(svsm_call_t* call) {
  uvx_job_t* job = &work.jobs[call->vcpu_index];

  atomic_fetch_add(&work.starts, 1);
  job->data = call;
  call->job = job;
  int err = uvx_job_submit(uvx_cpu_loop(call->cpu), job, UVX_JOB_NORMAL,
                           work_run, work_run_done);
  ASSERT(err == 0);
}


static const svsm_protocol_t work_protocol = {
    .number = (uint32_t) LONG_PROTOCOL,
    .version_min = 1,
    .version_max = 1,
    .start = work_start,
};

static void work_reset(void) {
  memset(&work, 0, sizeof(work));
  machine_add_protocol(&work_protocol);
}


typedef struct {
  uint32_t rounds;
  uint32_t result;
  uint64_t rcx;
  service_stats_t stats;
} long_t;

static void ask_for_long_work(guest_vcpu_t* vcpu, void* arg) {
  long_t* seen = arg;
  guest_regs_t regs;

  do {
    regs = (guest_regs_t){.rax = LONG_PROTOCOL << 32, .rcx = 20000000};
    if (guest_vmgexit(vcpu, &regs) != 0)
      break;
    seen->rounds++;
  } while ((uint32_t) regs.rax == INCOMPLETE);
  seen->result = (uint32_t) regs.rax;
  seen->rcx = regs.rcx;
  service_stats(SERVICE_ALL_CPUS, &seen->stats);
  service_stop();
}


static void a_long_call_is_begun_once_and_ends_once(void** state) {
  (void) state;
  static long_t seen;

  work_reset();
  machine_run(1, &plain, ask_for_long_work, &seen);
  assert_int_equal(0, seen.result);
  assert_int_equal(20000001, seen.rcx);
  assert_int_equal(1, atomic_load(&work.starts));
  assert_int_equal(1, atomic_load(&work.ends));
  assert_true(seen.rounds > 1); /* 20 ms do not fit into one budget */

  const service_kind_stats_t* kind = &seen.stats.kinds[SERVICE_KIND_OTHER];
  assert_int_equal(1, kind->calls);
  assert_int_equal(seen.rounds, kind->rounds);
  assert_int_equal(seen.rounds - 1, kind->incomplete);
  assert_true(kind->latency.max_ns >= 20000000);
}


typedef struct {
  uint32_t first;
  uint32_t second;
  uint32_t third;
  uint64_t third_rcx;
  dispatch_counts_t counts;
} given_up_t;

static void give_up_a_long_call(guest_vcpu_t* vcpu, void* arg) {
  given_up_t* seen = arg;
  guest_regs_t regs = {.rax = LONG_PROTOCOL << 32, .rcx = 10000000};

  (void) guest_vmgexit(vcpu, &regs);
  seen->first = (uint32_t) regs.rax;
  regs = (guest_regs_t){.rax = MACHINE_QUERY_PROTOCOL, .rcx = 1};
  (void) guest_vmgexit(vcpu, &regs);
  seen->second = (uint32_t) regs.rax; /* the old one still runs */
  seen->third_rcx = 1;
  seen->third = machine_call(vcpu, MACHINE_QUERY_PROTOCOL, &seen->third_rcx);
  seen->counts = dispatch_counts(0);
  service_stop();
}


static void a_call_given_up_ends_unheard(void** state) {
  (void) state;
  static given_up_t seen;

  work_reset();
  machine_run(1, &plain, give_up_a_long_call, &seen);
  assert_int_equal(INCOMPLETE, seen.first);
  assert_int_equal(INCOMPLETE, seen.second);
  assert_int_equal(0, seen.third);
  assert_int_equal(1ull << 32 | 1, seen.third_rcx);
  assert_int_equal(1, atomic_load(&work.starts));
  assert_int_equal(1, atomic_load(&work.ends));
  assert_int_equal(1, seen.counts.given_up);
}


/* ---- Several vCPUs ---- */

typedef struct {
  _Atomic uint32_t done;
  _Atomic uint32_t wrong;
  uint32_t created[VCPUS];
  uint64_t rounds_each;
} crowd_t;

static crowd_t crowd;

static void crowd_member(guest_vcpu_t* vcpu, void* arg) {
  (void) arg;
  for (uint64_t i = 0; i < crowd.rounds_each; i++) {
    uint64_t rcx = i % 4 == 0 ? 200000 : 1;
    uint64_t rax = i % 4 == 0 ? LONG_PROTOCOL << 32 : MACHINE_QUERY_PROTOCOL;
    uint64_t want = i % 4 == 0 ? 200001 : (1ull << 32 | 1);
    if (machine_call(vcpu, rax, &rcx) != 0 || rcx != want)
      atomic_fetch_add(&crowd.wrong, 1);
  }
  if (atomic_fetch_add(&crowd.done, 1) == VCPUS - 1)
    service_stop();
}


static void crowd_boot(guest_vcpu_t* vcpu, void* arg) {
  for (uint32_t i = 1; i < VCPUS; i++)
    crowd.created[i] = guest_start_vcpu(vcpu, i, crowd_member, arg);
  crowd_member(vcpu, arg);
}


static void four_vcpus_call_at_once(void** state) {
  (void) state;

  work_reset();
  memset(&crowd, 0, sizeof(crowd));
  crowd.rounds_each = 100;
  machine_run(VCPUS, &plain, crowd_boot, NULL);
  for (uint32_t i = 1; i < VCPUS; i++)
    assert_int_equal(0, crowd.created[i]);
  assert_int_equal(VCPUS, atomic_load(&crowd.done));
  assert_int_equal(0, atomic_load(&crowd.wrong));
  assert_int_equal(VCPUS * 25, atomic_load(&work.starts));
  assert_int_equal(VCPUS * 25, atomic_load(&work.ends));
}


/* ---- Halting ---- */

typedef struct {
  _Atomic uint32_t turn; /* whose it is: they wake each other in turn */
  _Atomic uint32_t rounds;
} pong_t;

static pong_t pong;

#define PONG_ROUNDS 200u

static void pong_play(guest_vcpu_t* vcpu, void* arg) {
  uint32_t me = guest_vcpu_index(vcpu);

  (void) arg;
  while (atomic_load(&pong.rounds) < PONG_ROUNDS) {
    while (atomic_load(&pong.turn) != me) {
      if (atomic_load(&pong.rounds) >= PONG_ROUNDS)
        return;
      guest_halt(vcpu);
    }
    atomic_fetch_add(&pong.rounds, 1);
    atomic_store(&pong.turn, 1 - me);
    guest_interrupt(1 - me);
  }
  service_stop();
}


static void pong_boot(guest_vcpu_t* vcpu, void* arg) {
  if (guest_start_vcpu(vcpu, 1, pong_play, arg) == 0)
    pong_play(vcpu, arg);
  else
    service_stop();
}


static void no_interrupt_of_a_halted_guest_is_lost(void** state) {
  (void) state;

  memset(&pong, 0, sizeof(pong));
  machine_add_protocol(NULL);
  machine_run(2, &plain, pong_boot, NULL);
  assert_true(atomic_load(&pong.rounds) >= PONG_ROUNDS);
}


/* A job that would run for ever, on a CPU whose guest is halted. */
static struct {
  _Atomic bool halts;
  _Atomic uint32_t awake;
  uint32_t created;
  uint32_t result;
  uint64_t rcx;
} idle;

#define IDLE_WAKES 20u

static void idle_waker(guest_vcpu_t* vcpu, void* arg) {
  (void) arg;
  for (uint32_t i = 0; i < IDLE_WAKES; i++) {
    while (!atomic_exchange(&idle.halts, false)) {
      uint64_t rcx = 1; /* let others of this machine on */
      (void) machine_call(vcpu, MACHINE_QUERY_PROTOCOL, &rcx);
    }
    guest_interrupt(0);
  }
}


static void idle_sleeper(guest_vcpu_t* vcpu, void* arg) {
  guest_regs_t regs = {.rax = LONG_PROTOCOL << 32, .rcx = WORK_UNTIL_TOLD};

  idle.created = guest_start_vcpu(vcpu, 1, idle_waker, arg);
  (void) guest_vmgexit(vcpu, &regs); /* INCOMPLETE: its job is under way */
  for (uint32_t i = 0; idle.created == 0 && i < IDLE_WAKES; i++) {
    atomic_store(&idle.halts, true);
    guest_halt(vcpu);
    atomic_fetch_add(&idle.awake, 1);
  }
  atomic_store(&work.told, true);
  idle.rcx = WORK_UNTIL_TOLD;
  idle.result = machine_call(vcpu, LONG_PROTOCOL << 32, &idle.rcx);
  service_stop();
}


static void a_halted_guest_gets_its_cpu_back_from_a_job(void** state) {
  (void) state;

  work_reset();
  memset(&idle, 0, sizeof(idle));
  machine_run(2, &plain, idle_sleeper, NULL);
  assert_int_equal(IDLE_WAKES, atomic_load(&idle.awake));
  assert_int_equal(0, idle.result);
  assert_int_equal(atomic_load(&work.starts), atomic_load(&work.ends));
}


int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_guest_gets_an_answer),
      cmocka_unit_test(odd_entries_touch_nothing_and_are_counted),
      cmocka_unit_test(a_long_call_is_begun_once_and_ends_once),
      cmocka_unit_test(a_call_given_up_ends_unheard),
      cmocka_unit_test(four_vcpus_call_at_once),
      cmocka_unit_test(no_interrupt_of_a_halted_guest_is_lost),
      cmocka_unit_test(a_halted_guest_gets_its_cpu_back_from_a_job),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}

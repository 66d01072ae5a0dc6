/*
 * tests/unit/test_dispatch.c - the steps of a call, and whose answer it is.
 *
 * Goal:   each step happens in the specification's order, a call is started
 *         once, and an answer goes only to the call it answers.
 * Method: a fake platform of one VMSA and one calling area that writes down
 *         every access, and a fake protocol that answers when it is told to.
 */
#include "tests/unit/unit.h"

#include "arch/arch.h"
#include "arch/platform.h"
#include "handlers/vmsa.h"

#include "handlers/dispatch.c" /* the unit under test, statics and all */
#include "handlers/result.c"
#include "handlers/vcpu.c" /* and the table that it works on */

#define VMSA 0x10000ull
#define CAA 0x11000ull
#define OTHER_CAA 0x12000ull

static uint8_t fake_memory[0x13000];
static bool fake_caa_gone;
static char fake_log[1024]; /* one word an access */
static uint64_t fake_now_ns;
static uint32_t fake_kicks;

static void note(const char* what) {
  size_t used = strlen(fake_log);
  int size = snprintf(fake_log + used, sizeof(fake_log) - used, "%s ", what);

  ASSERT(size > 0);
  ASSERT((size_t) size < sizeof(fake_log) - used);
}


static const char* name_of(uint64_t gpa) {
  if (gpa == CAA || gpa == OTHER_CAA)
    return "pending";
  if (gpa == VMSA_GPA(VMSA, efer))
    return "efer";
  if (gpa == VMSA_GPA(VMSA, guest_exit_code))
    return "exit";
  if (gpa == VMSA_GPA(VMSA, rax))
    return "rax";
  if (gpa == VMSA_GPA(VMSA, rcx))
    return "rcx";
  return "reg";
}


int platform_guest_read(void* dst, uint64_t gpa, size_t size) {
  char word[32];

  snprintf(word, sizeof(word), "r:%s", name_of(gpa));
  note(word);
  if (fake_caa_gone && gpa == CAA)
    return UV_EFAULT;
  memcpy(dst, fake_memory + gpa, size);
  return 0;
}


int platform_guest_write(uint64_t gpa, const void* src, size_t size) {
  char word[32];

  snprintf(word, sizeof(word), "w:%s", name_of(gpa));
  memcpy(fake_memory + gpa, src, size);
  if (gpa == VMSA_GPA(VMSA, efer))
    snprintf(word, sizeof(word), "svme%c",
             (fake_memory[gpa + 1] & 0x10) != 0 ? '+' : '-');
  note(word);
  return 0;
}


int platform_guest_store_u8(uint64_t gpa, uint8_t value) {
  note("w:pending");
  if (fake_caa_gone)
    return UV_EFAULT;
  fake_memory[gpa] = value;
  return 0;
}


uint32_t arch_cpu(void) {
  return 0;
}


uint64_t arch_clock_ns(void) {
  return fake_now_ns;
}


bool arch_interrupts_close(void) {
  return false;
}


void arch_interrupts_open(void) {
}


uint64_t arch_stamp(void) {
  return 0;
}


trace_ring_t* _Atomic trace_rings[CPUS_MAX]; /* none: nothing is traced */

void uvx_cpu_kick(uint32_t cpu) {
  (void) cpu;
  fake_kicks++;
}


/* ---- The protocol ---- */

static uint32_t fake_starts;
static svsm_call_t* fake_call; /* running, not finished */

static void fake_start(svsm_call_t* call) {
  fake_starts++;
  fake_call = call;
  if (call->number == 1)
    svsm_call_finish(call, 0);
}


static const svsm_protocol_t fake_protocol = {
    .number = 5, .version_min = 1, .version_max = 1, .start = fake_start};

static vcpu_t* fakes_reset(void) {
  const vcpu_new_t new = {.vmsa_gpa = VMSA, .caa_gpa = CAA, .vmpl = 1};
  const uint64_t efer = VMSA_EFER_SVME | 0x500;
  const uint64_t exit_code = VMSA_EXIT_VMGEXIT;

  memset(fake_memory, 0, sizeof(fake_memory));
  memcpy(fake_memory + VMSA_GPA(VMSA, efer), &efer, 8);
  memcpy(fake_memory + VMSA_GPA(VMSA, guest_exit_code), &exit_code, 8);
  fake_caa_gone = false;
  fake_log[0] = 0;
  fake_starts = 0;
  fake_kicks = 0;
  fake_now_ns = 1000;
  if (vcpu_section_held(0))
    vcpu_section_end(0);
  vcpu_init();
  dispatch_init();
  dispatch_add_protocol(&fake_protocol);
  vcpu_t* vcpu = vcpu_boot(&new, 1);
  vcpu_section_begin(0);
  return vcpu;
}


static void ask(uint32_t number, uint64_t rcx) {
  const uint64_t rax = 5ull << 32 | number;

  memcpy(fake_memory + VMSA_GPA(VMSA, rax), &rax, 8);
  memcpy(fake_memory + VMSA_GPA(VMSA, rcx), &rcx, 8);
  fake_memory[CAA] = 1;
  fake_log[0] = 0;
}


static uint64_t rax_now(void) {
  uint64_t rax;

  memcpy(&rax, fake_memory + VMSA_GPA(VMSA, rax), 8);
  return rax;
}


static void a_call_goes_through_its_steps_in_order(void** state) {
  (void) state;
  vcpu_t* vcpu = fakes_reset();
  dispatch_done_t done;

  ask(1, 7);
  assert_int_equal(DISPATCH_WAITS, dispatch_arrive(vcpu, 1000, 2000));
  assert_string_equal(
      "r:efer svme- r:pending r:exit r:rax r:rcx r:reg r:reg r:reg ", fake_log);
  fake_log[0] = 0;
  fake_now_ns = 1500;
  assert_int_equal(DISPATCH_ANSWERED, dispatch_poll(vcpu, &done));
  assert_string_equal("w:rax w:pending r:efer svme+ ", fake_log);
  assert_int_equal(500, done.latency_ns);
  assert_int_equal(1, done.rounds);
  assert_int_equal(0, fake_memory[CAA]);
  assert_int_equal(DISPATCH_NOTHING, dispatch_poll(vcpu, &done));
  assert_int_equal(1, fake_starts);
}


static void nobody_asked_and_nothing_is_touched(void** state) {
  (void) state;
  const uint64_t exit_code = 0x400;

  vcpu_t* vcpu = fakes_reset();
  ask(1, 0);
  fake_memory[CAA] = 0;
  assert_int_equal(DISPATCH_NOTHING, dispatch_arrive(vcpu, 0, 1));
  assert_string_equal("r:efer svme- r:pending r:efer svme+ ", fake_log);

  vcpu = fakes_reset();
  ask(1, 0);
  memcpy(fake_memory + VMSA_GPA(VMSA, guest_exit_code), &exit_code, 8);
  assert_int_equal(DISPATCH_NOTHING, dispatch_arrive(vcpu, 0, 1));
  assert_string_equal("r:efer svme- r:pending r:exit r:efer svme+ ", fake_log);
  assert_int_equal(1, fake_memory[CAA]); /* still pending */

  vcpu = fakes_reset();
  ask(1, 0);
  fake_caa_gone = true;
  assert_int_equal(DISPATCH_NOTHING, dispatch_arrive(vcpu, 0, 1));
  assert_int_equal(1, dispatch_counts(0).unreadable);
  assert_int_equal(0, fake_starts);
}


static void a_call_is_recognised_by_its_registers(void** state) {
  (void) state;
  vcpu_t* vcpu = fakes_reset();
  dispatch_done_t done;

  for (uint32_t round = 0; round < 3; round++) {
    ask(2, 7);
    assert_int_equal(DISPATCH_WAITS, dispatch_arrive(vcpu, 1000, 2000));
    assert_int_equal(DISPATCH_WAITS, dispatch_poll(vcpu, &done));
    dispatch_incomplete(vcpu);
    assert_int_equal(svsm_result_wire(SVSM_INCOMPLETE), rax_now());
    assert_int_equal(0, fake_memory[CAA]);
  }
  svsm_call_finish(fake_call, 0x1234); /* while the guest is away */
  ask(2, 7);
  assert_int_equal(DISPATCH_WAITS, dispatch_arrive(vcpu, 1000, 2000));
  assert_int_equal(DISPATCH_ANSWERED, dispatch_poll(vcpu, &done));
  assert_int_equal(0x1234, rax_now());
  assert_int_equal(4, done.rounds);
  assert_int_equal(1, fake_starts);

  ask(2, 7); /* answered is answered: the same again is a new call */
  assert_int_equal(DISPATCH_WAITS, dispatch_arrive(vcpu, 1000, 2000));
  assert_int_equal(DISPATCH_WAITS, dispatch_poll(vcpu, &done));
  assert_int_equal(2, fake_starts);
}


static void another_call_waits_for_the_one_given_up(void** state) {
  (void) state;
  vcpu_t* vcpu = fakes_reset();
  dispatch_done_t done;

  ask(2, 7);
  assert_int_equal(DISPATCH_WAITS, dispatch_arrive(vcpu, 1000, 2000));
  assert_int_equal(DISPATCH_WAITS, dispatch_poll(vcpu, &done));
  dispatch_incomplete(vcpu);

  ask(1, 8);
  assert_int_equal(DISPATCH_WAITS, dispatch_arrive(vcpu, 3000, 4000));
  assert_int_equal(DISPATCH_WAITS, dispatch_poll(vcpu, &done));
  assert_int_equal(1, fake_starts); /* the new one has not begun */
  dispatch_incomplete(vcpu);

  ask(1, 8);
  assert_int_equal(DISPATCH_WAITS, dispatch_arrive(vcpu, 5000, 6000));
  svsm_call_finish(fake_call, 0x1234);
  fake_now_ns = 5500;
  assert_int_equal(DISPATCH_ANSWERED, dispatch_poll(vcpu, &done));
  assert_int_equal(0, rax_now()); /* its own answer, not 0x1234 */
  assert_int_equal(2, fake_starts);
  assert_int_equal(1, dispatch_counts(0).given_up);
  assert_int_equal(2, done.rounds);
  assert_int_equal(2500, done.latency_ns); /* since it first came */
}


static void incomplete_from_a_handler_is_part_of_one_call(void** state) {
  (void) state;
  vcpu_t* vcpu = fakes_reset();
  dispatch_done_t done;

  for (uint32_t round = 1; round <= 3; round++) {
    fake_now_ns = 1000 * round;
    ask(2, 7);
    assert_int_equal(DISPATCH_WAITS,
                     dispatch_arrive(vcpu, fake_now_ns, UINT64_MAX));
    assert_int_equal(DISPATCH_WAITS, dispatch_poll(vcpu, &done));
    svsm_call_finish(fake_call,
                     round < 3 ? svsm_result_wire(SVSM_INCOMPLETE) : 0);
    assert_int_equal(DISPATCH_ANSWERED, dispatch_poll(vcpu, &done));
    assert_int_equal(round < 3, done.goes_on);
    assert_int_equal(round, done.rounds);
  }
  assert_int_equal(3, fake_starts); /* each round is work of its own */
  assert_int_equal(2000, done.latency_ns);
}


static void the_answer_goes_where_the_call_came_from(void** state) {
  (void) state;
  vcpu_t* vcpu = fakes_reset();
  dispatch_done_t done;

  ask(2, 7);
  assert_int_equal(DISPATCH_WAITS, dispatch_arrive(vcpu, 1000, 2000));
  assert_int_equal(DISPATCH_WAITS, dispatch_poll(vcpu, &done));
  fake_memory[OTHER_CAA] = 9;
  vcpu_set_caa(vcpu, OTHER_CAA); /* as REMAP_CA does */
  fake_call->out_rcx = 77;
  fake_call->outs = SVSM_OUT_RCX;
  svsm_call_finish(fake_call, 0);
  fake_log[0] = 0;
  assert_int_equal(DISPATCH_ANSWERED, dispatch_poll(vcpu, &done));
  assert_string_equal("w:rcx w:rax w:pending r:efer svme+ ", fake_log);
  assert_int_equal(0, fake_memory[CAA]);
  assert_int_equal(9, fake_memory[OTHER_CAA]);
}


static void what_we_do_not_have_is_counted(void** state) {
  (void) state;
  vcpu_t* vcpu = fakes_reset();
  const uint64_t other_protocol = 6ull << 32;
  dispatch_done_t done;

  ask(2, 7); /* a call that its protocol doesn't have */
  assert_int_equal(DISPATCH_WAITS, dispatch_arrive(vcpu, 1000, 2000));
  assert_int_equal(DISPATCH_WAITS, dispatch_poll(vcpu, &done));
  svsm_call_finish(fake_call, svsm_result_wire(SVSM_UNSUPPORTED_CALL));
  assert_int_equal(DISPATCH_ANSWERED, dispatch_poll(vcpu, &done));
  assert_int_equal(1, dispatch_counts(0).unknown);

  ask(1, 7);
  memcpy(fake_memory + VMSA_GPA(VMSA, rax), &other_protocol, 8);
  assert_int_equal(DISPATCH_WAITS, dispatch_arrive(vcpu, 1000, 2000));
  assert_int_equal(DISPATCH_ANSWERED, dispatch_poll(vcpu, &done));
  assert_int_equal(svsm_result_wire(SVSM_UNSUPPORTED_PROTOCOL), rax_now());
  assert_int_equal(2, dispatch_counts(0).unknown);
}


/* ---- The table ---- */

static void a_place_is_used_again_when_its_call_has_ended(void** state) {
  (void) state;
  (void) fakes_reset();
  const vcpu_new_t new = {
      .vmsa_gpa = 0x20000, .caa_gpa = 0x21000, .cpu = 1, .vmpl = 1};

  vcpu_t* first = vcpu_reserve(&new);
  assert_non_null(first);
  assert_int_equal(VCPU_PAGE_VMSA, vcpu_pages_in(0x20FFF, 1, NULL));
  assert_int_equal(VCPU_PAGE_VMSA | VCPU_PAGE_CAA,
                   vcpu_pages_in(0x1FFFF, 0x1002, NULL));
  assert_int_equal(0, vcpu_pages_in(0x1F000, 0x1000, NULL));
  assert_int_equal(0, vcpu_pages_in(0x22000, 1, NULL));
  assert_int_equal(VCPU_PAGE_VMSA, vcpu_pages_in(0x20000, 0x2000, first));
  assert_null(vcpu_find(0x20000)); /* not yet */
  vcpu_activate(first);
  assert_ptr_equal(first, vcpu_find(0x20000));

  atomic_store(&first->call.state, SVSM_CALL_RUNNING);
  assert_int_equal(0, vcpu_any_gone());
  vcpu_retire(first);
  assert_true(vcpu_any_gone());
  assert_int_equal(VCPU_PAGE_VMSA, vcpu_pages_in(0x20000, 1, NULL));
  assert_null(vcpu_to_bury()); /* CPU 0 is in a section */
  vcpu_section_end(0);
  assert_ptr_equal(first, vcpu_to_bury());
  vcpu_bury(first);
  vcpu_section_begin(0);
  assert_int_equal(0, vcpu_pages_in(0x20000, 1, NULL));
  assert_ptr_not_equal(first, vcpu_reserve(&new)); /* its call still runs */
  atomic_store(&first->call.state, SVSM_CALL_ANSWERED);
  assert_ptr_equal(first, vcpu_reserve(&new));
}


static void the_table_has_an_end(void** state) {
  (void) state;
  (void) fakes_reset();
  vcpu_new_t new = {.cpu = 1, .vmpl = 1};

  for (uint32_t i = 1; i < VCPUS_MAX; i++) {
    new.vmsa_gpa = 0x100000 + i * 0x2000ull;
    new.caa_gpa = new.vmsa_gpa + 0x1000;
    assert_non_null(vcpu_reserve(&new));
  }
  assert_null(vcpu_reserve(&new));
}


int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_call_goes_through_its_steps_in_order),
      cmocka_unit_test(nobody_asked_and_nothing_is_touched),
      cmocka_unit_test(a_call_is_recognised_by_its_registers),
      cmocka_unit_test(another_call_waits_for_the_one_given_up),
      cmocka_unit_test(incomplete_from_a_handler_is_part_of_one_call),
      cmocka_unit_test(the_answer_goes_where_the_call_came_from),
      cmocka_unit_test(what_we_do_not_have_is_counted),
      cmocka_unit_test(a_place_is_used_again_when_its_call_has_ended),
      cmocka_unit_test(the_table_has_an_end),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}

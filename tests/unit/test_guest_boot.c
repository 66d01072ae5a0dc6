/*
 * tests/unit/test_guest_boot.c - a guest that can't boot comes to its end.
 *
 * Goal:   whichever step the SVSM refuses, the boot is over, and says which.
 * Method: the boot program with a machine of fakes; a HLT before the end would
 *         be for ever, since nobody is there to interrupt it.
 */
#include "tests/unit/unit.h"

#include "sim/guest_boot.c"

#include <setjmp.h>

#define FAKE_MEMORY_SIZE (16u * PAGE_SIZE)

static front_door_t fake_door;
static _Alignas(4096) uint8_t fake_memory[FAKE_MEMORY_SIZE];
static uint64_t fake_next_gpa;
static uint64_t fake_refused_rax; /* of guest_call(); UINT64_MAX: none */
static uint32_t fake_refused_vcpu;
static jmp_buf fake_halted;

uint32_t guest_vcpu_index(const guest_vcpu_t* vcpu) {
  (void) vcpu;
  return 0;
}


void* guest_memory(uint64_t gpa, size_t size) {
  assert_true(gpa + size <= sizeof(fake_memory));
  return fake_memory + gpa;
}


uint64_t guest_memory_size(void) {
  return FAKE_MEMORY_SIZE;
}


uint64_t guest_alloc_pages(size_t page_count) {
  uint64_t gpa = fake_next_gpa;

  fake_next_gpa += page_count * PAGE_SIZE;
  return gpa;
}


void guest_set_calling_area(guest_vcpu_t* vcpu, uint64_t caa_gpa) {
  (void) vcpu;
  (void) caa_gpa;
}


uint32_t guest_call(guest_vcpu_t* vcpu, guest_regs_t* regs) {
  (void) vcpu;
  return regs->rax == fake_refused_rax ? SVSM_INVALID : 0;
}


uint32_t guest_start_vcpu(guest_vcpu_t* vcpu,
                          uint32_t index,
                          guest_main_cb main,
                          void* arg) {
  (void) vcpu;
  (void) main;
  (void) arg;
  if (index == fake_refused_vcpu)
    return SVSM_INVALID;
  fake_door.vcpus_serving--; /* it has served, and is done */
  return 0;
}


void guest_halt(guest_vcpu_t* vcpu) {
  (void) vcpu;
  longjmp(fake_halted, 1);
}


void guest_interrupt(uint32_t index) {
  (void) index;
}


void front_door_notify(front_door_t* door) {
  (void) door;
}


void front_door_stop(front_door_t* door) {
  door->is_stopping = true;
}


void front_door_serve(front_door_t* door, guest_vcpu_t* vcpu) {
  (void) door;
  (void) vcpu;
}


static void a_boot_that_fails_is_over_and_says_where(void** state) {
  (void) state;
  static const struct {
    uint64_t rax;
    uint32_t vcpu;
    const char* step;
  } refusals[] = {
      {0, 9, "REMAP_CA"},
      {1, 9, "PVALIDATE"},
      {UINT64_MAX, 1, "CREATE_VCPU"},
      {UINT64_MAX, 3, "CREATE_VCPU"},
      {2ull << 32, 9, "the vTPM's QUERY"},
  };

  for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
    memset(&fake_door, 0, sizeof(fake_door));
    pthread_mutex_init(&fake_door.lock, NULL);
    fake_door.cpu_count = 4;
    fake_next_gpa = PAGE_SIZE;
    fake_refused_rax = refusals[i].rax;
    fake_refused_vcpu = refusals[i].vcpu;
    if (setjmp(fake_halted) == 0)
      guest_main_boot(NULL, &fake_door);
    assert_true(atomic_load(&fake_door.is_over));
    assert_true(fake_door.is_stopping);
    assert_string_equal(refusals[i].step, fake_door.boot_error);
    assert_int_equal(SVSM_INVALID, fake_door.boot_result);
    assert_int_equal(0, fake_door.vcpus_serving);
    pthread_mutex_destroy(&fake_door.lock);
  }
}


int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_boot_that_fails_is_over_and_says_where),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}

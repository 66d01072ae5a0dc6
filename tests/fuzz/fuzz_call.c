/*
 * tests/fuzz/fuzz_call.c - anything at all, as a guest's calls.
 *
 *   input: a program of small steps: registers, memory, VMGEXIT, time
 *
 * The promise checked: whatever two vCPUs write and ask for, in whatever order
 * and however often they give up, no ASSERT falls, no byte of the firmware's
 * memory changes, no VMSA can be written by the guest or says VMPL0, and a
 * vCPU that got an answer can be entered.
 *
 * Real: dispatch, core, vtpm, guest_mem, vcpu, and sim/platform.c. Fakes: the
 * CPU (there is one thread, which is now this CPU and now that), the clock
 * (which the input moves), and the TPM (which looks at each byte it is given).
 */
#include <stdlib.h>

#include "arch/arch.h"
#include "handlers/core.c"
#include "handlers/core_page.c"
#include "handlers/core_vcpu.c"
#include "handlers/dispatch.c"
#include "handlers/guest_mem.c"
#include "handlers/result.c"
#include "handlers/vcpu.c"
#include "handlers/vtpm.c"
#include "sim/platform.c"

#define FUZZ_CPUS 2u
#define FUZZ_VMSA (1ull << 20)
#define FUZZ_CAA ((1ull << 20) + 4096)
#define FUZZ_PAGES (PLATFORM_FIRMWARE_GPA + PLATFORM_FIRMWARE_SIZE)
#define FUZZ_STEPS_MAX 256u
#define FUZZ_FEATURES 1u
#define FUZZ_PATTERN 0xA5u

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

typedef struct {
  const uint8_t* at;
  size_t left;
} input_t;

static uint32_t fuzz_cpu; /* which we are now */
static uint64_t fuzz_now_ns;
static uint32_t fuzz_sum; /* what the fake TPM read */
static bool fuzz_job_ready;

/* ---- Fakes ---- */

uint32_t arch_cpu(void) {
  return fuzz_cpu;
}


uint64_t arch_clock_ns(void) {
  return fuzz_now_ns += 1000;
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
}


int uvx_job_submit(uv_loop_t* loop,
                   uvx_job_t* job,
                   uvx_job_priority_t priority,
                   uvx_job_cb work_cb,
                   uvx_job_done_cb done_cb) {
  (void) loop;
  (void) job;
  (void) priority;
  (void) work_cb;
  (void) done_cb;
  return 0;
}


void uvx_job_yield(void) {
}


int uvx_job_await(uvx_wait_t* wait) {
  (void) wait;
  abort(); /* the job's loop is fuzz_job() here */
}


void uvx_wait_done(uvx_wait_t* wait, int status) {
  (void) wait;
  (void) status;
  fuzz_job_ready = true;
}


uint32_t platform_cpu_of_apic_id(uint32_t apic_id) {
  return apic_id < FUZZ_CPUS ? apic_id : PLATFORM_CPU_NONE;
}


int tpm_state_load(const char* name,
                   void* data,
                   uint32_t size_max,
                   uint32_t* size_out) {
  (void) name;
  (void) data;
  (void) size_max;
  (void) size_out;
  return UV_ENOENT;
}


int tpm_state_store(const char* name, const void* data, uint32_t size) {
  (void) name;
  (void) data;
  (void) size;
  return 0;
}


int tpm_state_remove(const char* name) {
  (void) name;
  return 0;
}


void tpm_init(const tpm_platform_t* platform) {
  (void) platform;
}


int tpm_power_on(void) {
  return 0;
}


void tpm_power_off(void) {
}


void tpm_terminate(void) {
}


bool tpm_is_on(void) {
  return true;
}


/* Reads all that it is given and answers as much as it likes. */
int tpm_process(const uint8_t* command,
                uint32_t size,
                uint8_t locality,
                uint8_t* response,
                uint32_t* response_size) {
  ASSERT(size >= 1);
  ASSERT(size <= TPM_COMMAND_SIZE_MAX);
  ASSERT(locality <= TPM_LOCALITY_MAX);
  for (uint32_t i = 0; i < size; i++)
    fuzz_sum = fuzz_sum * 31 + command[i];
  *response_size = fuzz_sum % (TPM_RESPONSE_SIZE_MAX + 1);
  memset(response, command[0], *response_size);
  return fuzz_sum % 64 == 0 ? UV_ENOMEM : 0;
}


void tpm_cancel(void) {
}


int tpm_established(bool* established) {
  *established = true;
  return 0;
}


int tpm_reset_established(uint8_t locality) {
  return locality >= 3 ? 0 : UV_EPERM;
}


int tpm_hash_start(void) {
  return 0;
}


int tpm_hash_data(const void* data, uint32_t size) {
  uint32_t size_out;
  static uint8_t sink[TPM_RESPONSE_SIZE_MAX];

  return size == 0 ? UV_EINVAL : tpm_process(data, size, 0, sink, &size_out);
}


int tpm_hash_end(void) {
  return 0;
}


/* ---- Reading the input ---- */

static uint64_t take(input_t* in, size_t size) {
  uint64_t value = 0;

  for (size_t i = 0; i < size; i++) {
    uint64_t byte = 0;
    if (in->left > 0) {
      byte = *in->at++;
      in->left--;
    }
    value |= byte << 8 * i;
  }
  return value;
}


/* An address near something that matters, or any at all. */
static uint64_t take_gpa(input_t* in) {
  const uint64_t places[] = {
      0,
      FUZZ_VMSA,
      FUZZ_CAA,
      PLATFORM_FIRMWARE_GPA - 4096,
      PLATFORM_FIRMWARE_GPA,
      FUZZ_PAGES,
      FUZZ_PAGES + 4096,
      FUZZ_PAGES + 8192,
      FUZZ_PAGES + 12288,
      platform_validated_size(),
      platform_validated_size() + PLATFORM_PAGE_2M_SIZE,
      platform_memory_size() - 4096,
      UINT64_MAX - 4095,
  };
  uint8_t which = (uint8_t) take(in, 1);

  if (which >= 250)
    return take(in, 8);
  uint64_t gpa = places[which % ARRAY_SIZE(places)];
  if (which >= 128)
    gpa += take(in, 2) % 4096;
  return gpa;
}


/* ---- The machine ---- */

static uint8_t* at(uint64_t gpa) {
  return platform_memory(gpa, 4096);
}


static void fuzz_fill_vmsa(uint64_t gpa) {
  vmsa_wire_t* vmsa = (vmsa_wire_t*) (void*) at(gpa);

  memset(vmsa, 0, sizeof(*vmsa));
  vmsa->vmpl = 1;
  vmsa->efer = VMSA_EFER_SVME;
  vmsa->sev_features = FUZZ_FEATURES;
}


/* As new. Mapping it anew each time would be most of the work. */
static void fuzz_memory_reset(void) {
  if (memory != NULL) {
    int err = madvise(memory, memory_size, MADV_DONTNEED);
    ASSERT(err == 0);
    pages_reset();
    return;
  }
  int err = platform_memory_init(PLATFORM_MEMORY_SIZE_MIN);
  ASSERT(err == 0);
  (void) madvise(memory, memory_size, MADV_NOHUGEPAGE);
}


static void fuzz_reset(uint8_t mode) {
  const vcpu_new_t boot = {
      .vmsa_gpa = FUZZ_VMSA, .caa_gpa = FUZZ_CAA, .vmpl = 1};

  fuzz_memory_reset();
  fuzz_cpu = 0;
  fuzz_job_ready = false;
  vcpu_init();
  dispatch_init();
  memset(core_changes, 0, sizeof(core_changes));
  memset(page_rests, 0, sizeof(page_rests));
  vtpm_job_runs = false;
  vtpm_init((mode & 1) != 0);
  dispatch_add_protocol(&core_protocol);
  dispatch_add_protocol(&vtpm_protocol);
  memset(at(PLATFORM_FIRMWARE_GPA), FUZZ_PATTERN, 4096);
  memset(at(FUZZ_PAGES - 4096), FUZZ_PATTERN, 4096);
  fuzz_fill_vmsa(FUZZ_VMSA);
  vcpu_t* vcpu = vcpu_boot(&boot, FUZZ_FEATURES);
  ASSERT(vcpu != NULL);
  platform_vmsa_launch(FUZZ_VMSA);
}


/* A turn of the TPM's job, on this CPU. */
static void fuzz_job(void) {
  if (!fuzz_job_ready)
    return;
  fuzz_job_ready = false;
  do {
    vtpm_command_t* command = vtpm_take();
    ASSERT(command != NULL);
    vtpm_finish(command, vtpm_execute(command));
  } while (atomic_fetch_sub(&vtpm_count, 1) != 1);
}


/* ---- Steps ---- */

static vcpu_t* fuzz_vcpu(void) {
  vcpu_section_begin(fuzz_cpu);
  vcpu_t* vcpu = vcpu_current(fuzz_cpu);
  vcpu_section_end(fuzz_cpu);
  return vcpu;
}


static void step_registers(input_t* in, const vcpu_t* vcpu) {
  static const uint32_t protocols[] = {0, 0, 0, 2, 2, 1, 3};
  vmsa_wire_t* vmsa = (vmsa_wire_t*) (void*) at(vcpu_vmsa_gpa(vcpu));
  uint8_t what = (uint8_t) take(in, 1);

  if (vcpu->asking)
    return; /* the guest isn't running */
  vmsa->rax =
      (uint64_t) protocols[what % ARRAY_SIZE(protocols)] << 32 | what >> 4;
  vmsa->rcx = take_gpa(in);
  vmsa->rdx = take_gpa(in);
  vmsa->r8 = take(in, 1);
}


/* Put bytes where a guest may write: its rights say so. */
static void step_write(input_t* in) {
  uint64_t gpa = take_gpa(in);
  uint8_t size = (uint8_t) take(in, 1);

  for (uint32_t i = 0; i < size; i++) {
    uint8_t byte = (uint8_t) take(in, 1);
    if (platform_guest_has(gpa + i, 1) && !platform_is_firmware(gpa + i, 1) &&
        (platform_rights_of(gpa + i, 1) & PLATFORM_RIGHT_WRITE) != 0)
      platform_guest_write(gpa + i, &byte, 1);
  }
}


static void step_structure(input_t* in) {
  uint64_t gpa = FUZZ_PAGES + 4096 * (take(in, 1) % 4);
  uint8_t what = (uint8_t) take(in, 1);
  uint16_t count = (uint16_t) (take(in, 1) % 4);

  if ((platform_rights_of(gpa, 1) & PLATFORM_RIGHT_WRITE) == 0)
    return;
  if (what % 2 == 0) {
    fuzz_fill_vmsa(gpa);
    return;
  }
  uint64_t entries[4];
  uint16_t next = 0;
  for (uint32_t i = 0; i < ARRAY_SIZE(entries); i++)
    entries[i] = (take_gpa(in) & ENTRY_GFN) | (take(in, 1) & 0xF);
  memcpy(at(gpa), &count, 2);
  memcpy(at(gpa) + 2, &next, 2);
  memcpy(at(gpa) + 8, entries, sizeof(entries));
}


static void step_vmgexit(input_t* in, vcpu_t* vcpu) {
  uint8_t how = (uint8_t) take(in, 1);
  uint64_t vmsa_gpa = vcpu_vmsa_gpa(vcpu);
  uint64_t exit_code = how % 16 == 1 ? 0x78 : VMSA_EXIT_VMGEXIT;
  uint8_t pending = how % 16 == 2 ? how : 1;

  if (vcpu->asking)
    return;
  (void) platform_guest_store_u8(vcpu_caa_gpa(vcpu), pending);
  memcpy(at(vmsa_gpa) + offsetof(vmsa_wire_t, guest_exit_code), &exit_code, 8);
  vcpu_section_begin(fuzz_cpu);
  (void) dispatch_arrive(vcpu, fuzz_now_ns, fuzz_now_ns + (how >> 4) * 3000u);
  vcpu_section_end(fuzz_cpu);
}


static void step_poll(vcpu_t* vcpu, bool spent) {
  dispatch_done_t done;

  vcpu_section_begin(fuzz_cpu);
  dispatch_t how = dispatch_poll(vcpu, &done);
  if (how == DISPATCH_WAITS && spent)
    dispatch_incomplete(vcpu);
  vcpu_section_end(fuzz_cpu);
}


static void fuzz_step(input_t* in) {
  uint8_t what = (uint8_t) take(in, 1);
  vcpu_t* vcpu = fuzz_vcpu();

  switch (what % 8) {
    case 0:
      fuzz_cpu = what / 8 % FUZZ_CPUS;
      break;
    case 1:
      step_write(in);
      break;
    case 2:
      step_structure(in);
      break;
    case 3:
      fuzz_job();
      core_vcpu_bury();
      break;
    default:
      if (vcpu == NULL)
        break;
      if (what % 8 == 4)
        step_registers(in, vcpu);
      if (what % 8 <= 5)
        step_vmgexit(in, vcpu);
      step_poll(vcpu, what % 8 == 7);
  }
}


/* ---- What must hold ---- */

static void check_vcpu(const vcpu_t* vcpu) {
  if (!vcpu_is_active(vcpu))
    return;
  uint64_t gpa = vcpu_vmsa_gpa(vcpu);
  const vmsa_wire_t* vmsa = (const vmsa_wire_t*) (const void*) at(gpa);

  ASSERT(vmsa->vmpl >= 1);
  ASSERT(vmsa->vmpl <= 3);
  ASSERT(vmsa->sev_features == FUZZ_FEATURES);
  ASSERT(((vmsa->efer & VMSA_EFER_SVME) != 0) == !vcpu->asking);
  for (uint32_t vmpl = 1; vmpl <= 3; vmpl++)
    ASSERT((platform_rights_of(gpa, vmpl) & PLATFORM_RIGHT_WRITE) == 0);
  bool taken = platform_vmsa_take(gpa);
  ASSERT(taken);
  platform_vmsa_give(gpa);
}


static void check_firmware(void) {
  const uint8_t* first = at(PLATFORM_FIRMWARE_GPA);
  const uint8_t* last = at(FUZZ_PAGES - 4096);

  for (uint32_t i = 0; i < 4096; i++) {
    ASSERT(first[i] == FUZZ_PATTERN);
    ASSERT(last[i] == FUZZ_PATTERN);
  }
}


int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  input_t in = {.at = data, .left = size};

  fuzz_reset((uint8_t) take(&in, 1));
  for (uint32_t i = 0; i < FUZZ_STEPS_MAX && in.left > 0; i++) {
    fuzz_step(&in);
    for (uint32_t v = 0; v < VCPUS_MAX; v++)
      check_vcpu(&vcpus[v]);
  }
  check_firmware();
  return 0;
}

/*
 * tests/sim/machine.c - switching machines on and off, one after the other.
 */
#include "tests/sim/machine.h"

#include "runtime/uvx.h"
#include "sim/cpu.h"

static const svsm_protocol_t* machine_protocol;

static void machine_cpu(uint32_t cpu) {
  uvx_cpu_init(cpu);
  service_run(cpu);
  uvx_cpu_close(cpu);
}


void machine_add_protocol(const svsm_protocol_t* protocol) {
  machine_protocol = protocol;
}


void machine_run(uint32_t cpu_count,
                 const service_config_t* config,
                 guest_main_cb body,
                 void* arg) {
  int err = platform_memory_init(PLATFORM_MEMORY_SIZE_DEFAULT);
  ASSERT(err == 0);
  service_init(config);
  if (machine_protocol != NULL)
    dispatch_add_protocol(machine_protocol);
  guest_boot(body, arg);
  err = cpu_start(cpu_count, machine_cpu);
  ASSERT(err == 0);
  cpu_join();
  platform_memory_close();
}


uint32_t machine_call(guest_vcpu_t* vcpu, uint64_t rax, uint64_t* rcx) {
  guest_regs_t regs = {.rax = rax, .rcx = *rcx};
  uint32_t result = guest_call(vcpu, &regs);

  *rcx = regs.rcx;
  return result;
}

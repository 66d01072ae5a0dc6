/*
 * tests/sim/machine.h - a whole machine for one test: real CPUs (threads), the
 * real service, and a guest program that is the test's body.
 *
 * The body runs on the boot vCPU, on a CPU's thread: it may not assert with
 * cmocka. It notes what it sees, and the test judges when the machine is off.
 */
#ifndef EVSM_TESTS_SIM_MACHINE_H
#define EVSM_TESTS_SIM_MACHINE_H

#include "handlers/service.h"
#include "sim/guest.h"
#include "sim/platform.h"

/* Calls by their number in RAX. */
#define MACHINE_REMAP_CA 0ull
#define MACHINE_PVALIDATE 1ull
#define MACHINE_CREATE_VCPU 2ull
#define MACHINE_DELETE_VCPU 3ull
#define MACHINE_QUERY_PROTOCOL 6ull
#define MACHINE_VTPM_QUERY (2ull << 32)
#define MACHINE_VTPM_CMD (2ull << 32 | 1)

/*
 * Switch a machine on, run `body` on its boot vCPU until service_stop(), and
 * switch it off. Nothing of it is left.
 */
void machine_run(uint32_t cpu_count,
                 const service_config_t* config,
                 guest_main_cb body,
                 void* arg);

/* In a body: one whole call, and its result; *rcx is in and out. */
uint32_t machine_call(guest_vcpu_t* vcpu, uint64_t rax, uint64_t* rcx);

/* Add `protocol` to the next machine_run()'s service; NULL: none. */
void machine_add_protocol(const svsm_protocol_t* protocol);

#endif /* EVSM_TESTS_SIM_MACHINE_H */

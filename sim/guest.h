/*
 * sim/guest.h - what a guest program in the simulator has: memory, a vCPU,
 * VMGEXIT, HLT. Nothing else: it reaches the firmware only through these.
 *
 * A guest program is C code on a stack of its own, in a context of its CPU's
 * thread: it runs when the firmware enters the guest, and stops running at
 * VMGEXIT and HLT. Signals stay blocked, so it may call the C library. It
 * never blocks in a system call: it halts, and the host's wire (sim/wire.h)
 * interrupts it when there is something to read or write.
 *
 * Registers travel through the vCPU's VMSA page, the calling area is a page of
 * guest memory, both exactly as on SNP (abi.md sections 1.2 and 1.3).
 */
#ifndef EVSM_SIM_GUEST_H
#define EVSM_SIM_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct guest_vcpu_s guest_vcpu_t;
typedef void (*guest_main_cb)(guest_vcpu_t* vcpu, void* arg);

/* The five registers of an SVSM call, in and out. */
typedef struct guest_regs_s {
  uint64_t rax;
  uint64_t rcx;
  uint64_t rdx;
  uint64_t r8;
  uint64_t r9;
} guest_regs_t;

/*
 * The host puts `main` on the boot vCPU (CPU 0), with a VMSA, a calling area
 * and all memory validated but for the last quarter. Before cpu_start().
 */
void guest_boot(guest_main_cb main, void* arg);

/* ---- Context: inside a guest program, on its own vCPU ---- */

uint32_t guest_vcpu_index(const guest_vcpu_t* vcpu);

/* Guest memory as the guest maps it; NULL if [gpa, gpa + size) is outside. */
void* guest_memory(uint64_t gpa, size_t size);
uint64_t guest_memory_size(void);

/* Take zeroed pages of validated guest memory; 0 if there are none left. */
uint64_t guest_alloc_pages(size_t page_count);

/* Where this vCPU's calling area is now: gPA. */
uint64_t guest_calling_area(const guest_vcpu_t* vcpu);
void guest_set_calling_area(guest_vcpu_t* vcpu, uint64_t caa_gpa);

/*
 * One VMGEXIT: put `regs` into the registers, set CALL_PENDING, leave, come
 * back, take CALL_PENDING out. Returns 0, or -1 if the firmware never ran
 * (CALL_PENDING was still set).
 */
int guest_vmgexit(guest_vcpu_t* vcpu, guest_regs_t* regs);

/*
 * A whole call, as Linux makes it: again while the answer is INCOMPLETE or
 * BUSY, with the same five registers each time. Returns RAX (32 bits).
 */
uint32_t guest_call(guest_vcpu_t* vcpu, guest_regs_t* regs);

/*
 * Make a vCPU: fill a fresh VMSA, CREATE_VCPU by an SVSM call of `vcpu`, then
 * ask the host to start it in `main`. Returns the SVSM result.
 */
uint32_t guest_start_vcpu(guest_vcpu_t* vcpu,
                          uint32_t index,
                          guest_main_cb main,
                          void* arg);

/*
 * One VMGEXIT as a careless or hostile guest or host would have it: `pending`
 * is put into the calling area, `exit_code` is what the processor notes in
 * the VMSA. Returns what CALL_PENDING was on return (and leaves 0 in it).
 */
uint8_t guest_vmgexit_raw(guest_vcpu_t* vcpu,
                          guest_regs_t* regs,
                          uint8_t pending,
                          uint64_t exit_code);

/*
 * Fill the page at `vmsa_gpa` as a VMSA that CREATE_VCPU accepts. Tests then
 * spoil one field.
 */
void guest_fill_vmsa(uint64_t vmsa_gpa);

/* The host starts vCPU `index` in `main` from its VMSA at `vmsa_gpa`, with
 * its calling area at `caa_gpa`. The firmware has its own opinion. */
void guest_host_start(uint32_t index,
                      uint64_t vmsa_gpa,
                      uint64_t caa_gpa,
                      guest_main_cb main,
                      void* arg);

/* HLT: stop until guest_interrupt(). A pending one returns at once. */
void guest_halt(guest_vcpu_t* vcpu);

/* ---- Context: any host thread or vCPU ---- */

/* Interrupt a vCPU: its HLT ends. */
void guest_interrupt(uint32_t index);

/*
 * The host lies: at vCPU `index`'s next `count` VMGEXITs it resumes the guest
 * without having run the firmware.
 */
void guest_host_skips(uint32_t index, uint32_t count);

/* The host refuses to run vCPU `index`, until it is told otherwise. */
void guest_host_refuses(uint32_t index, bool refuses);

#endif /* EVSM_SIM_GUEST_H */

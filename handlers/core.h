/*
 * handlers/core.h - protocol 0: the calls about pages, vCPUs and ourselves.
 *
 *   core.c       QUERY_PROTOCOL, CONFIGURE_VTOM, and who does the others
 *   core_page.c  PVALIDATE
 *   core_vcpu.c  REMAP_CA, CREATE_VCPU, DELETE_VCPU
 */
#ifndef EVSM_HANDLERS_CORE_H
#define EVSM_HANDLERS_CORE_H

#include "handlers/call.h"

extern const svsm_protocol_t core_protocol;

/* Forget what calls of a machine before were at. Context: [boot]. */
void core_init(void);

/* Context of all: as svsm_protocol_t's start. Each finishes the call. */
void core_page_validate(svsm_call_t* call);
void core_vcpu_remap(svsm_call_t* call);
void core_vcpu_create(svsm_call_t* call);
void core_vcpu_delete(svsm_call_t* call);

/*
 * This vCPU is gone: what its PVALIDATE left half cleared is nobody's to go on
 * with, least of all its successor's in the same place of the table.
 *
 * Context:  [loop], of any CPU, when no section is left that may know the vCPU.
 */
void core_page_forget(uint32_t vcpu_index);

/*
 * Give the pages of deleted vCPUs back to the guest, as far as nobody looks
 * at them any more.
 *
 * Context:  [loop], on CPU `cpu`.
 */
void core_vcpu_bury(void);

#endif /* EVSM_HANDLERS_CORE_H */

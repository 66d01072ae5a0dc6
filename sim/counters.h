/*
 * sim/counters.h - the service's figures as JSON, for `evsm stat`.
 *
 * It is asked on a vCPU, when a client of the control socket wants it; the
 * figures are read while they grow, and each is right by itself.
 */
#ifndef EVSM_SIM_COUNTERS_H
#define EVSM_SIM_COUNTERS_H

#include "sim/guest_front_door.h"
#include "sim/tpm_state_file.h"

/* Whose figures. Context: a host thread, before the CPUs start. */
void counters_init(const tpm_state_file_t* state);

/* Context: a vCPU. Memory: the caller puts it (json_object_put). */
json_object* counters_json(front_door_t* door);

#endif /* EVSM_SIM_COUNTERS_H */

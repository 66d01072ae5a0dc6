/*
 * handlers/service_stats.h - what service.c tells service_stats.c.
 *
 * Nobody else includes this; what others may ask is in service.h.
 */
#ifndef EVSM_HANDLERS_SERVICE_STATS_H
#define EVSM_HANDLERS_SERVICE_STATS_H

#include "handlers/service.h"

/* One entry, from the guest's exit to its next run. */
typedef struct service_entry_s {
  uint64_t began_ns;
  uint64_t deadline_ns;
  uint32_t protocol; /* what was asked */
  uint32_t call;
  bool is_long;       /* it has begun to help a job */
  uint64_t stolen_ns; /* what the host took of the CPU before that */

  /* its parts */
  service_doing_t doing_longest;
  uint64_t doing_longest_ns;
  uint64_t mark_ns; /* where the part began that is going on */
} service_entry_t;

/* Context of all: [loop], on CPU `cpu`. */
void service_stats_init(uint64_t budget_ns);
void service_stats_part(service_entry_t* entry, service_doing_t doing);
void service_stats_entry(uint32_t cpu,
                         const service_entry_t* entry,
                         uint64_t now_ns,
                         bool answered);
void service_stats_call(uint32_t cpu, const dispatch_done_t* done);
void service_stats_halt(uint32_t cpu);

/*
 * Note what the host has taken of this CPU so far: after a halt, and when an
 * entry begins to help a job. It costs a system call on some machines, so
 * nobody asks on the way of a short call.
 */
void service_stats_watch(uint32_t cpu);
void service_stats_long(uint32_t cpu, service_entry_t* entry);

#endif /* EVSM_HANDLERS_SERVICE_STATS_H */

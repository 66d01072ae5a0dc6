/*
 * handlers/service.h - the service: what each CPU does, for as long as the
 * machine lives, and how well.
 *
 *   guest leaves -> events -> answer?  -> guest
 *                     ^   \-> budget spent: INCOMPLETE -> guest
 *                     \---- help the job it waits for
 *   guest halted or absent: events, any ready job, halt
 *
 * The root of a world (sim/main.c, arch/x86_64/main.c) makes the machine,
 * calls service_init() and vcpu_boot(), and then service_run() on each CPU.
 */
#ifndef EVSM_HANDLERS_SERVICE_H
#define EVSM_HANDLERS_SERVICE_H

#include "handlers/dispatch.h"
#include "handlers/hist.h"

typedef struct service_config_s {
  uint32_t budget_us; /* 0: BUDGET_US_DEFAULT; else BUDGET_US_MIN to _MAX */
  bool has_tpm;       /* answer protocol 2 */

  /* May guests do to the TPM what the platform does: power, reset, locality,
   * hash sequences? Then whoever owns the guest can forge PCRs; so only where
   * the guest *is* the platform, as the simulator's front doors are. */
  bool tpm_platform_commands;
} service_config_t;

/* Context: [boot]. Memory: *config is copied. */
void service_init(const service_config_t* config);

/*
 * Serve on this CPU (uvx_cpu_init() was called) until service_stop().
 *
 * Context:  [loop], at its bottom.
 */
void service_run(uint32_t cpu);

/* Its three parts, for those who have a loop of their own (tests): step
 * returns false once service_stop() was called. Context: as above. */
void service_begin(uint32_t cpu);
bool service_step(uint32_t cpu);
void service_end(uint32_t cpu);

/* Have every CPU leave service_run() soon. A call in flight keeps its job.
 * Context: [any], [trap]. */
void service_stop(void);

/* ---- How it goes ---- */

/* Protocols are told apart up to here; all others count as one. */
#define SERVICE_KINDS 4u
#define SERVICE_KIND_CORE 0u
#define SERVICE_KIND_ATTEST 1u
#define SERVICE_KIND_VTPM 2u
#define SERVICE_KIND_OTHER 3u

/* What a CPU did for the longest part of an entry past its budget. */
typedef enum {
  SERVICE_DOING_NOTHING, /* 0 */
  SERVICE_DOING_EVENTS,  /* callbacks of the loop */
  SERVICE_DOING_CALL,    /* a handler, without waiting */
  SERVICE_DOING_JOB,     /* helping */
  SERVICE_DOING_HALT,    /* nothing to help with */
  SERVICE_DOING_COUNT
} service_doing_t;

typedef struct service_kind_stats_s {
  uint64_t calls;      /* answered for good */
  uint64_t rounds;     /* entries that these and the unfinished ones took */
  uint64_t incomplete; /* rounds that ended without an answer */
  hist_summary_t residency; /* of each entry for it */
  hist_summary_t latency;   /* of each call, first arrival to answer */
} service_kind_stats_t;

typedef struct service_stats_s {
  uint64_t budget_ns;
  uint64_t entries;         /* how often guests came to ask */
  uint64_t halts;           /* and to wait for an interrupt */
  hist_summary_t residency; /* of each entry, as all protocols together */
  hist_summary_t
      held; /* less what the host took of the CPU, if past the budget */
  hist_summary_t overrun; /* by how much those held past the budget were */
  uint64_t overruns[SERVICE_DOING_COUNT]; /* and what took longest */

  /* the worst entry */
  uint64_t worst_ns;
  uint64_t worst_stolen_ns; /* of these the host took the CPU */
  uint32_t worst_protocol;
  uint32_t worst_call;
  service_doing_t worst_doing; /* what took longest in it */
  uint64_t worst_doing_ns;

  service_kind_stats_t kinds[SERVICE_KINDS];
  dispatch_counts_t useless;
} service_stats_t;

#define SERVICE_ALL_CPUS UINT32_MAX

/*
 * A snapshot of CPU `cpu`'s figures, or of all together.
 *
 * Context:  [any]; not two at a time with SERVICE_ALL_CPUS.
 * Cost:     O(CPUs) histograms: not for hot paths.
 */
void service_stats(uint32_t cpu, service_stats_t* out);

/* "core", "attest", "vtpm", "other". "events", "job" ... */
const char* service_kind_name(uint32_t kind);
const char* service_doing_name(service_doing_t doing);

#endif /* EVSM_HANDLERS_SERVICE_H */

/*
 * handlers/service_stats.c - each entry and each call, measured.
 *
 * One set a CPU, written by that CPU only, read by anybody at any time: plain
 * relaxed stores. A snapshot is thus not of one instant, but each figure in it
 * was true.
 */
#include "handlers/service_stats.h"

#include "arch/arch.h"
#include "runtime/trace.h"

typedef struct service_kind_s {
  _Atomic uint64_t calls;
  _Atomic uint64_t rounds;
  _Atomic uint64_t incomplete;
  hist_t residency;
  hist_t latency;
} service_kind_t;

typedef struct service_cpu_s {
  _Alignas(ARCH_CACHE_LINE_SIZE) _Atomic uint64_t entries;
  _Atomic uint64_t halts;
  _Atomic uint64_t overruns[SERVICE_DOING_COUNT];
  _Atomic uint64_t worst_ns;
  _Atomic uint64_t worst_what; /* protocol << 32 | call */
  _Atomic uint64_t worst_stolen_ns;
  _Atomic uint64_t worst_doing_ns;
  _Atomic uint32_t worst_doing;
  hist_t residency;
  hist_t held;
  hist_t overrun;
  uint64_t stolen_ns; /* of the CPU by the host, as last seen */
  service_kind_t kinds[SERVICE_KINDS];
} service_cpu_t;

static service_cpu_t service_cpus[CPUS_MAX];
static uint64_t service_stats_budget_ns;
static hist_t service_sum; /* service_stats()'s, for all CPUs together */

static uint64_t service_get(const _Atomic uint64_t* counter) {
  return atomic_load_explicit(counter, memory_order_relaxed);
}


static void service_set(_Atomic uint64_t* counter, uint64_t value) {
  atomic_store_explicit(counter, value, memory_order_relaxed);
}


static void service_add(_Atomic uint64_t* counter) {
  service_set(counter, service_get(counter) + 1);
}


static uint32_t service_kind(uint32_t protocol) {
  return protocol < SERVICE_KIND_OTHER ? protocol : SERVICE_KIND_OTHER;
}


void service_stats_init(uint64_t budget_ns) {
  memset(service_cpus, 0, sizeof(service_cpus));
  service_stats_budget_ns = budget_ns;
}


void service_stats_part(service_entry_t* entry, service_doing_t doing) {
  uint64_t now_ns = arch_clock_ns();
  uint64_t took_ns = now_ns - entry->mark_ns;

  entry->mark_ns = now_ns;
  if (took_ns >= entry->doing_longest_ns) {
    entry->doing_longest_ns = took_ns;
    entry->doing_longest = doing;
  }
}


/* What the host took since this was last asked, of at most `of_ns`. */
static uint64_t service_stolen(service_cpu_t* c, uint64_t of_ns) {
  uint64_t before_ns = c->stolen_ns;

  c->stolen_ns = arch_stolen_ns();
  if (c->stolen_ns <= before_ns)
    return 0;
  uint64_t stolen_ns = c->stolen_ns - before_ns;
  return stolen_ns < of_ns ? stolen_ns : of_ns;
}


void service_stats_watch(uint32_t cpu) {
  ASSERT(cpu < CPUS_MAX);
  (void) service_stolen(&service_cpus[cpu], 0);
}


/* From here on it is known to the nanosecond. What was taken before the guest
 * came may count here as well, but no more than the handler's few. */
void service_stats_long(uint32_t cpu, service_entry_t* entry) {
  ASSERT(cpu < CPUS_MAX);
  ASSERT(!entry->is_long);

  entry->is_long = true;
  entry->stolen_ns =
      service_stolen(&service_cpus[cpu], arch_clock_ns() - entry->began_ns);
}


void service_stats_entry(uint32_t cpu,
                         const service_entry_t* entry,
                         uint64_t now_ns,
                         bool answered) {
  ASSERT(cpu < CPUS_MAX);

  service_cpu_t* c = &service_cpus[cpu];
  service_kind_t* kind = &c->kinds[service_kind(entry->protocol)];
  uint64_t took_ns = now_ns - entry->began_ns;
  uint64_t stolen_ns = 0;
  if (now_ns > entry->deadline_ns)
    stolen_ns =
        entry->stolen_ns + service_stolen(c, took_ns - entry->stolen_ns);
  uint64_t held_ns = took_ns - stolen_ns;

  service_add(&c->entries);
  service_add(&kind->rounds);
  if (!answered)
    service_add(&kind->incomplete);
  hist_add(&c->residency, took_ns);
  hist_add(&kind->residency, took_ns);
  hist_add(&c->held, held_ns);
  if (held_ns > service_stats_budget_ns) {
    hist_add(&c->overrun, held_ns - service_stats_budget_ns);
    service_add(&c->overruns[entry->doing_longest]);
    trace_budget_overrun((uint64_t) entry->doing_longest, held_ns,
                         service_stats_budget_ns);
  }
  if (took_ns > service_get(&c->worst_ns)) {
    service_set(&c->worst_ns, took_ns);
    service_set(&c->worst_stolen_ns, stolen_ns);
    service_set(&c->worst_what, (uint64_t) entry->protocol << 32 | entry->call);
    service_set(&c->worst_doing_ns, entry->doing_longest_ns);
    atomic_store_explicit(&c->worst_doing, (uint32_t) entry->doing_longest,
                          memory_order_relaxed);
  }
}


void service_stats_call(uint32_t cpu, const dispatch_done_t* done) {
  ASSERT(cpu < CPUS_MAX);

  service_kind_t* kind = &service_cpus[cpu].kinds[service_kind(done->protocol)];
  if (done->goes_on)
    return;
  service_add(&kind->calls);
  hist_add(&kind->latency, done->latency_ns);
}


void service_stats_halt(uint32_t cpu) {
  ASSERT(cpu < CPUS_MAX);
  service_add(&service_cpus[cpu].halts);
}


/* ---- Snapshots ---- */

/* One histogram of the CPUs from `first` to `last`, at `offset` in each. */
static void service_hist(uint32_t first,
                         uint32_t last,
                         size_t offset,
                         hist_summary_t* out) {
  if (first == last) {
    hist_summarize(
        (const hist_t*) (const void*) ((const char*) &service_cpus[first] +
                                       offset),
        out);
    return;
  }
  hist_clear(&service_sum);
  for (uint32_t cpu = first; cpu <= last; cpu++)
    hist_merge(&service_sum,
               (const hist_t*) (const void*) ((const char*) &service_cpus[cpu] +
                                              offset));
  hist_summarize(&service_sum, out);
}


static void service_counts_add(uint32_t cpu, service_stats_t* out) {
  service_cpu_t* c = &service_cpus[cpu];
  dispatch_counts_t useless = dispatch_counts(cpu);

  out->entries += service_get(&c->entries);
  out->halts += service_get(&c->halts);
  for (uint32_t i = 0; i < SERVICE_DOING_COUNT; i++)
    out->overruns[i] += service_get(&c->overruns[i]);
  if (service_get(&c->worst_ns) > out->worst_ns) {
    out->worst_ns = service_get(&c->worst_ns);
    out->worst_protocol = (uint32_t) (service_get(&c->worst_what) >> 32);
    out->worst_call = (uint32_t) service_get(&c->worst_what);
    out->worst_stolen_ns = service_get(&c->worst_stolen_ns);
    out->worst_doing_ns = service_get(&c->worst_doing_ns);
    out->worst_doing = (service_doing_t) atomic_load_explicit(
        &c->worst_doing, memory_order_relaxed);
  }
  for (uint32_t i = 0; i < SERVICE_KINDS; i++) {
    out->kinds[i].calls += service_get(&c->kinds[i].calls);
    out->kinds[i].rounds += service_get(&c->kinds[i].rounds);
    out->kinds[i].incomplete += service_get(&c->kinds[i].incomplete);
  }
  out->useless.spurious += useless.spurious;
  out->useless.not_vmgexit += useless.not_vmgexit;
  out->useless.unreadable += useless.unreadable;
  out->useless.bad_pending += useless.bad_pending;
  out->useless.given_up += useless.given_up;
  out->useless.unknown += useless.unknown;
}


void service_stats(uint32_t cpu, service_stats_t* out) {
  ASSERT(cpu < CPUS_MAX || cpu == SERVICE_ALL_CPUS);

  uint32_t first = cpu == SERVICE_ALL_CPUS ? 0 : cpu;
  uint32_t last = cpu == SERVICE_ALL_CPUS ? CPUS_MAX - 1 : cpu;

  memset(out, 0, sizeof(*out));
  out->budget_ns = service_stats_budget_ns;
  for (uint32_t i = first; i <= last; i++)
    service_counts_add(i, out);
  service_hist(first, last, offsetof(service_cpu_t, residency),
               &out->residency);
  service_hist(first, last, offsetof(service_cpu_t, held), &out->held);
  service_hist(first, last, offsetof(service_cpu_t, overrun), &out->overrun);
  for (uint32_t i = 0; i < SERVICE_KINDS; i++) {
    size_t kind = offsetof(service_cpu_t, kinds) + i * sizeof(service_kind_t);
    service_hist(first, last, kind + offsetof(service_kind_t, residency),
                 &out->kinds[i].residency);
    service_hist(first, last, kind + offsetof(service_kind_t, latency),
                 &out->kinds[i].latency);
  }
}


const char* service_kind_name(uint32_t kind) {
  static const char* const names[SERVICE_KINDS] = {"core", "attest", "vtpm",
                                                   "other"};

  return kind < SERVICE_KINDS ? names[kind] : "other";
}


const char* service_doing_name(service_doing_t doing) {
  static const char* const names[SERVICE_DOING_COUNT] = {"nothing", "events",
                                                         "call", "job", "halt"};

  return (uint32_t) doing < SERVICE_DOING_COUNT ? names[doing] : "nothing";
}

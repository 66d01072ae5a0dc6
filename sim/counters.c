/*
 * sim/counters.c - see sim/counters.h.
 */
#include "sim/counters.h"

#include "arch/arch.h"
#include "handlers/service.h"
#include "handlers/vtpm.h"

#include <unistd.h>

static struct {
  const tpm_state_file_t* state;
  uint64_t began_ns;
  pthread_mutex_t lock; /* service_stats() is for one at a time */
} counters = {.lock = PTHREAD_MUTEX_INITIALIZER};

void counters_init(const tpm_state_file_t* state) {
  counters.state = state;
  counters.began_ns = arch_clock_ns();
}


static void put_count(json_object* to, const char* name, uint64_t value) {
  json_object_object_add(to, name, json_object_new_uint64(value));
}


static void put_us(json_object* to, const char* name, uint64_t ns) {
  json_object_object_add(to, name, json_object_new_double((double) ns / 1000));
}


static void put_spread(json_object* to,
                       const char* name,
                       const hist_summary_t* hist) {
  json_object* spread = json_object_new_object();

  put_count(spread, "count", hist->count);
  put_us(spread, "p50", hist->p50_ns);
  put_us(spread, "p99", hist->p99_ns);
  put_us(spread, "p99_9", hist->p999_ns);
  put_us(spread, "max", hist->max_ns);
  json_object_object_add(to, name, spread);
}


static void put_protocols(json_object* to, const service_stats_t* stats) {
  json_object* list = json_object_new_array();

  for (uint32_t i = 0; i < SERVICE_KINDS; i++) {
    const service_kind_stats_t* kind = &stats->kinds[i];
    json_object* one = json_object_new_object();
    json_object_object_add(one, "name",
                           json_object_new_string(service_kind_name(i)));
    put_count(one, "calls", kind->calls);
    put_count(one, "rounds", kind->rounds);
    put_count(one, "incomplete", kind->incomplete);
    put_spread(one, "residency_us", &kind->residency);
    put_spread(one, "latency_us", &kind->latency);
    json_object_array_add(list, one);
  }
  json_object_object_add(to, "protocols", list);
}


static void put_worst(json_object* to, const service_stats_t* stats) {
  json_object* worst = json_object_new_object();
  json_object* overruns = json_object_new_object();

  put_us(worst, "us", stats->worst_ns);
  put_us(worst, "stolen_us", stats->worst_stolen_ns);
  put_count(worst, "protocol", stats->worst_protocol);
  put_count(worst, "call", stats->worst_call);
  json_object_object_add(
      worst, "doing",
      json_object_new_string(service_doing_name(stats->worst_doing)));
  put_us(worst, "doing_us", stats->worst_doing_ns);
  json_object_object_add(to, "worst", worst);

  for (int i = 0; i < SERVICE_DOING_COUNT; i++)
    put_count(overruns, service_doing_name((service_doing_t) i),
              stats->overruns[i]);
  json_object_object_add(to, "overruns_while", overruns);
}


static void put_useless(json_object* to, const dispatch_counts_t* counts) {
  json_object* useless = json_object_new_object();

  put_count(useless, "spurious", counts->spurious);
  put_count(useless, "not_vmgexit", counts->not_vmgexit);
  put_count(useless, "unreadable", counts->unreadable);
  put_count(useless, "bad_pending", counts->bad_pending);
  put_count(useless, "given_up", counts->given_up);
  put_count(useless, "unknown", counts->unknown);
  json_object_object_add(to, "useless", useless);
}


/* What the runtime did on this CPU. */
static void put_runtime(json_object* to, uint32_t cpu) {
  uvx_cpu_stats_t stats;

  if (uvx_cpu_stats(cpu, &stats) != 0)
    return;
  put_count(to, "jobs", stats.jobs_done);
  put_count(to, "slices", stats.slices);
  put_count(to, "preemptions", stats.preemptions);
  put_count(to, "migrations", stats.migrations);
  put_count(to, "interrupts", stats.interrupts);
  put_count(to, "ipis", stats.ipis_sent);
  put_us(to, "job_us", stats.job_ns);
  put_us(to, "loop_us", stats.loop_ns);
  put_us(to, "guest_us", stats.guest_ns);
  put_us(to, "halt_us", stats.halt_ns);
}


static void put_cpus(json_object* to, uint32_t cpu_count) {
  json_object* list = json_object_new_array();
  service_stats_t stats;

  for (uint32_t cpu = 0; cpu < cpu_count; cpu++) {
    json_object* one = json_object_new_object();
    service_stats(cpu, &stats);
    put_count(one, "cpu", cpu);
    put_count(one, "entries", stats.entries);
    put_count(one, "halts", stats.halts);
    put_spread(one, "residency_us", &stats.residency);
    put_spread(one, "held_us", &stats.held);
    put_runtime(one, cpu);
    json_object_array_add(list, one);
  }
  json_object_object_add(to, "cpus", list);
}


static void put_tpm(json_object* to) {
  json_object* tpm = json_object_new_object();
  const char* path = counters.state->path;
  vtpm_memory_t memory = vtpm_memory();

  json_object_object_add(
      tpm, "state", json_object_new_string(path == NULL ? "in memory" : path));
  put_count(tpm, "memory_used", memory.used);
  put_count(tpm, "memory_used_max", memory.peak);
  put_count(tpm, "memory_size", memory.size);
  put_count(tpm, "state_writes", atomic_load(&counters.state->store_count));
  json_object_object_add(to, "tpm", tpm);
}


json_object* counters_json(front_door_t* door) {
  json_object* json = json_object_new_object();
  service_stats_t stats;

  pthread_mutex_lock(&counters.lock);
  service_stats(SERVICE_ALL_CPUS, &stats);
  put_count(json, "pid", (uint64_t) getpid());
  put_us(json, "uptime_us", arch_clock_ns() - counters.began_ns);
  put_count(json, "cpu_count", door->cpu_count);
  put_us(json, "budget_us", stats.budget_ns);
  put_count(json, "entries", stats.entries);
  put_count(json, "halts", stats.halts);
  put_spread(json, "residency_us", &stats.residency);
  put_spread(json, "held_us", &stats.held);
  put_spread(json, "overrun_us", &stats.overrun);
  put_worst(json, &stats);
  put_protocols(json, &stats);
  put_cpus(json, door->cpu_count);
  put_useless(json, &stats.useless);
  put_tpm(json);
  pthread_mutex_unlock(&counters.lock);
  json_object_object_add(json, "clients", front_door_counters(door));
  return json;
}

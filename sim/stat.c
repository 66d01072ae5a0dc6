/*
 * sim/stat.c - `evsm stat`: what a running evsm has done, as a table or JSON.
 *
 * The figures are the service's (sim/counters.c makes them into JSON); here
 * they are only asked for and laid out.
 */
#include "sim/commands.h"

#include "runtime/base.h"
#include "sim/control.h"
#include "sim/options.h"

#include <stdio.h>

static const char help[] =
    "evsm stat - what a running evsm has done, and how long it took\n"
    "\n"
    "  --control PATH  the evsm to ask (the one started last)\n"
    "  --json          print JSON instead of tables\n"
    "  --help          print this\n"
    "\n"
    "residency  how long the vCPU was away for one entry into the firmware\n"
    "held       the same, less what Linux gave to other threads meanwhile: "
    "what\n"
    "           the firmware itself took. The budget (evsm run --budget-us)\n"
    "           bounds it, plus one interrupt latency\n"
    "latency    how long a call took, from its first arrival to its answer\n"
    "rounds     entries the calls took: a call that outlasts the budget\n"
    "           is sent back INCOMPLETE and comes again\n"
    "slices     how often a job ran here, until it ended, parked or gave way\n"
    "preempt    how often a job gave way to events, or to the budget\n"
    "migrate    how often a job went on on this CPU that began on another\n"
    "clients    of each front door: connected now and, at most, at once; how\n"
    "           many may be; how many ever were; what they asked\n"
    "Times are in us: median, 99 %, 99.9 %, and the longest ever.\n";

static double number_at(json_object* object, const char* name) {
  return json_object_get_double(json_object_object_get(object, name));
}


static unsigned long long count_at(json_object* object, const char* name) {
  return json_object_get_uint64(json_object_object_get(object, name));
}


static const char* text_at(json_object* object, const char* name) {
  const char* text = control_text(object, name);
  return text == NULL ? "?" : text;
}


/* json-c aborts when asked for the length of what is no list, and whoever
 * answers at --control need not be evsm. */
static size_t length_of(json_object* list) {
  return json_object_is_type(list, json_type_array)
             ? json_object_array_length(list)
             : 0;
}


static void print_spread_head(void) {
  printf("%10s %8s %8s %8s %8s", "count", "p50", "p99", "p99.9", "max");
}


static void print_spread(json_object* of, const char* name) {
  json_object* spread = json_object_object_get(of, name);

  printf("%10llu %8.1f %8.1f %8.1f %8.1f", count_at(spread, "count"),
         number_at(spread, "p50"), number_at(spread, "p99"),
         number_at(spread, "p99_9"), number_at(spread, "max"));
}


static void print_protocols(json_object* stat) {
  json_object* list = json_object_object_get(stat, "protocols");

  printf("\n%-9s %9s %9s  ", "latency", "calls", "rounds");
  print_spread_head();
  printf("\n");
  for (size_t i = 0; i < length_of(list); i++) {
    json_object* one = json_object_array_get_idx(list, i);
    printf("%-9s %9llu %9llu  ", text_at(one, "name"), count_at(one, "calls"),
           count_at(one, "rounds"));
    print_spread(one, "latency_us");
    printf("\n");
  }

  printf("\n%-9s %9s %9s  ", "residency", "", "sent back");
  print_spread_head();
  printf("\n");
  for (size_t i = 0; i < length_of(list); i++) {
    json_object* one = json_object_array_get_idx(list, i);
    printf("%-9s %9s %9llu  ", text_at(one, "name"), "",
           count_at(one, "incomplete"));
    print_spread(one, "residency_us");
    printf("\n");
  }
  printf("%-29s  ", "all");
  print_spread(stat, "residency_us");
  printf("\n%-29s  ", "held");
  print_spread(stat, "held_us");
  printf("\n");
}


static void print_cpus(json_object* stat) {
  json_object* list = json_object_object_get(stat, "cpus");

  printf("\n%-9s %9s %9s  ", "CPU, held", "entries", "halts");
  print_spread_head();
  printf("  %8s %8s %8s %8s\n", "slices", "preempt", "migrate", "IPIs");
  for (size_t i = 0; i < length_of(list); i++) {
    json_object* one = json_object_array_get_idx(list, i);
    printf("%-9llu %9llu %9llu  ", count_at(one, "cpu"),
           count_at(one, "entries"), count_at(one, "halts"));
    print_spread(one, "held_us");
    printf("  %8llu %8llu %8llu %8llu\n", count_at(one, "slices"),
           count_at(one, "preemptions"), count_at(one, "migrations"),
           count_at(one, "ipis"));
  }
}


static void print_clients(json_object* stat) {
  json_object* clients = json_object_object_get(stat, "clients");
  json_object* doors = json_object_object_get(clients, "doors");

  printf("\n%-9s %9s %9s %9s %9s %9s\n", "clients", "now", "at once", "limit",
         "ever", "requests");
  for (size_t i = 0; i < length_of(doors); i++) {
    json_object* one = json_object_array_get_idx(doors, i);
    printf("%-9s %9llu %9llu %9llu %9llu %9llu\n", text_at(one, "name"),
           count_at(one, "now"), count_at(one, "at_once"),
           count_at(one, "limit"), count_at(one, "ever"),
           count_at(one, "requests"));
  }
  printf("hung up on: %llu; TPM asked again after RETRY: %llu\n",
         count_at(clients, "hang_ups"), count_at(clients, "retries"));
}


static void print_stat(json_object* stat) {
  json_object* worst = json_object_object_get(stat, "worst");
  json_object* tpm = json_object_object_get(stat, "tpm");
  json_object* overrun = json_object_object_get(stat, "overrun_us");

  printf("evsm, process %llu, up %.1f s, %llu CPUs, budget %llu us an entry\n",
         count_at(stat, "pid"), number_at(stat, "uptime_us") / 1e6,
         count_at(stat, "cpu_count"), count_at(stat, "budget_us"));
  print_protocols(stat);
  print_cpus(stat);
  print_clients(stat);
  printf(
      "\nlongest entry: %.1f us, of which Linux took %.1f; protocol %llu call"
      " %llu, most of it in %s (%.1f us)\n",
      number_at(worst, "us"), number_at(worst, "stolen_us"),
      count_at(worst, "protocol"), count_at(worst, "call"),
      text_at(worst, "doing"), number_at(worst, "doing_us"));
  printf(
      "held past the budget: %llu entries, by %.1f us (p99), %.1f us (max)\n",
      count_at(overrun, "count"), number_at(overrun, "p99"),
      number_at(overrun, "max"));
  printf(
      "TPM memory: %llu bytes in use, %llu at most, of %llu; state %s,"
      " written %llu times\n",
      count_at(tpm, "memory_used"), count_at(tpm, "memory_used_max"),
      count_at(tpm, "memory_size"), text_at(tpm, "state"),
      count_at(tpm, "state_writes"));
}


int stat_main(char** argv) {
  const char* control = NULL;
  bool is_json = false;
  const option_t options[] = {
      {.name = "--control", .text = &control},
      {.name = "--json", .flag = &is_json},
  };
  const command_t command = {"evsm stat", help, options, ARRAY_SIZE(options),
                             0};
  int status;

  if (options_parse(&command, argv, NULL, &status) < 0)
    return status;
  int fd = control_connect("evsm stat", control);
  if (fd < 0)
    return 1;

  json_object* request = json_object_new_object();
  json_object_object_add(request, "do", json_object_new_string("stat"));
  json_object* stat = control_ask("evsm stat", fd, request);
  json_object_put(request);
  if (stat == NULL)
    return 1;
  if (is_json)
    printf("%s\n",
           json_object_to_json_string_ext(stat, JSON_C_TO_STRING_PRETTY));
  else
    print_stat(stat);
  json_object_put(stat);
  return 0;
}

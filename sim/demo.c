/*
 * sim/demo.c - `evsm demo`: the whole thing from nothing, for a person to see.
 *
 * Starts `evsm run` on a state and ports of its own, runs real tpm2-tools
 * against it, restarts it on the same state, and lets one client make RSA keys
 * while another asks queries. A step is a line: what, how long, OK. Everything
 * it makes is in one temporary folder, which goes at the end; a failed step
 * shows what its tool said.
 *
 * The steps are a table; running programs is sim/demo_child.c's.
 */
#include "sim/commands.h"

#include "runtime/base.h"
#include "sim/control.h"
#include "sim/demo_child.h"
#include "sim/options.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEMO_CPUS "4"
#define DEMO_KEYS 6u       /* RSA primaries made while queries are asked */
#define DEMO_STEPS_MAX 48u /* the tables below, and what stands between */
#define DEMO_QUERIES_MAX 1000000u

static const char help[] =
    "evsm demo - evsm from nothing, with real tpm2-tools\n"
    "\n"
    "Starts 'evsm run' on a temporary state and free ports, runs tpm2-tools\n"
    "against it, restarts it to show that the state is kept, and asks queries\n"
    "while RSA keys are being made. Ends with a summary.\n"
    "\n"
    "  --json  print JSON: a list of steps, and the figures\n"
    "  --keep  leave the temporary folder where it is, and say where\n"
    "  --help  print this\n"
    "\n"
    "Exit status: 0; 1 if a step failed or tpm2-tools are missing; 2 for a\n"
    "wrong command line.\n";

/* Words are separated by one space; a `;` of its own ends a command. */
typedef struct {
  const char* name;
  const char* commands;
  const char* same[2]; /* two files that must then be equal */
} demo_tool_t;

#define FLUSH " ; tpm2_flushcontext -t"
#define NONCE "d0d1d2d3d4d5d6d7"

static const demo_tool_t first_tools[] = {
    {.name = "startup", .commands = "tpm2_startup -c"},
    {.name = "getrandom", .commands = "tpm2_getrandom -o random 16"},
    {.name = "pcrextend",
     .commands = "tpm2_pcrextend 16:sha256=000102030405060708090a0b0c0d0e0f"
                 "101112131415161718191a1b1c1d1e1f"},
    {.name = "pcrread", .commands = "tpm2_pcrread sha256:0,16"},
    {.name = "createek rsa",
     .commands = "tpm2_createek -G rsa -c ek.ctx -u ek.pub" FLUSH},
    {.name = "createek ecc",
     .commands = "tpm2_createek -G ecc -c ek_ecc.ctx -u ek_ecc.pub" FLUSH},
    {.name = "createak",
     .commands = "tpm2_createak -C ek.ctx -c ak.ctx -G rsa -g sha256 -s rsassa"
                 " -u ak.pem -f pem -n ak.name" FLUSH},
    {.name = "createprimary rsa2048",
     .commands = "tpm2_createprimary -C o -G rsa2048 -c rsa.ctx" FLUSH},
    {.name = "createprimary ecc",
     .commands = "tpm2_createprimary -C o -G ecc -c ecc.ctx" FLUSH},
    {.name = "create",
     .commands = "tpm2_create -C ecc.ctx -G ecc -u key.pub -r key.priv" FLUSH},
    {.name = "load",
     .commands =
         "tpm2_load -C ecc.ctx -u key.pub -r key.priv -c key.ctx" FLUSH},
    {.name = "sign",
     .commands = "tpm2_sign -c key.ctx -g sha256 -o message.sig message" FLUSH},
    {.name = "verifysignature",
     .commands = "tpm2_verifysignature -c key.ctx -g sha256 -m message"
                 " -s message.sig" FLUSH},
    {.name = "quote",
     .commands = "tpm2_quote -c ak.ctx -l sha256:0,16 -q " NONCE
                 " -m quote.msg -s quote.sig -o quote.pcrs -g sha256" FLUSH},
    {.name = "checkquote",
     .commands = "tpm2_checkquote -u ak.pem -m quote.msg -s quote.sig"
                 " -f quote.pcrs -g sha256 -q " NONCE},
    {.name = "nvdefine",
     .commands = "tpm2_nvdefine 0x1500016 -C o -s 32 -a ownerread|ownerwrite"},
    {.name = "nvwrite", .commands = "tpm2_nvwrite 0x1500016 -C o -i message"},
    {.name = "nvread",
     .commands = "tpm2_nvread 0x1500016 -C o -s 32 -o message.nv",
     .same = {"message", "message.nv"}},
    {.name = "evictcontrol",
     .commands = "tpm2_evictcontrol -C o -c ecc.ctx 0x81000001" FLUSH},
};

static const demo_tool_t second_tools[] = {
    {.name = "the same EK after a restart",
     .commands = "tpm2_createek -G rsa -c ek2.ctx -u ek2.pub" FLUSH,
     .same = {"ek.pub", "ek2.pub"}},
    {.name = "NV kept",
     .commands = "tpm2_nvread 0x1500016 -C o -s 32 -o message2.nv",
     .same = {"message", "message2.nv"}},
    {.name = "persistent key kept",
     .commands = "tpm2_readpublic -c 0x81000001"},
};

typedef struct {
  bool is_json;
  bool keeps;
  char folder[64];
  demo_child_t evsm;
  char* control; /* of the running evsm; NULL: it doesn't run */
  json_object* steps;
  uint32_t failed_count;
  double slowest_ms;
  const char* slowest;
} demo_t;

/* Ctrl-C, a terminal that is closed, nobody who reads what we print: what runs
 * ends by it, no other step begins, all is cleared away. */
static volatile sig_atomic_t is_interrupted;

static void on_interrupt(int number) {
  (void) number;
  is_interrupted = 1;
}


/* ---- Steps ---- */

static void step_done(
    demo_t* demo, const char* name, double ms, bool is_ok, const char* note) {
  json_object* step = json_object_new_object();

  json_object_object_add(step, "step", json_object_new_string(name));
  json_object_object_add(step, "ms", json_object_new_double(ms));
  json_object_object_add(step, "ok", json_object_new_boolean(is_ok));
  json_object_array_add(demo->steps, step);
  if (!is_ok)
    demo->failed_count++;
  if (ms > demo->slowest_ms) {
    demo->slowest_ms = ms;
    demo->slowest = name;
  }
  if (!demo->is_json) {
    printf("  %-30s %8.1f ms  %s%s%s\n", name, ms, is_ok ? "OK" : "FAILED",
           note[0] != '\0' ? "  " : "", note);
    fflush(stdout);
  }
}


static bool files_equal(const char* const* names) {
  FILE* a = fopen(names[0], "rb");
  FILE* b = fopen(names[1], "rb");
  bool equal = a != NULL && b != NULL;
  size_t size = 0;

  while (equal) {
    int x = getc(a);
    equal = x == getc(b);
    if (x == EOF)
      break;
    size++;
  }
  if (a != NULL)
    fclose(a);
  if (b != NULL)
    fclose(b);
  return equal && size > 0;
}


/* What a failed tool said, for the person. */
static void show_log(const char* name) {
  char line[256];
  FILE* log = fopen("log", "r");

  fprintf(stderr, "evsm demo: %s failed; its tool said:\n", name);
  while (log != NULL && fgets(line, sizeof(line), log) != NULL)
    fprintf(stderr, "    %s", line);
  if (log != NULL)
    fclose(log);
}


static void run_tools(demo_t* demo, const demo_tool_t* tools, size_t count) {
  for (size_t i = 0; i < count && !is_interrupted; i++) {
    const demo_tool_t* tool = &tools[i];
    double began_ms = demo_now_ms();
    bool is_ok = demo_commands(tool->commands);
    double ms = demo_now_ms() - began_ms;
    if (!is_ok)
      show_log(tool->name);
    if (is_ok && tool->same[0] != NULL) {
      is_ok = files_equal(tool->same);
      if (!is_ok)
        fprintf(stderr, "evsm demo: %s and %s differ, and must not\n",
                tool->same[0], tool->same[1]);
    }
    step_done(demo, tool->name, ms, is_ok, "");
  }
}


/* ---- evsm run ---- */

static bool evsm_start(demo_t* demo, const char* step) {
  char state[96];
  char control[96];
  double began_ms = demo_now_ms();
  char line[512];

  snprintf(state, sizeof(state), "%s/tpm.state", demo->folder);
  snprintf(control, sizeof(control), "%s/control.sock", demo->folder);
  const char* argv[] = {"evsm",      "run",   "--cpus",     DEMO_CPUS,
                        "--state",   state,   "--tpm-port", "0",
                        "--control", control, NULL};
  bool is_ok = demo_start(&demo->evsm, argv, line, sizeof(line));
  json_object* ready = is_ok ? json_tokener_parse(line) : NULL;
  const char* tcti = control_text(ready, "tcti");
  if (tcti != NULL) {
    setenv("TPM2TOOLS_TCTI", tcti, 1);
    demo->control = strdup(control);
  }
  step_done(demo, step, demo_now_ms() - began_ms, tcti != NULL,
            tcti != NULL ? tcti : "");
  json_object_put(ready);
  return tcti != NULL;
}


static void evsm_stop(demo_t* demo, const char* step) {
  double began_ms = demo_now_ms();

  free(demo->control);
  demo->control = NULL;
  bool is_ok = demo_stop(&demo->evsm);
  if (step != NULL)
    step_done(demo, step, demo_now_ms() - began_ms, is_ok, "");
}


/* ---- One client makes keys, another asks queries ---- */

typedef struct {
  double* us; /* sorted in the end */
  size_t count;
  json_object* request;
  int fd;
} queries_t;

static int by_value(const void* a, const void* b) {
  double x = *(const double*) a;
  double y = *(const double*) b;

  return x < y ? -1 : x > y;
}


/* While a key is being made: queries, back to back. */
static bool queries_ask(void* arg) {
  queries_t* queries = arg;
  uint64_t ns = 0;
  json_object* answer = control_ask("evsm demo", queries->fd, queries->request);

  if (answer == NULL)
    return false;
  control_number(answer, "ns", UINT64_MAX, &ns);
  json_object_put(answer);
  if (queries->count < DEMO_QUERIES_MAX)
    queries->us[queries->count++] = (double) ns / 1000;
  return true;
}


static void run_together(demo_t* demo, json_object* figures) {
  queries_t queries = {
      .us = calloc(DEMO_QUERIES_MAX, sizeof(double)),
      .request =
          json_tokener_parse("{\"do\":\"query\",\"protocol\":2,\"version\":1}"),
      .fd = control_connect("evsm demo", demo->control),
  };
  double began_ms = demo_now_ms();
  bool is_ok = queries.us != NULL && queries.fd >= 0;

  for (uint32_t i = 0; i < DEMO_KEYS && is_ok && !is_interrupted; i++) {
    char commands[160];
    FILE* unique = fopen("unique", "w"); /* a template of its own each */
    if (unique != NULL) { /* a size of 8, little-endian, and the bytes */
      fprintf(unique, "%c%ckey %04u", 8, 0, i);
      fclose(unique);
    }
    snprintf(commands, sizeof(commands),
             "tpm2_createprimary -C o -G rsa2048 -u unique -c one.ctx" FLUSH);
    is_ok = demo_commands_beside(commands, queries_ask, &queries);
  }
  double ms = demo_now_ms() - began_ms;
  if (!is_ok)
    show_log("createprimary beside queries");
  step_done(demo, "6 RSA keys beside queries", ms, is_ok, "");
  if (queries.count > 0) {
    size_t n = queries.count;
    qsort(queries.us, n, sizeof(double), by_value);
    json_object_object_add(figures, "queries", json_object_new_uint64(n));
    json_object_object_add(figures, "query_us_p50",
                           json_object_new_double(queries.us[n / 2]));
    json_object_object_add(figures, "query_us_p99",
                           json_object_new_double(queries.us[n * 99 / 100]));
    json_object_object_add(figures, "query_us_p99_9",
                           json_object_new_double(queries.us[n * 999 / 1000]));
    json_object_object_add(figures, "query_us_max",
                           json_object_new_double(queries.us[n - 1]));
  }
  free(queries.us);
  json_object_put(queries.request);
  if (queries.fd >= 0)
    close(queries.fd);
}


/* ---- The end ---- */

static void take_residency(demo_t* demo, json_object* figures) {
  int fd = control_connect("evsm demo", demo->control);
  json_object* request = json_tokener_parse("{\"do\":\"stat\"}");
  json_object* stat = fd < 0 ? NULL : control_ask("evsm demo", fd, request);
  static const char* const names[] = {"residency_us", "held_us", "budget_us"};

  for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
    json_object* one = NULL;
    if (json_object_object_get_ex(stat, names[i], &one))
      json_object_object_add(figures, names[i], json_object_get(one));
  }
  json_object_put(stat);
  json_object_put(request);
  if (fd >= 0)
    close(fd);
}


static double figure(json_object* figures, const char* name) {
  return json_object_get_double(json_object_object_get(figures, name));
}


static void print_spread(const char* title,
                         json_object* figures,
                         const char* name) {
  json_object* spread = json_object_object_get(figures, name);

  printf("%-39s p50 %.1f   p99 %.1f   p99.9 %.1f   max %.1f\n", title,
         figure(spread, "p50"), figure(spread, "p99"), figure(spread, "p99_9"),
         figure(spread, "max"));
}


static void print_summary(const demo_t* demo, json_object* figures) {
  size_t count = json_object_array_length(demo->steps);

  printf(
      "\n%zu steps, %u failed. Each tool reached libtpms through SVSM vTPM"
      " calls\nof a simulated guest with " DEMO_CPUS
      " vCPUs. Slowest: %s,"
      " %.0f ms.\n",
      count, demo->failed_count, demo->slowest, demo->slowest_ms);
  printf("\nHow long one entry kept a vCPU, in us; the budget is %.0f\n",
         figure(figures, "budget_us"));
  print_spread("  away from its guest", figures, "residency_us");
  print_spread("  less what Linux gave to others", figures, "held_us");
  if (figure(figures, "queries") > 0)
    printf(
        "SVSM queries while RSA keys were made: p50 %.1f   p99 %.1f   p99.9"
        " %.1f   max %.1f   (%.0f of them)\n",
        figure(figures, "query_us_p50"), figure(figures, "query_us_p99"),
        figure(figures, "query_us_p99_9"), figure(figures, "query_us_max"),
        figure(figures, "queries"));
  char self[256] = "evsm";
  ssize_t size = readlink("/proc/self/exe", self, sizeof(self) - 1);
  if (size > 0)
    self[size] = '\0';
  printf(
      "\nTry it yourself:\n"
      "  %s run --cpus 4 --state tpm.state &\n"
      "  tpm2_getrandom -T swtpm:host=127.0.0.1,port=2321 --hex 8\n"
      "  %s stat\n",
      self, self);
}


static void print_json(const demo_t* demo, json_object* figures) {
  json_object* json = json_object_new_object();

  json_object_object_add(json, "ok",
                         json_object_new_boolean(demo->failed_count == 0));
  json_object_object_add(json, "steps", json_object_get(demo->steps));
  json_object_object_add(json, "figures", json_object_get(figures));
  puts(json_object_to_json_string_ext(json, JSON_C_TO_STRING_PRETTY));
  json_object_put(json);
}


/* A folder of our own, and in it what the tools shall sign and keep. */
static bool folder_make(demo_t* demo) {
  const char* base = getenv("TMPDIR");
  int used = snprintf(demo->folder, sizeof(demo->folder), "%s/evsm-demo-XXXXXX",
                      base != NULL && base[0] == '/' ? base : "/tmp");

  if (used < 0 || (size_t) used >= sizeof(demo->folder) ||
      mkdtemp(demo->folder) == NULL || chdir(demo->folder) != 0) {
    fprintf(stderr, "evsm demo: can't make a folder for it: %s; set TMPDIR\n",
            strerror(errno));
    return false;
  }
  FILE* message = fopen("message", "w");
  if (message == NULL)
    return false;
  fputs("thirty-two bytes, signed & kept.", message);
  return fclose(message) == 0;
}


static void folder_remove(const demo_t* demo) {
  if (demo->keeps) {
    fprintf(stderr, "evsm demo: everything is in %s\n", demo->folder);
    return;
  }
  DIR* dir = opendir(".");
  for (struct dirent* entry = dir == NULL ? NULL : readdir(dir); entry != NULL;
       entry = readdir(dir))
    unlink(entry->d_name); /* `.` and `..` refuse it */
  if (dir != NULL)
    closedir(dir);
  if (chdir("/") == 0)
    rmdir(demo->folder);
}


static int demo_run(demo_t* demo) {
  json_object* figures = json_object_new_object();

  demo->steps = json_object_new_array();
  if (evsm_start(demo, "evsm run")) {
    run_tools(demo, first_tools, ARRAY_SIZE(first_tools));
    if (!is_interrupted)
      run_together(demo, figures);
    if (!is_interrupted)
      take_residency(demo, figures);
    evsm_stop(demo, "evsm ends, state kept");
    if (!is_interrupted && evsm_start(demo, "evsm run again")) {
      run_tools(demo, second_tools, ARRAY_SIZE(second_tools));
      evsm_stop(demo, NULL);
    }
  }
  if (demo->is_json)
    print_json(demo, figures);
  else
    print_summary(demo, figures);
  json_object_put(figures);
  json_object_put(demo->steps);
  if (is_interrupted)
    fprintf(stderr, "evsm demo: interrupted; nothing is left behind\n");
  return demo->failed_count == 0 && !is_interrupted ? 0 : 1;
}


int demo_main(char** argv) {
  demo_t demo = {0};
  const option_t options[] = {
      {.name = "--json", .flag = &demo.is_json},
      {.name = "--keep", .flag = &demo.keeps},
  };
  const command_t command = {"evsm demo", help, options, ARRAY_SIZE(options),
                             0};
  int status;

  if (options_parse(&command, argv, NULL, &status) < 0)
    return status;
  if (!demo_has("tpm2_createek")) {
    fprintf(stderr,
            "evsm demo: there are no tpm2-tools; install them with ./setup, or"
            " sudo apt-get install tpm2-tools libtss2-tcti-swtpm0\n");
    return 1;
  }
  struct sigaction interrupt = {
      .sa_handler = on_interrupt,
      .sa_flags = SA_RESTART,
  };
  static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
  for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
    struct sigaction before;
    sigaction(signals[i], &interrupt, &before);
    if (before.sa_handler == SIG_IGN) /* nohup, and the like */
      sigaction(signals[i], &before, NULL);
  }
  if (!folder_make(&demo))
    return 1;
  if (!demo.is_json)
    printf("evsm demo, in %s%s\n\n", demo.folder,
           demo.keeps ? "" : ", which goes at the end (--keep: stays)");
  status = demo_run(&demo);
  folder_remove(&demo);
  return status;
}

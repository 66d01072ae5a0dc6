/*
 * sim/main.c - the evsm command: the root of the simulator.
 *
 * Each command is a file of its own; `evsm run` (sim/run.c) is the one that
 * puts the house together.
 */
#include "sim/commands.h"

#include "runtime/base.h"
#include "sim/options.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "evsm - firmware beside a confidential guest, as a Linux process\n"
    "\n"
    "  evsm run    serve a vTPM and SVSM calls until SIGINT or SIGTERM\n"
    "  evsm stat   what a running evsm has done, and how long it took\n"
    "  evsm call   one SVSM call from the shell\n"
    "  evsm demo   the whole thing, from nothing, with real tpm2-tools\n"
    "\n"
    "'evsm COMMAND --help' says more. Begin with 'evsm demo'.\n";

static const struct {
  const char* name;
  int (*main)(char** argv);
} commands[] = {
    {"run", run_main},
    {"stat", stat_main},
    {"call", call_main},
    {"demo", demo_main},
};

/* Whoever starts us may have closed 0, 1 or 2. A file or a client must not get
 * such a number: what we print would be written into it. */
static void standard_open(void) {
  int fd;

  do /* the lowest number that is free */
    fd = open("/dev/null", O_RDWR);
  while (fd >= 0 && fd <= 2);
  if (fd > 2)
    close(fd);
}


int main(int argc, char** argv) {
  standard_open();
  if (argc < 2) {
    fputs(help, stderr);
    return EXIT_USAGE;
  }
  if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
      strcmp(argv[1], "help") == 0) {
    fputs(help, stdout);
    return 0;
  }
  /* Figures are counted in ns and told in us: three digits are all of it. */
  json_c_set_serialization_double_format("%.3f", JSON_C_OPTION_GLOBAL);
  for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
    if (strcmp(argv[1], commands[i].name) == 0) {
      int status = commands[i].main(argv + 1);
      if (fflush(stdout) != 0 && status == 0) {
        fprintf(stderr, "evsm %s: can't write the output\n", argv[1]);
        status = 1;
      }
      return status;
    }
  }
  fprintf(stderr, "evsm: there is no command '%s'; see evsm --help\n", argv[1]);
  return EXIT_USAGE;
}

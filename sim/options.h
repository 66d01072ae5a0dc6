/*
 * sim/options.h - the options of one evsm command.
 *
 * A table says what there is; `--name value` and `--name=value` are alike, and
 * a `--` ends the options. What is wrong is said in one line on standard error
 * with the command to ask for help, and nothing has happened yet.
 *
 * Context: all of it is for the command's first thread, before anything runs.
 */
#ifndef EVSM_SIM_OPTIONS_H
#define EVSM_SIM_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXIT_USAGE 2 /* the command line makes no sense */

/* One option; exactly one of the three pointers is set. */
typedef struct option_s {
  const char* name; /* with its dashes */
  bool* flag;
  const char** text;
  uint64_t* number; /* decimal, from `min` to `max` */
  uint64_t min;
  uint64_t max;
} option_t;

/* A command: what it is called, says for --help, and takes. */
typedef struct command_s {
  const char* name; /* "evsm run" */
  const char* help;
  const option_t* options;
  size_t option_count;
  int words_max; /* words beside the options */
} command_t;

/*
 * Parse argv[1] and on. `words` gets what is no option, at most words_max.
 *
 * Returns:  how many words there are; or -1, and *status is what to exit with:
 *           0 after --help, EXIT_USAGE after an error that has been told.
 */
int options_parse(const command_t* command,
                  char** argv,
                  const char** words,
                  int* status);

/* Decimal digits only, from `min` to `max`. Returns whether it is one. */
bool options_number(const char* text,
                    uint64_t min,
                    uint64_t max,
                    uint64_t* number);

/* Say what is wrong with the command line; returns EXIT_USAGE. */
int options_wrong(const command_t* command, const char* what, const char* word);

#endif /* EVSM_SIM_OPTIONS_H */

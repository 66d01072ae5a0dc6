/*
 * sim/demo_child.h - the programs that `evsm demo` runs.
 *
 * Context: the command's one thread. What a program prints goes to the file
 * `log` in the current folder.
 */
#ifndef EVSM_SIM_DEMO_CHILD_H
#define EVSM_SIM_DEMO_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* A program that serves until it is told to end. */
typedef struct demo_child_s {
  pid_t pid; /* 0: none */
} demo_child_t;

/* Milliseconds of a clock that never goes back. */
double demo_now_ms(void);

/* Is there a program of this name in PATH? */
bool demo_has(const char* name);

/* Run the commands, in order, each to its end. True if all exit with 0. A
 * command is words separated by one space, and ends at a ` ; `. */
bool demo_commands(const char* commands);

/* The same, and meanwhile `beside(arg)` again and again, until it says no:
 * that is a failure too. */
bool demo_commands_beside(const char* commands,
                          bool (*beside)(void* arg),
                          void* arg);

/*
 * Start this very program with `argv`, and wait for its first line on standard
 * output. Its standard error is ours. It ends when we do.
 *
 * Returns:  whether a line came.
 */
bool demo_start(demo_child_t* child,
                const char* const* argv,
                char* line,
                size_t line_size);

/* SIGTERM, and wait for its end. True if it exits with 0. */
bool demo_stop(demo_child_t* child);

#endif /* EVSM_SIM_DEMO_CHILD_H */

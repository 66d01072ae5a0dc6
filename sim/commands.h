/*
 * sim/commands.h - what `evsm` can be told to do: one function a command.
 *
 * Each gets argv from its own name on and returns the exit status: 0, 1 after
 * an error that it has told in one line, 2 for a wrong command line.
 *
 * Context: the process's first thread, once.
 */
#ifndef EVSM_SIM_COMMANDS_H
#define EVSM_SIM_COMMANDS_H

int run_main(char** argv);
int stat_main(char** argv);
int call_main(char** argv);
int demo_main(char** argv);

#endif /* EVSM_SIM_COMMANDS_H */

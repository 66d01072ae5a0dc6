/*
 * sim/demo_child.c - see sim/demo_child.h.
 */
#include "sim/demo_child.h"

#include "runtime/base.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEMO_WORDS_MAX 32u
#define DEMO_TEXT_SIZE 512u     /* bytes of one command */
#define DEMO_LINE_WAIT_MS 60000 /* for a first line: RSA under valgrind */

double demo_now_ms(void) {
  struct timespec now;

  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double) now.tv_sec * 1e3 + (double) now.tv_nsec / 1e6;
}


bool demo_has(const char* name) {
  const char* path = getenv("PATH");

  while (path != NULL && *path != '\0') {
    char file[1024];
    size_t size = strcspn(path, ":");
    int used = snprintf(file, sizeof(file), "%.*s/%s", (int) size, path, name);
    if (used > 0 && (size_t) used < sizeof(file) && access(file, X_OK) == 0)
      return true;
    path += size + (path[size] == ':');
  }
  return false;
}


/* One command, its words cut apart in `text`. Returns its pid, or -1. */
static pid_t command_start(char* text) {
  char* words[DEMO_WORDS_MAX + 1];
  size_t count = 0;

  for (char* at = text; at != NULL && count < DEMO_WORDS_MAX;) {
    words[count++] = at;
    at = strchr(at, ' ');
    if (at != NULL)
      *at++ = '\0';
  }
  words[count] = NULL;
  ASSERT(count > 0);

  pid_t pid = fork();
  if (pid != 0)
    return pid;
  int log = open("log", O_WRONLY | O_CREAT | O_APPEND, 0600);
  int null = open("/dev/null", O_RDONLY);
  dup2(null, STDIN_FILENO);
  dup2(log, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  execvp(words[0], words);
  dprintf(STDERR_FILENO, "can't run %s: %s\n", words[0], strerror(errno));
  _exit(127);
}


/* Wait for one command; meanwhile do what is to be done beside it. */
static bool command_wait(pid_t pid, bool (*beside)(void* arg), void* arg) {
  bool is_ok = pid > 0;
  int status = 0;

  while (is_ok && beside != NULL) {
    pid_t done = waitpid(pid, &status, WNOHANG);
    if (done == pid)
      return WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!beside(arg))
      is_ok = false;
  }
  if (pid > 0 && waitpid(pid, &status, 0) != pid)
    return false;
  return is_ok && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}


bool demo_commands_beside(const char* commands,
                          bool (*beside)(void* arg),
                          void* arg) {
  unlink("log");
  while (*commands != '\0') {
    char text[DEMO_TEXT_SIZE];
    const char* end = strstr(commands, " ; ");
    size_t size = end == NULL ? strlen(commands) : (size_t) (end - commands);

    ASSERT(size < sizeof(text));
    memcpy(text, commands, size);
    text[size] = '\0';
    if (!command_wait(command_start(text), beside, arg))
      return false;
    commands += end == NULL ? size : size + strlen(" ; ");
  }
  return true;
}


bool demo_commands(const char* commands) {
  return demo_commands_beside(commands, NULL, NULL);
}


/* The first line that comes through `fd`, without its end. */
static bool line_read(int fd, char* line, size_t size) {
  size_t used = 0;

  while (used + 1 < size) {
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    if (poll(&wait, 1, DEMO_LINE_WAIT_MS) <= 0)
      return false;
    if (read(fd, line + used, 1) != 1)
      return false;
    if (line[used] == '\n') {
      line[used] = '\0';
      return true;
    }
    used++;
  }
  return false;
}


bool demo_start(demo_child_t* child,
                const char* const* argv,
                char* line,
                size_t line_size) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0)
    return false;

  fflush(stdout);
  child->pid = fork();
  if (child->pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* it doesn't outlive a killed demo */
    setpgid(0, 0); /* Ctrl-C is the demo's: a second signal would be too many */
    dup2(ends[1], STDOUT_FILENO);
    execv("/proc/self/exe", (char* const*) argv);
    _exit(127);
  }
  close(ends[1]);
  bool is_ok = child->pid > 0 && line_read(ends[0], line, line_size);
  close(ends[0]);
  if (!is_ok && child->pid > 0)
    demo_stop(child);
  return is_ok;
}


bool demo_stop(demo_child_t* child) {
  int status = 0;
  pid_t pid = child->pid;

  child->pid = 0;
  if (pid <= 0)
    return false;
  kill(pid, SIGTERM);
  return waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
         WEXITSTATUS(status) == 0;
}

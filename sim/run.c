/*
 * sim/run.c - `evsm run`: puts the house together, and serves until a signal.
 *
 *   options -> state file -> sockets -> service, guest -> CPUs start
 *       -> the guest boots -> {"ready":true,...} -> SIGINT or SIGTERM
 *       -> the guest shuts its TPM down -> CPUs end -> all is given back
 *
 * Whatever can be refused is refused before a CPU starts, in one line. The
 * first thread only waits, for signals and for the guest's word.
 */
#include "sim/commands.h"

#include "arch/arch.h"
#include "crypto/drbg.h"
#include "handlers/service.h"
#include "handlers/vtpm.h"
#include "sim/control.h"
#include "sim/counters.h"
#include "sim/cpu.h"
#include "sim/guest_front_door.h"
#include "sim/options.h"
#include "sim/tpm_state_file.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define RUN_CPUS_DEFAULT 2u
#define RUN_TPM_PORT_DEFAULT 2321u /* as tpm2-tools expects it */
#define RUN_PORT_TRIES 64          /* for a free pair of ports */
#define RUN_BACKLOG 128
#define RUN_SIGNAL_GAP_MS 500u /* within it, signals are one and the same */

_Static_assert(CPUS_MAX + JOBS_RUNNING_MAX <= CRYPTO_RANDOM_CALLERS_MAX,
               "each may be drawing random numbers");

static const char help[] =
    "evsm run - serve a vTPM and SVSM calls until SIGINT or SIGTERM\n"
    "\n"
    "  --state FILE    keep the TPM's permanent state in FILE; without it the\n"
    "                  state is lost at the end\n"
    "  --tpm-port P    serve the swtpm wire on 127.0.0.1, TPM commands on P\n"
    "                  and control on P+1; 0: any free pair (2321)\n"
    "  --cpus N        CPUs, and thus vCPUs of the guest, 1 to 64 (2)\n"
    "  --budget-us N   hold a vCPU for at most N us an entry (1000)\n"
    "  --control PATH  evsm's own socket, for evsm stat and evsm call\n"
    "                  ($XDG_RUNTIME_DIR/evsm/PID.sock)\n"
    "  --help          print this\n"
    "\n"
    "When it can be used it prints one line of JSON on standard output:\n"
    "  {\"ready\":true,\"tcti\":\"swtpm:host=127.0.0.1,port=P\","
    "\"control\":\"PATH\"}\n"
    "Then, in another shell, with what stands after \"tcti\":\n"
    "  tpm2_getrandom -T swtpm:host=127.0.0.1,port=2321 --hex 8\n"
    "\n"
    "Exit status: 0 after a signal; 1 if it can't serve; 2 for a wrong "
    "command\n"
    "line. A second signal, half a second later or more, ends it at once; "
    "what\n"
    "a TPM command changed and was answered is in FILE even then.\n";

typedef struct {
  const char* state_path;
  const char* control; /* as given; NULL: in the usual folder */
  uint64_t cpu_count;
  uint64_t budget_us;
  uint64_t tpm_port;

  char control_path[CONTROL_PATH_SIZE];
  bool has_control; /* the socket at control_path is ours */
  int signal_fd;
  uint64_t signal_ns; /* when the first one came */
  tpm_state_file_t state;
  front_door_t door;
} run_t;

/* ---- What it stands on ---- */

/* Listen on 127.0.0.1, on `port` or any. Returns a descriptor, or -errno. */
static int port_listen(uint16_t port) {
  struct sockaddr_in address = {
      .sin_family = AF_INET,
      .sin_port = htons(port),
      .sin_addr = {htonl(INADDR_LOOPBACK)},
  };
  int on = 1;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

  if (fd < 0)
    return -errno;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (bind(fd, (struct sockaddr*) &address, sizeof(address)) != 0 ||
      listen(fd, RUN_BACKLOG) != 0) {
    int err = -errno;
    close(fd);
    return err;
  }
  return fd;
}


static uint16_t port_of(int fd) {
  struct sockaddr_in address = {0};
  socklen_t size = sizeof(address);

  getsockname(fd, (struct sockaddr*) &address, &size);
  return ntohs(address.sin_port);
}


/* Both ports of the wire. *port becomes the first. Returns 0 or -errno; then
 * *port is the one that is not to be had. */
static int ports_listen(front_door_t* door, uint64_t* port) {
  bool is_any = *port == 0;
  int err = 0;

  for (int i = 0; i < (is_any ? RUN_PORT_TRIES : 1); i++) {
    int data_fd = port_listen((uint16_t) *port);
    if (data_fd < 0)
      return data_fd;
    uint16_t got = port_of(data_fd);
    int channel_fd =
        got == UINT16_MAX ? -EADDRINUSE : port_listen((uint16_t) (got + 1));
    if (channel_fd >= 0) {
      door->listen_fd[DOOR_TPM] = data_fd;
      door->listen_fd[DOOR_CHANNEL] = channel_fd;
      *port = got;
      return 0;
    }
    err = channel_fd;
    close(data_fd);
  }
  if (!is_any)
    *port += 1;
  return err;
}


static int refuse(const char* why) {
  fprintf(stderr, "evsm run: %s\n", why);
  return 1;
}


static int run_ports(run_t* run) {
  uint64_t port = run->tpm_port;
  int err = ports_listen(&run->door, &port);

  if (err == -EMFILE || err == -ENFILE)
    return refuse("out of descriptors; raise 'ulimit -n'");
  if (err != 0) {
    fprintf(stderr,
            "evsm run: can't listen on 127.0.0.1:%llu: %s; is another evsm or"
            " swtpm there? Give another --tpm-port, or 0 for any\n",
            (unsigned long long) port, strerror(-err));
    return 1;
  }
  run->tpm_port = port;
  return 0;
}


static int run_control(run_t* run) {
  char directory[CONTROL_PATH_SIZE];
  char why[256];
  int used;

  if (run->control != NULL) {
    used = snprintf(run->control_path, sizeof(run->control_path), "%s",
                    run->control);
  } else {
    if (control_directory(directory, sizeof(directory), why, sizeof(why)) != 0)
      return refuse(why);
    used = snprintf(run->control_path, sizeof(run->control_path), "%s/%d.sock",
                    directory, (int) getpid());
  }
  if (used < 0 || (size_t) used >= sizeof(run->control_path))
    return refuse(
        "the path of the control socket is too long; give a shorter"
        " --control");
  int fd = control_listen(run->control_path, why, sizeof(why));
  if (fd < 0)
    return refuse(why);
  run->door.listen_fd[DOOR_CONTROL] = fd;
  run->has_control = true;
  return 0;
}


/* SIGINT and SIGTERM come through a descriptor, and interrupt nobody. So does
 * SIGHUP, the terminal's end, unless nohup has it ignored. */
static int run_signals(run_t* run) {
  sigset_t signals;
  struct sigaction hang_up;

  signal(SIGPIPE, SIG_IGN);
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  if (sigaction(SIGHUP, NULL, &hang_up) == 0 && hang_up.sa_handler != SIG_IGN)
    sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, NULL);
  run->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  run->door.notify_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (run->signal_fd < 0 || run->door.notify_fd < 0)
    return refuse("out of descriptors; raise 'ulimit -n'");
  return 0;
}


/* ---- Serving ---- */

static void cpu_main(uint32_t cpu) {
  uvx_cpu_init(cpu);
  service_run(cpu);
  uvx_cpu_close(cpu);
}


static void print_ready(const run_t* run) {
  char tcti[64];
  json_object* ready = json_object_new_object();

  snprintf(tcti, sizeof(tcti), "swtpm:host=127.0.0.1,port=%llu",
           (unsigned long long) run->tpm_port);
  json_object_object_add(ready, "ready", json_object_new_boolean(true));
  json_object_object_add(ready, "tcti", json_object_new_string(tcti));
  json_object_object_add(ready, "control",
                         json_object_new_string(run->control_path));
  int put = puts(json_object_to_json_string_ext(
      ready, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
  if (fflush(stdout) != 0 || put < 0)
    fprintf(stderr,
            "evsm run: can't say on standard output that it is ready: %s; it"
            " serves all the same, on port %llu\n",
            strerror(errno), (unsigned long long) run->tpm_port);
  json_object_put(ready);
}


/* A signal has come: the first ends the guest, a second one everything. But
 * timeout(1) and others signal us twice at once, as a process and as one of a
 * group, and mean it once. */
static void run_on_signal(run_t* run, bool* is_stopping) {
  struct signalfd_siginfo info;

  if (read(run->signal_fd, &info, sizeof(info)) != (ssize_t) sizeof(info))
    return;
  uint64_t now = arch_clock_ns();
  if (*is_stopping && now - run->signal_ns < RUN_SIGNAL_GAP_MS * 1000000u)
    return;
  if (*is_stopping) {
    if (run->has_control)
      unlink(run->control_path);
    fprintf(stderr, "evsm run: ended at once, by a second signal\n");
    _exit(1);
  }
  *is_stopping = true;
  run->signal_ns = now;
  front_door_stop(&run->door);
}


/* Until the guest is over. Returns the exit status. */
static int run_wait(run_t* run) {
  front_door_t* door = &run->door;
  bool is_ready = false;
  bool is_stopping = false;

  while (!atomic_load(&door->is_over)) {
    struct pollfd fds[] = {
        {.fd = run->signal_fd, .events = POLLIN},
        {.fd = door->notify_fd, .events = POLLIN},
    };
    if (poll(fds, ARRAY_SIZE(fds), -1) < 0) {
      ASSERT(errno == EINTR);
      continue;
    }
    uint64_t count;
    ssize_t size = read(door->notify_fd, &count, sizeof(count));
    MAYBE(size > 0);
    if (atomic_load(&door->is_booted) && !is_ready) {
      is_ready = true;
      print_ready(run);
    }
    if (fds[0].revents != 0)
      run_on_signal(run, &is_stopping);
  }
  if (door->boot_error == NULL)
    return 0;
  if (vtpm_status() != 0) {
    fprintf(stderr,
            "evsm run: the TPM can't start on its state: %s; nothing is"
            " changed, give another --state\n",
            vtpm_status() == UV_EINVAL ? "libtpms does not take it"
                                       : "it can't be kept");
    return 1;
  }
  fprintf(stderr,
          "evsm run: the guest can't boot: %s was answered 0x%x; nothing is"
          " changed\n",
          door->boot_error, (unsigned) door->boot_result);
  return 1;
}


static int run_serve(run_t* run) {
  service_config_t config = {
      .budget_us = (uint32_t) run->budget_us,
      .has_tpm = true,
      .tpm_platform_commands = true,
  };

  tpm_state_init(&run->state.keeper);
  service_init(&config);
  counters_init(&run->state);
  run->door.cpu_count = (uint32_t) run->cpu_count;
  run->door.stat_cb = counters_json;
  int status = 1;
  if (front_door_open(&run->door) != 0)
    return refuse("out of descriptors or memory; raise 'ulimit -n'");
  if (cpu_start((uint32_t) run->cpu_count, cpu_main) != 0) {
    refuse("the host has no threads left for the CPUs; give fewer --cpus");
  } else {
    status = run_wait(run);
    service_stop();
    cpu_join();
  }
  front_door_close(&run->door);
  return status;
}


static int run_all(run_t* run) {
  char why[700];

  for (int kind = 0; kind < DOOR_COUNT; kind++)
    run->door.listen_fd[kind] = -1;
  if (tpm_state_file_open(&run->state, run->state_path, why, sizeof(why)) != 0)
    return refuse(why);
  if (run->state_path == NULL)
    fprintf(stderr,
            "evsm run: without --state the TPM is a new one, and lost at the"
            " end\n");
  int status = run_signals(run);
  if (status == 0)
    status = run_ports(run);
  if (status == 0)
    status = run_control(run);
  if (status == 0)
    status = run_serve(run);
  if (run->has_control)
    unlink(run->control_path);
  close(run->signal_fd);
  close(run->door.notify_fd);
  tpm_state_file_close(&run->state);
  return status;
}


int run_main(char** argv) {
  static run_t run = {
      .cpu_count = RUN_CPUS_DEFAULT,
      .budget_us = BUDGET_US_DEFAULT,
      .tpm_port = RUN_TPM_PORT_DEFAULT,
  };
  const option_t options[] = {
      {.name = "--state", .text = &run.state_path},
      {.name = "--control", .text = &run.control},
      {.name = "--cpus", .number = &run.cpu_count, .min = 1, .max = CPUS_MAX},
      {.name = "--budget-us",
       .number = &run.budget_us,
       .min = BUDGET_US_MIN,
       .max = BUDGET_US_MAX},
      {.name = "--tpm-port",
       .number = &run.tpm_port,
       .min = 0,
       .max = UINT16_MAX - 1},
  };
  const command_t command = {"evsm run", help, options, ARRAY_SIZE(options), 0};
  int status;

  if (options_parse(&command, argv, NULL, &status) < 0)
    return status;
  return run_all(&run);
}

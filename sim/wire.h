/*
 * sim/wire.h - the host's wire: waits for sockets, so that no vCPU has to.
 *
 *   socket ready -> (wire's thread) ready_cb(port) -> a vCPU is interrupted
 *   vCPU: reads or writes until it would block -> wire_arm(port)
 *
 * A guest program owns its sockets and does all reading and writing itself,
 * non-blocking, on its vCPU. What it can't do is wait in a system call, since
 * its CPU then serves nobody. So the wire waits for it, in one epoll on one
 * host thread.
 *
 * The promise: a port is one-shot. After ready_cb it is silent until it is
 * armed again, so a port has one owner at a time and its owner needs no lock.
 *
 * Not here: which vCPU is interrupted, and what is done then
 * (sim/guest_front_door.c).
 */
#ifndef EVSM_SIM_WIRE_H
#define EVSM_SIM_WIRE_H

#include <pthread.h>
#include <stdbool.h>

typedef struct wire_s wire_t;
typedef struct wire_port_s wire_port_t;
typedef void (*wire_ready_cb)(wire_t* wire, wire_port_t* port);

/* One descriptor on the wire. The owner provides the memory. */
struct wire_port_s {
  int fd;            /* -1: not attached */
  wire_port_t* next; /* the owner's, for its list of ready ports */

  /* private */
  _Atomic bool is_known; /* the epoll has it */
};

struct wire_s {
  void* data; /* the owner's */

  /* private */
  int epoll_fd;
  int stop_fd;
  wire_ready_cb ready_cb;
  pthread_t thread;
};

/*
 * Start the thread. `ready_cb` runs on it, and only there.
 *
 * Context:  any host thread.
 * Returns:  0, or a negative errno; then nothing is left behind.
 */
int wire_start(wire_t* wire, wire_ready_cb ready_cb);

/* Join the thread. Descriptors stay open: they are their owners'. Context: any
 * host thread but that one. */
void wire_stop(wire_t* wire);

/* Make `port` the port of `fd`, silent until wire_arm(). Context: any. */
void wire_attach(wire_port_t* port, int fd);

/*
 * Say once when `port` can be read, or be written if `for_writing`; a hang-up
 * is always said. By the port's owner, who from here on no longer owns it,
 * until ready_cb.
 *
 * Context:  any host thread, or a vCPU: it never waits.
 * Returns:  0, or a negative errno: still the caller's.
 */
int wire_arm(wire_t* wire, wire_port_t* port, bool for_writing);

/* Take the port off the wire and close its descriptor. Its owner only. */
void wire_close(wire_t* wire, wire_port_t* port);

#endif /* EVSM_SIM_WIRE_H */

/*
 * sim/wire.c - one epoll on one host thread (sim/wire.h).
 *
 * One-shot ports are what makes this small: an event is reported once, so
 * there is never one under way for a port that its owner is closing.
 */
#include "sim/wire.h"

#include "runtime/base.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define WIRE_BATCH_MAX 32 /* events a round */

static void* wire_main(void* arg) {
  wire_t* wire = arg;
  struct epoll_event events[WIRE_BATCH_MAX];

  for (;;) {
    int count = epoll_wait(wire->epoll_fd, events, WIRE_BATCH_MAX, -1);
    if (count < 0) {
      ASSERT(errno == EINTR);
      continue;
    }
    for (int i = 0; i < count; i++) {
      wire_port_t* port = events[i].data.ptr;
      if (port == NULL)
        return NULL; /* wire_stop */
      /* acquire: what the one who armed it did before (see wire_arm) */
      (void) atomic_load_explicit(&port->is_known, memory_order_acquire);
      wire->ready_cb(wire, port);
    }
  }
}


/* The thread takes no signal: those are the CPUs' and the command's. */
static int wire_thread(wire_t* wire) {
  sigset_t all;
  sigset_t before;

  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int err = -pthread_create(&wire->thread, NULL, wire_main, wire);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return err;
}


int wire_start(wire_t* wire, wire_ready_cb ready_cb) {
  ASSERT(ready_cb != NULL);

  wire->ready_cb = ready_cb;
  wire->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (wire->epoll_fd < 0)
    return -errno;

  int err = 0;
  wire->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  struct epoll_event stop = {.events = EPOLLIN, .data = {.ptr = NULL}};
  if (wire->stop_fd < 0 ||
      epoll_ctl(wire->epoll_fd, EPOLL_CTL_ADD, wire->stop_fd, &stop) != 0)
    err = -errno;
  if (err == 0)
    err = wire_thread(wire);
  if (err != 0) {
    if (wire->stop_fd >= 0)
      close(wire->stop_fd);
    close(wire->epoll_fd);
  }
  return err;
}


void wire_stop(wire_t* wire) {
  uint64_t one = 1;
  ssize_t size = write(wire->stop_fd, &one, sizeof(one));

  ASSERT(size == (ssize_t) sizeof(one));
  pthread_join(wire->thread, NULL);
  close(wire->stop_fd);
  close(wire->epoll_fd);
}


void wire_attach(wire_port_t* port, int fd) {
  ASSERT(fd >= 0);

  /* Not yet in the epoll: even without any interest it would tell of a
   * hang-up. */
  *port = (wire_port_t){.fd = fd};
}


int wire_arm(wire_t* wire, wire_port_t* port, bool for_writing) {
  ASSERT(port->fd >= 0);
  struct epoll_event event = {
      .events = (uint32_t) (for_writing ? EPOLLOUT : EPOLLIN) | EPOLLONESHOT,
      .data = {.ptr = port},
  };
  int how = atomic_load_explicit(&port->is_known, memory_order_relaxed)
                ? EPOLL_CTL_MOD
                : EPOLL_CTL_ADD;

  /* release: the next owner sees all that this one did. The epoll orders it
   * as well, but ThreadSanitizer takes only EPOLL_CTL_ADD for that. */
  atomic_store_explicit(&port->is_known, true, memory_order_release);
  return epoll_ctl(wire->epoll_fd, how, port->fd, &event) == 0 ? 0 : -errno;
}


void wire_close(wire_t* wire, wire_port_t* port) {
  ASSERT(port->fd >= 0);

  (void) wire; /* closing takes the descriptor out of the epoll as well */
  close(port->fd);
  port->fd = -1;
}

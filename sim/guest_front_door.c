/*
 * sim/guest_front_door.c - clients, their queue, and the vCPUs that serve.
 *
 *   FREE -> RECEIVING -> QUEUED -> CALLING -> SENDING -> RECEIVING ...
 *               |           ^         |          |
 *               |           +-RETRYING+          +-> DRAINING -> FREE
 *               +------------------------------------> FREE
 *
 * A client has one owner at a time: the wire (armed, waiting for its socket),
 * the queue, or a vCPU. Only the owner touches its bytes; what others may look
 * at (state, due_ms) changes under the lock. To hang up on a client that
 * another owns, its socket is shut down: the owner finds out by itself.
 *
 * Whoever takes something and leaves more behind wakes one idle vCPU, so that
 * nothing waits while a vCPU is idle, and one request alone wakes nobody else.
 */
#include "sim/guest_front_door.h"

#include "runtime/base.h"
#include "sim/platform.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static const uint32_t clients_max[DOOR_COUNT] = {
    DOOR_TPM_CLIENTS_MAX,
    DOOR_CHANNEL_CLIENTS_MAX,
    DOOR_CONTROL_CLIENTS_MAX,
};

_Static_assert(DOOR_TPM_CLIENTS_MAX + DOOR_CHANNEL_CLIENTS_MAX +
                       DOOR_CONTROL_CLIENTS_MAX ==
                   DOOR_CLIENTS_MAX,
               "a place for each");
_Static_assert(CPUS_MAX <= 64, "idle_vcpus has a bit for each");
_Static_assert(DOOR_TPM_COMMAND_SIZE_MAX <= CONTROL_REQUEST_SIZE_MAX,
               "in[] takes any request");

static uint64_t now_ms(void) {
  struct timespec now;

  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t) now.tv_sec * 1000u + (uint64_t) now.tv_nsec / 1000000u;
}


void front_door_notify(front_door_t* door) {
  uint64_t one = 1;
  ssize_t size = write(door->notify_fd, &one, sizeof(one));
  ASSERT(size == (ssize_t) sizeof(one));
}


/* ---- Waking vCPUs; under the lock ---- */

/* Interrupt one idle vCPU, if any is. The lowest: those that were awake last
 * are awake soonest. */
static void wake_one(front_door_t* door) {
  if (door->idle_vcpus == 0)
    return;
  uint32_t index = (uint32_t) __builtin_ctzll(door->idle_vcpus);
  door->idle_vcpus &= ~(UINT64_C(1) << index);
  guest_interrupt(index);
}


static bool has_request(const front_door_t* door) {
  if (door->queue[false].head != NULL)
    return true;
  return door->queue[true].head != NULL &&
         door->tpm_calls < door->tpm_calls_max;
}


static bool has_work(const front_door_t* door) {
  return door->ready_head != NULL || has_request(door);
}


/* The wire's thread: something can be read or written. */
static void on_ready(wire_t* wire, wire_port_t* port) {
  front_door_t* door = wire->data;

  pthread_mutex_lock(&door->lock);
  port->next = NULL;
  if (door->ready_head == NULL)
    door->ready_head = port;
  else
    door->ready_tail->next = port;
  door->ready_tail = port;
  wake_one(door);
  pthread_mutex_unlock(&door->lock);
}


/* ---- The timer: one, set to the first thing that is due; under the lock ----
 */

static void timer_need(front_door_t* door, uint64_t due_ms) {
  if (due_ms == 0 || due_ms >= door->timer_due_ms)
    return;
  door->timer_due_ms = due_ms;
  struct itimerspec when = {
      .it_value = {.tv_sec = (time_t) (due_ms / 1000u),
                   .tv_nsec = (long) (due_ms % 1000u) * 1000000},
  };
  timerfd_settime(door->timer.wire.fd, TFD_TIMER_ABSTIME, &when, NULL);
}


/* ---- The queue; under the lock ---- */

static void queue_put(front_door_t* door, client_t* client) {
  client_queue_t* queue = &door->queue[client->is_tpm];

  client->state = CLIENT_QUEUED;
  client->due_ms = 0;
  client->queue_next = NULL;
  if (queue->head == NULL)
    queue->head = client;
  else
    queue->tail->queue_next = client;
  queue->tail = client;
}


/* The oldest request that may be made now, or NULL. */
static client_t* queue_take(front_door_t* door) {
  client_t* tpm = door->queue[true].head;
  client_t* other = door->queue[false].head;

  if (door->tpm_calls >= door->tpm_calls_max)
    tpm = NULL;
  client_t* client = other;
  if (tpm != NULL &&
      (other == NULL || tpm->request_index < other->request_index))
    client = tpm;
  if (client == NULL)
    return NULL;

  ASSERT(client->state == CLIENT_QUEUED);
  door->queue[client->is_tpm].head = client->queue_next;
  client->state = CLIENT_CALLING;
  if (client->is_tpm)
    door->tpm_calls++;
  if (has_work(door))
    wake_one(door);
  return client;
}


/* ---- Clients ---- */

/* Hand a port to the wire. The lock is for order only: what its owner wrote so
 * far is seen by the next one, who gets it behind the same lock. */
static int port_arm(front_door_t* door, door_port_t* port, bool for_writing) {
  pthread_mutex_lock(&door->lock);
  int err = wire_arm(&door->wire, &port->wire, for_writing);
  pthread_mutex_unlock(&door->lock);
  return err;
}


/* Commands and answers may hold secrets: none stays when it has been used. */
static void client_wipe(client_t* client) {
  control_forget(client);
  explicit_bzero(client->in, sizeof(client->in));
  explicit_bzero(client->answer, sizeof(client->answer));
}


static void client_close(front_door_t* door, client_t* client) {
  client_wipe(client);
  pthread_mutex_lock(&door->lock);
  wire_close(&door->wire, &client->port.wire);
  client->state = CLIENT_FREE;
  client->due_ms = 0;
  door->client_counts[client->kind]--;
  bool was_full = door->is_full[client->kind];
  door->is_full[client->kind] = false;
  pthread_mutex_unlock(&door->lock);
  if (was_full)
    port_arm(door, &door->listeners[client->kind], false);
}


static void client_set(front_door_t* door,
                       client_t* client,
                       client_state_t state,
                       uint64_t due_ms) {
  pthread_mutex_lock(&door->lock);
  client->state = state;
  client->due_ms = due_ms;
  if (due_ms == 0)
    client->at_rest_ms = now_ms();
  timer_need(door, due_ms);
  pthread_mutex_unlock(&door->lock);
}


/* Hand the client to the wire. */
static void client_wait(front_door_t* door, client_t* client) {
  if (port_arm(door, &client->port, client->state == CLIENT_SENDING) != 0)
    client_close(door, client);
}


/* The answer is out: forget the request, keep what came behind it. */
static void client_request_done(client_t* client) {
  ASSERT(client->request_size <= client->in_size);

  control_forget(client);
  explicit_bzero(client->answer, sizeof(client->answer));
  client->in_size -= client->request_size;
  memmove(client->in, client->in + client->request_size, client->in_size);
  explicit_bzero(client->in + client->in_size, client->request_size);
  client->request_size = 0;
  client->out_size = 0;
  client->sent_size = 0;
  client->retries = 0;
}


/* False: it waits for the wire, or is gone. */
static bool client_send(front_door_t* door, client_t* client) {
  while (client->sent_size < client->out_size) {
    ssize_t size = send(client->port.wire.fd, client->out + client->sent_size,
                        client->out_size - client->sent_size, MSG_NOSIGNAL);
    if (size < 0 && errno == EINTR)
      continue;
    if (size < 0 && errno == EAGAIN) {
      client_wait(door, client);
      return false;
    }
    if (size < 0) {
      client_close(door, client);
      return false;
    }
    client->sent_size += (size_t) size;
  }

  client_request_done(client);
  if (!client->hangs_up) {
    client_set(door, client, CLIENT_RECEIVING,
               client->in_size == 0 ? 0 : now_ms() + DOOR_STALL_MS);
    return true;
  }
  /* Closing with bytes unread would take the answer back from the client. */
  shutdown(client->port.wire.fd, SHUT_WR);
  client->in_size = 0;
  client_set(door, client, CLIENT_DRAINING, now_ms() + DOOR_DRAIN_MS);
  return true;
}


static bool client_drain(front_door_t* door, client_t* client) {
  ssize_t size = recv(client->port.wire.fd, client->in, sizeof(client->in), 0);

  if (size < 0 && errno == EAGAIN) {
    client_wait(door, client);
    return false;
  }
  if (size > 0)
    client->drained_size += (size_t) size;
  if (size > 0 && client->drained_size <= DOOR_DRAIN_SIZE_MAX)
    return true;
  client_close(door, client);
  return false;
}


static parsed_t client_parse(front_door_t* door, client_t* client) {
  if (client->in_size == 0)
    return PARSED_MORE;
  if (client->kind == DOOR_TPM)
    return tpm_parse(door, client);
  if (client->kind == DOOR_CHANNEL)
    return channel_parse(door, client);
  return control_parse(door, client);
}


static bool client_read(front_door_t* door, client_t* client) {
  ASSERT(client->in_size < sizeof(client->in));
  ssize_t size = recv(client->port.wire.fd, client->in + client->in_size,
                      sizeof(client->in) - client->in_size, 0);

  if (size < 0 && errno == EINTR)
    return true;
  if (size < 0 && errno == EAGAIN) {
    client_wait(door, client);
    return false;
  }
  if (size <= 0) {
    client_close(door, client);
    return false;
  }
  if (client->in_size == 0) /* the first bytes set the time for all of it */
    client_set(door, client, CLIENT_RECEIVING, now_ms() + DOOR_STALL_MS);
  client->in_size += (size_t) size;
  return true;
}


/* False: the client is the wire's, the queue's, or gone. */
static bool client_receive(front_door_t* door, client_t* client) {
  parsed_t parsed = client_parse(door, client);

  if (parsed == PARSED_MORE)
    return client_read(door, client);
  if (parsed == PARSED_REQUEST) {
    pthread_mutex_lock(&door->lock);
    client->request_index = ++door->request_count;
    door->requests_total[client->kind]++;
    queue_put(door, client);
    pthread_mutex_unlock(&door->lock);
    return false;
  }
  client->hangs_up = parsed == PARSED_LAST;
  client_set(door, client, CLIENT_SENDING, now_ms() + DOOR_STALL_MS);
  client_wait(door, client); /* garbage without end waits its turn, too */
  return false;
}


/* Bounded: a client that sends without end stops at its request's queueing, or
 * at the wire when there is an answer to what is no request. */
static void client_step(front_door_t* door, client_t* client) {
  bool goes_on = true;

  while (goes_on) {
    switch (client->state) {
      case CLIENT_RECEIVING:
        goes_on = client_receive(door, client);
        break;
      case CLIENT_SENDING:
        goes_on = client_send(door, client);
        break;
      case CLIENT_DRAINING:
        goes_on = client_drain(door, client);
        break;
      case CLIENT_FREE:
      case CLIENT_QUEUED:
      case CLIENT_CALLING:
      case CLIENT_RETRYING:
        ASSERT(false);
    }
  }
}


/* A request's call, by this vCPU. */
static void client_call(front_door_t* door,
                        guest_vcpu_t* vcpu,
                        client_t* client) {
  bool is_tpm = client->is_tpm;

  client->is_retry = false;
  if (client->kind == DOOR_TPM)
    tpm_call(door, vcpu, client);
  else if (client->kind == DOOR_CHANNEL)
    channel_call(door, vcpu, client);
  else
    control_call(door, vcpu, client);

  /* A TPM that wants to be asked again later is asked again, as Linux's TPM
   * core does it; the client never learns. */
  bool is_retry =
      client->is_retry && client->retries < DOOR_RETRIES_MAX && is_tpm;
  pthread_mutex_lock(&door->lock);
  if (is_tpm)
    door->tpm_calls--;
  if (is_retry) {
    uint64_t delay_ms = UINT64_C(1)
                        << (client->retries < 5 ? client->retries : 5);
    if (delay_ms > DOOR_RETRY_MS_MAX)
      delay_ms = DOOR_RETRY_MS_MAX;
    client->retries++;
    door->retries_total++;
    client->state = CLIENT_RETRYING;
    client->due_ms = now_ms() + delay_ms;
    timer_need(door, client->due_ms);
  } else {
    client->state = CLIENT_SENDING;
    client->due_ms = now_ms() + DOOR_STALL_MS;
    timer_need(door, client->due_ms);
  }
  pthread_mutex_unlock(&door->lock);
  if (!is_retry)
    client_step(door, client);
}


/* ---- Accepting ---- */

/* Ask whoever has been at rest longest to make room; under the lock. */
static void make_room(front_door_t* door, door_kind_t kind, uint64_t now) {
  client_t* oldest = NULL;

  for (uint32_t i = 0; i < DOOR_CLIENTS_MAX; i++) {
    client_t* client = &door->clients[i];
    if (client->kind != kind || client->state != CLIENT_RECEIVING ||
        client->due_ms != 0 || client->at_rest_ms + DOOR_REST_MS > now)
      continue;
    if (oldest == NULL || client->at_rest_ms < oldest->at_rest_ms)
      oldest = client;
  }
  if (oldest == NULL)
    return;
  oldest->at_rest_ms = now; /* once is enough */
  door->hang_ups_total++;
  shutdown(oldest->port.wire.fd, SHUT_RDWR);
}


/* A free place for one more of `kind`, or NULL; under the lock. */
static client_t* client_take(front_door_t* door, door_kind_t kind) {
  if (door->client_counts[kind] == clients_max[kind])
    return NULL;
  for (uint32_t i = 0; i < DOOR_CLIENTS_MAX; i++) {
    client_t* client = &door->clients[i];
    if (client->state != CLIENT_FREE)
      continue;
    client->kind = kind;
    client->state = CLIENT_RECEIVING;
    client->due_ms = 0;
    client->at_rest_ms = now_ms();
    client->port.kind = PORT_CLIENT;
    client->in_size = client->request_size = client->drained_size = 0;
    client->out_size = client->sent_size = 0;
    client->retries = 0;
    client->hangs_up = false;
    client->json = NULL;
    client->text = NULL;
    door->clients_total[kind]++;
    door->client_counts[kind]++;
    if (door->client_counts[kind] > door->client_counts_max[kind])
      door->client_counts_max[kind] = door->client_counts[kind];
    return client;
  }
  ASSERT(false); /* the quotas sum up to all places */
  return NULL;
}


/* One connection, or none: then the listener waits to be armed again. */
static void accept_one(front_door_t* door, door_port_t* listener) {
  door_kind_t kind = (door_kind_t) (listener - door->listeners);

  pthread_mutex_lock(&door->lock);
  client_t* client = client_take(door, kind);
  if (client == NULL) {
    door->is_full[kind] = true;
    make_room(door, kind, now_ms());
    timer_need(door, now_ms() + DOOR_SHORT_MS);
  }
  pthread_mutex_unlock(&door->lock);
  if (client == NULL)
    return; /* client_close() arms it */

  int fd = accept4(listener->wire.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  /* Out of descriptors: it would knock at once again, and for ever. */
  bool is_short =
      fd < 0 && errno != EAGAIN && errno != ECONNABORTED && errno != EINTR;
  if (fd >= 0) {
    int on = 1;
    if (kind != DOOR_CONTROL)
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    wire_attach(&client->port.wire, fd);
  } else {
    pthread_mutex_lock(&door->lock);
    client->state = CLIENT_FREE;
    door->client_counts[kind]--;
    door->clients_total[kind]--;
    door->is_full[kind] = is_short;
    if (is_short)
      timer_need(door, now_ms() + DOOR_SHORT_MS);
    pthread_mutex_unlock(&door->lock);
  }
  if (is_short)
    return; /* client_close() or the timer arms it */
  port_arm(door, listener, false);
  if (fd >= 0)
    client_step(door, client);
}


/* The timer: hang up on who stalls, ask the TPM again, make room. */
static void on_timer(front_door_t* door) {
  uint64_t expirations;
  ssize_t size = read(door->timer.wire.fd, &expirations, sizeof(expirations));
  uint64_t now = now_ms();

  MAYBE(size > 0); /* set anew since it was due */
  pthread_mutex_lock(&door->lock);
  door->timer_due_ms = UINT64_MAX;
  for (uint32_t i = 0; i < DOOR_CLIENTS_MAX; i++) {
    client_t* client = &door->clients[i];
    if (client->due_ms == 0)
      continue;
    if (client->due_ms > now) {
      timer_need(door, client->due_ms);
    } else if (client->state == CLIENT_RETRYING) {
      queue_put(door, client);
    } else {
      client->due_ms = 0;
      door->hang_ups_total++;
      shutdown(client->port.wire.fd, SHUT_RDWR);
    }
  }
  for (int kind = 0; kind < DOOR_COUNT; kind++) {
    if (!door->is_full[kind])
      continue;
    if (door->client_counts[kind] < clients_max[kind]) {
      door->is_full[kind] = false; /* there were no descriptors: try again */
      (void) wire_arm(&door->wire, &door->listeners[kind].wire, false);
    } else {
      make_room(door, (door_kind_t) kind, now);
      timer_need(door, now + DOOR_SHORT_MS);
    }
  }
  pthread_mutex_unlock(&door->lock);
  port_arm(door, &door->timer, false);
}


/* ---- A vCPU's loop ---- */

static door_port_t* take_ready(front_door_t* door) {
  pthread_mutex_lock(&door->lock);
  wire_port_t* port = door->ready_head;
  if (port != NULL) {
    door->ready_head = port->next;
    if (has_work(door))
      wake_one(door);
  }
  pthread_mutex_unlock(&door->lock);
  return port == NULL ? NULL : container_of(port, door_port_t, wire);
}


static client_t* take_request(front_door_t* door) {
  pthread_mutex_lock(&door->lock);
  client_t* client = queue_take(door);
  pthread_mutex_unlock(&door->lock);
  return client;
}


/* Nothing to do: HLT, unless something has come since. */
static void rest(front_door_t* door, guest_vcpu_t* vcpu) {
  uint64_t bit = UINT64_C(1) << guest_vcpu_index(vcpu);

  pthread_mutex_lock(&door->lock);
  bool halts = !has_work(door) && !door->is_stopping;
  if (halts)
    door->idle_vcpus |= bit;
  pthread_mutex_unlock(&door->lock);
  if (!halts)
    return;

  guest_halt(vcpu);
  pthread_mutex_lock(&door->lock);
  door->idle_vcpus &= ~bit;
  pthread_mutex_unlock(&door->lock);
}


static void serve_port(front_door_t* door, door_port_t* port) {
  switch (port->kind) {
    case PORT_LISTENER:
      accept_one(door, port);
      break;
    case PORT_TIMER:
      on_timer(door);
      break;
    case PORT_CLIENT:
      client_step(door, container_of(port, client_t, port));
      break;
  }
}


static bool is_stopping(front_door_t* door) {
  pthread_mutex_lock(&door->lock);
  bool stopping = door->is_stopping;
  pthread_mutex_unlock(&door->lock);
  return stopping;
}


void front_door_serve(front_door_t* door, guest_vcpu_t* vcpu) {
  while (!is_stopping(door)) {
    door_port_t* port = take_ready(door);
    if (port != NULL)
      serve_port(door, port);
    client_t* client = take_request(door);
    if (client != NULL)
      client_call(door, vcpu, client);
    if (port == NULL && client == NULL)
      rest(door, vcpu);
  }
}


/* ---- From the root ---- */

static int door_wire(front_door_t* door) {
  door->wire.data = door;
  int err = wire_start(&door->wire, on_ready);
  if (err != 0)
    return err;

  for (int kind = 0; kind < DOOR_COUNT && err == 0; kind++) {
    door_port_t* listener = &door->listeners[kind];
    listener->kind = PORT_LISTENER;
    wire_attach(&listener->wire, door->listen_fd[kind]);
    err = wire_arm(&door->wire, &listener->wire, false);
  }
  int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (fd < 0)
    return -errno;
  door->timer.kind = PORT_TIMER;
  wire_attach(&door->timer.wire, fd);
  if (err == 0)
    err = wire_arm(&door->wire, &door->timer.wire, false);
  return err;
}


int front_door_open(front_door_t* door) {
  ASSERT(door->cpu_count >= 1);
  ASSERT(door->cpu_count <= CPUS_MAX);

  if (platform_memory_init(PLATFORM_MEMORY_SIZE_DEFAULT) != 0)
    return -ENOMEM;
  pthread_mutex_init(&door->lock, NULL);
  door->timer_due_ms = UINT64_MAX;
  door->tpm_calls_max = door->cpu_count > 1 ? door->cpu_count - 1 : 1;
  door->clients = calloc(DOOR_CLIENTS_MAX, sizeof(client_t));
  if (door->clients == NULL)
    return -ENOMEM;
  guest_boot(guest_main_boot, door);
  return door_wire(door);
}


void front_door_stop(front_door_t* door) {
  pthread_mutex_lock(&door->lock);
  door->is_stopping = true;
  while (door->idle_vcpus != 0)
    wake_one(door);
  pthread_mutex_unlock(&door->lock);
}


void front_door_close(front_door_t* door) {
  wire_stop(&door->wire);
  for (uint32_t i = 0; i < DOOR_CLIENTS_MAX; i++) {
    client_t* client = &door->clients[i];
    if (client->state == CLIENT_FREE)
      continue;
    control_forget(client);
    wire_close(&door->wire, &client->port.wire);
  }
  for (int kind = 0; kind < DOOR_COUNT; kind++)
    wire_close(&door->wire, &door->listeners[kind].wire);
  wire_close(&door->wire, &door->timer.wire);
  explicit_bzero(door->clients, DOOR_CLIENTS_MAX * sizeof(client_t));
  free(door->clients);
  pthread_mutex_destroy(&door->lock);
}


json_object* front_door_counters(front_door_t* door) {
  static const char* const names[DOOR_COUNT] = {"tpm", "channel", "control"};
  json_object* json = json_object_new_object();
  json_object* doors = json_object_new_array();

  pthread_mutex_lock(&door->lock);
  for (int kind = 0; kind < DOOR_COUNT; kind++) {
    json_object* one = json_object_new_object();
    json_object_object_add(one, "name", json_object_new_string(names[kind]));
    json_object_object_add(one, "now",
                           json_object_new_uint64(door->client_counts[kind]));
    json_object_object_add(
        one, "at_once", json_object_new_uint64(door->client_counts_max[kind]));
    json_object_object_add(one, "limit",
                           json_object_new_uint64(clients_max[kind]));
    json_object_object_add(one, "ever",
                           json_object_new_uint64(door->clients_total[kind]));
    json_object_object_add(one, "requests",
                           json_object_new_uint64(door->requests_total[kind]));
    json_object_array_add(doors, one);
  }
  json_object_object_add(json, "doors", doors);
  json_object_object_add(json, "hang_ups",
                         json_object_new_uint64(door->hang_ups_total));
  json_object_object_add(json, "retries",
                         json_object_new_uint64(door->retries_total));
  pthread_mutex_unlock(&door->lock);
  return json;
}

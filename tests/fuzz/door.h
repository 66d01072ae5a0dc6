/*
 * tests/fuzz/door.h - the front doors' own code, on a wire of the fuzzer's.
 *
 *   input:  FLAGS, COUNT, COUNT bytes that say how to split, the stream
 *
 * Real: sim/guest_front_door.c with its parsers. Fakes: the socket (which
 * gives as few bytes at a time, and takes as few, as the input says), the
 * clock, the guest's calls (the firmware answers anything at all, but the same
 * to the same bytes) and the wire's thread.
 *
 * The promises checked: what a client is answered doesn't depend on how its
 * bytes were split; no client keeps a vCPU for more than one answer of its
 * own; whoever hangs up or stalls is let go, and leaves nothing behind.
 */
#ifndef EVSM_TESTS_FUZZ_DOOR_H
#define EVSM_TESTS_FUZZ_DOOR_H

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

static ssize_t fake_recv(void* buf, size_t size);
static ssize_t fake_send(const void* buf, size_t size);
static int fake_shutdown(int how);
static int fake_clock(struct timespec* now);

#define recv(fd, buf, size, flags) ((void) (fd), fake_recv(buf, size))
#define send(fd, buf, size, flags) ((void) (fd), fake_send(buf, size))
#define shutdown(fd, how) fake_shutdown(how)
#define clock_gettime(clock, now) fake_clock(now)
#define timerfd_settime(fd, flags, when, old) ((void) (when))

#include "handlers/result.c"
#include "sim/control.c"
#include "sim/guest_boot.c"
#include "sim/guest_control.c"
#include "sim/guest_front_door.c"
#include "sim/guest_swtpm.c"

#undef recv
#undef send
#undef shutdown
#undef clock_gettime
#undef timerfd_settime

#define FAKE_PAGE 4096u
#define FAKE_OUT_SIZE_MAX (4u * 1024u * 1024u) /* bytes */
#define FAKE_TURNS_MAX 200000u
#define FAKE_SPLITS_MAX 64u

typedef struct {
  const uint8_t* splits; /* how much comes or goes at a time; 0: not now */
  size_t split_count;    /* 0: all at once */
  size_t split_index;
  bool was_told_later;
  const uint8_t* stream; /* all that the client sends */
  size_t stream_size;    /* bytes */
  const uint8_t* in;
  size_t in_left;  /* bytes */
  uint8_t* out;    /* all that was sent */
  size_t out_size; /* bytes */
  bool waits;      /* the socket's end is blocking: no EAGAIN, then a hang-up */
  bool is_over;    /* either side has hung up */
  bool is_ambiguous;   /* had a command whose padding is told by arrival */
  uint32_t step_sends; /* answers begun since the vCPU was given */
  const void* rest;    /* of an answer that went in part */
  uint32_t retries_left;
  uint64_t now_ns;
  uint8_t page[4096];
} fake_socket_t;

static front_door_t door;
static fake_socket_t fake;

/* ---- The socket ---- */

/* How many of `size` bytes go through now; 0: none, ask again later. */
static size_t fake_split(size_t size) {
  if (fake.split_count == 0)
    return size;
  uint8_t split = fake.splits[fake.split_index++ % fake.split_count];
  if (split == 0 && !fake.was_told_later) {
    fake.was_told_later = true;
    return 0;
  }
  fake.was_told_later = false;
  size_t some = split < 128 ? (size_t) split + 1 : (size_t) split * 64;
  return some < size ? some : size;
}


static ssize_t fake_recv(void* buf, size_t size) {
  ASSERT(size > 0);
  if (fake.is_over || (fake.waits && fake.in_left == 0))
    return 0;
  if (fake.in_left == 0) {
    errno = EAGAIN;
    return -1;
  }
  size_t some = fake_split(fake.in_left < size ? fake.in_left : size);
  if (some == 0) {
    errno = fake.waits || fake.split_index % 2 == 0 ? EINTR : EAGAIN;
    return -1;
  }
  memcpy(buf, fake.in, some);
  fake.in += some;
  fake.in_left -= some;
  return (ssize_t) some;
}


static ssize_t fake_send(const void* buf, size_t size) {
  ASSERT(size > 0);
  if (buf != fake.rest)
    fake.step_sends++;
  fake.rest = buf;
  if (fake.is_over) {
    errno = EPIPE;
    return -1;
  }
  size_t some = fake_split(size);
  if (some == 0) {
    errno = fake.waits || fake.split_index % 2 == 0 ? EINTR : EAGAIN;
    return -1;
  }
  ASSERT(some <= FAKE_OUT_SIZE_MAX - fake.out_size);
  memcpy(fake.out + fake.out_size, buf, some);
  fake.out_size += some;
  fake.rest = some < size ? (const uint8_t*) buf + some : NULL;
  return (ssize_t) some;
}


static int fake_shutdown(int how) {
  if (how == SHUT_RDWR)
    fake.is_over = true;
  return 0;
}


static int fake_clock(struct timespec* now) {
  now->tv_sec = (time_t) (fake.now_ns / 1000000000u);
  now->tv_nsec = (long) (fake.now_ns % 1000000000u);
  return 0;
}


/* ---- The wire: what is armed is ready as soon as we look ---- */

int wire_start(wire_t* wire, wire_ready_cb ready_cb) {
  wire->ready_cb = ready_cb;
  return 0;
}


void wire_stop(wire_t* wire) {
  wire->ready_cb = NULL;
}


void wire_attach(wire_port_t* port, int fd) {
  port->fd = fd;
}


int wire_arm(wire_t* wire, wire_port_t* port, bool for_writing) {
  (void) wire;
  (void) port;
  (void) for_writing;
  return 0;
}


void wire_close(wire_t* wire, wire_port_t* port) {
  (void) wire;
  port->fd = -1;
}


/* ---- The guest's machine ---- */

int platform_memory_init(uint64_t size) {
  (void) size;
  return 0;
}


void guest_boot(guest_main_cb main, void* arg) {
  (void) main;
  (void) arg;
}


uint32_t guest_vcpu_index(const guest_vcpu_t* vcpu) {
  (void) vcpu;
  return 0;
}


void* guest_memory(uint64_t gpa, size_t size) {
  ASSERT(gpa == FAKE_PAGE);
  ASSERT(size <= sizeof(fake.page));
  return fake.page;
}


uint64_t guest_memory_size(void) {
  return FAKE_PAGE;
}


uint64_t guest_alloc_pages(size_t page_count) {
  (void) page_count;
  return FAKE_PAGE;
}


void guest_set_calling_area(guest_vcpu_t* vcpu, uint64_t caa_gpa) {
  (void) vcpu;
  (void) caa_gpa;
}


uint32_t guest_start_vcpu(guest_vcpu_t* vcpu,
                          uint32_t index,
                          guest_main_cb main,
                          void* arg) {
  (void) vcpu;
  (void) index;
  (void) main;
  (void) arg;
  return 0;
}


void guest_halt(guest_vcpu_t* vcpu) {
  (void) vcpu;
  abort(); /* the fuzzer's loop is the vCPU's here */
}


void guest_interrupt(uint32_t index) {
  (void) index;
}


/* FNV-1a */
static uint32_t fake_hash(const uint8_t* data, size_t size) {
  uint32_t hash = 2166136261u;

  for (size_t i = 0; i < size; i++)
    hash = (hash ^ data[i]) * 16777619u;
  return hash ^ hash >> 15;
}


/* A response of any size, also of one that no response has. */
static uint32_t fake_vtpm(void) {
  uint32_t size;

  memcpy(&size, fake.page + 5, sizeof(size));
  ASSERT(size <= DOOR_TPM_COMMAND_SIZE_MAX);
  uint32_t hash = fake_hash(fake.page, 9u + size);
  if (fake.retries_left == 0 && hash % 8 == 0)
    fake.retries_left = 2 + hash / 8 % 4;
  if (fake.retries_left > 1) {
    fake.retries_left--;
    size = (uint32_t) tpm_response_code(fake.page + 4, TPM_RC_RETRY);
    memcpy(fake.page, &size, sizeof(size));
    return 0;
  }
  fake.retries_left = 0;
  if (hash % 16 == 1)
    return 0x80000005u + hash / 16 % 3;
  size = hash % 16 == 2 ? hash : hash >> 8 & 0xFFFu;
  memset(fake.page, (int) (hash & 0x7Fu), sizeof(fake.page));
  memcpy(fake.page, &size, sizeof(size));
  return 0;
}


uint32_t guest_call(guest_vcpu_t* vcpu, guest_regs_t* regs) {
  (void) vcpu;
  uint32_t number;

  if (regs->rax >> 32 != SVSM_VTPM) {
    uint32_t hash = fake_hash((const uint8_t*) &regs->rcx, 8);
    regs->rcx *= hash;
    return hash % 4 == 0 ? 0x80000000u + hash % 16 : 0;
  }
  memcpy(&number, fake.page, sizeof(number));
  if (number == VTPM_SEND_COMMAND)
    return fake_vtpm();
  fake.page[4] = (uint8_t) number;
  return number % 5 == 4 ? 0x80000006u : 0;
}


static json_object* fake_stat(front_door_t* of) {
  return front_door_counters(of);
}


/* ---- One client, from its knock to its end ---- */

static void fake_open(void) {
  static client_t clients[DOOR_CLIENTS_MAX];

  memset(&door, 0, sizeof(door));
  pthread_mutex_init(&door.lock, NULL);
  door.cpu_count = 1;
  door.stat_cb = fake_stat;
  door.timer_due_ms = UINT64_MAX;
  door.tpm_calls_max = 1;
  door.platform_commands = UINT64_MAX;
  door.clients = clients;
  door.tpm_page_gpa[0] = FAKE_PAGE;
  door.timer.wire.fd = -1;
  for (uint32_t i = 0; i < DOOR_CLIENTS_MAX; i++)
    clients[i].state = CLIENT_FREE;
}


/* Does the request to come depend on what arrives with it (guest_swtpm.c)? */
static bool fake_is_padded(const client_t* client) {
  if (client->kind != DOOR_CHANNEL)
    return false;
  const channel_command_t* command = channel_find(read_be32(client->in));
  return command != NULL && command->body_size == 1;
}


/* One turn of its vCPU. */
static void fake_turn(client_t* client) {
  fake.step_sends = 0;
  if (client->state == CLIENT_QUEUED) {
    fake.is_ambiguous |= fake_is_padded(client);
    client_t* taken = take_request(&door);
    ASSERT(taken == client);
    client_call(&door, NULL, client);
  } else if (client->state == CLIENT_RETRYING) {
    fake.now_ns += UINT64_C(1000000) * DOOR_RETRY_MS_MAX;
    on_timer(&door);
    ASSERT(client->state == CLIENT_QUEUED);
  } else {
    client_step(&door, client);
  }
  ASSERT(fake.step_sends <= 1);
}


/* The client is silent from here on: it is at rest, or stalls, or goes. */
static void fake_silence(client_t* client) {
  bool is_at_rest = client->state == CLIENT_RECEIVING && client->in_size == 0;

  ASSERT((client->due_ms == 0) == is_at_rest);
  fake.now_ns += UINT64_C(1000000) * (DOOR_STALL_MS + 1);
  on_timer(&door);
  ASSERT(fake.is_over == !is_at_rest);
  fake.is_over = true;
  fake_turn(client);
}


/* Serve a client; what it is answered is in fake.out. */
static void fake_serve(door_kind_t kind) {
  uint32_t turns = 0;

  fake.in = fake.stream;
  fake.in_left = fake.stream_size;
  fake.out_size = 0;
  fake.now_ns = UINT64_C(5000000000);
  fake.is_over = false;
  fake.retries_left = 0;
  fake.split_index = 0;
  fake_open();
  client_t* client = client_take(&door, kind);
  ASSERT(client != NULL);
  wire_attach(&client->port.wire, 99);

  do {
    fake_turn(client);
    ASSERT(++turns < FAKE_TURNS_MAX);
  } while (client->state != CLIENT_FREE &&
           (fake.in_left > 0 || client->state == CLIENT_QUEUED ||
            client->state == CLIENT_RETRYING ||
            client->state == CLIENT_SENDING));
  if (client->state != CLIENT_FREE)
    fake_silence(client);

  ASSERT(client->state == CLIENT_FREE);
  ASSERT(client->json == NULL);
  ASSERT(client->text == NULL);
  ASSERT(client->port.wire.fd == -1);
  ASSERT(door.client_counts[kind] == 0);
  ASSERT(door.tpm_calls == 0);
  ASSERT(!has_work(&door));
}


/* COUNT, COUNT bytes of splits, and the stream. */
static void fake_split_as(const uint8_t* data, size_t size) {
  ASSERT(size >= 1);
  fake.splits = data + 1;
  fake.split_count = data[0] % FAKE_SPLITS_MAX;
  if (fake.split_count > size - 1)
    fake.split_count = size - 1;
  fake.stream = fake.splits + fake.split_count;
  fake.stream_size = size - 1 - fake.split_count;
}


/* Serve it split as the input says, and then at once: the same answers. */
static void fake_serve_both(door_kind_t kind,
                            const uint8_t* data,
                            size_t size) {
  static uint8_t first[FAKE_OUT_SIZE_MAX];
  static uint8_t second[FAKE_OUT_SIZE_MAX];

  fake_split_as(data, size);
  fake.is_ambiguous = false;
  fake.out = first;
  fake_serve(kind);
  size_t first_size = fake.out_size;
  fake.split_count = 0;
  fake.out = second;
  fake_serve(kind);
  if (fake.is_ambiguous)
    return;
  ASSERT(first_size == fake.out_size);
  ASSERT(memcmp(first, second, first_size) == 0);
}

#endif /* EVSM_TESTS_FUZZ_DOOR_H */

/*
 * sim/guest_front_door.h - the guest's programs that serve the outside.
 *
 *   sockets (swtpm data and control port, evsm's control socket)
 *      | wire: ready                             ^
 *      v                                         | answer
 *   client: receive -> queue -> (an idle vCPU) SVSM call -> send
 *
 * All clients' requests go into one queue of the guest, as in an OS; whichever
 * vCPU is idle takes the next, in the order in which they came. TPM commands
 * take at most all vCPUs but one (where there is more than one), so that a
 * query always finds a vCPU.
 *
 * The promise: no front door reaches into the TPM or the service. All that a
 * client asks is done by SVSM calls of a vCPU.
 *
 * Clients are strangers: what they send is bounded, and judged before use. A
 * request that stays half for DOOR_STALL_MS is hung up on. When all places
 * are taken, the one that has been at rest longest, and at least DOOR_REST_MS,
 * gives its place to whoever knocks; the others wait before the door.
 *
 *   guest_front_door.c   clients, their queue, and the vCPUs' loop
 *   guest_boot.c         how the guest boots
 *   guest_swtpm.c        the swtpm wire: data port and control port
 *   guest_control.c      the evsm control socket
 */
#ifndef EVSM_SIM_GUEST_FRONT_DOOR_H
#define EVSM_SIM_GUEST_FRONT_DOOR_H

#include "runtime/bounds.h"
#include "sim/control.h"
#include "sim/guest.h"
#include "sim/wire.h"

#include <json-c/json.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define DOOR_STALL_MS 10000u /* half a request, or an answer nobody reads */
#define DOOR_DRAIN_MS 2000u  /* to take in what follows a bad request */
#define DOOR_DRAIN_SIZE_MAX 262144u /* bytes */
#define DOOR_REST_MS 10000u
#define DOOR_SHORT_MS 1000u /* no place, or no descriptor: look again */
#define DOOR_RETRY_MS_MAX 20u
#define DOOR_RETRIES_MAX 1000u

#define DOOR_TPM_COMMAND_SIZE_MAX 4087u  /* bytes: abi.md 1.8 */
#define DOOR_TPM_RESPONSE_SIZE_MAX 4092u /* bytes */
#define DOOR_TPM_HEADER_SIZE 10u         /* bytes: tag, size, code */

#define TPM_RC_RETRY 0x922u
#define TPM_RC_FAILURE 0x101u
#define TPM_RC_COMMAND_SIZE 0x142u

/* What stands behind a door. */
typedef enum {
  DOOR_TPM,     /* the swtpm data port: TPM commands */
  DOOR_CHANNEL, /* the swtpm control port */
  DOOR_CONTROL, /* evsm's own control socket */
  DOOR_COUNT,
} door_kind_t;

#define DOOR_TPM_CLIENTS_MAX 64u
#define DOOR_CHANNEL_CLIENTS_MAX 16u
#define DOOR_CONTROL_CLIENTS_MAX 32u
#define DOOR_CLIENTS_MAX 112u /* the three together */

typedef enum {
  CLIENT_FREE, /* 0 */
  CLIENT_RECEIVING,
  CLIENT_QUEUED,   /* a whole request waits for a vCPU */
  CLIENT_CALLING,  /* a vCPU makes its call */
  CLIENT_RETRYING, /* the TPM said RETRY; waits until `due_ms` */
  CLIENT_SENDING,
  CLIENT_DRAINING, /* answered an unreadable request; then we hang up */
} client_state_t;

/* What a protocol says of the bytes that have been received. */
typedef enum {
  PARSED_MORE,    /* not yet a whole request */
  PARSED_REQUEST, /* request_size bytes of it: queue them */
  PARSED_ANSWER,  /* `out` holds the answer already */
  PARSED_LAST,    /* the same, and nothing after it can be understood */
} parsed_t;

typedef enum { PORT_LISTENER, PORT_TIMER, PORT_CLIENT } port_kind_t;

typedef struct door_port_s {
  wire_port_t wire;
  port_kind_t kind;
} door_port_t;

typedef struct client_s client_t;
struct client_s {
  door_port_t port;
  door_kind_t kind;
  client_state_t state;
  uint64_t due_ms;        /* when its patience, or ours, ends; 0: never */
  uint64_t at_rest_ms;    /* since when nothing was asked */
  uint64_t request_index; /* its place in the queue's order */
  client_t* queue_next;
  bool is_tpm;   /* the request needs the TPM */
  bool is_retry; /* the answer is the TPM\'s RC_RETRY */
  bool hangs_up; /* after the answer */
  uint32_t retries;
  json_object* json; /* the request, of DOOR_CONTROL */
  char* text;        /* its answer */

  size_t in_size;      /* bytes of in[] */
  size_t request_size; /* bytes of in[] that are the present request */
  size_t drained_size; /* bytes */
  size_t out_size;     /* bytes to send */
  size_t sent_size;    /* bytes sent of them */
  const uint8_t* out;  /* answer[], or text */
  uint8_t answer[DOOR_TPM_RESPONSE_SIZE_MAX];
  uint8_t in[CONTROL_REQUEST_SIZE_MAX];
};

typedef struct client_queue_s {
  client_t* head;
  client_t* tail;
} client_queue_t;

typedef struct front_door_s front_door_t;
typedef json_object* (*front_door_stat_cb)(front_door_t* door);

/* What the root sets before front_door_open(). */
struct front_door_s {
  uint32_t cpu_count;
  int listen_fd[DOOR_COUNT];  /* the door's from here on */
  int notify_fd;              /* eventfd: told when a field below changes */
  front_door_stat_cb stat_cb; /* on a vCPU: the answer to {"do":"stat"} */

  /* what the root may read */
  _Atomic bool is_booted;
  _Atomic bool is_over;   /* shut down: the CPUs may stop */
  const char* boot_error; /* set before is_over; NULL: none */
  uint32_t boot_result;   /* what the failing step answered */

  /* private to the four files; `lock` holds all but what a client's owner
   * holds alone, and is never held across VMGEXIT or HLT */
  pthread_mutex_t lock;
  wire_t wire;
  door_port_t listeners[DOOR_COUNT];
  bool is_full[DOOR_COUNT]; /* its listener is not armed: the next client to
                             * go arms it, or the timer */
  door_port_t timer;
  uint64_t timer_due_ms;
  wire_port_t* ready_head;
  wire_port_t* ready_tail;
  client_queue_t queue[2]; /* [is_tpm] */
  uint64_t request_count;
  uint64_t idle_vcpus; /* bits: in HLT, or about to be */
  uint32_t tpm_calls;  /* vCPUs that are in one */
  uint32_t tpm_calls_max;
  uint32_t vcpus_serving;
  bool is_stopping;
  uint64_t tpm_page_gpa[CPUS_MAX];
  uint8_t boot_response[DOOR_TPM_RESPONSE_SIZE_MAX]; /* the boot vCPU's */
  uint64_t platform_commands; /* what the vTPM's QUERY says it has */
  _Atomic uint32_t locality;

  client_t* clients; /* DOOR_CLIENTS_MAX of them */
  uint32_t client_counts[DOOR_COUNT];
  uint32_t client_counts_max[DOOR_COUNT]; /* seen at once */
  uint64_t clients_total[DOOR_COUNT];
  uint64_t requests_total[DOOR_COUNT];
  uint64_t hang_ups_total; /* of ours: stalled, or making room */
  uint64_t retries_total;
};

/*
 * Take the listeners, start the wire, and put the guest on its boot vCPU.
 *
 * Context:  a host thread, before cpu_start().
 * Returns:  0, or a negative errno.
 */
int front_door_open(front_door_t* door);

/*
 * Take no more requests, let those that are being answered end, send the TPM
 * its TPM2_Shutdown; then `is_over`. Context: any host thread, or a vCPU.
 */
void front_door_stop(front_door_t* door);

/* Hang up on everybody, and free all. Context: a host thread, after the CPUs
 * have stopped. */
void front_door_close(front_door_t* door);

/* ---- Between the four files ---- */

/* The guest's programs: all but guest_main_boot only serve. */
void guest_main_boot(guest_vcpu_t* vcpu, void* arg);
void guest_main_serve(guest_vcpu_t* vcpu, void* arg);

/* Make the root look. */
void front_door_notify(front_door_t* door);

/* Serve clients until the door stops. On a vCPU. */
void front_door_serve(front_door_t* door, guest_vcpu_t* vcpu);

/*
 * One TPM command through the vTPM protocol. The response, in `response` of
 * DOOR_TPM_RESPONSE_SIZE_MAX bytes, is always one: where the SVSM refuses the
 * call, it is our TPM_RC_FAILURE. Returns its size; *result is the SVSM's.
 */
size_t front_door_tpm(front_door_t* door,
                      guest_vcpu_t* vcpu,
                      const uint8_t* command,
                      size_t command_size,
                      uint8_t* response,
                      uint32_t* result);

/*
 * A vTPM platform command (POWER_ON, HASH_END, ...), with `data` behind it.
 * What it answers stays in this vCPU's page. Returns the SVSM's result, or
 * INVALID_PARAMETER if the vTPM says that it has no such command.
 */
uint32_t front_door_platform(front_door_t* door,
                             guest_vcpu_t* vcpu,
                             uint32_t number,
                             uint8_t locality,
                             const void* data,
                             size_t size);

/* A response that is only a code. Returns its size. */
size_t tpm_response_code(uint8_t* response, uint32_t code);

uint32_t read_be32(const uint8_t* at);
void write_be32(uint8_t* at, uint32_t value);

/* What each door makes of bytes, and its calls. Owner of the client only. */
parsed_t tpm_parse(front_door_t* door, client_t* client);
void tpm_call(front_door_t* door, guest_vcpu_t* vcpu, client_t* client);
parsed_t channel_parse(front_door_t* door, client_t* client);
void channel_call(front_door_t* door, guest_vcpu_t* vcpu, client_t* client);
parsed_t control_parse(front_door_t* door, client_t* client);
void control_call(front_door_t* door, guest_vcpu_t* vcpu, client_t* client);
void control_forget(client_t* client);

/* Counters of the door for `evsm stat`. Takes the lock. */
json_object* front_door_counters(front_door_t* door);

#endif /* EVSM_SIM_GUEST_FRONT_DOOR_H */

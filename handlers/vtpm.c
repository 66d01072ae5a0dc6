/*
 * handlers/vtpm.c - SVSM_VTPM_QUERY and SVSM_VTPM_CMD: from a guest's buffer
 * to the one TPM, and back.
 *
 *   start: check, copy in ----queue----> job: one command after the other
 *                                         |
 *   deliver: copy out <----- answered ----'
 *
 * One job is the TPM's, for as long as the machine lives; it takes the
 * commands in the order in which they came and parks when there are none. So
 * there is never more than one command in libtpms; each vCPU has at most one
 * in the queue, so none can crowd the others out; and every vCPU that waits
 * helps the same job (call->job), whoever's command stands first. Nothing
 * here needs a callback on another CPU's loop, which might be in its guest.
 *
 * The promise: a command is executed once, from a private copy, and its answer
 * leaves once, after what it changed in NV is durable (tpm_state.h); if its
 * vCPU is deleted meanwhile, or gives the call up, it is still finished and
 * the answer is dropped. Commands and answers may hold secrets: they are wiped
 * when the answer has left, or before the next use.
 *
 * Not here: what a TPM command means (tpm.h, libtpms).
 */
#include "handlers/vtpm.h"

#include "arch/arch.h"
#include "crypto/ct.h"
#include "crypto/libcrypto/libc.h"
#include "handlers/guest_mem.h"
#include "handlers/tpm.h"
#include "handlers/tpm_state.h"
#include "handlers/vcpu.h"

typedef enum { VTPM_CALL_QUERY, VTPM_CALL_CMD } vtpm_call_t;

/* Platform commands: TpmTcpProtocol.h of TCG's reference code, and abi.md. */
#define VTPM_OP_POWER_ON 1u
#define VTPM_OP_POWER_OFF 2u
#define VTPM_OP_HASH_START 5u
#define VTPM_OP_HASH_DATA 6u
#define VTPM_OP_HASH_END 7u
#define VTPM_OP_SEND_COMMAND 8u
#define VTPM_OP_CANCEL_ON 9u
#define VTPM_OP_CANCEL_OFF 10u
#define VTPM_OP_NV_ON 11u
#define VTPM_OP_RESET 17u
#define VTPM_OP_GET_ESTABLISHED 0x80000001u /* ours */
#define VTPM_OP_RESET_ESTABLISHED 0x80000002u

/* What any guest may do, and what only one that is the platform may. */
#define VTPM_BIT(op) (1ull << VTPM_OP_##op)
#define VTPM_OPS_GUEST \
  (VTPM_BIT(SEND_COMMAND) | VTPM_BIT(CANCEL_ON) | VTPM_BIT(CANCEL_OFF))
#define VTPM_OPS_PLATFORM                                            \
  (VTPM_BIT(POWER_ON) | VTPM_BIT(POWER_OFF) | VTPM_BIT(HASH_START) | \
   VTPM_BIT(HASH_DATA) | VTPM_BIT(HASH_END) | VTPM_BIT(NV_ON) |      \
   VTPM_BIT(RESET))

/* The buffer of a call: one page at most, and all of it is the call's. */
#define VTPM_BUFFER_SIZE 4096u
#define VTPM_REQUEST_SIZE_MAX (VTPM_BUFFER_SIZE - 9u)
#define VTPM_RESPONSE_SIZE_MAX (VTPM_BUFFER_SIZE - 4u)

typedef struct vtpm_head_wire_s {
  uint32_t op;
  uint8_t locality;
  uint8_t size[4]; /* little-endian, not aligned */
} vtpm_head_wire_t;

#define VTPM_HEAD_SIZE 9u /* the struct has padding after it */

_Static_assert(offsetof(vtpm_head_wire_t, locality) == 4, "abi.md 1.8");
_Static_assert(offsetof(vtpm_head_wire_t, size) == 5, "abi.md 1.8");

typedef struct vtpm_command_s vtpm_command_t;

/* One a vCPU: its call's, from `start` until it is answered. */
struct vtpm_command_s {
  vtpm_command_t* next; /* in the queue */
  svsm_call_t* call;
  uint32_t op;
  uint32_t size; /* bytes of request */
  uint8_t locality;
  bool used; /* holds what must be wiped */
  uint8_t request[VTPM_REQUEST_SIZE_MAX];

  /* the answer: size, and the bytes, as the guest finds them */
  uint32_t response_size;
  uint8_t response[TPM_RESPONSE_SIZE_MAX];
};

_Static_assert(TPM_RESPONSE_SIZE_MAX >= VTPM_RESPONSE_SIZE_MAX, "has room");

static vtpm_command_t vtpm_commands[VCPUS_MAX];
static uint64_t vtpm_ops; /* bits of what may be done */

/* The queue: any CPU pushes, the job takes all and turns them round. */
static _Atomic(vtpm_command_t*) vtpm_pushed;
static vtpm_command_t* vtpm_taken;  /* the job's: first in, first out */
static _Atomic uint32_t vtpm_count; /* pushed and not yet done */
static uvx_wait_t vtpm_wait;        /* ends when the count leaves 0 */
static _Atomic int vtpm_start_status;

static _Atomic size_t vtpm_used; /* bytes of the arena, and at most */
static _Atomic size_t vtpm_peak;

static uvx_job_t vtpm_the_job;
static bool vtpm_job_runs; /* the loop's that it belongs to */

/* ---- The queue ---- */

/* One more to do: whoever takes the count from 0 wakes the job. */
static void vtpm_count_up(void) {
  if (atomic_fetch_add(&vtpm_count, 1) == 0)
    uvx_wait_done(&vtpm_wait, 0);
}


static void vtpm_push(vtpm_command_t* command) {
  vtpm_command_t* head = atomic_load(&vtpm_pushed);

  do {
    command->next = head;
  } while (!atomic_compare_exchange_weak(&vtpm_pushed, &head, command));
  vtpm_count_up();
}


/* Context: the job. NULL: the one that was counted is vtpm_stop()'s. */
static vtpm_command_t* vtpm_take(void) {
  if (vtpm_taken == NULL) {
    vtpm_command_t* newest = atomic_exchange(&vtpm_pushed, NULL);
    while (newest != NULL) {
      vtpm_command_t* before = newest->next;
      newest->next = vtpm_taken;
      vtpm_taken = newest;
      newest = before;
    }
  }
  vtpm_command_t* command = vtpm_taken;
  if (command != NULL)
    vtpm_taken = command->next;
  return command;
}


/* ---- The job ---- */

static int vtpm_established(vtpm_command_t* command) {
  bool established = false;
  int err = tpm_established(&established);

  command->response[0] = established;
  command->response_size = 1;
  return err;
}


/* What TPM2_Startup and the like are to a platform. */
static int vtpm_execute(vtpm_command_t* command) {
  command->response_size = 0;
  switch (command->op) {
    case VTPM_OP_SEND_COMMAND:
      return tpm_process(command->request, command->size, command->locality,
                         command->response, &command->response_size);
    case VTPM_OP_POWER_ON:
      return tpm_is_on() ? 0 : tpm_power_on();
    case VTPM_OP_POWER_OFF:
      tpm_power_off();
      return 0;
    case VTPM_OP_RESET:
      return tpm_is_on() ? tpm_power_on() : 0;
    case VTPM_OP_HASH_START:
      return tpm_hash_start();
    case VTPM_OP_HASH_DATA:
      return tpm_hash_data(command->request, command->size);
    case VTPM_OP_HASH_END:
      return tpm_hash_end();
    case VTPM_OP_GET_ESTABLISHED:
      return vtpm_established(command);
    case VTPM_OP_RESET_ESTABLISHED:
      return tpm_reset_established(command->locality);
    default:
      ASSERT(command->op == VTPM_OP_NV_ON); /* NV is always there */
      return 0;
  }
}


/*
 * Tell the vCPU. If it is this CPU's, give way so that the loop sees it, when
 * there is more to do; the job parks by itself when there is not.
 */
static void vtpm_finish(vtpm_command_t* command, int err) {
  svsm_call_t* call = command->call;

  if (err == 0 && command->response_size > VTPM_RESPONSE_SIZE_MAX)
    err = UV_ENOBUFS; /* libtpms was told of smaller buffers: never seen */
  bool opened = arch_interrupts_close();
  bool here = call->cpu == arch_cpu();
  svsm_call_finish(call, svsm_result_wire(svsm_result_from_uv(err)));
  if (opened)
    arch_interrupts_open();
  if (here && atomic_load(&vtpm_count) > 1)
    uvx_job_yield();
}


/* Only the job may look into the arena; others see what it noted. */
static void vtpm_note_memory(void) {
  libc_arena_stat_t arena;

  libc_arena_stat(&arena);
  atomic_store_explicit(&vtpm_used, arena.used, memory_order_relaxed);
  atomic_store_explicit(&vtpm_peak, arena.peak, memory_order_relaxed);
}


vtpm_memory_t vtpm_memory(void) {
  return (vtpm_memory_t){
      .used = atomic_load_explicit(&vtpm_used, memory_order_relaxed),
      .peak = atomic_load_explicit(&vtpm_peak, memory_order_relaxed),
      .size = LIBC_ARENA_SIZE,
  };
}


static void vtpm_work(uvx_job_t* job) {
  static const tpm_platform_t platform = {
      .clock_ns = arch_clock_ns,
      .load = tpm_state_load,
      .store = tpm_state_store,
      .remove = tpm_state_remove,
  };

  (void) job;
  tpm_init(&platform);
  atomic_store(&vtpm_start_status, tpm_power_on());
  vtpm_note_memory();
  for (;;) {
    (void) uvx_job_await(&vtpm_wait);
    do {
      vtpm_command_t* command = vtpm_take();
      if (command == NULL) {
        tpm_terminate();
        return;
      }
      int err = vtpm_execute(command);
      vtpm_note_memory();
      vtpm_finish(command, err);
    } while (atomic_fetch_sub(&vtpm_count, 1) != 1);
  }
}


static void vtpm_work_done(uvx_job_t* job, int status) {
  (void) job;
  (void) status;
  vtpm_job_runs = false;
  ct_wipe(vtpm_commands, sizeof(vtpm_commands));
}


void vtpm_init(bool platform_commands) {
  ASSERT(!vtpm_job_runs);

  vtpm_ops = VTPM_OPS_GUEST | (platform_commands ? VTPM_OPS_PLATFORM : 0);
  atomic_store(&vtpm_pushed, NULL);
  atomic_store(&vtpm_count, 0);
  atomic_store(&vtpm_start_status, UV_EAGAIN);
  vtpm_taken = NULL;
  memset(&vtpm_wait, 0, sizeof(vtpm_wait));
  memset(&vtpm_the_job, 0, sizeof(vtpm_the_job));
}


void vtpm_start(uv_loop_t* loop) {
  ASSERT(!vtpm_job_runs);

  vtpm_job_runs = true;
  int err = uvx_job_submit(loop, &vtpm_the_job, UVX_JOB_NORMAL, vtpm_work,
                           vtpm_work_done);
  ASSERT(err == 0);
}


int vtpm_status(void) {
  return atomic_load(&vtpm_start_status);
}


void vtpm_stop(void) {
  tpm_cancel(); /* a key that nobody will get */
  vtpm_count_up();
}


uvx_job_t* vtpm_job(void) {
  return vtpm_job_runs ? &vtpm_the_job : NULL;
}


/* ---- The calls ---- */

/* May this op be done, and has it bytes after its head? */
static svsm_result_t vtpm_op_check(uint32_t op, bool* has_data) {
  uint64_t platform = vtpm_ops & VTPM_OPS_PLATFORM;

  *has_data = op == VTPM_OP_SEND_COMMAND || op == VTPM_OP_HASH_DATA;
  if (op == VTPM_OP_GET_ESTABLISHED || op == VTPM_OP_RESET_ESTABLISHED)
    return platform != 0 ? SVSM_SUCCESS : SVSM_UNSUPPORTED_CALL;
  if (op >= 64 || (vtpm_ops >> op & 1) == 0)
    return SVSM_UNSUPPORTED_CALL;
  return SVSM_SUCCESS;
}


static svsm_result_t vtpm_locality_check(uint8_t locality) {
  bool is_platform = (vtpm_ops & VTPM_OPS_PLATFORM) != 0;

  if (locality > (is_platform ? TPM_LOCALITY_MAX : 0))
    return SVSM_INVALID_PARAMETER;
  return SVSM_SUCCESS;
}


/* From the guest's buffer into `command`: each byte is read once. */
static svsm_result_t vtpm_copy_in(uint64_t gpa, vtpm_command_t* command) {
  vtpm_head_wire_t head;
  bool has_data;

  if (gpa == 0)
    return SVSM_INVALID_PARAMETER;
  svsm_result_t result = guest_mem_check(gpa, VTPM_BUFFER_SIZE, 1, 0);
  if (result == SVSM_SUCCESS)
    result = guest_mem_read(&head, gpa, VTPM_HEAD_SIZE, 0);
  if (result == SVSM_SUCCESS)
    result = vtpm_op_check(head.op, &has_data);
  if (result == SVSM_SUCCESS)
    result = vtpm_locality_check(head.locality);
  if (result != SVSM_SUCCESS)
    return result;

  command->op = head.op;
  command->locality = head.locality;
  command->size = (uint32_t) head.size[0] | (uint32_t) head.size[1] << 8 |
                  (uint32_t) head.size[2] << 16 | (uint32_t) head.size[3] << 24;
  if (!has_data)
    command->size = 0;
  if (command->size > VTPM_REQUEST_SIZE_MAX || (has_data && command->size == 0))
    return SVSM_INVALID_PARAMETER;
  if (!has_data)
    return SVSM_SUCCESS;
  return guest_mem_read(command->request, gpa + VTPM_HEAD_SIZE, command->size,
                        0);
}


/* The answer leaves: size, then the bytes. */
static void vtpm_deliver(svsm_call_t* call) {
  vtpm_command_t* command = &vtpm_commands[call->vcpu_index];
  uint32_t size = command->response_size;
  svsm_result_t result = SVSM_SUCCESS;

  if (call->result == svsm_result_wire(SVSM_SUCCESS)) {
    ASSERT(size <= VTPM_RESPONSE_SIZE_MAX);
    result = guest_mem_write(call->in.rcx, &size, sizeof(size), 0);
    if (result == SVSM_SUCCESS && size > 0)
      result = guest_mem_write(call->in.rcx + sizeof(size), command->response,
                               size, 0);
    call->result = svsm_result_wire(result);
  }
  ct_wipe(command->request, command->size);
  ct_wipe(command->response, size);
  command->used = false;
}


static void vtpm_command(svsm_call_t* call) {
  vtpm_command_t* command = &vtpm_commands[call->vcpu_index];

  if (command->used) { /* its last answer was dropped */
    ct_wipe(command->request, sizeof(command->request));
    ct_wipe(command->response, sizeof(command->response));
  }
  command->used = true;
  command->call = call;
  command->response_size = 0;
  svsm_result_t result = vtpm_copy_in(call->in.rcx, command);
  if (result != SVSM_SUCCESS) {
    svsm_call_finish(call, svsm_result_wire(result));
    return;
  }
  call->deliver = vtpm_deliver;
  if (command->op == VTPM_OP_CANCEL_ON || command->op == VTPM_OP_CANCEL_OFF) {
    /* At once: the command to be cancelled is in the job just now. One that
     * begins later isn't affected, so there is nothing to switch off. */
    if (command->op == VTPM_OP_CANCEL_ON)
      tpm_cancel();
    svsm_call_finish(call, svsm_result_wire(SVSM_SUCCESS));
    return;
  }
  call->job = &vtpm_the_job;
  vtpm_push(command);
}


static void vtpm_call_start(svsm_call_t* call) {
  switch (call->number) {
    case VTPM_CALL_QUERY:
      call->out_rcx = vtpm_ops;
      call->out_rdx = 0; /* no features are defined */
      call->outs = SVSM_OUT_RCX | SVSM_OUT_RDX;
      svsm_call_finish(call, svsm_result_wire(SVSM_SUCCESS));
      return;
    case VTPM_CALL_CMD:
      vtpm_command(call);
      return;
    default:
      svsm_call_finish(call, svsm_result_wire(SVSM_UNSUPPORTED_CALL));
  }
}


const svsm_protocol_t vtpm_protocol = {
    .number = 2,
    .version_min = 1,
    .version_max = 1,
    .start = vtpm_call_start,
};

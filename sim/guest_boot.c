/*
 * sim/guest_boot.c - how the guest boots, before it serves.
 *
 *   boot vCPU: REMAP_CA, PVALIDATE of the memory the host left unvalidated,
 *              pages for each vCPU, CREATE_VCPU 1 to N-1, vTPM QUERY,
 *              TPM2_Startup, serve ... TPM2_Shutdown
 *   the others:                                    serve
 *
 * It does what firmware and then an OS do, in their order and by the same
 * calls. What the SVSM refuses ends the boot, and the root says which step.
 */
#include "sim/guest_front_door.h"

#include "runtime/base.h"

#include <string.h>

#define SVSM_CORE 0u
#define SVSM_CORE_REMAP_CA 0u
#define SVSM_CORE_PVALIDATE 1u
#define SVSM_VTPM 2u
#define SVSM_VTPM_QUERY 0u
#define SVSM_VTPM_CMD 1u

#define PVALIDATE_ENTRIES_MAX 511u /* a page less the list's header */
#define PVALIDATE_VALIDATE 4u
#define PVALIDATE_IS_2M 1u
#define PVALIDATE_SIZEMISMATCH 0x80001006u

#define PAGE_SIZE 4096u             /* bytes */
#define PAGE_2M_SIZE (512u * 4096u) /* bytes */
#define SVSM_INVALID 0x80000005u    /* INVALID_PARAMETER */

#define VTPM_SEND_COMMAND 8u

#define TPM_CC_STARTUP 0x44u /* the low byte; the rest is 0x0001 */
#define TPM_CC_SHUTDOWN 0x45u

/* What a guest hands to PVALIDATE (abi.md 1.6). */
typedef struct {
  uint16_t count;
  uint16_t next;
  uint32_t reserved;
  uint64_t entry[PVALIDATE_ENTRIES_MAX];
} pvalidate_list_t;

_Static_assert(sizeof(pvalidate_list_t) == PAGE_SIZE, "fills its page");

static guest_regs_t regs_of(uint32_t protocol, uint32_t call) {
  return (guest_regs_t){.rax = (uint64_t) protocol << 32 | call};
}


uint32_t read_be32(const uint8_t* at) {
  return (uint32_t) at[0] << 24 | (uint32_t) at[1] << 16 |
         (uint32_t) at[2] << 8 | at[3];
}


void write_be32(uint8_t* at, uint32_t value) {
  at[0] = (uint8_t) (value >> 24);
  at[1] = (uint8_t) (value >> 16);
  at[2] = (uint8_t) (value >> 8);
  at[3] = (uint8_t) value;
}


size_t tpm_response_code(uint8_t* response, uint32_t code) {
  response[0] = 0x80; /* TPM_ST_NO_SESSIONS */
  response[1] = 0x01;
  write_be32(response + 2, DOOR_TPM_HEADER_SIZE);
  write_be32(response + 6, code);
  return DOOR_TPM_HEADER_SIZE;
}


/* ---- The vTPM protocol ---- */

/* The call on this vCPU's page: number, then `size` bytes as they are. */
static uint32_t vtpm_cmd(front_door_t* door,
                         guest_vcpu_t* vcpu,
                         uint32_t number) {
  uint64_t gpa = door->tpm_page_gpa[guest_vcpu_index(vcpu)];
  guest_regs_t regs = regs_of(SVSM_VTPM, SVSM_VTPM_CMD);

  memcpy(guest_memory(gpa, PAGE_SIZE), &number, sizeof(number));
  regs.rcx = gpa;
  return guest_call(vcpu, &regs);
}


size_t front_door_tpm(front_door_t* door,
                      guest_vcpu_t* vcpu,
                      const uint8_t* command,
                      size_t command_size,
                      uint8_t* response,
                      uint32_t* result) {
  ASSERT(command_size <= DOOR_TPM_COMMAND_SIZE_MAX);
  uint64_t gpa = door->tpm_page_gpa[guest_vcpu_index(vcpu)];
  uint8_t* page = guest_memory(gpa, PAGE_SIZE);
  uint32_t size = (uint32_t) command_size;

  page[4] = (uint8_t) atomic_load(&door->locality);
  memcpy(page + 5, &size, sizeof(size));
  memcpy(page + 9, command, command_size);
  *result = vtpm_cmd(door, vcpu, VTPM_SEND_COMMAND);
  memcpy(&size, page, sizeof(size));
  if (*result != 0 || size < DOOR_TPM_HEADER_SIZE ||
      size > DOOR_TPM_RESPONSE_SIZE_MAX) {
    explicit_bzero(page, PAGE_SIZE);
    return tpm_response_code(response, TPM_RC_FAILURE);
  }
  memcpy(response, page + 4, size);
  explicit_bzero(page, PAGE_SIZE); /* may hold an authorization in clear */
  return size;
}


uint32_t front_door_platform(front_door_t* door,
                             guest_vcpu_t* vcpu,
                             uint32_t number,
                             uint8_t locality,
                             const void* data,
                             size_t size) {
  ASSERT(size <= PAGE_SIZE - 9u);
  uint8_t* page =
      guest_memory(door->tpm_page_gpa[guest_vcpu_index(vcpu)], PAGE_SIZE);
  uint32_t size32 = (uint32_t) size;

  if (number < 64u && (door->platform_commands >> number & 1u) == 0)
    return SVSM_INVALID;
  page[4] = locality;
  memcpy(page + 5, &size32, sizeof(size32));
  if (size > 0)
    memcpy(page + 9, data, size);
  return vtpm_cmd(door, vcpu, number);
}


/* ---- Booting ---- */

static uint32_t boot_calling_area(guest_vcpu_t* vcpu) {
  guest_regs_t regs = regs_of(SVSM_CORE, SVSM_CORE_REMAP_CA);
  uint64_t gpa = guest_alloc_pages(1);

  ASSERT(gpa != 0);
  regs.rcx = gpa;
  uint32_t result = guest_call(vcpu, &regs);
  if (result == 0)
    guest_set_calling_area(vcpu, gpa);
  return result;
}


/* Validate [from, to) in pages of `size`. `list_gpa` is a page of ours. */
static uint32_t boot_validate(guest_vcpu_t* vcpu,
                              uint64_t list_gpa,
                              uint64_t from,
                              uint64_t to,
                              uint64_t size) {
  pvalidate_list_t* list = guest_memory(list_gpa, sizeof(*list));
  uint64_t bits =
      PVALIDATE_VALIDATE | (size == PAGE_2M_SIZE ? PVALIDATE_IS_2M : 0);
  uint32_t result = 0;

  while (from < to && result == 0) {
    memset(list, 0, sizeof(*list));
    while (from < to && list->count < PVALIDATE_ENTRIES_MAX) {
      list->entry[list->count++] = from | bits;
      from += size;
    }
    guest_regs_t regs = regs_of(SVSM_CORE, SVSM_CORE_PVALIDATE);
    regs.rcx = list_gpa;
    result = guest_call(vcpu, &regs);
  }
  return result;
}


/* The last quarter of memory (sim/guest.h), in large pages where they fit. */
static uint32_t boot_memory(guest_vcpu_t* vcpu) {
  uint64_t list_gpa = guest_alloc_pages(1);
  uint64_t to = guest_memory_size();
  uint64_t from = to / 4u * 3u;
  uint64_t size = from % PAGE_2M_SIZE == 0 && to % PAGE_2M_SIZE == 0
                      ? PAGE_2M_SIZE
                      : PAGE_SIZE;

  ASSERT(list_gpa != 0);
  uint32_t result = boot_validate(vcpu, list_gpa, from, to, size);
  if (result == PVALIDATE_SIZEMISMATCH)
    result = boot_validate(vcpu, list_gpa, from, to, PAGE_SIZE);
  return result;
}


static uint32_t boot_vcpus(front_door_t* door, guest_vcpu_t* vcpu) {
  uint32_t result = 0;

  for (uint32_t i = 0; i < door->cpu_count; i++) {
    door->tpm_page_gpa[i] = guest_alloc_pages(1);
    ASSERT(door->tpm_page_gpa[i] != 0);
  }
  for (uint32_t i = 1; i < door->cpu_count && result == 0; i++) {
    pthread_mutex_lock(&door->lock);
    door->vcpus_serving++;
    pthread_mutex_unlock(&door->lock);
    result = guest_start_vcpu(vcpu, i, guest_main_serve, door);
  }
  if (result != 0) { /* the last one will never serve, nor end */
    pthread_mutex_lock(&door->lock);
    door->vcpus_serving--;
    pthread_mutex_unlock(&door->lock);
  }
  return result;
}


static uint32_t boot_vtpm(front_door_t* door, guest_vcpu_t* vcpu) {
  guest_regs_t regs = regs_of(SVSM_VTPM, SVSM_VTPM_QUERY);
  uint32_t result = guest_call(vcpu, &regs);

  if (result == 0 && (regs.rcx >> VTPM_SEND_COMMAND & 1u) == 0)
    return SVSM_INVALID;
  door->platform_commands = regs.rcx;
  return result;
}


/* TPM2_Startup or TPM2_Shutdown with SU_CLEAR. Returns the TPM's answer, or
 * the SVSM's where that is a refusal. */
static uint32_t boot_tpm_power(front_door_t* door,
                               guest_vcpu_t* vcpu,
                               uint8_t code) {
  const uint8_t command[] = {0x80, 1, 0, 0, 0, 12, 0, 0, 1, code, 0, 0};
  uint8_t* response = door->boot_response;
  uint32_t result;

  size_t size =
      front_door_tpm(door, vcpu, command, sizeof(command), response, &result);
  ASSERT(size >= DOOR_TPM_HEADER_SIZE);
  return result != 0 ? result : read_be32(response + 6);
}


/* The steps, in order; the name of the one that fails, or NULL. */
static const char* boot(front_door_t* door,
                        guest_vcpu_t* vcpu,
                        uint32_t* result) {
  *result = boot_calling_area(vcpu);
  if (*result != 0)
    return "REMAP_CA";
  *result = boot_memory(vcpu);
  if (*result != 0)
    return "PVALIDATE";
  *result = boot_vcpus(door, vcpu);
  if (*result != 0)
    return "CREATE_VCPU";
  *result = boot_vtpm(door, vcpu);
  if (*result != 0)
    return "the vTPM's QUERY";
  *result = boot_tpm_power(door, vcpu, TPM_CC_STARTUP);
  if (*result != 0)
    return "TPM2_Startup";
  return NULL;
}


/* Until the other vCPUs have made their last calls. */
static void wait_for_others(front_door_t* door, guest_vcpu_t* vcpu) {
  for (;;) {
    pthread_mutex_lock(&door->lock);
    uint32_t serving = door->vcpus_serving;
    pthread_mutex_unlock(&door->lock);
    if (serving == 0)
      return;
    guest_halt(vcpu);
  }
}


void guest_main_boot(guest_vcpu_t* vcpu, void* arg) {
  front_door_t* door = arg;

  ASSERT(guest_vcpu_index(vcpu) == 0);
  door->boot_error = boot(door, vcpu, &door->boot_result);
  if (door->boot_error == NULL) {
    atomic_store(&door->is_booted, true);
    front_door_notify(door);
    front_door_serve(door, vcpu);
  } else {
    front_door_stop(door);
  }

  /* An orderly end, as an OS makes it: so the next start finds no failed
   * shutdown. A TPM that a client has switched off refuses it, and may. */
  wait_for_others(door, vcpu);
  if (door->boot_error == NULL)
    boot_tpm_power(door, vcpu, TPM_CC_SHUTDOWN);
  atomic_store(&door->is_over, true);
  front_door_notify(door);
  for (;;)
    guest_halt(vcpu); /* the power goes off */
}


void guest_main_serve(guest_vcpu_t* vcpu, void* arg) {
  front_door_t* door = arg;

  front_door_serve(door, vcpu);
  pthread_mutex_lock(&door->lock);
  ASSERT(door->vcpus_serving > 0);
  door->vcpus_serving--;
  pthread_mutex_unlock(&door->lock);
  guest_interrupt(0);
  for (;;)
    guest_halt(vcpu);
}

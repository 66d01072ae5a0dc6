/*
 * sim/platform.c - guest memory and page states, as tables in this process.
 *
 *   a page's state: one atomic word
 *     assigned | validated | VMSA | in use | 2 MiB | rights of VMPL 1, 2, 3
 *
 * A model of what the RMP checks, not of how it does it: PVALIDATE and
 * RMPADJUST answer as AMD's APM vol. 3 says, a copy that would fault on SNP
 * fails here. A 2 MiB page is 512 words with the same answer; PVALIDATE of
 * 4 KiB in it splits it (as the host would on the exit that follows).
 *
 * Guests write while we read. All copies of the firmware from and to guest
 * memory are the two loops below, by relaxed atomic loads and stores: what is
 * copied may be a mixture of old and new, and is judged from the copy. Here,
 * and nowhere else, memory is shared with somebody hostile.
 *
 * What this does not model: encryption, the C-bit, cache and TLB, reads that
 * the host redirects.
 */
#include "sim/platform.h"

#include "runtime/uv.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#define PAGE_ASSIGNED 0x1u
#define PAGE_VALIDATED 0x2u
#define PAGE_VMSA 0x4u
#define PAGE_IN_USE 0x8u
#define PAGE_2M 0x10u /* the RMP entry is one for 2 MiB */
#define PAGE_RIGHTS_SHIFT(vmpl) (8u + 4u * ((vmpl) -1u))
#define PAGE_RIGHTS_ALL 0xFFF00u

#define PAGES_PER_2M 512u
#define VMPL_LAST 3u

#define RMP_NO_PAGE 0x10u /* a fault, not an answer */

static uint8_t* memory;
static uint64_t memory_size;
static _Atomic uint32_t* pages;

/* As at launch: all assigned, most of it validated. */
static void pages_reset(void) {
  for (uint64_t i = 0; i < memory_size / PLATFORM_PAGE_SIZE; i++) {
    uint32_t state = PAGE_ASSIGNED | PAGE_2M;
    if (i * PLATFORM_PAGE_SIZE < platform_validated_size())
      state |= PAGE_VALIDATED | PAGE_RIGHTS_ALL;
    atomic_store_explicit(&pages[i], state, memory_order_relaxed);
  }
}


int platform_memory_init(uint64_t size) {
  if (size < PLATFORM_MEMORY_SIZE_MIN || size > PLATFORM_MEMORY_SIZE_MAX ||
      size % PLATFORM_PAGE_2M_SIZE != 0)
    return UV_EINVAL;
  platform_memory_close();
  /* All of it is there from the start, as in a machine: a page fault of the
   * host's is not a time of the firmware's. */
  void* at = mmap(NULL, size, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (at == MAP_FAILED)
    return UV_ENOMEM;
  pages = calloc(size / PLATFORM_PAGE_SIZE, sizeof(pages[0]));
  if (pages == NULL) {
    munmap(at, size);
    return UV_ENOMEM;
  }
  memory = at;
  memory_size = size;
  pages_reset();
  return 0;
}


void platform_memory_close(void) {
  if (memory != NULL)
    munmap(memory, memory_size);
  free((void*) pages);
  memory = NULL;
  memory_size = 0;
  pages = NULL;
}


uint64_t platform_memory_size(void) {
  return memory_size;
}


uint64_t platform_validated_size(void) {
  return memory_size / 4 * 3 / PLATFORM_PAGE_2M_SIZE * PLATFORM_PAGE_2M_SIZE;
}


static bool memory_has(uint64_t gpa, uint64_t size) {
  return gpa < memory_size && size <= memory_size - gpa;
}


void* platform_memory(uint64_t gpa, uint64_t size) {
  return memory_has(gpa, size) ? memory + gpa : NULL;
}


static _Atomic uint32_t* page_at(uint64_t gpa) {
  return &pages[gpa / PLATFORM_PAGE_SIZE];
}


/* ---- Copies ---- */

bool platform_guest_has(uint64_t gpa, uint64_t size) {
  if (!memory_has(gpa, size))
    return false;
  for (uint64_t done = 0; done < size;) {
    uint32_t state =
        atomic_load_explicit(page_at(gpa + done), memory_order_relaxed);
    if ((state & (PAGE_ASSIGNED | PAGE_VALIDATED)) !=
        (PAGE_ASSIGNED | PAGE_VALIDATED))
      return false;
    done += PLATFORM_PAGE_SIZE - (gpa + done) % PLATFORM_PAGE_SIZE;
  }
  return true;
}


/* Eight bytes at a time where the shared side allows it, else one. */
int platform_guest_read(void* dst, uint64_t gpa, size_t size) {
  if (!platform_guest_has(gpa, size))
    return UV_EFAULT;

  const uint8_t* from = memory + gpa;
  uint8_t* to = dst;
  while (size > 0) {
    if (size >= 8 && (uintptr_t) from % 8 == 0) {
      uint64_t word =
          __atomic_load_n((const uint64_t*) (const void*) from,
                          __ATOMIC_RELAXED); /* shared with a guest */
      memcpy(to, &word, 8);
      from += 8;
      to += 8;
      size -= 8;
    } else {
      *to++ = __atomic_load_n(from++, __ATOMIC_RELAXED); /* shared */
      size--;
    }
  }
  return 0;
}


int platform_guest_write(uint64_t gpa, const void* src, size_t size) {
  if (!platform_guest_has(gpa, size))
    return UV_EFAULT;

  const uint8_t* from = src;
  uint8_t* to = memory + gpa;
  while (size > 0) {
    if (size >= 8 && (uintptr_t) to % 8 == 0) {
      uint64_t word;
      memcpy(&word, from, 8);
      __atomic_store_n((uint64_t*) (void*) to, word,
                       __ATOMIC_RELAXED); /* shared with a guest */
      from += 8;
      to += 8;
      size -= 8;
    } else {
      __atomic_store_n(to++, *from++, __ATOMIC_RELAXED); /* shared */
      size--;
    }
  }
  return 0;
}


int platform_guest_store_u8(uint64_t gpa, uint8_t value) {
  if (!platform_guest_has(gpa, 1))
    return UV_EFAULT;
  /* Release: the guest that sees it sees what we wrote before. */
  __atomic_store_n(memory + gpa, value, __ATOMIC_RELEASE);
  return 0;
}


int platform_page_clear(uint64_t gpa, size_t size) {
  if (gpa % 8 != 0 || size % 8 != 0 || !platform_guest_has(gpa, size))
    return UV_EFAULT;

  uint64_t* at = (uint64_t*) (void*) (memory + gpa);
  for (size_t i = 0; i < size / 8; i++)
    __atomic_store_n(&at[i], 0, __ATOMIC_RELAXED); /* shared with a guest */
  return 0;
}


bool platform_is_firmware(uint64_t gpa, uint64_t size) {
  if (gpa >= PLATFORM_FIRMWARE_GPA)
    return gpa - PLATFORM_FIRMWARE_GPA < PLATFORM_FIRMWARE_SIZE;
  return PLATFORM_FIRMWARE_GPA - gpa < size;
}


/* ---- The RMP ---- */

/* The 2 MiB page around `gpa` becomes 512 of 4 KiB. */
static void page_split(uint64_t gpa) {
  uint64_t first = gpa / PLATFORM_PAGE_2M_SIZE * PAGES_PER_2M;

  for (uint64_t i = first; i < first + PAGES_PER_2M; i++)
    atomic_fetch_and(&pages[i], ~PAGE_2M);
}


/* What is common to both instructions. */
static uint32_t page_operand_check(uint64_t gpa, bool is_2m) {
  uint64_t size = is_2m ? PLATFORM_PAGE_2M_SIZE : PLATFORM_PAGE_SIZE;

  if (!memory_has(gpa, size))
    return RMP_NO_PAGE;
  if (gpa % size != 0)
    return PLATFORM_RMP_FAIL_INPUT;
  uint32_t state = atomic_load(page_at(gpa));
  if ((state & PAGE_ASSIGNED) == 0)
    return RMP_NO_PAGE;
  if (is_2m && (state & PAGE_2M) == 0)
    return PLATFORM_RMP_FAIL_SIZEMISMATCH;
  if (!is_2m && (state & PAGE_2M) != 0)
    page_split(gpa);
  return PLATFORM_RMP_OK;
}


uint32_t platform_pvalidate(uint64_t gpa,
                            bool is_2m,
                            bool validate,
                            bool* unchanged) {
  uint32_t rmp = page_operand_check(gpa, is_2m);
  uint64_t first = gpa / PLATFORM_PAGE_SIZE;
  uint64_t count = is_2m ? PAGES_PER_2M : 1;

  *unchanged = false;
  if (rmp != PLATFORM_RMP_OK)
    return rmp;
  for (uint64_t i = first; i < first + count; i++) {
    uint32_t before = validate ? atomic_fetch_or(&pages[i], PAGE_VALIDATED)
                               : atomic_fetch_and(&pages[i], ~PAGE_VALIDATED);
    if (i == first)
      *unchanged = ((before & PAGE_VALIDATED) != 0) == validate;
  }
  return PLATFORM_RMP_OK;
}


/* One word's part of RMPADJUST. */
static uint32_t page_adjust(_Atomic uint32_t* page,
                            uint32_t vmpl,
                            uint32_t rights) {
  uint32_t state = atomic_load(page);
  uint32_t after;

  do {
    if ((state & PAGE_VALIDATED) == 0)
      return PLATFORM_RMP_FAIL_PERMISSION;
    if ((state & PAGE_IN_USE) != 0)
      return PLATFORM_RMP_FAIL_INUSE;
    after = state & ~(0xFu << PAGE_RIGHTS_SHIFT(vmpl)) & ~PAGE_VMSA;
    after |= (rights & PLATFORM_RIGHT_ALL) >> 8 << PAGE_RIGHTS_SHIFT(vmpl);
    if ((rights & PLATFORM_RIGHT_VMSA) != 0)
      after |= PAGE_VMSA;
  } while (!atomic_compare_exchange_weak(page, &state, after));
  return PLATFORM_RMP_OK;
}


uint32_t platform_rmpadjust(uint64_t gpa,
                            bool is_2m,
                            uint32_t vmpl,
                            uint32_t rights) {
  uint32_t rmp = page_operand_check(gpa, is_2m);
  uint64_t first = gpa / PLATFORM_PAGE_SIZE;
  uint64_t count = is_2m ? PAGES_PER_2M : 1;

  if (vmpl < 1 || vmpl > VMPL_LAST)
    return PLATFORM_RMP_FAIL_INPUT;
  if ((rights & PLATFORM_RIGHT_VMSA) != 0 && is_2m)
    return PLATFORM_RMP_FAIL_INPUT;
  for (uint64_t i = first; rmp == PLATFORM_RMP_OK && i < first + count; i++)
    rmp = page_adjust(&pages[i], vmpl, rights);
  return rmp;
}


/* ---- The processor and the host ---- */

bool platform_vmsa_take(uint64_t vmsa_gpa) {
  if (!memory_has(vmsa_gpa, PLATFORM_PAGE_SIZE))
    return false;
  uint32_t state = atomic_load(page_at(vmsa_gpa));
  uint32_t wanted = PAGE_ASSIGNED | PAGE_VALIDATED | PAGE_VMSA;

  do {
    if ((state & (wanted | PAGE_IN_USE)) != wanted)
      return false;
  } while (!atomic_compare_exchange_weak(page_at(vmsa_gpa), &state,
                                         state | PAGE_IN_USE));
  return true;
}


void platform_vmsa_give(uint64_t vmsa_gpa) {
  atomic_fetch_and(page_at(vmsa_gpa), ~PAGE_IN_USE);
}


void platform_vmsa_launch(uint64_t vmsa_gpa) {
  ASSERT(memory_has(vmsa_gpa, PLATFORM_PAGE_SIZE));

  page_split(vmsa_gpa);
  atomic_store(page_at(vmsa_gpa), PAGE_ASSIGNED | PAGE_VALIDATED | PAGE_VMSA);
}


void platform_host_split(uint64_t gpa) {
  ASSERT(memory_has(gpa, 1));
  page_split(gpa);
}


void platform_host_unassign(uint64_t gpa) {
  ASSERT(memory_has(gpa, 1));
  page_split(gpa);
  atomic_store(page_at(gpa), 0);
}


bool platform_is_validated(uint64_t gpa) {
  return memory_has(gpa, 1) && platform_guest_has(gpa, 1);
}


uint32_t platform_rights_of(uint64_t gpa, uint32_t vmpl) {
  ASSERT(vmpl >= 1);
  ASSERT(vmpl <= VMPL_LAST);
  if (!memory_has(gpa, 1))
    return 0;
  return (atomic_load(page_at(gpa)) >> PAGE_RIGHTS_SHIFT(vmpl) & 0xFu) << 8;
}

/*
 * handlers/core_page.c - PVALIDATE: the guest takes pages into use, or gives
 * them up (abi.md 1.6).
 *
 *   list: u16 entries, u16 next, u32 -, u64 entry[]
 *   entry: gfn << 12 | ignore CF << 3 | validate << 2 | is 2 MiB
 *
 * The promise: one round ends at its deadline, whatever the list says. The
 * unit of work is a piece: one page's state, or PIECE_SIZE bytes cleared; when
 * the next piece would not fit, the guest is told INCOMPLETE and comes again.
 * Progress between entries is `next`, in the guest's list; progress inside a
 * 2 MiB page is here, and the guest has no rights to that page until it is
 * clean all through.
 *
 * Trust: each entry is read once a round; `next` is believed as far as it is
 * in range, since a guest that skips entries only harms itself.
 */
#include "handlers/core.h"

#include "arch/arch.h"
#include "arch/platform.h"
#include "handlers/guest_mem.h"
#include "handlers/vcpu.h"

#define PIECE_SIZE                                          \
  (64u * 1024u) /* bytes cleared between looks at the clock \
                 */

#define LIST_ALIGN 8u
#define LIST_ENTRIES 8u /* offset of the first */
#define LIST_NEXT 2u    /* offset */

#define ENTRY_SIZE_MASK 0x3u
#define ENTRY_SIZE_4K 0u
#define ENTRY_SIZE_2M 1u
#define ENTRY_VALIDATE 0x4u
#define ENTRY_IGNORE_CF 0x8u
#define ENTRY_RSVD 0xFF0u
#define ENTRY_GFN (~(uint64_t) 0xFFF)

typedef struct pvalidate_list_wire_s {
  uint16_t entries;
  uint16_t next;
  uint32_t rsvd; /* Linux leaves it as it was: not looked at */
} pvalidate_list_wire_t;

_Static_assert(sizeof(pvalidate_list_wire_t) == LIST_ENTRIES, "no holes");

/* A page that is validated and not yet clean. One a vCPU. */
typedef struct page_rest_s {
  bool is_open;
  uint64_t list_gpa;
  uint64_t entry;
  uint16_t index;
  uint32_t cleared; /* bytes */
} page_rest_t;

static page_rest_t page_rests[VCPUS_MAX];

typedef struct page_entry_s {
  uint64_t wire;
  uint64_t gpa;
  uint32_t size; /* bytes; 0: not yet read */
  bool is_2m;
  bool validate;
  bool ignore_cf;
} page_entry_t;

static svsm_result_t page_entry_check(uint64_t wire, page_entry_t* entry) {
  uint64_t size = wire & ENTRY_SIZE_MASK;

  if (size != ENTRY_SIZE_4K && size != ENTRY_SIZE_2M)
    return SVSM_INVALID_PARAMETER;
  if ((wire & ENTRY_RSVD) != 0)
    return SVSM_INVALID_PARAMETER;
  *entry = (page_entry_t){
      .wire = wire,
      .gpa = wire & ENTRY_GFN,
      .is_2m = size == ENTRY_SIZE_2M,
      .size =
          size == ENTRY_SIZE_2M ? PLATFORM_PAGE_2M_SIZE : PLATFORM_PAGE_SIZE,
      .validate = (wire & ENTRY_VALIDATE) != 0,
      .ignore_cf = (wire & ENTRY_IGNORE_CF) != 0,
  };
  return guest_mem_check(entry->gpa, entry->size, entry->size, 0);
}


/* Rights of all guest levels from the most privileged on. A page that isn't
 * validated has none to lose. */
static uint32_t page_rights(const page_entry_t* entry,
                            uint32_t vmpl_last,
                            uint32_t rights) {
  for (uint32_t vmpl = 1; vmpl <= vmpl_last; vmpl++) {
    uint32_t rmp = platform_rmpadjust(entry->gpa, entry->is_2m, vmpl, rights);
    if (rmp != PLATFORM_RMP_OK)
      return rmp;
  }
  return PLATFORM_RMP_OK;
}


/* The wire result for what PVALIDATE answered. */
static uint64_t page_result(const page_entry_t* entry,
                            uint32_t rmp,
                            bool unchanged) {
  if (rmp > 0xF) /* no page at all: as a fault */
    return svsm_result_wire(SVSM_INVALID_ADDRESS);
  if (rmp != PLATFORM_RMP_OK)
    return svsm_result_rmp(rmp);
  if (unchanged && !entry->ignore_cf)
    return svsm_result_wire(SVSM_RMP_UNCHANGED);
  return svsm_result_wire(SVSM_SUCCESS);
}


/* Change the page's state; what is left of a validated one is clearing it. */
static uint64_t page_entry_begin(const page_entry_t* entry) {
  bool unchanged = false;

  if (!entry->validate) {
    uint32_t rmp = page_rights(entry, 3, 0);
    if (rmp == PLATFORM_RMP_FAIL_SIZEMISMATCH)
      return svsm_result_rmp(rmp);
    MAYBE(rmp != PLATFORM_RMP_OK); /* not validated: PVALIDATE will say so */
  }
  uint32_t rmp =
      platform_pvalidate(entry->gpa, entry->is_2m, entry->validate, &unchanged);
  return page_result(entry, rmp, unchanged);
}


/* Clear one piece; true if the page is clean. */
static bool page_clear_piece(const page_entry_t* entry,
                             page_rest_t* rest,
                             uint64_t* result) {
  uint32_t size = entry->size - rest->cleared;

  if (size > PIECE_SIZE)
    size = PIECE_SIZE;
  *result = svsm_result_wire(SVSM_SUCCESS);
  if (platform_page_clear(entry->gpa + rest->cleared, size) != 0) {
    /* Somebody invalidated it again meanwhile: it is not ours to finish. */
    *result = svsm_result_wire(SVSM_INVALID_ADDRESS);
    return true;
  }
  rest->cleared += size;
  return rest->cleared == entry->size;
}


static svsm_result_t page_entry_read(const svsm_call_t* call,
                                     uint16_t index,
                                     page_entry_t* entry) {
  uint64_t wire;
  svsm_result_t result =
      guest_mem_read(&wire, call->in.rcx + LIST_ENTRIES + sizeof(wire) * index,
                     sizeof(wire), GUEST_MEM_CAA_OK);

  return result == SVSM_SUCCESS ? page_entry_check(wire, entry) : result;
}


/*
 * One piece of the entry number `index` of the list, which is read into
 * `entry` if that is empty. Returns true when the entry is over, well or not.
 */
static bool page_piece(const svsm_call_t* call,
                       uint16_t index,
                       page_entry_t* entry,
                       page_rest_t* rest,
                       uint64_t* result) {
  if (entry->size == 0) {
    svsm_result_t checked = page_entry_read(call, index, entry);
    *result = svsm_result_wire(checked);
    if (checked != SVSM_SUCCESS)
      return true;
  }
  bool same = rest->is_open && rest->list_gpa == call->in.rcx &&
              rest->entry == entry->wire && rest->index == index;
  if (!same) {
    rest->is_open = false;
    *result = page_entry_begin(entry);
    if (*result != 0 || !entry->validate)
      return true;
    *rest = (page_rest_t){
        .is_open = true,
        .list_gpa = call->in.rcx,
        .entry = entry->wire,
        .index = index,
    };
  }
  if (!page_clear_piece(entry, rest, result))
    return false;
  rest->is_open = false;
  if (*result == 0)
    *result =
        svsm_result_rmp(page_rights(entry, call->vmpl, PLATFORM_RIGHT_ALL));
  return true;
}


static svsm_result_t page_list_check(const svsm_call_t* call,
                                     pvalidate_list_wire_t* list) {
  uint64_t gpa = call->in.rcx;
  svsm_result_t result =
      guest_mem_check(gpa, LIST_ENTRIES, LIST_ALIGN, GUEST_MEM_CAA_OK);

  if (result == SVSM_SUCCESS)
    result = guest_mem_read(list, gpa, sizeof(*list), GUEST_MEM_CAA_OK);
  if (result != SVSM_SUCCESS)
    return result;
  if (list->entries == 0 || list->next >= list->entries)
    return SVSM_INVALID_PARAMETER;
  return guest_mem_check(gpa, LIST_ENTRIES + sizeof(uint64_t) * list->entries,
                         LIST_ALIGN, GUEST_MEM_CAA_OK | GUEST_MEM_ONE_PAGE);
}


void core_page_forget(uint32_t vcpu_index) {
  ASSERT(vcpu_index < VCPUS_MAX);
  page_rests[vcpu_index].is_open = false;
}


void core_page_validate(svsm_call_t* call) {
  pvalidate_list_wire_t list;
  page_rest_t* rest = &page_rests[call->vcpu_index];
  uint64_t result = svsm_result_wire(page_list_check(call, &list));
  uint64_t now_ns = arch_clock_ns();
  uint64_t piece_ns = 0; /* the longest so far */

  if (result != 0) {
    svsm_call_finish(call, result);
    return;
  }
  page_entry_t entry = {0};
  uint16_t next = list.next;
  while (next < list.entries) {
    if (piece_ns != 0 && now_ns + piece_ns >= call->deadline_ns) {
      result = svsm_result_wire(SVSM_INCOMPLETE);
      break;
    }
    bool over = page_piece(call, next, &entry, rest, &result);
    uint64_t then_ns = now_ns;
    now_ns = arch_clock_ns();
    if (now_ns - then_ns >= piece_ns)
      piece_ns = now_ns - then_ns + 1; /* never 0: one piece has been done */
    if (result != 0)
      break;
    if (over) {
      next++;
      entry.size = 0;
    }
  }
  if (next != list.next &&
      guest_mem_write(call->in.rcx + LIST_NEXT, &next, sizeof(next),
                      GUEST_MEM_CAA_OK) != SVSM_SUCCESS)
    result = svsm_result_wire(SVSM_INVALID_ADDRESS);
  svsm_call_finish(call, result);
}

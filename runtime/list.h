/*
 * runtime/list.h - circular doubly linked lists with the head as a sentinel.
 *
 *   head <-> first <-> ... <-> last <-> head
 *
 * An element can leave without knowing its list. Nothing here allocates, and
 * nothing here may be used by two CPUs at once.
 */
#ifndef EVSM_RUNTIME_LIST_H
#define EVSM_RUNTIME_LIST_H

#include "runtime/base.h"
#include "runtime/uv.h"

static inline void uv__list_init(uv__link_t* head) {
  head->next = head;
  head->prev = head;
}


static inline bool uv__list_empty(const uv__link_t* head) {
  return head->next == head;
}


/* Put `link` right after `place`: first, if that is the head. */
static inline void uv__list_insert(uv__link_t* place, uv__link_t* link) {
  link->next = place->next;
  link->prev = place;
  place->next->prev = link;
  place->next = link;
}


/* Put `link` last. As an insert after the last one, whose `next` is known. */
static inline void uv__list_append(uv__link_t* head, uv__link_t* link) {
  link->next = head;
  link->prev = head->prev;
  head->prev->next = link;
  head->prev = link;
}


static inline void uv__list_remove(uv__link_t* link) {
  link->next->prev = link->prev;
  link->prev->next = link->next;
}


/* Take the first out; NULL if there is none. */
static inline uv__link_t* uv__list_shift(uv__link_t* head) {
  uv__link_t* link = head->next;

  if (link == head)
    return NULL;
  uv__list_remove(link);
  return link;
}


/* Move everything from `from` to `to`, which holds nothing before. */
static inline void uv__list_move(uv__link_t* from, uv__link_t* to) {
  if (uv__list_empty(from)) {
    uv__list_init(to);
    return;
  }
  *to = *from;
  to->next->prev = to;
  to->prev->next = to;
  uv__list_init(from);
}

#endif /* EVSM_RUNTIME_LIST_H */

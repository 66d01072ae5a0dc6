/*
 * runtime/handle.c - what all handles have in common, and requests' accessors.
 *
 *   init -> [start <-> stop] -> uv_close -> (closing phase) -> close callback
 *
 * The promise: a handle stays in its loop's list from init until just before
 * its close callback, in order of init. Closing handles finish newest first;
 * what a close callback closes finishes in the next iteration.
 *
 * An active handle counts for its loop's life while it is referenced, so each
 * of start, stop, ref and unref must change the count exactly when both become
 * true or cease to be. A closing handle is at rest already: ref and unref then
 * only set the flag.
 *
 * Not here: what the types do when closed (each in its file).
 */
#include "runtime/internal.h"

void uv_close(uv_handle_t* handle, uv_close_cb close_cb) {
  ASSERT((handle->flags & (UV__CLOSING | UV__CLOSED)) == 0);

  handle->flags |= UV__CLOSING;
  handle->close_cb = close_cb;
  switch ((int) handle->type) { /* int: UV__IRQ is none of libuv's */
    case UV_TIMER:
      uv__timer_close((uv_timer_t*) handle);
      break;
    case UV_PREPARE:
      uv__prepare_close((uv_prepare_t*) handle);
      break;
    case UV_CHECK:
      uv__check_close((uv_check_t*) handle);
      break;
    case UV_IDLE:
      uv__idle_close((uv_idle_t*) handle);
      break;
    case UV_ASYNC:
      uv__async_close((uv_async_t*) handle);
      break;
    case (int) UV__IRQ:
      uv__irq_close((uvx_irq_t*) handle);
      break;
    default:
      ASSERT(false);
  }

  handle->next_closing = handle->loop->closing_handles;
  handle->loop->closing_handles = handle;
}


void uv__handles_finish(uv_loop_t* loop) {
  uv_handle_t* handle = loop->closing_handles;

  loop->closing_handles = NULL; /* later ones wait for the next iteration */
  while (handle != NULL) {
    uv_handle_t* next = handle->next_closing;
    __builtin_prefetch(next, 1); /* a crowd closed: each is a cache miss */

    ASSERT((handle->flags & UV__CLOSING) != 0);
    ASSERT((handle->flags & UV__ACTIVE) == 0);
    handle->flags |= UV__CLOSED;
    handle->flags &= ~UV__REF;
    uv__list_remove(&handle->handle_queue);
    if (handle->close_cb != NULL)
      handle->close_cb(handle); /* last: the memory may be gone */
    handle = next;
  }
}


void uv_walk(uv_loop_t* loop, uv_walk_cb walk_cb, void* arg) {
  uv__link_t ahead;
  uv__link_t* link;

  /* Those to be visited are set aside and come back one by one, so that new
   * ones, which join the loop's list meanwhile, are not visited. */
  uv__list_move(&loop->handle_queue, &ahead);
  while ((link = uv__list_shift(&ahead)) != NULL) {
    uv__list_append(&loop->handle_queue, link);
    walk_cb(container_of(link, uv_handle_t, handle_queue), arg);
  }
}


void uv_ref(uv_handle_t* handle) {
  if ((handle->flags & UV__REF) != 0)
    return;
  handle->flags |= UV__REF;
  if ((handle->flags & (UV__CLOSING | UV__ACTIVE)) == UV__ACTIVE)
    handle->loop->active_handles++;
}


void uv_unref(uv_handle_t* handle) {
  if ((handle->flags & UV__REF) == 0)
    return;
  handle->flags &= ~UV__REF;
  if ((handle->flags & (UV__CLOSING | UV__ACTIVE)) == UV__ACTIVE)
    handle->loop->active_handles--;
}


int uv_has_ref(const uv_handle_t* handle) {
  return (handle->flags & UV__REF) != 0;
}


int uv_is_active(const uv_handle_t* handle) {
  return (handle->flags & UV__ACTIVE) != 0;
}


int uv_is_closing(const uv_handle_t* handle) {
  return (handle->flags & (UV__CLOSING | UV__CLOSED)) != 0;
}


/* ---- Accessors ---- */

size_t uv_handle_size(uv_handle_type type) {
  switch ((int) type) {
    case UV_ASYNC:
      return sizeof(uv_async_t);
    case UV_CHECK:
      return sizeof(uv_check_t);
    case UV_HANDLE:
      return sizeof(uv_handle_t);
    case UV_IDLE:
      return sizeof(uv_idle_t);
    case UV_PREPARE:
      return sizeof(uv_prepare_t);
    case UV_TIMER:
      return sizeof(uv_timer_t);
    default:
      return (size_t) -1;
  }
}


const char* uv_handle_type_name(uv_handle_type type) {
  switch ((int) type) { /* int: any number may come */
#define XX(upper, lower) \
  case UV_##upper:       \
    return #lower;
    UV_HANDLE_TYPE_MAP(XX)
#undef XX
    case UV_FILE:
      return "file";
    default:
      return NULL;
  }
}


uv_handle_type uv_handle_get_type(const uv_handle_t* handle) {
  return handle->type;
}


void* uv_handle_get_data(const uv_handle_t* handle) {
  return handle->data;
}


void uv_handle_set_data(uv_handle_t* handle, void* data) {
  handle->data = data;
}


uv_loop_t* uv_handle_get_loop(const uv_handle_t* handle) {
  return handle->loop;
}


size_t uv_req_size(uv_req_type type) {
  switch ((int) type) {
    case UV_REQ:
      return sizeof(uv_req_t);
    case UV_WORK:
      return sizeof(uv_work_t);
    case UV_RANDOM:
      return sizeof(uv_random_t);
    default:
      return (size_t) -1;
  }
}


const char* uv_req_type_name(uv_req_type type) {
  switch ((int) type) { /* int: any number may come */
#define XX(upper, lower) \
  case UV_##upper:       \
    return #lower;
    UV_REQ_TYPE_MAP(XX)
#undef XX
    default:
      return NULL;
  }
}


uv_req_type uv_req_get_type(const uv_req_t* req) {
  return req->type;
}


void* uv_req_get_data(const uv_req_t* req) {
  return req->data;
}


void uv_req_set_data(uv_req_t* req, void* data) {
  req->data = data;
}

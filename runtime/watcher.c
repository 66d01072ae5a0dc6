/*
 * runtime/watcher.c - prepare, check and idle handles: once an iteration.
 *
 *   list -> newest start -> ... -> oldest start
 *                           ^ next: what the walk visits after this callback
 *
 * The promise: each handle that was active when its phase began, and still is
 * when its turn comes, runs once. A start puts it first, behind the walk, so
 * it runs from the next iteration on; a stop of the one to be visited next
 * moves `next` along. The walk itself writes to no handle.
 *
 * The three types differ in name only and share all code through the macro at
 * the end.
 */
#include "runtime/internal.h"

static void uv__watchers_start(uv__watchers_t* watchers, uv__link_t* link) {
  uv__list_insert(&watchers->list, link);
}


static void uv__watchers_stop(uv__watchers_t* watchers, uv__link_t* link) {
  if (watchers->next == link)
    watchers->next = link->next;
  uv__list_remove(link);
}


void uv__watchers_init(uv_loop_t* loop) {
  uv__list_init(&loop->prepare.list);
  uv__list_init(&loop->check.list);
  uv__list_init(&loop->idle.list);
}


/* clang-format off */
#define UV__WATCHER(name, NAME)                                               \
  int uv_##name##_init(uv_loop_t* loop, uv_##name##_t* handle) {              \
    uv__handle_init(loop, (uv_handle_t*) handle, UV_##NAME);                  \
    handle->name##_cb = NULL;                                                 \
    return 0;                                                                 \
  }                                                                           \
                                                                              \
                                                                              \
  int uv_##name##_start(uv_##name##_t* handle, uv_##name##_cb cb) {           \
    if ((handle->flags & UV__ACTIVE) != 0)                                    \
      return 0;                                                               \
    if (cb == NULL)                                                           \
      return UV_EINVAL;                                                       \
    handle->name##_cb = cb;                                                   \
    uv__watchers_start(&handle->loop->name, &handle->link);                   \
    uv__handle_start((uv_handle_t*) handle);                                  \
    return 0;                                                                 \
  }                                                                           \
                                                                              \
                                                                              \
  int uv_##name##_stop(uv_##name##_t* handle) {                               \
    if ((handle->flags & UV__ACTIVE) == 0)                                    \
      return 0;                                                               \
    uv__watchers_stop(&handle->loop->name, &handle->link);                    \
    uv__handle_stop((uv_handle_t*) handle);                                   \
    return 0;                                                                 \
  }                                                                           \
                                                                              \
                                                                              \
  void uv__##name##_close(uv_##name##_t* handle) {                            \
    uv_##name##_stop(handle);                                                 \
  }                                                                           \
                                                                              \
                                                                              \
  void uv__##name##_run(uv_loop_t* loop) {                                    \
    uv__watchers_t* watchers = &loop->name;                                   \
    uv__link_t* link = watchers->list.next;                                   \
                                                                              \
    while (link != &watchers->list) {                                         \
      uv_##name##_t* handle = container_of(link, uv_##name##_t, link);        \
                                                                              \
      watchers->next = link->next;                                            \
      handle->name##_cb(handle);                                              \
      link = watchers->next;                                                  \
    }                                                                         \
    watchers->next = NULL;                                                    \
  }
/* clang-format on */

UV__WATCHER(prepare, PREPARE)
UV__WATCHER(check, CHECK)
UV__WATCHER(idle, IDLE)

/*
 * runtime/uv.h - an event loop with libuv's API: a subset of libuv 1.44.2.
 *
 *    +-> timers -> pending -> idle -> prepare -> poll -> check -> closing -+
 *    +---------------------------------------------------------------------+
 *
 * The promise: a program that uses only what stands here compiles against
 * libuv's own uv.h or against this one and behaves the same: names, numbers,
 * order of callbacks, lifetimes, errors. There are no streams, files, signals
 * or threads here.
 *
 * The caller owns all memory. A handle is the loop's from its _init until its
 * close callback, a request from a return of 0 until its callback. Only fields
 * marked public may be touched. No function calls a callback of the caller's
 * but uv_run() and uv_walk(), and none allocates.
 *
 * Of the compiler's headers only freestanding ones are included, so that this
 * file serves C11, C++ and firmware; what else a program needs (<stdio.h>,
 * <pthread.h>) it includes itself, which libuv's own uv.h would do for it.
 *
 * Context words, [loop] and [any]: runtime/uvx.h. Where nothing is said, a
 * function is for [loop]: the thread or CPU that runs the handle's loop.
 */
#ifndef EVSM_RUNTIME_UV_H
#define EVSM_RUNTIME_UV_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define UV_EXTERN __attribute__((visibility("default")))
#else
#define UV_EXTERN
#endif

/* ---- Version: of the libuv whose behaviour this is ---- */

#define UV_VERSION_MAJOR 1
#define UV_VERSION_MINOR 44
#define UV_VERSION_PATCH 2
#define UV_VERSION_IS_RELEASE 1
#define UV_VERSION_SUFFIX ""
#define UV_VERSION_HEX \
  ((UV_VERSION_MAJOR << 16) | (UV_VERSION_MINOR << 8) | UV_VERSION_PATCH)

/* UV_VERSION_HEX as compiled into the library. Context: [any]. */
UV_EXTERN unsigned int uv_version(void);

/* "1.44.2". Context: [any]. */
UV_EXTERN const char* uv_version_string(void);

/* ---- Errors: 0 or one of these, Linux's numbers on every machine ---- */

/* clang-format off */
#define UV_ERRNO_MAP(XX)                                                      \
  XX(E2BIG, "argument list too long")                                         \
  XX(EACCES, "permission denied")                                             \
  XX(EADDRINUSE, "address already in use")                                    \
  XX(EADDRNOTAVAIL, "address not available")                                  \
  XX(EAFNOSUPPORT, "address family not supported")                            \
  XX(EAGAIN, "resource temporarily unavailable")                              \
  XX(EAI_ADDRFAMILY, "address family not supported")                          \
  XX(EAI_AGAIN, "temporary failure")                                          \
  XX(EAI_BADFLAGS, "bad ai_flags value")                                      \
  XX(EAI_BADHINTS, "invalid value for hints")                                 \
  XX(EAI_CANCELED, "request canceled")                                        \
  XX(EAI_FAIL, "permanent failure")                                           \
  XX(EAI_FAMILY, "ai_family not supported")                                   \
  XX(EAI_MEMORY, "out of memory")                                             \
  XX(EAI_NODATA, "no address")                                                \
  XX(EAI_NONAME, "unknown node or service")                                   \
  XX(EAI_OVERFLOW, "argument buffer overflow")                                \
  XX(EAI_PROTOCOL, "resolved protocol is unknown")                            \
  XX(EAI_SERVICE, "service not available for socket type")                    \
  XX(EAI_SOCKTYPE, "socket type not supported")                               \
  XX(EALREADY, "connection already in progress")                              \
  XX(EBADF, "bad file descriptor")                                            \
  XX(EBUSY, "resource busy or locked")                                        \
  XX(ECANCELED, "operation canceled")                                         \
  XX(ECHARSET, "invalid Unicode character")                                   \
  XX(ECONNABORTED, "software caused connection abort")                        \
  XX(ECONNREFUSED, "connection refused")                                      \
  XX(ECONNRESET, "connection reset by peer")                                  \
  XX(EDESTADDRREQ, "destination address required")                            \
  XX(EEXIST, "file already exists")                                           \
  XX(EFAULT, "bad address in system call argument")                           \
  XX(EFBIG, "file too large")                                                 \
  XX(EHOSTUNREACH, "host is unreachable")                                     \
  XX(EINTR, "interrupted system call")                                        \
  XX(EINVAL, "invalid argument")                                              \
  XX(EIO, "i/o error")                                                        \
  XX(EISCONN, "socket is already connected")                                  \
  XX(EISDIR, "illegal operation on a directory")                              \
  XX(ELOOP, "too many symbolic links encountered")                            \
  XX(EMFILE, "too many open files")                                           \
  XX(EMSGSIZE, "message too long")                                            \
  XX(ENAMETOOLONG, "name too long")                                           \
  XX(ENETDOWN, "network is down")                                             \
  XX(ENETUNREACH, "network is unreachable")                                   \
  XX(ENFILE, "file table overflow")                                           \
  XX(ENOBUFS, "no buffer space available")                                    \
  XX(ENODEV, "no such device")                                                \
  XX(ENOENT, "no such file or directory")                                     \
  XX(ENOMEM, "not enough memory")                                             \
  XX(ENONET, "machine is not on the network")                                 \
  XX(ENOPROTOOPT, "protocol not available")                                   \
  XX(ENOSPC, "no space left on device")                                       \
  XX(ENOSYS, "function not implemented")                                      \
  XX(ENOTCONN, "socket is not connected")                                     \
  XX(ENOTDIR, "not a directory")                                              \
  XX(ENOTEMPTY, "directory not empty")                                        \
  XX(ENOTSOCK, "socket operation on non-socket")                              \
  XX(ENOTSUP, "operation not supported on socket")                            \
  XX(EOVERFLOW, "value too large for defined data type")                      \
  XX(EPERM, "operation not permitted")                                        \
  XX(EPIPE, "broken pipe")                                                    \
  XX(EPROTO, "protocol error")                                                \
  XX(EPROTONOSUPPORT, "protocol not supported")                               \
  XX(EPROTOTYPE, "protocol wrong type for socket")                            \
  XX(ERANGE, "result too large")                                              \
  XX(EROFS, "read-only file system")                                          \
  XX(ESHUTDOWN, "cannot send after transport endpoint shutdown")              \
  XX(ESPIPE, "invalid seek")                                                  \
  XX(ESRCH, "no such process")                                                \
  XX(ETIMEDOUT, "connection timed out")                                       \
  XX(ETXTBSY, "text file is busy")                                            \
  XX(EXDEV, "cross-device link not permitted")                                \
  XX(UNKNOWN, "unknown error")                                                \
  XX(EOF, "end of file")                                                      \
  XX(ENXIO, "no such device or address")                                      \
  XX(EMLINK, "too many links")                                                \
  XX(EHOSTDOWN, "host is down")                                               \
  XX(EREMOTEIO, "remote I/O error")                                           \
  XX(ENOTTY, "inappropriate ioctl for device")                                \
  XX(EFTYPE, "inappropriate file type or format")                             \
  XX(EILSEQ, "illegal byte sequence")                                         \
  XX(ESOCKTNOSUPPORT, "socket type not supported")

typedef enum {
  UV_E2BIG = -7, UV_EACCES = -13, UV_EADDRINUSE = -98, UV_EADDRNOTAVAIL = -99,
  UV_EAFNOSUPPORT = -97, UV_EAGAIN = -11, UV_EAI_ADDRFAMILY = -3000,
  UV_EAI_AGAIN = -3001, UV_EAI_BADFLAGS = -3002, UV_EAI_BADHINTS = -3013,
  UV_EAI_CANCELED = -3003, UV_EAI_FAIL = -3004, UV_EAI_FAMILY = -3005,
  UV_EAI_MEMORY = -3006, UV_EAI_NODATA = -3007, UV_EAI_NONAME = -3008,
  UV_EAI_OVERFLOW = -3009, UV_EAI_PROTOCOL = -3014, UV_EAI_SERVICE = -3010,
  UV_EAI_SOCKTYPE = -3011, UV_EALREADY = -114, UV_EBADF = -9, UV_EBUSY = -16,
  UV_ECANCELED = -125, UV_ECHARSET = -4080, UV_ECONNABORTED = -103,
  UV_ECONNREFUSED = -111, UV_ECONNRESET = -104, UV_EDESTADDRREQ = -89,
  UV_EEXIST = -17, UV_EFAULT = -14, UV_EFBIG = -27, UV_EHOSTUNREACH = -113,
  UV_EINTR = -4, UV_EINVAL = -22, UV_EIO = -5, UV_EISCONN = -106,
  UV_EISDIR = -21, UV_ELOOP = -40, UV_EMFILE = -24, UV_EMSGSIZE = -90,
  UV_ENAMETOOLONG = -36, UV_ENETDOWN = -100, UV_ENETUNREACH = -101,
  UV_ENFILE = -23, UV_ENOBUFS = -105, UV_ENODEV = -19, UV_ENOENT = -2,
  UV_ENOMEM = -12, UV_ENONET = -64, UV_ENOPROTOOPT = -92, UV_ENOSPC = -28,
  UV_ENOSYS = -38, UV_ENOTCONN = -107, UV_ENOTDIR = -20, UV_ENOTEMPTY = -39,
  UV_ENOTSOCK = -88, UV_ENOTSUP = -95, UV_EOVERFLOW = -75, UV_EPERM = -1,
  UV_EPIPE = -32, UV_EPROTO = -71, UV_EPROTONOSUPPORT = -93,
  UV_EPROTOTYPE = -91, UV_ERANGE = -34, UV_EROFS = -30, UV_ESHUTDOWN = -108,
  UV_ESPIPE = -29, UV_ESRCH = -3, UV_ETIMEDOUT = -110, UV_ETXTBSY = -26,
  UV_EXDEV = -18, UV_UNKNOWN = -4094, UV_EOF = -4095, UV_ENXIO = -6,
  UV_EMLINK = -31, UV_EHOSTDOWN = -112, UV_EREMOTEIO = -121, UV_ENOTTY = -25,
  UV_EFTYPE = -4028, UV_EILSEQ = -84, UV_ESOCKTNOSUPPORT = -94,
  UV_ERRNO_MAX = UV_EOF - 1
} uv_errno_t;
/* clang-format on */

/*
 * The message, or the name, of an error code.
 *
 * Context:  [any].
 * Memory:   static. For a code not in the table it is one of 16 buffers that
 *           later such calls reuse in turn; the _r forms have no such limit.
 */
UV_EXTERN const char* uv_strerror(int err);
UV_EXTERN const char* uv_err_name(int err);

/* The same, cut to fit `buf` of `buflen` bytes, NUL included. Returns buf. */
UV_EXTERN char* uv_strerror_r(int err, char* buf, size_t buflen);
UV_EXTERN char* uv_err_name_r(int err, char* buf, size_t buflen);

/* ---- Types: all of libuv's names keep their numbers ---- */

/* clang-format off */
#define UV_HANDLE_TYPE_MAP(XX)                                                \
  XX(ASYNC, async)                                                            \
  XX(CHECK, check)                                                            \
  XX(FS_EVENT, fs_event)                                                      \
  XX(FS_POLL, fs_poll)                                                        \
  XX(HANDLE, handle)                                                          \
  XX(IDLE, idle)                                                              \
  XX(NAMED_PIPE, pipe)                                                        \
  XX(POLL, poll)                                                              \
  XX(PREPARE, prepare)                                                        \
  XX(PROCESS, process)                                                        \
  XX(STREAM, stream)                                                          \
  XX(TCP, tcp)                                                                \
  XX(TIMER, timer)                                                            \
  XX(TTY, tty)                                                                \
  XX(UDP, udp)                                                                \
  XX(SIGNAL, signal)

#define UV_REQ_TYPE_MAP(XX)                                                   \
  XX(REQ, req)                                                                \
  XX(CONNECT, connect)                                                        \
  XX(WRITE, write)                                                            \
  XX(SHUTDOWN, shutdown)                                                      \
  XX(UDP_SEND, udp_send)                                                      \
  XX(FS, fs)                                                                  \
  XX(WORK, work)                                                              \
  XX(GETADDRINFO, getaddrinfo)                                                \
  XX(GETNAMEINFO, getnameinfo)                                                \
  XX(RANDOM, random)

typedef enum {
  UV_UNKNOWN_HANDLE = 0,
#define XX(upper, lower) UV_##upper,
  UV_HANDLE_TYPE_MAP(XX)
#undef XX
  UV_FILE,
  UV_HANDLE_TYPE_MAX
} uv_handle_type;

typedef enum {
  UV_UNKNOWN_REQ = 0,
#define XX(upper, lower) UV_##upper,
  UV_REQ_TYPE_MAP(XX)
#undef XX
  UV_REQ_TYPE_MAX
} uv_req_type;
/* clang-format on */

typedef enum { UV_LOOP_BLOCK_SIGNAL = 0, UV_METRICS_IDLE_TIME } uv_loop_option;

typedef enum { UV_RUN_DEFAULT = 0, UV_RUN_ONCE, UV_RUN_NOWAIT } uv_run_mode;

typedef struct uv_loop_s uv_loop_t;
typedef struct uv_handle_s uv_handle_t;
typedef struct uv_timer_s uv_timer_t;
typedef struct uv_prepare_s uv_prepare_t;
typedef struct uv_check_s uv_check_t;
typedef struct uv_idle_s uv_idle_t;
typedef struct uv_async_s uv_async_t;

typedef struct uv_req_s uv_req_t;
typedef struct uv_work_s uv_work_t;
typedef struct uv_random_s uv_random_t;

typedef void (*uv_close_cb)(uv_handle_t* handle);
typedef void (*uv_timer_cb)(uv_timer_t* handle);
typedef void (*uv_async_cb)(uv_async_t* handle);
typedef void (*uv_prepare_cb)(uv_prepare_t* handle);
typedef void (*uv_check_cb)(uv_check_t* handle);
typedef void (*uv_idle_cb)(uv_idle_t* handle);
typedef void (*uv_walk_cb)(uv_handle_t* handle, void* arg);
typedef void (*uv_work_cb)(uv_work_t* req);
typedef void (*uv_after_work_cb)(uv_work_t* req, int status);
typedef void (*uv_random_cb)(uv_random_t* req,
                             int status,
                             void* buf,
                             size_t buflen);

/* Private: a place in a circular doubly linked list, or the list itself. */
typedef struct uv__link_s uv__link_t;
struct uv__link_s {
  uv__link_t* next;
  uv__link_t* prev;
};

/* Private: what another thread leaves for a loop (runtime/internal.h). */
typedef struct uv__note_s uv__note_t;
struct uv__note_s {
  uv__link_t link;
  void (*run)(uv__note_t* note);
};

/* ---- Loop ---- */

/* Private: a list of handles that may change while it is walked. */
typedef struct {
  uv__link_t list;
  uv__link_t* next; /* what the walk visits next; NULL outside of a walk */
} uv__watchers_t;

#define UV__WHEEL_LEVELS 11 /* 6 bits each: all 64 bits of a time in ms */
#define UV__WHEEL_SLOTS 64

/* Private: the timers of a loop (runtime/timer.c). */
typedef struct {
  uint64_t now;   /* ms: all timers before it have been taken */
  uint64_t first; /* ms: when the first is due, if `first_known` */
  unsigned int first_known;
  unsigned int levels;             /* bit L: level L has a timer */
  uint64_t used[UV__WHEEL_LEVELS]; /* bit S: slot S has a timer */
  uv__link_t slots[UV__WHEEL_LEVELS][UV__WHEEL_SLOTS];
} uv__wheel_t;

struct uv_loop_s {
  /* public */
  void* data;
  /* read-only */
  unsigned int active_handles; /* that are active and referenced */
  unsigned int stop_flag;
  union {
    void* unused;
    unsigned int count;
  } active_reqs;

  /* private */
  unsigned int flags;
  uint64_t time;    /* ms: uv_now() */
  uint64_t time_ns; /* the clock when `time` was read */
  uv__link_t handle_queue;
  uv_handle_t* closing_handles;
  uv__watchers_t prepare;
  uv__watchers_t check;
  uv__watchers_t idle;
  uv__link_t notes;         /* taken from the inbox, in order of posting */
  uv__link_t asyncs_due;    /* to be called in this pass, by their rank */
  uv__link_t asyncs_late;   /* the same, in any order, for the next poll */
  uv__link_t asyncs;        /* all of this loop's */
  uv__link_t* async_cursor; /* where a new one goes; NULL: last */
  uv__link_t* async_place;  /* where the next one taken goes */
  uint64_t shared[32];      /* what other threads touch: uv__shared_t */
  uv__wheel_t wheel;        /* last, for it is large */
};

/*
 * Make a loop ready. `loop->data` is kept.
 *
 * Context:  the thread or CPU that will run it; may be another thread if it is
 *           handed over before uv_run().
 * Returns:  0.
 */
UV_EXTERN int uv_loop_init(uv_loop_t* loop);

/*
 * Take a loop out of service. Its memory is the caller's again.
 *
 * Returns:  0, or UV_EBUSY: some handle is not closed yet (its close callback
 *           has not run), or some request is under way.
 */
UV_EXTERN int uv_loop_close(uv_loop_t* loop);

/* The loop that is always there; made ready by the first call. NULL if it
 * can't be. Context: [any], but the first call only from one thread. */
UV_EXTERN uv_loop_t* uv_default_loop(void);

UV_EXTERN size_t uv_loop_size(void);
UV_EXTERN void* uv_loop_get_data(const uv_loop_t* loop);
UV_EXTERN void uv_loop_set_data(uv_loop_t* loop, void* data);

/*
 * UV_METRICS_IDLE_TIME: measure the time spent waiting, from now on.
 * UV_LOOP_BLOCK_SIGNAL: takes SIGPROF only, and needs do nothing: the wait of
 * this loop goes on after any signal.
 *
 * Returns:  0; UV_EINVAL for another signal; UV_ENOSYS for another option.
 */
UV_EXTERN int uv_loop_configure(uv_loop_t* loop, uv_loop_option option, ...);

/* Nonzero if there are active referenced handles, requests, or closing
 * handles. */
UV_EXTERN int uv_loop_alive(const uv_loop_t* loop);

/*
 * Run the loop.
 *
 *   UV_RUN_DEFAULT  until it is not alive, or uv_stop()
 *   UV_RUN_ONCE     one iteration, which waits if nothing is due; timers that
 *                   became due by the waiting are run too
 *   UV_RUN_NOWAIT   one iteration that does not wait
 *
 * Never from a callback of the same loop.
 *
 * Returns:  nonzero if the loop is still alive.
 */
UV_EXTERN int uv_run(uv_loop_t* loop, uv_run_mode mode);

/* Have uv_run() return soon: at the end of this iteration, or before the first
 * one if the loop is not running. */
UV_EXTERN void uv_stop(uv_loop_t* loop);

/* ms, as of the start of this iteration or of uv_update_time(). */
UV_EXTERN uint64_t uv_now(const uv_loop_t* loop);
UV_EXTERN void uv_update_time(uv_loop_t* loop);

/* How long the loop would wait now, in ms: 0 not at all, -1 without end. 0 as
 * well before the loop has polled for the first time. Cost: O(timers) now and
 * then, when the first timer was stopped. */
UV_EXTERN int uv_backend_timeout(const uv_loop_t* loop);

/* ns of a clock that never goes back. Context: [any]. */
UV_EXTERN uint64_t uv_hrtime(void);

/* ns spent waiting since UV_METRICS_IDLE_TIME was configured, a wait under way
 * included. Context: [any]. */
UV_EXTERN uint64_t uv_metrics_idle_time(uv_loop_t* loop);

/* Call `walk_cb` for each handle, in order of their _init. It may close them,
 * and init others, which this walk then leaves out. */
UV_EXTERN void uv_walk(uv_loop_t* loop, uv_walk_cb walk_cb, void* arg);

/* ---- Handles ---- */

#define UV_HANDLE_FIELDS   \
  /* public */             \
  void* data;              \
  /* read-only */          \
  uv_loop_t* loop;         \
  uv_handle_type type;     \
  /* private */            \
  unsigned int flags;      \
  uv_close_cb close_cb;    \
  uv__link_t handle_queue; \
  uv_handle_t* next_closing;

/* What all handles begin with. */
struct uv_handle_s {
  UV_HANDLE_FIELDS
};

/*
 * Begin to close: stops the handle now, calls `close_cb` (unless NULL) in the
 * closing phase of this iteration, or of the next if that is over; the newest
 * first. Once a handle.
 *
 * Memory:   the handle is the caller's again from `close_cb` on.
 */
UV_EXTERN void uv_close(uv_handle_t* handle, uv_close_cb close_cb);

/* A handle that is not referenced does not keep its loop alive. All are
 * referenced by their _init. */
UV_EXTERN void uv_ref(uv_handle_t* handle);
UV_EXTERN void uv_unref(uv_handle_t* handle);
UV_EXTERN int uv_has_ref(const uv_handle_t* handle);

/* Nonzero between start and stop; an async always, until it is closed. */
UV_EXTERN int uv_is_active(const uv_handle_t* handle);

/* Nonzero from uv_close() on. */
UV_EXTERN int uv_is_closing(const uv_handle_t* handle);

/* Bytes, of the types that stand here; (size_t) -1 of others. */
UV_EXTERN size_t uv_handle_size(uv_handle_type type);

/* "timer"; NULL for what is no type. Context: [any]. */
UV_EXTERN const char* uv_handle_type_name(uv_handle_type type);

UV_EXTERN uv_handle_type uv_handle_get_type(const uv_handle_t* handle);
UV_EXTERN void* uv_handle_get_data(const uv_handle_t* handle);
UV_EXTERN void uv_handle_set_data(uv_handle_t* handle, void* data);
UV_EXTERN uv_loop_t* uv_handle_get_loop(const uv_handle_t* handle);

/* ---- Timers ---- */

struct uv_timer_s {
  UV_HANDLE_FIELDS
  uv_timer_cb timer_cb;
  uint64_t timeout; /* ms on the loop's clock: when it is due */
  uint64_t repeat;  /* ms */
  uv__link_t link;
};

UV_EXTERN int uv_timer_init(uv_loop_t* loop, uv_timer_t* handle);

/*
 * Call `cb` `timeout` ms after uv_now(), and then each `repeat` ms unless that
 * is 0. Timers run in order of their time, of the same time in order of their
 * start. An active timer is started anew.
 *
 * Returns:  0, or UV_EINVAL: it is closing, or `cb` is NULL.
 */
UV_EXTERN int uv_timer_start(uv_timer_t* handle,
                             uv_timer_cb cb,
                             uint64_t timeout,
                             uint64_t repeat);

/* Returns 0. */
UV_EXTERN int uv_timer_stop(uv_timer_t* handle);

/* Start it anew with its repeat as timeout; nothing if that is 0.
 * Returns 0, or UV_EINVAL if it was never started. */
UV_EXTERN int uv_timer_again(uv_timer_t* handle);

/* The repeat counts from the next time on that the timer runs. */
UV_EXTERN void uv_timer_set_repeat(uv_timer_t* handle, uint64_t repeat);
UV_EXTERN uint64_t uv_timer_get_repeat(const uv_timer_t* handle);

/* ms until it is due, 0 if that is past; of an active timer. */
UV_EXTERN uint64_t uv_timer_get_due_in(const uv_timer_t* handle);

/* ---- Prepare, check, idle: once an iteration, the newest start first ---- */

struct uv_prepare_s {
  UV_HANDLE_FIELDS
  uv_prepare_cb prepare_cb;
  uv__link_t link;
};

struct uv_check_s {
  UV_HANDLE_FIELDS
  uv_check_cb check_cb;
  uv__link_t link;
};

/* While one is active the loop does not wait. */
struct uv_idle_s {
  UV_HANDLE_FIELDS
  uv_idle_cb idle_cb;
  uv__link_t link;
};

/* _start returns 0 (also if active already: then nothing changes), or
 * UV_EINVAL if `cb` is NULL. _init and _stop return 0. */
UV_EXTERN int uv_prepare_init(uv_loop_t* loop, uv_prepare_t* handle);
UV_EXTERN int uv_prepare_start(uv_prepare_t* handle, uv_prepare_cb cb);
UV_EXTERN int uv_prepare_stop(uv_prepare_t* handle);

UV_EXTERN int uv_check_init(uv_loop_t* loop, uv_check_t* handle);
UV_EXTERN int uv_check_start(uv_check_t* handle, uv_check_cb cb);
UV_EXTERN int uv_check_stop(uv_check_t* handle);

UV_EXTERN int uv_idle_init(uv_loop_t* loop, uv_idle_t* handle);
UV_EXTERN int uv_idle_start(uv_idle_t* handle, uv_idle_cb cb);
UV_EXTERN int uv_idle_stop(uv_idle_t* handle);

/* ---- Asyncs: wake a loop from anywhere ---- */

struct uv_async_s {
  UV_HANDLE_FIELDS
  uv__link_t link;
  uint64_t rank;        /* grows along the loop's list of asyncs */
  uv_async_cb async_cb; /* from rank on: all that a send and its call touch */
  uv__note_t note;
  unsigned int state; /* atomic: uv__async_state_t */
};

/* Active at once. `async_cb` may be NULL: then a send only turns the loop. */
UV_EXTERN int uv_async_init(uv_loop_t* loop,
                            uv_async_t* async,
                            uv_async_cb async_cb);

/*
 * Have `async_cb` called on its loop soon: once for any number of sends since
 * it was last called. What the callback is to find must be handed over by
 * atomics or under a lock, as with libuv: a send that finds another one
 * pending is one relaxed load.
 *
 * Context:  [any], [trap] (signal handlers); not after the close callback.
 * Returns:  0.
 */
UV_EXTERN int uv_async_send(uv_async_t* async);

/* ---- Requests ---- */

#define UV_REQ_FIELDS \
  /* public */        \
  void* data;         \
  /* read-only */     \
  uv_req_type type;

/* What all requests begin with. */
struct uv_req_s {
  UV_REQ_FIELDS
};

#define UV__JOB_WORDS 24 /* room for a uvx_job_t, checked in work.c */

struct uv_work_s {
  UV_REQ_FIELDS
  /* private */
  uv_loop_t* loop;
  uv_work_cb work_cb;
  uv_after_work_cb after_work_cb;
  uint64_t job[UV__JOB_WORDS];
};

struct uv_random_s {
  UV_REQ_FIELDS
  /* private */
  uv_loop_t* loop;
  int status;
  void* buf;
  size_t buflen;
  uv_random_cb cb;
  uint64_t job[UV__JOB_WORDS];
};

UV_EXTERN size_t uv_req_size(uv_req_type type); /* as uv_handle_size() */
UV_EXTERN const char* uv_req_type_name(uv_req_type type);
UV_EXTERN uv_req_type uv_req_get_type(const uv_req_t* req);
UV_EXTERN void* uv_req_get_data(const uv_req_t* req);
UV_EXTERN void uv_req_set_data(uv_req_t* req, void* data);

/*
 * Compute beside the loop: `work_cb` runs as a job (on a host: on one of
 * UV_THREADPOOL_SIZE threads, 4 unless set), then `after_work_cb` (unless
 * NULL) on `loop`.
 *
 * Memory:   `req` is ours from a return of 0 until `after_work_cb`.
 * Returns:  0, or UV_EINVAL if `work_cb` is NULL.
 * Status:   0, or UV_ECANCELED after uv_cancel(): then it did not run.
 */
UV_EXTERN int uv_queue_work(uv_loop_t* loop,
                            uv_work_t* req,
                            uv_work_cb work_cb,
                            uv_after_work_cb after_work_cb);

/*
 * Take back a uv_work_t or uv_random_t that has not begun. Its callback still
 * comes, later, with UV_ECANCELED.
 *
 * Returns:  0; UV_EBUSY: it runs or has run; UV_EINVAL for other requests.
 */
UV_EXTERN int uv_cancel(uv_req_t* req);

/*
 * Fill `buf` with random bytes: at once if `cb` is NULL (then `loop` and `req`
 * may be NULL), else beside the loop, as uv_queue_work().
 *
 * Returns:  0; UV_E2BIG above 0x7fffffff bytes; UV_EINVAL if `flags` is not 0;
 *           UV_EIO if the source is broken.
 */
UV_EXTERN int uv_random(uv_loop_t* loop,
                        uv_random_t* req,
                        void* buf,
                        size_t buflen,
                        unsigned flags,
                        uv_random_cb cb);

/* ---- Room for any handle, or any request, of this subset ---- */

union uv_any_handle {
  uv_async_t async;
  uv_check_t check;
  uv_handle_t handle;
  uv_idle_t idle;
  uv_prepare_t prepare;
  uv_timer_t timer;
};

union uv_any_req {
  uv_req_t req;
  uv_work_t work;
  uv_random_t random;
};

#ifdef __cplusplus
}
#endif

#endif /* EVSM_RUNTIME_UV_H */

/*
 * runtime/work.c - uv_queue_work, uv_random and uv_cancel, as thin as can be
 * over jobs.
 *
 *   uv_queue_work -> uvx_job_submit -> (job) work_cb -> (loop) after_work_cb
 *
 * Each request holds its job in `job`, and the job finds its request back by
 * its address. What order after callbacks come in, what keeps the loop alive
 * and when a job can still be taken back is job.c's.
 */
#include "runtime/internal.h"

#define UV__RANDOM_SIZE_MAX 0x7fffffffu /* libuv's */

_Static_assert(sizeof(uvx_job_t) <= sizeof(((uv_work_t*) 0)->job),
               "UV__JOB_WORDS has room for a job");
_Static_assert(_Alignof(uvx_job_t) <= _Alignof(uint64_t),
               "and a job is aligned there");

/* ---- Work ---- */

static void uv__work_run(uvx_job_t* job) {
  uv_work_t* req = container_of(job, uv_work_t, job);

  req->work_cb(req);
}


static void uv__work_done(uvx_job_t* job, int status) {
  uv_work_t* req = container_of(job, uv_work_t, job);

  if (req->after_work_cb != NULL)
    req->after_work_cb(req, status); /* last: `req` may be gone */
}


int uv_queue_work(uv_loop_t* loop,
                  uv_work_t* req,
                  uv_work_cb work_cb,
                  uv_after_work_cb after_work_cb) {
  if (work_cb == NULL)
    return UV_EINVAL;

  req->type = UV_WORK;
  req->loop = loop;
  req->work_cb = work_cb;
  req->after_work_cb = after_work_cb;
  return uvx_job_submit(loop, (uvx_job_t*) req->job, UVX_JOB_NORMAL,
                        uv__work_run, uv__work_done);
}


/* ---- Random bytes ---- */

static void uv__random_run(uvx_job_t* job) {
  uv_random_t* req = container_of(job, uv_random_t, job);

  req->status = arch_entropy(req->buf, req->buflen);
}


static void uv__random_done(uvx_job_t* job, int status) {
  uv_random_t* req = container_of(job, uv_random_t, job);

  if (status == 0)
    status = req->status;
  req->cb(req, status, req->buf, req->buflen); /* last: `req` may be gone */
}


int uv_random(uv_loop_t* loop,
              uv_random_t* req,
              void* buf,
              size_t buflen,
              unsigned flags,
              uv_random_cb cb) {
  if (buflen > UV__RANDOM_SIZE_MAX)
    return UV_E2BIG;
  if (flags != 0)
    return UV_EINVAL;
  if (cb == NULL)
    return arch_entropy(buf, buflen);

  req->type = UV_RANDOM;
  req->loop = loop;
  req->status = 0;
  req->buf = buf;
  req->buflen = buflen;
  req->cb = cb;
  return uvx_job_submit(loop, (uvx_job_t*) req->job, UVX_JOB_NORMAL,
                        uv__random_run, uv__random_done);
}


/* ---- Taking back ---- */

static int uv__work_cancel(uv_loop_t* loop, uvx_job_t* job) {
  if (job->state != UVX_JOB_DONE || job->status != UV_ECANCELED)
    return uvx_job_cancel(job);

  /* Taken back before, and its callback yet to come: as in libuv, that is no
   * error, and the callback comes later than those that were before it. */
  uv__loop_forget(loop, &job->note);
  uv__loop_post(loop, &job->note);
  return 0;
}


int uv_cancel(uv_req_t* req) {
  switch (req->type) {
    case UV_WORK:
      return uv__work_cancel(((uv_work_t*) req)->loop,
                             (uvx_job_t*) ((uv_work_t*) req)->job);
    case UV_RANDOM:
      return uv__work_cancel(((uv_random_t*) req)->loop,
                             (uvx_job_t*) ((uv_random_t*) req)->job);
    default:
      return UV_EINVAL;
  }
}

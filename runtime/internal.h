/*
 * runtime/internal.h - the seams between runtime/'s own files.
 *
 * loop.c owns the loop and its inbox; job.c, irq.c, strand.c, async.c post
 * notes into it. Nobody outside runtime/ (and the machines, for the two worker
 * functions) includes this.
 */
#ifndef EVSM_RUNTIME_INTERNAL_H
#define EVSM_RUNTIME_INTERNAL_H

#include "arch/arch.h"
#include "runtime/uvx.h"

/*
 * Post `note` to the loop's inbox and wake it if it dozes. note->run(note)
 * runs once, in the loop's poll phase, in order of posting, before the async
 * callbacks of the same phase. The note must not be posted again before it
 * runs: its owner keeps a flag.
 *
 * Context:  [any], [trap], and jobs with interrupts closed.
 */
void uv__loop_post(uv_loop_t* loop, uv__note_t* note);

/* Have the loop turn: as a post, with nothing to run. Context: [any], [trap]. */
void uv__loop_wake(uv_loop_t* loop);

/*
 * From here on whoever posts must interrupt us (we are about to halt or to run
 * a job). False, and nothing changed, if something is in the inbox already:
 * then don't. The protocol is modelled in tests/models/wake.pml.
 *
 * Context:  [loop].
 */
bool uv__loop_doze(uv_loop_t* loop);

/* Awake again: posters need not interrupt. Context: [loop]. */
void uv__loop_rouse(uv_loop_t* loop);

/* Has something been posted since the last drain? Context: [any], [trap]. */
bool uv__loop_pending(const uv_loop_t* loop);

/* A request begins or ends: it keeps the loop alive. Context: [loop]. */
void uv__req_begin(uv_loop_t* loop);
void uv__req_end(uv_loop_t* loop);

/*
 * The best ready job, taken from the queue, or NULL; and running one to its
 * end on the calling thread's own stack. For sim/thread.c's workers.
 *
 * Context:  a worker thread.
 */
uvx_job_t* uv__job_take(void);
void uv__job_run_here(uvx_job_t* job);

#endif /* EVSM_RUNTIME_INTERNAL_H */

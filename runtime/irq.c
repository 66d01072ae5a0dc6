/*
 * runtime/irq.c - interrupts: a trap notes, the callback runs in the loop.
 *
 * The promise: after any raise the callback runs at least once, in its loop,
 * after everything that the raiser wrote before; any number of raises before
 * it runs are one. After uv_close() a raise does nothing for as long as the
 * handle's memory is there, for a device may be slow to hear.
 *
 * Not here: who raises (device drivers' traps, the simulator's devices).
 */
#include "runtime/internal.h"

#include <stdatomic.h>


static void irq_run(uv__note_t* note) {
  uvx_irq_t* irq = container_of(note, uvx_irq_t, note);

  /* Before the callback: what is raised from here on is another run. */
  atomic_exchange(&irq->raised, 0);
  irq->irq_cb(irq);
}


int uvx_irq_init(uv_loop_t* loop, uvx_irq_t* irq, uvx_irq_cb cb) {
  ASSERT(cb != NULL);

  uv__handle_init(loop, (uv_handle_t*) irq, UV__IRQ);
  irq->irq_cb = cb;
  uv__note_init(&irq->note, irq_run);
  atomic_init(&irq->raised, 0);
  uv__handle_start((uv_handle_t*) irq);
  return 0;
}


void uvx_irq_raise(uvx_irq_t* irq) {
  /* A job between flag and post would keep all others from posting. */
  bool opened = arch_interrupts_close();

  if (atomic_exchange(&irq->raised, 1) == 0)
    uv__loop_post(irq->loop, &irq->note);
  if (opened)
    arch_interrupts_open();
}


void uv__irq_close(uvx_irq_t* irq) {
  bool posted = atomic_exchange(&irq->raised, 1) != 0; /* and stays so */

  uv__handle_stop((uv_handle_t*) irq);
  if (posted)
    uv__loop_forget(irq->loop, &irq->note);
}

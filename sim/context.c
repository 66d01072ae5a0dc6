/*
 * sim/context.c - stacks with guard pages, and going from one to another.
 *
 *   | guard page | stack ...                    | start | 16 bytes |
 *                  ^ lowest byte, stack_size -> what to call first
 *
 * The promise: a stack that overflows ends the process at the guard page,
 * never in a neighbour's memory; and each sanitizer and valgrind is told of
 * every switch, so that their checks stay on.
 *
 * The switch itself is arch/x86_64/context.S, the same as on the bare machine.
 * What a signal handler interrupted is saved by the kernel, on the job's stack.
 */
#include "arch/arch.h"
#include "arch/x86_64/context.h"
#include "runtime/bounds.h"
#include "sim/cpu.h"
#include "sim/sanitize.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#define STACKS_MAX (JOBS_RUNNING_MAX + 2u * CPUS_MAX) /* jobs, then CPUs */

#if SANITIZE_ADDRESS || SANITIZE_THREAD
#define STACK_SIZE (1024u * 1024u) /* bytes: instrumented frames are large */
#else
#define STACK_SIZE                                          \
  (256u * 1024u) /* bytes, with room for AVX-512 in signals \
                  */
#endif

/* Waits at the top of a new stack for the first switch to it. */
typedef struct {
  void (*entry)(void*);
  void* arg;
} start_t;

static void* stacks[STACKS_MAX];


void* arch_stack(uint32_t index, size_t* size) {
  ASSERT(index < STACKS_MAX);

  *size = STACK_SIZE;
  if (stacks[index] != NULL)
    return stacks[index];

  size_t page_size = (size_t) sysconf(_SC_PAGESIZE);
  char* low = mmap(NULL, STACK_SIZE + page_size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT(low != MAP_FAILED); /* at boot: no memory, no machine */
  ASSERT(mprotect(low, page_size, PROT_NONE) == 0);
  stacks[index] = low + page_size;
  return stacks[index];
}


/* The first frame of every stack. */
static void context_main(void* arg) {
  const start_t* start = arg;

  sanitize_arrive(NULL);
  start->entry(start->arg);
  base_panic(__FILE__, __LINE__, "a context returned from its entry");
}


void arch_context_init(arch_context_t* context,
                       void* stack,
                       size_t stack_size,
                       void (*entry)(void*),
                       void* arg) {
  ASSERT(stack_size >= 4096);

  uintptr_t top = ((uintptr_t) stack + stack_size) & ~(uintptr_t) 15;
  start_t* start = (start_t*) (top - 16 - sizeof(*start));
  start->entry = entry;
  start->arg = arg;

  /* arch_x86_begin() finds a stack aligned to 16 bytes. */
  arch_x86_frame_t* frame = (arch_x86_frame_t*) start - 1;
  memset(frame, 0, sizeof(*frame));
  frame->mxcsr = ARCH_X86_MXCSR;
  frame->fcw = ARCH_X86_FCW;
  frame->r12 = (void*) (uintptr_t) context_main;
  frame->r13 = start;
  frame->rip = (void*) (uintptr_t) arch_x86_begin;

  context->sp = frame;
  context->stack = stack;
  context->stack_size = stack_size;
  context->fiber = sanitize_fiber_create(stack, stack_size);
}


#if SANITIZE_ADDRESS
/* The stack that we are on, which nobody has told us of: one of ours, or the
 * thread's own. */
static void context_find_stack(arch_context_t* context) {
  uintptr_t at = (uintptr_t) __builtin_frame_address(0);
  pthread_attr_t attr;

  for (uint32_t i = 0; i < STACKS_MAX; i++) {
    if (stacks[i] != NULL && at - (uintptr_t) stacks[i] < STACK_SIZE) {
      context->stack = stacks[i];
      context->stack_size = STACK_SIZE;
      return;
    }
  }
  ASSERT(pthread_getattr_np(pthread_self(), &attr) == 0);
  ASSERT(pthread_attr_getstack(&attr, &context->stack, &context->stack_size) ==
         0);
  pthread_attr_destroy(&attr);
}
#endif


/* Between leaving and arriving this thread is on one stack, and to the
 * sanitizers on the other: nothing here may be instrumented. */
SANITIZE_NOT
void arch_context_switch(arch_context_t* from, arch_context_t* to) {
  cpu_interrupts_block();
#if SANITIZE_ADDRESS
  if (from->stack == NULL)
    context_find_stack(from);
#endif
  sanitize_leave(&from->fiber, to->fiber, to->stack, to->stack_size);
  arch_x86_switch(&from->sp, to->sp);
  sanitize_arrive(from->fiber);
}


void arch_context_destroy(arch_context_t* context) {
  sanitize_fiber_destroy(context->fiber);
  context->fiber = NULL;
  context->sp = NULL;
}

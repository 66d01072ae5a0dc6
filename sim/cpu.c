/*
 * sim/cpu.c - CPUs as threads, interrupts as signals.
 *
 *   IPI     SIGUSR1, sent to one thread (tgkill)
 *   timer   SIGUSR2, from one POSIX timer a thread
 *
 *   loop, guest, halt     blocked: what arrives stays pending, and arch_wait()
 *                         takes it without a handler, so no wake is lost
 *   job                   open: the handler calls arch_on_job_interrupt(),
 *                         which switches stacks out of the handler
 *   job, closed for a     open, but the handler only leaves a note; a pair of
 *   few instructions      system calls for each would cost too much
 *
 * The promise: when the code above says closed, no handler does more than
 * leave that note. The signals are blocked across every switch of stacks (a
 * second signal would nest on the job's stack without end). A job that was
 * interrupted goes on by returning from that same handler, on any CPU's
 * thread: its registers and its signal mask lie in the kernel's frame on the
 * job's own stack.
 *
 * Where a sanitizer or valgrind holds signals back they stay blocked in jobs,
 * too, and jobs give way in uvx_job_checkpoint().
 *
 * Not here: clock and entropy (sim/host.c), stacks (sim/context.c).
 */
#include "sim/cpu.h"

#include "arch/arch.h"
#include "crypto/drbg.h"
#include "crypto/libcrypto/libc.h"
#include "runtime/bounds.h"
#include "sim/futex.h"
#include "sim/here.h"
#include "sim/sanitize.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "runtime/uv.h"

#define CPU_SIGNAL_IPI SIGUSR1
#define CPU_SIGNAL_TIMER SIGUSR2
#define CPU_SPINS_BEFORE_YIELD 64u

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid /* glibc has no name for it */
#endif

typedef struct {
  pthread_t thread;
  _Atomic pid_t tid; /* 0 while the CPU is off */
  timer_t timer;
  uint32_t index;
  uint64_t boot_ns;  /* when the thread began to count as this CPU */
  uint64_t slept_ns; /* in arch_wait(), never beyond its deadline */
} cpu_t;

static cpu_t cpus[CPUS_MAX];
static uint32_t cpu_count;
static void (*cpu_main)(uint32_t cpu);

typedef enum { POWER_OFF, POWER_ON, POWER_FAILED } power_t;

/* Nobody runs before all are ready, none if one could not be made, and nobody
 * ends before all have: an ended thread's number may be another's next. */
static struct {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  uint32_t ready_count; /* have come to their start */
  uint32_t over_count;  /* have come back from main */
  power_t state;
} power = {.mutex = PTHREAD_MUTEX_INITIALIZER,
           .changed = PTHREAD_COND_INITIALIZER};


/* ---- Interrupts ---- */

static void cpu_signals(sigset_t* set) {
  sigemptyset(set);
  sigaddset(set, CPU_SIGNAL_IPI);
  sigaddset(set, CPU_SIGNAL_TIMER);
}


/* All but those that tell of a crash: blocked, they would hide it. */
static void cpu_signals_all(sigset_t* set) {
  static const int fatal[] = {SIGSEGV, SIGBUS,  SIGFPE, SIGILL,
                              SIGTRAP, SIGABRT, SIGSYS};

  sigfillset(set);
  for (size_t i = 0; i < ARRAY_SIZE(fatal); i++)
    sigdelset(set, fatal[i]);
}


/* `errno` lies in another place after a switch of threads, and compilers may
 * keep its address: so it is only touched in functions of its own. */
__attribute__((noinline)) static int cpu_errno(void) {
  return errno;
}


__attribute__((noinline)) static void cpu_errno_set(int value) {
  errno = value;
}


/* Runs on the job's stack. What follows arch_on_job_interrupt() may run on
 * another thread than what precedes it. */
static void cpu_on_signal(int number) {
  (void) number;
  if (sim_here_closed()) {
    sim_here_pending_set(1);
    return;
  }

  int kept = cpu_errno();
  sim_here_closed_set(1);
  sim_here_blocked_set(1); /* sa_mask has done it */
  arch_on_job_interrupt();
  sim_here_blocked_set(0); /* the return from this handler will do it */
  sim_here_pending_set(0);
  sim_here_closed_set(0);
  cpu_errno_set(kept);
}


static void cpu_block(int how) {
  sigset_t set;

  cpu_signals(&set);
  ASSERT(pthread_sigmask(how, &set, NULL) == 0);
}


bool arch_can_preempt(void) {
  return !sanitize_delays_signals();
}


bool arch_interrupts_close(void) {
  return sim_here_closed_set(1) == 0;
}


void arch_interrupts_open(void) {
  ASSERT(sim_here_closed());

  if (!arch_can_preempt()) {
    sim_here_closed_set(0);
    return;
  }

  for (;;) {
    if (sim_here_blocked()) {  /* we come from a loop: open both */
      sim_here_pending_set(0); /* a loop has looked at everything since */
      sim_here_blocked_set(0);
      sim_here_closed_set(0);
      cpu_block(SIG_UNBLOCK); /* what is pending arrives inside this call */
      return;
    }

    sim_here_closed_set(0);
    if (!sim_here_pending())
      return; /* a signal after the line above finds us open */
    sim_here_closed_set(1);
    sim_here_pending_set(0);
    sim_here_blocked_set(1);
    cpu_block(SIG_BLOCK);
    arch_on_job_interrupt(); /* comes back on any CPU, blocked */
  }
}


void cpu_interrupts_block(void) {
  ASSERT(sim_here_closed());
  if (sim_here_blocked())
    return;
  sim_here_blocked_set(1);
  cpu_block(SIG_BLOCK);
}


/* ---- Sleeping and waking ---- */

static void cpu_ipi(uint32_t cpu) {
  ASSERT(cpu < CPUS_MAX);

  pid_t tid = atomic_load_explicit(&cpus[cpu].tid, memory_order_acquire);
  if (tid == 0)
    return; /* the CPU is off: nobody is there to be woken */
  arch_on_ipi_sent(cpu);
  syscall(SYS_tgkill, getpid(), tid, CPU_SIGNAL_IPI);
}


void arch_waiter_init(arch_waiter_t* waiter) {
  arch_futex_init(waiter);
  waiter->cpu = sim_here_cpu();
}


static struct timespec cpu_timespec(uint64_t ns) {
  struct timespec ts;

  ts.tv_sec = (time_t) (ns / 1000000000u);
  ts.tv_nsec = (long) (ns % 1000000000u);
  return ts;
}


/* How long until `deadline_ns`, from now. */
static struct timespec cpu_until(uint64_t deadline_ns) {
  uint64_t now_ns = arch_clock_ns();

  return cpu_timespec(deadline_ns > now_ns ? deadline_ns - now_ns : 0);
}


/* A device's thread, with a loop of its own, is no CPU: it has a futex. */
bool arch_wait(arch_waiter_t* waiter, uint64_t deadline_ns) {
  if (waiter->cpu == ARCH_CPU_NONE)
    return arch_futex_wait(waiter, deadline_ns);

  ASSERT(waiter->cpu == sim_here_cpu());
  ASSERT(sim_here_blocked());

  sigset_t set;
  uint64_t began_ns = arch_clock_ns();
  cpu_signals(&set);
  if (deadline_ns == ARCH_FOREVER) {
    sigwaitinfo(&set, NULL);
  } else {
    struct timespec left = cpu_until(deadline_ns);
    sigtimedwait(&set, NULL, &left);
  }

  uint64_t until_ns = arch_clock_ns();
  if (until_ns > deadline_ns)
    until_ns = deadline_ns; /* the rest is the host's delay */
  if (until_ns > began_ns)
    cpus[waiter->cpu].slept_ns += until_ns - began_ns;
  return true;
}


/* What is neither computing nor sleeping is waiting for a core of the host. */
uint64_t arch_stolen_ns(void) {
  const cpu_t* cpu = &cpus[sim_here_cpu()];
  struct timespec ran;

  ASSERT(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ran) == 0);
  uint64_t used_ns = (uint64_t) ran.tv_sec * 1000000000u +
                     (uint64_t) ran.tv_nsec + cpu->slept_ns;
  uint64_t lived_ns = arch_clock_ns() - cpu->boot_ns;
  return lived_ns > used_ns ? lived_ns - used_ns : 0;
}


void arch_wake(arch_waiter_t* waiter) {
  if (waiter->cpu != ARCH_CPU_NONE) {
    cpu_ipi(waiter->cpu);
    return;
  }
  arch_futex_wake(waiter);
}


void arch_timer_arm(uint64_t deadline_ns) {
  struct itimerspec when = {{0, 0}, {0, 0}};

  if (!arch_can_preempt())
    return; /* checkpoints look at the clock */
  if (deadline_ns != ARCH_FOREVER)
    when.it_value = cpu_timespec(deadline_ns == 0 ? 1 : deadline_ns);
  ASSERT(timer_settime(cpus[sim_here_cpu()].timer, TIMER_ABSTIME, &when,
                       NULL) == 0);
}


void arch_job_ready(void) {
  /* CPUs look for jobs themselves: runtime/cpu.c wakes an idle one. */
}


/* ---- This CPU ---- */

uint32_t arch_cpu(void) {
  return sim_here_cpu();
}


void* arch_here(void) {
  return sim_here_job();
}


void arch_here_set(void* what) {
  sim_here_job_set(what);
}


/* There are more CPUs than the host has cores: whoever holds what we spin for
 * may be waiting for our core. */
void arch_relax(void) {
  if (sim_here_spin() % CPU_SPINS_BEFORE_YIELD == CPU_SPINS_BEFORE_YIELD - 1)
    sched_yield();
  __builtin_ia32_pause();
}


/* What may hold keys is wiped, so that no core file has them: the DRBG and
 * libtpms's arena. Another CPU that runs into that has nothing to add. */
_Noreturn void base_panic(const char* file, int line, const char* what) {
  static atomic_bool panics;
  static _Thread_local bool here;
  const char* context = sim_here_job() != NULL ? "job" : "loop";
  char text[512];

  if (here)
    abort(); /* one panic has led to another */
  here = true;
  while (atomic_exchange(&panics, true))
    pause();
  if (sim_here_cpu() == ARCH_CPU_NONE)
    context = "host thread";
  int size = snprintf(text, sizeof(text), "evsm: %s:%d: %s (CPU %d, %s)\n",
                      file, line, what, (int) sim_here_cpu(), context);
  if (size > 0 && write(STDERR_FILENO, text, (size_t) size) < 0)
    abort(); /* nobody to tell */
  crypto_random_wipe();
  libc_arena_wipe();
  abort();
}


/* ---- Power ---- */

/* What only the thread itself can do. Returns 0 or UV_EAGAIN. */
static int cpu_boot(cpu_t* cpu) {
  struct sigevent event;

  sim_here_cpu_set(cpu->index);
  cpu->boot_ns = arch_clock_ns();
  cpu->slept_ns = 0;
  prctl(PR_SET_TIMERSLACK, 1); /* ns; the default is 50 us */
  pid_t tid = (pid_t) syscall(SYS_gettid);
  memset(&event, 0, sizeof(event));
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = CPU_SIGNAL_TIMER;
  event.sigev_notify_thread_id = tid;
  if (timer_create(CLOCK_MONOTONIC, &event, &cpu->timer) != 0)
    return UV_EAGAIN;
  atomic_store_explicit(&cpu->tid, tid, memory_order_release);
  return 0;
}


/* POWER_FAILED stays; POWER_OFF only asks. Returns what it is now. */
static power_t cpu_power(power_t state) {
  pthread_mutex_lock(&power.mutex);
  if (power.state == POWER_OFF)
    power.state = state;
  state = power.state;
  pthread_cond_broadcast(&power.changed);
  pthread_mutex_unlock(&power.mutex);
  return state;
}


/* Tell of `*count` and wait until it is that of all, or starting has failed. */
static void cpu_meet(uint32_t* count) {
  pthread_mutex_lock(&power.mutex);
  (*count)++;
  pthread_cond_broadcast(&power.changed);
  while (power.state != POWER_FAILED &&
         (power.state == POWER_OFF || *count < cpu_count))
    pthread_cond_wait(&power.changed, &power.mutex);
  pthread_mutex_unlock(&power.mutex);
}


static void* cpu_thread(void* arg) {
  cpu_t* cpu = arg;
  int err = cpu_boot(cpu);

  if (err != 0)
    cpu_power(POWER_FAILED);
  cpu_meet(&power.ready_count);
  if (cpu_power(POWER_OFF) == POWER_ON)
    cpu_main(cpu->index);
  cpu_meet(&power.over_count);

  atomic_store(&cpu->tid, 0);
  if (err == 0)
    timer_delete(cpu->timer);
  return NULL;
}


static int cpu_handlers_install(void) {
  struct sigaction action;

  memset(&action, 0, sizeof(action));
  action.sa_handler = cpu_on_signal;
  action.sa_flags = SA_RESTART; /* and no alternate stack: the job's own */
  cpu_signals_all(&action.sa_mask);
  if (sigaction(CPU_SIGNAL_IPI, &action, NULL) != 0 ||
      sigaction(CPU_SIGNAL_TIMER, &action, NULL) != 0)
    return UV_EAGAIN;
  return 0;
}


uint32_t cpu_started_count(void) {
  return cpu_count;
}


int cpu_start(uint32_t count, void (*main)(uint32_t cpu)) {
  sigset_t all;
  sigset_t before;
  uint32_t made = 0;

  ASSERT(cpu_count == 0);
  if (count == 0 || count > CPUS_MAX)
    return UV_EINVAL;
  if (cpu_handlers_install() != 0)
    return UV_EAGAIN;

  cpu_main = main;
  cpu_count = count;
  power.ready_count = 0;
  power.over_count = 0;
  power.state = POWER_OFF;
  cpu_signals_all(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before); /* the threads inherit it */
  for (; made < count; made++) {
    cpu_t* cpu = &cpus[made];
    cpu->index = made;
    if (pthread_create(&cpu->thread, NULL, cpu_thread, cpu) != 0)
      break;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);

  if (made == count) {
    pthread_mutex_lock(&power.mutex);
    while (power.state == POWER_OFF && power.ready_count < count)
      pthread_cond_wait(&power.changed, &power.mutex);
    pthread_mutex_unlock(&power.mutex);
  }
  if (made == count && cpu_power(POWER_ON) == POWER_ON)
    return 0;

  cpu_power(POWER_FAILED);
  cpu_count = made;
  cpu_join();
  return UV_EAGAIN;
}


void cpu_join(void) {
  for (uint32_t i = 0; i < cpu_count; i++)
    ASSERT(pthread_join(cpus[i].thread, NULL) == 0);
  cpu_count = 0;
}

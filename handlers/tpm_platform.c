/*
 * handlers/tpm_platform.c - the platform that libtpms finds itself on.
 *
 * libtpms comes with a platform of its own, a Linux process. The link step
 * (crypto/libtpms.py) leaves these members of it out, and the house provides
 * their names:
 *
 *   Clock       time from tpm_platform_t, which a job can hold still
 *   Entropy     the house's DRBG; never the clock and rand() instead
 *   Cancel      a flag that other CPUs may set
 *   RunCommand  the way out of a failing command, without a C library's setjmp
 *   ExpDCache   keeps nothing: the original remembers the private exponents of
 *               up to 64 RSA keys, also of those that were flushed
 *
 * and TPM12Interface, by which libtpms would reach TPM 1.2: it always fails.
 *
 * What stays libtpms's own is NV (it reaches files only without callbacks) and
 * the variables below, since they are part of the volatile state.
 *
 * Trust: those variables may come from a hostile state blob. The clock then
 * shows nonsense to the guest whose state it is, but it never divides by zero
 * and never stops anything else.
 */
#include "handlers/tpm_platform.h"

#include "crypto/drbg.h"

#include <stdatomic.h>

/* ---- Names of libtpms's: what it defines, and what it expects of us ---- */

/* The clock's state, in milliseconds; libtpms marshals it. */
extern uint64_t s_realTimePrevious; /* reported time that s_tpmTime has had */
extern uint64_t s_lastSystemTime;   /* real time when last read; 0: never */
extern uint64_t s_lastReportedTime; /* time since the clock's reset */
extern uint64_t s_tpmTime;          /* the same at the adjusted rate */
extern int64_t s_hostMonotonicAdjustTime; /* a restored clock's head start */
extern uint64_t s_suspendedElapsedTime;   /* time passed while it was saved */
extern int s_timerReset;
extern int s_timerStopped;
extern unsigned s_adjustRate; /* 30,000 is nominal; more is slower */

void ExecuteCommand(uint32_t request_size,
                    unsigned char* request,
                    uint32_t* response_size,
                    unsigned char** response);

typedef struct bignum_st BIGNUM;
typedef unsigned (*tpm12_call_t)(void);

extern const tpm12_call_t TPM12Interface[16];

uint64_t ClockGetTime(int clock);
void ClockAdjustPostResume(uint64_t saved_ms, int times_are_realtime);
void _plat__TimerReset(void);
uint64_t _plat__RealTime(void);
uint64_t _plat__TimerRead(void);
int _plat__TimerWasReset(void);
int _plat__TimerWasStopped(void);
void _plat__ClockAdjustRate(int adjust);
int32_t _plat__GetEntropy(unsigned char* entropy, uint32_t amount);
int _plat__IsCanceled(void);
void _plat__SetCancel(void);
void _plat__ClearCancel(void);
void _plat__RunCommand(uint32_t request_size,
                       unsigned char* request,
                       uint32_t* response_size,
                       unsigned char** response);
_Noreturn void _plat__Fail(void);
void ExpDCacheAdd(const BIGNUM* p,
                  const BIGNUM* n,
                  const BIGNUM* e,
                  const BIGNUM* q,
                  const BIGNUM* d);
BIGNUM* ExpDCacheFind(const BIGNUM* p,
                      const BIGNUM* n,
                      const BIGNUM* e,
                      BIGNUM** q);
void ExpDCacheFree(void);

#define CLOCK_IS_REALTIME 0 /* Linux's CLOCK_REALTIME, as libtpms passes it */
#define RATE_NOMINAL 30000u /* TCG's PlatformClock.h, as the next line */
#define RATE_LIMIT 5000u
#define NS_PER_MS 1000000u

static struct {
  const tpm_platform_t* platform;
  bool held;
  uint64_t held_ns;          /* clock_ns when it was held */
  uint64_t held_realtime_ns; /* realtime_ns at that moment */
  atomic_bool cancelled;
} plat;


void tpm_platform_init(const tpm_platform_t* platform) {
  ASSERT(platform != NULL);
  ASSERT(platform->clock_ns != NULL);
  plat.platform = platform;
  plat.held = false;
}


/* ---- Clock ---- */

static uint64_t realtime_ns(void) {
  if (plat.platform->realtime_ns == NULL)
    return plat.platform->clock_ns();
  return plat.platform->realtime_ns();
}


void tpm_platform_clock_hold(bool hold) {
  if (hold && !plat.held) {
    plat.held_ns = plat.platform->clock_ns();
    plat.held_realtime_ns = realtime_ns();
  }
  plat.held = hold;
}


/* A clock in milliseconds, either kind. Also called when state is saved. */
uint64_t ClockGetTime(int clock) {
  if (clock == CLOCK_IS_REALTIME)
    return (plat.held ? plat.held_realtime_ns : realtime_ns()) / NS_PER_MS;
  return (plat.held ? plat.held_ns : plat.platform->clock_ns()) / NS_PER_MS;
}


/* A volatile state was loaded that was saved at `saved_ms` of real time. */
void ClockAdjustPostResume(uint64_t saved_ms, int times_are_realtime) {
  uint64_t now = ClockGetTime(CLOCK_IS_REALTIME);

  if (times_are_realtime) {
    /* States of old versions: their times count real time. Go on from it. */
    s_suspendedElapsedTime = now;
    s_hostMonotonicAdjustTime =
        (int64_t) (0 - ClockGetTime(CLOCK_IS_REALTIME + 1));
    s_lastSystemTime = now;
    s_lastReportedTime = now;
  } else if (now >= saved_ms) {
    s_suspendedElapsedTime += now - saved_ms;
  }
}


void _plat__TimerReset(void) {
  s_lastSystemTime = 0;
  s_tpmTime = 0;
  s_adjustRate = RATE_NOMINAL;
  s_timerReset = 1;
  s_timerStopped = 1;
  s_hostMonotonicAdjustTime = 0;
  s_suspendedElapsedTime = 0;
}


uint64_t _plat__RealTime(void) {
  return ClockGetTime(CLOCK_IS_REALTIME + 1) +
         (uint64_t) s_hostMonotonicAdjustTime + s_suspendedElapsedTime;
}


/* The TPM's time in milliseconds: what has passed since the last call, at the
 * adjusted rate. What the division cuts off is kept for the next call. */
uint64_t _plat__TimerRead(void) {
  uint64_t now = _plat__RealTime();
  uint64_t rate = s_adjustRate;

  if (rate < RATE_NOMINAL - RATE_LIMIT || rate > RATE_NOMINAL + RATE_LIMIT)
    rate = RATE_NOMINAL; /* only a forged state says so */
  if (s_lastSystemTime == 0) {
    s_lastSystemTime = now;
    s_lastReportedTime = 0;
    s_realTimePrevious = 0;
  }
  if (now > s_lastSystemTime)
    s_lastReportedTime += now - s_lastSystemTime;
  s_lastSystemTime = now;
  if (s_lastReportedTime <= s_realTimePrevious)
    return s_tpmTime;

  uint64_t passed = s_lastReportedTime - s_realTimePrevious;
  uint64_t adjusted = passed * RATE_NOMINAL / rate;
  s_tpmTime += adjusted;
  s_realTimePrevious += adjusted * rate / RATE_NOMINAL;
  return s_tpmTime;
}


/* Both flags are cleared by being read, as a status register's would be. */
int _plat__TimerWasReset(void) {
  int was = s_timerReset;

  s_timerReset = 0;
  return was;
}


int _plat__TimerWasStopped(void) {
  int was = s_timerStopped;

  s_timerStopped = 0;
  return was;
}


/* TPM2_ClockRateAdjust: libtpms passes steps of 1, 30 or 300 either way. */
void _plat__ClockAdjustRate(int adjust) {
  int64_t rate = (int64_t) s_adjustRate + adjust;

  if (adjust != 1 && adjust != 30 && adjust != 300 && adjust != -1 &&
      adjust != -30 && adjust != -300)
    return;
  if (rate > (int64_t) (RATE_NOMINAL + RATE_LIMIT))
    rate = RATE_NOMINAL + RATE_LIMIT;
  if (rate < (int64_t) (RATE_NOMINAL - RATE_LIMIT))
    rate = RATE_NOMINAL - RATE_LIMIT;
  s_adjustRate = (unsigned) rate;
}


/* ---- Entropy ---- */

/* Nothing asked for (0) means: seed yourself. The DRBG has. */
int32_t _plat__GetEntropy(unsigned char* entropy, uint32_t amount) {
  if (amount > INT32_MAX)
    return -1;
  if (amount != 0)
    crypto_random(entropy, amount);
  return (int32_t) amount;
}


/* ---- Cancel ---- */

/* Relaxed: the flag carries no data. It only makes a command end sooner. */

void tpm_platform_cancel(void) {
  atomic_store_explicit(&plat.cancelled, true, memory_order_relaxed);
}


int _plat__IsCanceled(void) {
  return atomic_load_explicit(&plat.cancelled, memory_order_relaxed);
}


void _plat__SetCancel(void) {
  tpm_platform_cancel();
}


void _plat__ClearCancel(void) {
  atomic_store_explicit(&plat.cancelled, false, memory_order_relaxed);
}


/* ---- RunCommand: one command, and the way out when the TPM fails in it ----
 */

/* Static, not on the stack: after the jump nothing in a register is true. */
static struct {
  void* place[5];      /* as __builtin_setjmp wants it */
  volatile bool armed; /* volatile: its last store keeps each call below from
                        * becoming a tail call, whose frame would be gone */
  void (*call)(void*);
  void* arg;
  uint32_t request_size;
  unsigned char* request;
  uint32_t* response_size;
  unsigned char** response;
  bool has_failed;
} way_out;


/* Runs a second time after a failure, and then libtpms, being in its failure
 * mode, only makes up the response that says so. Never inlined: the builtin
 * asks for a frame of its own. */
__attribute__((noinline)) void _plat__RunCommand(uint32_t request_size,
                                                 unsigned char* request,
                                                 uint32_t* response_size,
                                                 unsigned char** response) {
  way_out.request_size = request_size;
  way_out.request = request;
  way_out.response_size = response_size;
  way_out.response = response;
  (void) __builtin_setjmp(way_out.place); /* returns again from _plat__Fail */
  way_out.armed = true;
  ExecuteCommand(way_out.request_size, way_out.request, way_out.response_size,
                 way_out.response);
  way_out.armed = false;
}


__attribute__((noinline)) bool tpm_platform_guard(void (*call)(void* arg),
                                                  void* arg) {
  ASSERT(!way_out.armed);
  way_out.call = call;
  way_out.arg = arg;
  if (__builtin_setjmp(way_out.place) != 0) {
    way_out.armed = false;
    return false;
  }
  way_out.armed = true;
  way_out.call(way_out.arg);
  way_out.armed = false;
  return true;
}


bool tpm_platform_has_failed(void) {
  bool has_failed = way_out.has_failed;

  way_out.has_failed = false;
  return has_failed;
}


/* Called by libtpms alone, so that only its own frames are jumped over. Where
 * there is no way out, libtpms has failed in a call that can't fail. */
_Noreturn void _plat__Fail(void) {
  ASSERT(way_out.armed);
  way_out.has_failed = true;
  __builtin_longjmp(way_out.place, 1);
}


/* ---- ExpDCache: nothing is kept ---- */

void ExpDCacheAdd(const BIGNUM* p,
                  const BIGNUM* n,
                  const BIGNUM* e,
                  const BIGNUM* q,
                  const BIGNUM* d) {
  (void) p;
  (void) n;
  (void) e;
  (void) q;
  (void) d;
}


BIGNUM* ExpDCacheFind(const BIGNUM* p,
                      const BIGNUM* n,
                      const BIGNUM* e,
                      BIGNUM** q) {
  (void) p;
  (void) n;
  (void) e;
  (void) q;
  return NULL;
}


void ExpDCacheFree(void) {
}


/* ---- TPM 1.2: there is none ---- */

static unsigned tpm12_fails(void) {
  return 9; /* TPM_FAIL */
}


/* Sixteen functions in libtpms's order. Their arguments differ, which a
 * function that looks at none may leave to its callers. */
const tpm12_call_t TPM12Interface[16] = {
    tpm12_fails, tpm12_fails, tpm12_fails, tpm12_fails,
    tpm12_fails, tpm12_fails, tpm12_fails, tpm12_fails,
    tpm12_fails, tpm12_fails, tpm12_fails, tpm12_fails,
    tpm12_fails, tpm12_fails, tpm12_fails, tpm12_fails,
};

/*
 * tests/models/wake.pml - nobody waits for a note that was sent.
 *
 * The protocol of runtime/wake.h (one word: notes, or "dozing"), of a note's
 * flag (runtime/irq.c, uv_async_send), of sim/cpu.c (an IPI that is blocked in
 * loops, taken by a halt without a handler, taken by a handler in a job, and
 * only noted where a job has closed interrupts), and of runtime/cpu.c (doze,
 * then halt or run a job; rouse; drain).
 *
 *   two senders:  data, flag, push, IPI if the loop dozed
 *   one CPU:      drain -> doze -> halt or a job that never ends -> drain
 *
 * The promise: in the end all that was sent has been seen (no lost wake-up);
 * a note is never in the inbox twice, and none that was taken is dropped.
 *
 * Each of these plants a bug that the checker must find:
 *   BUG_DOZE    doze without looking for notes
 *   BUG_FLAG    clear the flag after the callback, not before it
 *   BUG_OPEN    open interrupts without looking whether one was noted
 *   BUG_HALT    a halt forgets an IPI that came before it
 */
#define SENDERS 2
#define SENDS 2

/* The inbox: one word, so it changes in one step. */
bool posted[SENDERS];
bool dozing;

bool flag[SENDERS];  /* the note's owner: it is posted */
byte data[SENDERS];  /* what a sender has written before its send */
byte seen[SENDERS];  /* what the callback has found there */

bool ipi;    /* pending at the CPU: any number of them are one */
bool closed; /* the job has closed interrupts */
bool noted;  /* the handler ran meanwhile */

#define PENDING (posted[0] || posted[1])

proctype sender(byte me) {
  bool before;
  byte sent;

  do
  :: sent < SENDS ->
     sent++;
     data[me]++;
     d_step { before = flag[me]; flag[me] = true };
     if
     :: before
     :: else ->
        d_step {
          assert(!posted[me]);
          posted[me] = true;
          before = dozing;
          dozing = false
        };
        if
        :: before -> ipi = true
        :: else
        fi
     fi
  :: else -> break
  od
}

/* Run one note that has been taken. */
inline call_back(me) {
  if
  :: taken[me] ->
#ifdef BUG_FLAG
     seen[me] = data[me];
     flag[me] = false
#else
     flag[me] = false;
     seen[me] = data[me]
#endif
  :: else
  fi;
  taken[me] = false
}

proctype cpu() {
  bool taken[SENDERS];
  bool ok;

turn:
  skip; /* a jump may not end at a d_step */
  d_step {
    taken[0] = posted[0];
    posted[0] = false;
    taken[1] = posted[1];
    posted[1] = false
  };
  call_back(0);
  call_back(1);

  d_step {
#ifdef BUG_DOZE
    ok = true;
#else
    ok = !PENDING;
#endif
    if
    :: ok -> dozing = true
    :: else
    fi
  };
  if
  :: !ok -> goto turn
  :: else
  fi;
  if
  :: true -> goto halt
  :: true -> goto job
  fi;

halt:
#ifdef BUG_HALT
  ipi = false;
#endif
  do
  :: ipi -> break
  :: !ipi -> skip /* asleep, for as long as it takes */
  od;
  ipi = false;
  goto rouse;

job: /* an endless one; a signal comes between any two of its steps */
  do
  :: ipi ->
     ipi = false;
     if
     :: closed -> noted = true
     :: !closed && PENDING -> goto rouse
     :: else
     fi
  :: !ipi && !closed -> closed = true
  :: !ipi && closed ->
     closed = false;
#ifndef BUG_OPEN
     if
     :: noted ->
        noted = false;
        if
        :: PENDING -> goto rouse
        :: else
        fi
     :: else
     fi
#endif
  od;

rouse: /* if somebody posted, the inbox does not say "dozing" any more */
  dozing = false;
  goto turn
}

init {
  atomic {
    run cpu();
    run sender(0);
    run sender(1)
  }
}

ltl nothing_is_lost {
  <>[] (seen[0] == SENDS && seen[1] == SENDS)
}

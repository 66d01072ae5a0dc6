/*
 * runtime/bounds.h - every limit of the house that more than one file knows.
 *
 * No heap after boot: each pool, queue and table is sized here. A limit that
 * only one file knows stands in that file.
 *
 * Not called limits.h: programs compile with -Iruntime, where that name would
 * hide the C library's.
 */
#ifndef EVSM_RUNTIME_BOUNDS_H
#define EVSM_RUNTIME_BOUNDS_H

#define CPUS_MAX 64u /* CPUs, and thus vCPUs, of one machine */

#define JOBS_RUNNING_MAX 16u /* jobs that have a stack; more wait in order */

#define JOB_PRIORITIES_MAX 3u /* uvx_job_priority_t */

#define BUDGET_US_DEFAULT 1000u /* a VMPL0 entry holds the vCPU no longer */
#define BUDGET_US_MIN 50u
#define BUDGET_US_MAX 1000000u

#define TRACE_RECORDS_MAX 8192u /* of a CPU: a power of two, 32 bytes each */

#endif /* EVSM_RUNTIME_BOUNDS_H */

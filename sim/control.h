/*
 * sim/control.h - the control socket of a running evsm, seen from a client.
 *
 * A UNIX socket. One request is one line with one JSON object; so is the
 * answer, in order:
 *
 *   {"do":"query","protocol":2,"version":1}    an SVSM QUERY_PROTOCOL
 *   {"do":"tpm","command":"8001..."}           an SVSM vTPM command, hex
 *   {"do":"stat"}                              the counters
 *
 *   {"ok":true, ...}   {"ok":false,"error":"what is wrong"}
 *
 * Requests are made by a vCPU of the guest, in the guest's queue
 * (sim/guest_control.c). Sockets stand in a folder of their user's own; the
 * newest that answers is the one talked to when none is named.
 *
 * Context: all of it is for host threads that may wait, but for the two
 * readers at the end, which anybody may use.
 */
#ifndef EVSM_SIM_CONTROL_H
#define EVSM_SIM_CONTROL_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

#define CONTROL_PATH_SIZE 108u           /* bytes: what sockaddr_un takes */
#define CONTROL_REQUEST_SIZE_MAX 12288u  /* bytes, the newline included */
#define CONTROL_ANSWER_SIZE_MAX 4194304u /* bytes */

/*
 * Where sockets stand: $XDG_RUNTIME_DIR/evsm, or /tmp/evsm-UID. Made if it is
 * absent, and refused unless it is ours and nobody else's.
 *
 * Returns:  0, or -1 with one line for a person in `why`.
 */
int control_directory(char* path, size_t size, char* why, size_t why_size);

/*
 * Listen on `path`, non-blocking. What a killed evsm left there is replaced; a
 * socket that still answers, and anything else, is not.
 *
 * Returns:  the descriptor, or -1 with one line for a person in `why`.
 */
int control_listen(const char* path, char* why, size_t why_size);

/*
 * Connect to the socket at `path`, or with NULL to the newest one. What is
 * wrong is said on standard error, after `who`.
 *
 * Returns:  the descriptor, or -1.
 */
int control_connect(const char* who, const char* path);

/*
 * Send `request` and wait for the answer, at most two minutes. What is wrong is
 * said on standard error after `who`, also an answer that is not ok.
 *
 * Memory:   the caller puts the answer (json_object_put); `request` stays his.
 * Returns:  the answer, or NULL.
 */
json_object* control_ask(const char* who, int fd, json_object* request);

/* ---- Reading JSON that somebody else wrote ---- */

/* The whole number `name` of `object`; false unless it is there, is one, and
 * is from 0 to `max`. */
bool control_number(json_object* object,
                    const char* name,
                    uint64_t max,
                    uint64_t* number);

/* The string `name` of `object`, which keeps it; NULL unless it is one. */
const char* control_text(json_object* object, const char* name);

#endif /* EVSM_SIM_CONTROL_H */

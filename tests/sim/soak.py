#!/usr/bin/env python3
# tests/sim/soak.py - one evsm for a long time, under clients of all kinds.
#
#   soak.py SECONDS [SEED]
#
# Goal:   however long it is used and abused: no client sees an error, none
#         starves, and evsm's memory and descriptors stay what they were.
# Method: RSA-2048 primaries, random numbers, PCRs, queries and the control
#         channel, each on a connection of its own, beside vandals that send
#         garbage, half requests and hang up in mid-command. Every few seconds a
#         line says how far it is. Figures of time are printed, not judged.
import random
import socket
import sys
import threading
import time

from evsm import *  # noqa: F401,F403: all of it is for tests

PROGRESS_SECONDS = 5
GROWTH_KB_MAX = 4096  # of resident memory, once everything has been touched
STARVED_SECONDS = 20


class Client(threading.Thread):
    """Does `turn` again and again, until the end or its first error."""

    def __init__(self, name, turn, end):
        super().__init__(name=name, daemon=True)
        self.turn, self.end = turn, end
        self.count, self.worst, self.error = 0, 0.0, None

    def run(self):
        try:
            while time.monotonic() < self.end:
                began = time.monotonic()
                self.turn(self.count)
                self.worst = max(self.worst, time.monotonic() - began)
                self.count += 1
        except Exception as error:
            self.error = "%s, after %d turns: %r" % (
                self.name, self.count, error)


def asker(evsm):
    """One connection to the data port; what it is asked must go well."""
    s = evsm.connect()

    def ask(data):
        s.sendall(data)
        answer = tpm_response(s)
        check(code(answer) == 0, "0x%x" % code(answer))
        return answer

    return ask


def honest(evsm, end):
    """Those that must not notice each other, nor the vandals."""
    rnd, pcr = asker(evsm), asker(evsm)
    control = socket.socket(socket.AF_UNIX)
    control.settimeout(PATIENCE)
    control.connect(evsm.control)

    tidier = evsm.connect()

    def primaries(index):
        """As a resource manager does: what vandals left there is flushed."""
        tidier.sendall(create_primary(b"soak %d" % index))
        answer = tpm_response(tidier)
        if code(answer) == 0x902:  # TPM_RC_OBJECT_MEMORY
            for handle in range(0x80000000, 0x80000003):
                tidier.sendall(flush(handle))
                tpm_response(tidier)
            return
        check(code(answer) == 0, "0x%x" % code(answer))
        tidier.sendall(flush(primary_of(answer)[0]))
        check(code(tpm_response(tidier)) == 0, "flush")

    def query(_):
        control.sendall(b'{"do":"query","protocol":2,"version":1}\n')
        answer = json.loads(receive_line(control))
        check(answer["ok"] and answer["version_max"] == 1, answer)

    def channel(_):
        time.sleep(0.01)
        check(evsm.channel(1, size=8)[:4] == b"\0\0\0\0", "no capabilities")

    return [
        Client("primaries", primaries, end),
        Client("getrandom", lambda _: rnd(get_random(32)), end),
        Client("pcrread", lambda _: pcr(PCR_READ), end),
        Client("queries", query, end),
        Client("channel", channel, end),
    ]


def some_bytes(rng):
    """Garbage, or the beginning of something that is none."""
    whole = rng.choice([
        get_random(16), PCR_READ, create_primary(b"vandal"),
        b'{"do":"query","protocol":0,"version":1}\n', b'{"do":"stat"}\n',
        struct.pack(">I", 1), struct.pack(">IB", 5, 0), rng.randbytes(600),
        command(rng.randrange(0x11F, 0x19A), rng.randbytes(40)),
    ])
    cut = len(whole) if rng.random() < 0.3 else rng.randrange(len(whole))
    data = bytearray(whole[:cut])
    # The first ten bytes stay: INIT and STOP, at the control channel, are not
    # garbage, and what they do is meant for all.
    for _ in range(rng.randrange(3) if len(data) > 12 else 0):
        data[rng.randrange(10, len(data))] = rng.randrange(256)
    return bytes(data)


def vandal(evsm, rng):
    def turn(_):
        data = some_bytes(rng)
        try:
            if rng.random() < 0.4:
                s = socket.socket(socket.AF_UNIX)
                s.settimeout(PATIENCE)
                s.connect(evsm.control)
            else:
                s = evsm.connect(rng.randrange(2))
            with s:
                s.sendall(data)
                if rng.random() < 0.5:
                    s.settimeout(0.02)
                    s.recv(4096)
        except (socket.timeout, ConnectionError, BrokenPipeError):
            pass  # a vandal's own fault
        time.sleep(rng.random() * 0.02)

    return turn


def memory_kb(evsm):
    """Resident memory, and how many descriptors are open."""
    with open("/proc/%d/status" % evsm.process.pid) as status:
        kb = [int(line.split()[1]) for line in status if "VmRSS" in line][0]
    return kb, len(os.listdir("/proc/%d/fd" % evsm.process.pid))


def say(evsm, clients, began):
    kb, fds = memory_kb(evsm)
    counts = ", ".join("%s %d" % (c.name, c.count) for c in clients)
    print("%4d s: %s; %d kB, %d descriptors" % (
        time.monotonic() - began, counts, kb, fds), flush=True)
    return kb


def watch(evsm, clients, began, end):
    """Until the end: a line every few seconds. Returns the memory after a
    quarter of the time, when all there is has been touched."""
    settled_kb = None
    seen = [(0, began)] * len(clients)
    while time.monotonic() < end and not any(c.error for c in clients):
        time.sleep(max(0.1, min(PROGRESS_SECONDS, end - time.monotonic())))
        kb = say(evsm, clients, began)
        now = time.monotonic()
        if settled_kb is None and now - began > (end - began) / 4:
            settled_kb = kb
        for i, client in enumerate(clients):
            if client.count != seen[i][0]:
                seen[i] = (client.count, now)
            check(now - seen[i][1] < STARVED_SECONDS,
                  client.name + " is starved")
    return settled_kb


def print_figures(evsm, clients):
    stat = evsm.stat()
    for client in clients:
        print("  %-10s %7d turns, the longest %.1f ms" % (
            client.name, client.count, client.worst * 1e3))
    print("  residency, us: %s" % json.dumps(stat["residency_us"]))
    print("  past the budget of %d us: %s" % (
        stat["budget_us"], json.dumps(stat["overrun_us"])))
    print("  TPM memory: %d bytes in use, %d at most" % (
        stat["tpm"]["memory_used"], stat["tpm"]["memory_used_max"]))
    return stat


def soak(seconds, seed):
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder, Evsm(
            "--cpus", "4", state=folder + "/state") as evsm:
        fds_before = memory_kb(evsm)[1]
        began = time.monotonic()
        end = began + seconds
        clients = honest(evsm, end)
        for i in range(3):
            clients.append(Client("vandal %d" % i, vandal(
                evsm, random.Random(rng.random())), end))
        for client in clients:
            client.start()
        settled_kb = watch(evsm, clients, began, end)
        for client in clients:
            client.join(PATIENCE)
            check(client.error is None, client.error)
            check(not client.is_alive(), client.name + " is starved")
            client.turn = None  # its connection with it
        time.sleep(0.5)  # evsm may take that long to see that all have left
        kb, fds = memory_kb(evsm)
        print_figures(evsm, clients)
        check(fds <= fds_before, "%d descriptors, %d before" % (
            fds, fds_before))
        check(settled_kb is not None, "too few seconds to judge memory")
        check(kb - settled_kb < GROWTH_KB_MAX, "memory grew by %d kB"
              % (kb - settled_kb))


def main():
    seconds = int(sys.argv[1])
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else int(time.time())
    print("tests/sim/soak.py %d %d plays these vandals" % (seconds, seed),
          flush=True)
    soak(seconds, seed)
    print("1 passed, 0 failed")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# tests/run.py - run the tests on a list, and say how many passed.
#
# The list is JSON, written by the build (build/run/TARGET.json): one entry a
# program, with what it is, how long it may take and how it is started. Each is
# a process of its own, in a session of its own, so that what it leaves behind
# is found and ended. Two run at a time, those that may take long first; those
# marked `alone` run by themselves at the end. A finished program is one line;
# its output is shown only when it failed, LIVE's as it comes. Every half
# minute without such a line, what is running is named.
#
# The promise: the last line is `N passed, N failed`, it counts single tests
# where a program tells of them (cmocka) and programs where it doesn't, and the
# status is 1 when anything failed, also when a program told of no failure but
# ended badly.
#
# Not here: which tests there are (tests/SConscript), the house rules (tidy.py).
import argparse
import difflib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

CMOCKA_DONE = re.compile(r"^\[  (PASSED|FAILED)  \] .*?(\d+) test\(s\)", re.M)
TAP_LINE = re.compile(r"^(ok|not ok) \d+", re.M)
QUIET_SECONDS = 30
LIVE = ("soak", "bench")  # kinds that take long, and tell how far they are
SUMMARY = re.compile(r"^(\d+) passed, (\d+) failed$", re.M)


def count(output, status, single=False):
    """How many tests passed and failed, by what a program printed."""
    if single:
        return int(status == 0), int(status != 0)
    passed = failed = 0
    summaries = SUMMARY.findall(output)
    if summaries:
        passed, failed = (int(n) for n in summaries[-1])
    elif CMOCKA_DONE.search(output):
        for verdict, number in CMOCKA_DONE.findall(output):
            if verdict == "PASSED":
                passed += int(number)
            else:
                failed += int(number)
    else:
        for verdict in TAP_LINE.findall(output):
            passed += verdict == "ok"
            failed += verdict == "not ok"
    if status != 0 and failed == 0:
        failed = 1
    if status == 0 and passed == 0 and failed == 0 and not summaries:
        passed = 1
    return passed, failed


def end_session(pid):
    """End what a program left running. Returns whether there was anything."""
    try:
        os.killpg(pid, signal.SIGKILL)
        return True
    except (ProcessLookupError, PermissionError):
        return False


def listen(child, entry):
    """All that a program says until its end. A soak may take hours, so its
    lines are shown as they come; a bench takes minutes."""
    if entry["kind"] not in LIVE:
        return child.communicate(timeout=entry["timeout"])[0]
    lines = []

    def show():
        for line in child.stdout:
            lines.append(line)
            print("    " + line.decode(errors="replace"), end="", flush=True)

    reader = threading.Thread(target=show)
    reader.start()
    try:
        child.wait(entry["timeout"])
    except subprocess.TimeoutExpired:
        end_session(child.pid)
        reader.join()
        raise
    reader.join()
    return b"".join(lines)


def run_program(entry):
    """Start a program, wait for its end; (status, output, seconds)."""
    env = dict(os.environ, **entry.get("env", {}))
    began = time.monotonic()
    child = subprocess.Popen(
        entry["argv"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env=env,
        cwd=entry.get("cwd"),
    )
    try:
        raw = listen(child, entry)
        status = child.returncode
        note = ""
    except subprocess.TimeoutExpired:
        end_session(child.pid)
        raw = child.communicate()[0]
        status = 124
        note = "\nstopped after %d s\n" % entry["timeout"]
    end_session(child.pid)
    if status < 0:
        note += "\nended by signal %d (%s)\n" % (
            -status, signal.Signals(-status).name)
    output = raw.decode(errors="replace") + note
    return status, output, time.monotonic() - began


def run_compat(entry):
    """The same program on ours and on libuv: equal output, equal status."""
    theirs = run_program(dict(entry, argv=entry["peer"]))
    ours = run_program(entry)
    seconds = ours[2] + theirs[2]
    if ours[:2] == theirs[:2]:
        return ours[0], "", seconds
    lines = difflib.unified_diff(
        theirs[1].splitlines(), ours[1].splitlines(),
        "libuv (status %d)" % theirs[0], "ours (status %d)" % ours[0],
        lineterm="")
    return ours[0] or 1, "\n".join(lines), seconds


def run_model(entry):
    """A spin checker's exit status says nothing; its report does."""
    status, output, seconds = run_program(entry)
    whole = ("State-vector" in output and "Search not completed" not in output
             and "max search depth too small" not in output)
    errors = re.search(r"errors: (\d+)", output)
    if status != 0 or errors is None:
        return status or 1, output, seconds
    found = int(errors.group(1)) > 0
    if entry.get("fails"):
        note = "" if found else "\nthe checker found no error: it must here"
        return int(not found), output + note, seconds
    if not whole:
        output += "\nthe search was not complete"
    return int(found or not whole), output, seconds


KINDS = {"compat": run_compat, "model": run_model}


class Board:
    """What is to be run and what has been, shared by the workers."""

    def __init__(self, entries):
        self.waiting = sorted(
            entries, key=lambda e: -e.get("timeout", 0) if not e.get("alone")
            else 1)
        self.total = len(entries)
        self.lock = threading.Lock()
        self.running = {}
        self.news = time.monotonic()
        self.done = self.passed = self.failed = 0
        self.broken = []

    def take(self, alone):
        """The next entry of those that run alone, or of the others."""
        with self.lock:
            for at, entry in enumerate(self.waiting):
                if bool(entry.get("alone")) == alone:
                    self.running[id(entry)] = title(entry)
                    return self.waiting.pop(at)
        return None

    def say_what_runs(self):
        with self.lock:
            if self.running and time.monotonic() - self.news > QUIET_SECONDS:
                self.news = time.monotonic()
                print("[%d/%d] still running: %s" % (
                    self.done, self.total,
                    ", ".join(sorted(self.running.values()))), flush=True)

    def finish(self, entry, status, output, seconds):
        passed, failed = count(output, status, entry.get("single"))
        with self.lock:
            del self.running[id(entry)]
            self.news = time.monotonic()
            self.done += 1
            self.passed += passed
            self.failed += failed
            print("[%d/%d] %-4s %s: %d passed, %d failed, %.1f s" % (
                self.done, self.total, "ok" if failed == 0 else "FAIL",
                title(entry), passed, failed, seconds), flush=True)
            if failed:
                self.broken.append(title(entry))
            if failed:
                print(indent(output), flush=True)
                print("    again: %s" % again(entry), flush=True)


def title(entry):
    return "%s %s" % (entry["variant"], entry["name"])


def again(entry):
    """The command that runs one entry by hand."""
    words = ["%s=%s" % item for item in entry.get("env", {}).items()]
    if "cwd" in entry:
        words = ["cd", entry["cwd"], "&&"] + words
    return " ".join(words + entry["argv"])


def indent(text):
    return "".join("    " + line + "\n" for line in text.splitlines())


def work(board, alone):
    while True:
        entry = board.take(alone)
        if entry is None:
            return
        for path in entry.get("folders", []):
            os.makedirs(path, exist_ok=True)
        try:
            status, output, seconds = KINDS.get(
                entry["kind"], run_program)(entry)
        except OSError as error:
            status, output, seconds = 127, "can't start: %s" % error, 0.0
        board.finish(entry, status, output, seconds)


def run_all(board, count, alone):
    workers = [threading.Thread(target=work, args=(board, alone))
               for _ in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        while worker.is_alive():
            worker.join(1)
            board.say_what_runs()


def main():
    parser = argparse.ArgumentParser(description="run the tests on a list")
    parser.add_argument("--list", required=True, help="JSON, by the build")
    parser.add_argument("--only", default="", help="names that contain this")
    parser.add_argument("--serial", action="store_true",
                        help="one at a time")
    parser.add_argument("--seconds", type=int, help="how long each may run")
    args = parser.parse_args()

    with open(args.list) as listing:
        entries = json.load(listing)
    entries = [e for e in entries
               if args.only in title(e)]
    if not entries:
        print("nothing in %s has a name that contains '%s'" % (
            args.list, args.only))
    for entry in entries:
        if args.seconds is not None:
            entry["argv"] = [w.replace("@SECONDS@", str(args.seconds))
                             for w in entry["argv"]]
            entry["timeout"] = args.seconds + 120

    board = Board(entries)
    run_all(board, 1 if args.serial else 2, alone=False)
    run_all(board, 1, alone=True)

    if board.broken:
        print("failed: " + ", ".join(board.broken))
    print("%d passed, %d failed" % (board.passed, board.failed), flush=True)
    return 1 if board.failed or board.passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())

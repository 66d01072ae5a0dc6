#!/usr/bin/env python3
# tests/test_run.py - the runner counts right, and ends what hangs.
#
# Goal:   the last line and the status are true whatever a program does: it
#         fails, crashes, hangs, says nothing, or leaves children behind.
# Method: run run.py as the build does, on lists of small shell programs.
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))

CMOCKA = """[==========] Running 3 test(s).
[  PASSED  ] 2 test(s).
[  FAILED  ] tests: 1 test(s), listed below:
[  FAILED  ] a_test
"""
MODEL = "State-vector 28 byte, depth reached 4, errors: %d\n"

# (what, entry, last line, status)
CASES = [
    ("silent success is one", {"sh": "true"}, "1 passed, 0 failed", 0),
    ("silent failure is one", {"sh": "exit 3"}, "0 passed, 1 failed", 1),
    ("a crash is a failure", {"sh": "kill -SEGV $$"}, "0 passed, 1 failed", 1),
    ("cmocka's tests count", {"sh": "echo '%s'; exit 1" % CMOCKA},
     "2 passed, 1 failed", 1),
    ("TAP counts", {"sh": "echo 'ok 1 - a'; echo 'not ok 2 - b'; exit 1"},
     "1 passed, 1 failed", 1),
    ("a summary counts", {"sh": "echo '7 passed, 0 failed'"},
     "7 passed, 0 failed", 0),
    ("all passed but a bad end", {"sh": "echo '7 passed, 0 failed'; exit 1"},
     "7 passed, 1 failed", 1),
    ("a summary of failures is believed over the status",
     {"sh": "echo '1 passed, 2 failed'"}, "1 passed, 2 failed", 1),
    ("a program that hangs is ended", {"sh": "sleep 1000", "timeout": 1},
     "0 passed, 1 failed", 1),
    ("a single test counts once",
     {"sh": "echo '90 passed, 0 failed'", "single": True},
     "1 passed, 0 failed", 0),
    ("a program that isn't there", {"argv": ["./nosuch"]},
     "0 passed, 1 failed", 1),
    ("equal outputs", {"kind": "compat", "sh": "echo a",
                       "peer": ["echo", "a"]}, "1 passed, 0 failed", 0),
    ("outputs that differ", {"kind": "compat", "sh": "echo a",
                             "peer": ["echo", "b"]}, "0 passed, 1 failed", 1),
    ("statuses that differ", {"kind": "compat", "sh": "true",
                              "peer": ["false"]}, "0 passed, 1 failed", 1),
    ("equal failures", {"kind": "compat", "sh": "exit 1",
                        "peer": ["false"]}, "0 passed, 1 failed", 1),
    ("a model that holds", {"kind": "model", "sh": "echo '%s'" % (MODEL % 0)},
     "1 passed, 0 failed", 0),
    ("a model that fails", {"kind": "model", "sh": "echo '%s'" % (MODEL % 1)},
     "0 passed, 1 failed", 1),
    ("a model cut short", {"kind": "model", "sh": "echo '%s'; echo 'error: "
                           "max search depth too small'" % (MODEL % 0)},
     "0 passed, 1 failed", 1),
    ("a mutant that is caught",
     {"kind": "model", "sh": "echo '%s'" % (MODEL % 1), "fails": True},
     "1 passed, 0 failed", 0),
    ("a mutant that is missed",
     {"kind": "model", "sh": "echo '%s'" % (MODEL % 0), "fails": True},
     "0 passed, 1 failed", 1),
]


def run(entries, *words):
    """run.py on a list; its lines and its status."""
    whole = []
    for entry in entries:
        filled = dict(
            {"kind": "unit", "variant": "host", "name": "x", "timeout": 20},
            **entry)
        if "sh" in filled:
            filled["argv"] = ["bash", "-c", filled.pop("sh")]
        whole.append(filled)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as listing:
        json.dump(whole, listing)
        listing.flush()
        done = subprocess.run(
            [sys.executable, os.path.join(HERE, "run.py"), "--list",
             listing.name] + list(words), capture_output=True, text=True)
    return (done.stdout + done.stderr).splitlines(), done.returncode


def leaves_nothing_running():
    """A child in the background doesn't outlive its test."""
    with tempfile.TemporaryDirectory() as folder:
        pid_file = os.path.join(folder, "pid")
        run([{"sh": "sleep 1000 >/dev/null 2>&1 & echo $! >%s" % pid_file}])
        with open(pid_file) as stream:
            pid = stream.read().strip()
        try:
            with open("/proc/%s/stat" % pid) as stat:
                return stat.read().rsplit(")", 1)[1].split()[0] == "Z"
        except FileNotFoundError:
            return True


def verdicts():
    for what, entry, last, status in CASES:
        lines, code = run([entry])
        yield what, (None if (lines[-1], code) == (last, status) else lines)
    lines, code = run([{"sh": "true"}, {"sh": "false", "name": "y"}])
    yield "a sum", (None if lines[-1] == "1 passed, 1 failed" else lines)
    lines, code = run([{"sh": "true"}, {"sh": "false", "name": "y"}],
                      "--only", "x")
    yield "only some", (None if lines[-1] == "1 passed, 0 failed" else lines)
    lines, code = run([{"sh": "true"}], "--only", "nosuch")
    yield "nothing to run is a failure", (
        None if (lines[-1], code) == ("0 passed, 0 failed", 1) else lines)
    yield "children are ended", (
        None if leaves_nothing_running() else ["one lives on"])


def main():
    passed = failed = 0
    for what, wrong in verdicts():
        if wrong is None:
            passed += 1
        else:
            failed += 1
            print("%s:\n    %s" % (what, "\n    ".join(wrong)))
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

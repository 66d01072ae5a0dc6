#!/usr/bin/env python3
# tests/bench/runtime.py - evsm's loop beside Debian's libuv1, in one run.
#
#   runtime.py OURS LIBUV FLOORS [ROUNDS]
#
# Each group of cases is a process of its own, on each side; the sides take
# turns, and who goes first changes from round to round. What is shown is the
# median of each case over all rounds. A table for people comes first;
# build/bench/runtime.json has the same numbers (DESIGN.md section 12), and
# build/bench/floors.json our round trips beside bare eventfds and futexes.
#
# The promise: no case is left out because it looks bad.
import json
import os
import statistics
import subprocess
import sys

GROUPS = ("loop", "timers", "asyncs", "trips", "works")

# What a round trip is laid beside: not a peer that one could use instead, but
# what waking a thread costs on this machine by any means.
FLOORS = [
    ("async round trip, one CPU", "floor: eventfd ping-pong, one CPU"),
    ("async round trip, two CPUs, polling", "floor: cache line ping-pong"),
    ("async round trip, two CPUs, kept awake",
     "floor: eventfd ping-pong, two CPUs"),
    ("async round trip, two CPUs, halted",
     "floor: eventfd ping-pong, halted"),
]


def measure(argv, into):
    """Run one process; add its numbers to into[case]."""
    out = subprocess.run(argv, capture_output=True, text=True, timeout=300)
    if out.returncode != 0:
        sys.exit("%s ended with %d: %s" % (
            " ".join(argv), out.returncode, out.stderr.strip()))
    for line in out.stdout.splitlines():
        case, value, unit, n = line.split("\t")
        entry = into.setdefault(case, {"values": [], "unit": unit, "n": n})
        entry["values"].append(float(value))


def median(entry):
    return statistics.median(entry["values"])


def row(case, ours, peer, peer_name):
    """One row as DESIGN.md section 12 has it; all cases are times."""
    mine, theirs = median(ours), median(peer)
    return {
        "case": case,
        "ours": round(mine, 2),
        "peer": round(theirs, 2),
        "peer_name": peer_name,
        "ratio": round(theirs / mine, 3) if mine else 0.0,
        "unit": ours["unit"],
        "better": "lower",
        "n": int(ours["n"]) * len(ours["values"]),
    }


def table(title, rows):
    print("\n%-52s %12s %12s %8s" % (title, "evsm", rows[0]["peer_name"]
                                     if rows else "", "ratio"))
    for r in rows:
        mark = "" if r["ratio"] >= 1 else "  behind"
        print("%-52s %9.1f %s %9.1f %s %7.2fx%s" % (
            r["case"], r["ours"], r["unit"], r["peer"], r["unit"],
            r["ratio"], mark))


def save(name, rows):
    os.makedirs("build/bench", exist_ok=True)
    path = "build/bench/%s.json" % name
    with open(path, "w") as out:
        json.dump(rows, out, indent=1)
        out.write("\n")
    print("written to %s" % path)


def main():
    ours_path, peer_path, floors_path = sys.argv[1:4]
    rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 5
    ours, peer, floors = {}, {}, {}
    for turn in range(rounds):
        sides = [(ours_path, ours), (peer_path, peer)]
        if turn % 2:
            sides.reverse()
        for group in GROUPS:
            for path, into in sides:
                measure([path, group], into)
        measure([floors_path], floors)
        print("round %d of %d done" % (turn + 1, rounds), flush=True)

    rows = [row(c, ours[c], peer[c], "libuv 1.44.2") for c in ours]
    table("medians of %d runs" % rounds, rows)
    print("\n%-52s %12s" % ("what the machine costs", ""))
    for case, entry in floors.items():
        print("%-52s %9.1f %s" % (case, median(entry), entry["unit"]))
    beside = [row(c, ours[c], floors[f], f) for c, f in FLOORS]
    table("round trips beside the floor", [dict(
        b, peer_name="the floor") for b in beside])
    save("runtime", rows)
    save("floors", beside)
    behind = [r["case"] for r in rows if r["ratio"] < 1]
    if behind:
        print("behind in: %s" % "; ".join(behind))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# tests/size.py - what the products weigh, and how deep their stacks go.
#
#   size.py build/host
#
# The sizes are binutils'. Frames and calls come from the call graphs that gcc
# leaves beside each object (-fcallgraph-info=su). Third-party objects have no
# such graph and calls through pointers lead nowhere, so a chain's depth is a
# lower bound; where one of those is on the chain, it says so.
import glob
import os
import re
import subprocess
import sys

SHOWN = 10
FOLDERS = ("runtime", "crypto", "handlers", "sim")


def read_graphs(top):
    """Frames in bytes and callees, by function."""
    frames, calls = {}, {}
    for folder in FOLDERS:
        for path in sorted(glob.glob(
                os.path.join(top, folder, "**", "*.ci"), recursive=True)):
            with open(path) as graph:
                text = graph.read()
            for name, label in re.findall(
                    r'node: { title: "([^"]+)" label: "([^"]+)"', text):
                size = re.search(r"(\d+) bytes", label)
                if size:
                    frames[name] = int(size.group(1))
            for caller, callee in re.findall(
                    r'edge: { sourcename: "([^"]+)" targetname: "([^"]+)"',
                    text):
                calls.setdefault(caller, set()).add(callee)
    return frames, calls


def deepest(name, frames, calls, known, above):
    """(bytes, chain) of the deepest chain that begins with a function."""
    if name in known:
        return known[name]
    if name in above:
        return 0, ["%s (again)" % plain(name)]
    best = (0, [])
    for callee in sorted(calls.get(name, ())):
        if callee in frames:
            found = deepest(callee, frames, calls, known, above | {name})
        else:
            found = (0, ["?"])
        if found[0] > best[0] or not best[1]:
            best = found
    known[name] = (frames[name] + best[0], [plain(name)] + best[1])
    return known[name]


def plain(name):
    return name.rsplit(":", 1)[-1]


def main():
    if len(sys.argv) != 2:
        sys.stderr.write("use: size.py build/host\n")
        return 2
    top = sys.argv[1]
    products = [os.path.join(top, n) for n in ("evsm", "libevsm-uv.a")]
    for path in products:
        if os.path.exists(path):
            words = ["size"] + (["-t"] if path.endswith(".a") else [])
            print(path, flush=True)
            subprocess.call(words + [path])

    frames, calls = read_graphs(top)
    print("\nlargest frames, in bytes")
    for name in sorted(frames, key=frames.get, reverse=True)[:SHOWN]:
        print("%7d  %s" % (frames[name], name))

    called = set().union(*calls.values()) if calls else set()
    known = {}
    chains = [deepest(name, frames, calls, known, frozenset())
              for name in sorted(frames) if name not in called]
    print("\ndeepest calls, in bytes of stack (? is a callee without a graph)")
    for size, chain in sorted(chains, reverse=True)[:SHOWN]:
        print("%7d  %s" % (size, " > ".join(chain)))
    return 0


if __name__ == "__main__":
    sys.exit(main())

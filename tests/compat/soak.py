#!/usr/bin/env python3
# tests/compat/soak.py - random programs on both libraries, seed after seed.
#
#   soak.py OURS LIBUV SECONDS [FIRST-SEED]
#
# Both sides of random_ops.c run the same hundred seeds, and what they print
# must be equal. The first difference ends it, with the seed and the two
# commands that show it again. Seeds begin at a new place each run, which is
# printed, so that a soak looks where no soak has looked before.
import subprocess
import sys
import time

BATCH = 100


def run(path, first, count):
    out = subprocess.run([path, str(first), str(count)], timeout=600,
                         capture_output=True)
    return out.returncode, out.stdout


def main():
    ours, libuv, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3])
    began = time.monotonic()
    first = int(sys.argv[4]) if len(sys.argv) > 4 else (
        int(time.time()) % 40000 * 100000)
    seed, told = first, began
    print("from seed %d" % first, flush=True)
    while time.monotonic() - began < seconds:
        if run(ours, seed, BATCH) != run(libuv, seed, BATCH):
            for one in range(seed, seed + BATCH):
                if run(ours, one, 1) != run(libuv, one, 1):
                    print("seed %d differs: diff <(%s %d) <(%s %d)" % (
                        one, libuv, one, ours, one))
                    sys.exit(1)
            print("seeds %d to %d differ, but not one by one" % (
                seed, seed + BATCH - 1))
            sys.exit(1)
        seed += BATCH
        if time.monotonic() - told > 10:
            told = time.monotonic()
            print("%d seeds, all equal" % (seed - first), flush=True)
    print("%d seeds, all equal" % (seed - first))


if __name__ == "__main__":
    main()

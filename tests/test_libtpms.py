#!/usr/bin/env python3
# tests/test_libtpms.py - the link step of libtpms (crypto/libtpms.py).
#
# Goal:   an archive that is not the one this build knows is refused, by name,
#         and the one that it knows becomes an object with no strangers in it.
# Method: the real archive, and copies in which one member is exchanged or taken
#         out. Each line says `ok` or what is wrong; the last is the count.
import os
import shutil
import subprocess
import sys
import tempfile

ARCHIVE = "/usr/lib/x86_64-linux-gnu/libtpms.a"
MEMBER = "libtpms_tpm2_la-Unique.o"  # small: defines _plat__GetUnique only
STRANGER = """
unsigned tomorrows_function(unsigned which);
unsigned _plat__GetUnique(unsigned which) { return tomorrows_function(which); }
"""


def run(*argv):
    done = subprocess.run(argv, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def link(archive, room):
    obj = os.path.join(room, "libtpms.o")
    record = os.path.join(room, "libtpms.txt")
    status, words = run("crypto/libtpms.py", archive, obj, record)
    return status, words, obj, record


def known_archive(room):
    status, words, obj, record = link(ARCHIVE, room)
    if status != 0:
        return words
    with open(record) as f:
        lines = dict(line.split(" ", 1) for line in f)
    if len(lines["sha256"].strip()) != 64:
        return "the record has no checksum"
    if not lines["package"].startswith("libtpms-dev "):
        return "the record names no package"
    bad = {"malloc", "fopen", "BN_cmp", "rand", "setjmp", "_setjmp"}
    bad &= set(lines["imports"].split())
    if bad:
        return "imports %s" % bad
    status, words = run("nm", "-g", "--defined-only", obj)
    if "CryptRsaGenerateKey" in words or "TPMLIB_Process" not in words:
        return "what is private is not"
    return None


def unknown_import(room):
    archive = shutil.copy(ARCHIVE, os.path.join(room, "strange.a"))
    source = os.path.join(room, "stranger.c")
    with open(source, "w") as f:
        f.write(STRANGER)
    member = os.path.join(room, MEMBER)
    run("gcc", "-c", source, "-o", member)
    run("ar", "r", archive, member)
    status, words, obj, _ = link(archive, room)
    if status == 0:
        return "was linked"
    if "tomorrows_function" not in words:
        return "does not say which: " + words
    return None


def missing_member(room):
    archive = shutil.copy(ARCHIVE, os.path.join(room, "poor.a"))
    run("ar", "d", archive, "libtpms_tpm2_la-Clock.o")
    status, words, _, _ = link(archive, room)
    if status == 0 or "libtpms_tpm2_la-Clock.o" not in words:
        return "was not refused: " + words
    return None


def no_archive(room):
    status, words, _, _ = link(os.path.join(room, "none.a"), room)
    return None if status == 1 and "none.a" in words else words


def main():
    failed = 0
    cases = [known_archive, unknown_import, missing_member, no_archive]
    for case in cases:
        with tempfile.TemporaryDirectory() as room:
            wrong = case(room)
        print("%s: %s" % (case.__name__, wrong or "ok"))
        failed += wrong is not None
    print("%d passed, %d failed" % (len(cases) - failed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

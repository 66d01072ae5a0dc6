#!/usr/bin/env python3
# tests/symbols.py - what the products import, and from whom.
#
#   symbols.py freestanding OBJECT...   objects of the freestanding variant
#   symbols.py product EVSM             the simulator as it is linked
#
# The promise: objects of runtime/, crypto/ and handlers/ import nothing of a C
# library but the five functions of runtime/base.h, and evsm has no libcrypto:
# it needs only the shared libraries named below, and no OpenSSL is linked in
# (it would bring names and strings that nobody else has).
#
# Each line says `ok` or what is wrong; the last is `N passed, N failed`.
import importlib.util
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# What a C compiler may call on its own, and base.h therefore declares.
FROM_THE_MACHINE = {"memcpy", "memmove", "memset", "memcmp", "strlen"}

# Bare machines link the compiler's own runtime (libgcc) too.
FROM_THE_COMPILER = {"__popcountdi2", "__udivti3", "__umodti3"}

# The simulator is a Linux program. JSON is left to a library of Debian's.
NEEDED = {
    "libc.so.6",
    "libm.so.6",
    "libjson-c.so.5",
    "ld-linux-x86-64.so.2",
}

# Of OpenSSL's names we define what libtpms imports (crypto/libtpms.py lists
# that) and nothing else; whatever is linked of libcrypto brings more.
OPENSSL_NAME = re.compile(
    "(OPENSSL|CRYPTO|ERR|OSSL|ossl|AES|ASN1|BIO|BN|Camellia|DES|EC|ECDSA|EVP|"
    "OBJ|RAND|RSA|SHA1|SHA256|SHA384|SHA512|X509)_")

# What our own files use besides.
OPENSSL_OURS = {"BN_cmp"}

# In each of its assembly files, and in the name of its shared library.
OPENSSL_STRINGS = (b"CRYPTOGAMS", b"libcrypto.so")

# A stripped image shows no names. Ours has this one.
OUR_NAME = "crypto_random"


def tool(*words):
    return subprocess.run(words, capture_output=True, text=True,
                          check=True).stdout


def imported():
    """What libtpms wants of libcrypto, and the house therefore defines."""
    spec = importlib.util.spec_from_file_location(
        "libtpms", os.path.join(TOP, "crypto/libtpms.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return set(module.LIBCRYPTO)


def names(paths, undefined):
    """Names that objects define, or that they import. Weak ones count."""
    found = set()
    if not paths:
        return found
    for line in tool("nm", "-g", "-P", *paths).splitlines():
        words = line.split()
        if len(words) >= 2 and (words[1] in "Uwv") == undefined:
            found.add(words[0])
    return found


def check_freestanding(paths):
    allowed = FROM_THE_MACHINE | FROM_THE_COMPILER | names(
        paths, undefined=False)
    for path in paths:
        strangers = {
            n for n in names([path], undefined=True) - allowed
            if not third_party(n)
        }
        if strangers:
            yield path, "imports " + ", ".join(sorted(strangers))
        else:
            yield path, None


HOUSE = ("uv_", "uv__", "uvx_", "arch_", "platform_", "base_", "br_", "TPM",
         "_plat__", "libc_", "trace_")


# libtpms's names that have no prefix of its own (handlers/tpm_platform.c).
LIBTPMS = {
    "_GLOBAL_OFFSET_TABLE_", "ExecuteCommand", "s_adjustRate",
    "s_hostMonotonicAdjustTime", "s_lastReportedTime", "s_lastSystemTime",
    "s_realTimePrevious", "s_suspendedElapsedTime", "s_timerReset",
    "s_timerStopped", "s_tpmTime",
}


def third_party(name):
    """Names that another part of the image provides: the machine (arch.h,
    platform.h), BearSSL, libtpms."""
    return name.startswith(HOUSE) or name in LIBTPMS


def check_product(path):
    needed = {
        line.split("[", 1)[1].rstrip("]")
        for line in tool("readelf", "-d", path).splitlines()
        if "(NEEDED)" in line
    }
    strangers = needed - NEEDED
    yield "shared libraries", (
        "needs " + ", ".join(sorted(strangers)) if strangers else None)

    defined = {
        words[0].split(".")[0]
        for words in map(str.split, tool("nm", "-P", path).splitlines())
        if len(words) >= 2 and words[1] in "Tt"  # data is not code
    }
    foreign = {n for n in defined if OPENSSL_NAME.match(n)}
    foreign -= imported() | OPENSSL_OURS
    wrong = None
    if OUR_NAME not in defined:
        wrong = "can't be judged: there is no %s" % OUR_NAME
    elif foreign:
        wrong = "has %d, such as %s" % (
            len(foreign), ", ".join(sorted(foreign)[:10]))
    yield "names of OpenSSL", wrong

    with open(path, "rb") as image:
        text = image.read()
    found = [s.decode() for s in OPENSSL_STRINGS if s in text]
    yield "strings of OpenSSL", "has " + ", ".join(found) if found else None


def main():
    if len(sys.argv) < 2 or sys.argv[1] not in ("freestanding", "product"):
        sys.stderr.write("use: symbols.py freestanding OBJECT... | "
                         "product EVSM\n")
        return 2
    if sys.argv[1] == "freestanding":
        findings = check_freestanding(sys.argv[2:])
    elif os.path.exists(sys.argv[2]):
        findings = check_product(sys.argv[2])
    else:
        findings = [(sys.argv[2], "is not there")]
    passed = failed = 0
    for what, wrong in findings:
        if wrong is None:
            passed += 1
        else:
            failed += 1
            print("%s: %s" % (what, wrong))
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

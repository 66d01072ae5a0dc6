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
import os
import subprocess
import sys

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

# Names that OpenSSL defines and libtpms does not import, so that we have no
# reason to define them; and a string that each of its builds carries.
OPENSSL_NAMES = {
    "OPENSSL_init_crypto",
    "OpenSSL_version_num",
    "CRYPTO_malloc",
    "ERR_put_error",
    "ERR_new",
    "OSSL_LIB_CTX_new",
    "OSSL_PROVIDER_load",
    "RAND_DRBG_new",
    "EVP_PKEY_CTX_new_from_name",
    "ossl_rand_ctx_new",
}
OPENSSL_STRING = b"part of OpenSSL"


def tool(*words):
    return subprocess.run(words, capture_output=True, text=True,
                          check=True).stdout


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

    here = {line.split()[0] for line in tool(
        "nm", "-P", path).splitlines() if line.strip()}
    foreign = {n.split("@")[0] for n in here} & OPENSSL_NAMES
    yield "names of OpenSSL", (
        "has " + ", ".join(sorted(foreign)) if foreign else None)

    with open(path, "rb") as image:
        found = OPENSSL_STRING in image.read()
    yield "strings of OpenSSL", (
        "has '%s'" % OPENSSL_STRING.decode() if found else None)


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

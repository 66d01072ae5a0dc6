#!/usr/bin/env python3
# tests/test_symbols.py - whether tests/symbols.py finds what it looks for.
#
# Goal:   a product with any of libcrypto in it, linked in or loaded, is
#         refused, also when it is stripped; one without it passes.
# Method: small programs with a name of ours, and one function of OpenSSL's
#         each. Each line says `ok` or what is wrong; the last is the count.
import os
import subprocess
import sys
import tempfile

LIBCRYPTO = "/usr/lib/x86_64-linux-gnu/libcrypto.a"
PROGRAM = """
%s
void crypto_random(void* buf, unsigned long size);
void crypto_random(void* buf, unsigned long size) { (void) buf; (void) size; }
int main(void) { return %s; }
"""


def judge(room, declaration, value, *words):
    """What symbols.py says of a program: its status and its words."""
    source = os.path.join(room, "program.c")
    program = os.path.join(room, "program")
    with open(source, "w") as out:
        out.write(PROGRAM % (declaration, value))
    subprocess.run(["gcc", "-o", program, source, *words], check=True)
    done = subprocess.run(["tests/symbols.py", "product", program],
                          capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def refused(found, *expected):
    status, words = found
    lost = [w for w in expected if w not in words]
    return None if status == 1 and not lost else "was judged so: " + words


def none_of_it(room):
    status, words = judge(room, "", "0")
    return None if status == 0 else words


# The smallest member there is: it brings no error strings and no providers.
def one_hash(room):
    return refused(
        judge(room, "#include <openssl/sha.h>",
              "SHA1_Init(&(SHA_CTX){0})", "-Wno-deprecated-declarations",
              LIBCRYPTO), "CRYPTO_memcmp", "CRYPTOGAMS")


def one_number(room):
    return refused(
        judge(room, "#include <openssl/bn.h>", "BN_new() == 0", LIBCRYPTO,
              "-lpthread", "-ldl"), "names of OpenSSL: has", "CRYPTOGAMS")


def the_shared_library(room):
    return refused(
        judge(room, "#include <openssl/bn.h>", "BN_new() == 0", "-lcrypto"),
        "needs libcrypto.so.3")


def loaded_by_name(room):
    return refused(
        judge(room, "#include <dlfcn.h>",
              'dlopen("libcrypto.so.3", RTLD_NOW) != 0'),
        "strings of OpenSSL: has libcrypto.so")


def stripped(room):
    return refused(judge(room, "", "0", "-s"), "can't be judged")


def main():
    failed = 0
    cases = [none_of_it, one_hash, one_number, the_shared_library,
             loaded_by_name, stripped]
    for case in cases:
        with tempfile.TemporaryDirectory() as room:
            wrong = case(room)
        print("%s: %s" % (case.__name__, wrong or "ok"))
        failed += wrong is not None
    print("%d passed, %d failed" % (len(cases) - failed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

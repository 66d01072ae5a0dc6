#!/usr/bin/env python3
# tests/test_plain.py - the plain library, as somebody else would use it.
#
# Goal:   README's one command builds an ordinary libuv program, by gcc and
#         clang, from any directory; the library brings no name that could
#         clash with the program's own.
# Method: write a program outside of the tree, build it by that command, run
#         it; read the library's symbols.
import os
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LIBRARY = os.path.join(TOP, "build", os.environ.get("VARIANT", "host"),
                       "libevsm-uv.a")

PROGRAM = """
#include <uv.h>
#include <stdio.h>
#include <pthread.h>

static uv_async_t async;
static int fired;

static void on_async(uv_async_t* handle) {
  uv_close((uv_handle_t*) handle, NULL);
  fired++;
}

static void on_timer(uv_timer_t* handle) {
  uv_close((uv_handle_t*) handle, NULL);
  fired++;
}

static void* send(void* argument) {
  uv_async_send(&async);
  return argument;
}

int main(void) {
  uv_loop_t* loop = uv_default_loop();
  uv_timer_t timer;
  pthread_t thread;
  uv_timer_init(loop, &timer);
  uv_timer_start(&timer, on_timer, 1, 0);
  uv_async_init(loop, &async, on_async);
  if (pthread_create(&thread, NULL, send, NULL) != 0) return 1;
  uv_run(loop, UV_RUN_DEFAULT);
  pthread_join(thread, NULL);
  printf("%d %d\\n", fired, uv_loop_close(loop));
  return 0;
}
"""

# The house's own prefixes: what else a library defines, a program may too.
PREFIXES = ("uv_", "uv__", "uvx_", "arch_", "base_", "trace_", "platform_")

COMMANDS = [
    ("C11", ["cc", "-std=c11", "-Wall", "-Wextra", "-Werror"]),
    ("C99", ["cc", "-std=gnu99", "-Wall", "-Wextra", "-Werror"]),
    ("clang", ["clang", "-Wall", "-Wextra", "-Werror"]),
]


def build_and_run(command):
    """What README's command and then the program said, or None if all well."""
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "prog.c"), "w") as out:
            out.write(PROGRAM)
        done = subprocess.run(
            command + ["-I" + os.path.join(TOP, "runtime"), "prog.c", LIBRARY,
                       "-lpthread", "-o", "prog"],
            cwd=folder, capture_output=True, text=True)
        if done.returncode != 0:
            return done.stderr
        done = subprocess.run(["./prog"], cwd=folder, capture_output=True,
                              text=True, timeout=60)
        if (done.stdout, done.returncode) != ("2 0\n", 0):
            return "status %d, %r" % (done.returncode,
                                      done.stdout + done.stderr)
    return None


def foreign_names():
    """Names without a prefix of the house's that a program can meet: those
    that stand in a member it may draw in for another name, and those that the
    library asks for. (A member nobody asks for, such as pool.o, is no harm.)
    """
    lines = subprocess.run(["nm", "-g", "-P", "-A", LIBRARY], text=True,
                           capture_output=True, check=True).stdout.splitlines()
    members, asked = {}, set()
    for member, name, kind in (line.split()[:3] for line in lines):
        if kind in "Uwv":
            asked.add(name)
        else:
            members.setdefault(member, set()).add(name)
    found = set()
    for names in members.values():
        foreign = {n for n in names if not n.startswith(PREFIXES)}
        found |= foreign if foreign != names else foreign & asked
    return sorted(found)


def main():
    verdicts = [(what, build_and_run(command))
                for what, command in COMMANDS]
    verdicts.append(("names", ", ".join(foreign_names()) or None))
    for what, wrong in verdicts:
        if wrong:
            print("%s: %s" % (what, wrong))
    failed = sum(1 for _, wrong in verdicts if wrong)
    print("%d passed, %d failed" % (len(verdicts) - failed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

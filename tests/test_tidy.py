#!/usr/bin/env python3
# tests/test_tidy.py - tidy.py sees what it is there to see.
#
# Goal:   each rule reports a violation at its line, an exception with a reason
#         silences it, and a clean tree has no finding.
# Method: plant one violation at a time in a small tree that is clean
#         otherwise, run tidy.py on it as a person would, and read its output.
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)

GOOD_C = """/*
 * runtime/good.c - a file without fault.
 */
#include "runtime/good.h"

int good_first(int a) {
  return a;
}


int good_second(int a) {
  return good_first(a);
}
"""

GOOD_H = """/*
 * runtime/good.h - two functions.
 *
 * Context: [any].
 */
#ifndef EVSM_RUNTIME_GOOD_H
#define EVSM_RUNTIME_GOOD_H

int good_first(int a);
int good_second(int a);

#endif /* EVSM_RUNTIME_GOOD_H */
"""

SCONSCRIPT = '# %s/ - a folder.\nfiles = ["good.c", "new.c"]\n'

CLEAN = {
    "SConstruct": "# SConstruct - the build.\n",
    "runtime/SConscript": SCONSCRIPT % "runtime",
    "handlers/SConscript": SCONSCRIPT % "handlers",
    "sim/SConscript": SCONSCRIPT % "sim",
    "tests/SConscript": SCONSCRIPT % "tests" + 'run = "tests/new.py"\n',
    "runtime/good.c": GOOD_C,
    "runtime/good.h": GOOD_H,
    "runtime/internal.h": GOOD_H.replace("good.h", "internal.h").replace(
        "GOOD_H", "INTERNAL_H"),
    "runtime/user.c": "/*\n * runtime/user.c - uses both.\n */\n"
    '#include "runtime/good.h"\n#include "runtime/internal.h"\n',
}
CLEAN["runtime/SConscript"] += 'more = ["user.c"]\n'


def c_file(path, body):
    return "/*\n * %s - a new file.\n */\n%s" % (path, body)


def body(path, text):
    """A planted C file with its opening comment: `text` begins on line 4."""
    return path, c_file(path, text)


LONG_BODY = "int f(void) {\n" + "  f();\n" * 69 + "}\n"  # 71 lines

# (rule, line, (path, text)): what is planted, and where it must be reported.
PLANTED = [
    ("include", 4, body("runtime/new.c", '#include "handlers/x.h"\n')),
    ("include", 4, body("runtime/new.c", "#include <stdio.h>\n")),
    ("include", 4, body("runtime/new.c", "#include <bearssl.h>\n")),
    ("include", 4, body("runtime/new.c", '#include "good.h"\n')),
    ("include", 4, body("sim/new.c", '#include "runtime/internal.h"\n')),
    ("opening", 1, ("runtime/new.c", "int f(void);\n")),
    ("opening", 1, ("runtime/new.c", "/*\n * new.c - no path.\n */\n")),
    ("opening", 1, ("tests/new.py", "import os\n")),
    ("goal", 1, body("tests/unit/test_new.c", "")),
    ("guard", 1, body("runtime/new.h", "#pragma once\n")),
    ("guard", 1, body("runtime/new.h", "#ifndef X_H\n#define X_H\n#endif\n")),
    ("manual", 7, body(
        "runtime/new.h", "#ifndef EVSM_RUNTIME_NEW_H\n"
        "#define EVSM_RUNTIME_NEW_H\n\nint f(void);\n\n"
        "#endif /* EVSM_RUNTIME_NEW_H */\n")),
    ("line", 4, body("runtime/new.c", "/* %s */\n" % ("x" * 75))),
    ("file", 801, body("runtime/new.c", "\n".join(
        ["int a%d;" % i for i in range(798)]) + "\n")),
    ("function", 4, body("runtime/new.c", LONG_BODY)),
    ("parameters", 4, body(
        "runtime/new.c",
        "int f(int a, int b, int c, int d, int e, int g, int h);\n")),
    ("blank", 7, body(
        "runtime/new.c",
        "int f(void) {\n  return 0;\n}\n\nint g(void) {\n  return 0;\n}\n")),
    ("banned", 5, body("sim/new.c", "void f(char* a) {\n  strcpy(a, a);\n}\n")),
    ("banned", 5, body("sim/new.c", "void f(int a) {\n  assert(a);\n}\n")),
    ("banned", 5, body("runtime/new.c",
                       "void* f(void) {\n  return malloc(1);\n}\n")),
    ("banned", 5, body("handlers/new.c",
                       "int f(void) {\n  return setjmp(x);\n}\n")),
    ("banned", 5, body("tests/new.c", "void f(void) {\n  usleep(1);\n}\n")),
    ("assert", 5, body("runtime/new.c",
                       "void f(int a) {\n  ASSERT(a && f);\n}\n")),
    ("goto", 4, body("runtime/new.c",
                     "void f(void) {\n  goto a;\n  goto b;\n}\n")),
    ("asm", 5, body("sim/new.c",
                    'void f(void) {\n  __asm__("nop");\n}\n')),
    ("world", 4, body("runtime/new.c", "#ifdef SIM\n#endif\n")),
    ("world", 4, body("runtime/new.c", "#if defined(EVSM_SIM)\n#endif\n")),
    ("words", 4, body("runtime/new.c", "/* TO" "DO: more */\n")),
    ("space", 4, body("runtime/new.c", "int a; \n")),
    ("space", 4, body("runtime/new.c", "\tint a;\n")),
    ("space", 4, body("runtime/new.c", "int a;")),
    ("python", 1, ("tests/new.py", "# tests/new.py - broken.\ndef f(:\n")),
    ("unbuilt", 1, body("runtime/lost.c", "int a;\n")),
    ("unbuilt", 1, body("runtime/lost.h", "#ifndef EVSM_RUNTIME_LOST_H\n"
                        "#define EVSM_RUNTIME_LOST_H\n"
                        "#endif /* EVSM_RUNTIME_LOST_H */\n")),
    ("unbuilt", 1, ("tests/lost.py", "# tests/lost.py - lost.\n")),
    ("top", 1, ("notes.txt", "a note\n")),
    ("format", 4, body("runtime/new.c", "int   a;\n")),
    ("allow", 4, body("runtime/new.c",
                      "/* tidy: allow line: nothing is long */\n")),
    ("allow", 4, body("runtime/new.c", "/* tidy: allow nosuch: why */\n")),
    ("allow", 4, body("runtime/new.c", "/* tidy: allow line */\n")),
]

# What must not be reported: just under the edge, excused, or only looks so.
CLEAR = [
    body("runtime/new.c", "/* %s */\n" % ("x" * 74)),
    body("runtime/new.c", LONG_BODY.replace("  f();\n", "", 1)),
    body("runtime/new.c",
         "/* tidy: allow function: one table */\n" + LONG_BODY),
    body("runtime/new.c",
         "int f(int a, int b, int c, int d, int e, int g);\n"),
    body("runtime/new.c", "#include <stdint.h>\n"),
    body("runtime/new.c", "/* malloc(1) would be wrong, \"free(1)\" too */\n"),
    body("runtime/new.c", "void (*f)(int a, int b);\nint x_free(int a);\n"),
    body("sim/new.c", "#include <stdio.h>\n\n#include \"runtime/good.h\"\n"),
    body("tests/new.c", '#include "runtime/internal.h"\n'),
    body("sim/new.c", "/* tidy: allow asm: a fence is not to be had "
         "otherwise */\nint f(void);\n__asm__(\"nop\");\n".replace(
             "int f(void);\n", "")),
]


def plant(root, path, text):
    full = os.path.join(root, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "w") as out:
        out.write(text)


def tidy(planted):
    """tidy.py's findings and status on the clean tree with one more file."""
    with tempfile.TemporaryDirectory() as root:
        for path, text in list(CLEAN.items()) + planted:
            plant(root, path, text)
        shutil.copy(os.path.join(TOP, ".clang-format"), root)
        run = subprocess.run(
            [sys.executable, os.path.join(HERE, "tidy.py"), "--root", root],
            capture_output=True, text=True)
        return run.stdout.splitlines() + run.stderr.splitlines(), \
            run.returncode


def verdicts():
    """(what was tried, what went wrong or None) for each case."""
    lines, status = tidy([])
    yield "a clean tree", None if status == 0 and len(lines) == 1 else lines
    for rule, line, (path, text) in PLANTED:
        lines, status = tidy([(path, text)])
        want = "%s:%d: %s: " % (path, line, rule)
        seen = any(found.startswith(want) for found in lines)
        summary = lines and lines[-1].endswith(" passed, 1 failed")
        yield "%s in %s" % (rule, path), (
            None if seen and summary and status == 1 else [want] + lines)
    for path, text in CLEAR:
        lines, status = tidy([(path, text)])
        yield "clear: %r" % text[-50:], None if status == 0 else lines
    planted = {rule for rule, _, _ in PLANTED}
    sys.path.insert(0, HERE)
    import tidy as module
    missed = (set(module.RULES) | module.OTHER_RULES) - planted
    yield "a case for each rule", sorted(missed) or None


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

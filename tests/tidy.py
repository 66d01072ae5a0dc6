#!/usr/bin/env python3
# tests/tidy.py - the house rules that a machine can hold.
#
#   tidy.py [--root DIR] [PATH...]
#
# Looks at every file of the tree, or only at those named, and prints each
# finding as `path:line: rule: what to do`. The rules are STYLE.md's, the
# include table is DESIGN.md's; each is a function below, with its reason where
# it isn't plain. The last line is `N passed, N failed` and counts files.
#
# An exception is a comment `tidy: allow RULE: why`: on the line or the one
# before it; for rules about a function, in the function or in the comment
# above it; for rules about a file, in its first 40 lines. One that excuses
# nothing is a finding itself.
#
# It reads C as clang-format leaves it (functions begin in the first column),
# and is no compiler: what a compiler can hold (-Wvla, -Wshadow and the rest)
# is left to it. tests/test_tidy.py plants a violation of each rule.
import argparse
import ast
import concurrent.futures
import os
import re
import subprocess
import sys

LINE_MAX = 80  # columns
FUNCTION_MAX = 70  # lines
FILE_MAX = 800  # lines
PARAMETERS_MAX = 6
ALLOW_FILE_LINES = 40  # where an exception for a whole file may stand

# DESIGN.md section 1: what each folder may include, as patterns of paths.
INCLUDES = {
    "runtime": ["runtime/.*", "arch/arch.h"],
    "crypto": ["crypto/.*", "runtime/base.h"],
    "devices": ["devices/.*", "runtime/.*", "crypto/.*", r"arch/[^/]*\.h"],
    "persist": ["persist/.*", "runtime/.*", "crypto/.*", "devices/blk.h"],
    "handlers": ["handlers/.*", "runtime/.*", "crypto/.*", "persist/store.h",
                 "devices/psp.h", r"arch/[^/]*\.h"],
    "arch": ["arch/.*", "runtime/base.h"],
    "sim": [".*"],
    "tests": [".*"],
}
ROOTS = ("arch/x86_64/main.c", "sim/main.c")  # they put the house together

# These are found by `cc -Iruntime prog.c`, so they name their neighbours only.
PLAIN_LIBRARY = ("runtime/uv.h", "runtime/uvx.h")

FREESTANDING = ("runtime", "crypto", "devices", "persist", "handlers", "arch")
FREESTANDING_HEADERS = {
    "float.h", "iso646.h", "limits.h", "stdalign.h", "stdarg.h", "stdatomic.h",
    "stdbool.h", "stddef.h", "stdint.h", "stdnoreturn.h",
}
COMPILER_HEADERS = {"immintrin.h", "x86intrin.h", "cpuid.h"}
# Third-party headers stay behind their glue.
THIRD_PARTY = [
    (r"bearssl(/.*)?\.h", r"crypto/.*"),
    (r"libtpms/.*\.h", r"handlers/tpm[^/]*\.[ch]"),
]

BANNED_EVERYWHERE = {
    "strcpy": "copy with a size",
    "strcat": "copy with a size",
    "sprintf": "use snprintf",
    "vsprintf": "use vsnprintf",
    "gets": "read with a size",
    "strtok": "it keeps hidden state; parse by hand",
    "alloca": "the stack has a budget; use a limit",
    "assert": "use ASSERT, which stays on in release",
    "atoi": "it has no errors; parse by hand",
    "rand": "entropy and seeds come by arch.h",
    "srand": "entropy and seeds come by arch.h",
}
BANNED_FREESTANDING = dict.fromkeys(
    ("malloc", "calloc", "realloc", "free", "strdup"),
    "no heap after boot; use a pool of runtime/pool.h")
BANNED_FREESTANDING.update(dict.fromkeys(
    ("setjmp", "longjmp", "_setjmp", "_longjmp", "sigsetjmp", "siglongjmp"),
    "jumps stay in the glue that needs them"))
BANNED_FREESTANDING.update(dict.fromkeys(
    ("printf", "fprintf", "snprintf", "puts", "putchar", "abort", "exit",
     "getenv", "time", "clock_gettime", "getpid"),
    "this folder has no C library beneath it"))
BANNED_TESTS = dict.fromkeys(
    ("sleep", "usleep", "nanosleep"), "a test waits for an event, not a time")

TOP_LEVEL = {
    "SConstruct", "README.md", "LICENSE", "setup", "runtime", "crypto",
    "devices", "persist", "handlers", "arch", "sim", "tests",
}
SKIPPED = {"build", "__pycache__", "corpus", "data"}
TEXT = (".c", ".h", ".S", ".py", ".pml", ".md")
C_LIKE = (".c", ".h")
LONG_LINES = (".c", ".h", ".S", ".py", ".pml")

BUILD_FILES = ("SConstruct", "SConscript", "setup", "run")

FILE_RULES = {"opening", "guard", "file", "unbuilt", "manual", "goal"}


class Source:
    """One file: its lines, and for C its text without comments and strings,
    its functions and its prototypes."""

    def __init__(self, root, path):
        self.path = path
        self.folder = path.split("/")[0] if "/" in path else ""
        self.name = os.path.basename(path)
        self.kind = os.path.splitext(path)[1]
        with open(os.path.join(root, path), "rb") as stream:
            self.raw = stream.read()
        self.text = self.raw.decode("utf-8", errors="replace")
        self.lines = self.text.split("\n")
        self.functions = []
        self.prototypes = []
        self.tree = None
        if self.kind in C_LIKE:
            self.code = blank(self.text)
            self.functions, self.prototypes = c_items(self.code)
        elif self.kind == ".py":
            try:
                self.tree = ast.parse(self.text)
                self.functions = python_functions(self.tree)
            except SyntaxError:
                pass
        self.allowed = self.allowances()

    def allowances(self):
        """[line, rule, why, used?] of each exception in the file."""
        found = []
        for number, line in enumerate(self.lines, 1):
            m = re.search(r"tidy: allow ([\w-]+)(: *\w+)?", line)
            if m and self.path not in ("tests/tidy.py", "tests/test_tidy.py"):
                found.append([number, m.group(1), bool(m.group(2)), False])
        return found

    def excused(self, line, rule):
        """Whether an exception covers a finding; marks it as used."""
        for entry in self.allowed:
            at, name, why, _ = entry
            if name != rule or not why:
                continue
            whole = rule in FILE_RULES and at <= ALLOW_FILE_LINES
            function = any(
                f.first <= line <= f.last
                and f.first - self.comment_above(f) <= at <= f.last
                for f in self.functions + self.prototypes)
            if whole or function or at in (line, line - 1):
                entry[3] = True
                return True
        return False

    def comment_above(self, item):
        """How many lines of comment stand right above a function."""
        count = 0
        at = item.first - 2
        while at >= 0 and re.match(r"\s*(/\*|\*|#)|.*\*/$", self.lines[at]):
            count += 1
            at -= 1
        return count


class Item:
    """A function or a prototype: name, first and last line, parameters."""

    def __init__(self, name, first, last, parameters, body=""):
        self.name = name
        self.first = first
        self.last = last
        self.parameters = parameters
        self.body = body


TOKENS = re.compile(
    r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.S)


def blank(text):
    """C without comments, strings and characters; lines stay lines."""
    def spaces(m):
        return re.sub(r"[^\n]", " ", m.group(0))
    return TOKENS.sub(spaces, text)


def without_preprocessor(code):
    """The same without preprocessor lines and their continuations."""
    out = []
    inside = False
    for line in code.split("\n"):
        inside = inside or line.lstrip().startswith("#")
        out.append("" if inside else line)
        inside = inside and line.endswith("\\")
    return "\n".join(out)


def c_items(code):
    """Functions and prototypes at the top level of a C file."""
    text = without_preprocessor(code)
    functions, prototypes = [], []
    start = at = 0
    while at < len(text):
        char = text[at]
        if char == "(":
            at = matching(text, at, "(", ")")
        elif char == ";":
            item = declaration(text, start, at)
            if item:
                prototypes.append(item)
            start = at + 1
        elif char == "{":
            end = matching(text, at, "{", "}")
            item = declaration(text, start, at)
            if item and not re.search(r"=\s*$", text[start:at]):
                item.last = text.count("\n", 0, end) + 1
                item.body = text[at:end]
                functions.append(item)
                start = end + 1
            at = end
        at += 1
    return functions, prototypes


def matching(text, at, opening, closing):
    """Where the bracket that opens at `at` closes; the end if nowhere."""
    depth = 0
    for m in re.compile("[%s%s]" % (re.escape(opening), re.escape(closing))
                        ).finditer(text, at):
        depth += 1 if m.group(0) == opening else -1
        if depth == 0:
            return m.start()
    return len(text)


def declaration(text, start, end):
    """The function that text[start:end] declares, or None."""
    head = text[start:end]
    first = start + len(head) - len(head.lstrip())
    plain = re.sub(r"__attribute__\s*\(\(.*?\)\)", "", head, flags=re.S)
    m = re.match(r"\s*([A-Za-z_][\w\s*]*?)\b(\w+)\s*\(", plain)
    if not m or re.match(r"(typedef|_Static_assert|return)\b",
                         plain.lstrip()):
        return None
    inside = plain[m.end():matching(plain, m.end() - 1, "(", ")")]
    if inside.lstrip().startswith("*") or "=" in plain[:m.end()]:
        return None
    return Item(m.group(2), text.count("\n", 0, first) + 1,
                text.count("\n", 0, end) + 1, count_parameters(inside))


def count_parameters(inside):
    """How many parameters stand between a function's brackets."""
    if inside.strip() in ("", "void"):
        return 0
    depth = 0
    count = 1
    for char in inside:
        depth += (char in "([{") - (char in ")]}")
        count += char == "," and depth == 0
    return count


def python_functions(tree):
    """A Python file's functions, methods too."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            a = node.args
            count = len(a.posonlyargs + a.args + a.kwonlyargs)
            found.append(Item(node.name, node.lineno, node.end_lineno, count))
    return found


# ---------------------------------------------------------------------------
# The rules. Each yields (line, what to do) for one file.


def rule_include(source, tree):
    """Includes point down, and are written from the top of the tree."""
    if source.kind not in C_LIKE + (".S",):
        return
    for number, line in enumerate(source.lines, 1):
        m = re.match(r'\s*#\s*include\s+(["<])([^">]+)[">]', line)
        if not m:
            continue
        if m.group(1) == "<":
            wrong = wrong_system_include(source, m.group(2))
        else:
            wrong = wrong_own_include(source, m.group(2), tree)
        if wrong:
            yield number, wrong


def wrong_system_include(source, header):
    for theirs, glue in THIRD_PARTY:
        if re.fullmatch(theirs, header):
            if re.fullmatch(glue, source.path) or source.folder == "tests":
                return None
            return "<%s> stays behind its glue, %s" % (header, glue)
    if source.folder not in FREESTANDING:
        return None
    if header in FREESTANDING_HEADERS | COMPILER_HEADERS:
        return None
    return ("<%s> is a hosted header; %s/ is freestanding, use runtime/base.h"
            % (header, source.folder))


def wrong_own_include(source, header, tree):
    if source.path in PLAIN_LIBRARY and "runtime/" + header in tree:
        return None
    if header in ("uv.h", "uvx.h") and re.match(
            "tests/(compat|bench)/", source.path):
        return None
    if header not in tree:
        return ("%s is not in the tree; includes are written from its top"
                % header)
    if source.path in ROOTS or source.folder == "tests":
        return None
    owner = header.split("/")[0]
    if header.endswith("/internal.h") and owner != source.folder:
        return "%s is for %s/ only" % (header, owner)
    if not any(re.fullmatch(p, header)
               for p in INCLUDES.get(source.folder, [])):
        return "%s/ may not include %s (DESIGN.md 1)" % (
            source.folder, header)
    return None


def rule_opening(source, tree):
    """A file opens with its path and what it is; a test may open with its
    Goal instead (rule_goal)."""
    head = source.lines[:3]
    if source.folder == "tests" and source.text.startswith("/*\n * Goal: "):
        return
    if source.kind in (".c", ".h", ".S", ".pml"):
        want = "/*\n * %s - " % source.path
        if source.text.startswith(want):
            return
    elif source.kind == ".py":
        want = "# %s - " % source.path
        if any(line.startswith(want) for line in head[:2]):
            return
    elif source.name == "SConscript":
        want = "# %s/ - " % os.path.dirname(source.path)
        if source.text.startswith(want):
            return
    else:
        return
    yield 1, "open with the comment `%s...`" % want.replace("\n", "\\n")


def rule_goal(source, tree):
    """A test opens with what it holds, and how it finds out."""
    if re.fullmatch(r"tests/(unit|sim)/test_\w+\.(c|py)", source.path):
        head = "\n".join(source.lines[:40])
        for word in ("Goal:", "Method:"):
            if word not in head:
                yield 1, "say the test's `%s` in its opening comment" % word


def rule_guard(source, tree):
    """Header guards have the path's name."""
    if source.kind != ".h":
        return
    name = "EVSM_" + re.sub(r"[^A-Za-z0-9]", "_", source.path).upper()
    want = r"#ifndef %s\n#define %s\n" % (name, name)
    if not re.search("^" + want, source.text, re.M):
        yield 1, "guard the header with %s" % name
    elif not source.text.rstrip().endswith("#endif /* %s */" % name):
        yield len(source.lines), "end with `#endif /* %s */`" % name


def rule_manual(source, tree):
    """A header is the manual: who may call its functions, and when."""
    if (source.kind == ".h" and source.folder in INCLUDES
            and source.folder != "tests" and source.prototypes
            and source.path != "runtime/uv.h"
            and not re.search(r"\bContext\b", source.text)):
        yield source.prototypes[0].first, "say each function's `Context:`"


def rule_line(source, tree):
    """Lines have at most 80 columns."""
    if source.kind in LONG_LINES or source.name in BUILD_FILES:
        for number, line in enumerate(source.lines, 1):
            if len(line) > LINE_MAX:
                yield number, "break the line: %d columns, %d at most" % (
                    len(line), LINE_MAX)


def rule_file(source, tree):
    """Files have at most 800 lines."""
    count = source.text.count("\n")
    if source.kind in LONG_LINES and count > FILE_MAX:
        yield FILE_MAX + 1, "split the file: %d lines, %d at most" % (
            count, FILE_MAX)


def rule_function(source, tree):
    """Functions have at most 70 lines."""
    for f in source.functions:
        count = f.last - f.first + 1
        if count > FUNCTION_MAX:
            yield f.first, "split %s(): %d lines, %d at most" % (
                f.name, count, FUNCTION_MAX)


def rule_parameters(source, tree):
    """Functions have at most 6 parameters."""
    for f in source.functions + source.prototypes:
        if f.parameters > PARAMETERS_MAX:
            yield f.first, "give %s() a struct: %d parameters, %d at most" % (
                f.name, f.parameters, PARAMETERS_MAX)


def rule_blank(source, tree):
    """Two blank lines between functions."""
    if source.kind != ".c":
        return
    code = source.code.split("\n")
    for one, two in zip(source.functions, source.functions[1:]):
        between = code[one.last:two.first - 1]
        if any(line.strip() for line in between):
            continue  # something else stands between them
        text = source.lines[one.last:two.first - 1]
        count = next((i for i, line in enumerate(text) if line.strip()),
                     len(text))
        if count != 2:
            yield one.last + 1, "leave two blank lines before %s()" % two.name


def rule_banned(source, tree):
    """Calls that the house does without."""
    if source.kind not in C_LIKE:
        return
    banned = dict(BANNED_EVERYWHERE)
    if source.folder in FREESTANDING:
        banned.update(BANNED_FREESTANDING)
    if source.folder == "tests" and not source.path.startswith("tests/bench"):
        banned.update(BANNED_TESTS)
    calls = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(banned))
    for number, line in enumerate(source.code.split("\n"), 1):
        for m in calls.finditer(line):
            yield number, "no %s() here: %s" % (m.group(1),
                                                banned[m.group(1)])


def rule_assert(source, tree):
    """Assertions are split, so that the one that failed is told."""
    if source.kind in C_LIKE:
        for m in re.finditer(r"\bASSERT\(", source.code):
            end = matching(source.code, m.end() - 1, "(", ")")
            if "&&" in source.code[m.start():end]:
                yield (source.code.count("\n", 0, m.start()) + 1,
                       "split the ASSERT at its &&")


def rule_goto(source, tree):
    """Goto leads to one cleanup label."""
    if source.kind in C_LIKE:
        for f in source.functions:
            labels = set(re.findall(r"\bgoto\s+(\*|\w+)", f.body))
            if len(labels) > 1 or "*" in labels:
                yield f.first, "%s(): goto leads to one label only" % f.name


def rule_asm(source, tree):
    """Inline assembly is the machine's."""
    if source.kind in C_LIKE and source.folder != "arch":
        for number, line in enumerate(source.code.split("\n"), 1):
            if re.search(r"\b(asm|__asm__|__asm)\b", line):
                yield number, "inline assembly belongs in arch/"


def rule_world(source, tree):
    """The two worlds differ only in which files are linked."""
    if source.kind in C_LIKE + (".S",):
        for number, line in enumerate(source.lines, 1):
            if re.match(r"\s*#\s*(if|ifdef|ifndef|elif)\b.*\b(EVSM_)?"
                        r"(SIM|METAL|HOST)\b", line):
                yield number, "no world is asked for: link another file"


def rule_words(source, tree):
    """What isn't done is in the DESIGN's list, not in a comment."""
    if source.path in ("tests/tidy.py", "tests/test_tidy.py"):
        return
    for number, line in enumerate(source.lines, 1):
        m = re.search(r"\b(TODO|FIXME|XXX|HACK)\b", line)
        if m and source.kind != ".md":
            yield number, "%s does not land: do it, or list the gap" % (
                m.group(1))


def rule_space(source, tree):
    """No tabs, no trailing blanks, one newline at the end."""
    for number, line in enumerate(source.lines, 1):
        if line.rstrip() != line and source.kind != ".md":
            yield number, "remove the blanks at the end of the line"
        if "\t" in line:
            yield number, "write spaces, not tabs"
    if source.raw and not source.raw.endswith(b"\n"):
        yield len(source.lines), "end the file with a newline"
    elif source.raw.endswith(b"\n\n"):
        yield len(source.lines) - 1, "end the file with one newline"


def rule_python(source, tree):
    """Python files parse."""
    if source.kind == ".py" and source.tree is None:
        yield 1, "make it parse: python3 -m py_compile %s" % source.path


def rule_unbuilt(source, tree):
    """Every file is listed in an SConscript, or used by one that is."""
    if source.kind in (".c", ".S", ".pml", ".h"):
        if source.path not in tree.used:
            how = ("include it or remove it" if source.kind == ".h"
                   else "list it in %s/SConscript" % source.folder)
            yield 1, "nobody builds this file: " + how
    elif source.kind == ".py" and source.folder == "tests":
        if source.path not in tree.used:
            yield 1, "nobody runs this file: list it in an SConscript"


def rule_top(source, tree):
    """The top level holds the folders and a few files, and nothing else."""
    if source.path.startswith("."):
        return
    if source.path.split("/")[0] not in TOP_LEVEL:
        yield 1, "the top level has no place for this (DESIGN.md 1)"


RULES = {
    name[len("rule_"):]: function
    for name, function in list(globals().items())
    if name.startswith("rule_")
}
OTHER_RULES = {"format", "allow"}


# ---------------------------------------------------------------------------
# The tree.


class Tree:
    """All files, and which of them somebody uses."""

    def __init__(self, root):
        self.root = root
        self.paths = sorted(walk(root))
        self.sources = {p: Source(root, p) for p in self.paths}
        self.used = set()
        for source in self.sources.values():
            self.used |= {p for p in self.uses(source) if p in self.sources}

    def __contains__(self, path):
        return path in self.sources

    def uses(self, source):
        """Paths that one file lists, includes or imports."""
        here = os.path.dirname(source.path)
        text = source.text
        if source.name in BUILD_FILES:
            text = re.sub(r"(?m)(^|\s)#.*$", "", text)
            for word in re.findall(r"[\w./-]+\.\w+", text):
                yield os.path.normpath(os.path.join(here, word))
                yield word
        elif source.kind in C_LIKE + (".S",):
            for word in re.findall(r'#\s*include\s+["<]([^">]+)', text):
                yield word
                yield "runtime/" + word
        elif source.kind == ".py":
            for word in re.findall(r"(?m)^\s*(?:import|from) (\w+)", text):
                yield os.path.join(here, word + ".py")


def walk(root):
    """Files that are ours to judge, as paths from the root."""
    for folder, folders, files in os.walk(root):
        folders[:] = [f for f in folders
                      if f not in SKIPPED and not f.startswith(".")]
        below = os.path.relpath(folder, root)
        for name in files:
            path = os.path.normpath(os.path.join(below, name))
            if (path.endswith(TEXT) or name in ("SConstruct", "SConscript")
                    or "/" not in path and not name.startswith(".")):
                yield path
    if os.path.exists(os.path.join(root, ".ci", "run")):
        yield ".ci/run"


def misformatted(root, paths):
    """(path, line, what to do) for what clang-format would change."""
    if not paths:
        return []
    try:
        run = subprocess.run(
            ["clang-format", "--dry-run", "--style=file"] + paths,
            cwd=root, capture_output=True, text=True)
    except FileNotFoundError:
        return [(paths[0], 1, "clang-format is missing: run ./setup")]
    found = {}
    for line in run.stderr.splitlines():
        m = re.match(r"([^:]+):(\d+):\d+: (warning|error): (.*)", line)
        if m:
            found.setdefault(m.group(1), (int(m.group(2)), m.group(4)))
    if run.returncode != 0 and not found:
        return [(paths[0], 1, "clang-format failed: " + run.stderr.strip())]
    return [(path, line, "run clang-format -i %s" % path)
            for path, (line, _) in found.items()]


def check_format(tree, paths):
    """clang-format decides; two at a time, since it is the slowest rule."""
    mine = [p for p in paths if p.endswith(C_LIKE)]
    half = (len(mine) + 1) // 2
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for found in pool.map(lambda part: misformatted(tree.root, part),
                              [mine[:half], mine[half:]]):
            yield from found


def findings(tree, paths):
    """Every finding that no exception covers, as (path, line, rule, what)."""
    formatted = list(check_format(tree, paths))
    for path in paths:
        source = tree.sources[path]
        found = [(line, rule, what) for rule, check in RULES.items()
                 for line, what in check(source, tree)]
        found += [(line, "format", what) for p, line, what in formatted
                  if p == path]
        for line, rule, what in sorted(found):
            if not source.excused(line, rule):
                yield path, line, rule, what
        for line, rule, why, used in source.allowed:
            if rule not in set(RULES) | OTHER_RULES:
                yield path, line, "allow", "no rule is called %s" % rule
            elif not why:
                yield path, line, "allow", "say why, after a colon"
            elif not used:
                yield path, line, "allow", "nothing here breaks %s" % rule


def main():
    parser = argparse.ArgumentParser(description="hold the house rules")
    parser.add_argument("--root", default=os.path.dirname(
        os.path.dirname(os.path.abspath(__file__))))
    parser.add_argument("paths", nargs="*", help="only these, from the root")
    args = parser.parse_args()

    tree = Tree(args.root)
    paths = [os.path.normpath(p) for p in args.paths] or tree.paths
    for path in paths:
        if path not in tree:
            parser.error("%s is not a file of the tree" % path)
    failed = set()
    for path, line, rule, what in findings(tree, paths):
        print("%s:%d: %s: %s" % (path, line, rule, what))
        failed.add(path)
    print("%d passed, %d failed" % (len(paths) - len(failed), len(failed)))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

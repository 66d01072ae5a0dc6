#!/usr/bin/env python3
# tests/test_house.py - ./setup and the build's front say what they do.
#
# Goal:   setup asks for what is missing and nothing else, in one line says
#         what is wrong, and does nothing the second time; scons explains all
#         of its targets and options, refuses others, and reading its files
#         writes nothing.
# Method: run setup with stand-ins for dpkg-query, apt-get, id and sudo before
#         the real ones in PATH; run scons on a copy of the build's own files.
import os
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# A stand-in for dpkg-query: the last argument is installed unless it stands in
# $MISSING, and apt-get (below) has not been asked for it.
DPKG = """#!/bin/bash
name=${@: -1}
if [[ " $MISSING " == *" $name "* ]] &&
   ! grep -qw -- "$name" "$STANDIN/installed" 2>/dev/null; then
  exit 1
fi
printf installed
"""
APT = """#!/bin/bash
echo "apt-get $*" >>"$STANDIN/asked"
[ "$1" = install ] || exit "${UPDATE_STATUS:-0}"
[ "${INSTALL_STATUS:-0}" = 0 ] && echo "$*" >>"$STANDIN/installed"
exit "${INSTALL_STATUS:-0}"
"""
ID = "#!/bin/bash\necho ${STANDIN_ID:-0}\n"
SUDO = '#!/bin/bash\necho "sudo $*" >>"$STANDIN/asked"\nexec "$@"\n'

# (what, environment, arguments, status, words in the output, words asked for)
SETUP = [
    ("all is there", {}, [], 0, "are installed", None),
    ("one is missing", {"MISSING": "spin"}, [], 0, "installing spin\n",
     "install -q -y --no-install-recommends spin\n"),
    ("two are missing", {"MISSING": "spin scons"}, [], 0,
     "installing scons spin\n", "recommends scons spin\n"),
    ("a name that is part of another", {"MISSING": "swtpm"}, [], 0,
     "installing swtpm\n", "recommends swtpm\n"),
    ("by sudo", {"MISSING": "spin", "STANDIN_ID": "1000"}, [], 0, "done",
     "sudo apt-get update"),
    ("old lists", {"MISSING": "spin", "UPDATE_STATUS": "100"}, [], 0,
     "going on", "recommends spin\n"),
    ("no network", {"MISSING": "spin", "INSTALL_STATUS": "100"}, [], 1,
     "setup: apt-get failed", "recommends spin\n"),
    ("help", {"MISSING": "spin"}, ["--help"], 0, "  libtpms-dev\n", None),
    ("an unknown option", {"MISSING": "spin"}, ["-x"], 2, "use: ./setup",
     None),
]

# (arguments, status, words in the output)
SCONS = [
    (["nosuch"], 2, "no target called 'nosuch'; `scons -h` explains"),
    (["nosuch=1"], 2, "no option called 'nosuch'"),
    (["test", "variants=hots"], 2, "no test variant called 'hots'"),
    (["fuzz", "seconds=soon"], 2, "seconds=N wants a number, not 'soon'"),
    (["--nosuch"], 2, "no such option: --nosuch"),
]


def stand_ins(folder, sudo=True):
    """An environment in which setup can do no harm."""
    for name, text in (("dpkg-query", DPKG), ("apt-get", APT), ("id", ID),
                       ("sudo", SUDO)):
        path = os.path.join(folder, name)
        if name == "sudo" and not sudo:
            continue
        with open(path, "w") as out:
            out.write(text)
        os.chmod(path, 0o755)
    path = folder + ":" + os.environ["PATH"]
    if not sudo:
        for name in ("bash", "printf", "env", "cat", "grep"):
            os.symlink(shutil.which(name), os.path.join(folder, name))
        path = folder
    return dict(os.environ, PATH=path, STANDIN=folder)


def setup(more, words, sudo=True):
    """setup's output, its status, and what it asked apt-get for."""
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run(
            ["/bin/bash", os.path.join(TOP, "setup")] + words,
            env=dict(stand_ins(folder, sudo), **more), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        asked = os.path.join(folder, "asked")
        text = ""
        if os.path.exists(asked):
            with open(asked) as stream:
                text = stream.read()
        return run.stdout, run.returncode, text


def setup_verdicts():
    for what, more, words, status, said, asked in SETUP:
        found = setup(more, words)
        good = found[1] == status and said in found[0] and (
            asked in found[2] if asked else found[2] == "")
        yield "setup: " + what, None if good else found
    found = setup({"MISSING": "spin", "STANDIN_ID": "1000"}, [], sudo=False)
    yield "setup: neither root nor sudo", (
        None if found[1:] == (1, "") and "install sudo" in found[0]
        else found)


def scons(root, words):
    run = subprocess.run(["scons"] + words, cwd=root, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return run.stdout, run.returncode


def scons_verdicts(root):
    for folder, _, files in os.walk(TOP):
        below = os.path.relpath(folder, TOP)
        if "SConscript" in files and not below.startswith("build"):
            os.makedirs(os.path.join(root, below))
            shutil.copy(os.path.join(folder, "SConscript"),
                        os.path.join(root, below))
    shutil.copy(os.path.join(TOP, "SConstruct"), root)

    said, status = scons(root, ["-h"])
    named = {line.split()[0] for line in said.splitlines()
             if line.startswith("  ")}
    want = {"demo", "test", "tidy", "bench", "fuzz", "soak", "size", "compdb",
            "variants", "only", "seconds"}
    yield "scons -h", None if status == 0 and want <= named else (
        said, status, want - named)
    for words, status, text in SCONS:
        found = scons(root, words)
        good = found[1] == status and text in found[0]
        yield "scons " + " ".join(words), None if good else found
    left = [os.path.join(folder, name)
            for folder, _, files in os.walk(os.path.join(root, "build"))
            for name in files if not name.startswith("sconsign")]
    yield "reading writes nothing", left or None


def main():
    with tempfile.TemporaryDirectory() as root:
        verdicts = list(setup_verdicts()) + list(scons_verdicts(root))
    for what, wrong in verdicts:
        if wrong is not None:
            print("%s:" % what, *wrong, sep="\n    ")
    failed = sum(1 for _, wrong in verdicts if wrong is not None)
    print("%d passed, %d failed" % (len(verdicts) - failed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

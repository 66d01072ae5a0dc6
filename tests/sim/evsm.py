# tests/sim/evsm.py - what the end-to-end tests share: a running evsm, a raw
# TPM client, tpm2-tools, and a way to count.
#
# Each script is run by tests/run.py with EVSM (the program) and VARIANT in its
# environment; by hand, EVSM defaults to build/host/evsm. A test is a function
# registered by @test; main() runs them in order, prints a line each, and ends
# with `N passed, N failed`.
import json
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback

EVSM = os.path.abspath(os.environ.get("EVSM", "build/host/evsm"))
VARIANT = os.environ.get("VARIANT", "host")
SHORT = VARIANT not in ("host", "host-clang")
PATIENCE = 120 if SHORT else 60  # seconds; there to find what hangs

tests = []


def test(function):
    tests.append(function)
    return function


def check(condition, words):
    if not condition:
        raise AssertionError(words)


def main():
    passed = failed = 0
    for one in tests:
        began = time.monotonic()
        try:
            one()
            passed += 1
            verdict = "ok"
        except Exception:
            failed += 1
            verdict = "FAILED"
            traceback.print_exc()
        print("%s: %s (%.1f s)" % (one.__name__, verdict,
                                   time.monotonic() - began), flush=True)
    print("%d passed, %d failed" % (passed, failed), flush=True)
    sys.exit(1 if failed else 0)


class Evsm:
    """A running `evsm run`, on ports and paths of its own."""

    def __init__(self, *options, state=None, wrapper=(), control=True,
                 env=None):
        self.folder = tempfile.mkdtemp(prefix="evsm-test-")
        self.control = os.path.join(self.folder, "control.sock")
        argv = list(wrapper) + [EVSM, "run", "--tpm-port", "0"]
        if control:
            argv += ["--control", self.control]
        if state:
            argv += ["--state", state]
        self.errors = open(os.path.join(self.folder, "stderr"), "w+")
        self.process = subprocess.Popen(
            argv + list(options), stdout=subprocess.PIPE, stderr=self.errors,
            env=dict(os.environ, **(env or {})))
        self.ready = None
        line = self.line()
        if line:
            self.ready = json.loads(line)
            self.tcti = self.ready["tcti"]
            self.control = self.ready["control"]
            self.port = int(self.tcti.rsplit("=", 1)[1])

    def line(self):
        out = self.process.stdout
        if not select.select([out], [], [], PATIENCE)[0]:
            self.kill()
            raise AssertionError("evsm says nothing: " + self.stderr())
        return out.readline().decode()

    def stderr(self):
        self.errors.flush()
        with open(self.errors.name) as text:
            return text.read()

    def __enter__(self):
        check(self.ready, "evsm did not start: " + self.stderr())
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            sys.stderr.write(self.stderr())
            self.kill()
        else:
            self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def stop(self, number=signal.SIGTERM, want=0):
        if self.process.poll() is not None:
            return
        self.process.send_signal(number)
        status = self.wait()
        check(status == want, "evsm ended with %s: %s"
              % (status, self.stderr()))
        check(not os.path.exists(self.control), "the control socket is left")

    def wait(self):
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("evsm does not end: " + self.stderr())

    def kill(self):
        self.process.kill()
        self.process.wait()

    # ---- Clients ----

    def connect(self, port=0):
        """A TCP connection to the data port, or the one after it."""
        s = socket.create_connection(("127.0.0.1", self.port + port),
                                     PATIENCE)
        s.settimeout(PATIENCE)
        return s

    def tpm(self, command):
        """One command on a connection of its own; the response."""
        with self.connect() as s:
            s.sendall(command)
            return tpm_response(s)

    def channel(self, command, body=b"", size=4):
        """One command of the control channel; `size` bytes of answer."""
        with self.connect(1) as s:
            s.sendall(struct.pack(">I", command) + body)
            return receive(s, size)

    def ask(self, **request):
        """One request on the control socket."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(PATIENCE)
            s.connect(self.control)
            s.sendall(json.dumps(request).encode() + b"\n")
            return json.loads(receive_line(s))

    def stat(self):
        return self.ask(do="stat")

    def command(self, *words, status=0):
        """`evsm WORDS --control ...`; what it printed."""
        return run_evsm(*words, "--control", self.control, status=status)[0]

    def tools(self, *lines, cwd=None):
        """tpm2-tools command lines, one after the other."""
        for line in lines:
            tool(line, self.tcti, cwd or self.folder)


def run_evsm(*words, status=0, env=None):
    """evsm with these words, to its end: (standard output, error)."""
    done = subprocess.run([EVSM] + list(words), capture_output=True, text=True,
                          timeout=PATIENCE,
                          env=dict(os.environ, **(env or {})))
    check(done.returncode == status, "evsm %s: status %d, not %d: %s"
          % (" ".join(words), done.returncode, status, done.stderr))
    return done.stdout, done.stderr


def tool(line, tcti, cwd):
    done = subprocess.run(
        line.split(" "), cwd=cwd, capture_output=True, text=True,
        timeout=PATIENCE, env=dict(os.environ, TPM2TOOLS_TCTI=tcti))
    check(done.returncode == 0, "%s: %s" % (line, done.stderr))
    return done.stdout


# ---- The wire ----

def receive(s, size):
    data = b""
    while len(data) < size:
        more = s.recv(size - len(data))
        check(more, "hung up after %d of %d bytes" % (len(data), size))
        data += more
    return data


def receive_line(s):
    data = b""
    while not data.endswith(b"\n"):
        more = s.recv(65536)
        check(more, "hung up in a line")
        data += more
    return data


def tpm_response(s):
    head = receive(s, 10)
    return head + receive(s, struct.unpack(">I", head[2:6])[0] - 10)


def code(response):
    return struct.unpack(">I", response[6:10])[0]


def ended(s):
    """Has the other side hung up? Waits for it."""
    try:
        while s.recv(65536):
            pass
    except ConnectionResetError:
        pass
    return True


def command(number, body=b"", tag=0x8001):
    return struct.pack(">HII", tag, 10 + len(body), number) + body


def get_random(size=8):
    return command(0x17B, struct.pack(">H", size))


PCR_READ = command(0x17E, bytes.fromhex("00000001000b03010000"))
STARTUP = command(0x144, b"\0\0")
NULL_AUTH = bytes.fromhex("00000009" "40000009" "0000" "00" "0000")


def create_primary(unique, kind="rsa2048", hierarchy=0x40000001):
    """TPM2_CreatePrimary of a storage key, its template told by `unique`."""
    if kind == "rsa2048":
        public = bytes.fromhex("0001" "000b" "00030072" "0000" "0006" "0080"
                               "0043" "0010" "0800" "00000000")
        public += struct.pack(">H", len(unique)) + unique
    else:
        curve, size = {"p256": (3, 32), "p384": (4, 48)}[kind]
        public = bytes.fromhex("0023" "000b" "00030072" "0000" "0006" "0080"
                               "0043" "0010") + struct.pack(">HH", curve, 0x10)
        x = unique.ljust(size, b"\0")[:size]
        public += struct.pack(">H", size) + x + struct.pack(">H", 0)
    body = struct.pack(">I", hierarchy) + NULL_AUTH
    body += bytes.fromhex("0004" "0000" "0000")
    body += struct.pack(">H", len(public)) + public
    body += bytes.fromhex("0000" "00000000")
    return command(0x131, body, tag=0x8002)


def flush(handle):
    return command(0x165, struct.pack(">I", handle))


def primary_of(response):
    """(handle, public area) from a response to CreatePrimary."""
    handle = struct.unpack(">I", response[10:14])[0]
    size = struct.unpack(">H", response[18:20])[0]
    return handle, response[20:20 + size]

#!/usr/bin/env python3
# tests/sim/test_tpm.py - the TPM through the front doors, as its users see it.
#
# Goal:   real tpm2-tools get all that they ask for, keys are swtpm's bit for
#         bit, the state outlives evsm, and many clients at once are served
#         without errors, without starving, and within the budget.
# Method: tpm2-tools and raw sockets against a real `evsm run`; swtpm beside it
#         on the same state. Times are printed, not asserted: the machine has
#         other work, too.
import socket
import threading
import time

from evsm import *  # noqa: F401,F403: all of it is for tests

FLUSH = "tpm2_flushcontext -t"

TOOLS = [
    "tpm2_startup -c",
    "tpm2_getrandom -o random 16",
    "tpm2_getcap properties-fixed",
    "tpm2_pcrextend 16:sha256=" + "5a" * 32,
    "tpm2_pcrread sha256:0,16",
    "tpm2_pcrreset 16",
    "tpm2_createek -G rsa -c ek.ctx -u ek.pub", FLUSH,
    "tpm2_createek -G ecc -c ek_ecc.ctx -u ek_ecc.pub", FLUSH,
    "tpm2_createak -C ek.ctx -c ak.ctx -G rsa -g sha256 -s rsassa -u ak.pem"
    " -f pem -n ak.name", FLUSH,
    "tpm2_createprimary -C o -G rsa2048 -c rsa.ctx", FLUSH,
    "tpm2_createprimary -C o -G ecc -c ecc.ctx", FLUSH,
    "tpm2_create -C ecc.ctx -G ecc -u key.pub -r key.priv", FLUSH,
    "tpm2_load -C ecc.ctx -u key.pub -r key.priv -c key.ctx", FLUSH,
    "tpm2_sign -c key.ctx -g sha256 -o sig message", FLUSH,
    "tpm2_verifysignature -c key.ctx -g sha256 -m message -s sig", FLUSH,
    "tpm2_create -C rsa.ctx -G rsa2048 -u rkey.pub -r rkey.priv", FLUSH,
    "tpm2_load -C rsa.ctx -u rkey.pub -r rkey.priv -c rkey.ctx", FLUSH,
    "tpm2_sign -c rkey.ctx -g sha256 -o rsig message", FLUSH,
    "tpm2_verifysignature -c rkey.ctx -g sha256 -m message -s rsig", FLUSH,
    "tpm2_quote -c ak.ctx -l sha256:0,16 -q d0d1d2d3 -m q.msg -s q.sig"
    " -o q.pcrs -g sha256", FLUSH,
    "tpm2_checkquote -u ak.pem -m q.msg -s q.sig -f q.pcrs -g sha256"
    " -q d0d1d2d3",
    "tpm2_nvdefine 0x1500016 -C o -s 32 -a ownerread|ownerwrite",
    "tpm2_nvwrite 0x1500016 -C o -i message",
    "tpm2_nvread 0x1500016 -C o -s 32 -o message.nv",
    "tpm2_evictcontrol -C o -c ecc.ctx 0x81000001", FLUSH,
    "tpm2_readpublic -c 0x81000001",
    "tpm2_hash -g sha256 -o hash message",
    "tpm2_getcap handles-persistent",
    "tpm2_getrandom 64 --hex",
]
SHORT_TOOLS = [line for line in TOOLS if "rkey" not in line]


def same(folder, a, b):
    with open(os.path.join(folder, a), "rb") as x:
        with open(os.path.join(folder, b), "rb") as y:
            check(x.read() == y.read(), "%s and %s differ" % (a, b))


@test
def tpm2_tools_get_all_they_ask_for_and_again_after_a_restart():
    with tempfile.TemporaryDirectory() as folder:
        state = folder + "/state"
        with open(folder + "/message", "w") as f:
            f.write("thirty-two bytes, signed & kept.")
        with Evsm("--cpus", "4", state=state) as evsm:
            evsm.tools(*(SHORT_TOOLS if SHORT else TOOLS), cwd=folder)
            same(folder, "message", "message.nv")
        with Evsm("--cpus", "1", state=state) as evsm:
            evsm.tools(
                "tpm2_createek -G rsa -c ek.ctx -u ek2.pub", FLUSH,
                "tpm2_createek -G ecc -c ek_ecc.ctx -u ek_ecc2.pub", FLUSH,
                "tpm2_nvread 0x1500016 -C o -s 32 -o message2.nv",
                "tpm2_readpublic -c 0x81000001",
                "tpm2_nvundefine 0x1500016 -C o",
                "tpm2_clear", cwd=folder)
            same(folder, "ek.pub", "ek2.pub")
            same(folder, "ek_ecc.pub", "ek_ecc2.pub")
            same(folder, "message", "message2.nv")


def swtpm_port(folder):
    """A real swtpm on the state in `folder`: (process, port)."""
    for _ in range(20):
        port = random_port()
        process = subprocess.Popen(
            ["swtpm", "socket", "--tpm2", "--tpmstate", "dir=" + folder,
             "--server", "type=tcp,port=%d,bindaddr=127.0.0.1,disconnect"
             % port, "--ctrl", "type=tcp,port=%d,bindaddr=127.0.0.1"
             % (port + 1), "--flags", "not-need-init,startup-clear"],
            stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        end = time.monotonic() + 10
        while process.poll() is None and time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", port + 1)).close()
                return process, port
            except ConnectionRefusedError:
                time.sleep(0.02)
        process.kill()
        process.wait()
    raise AssertionError("swtpm does not start")


def random_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def to_swtpm(state, folder):
    """evsm's state file as swtpm keeps it: another header, the same blob."""
    with open(state, "rb") as f:
        blob = f.read()[32:]
    with open(folder + "/tpm2-00.permall", "wb") as f:
        f.write(struct.pack(">BBHHI", 2, 1, 10, 0, 16 + len(blob)))
        f.write(struct.pack(">HI", 1, len(blob)) + blob)


def swtpm_ask(port, data):
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.settimeout(PATIENCE)
        s.sendall(data)
        return tpm_response(s)


@test
def primaries_are_swtpms_bit_for_bit():
    if not shutil.which("swtpm"):
        return
    asked = [("rsa2048", b"", 0x4000000B), ("p256", b"", 0x40000001),
             ("p384", b"", 0x40000001), ("p256", b"x", 0x4000000B),
             ("p384", b"y", 0x4000000C)]
    asked += [("rsa2048", b"key %d" % i, 0x40000001)
              for i in range(1 if SHORT else 5)]
    with tempfile.TemporaryDirectory() as folder:
        state = folder + "/state"
        ours = []
        with Evsm("--cpus", "2", state=state) as evsm:
            shutil.copy(state, folder + "/copy")
            for kind, unique, hierarchy in asked:
                answer = evsm.tpm(create_primary(unique, kind, hierarchy))
                check(code(answer) == 0, "0x%x" % code(answer))
                handle, public = primary_of(answer)
                evsm.tpm(flush(handle))
                ours.append(public)
        to_swtpm(folder + "/copy", folder)
        process, port = swtpm_port(folder)
        try:
            for public, (kind, unique, hierarchy) in zip(ours, asked):
                answer = swtpm_ask(port,
                                   create_primary(unique, kind, hierarchy))
                handle, theirs = primary_of(answer)
                swtpm_ask(port, flush(handle))
                check(public == theirs, "%s %r differs" % (kind, unique))
        finally:
            process.kill()
            process.wait()


class Client(threading.Thread):
    """Asks again and again until `end`, and keeps how long it took."""

    def __init__(self, name, ask, end):
        super().__init__(name=name, daemon=True)
        self.ask, self.end = ask, end
        self.times, self.error = [], None

    def run(self):
        index = 0
        try:
            while time.monotonic() < self.end:
                began = time.monotonic()
                self.ask(index)
                self.times.append(time.monotonic() - began)
                index += 1
        except Exception as error:
            self.error = error

    def line(self):
        t = sorted(self.times)
        return "  %-22s %6d answers, ms: p50 %.2f, p99 %.2f, max %.2f" % (
            self.name, len(t), t[len(t) // 2] * 1e3,
            t[len(t) * 99 // 100] * 1e3, t[-1] * 1e3)


def open_asker(evsm):
    """One connection for many TPM commands."""
    s = evsm.connect()

    def ask(data):
        s.sendall(data)
        answer = tpm_response(s)
        check(code(answer) == 0, "0x%x" % code(answer))
        return answer

    return ask


@test
def four_clients_at_once_see_no_error_and_none_starves():
    with Evsm("--cpus", "4") as evsm:
        rsa, rnd, pcr = (open_asker(evsm) for _ in range(3))
        control = socket.socket(socket.AF_UNIX)
        control.settimeout(PATIENCE)
        control.connect(evsm.control)

        def primaries(index):
            handle, _ = primary_of(rsa(create_primary(b"key %d" % index)))
            rsa(flush(handle))

        in_guest = []

        def query(_):
            control.sendall(b'{"do":"query","protocol":2,"version":1}\n')
            answer = json.loads(receive_line(control))
            check(answer["ok"] and answer["version_max"] == 1, answer)
            in_guest.append(answer["ns"] / 1e3)

        before = evsm.stat()
        end = time.monotonic() + (4 if SHORT else 8)
        clients = [
            Client("RSA-2048 primaries", primaries, end),
            Client("getrandom", lambda _: rnd(get_random(16)), end),
            Client("pcrread", lambda _: pcr(PCR_READ), end),
            Client("query", query, end),
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join(PATIENCE * 2)
            check(not client.is_alive(), client.name + " is starved")
        for client in clients:
            check(client.error is None,
                  "%s: %r" % (client.name, client.error))
            check(client.times, client.name + " got nothing")
            print(client.line())
        in_guest.sort()
        print("  query, in the guest, us: p50 %.1f, p99 %.1f, max %.1f"
              % (in_guest[len(in_guest) // 2],
                 in_guest[len(in_guest) * 99 // 100], in_guest[-1]))
        stat = evsm.stat()
        print("  residency, us: %s; before: max %.1f"
              % (json.dumps(stat["residency_us"]),
                 before["residency_us"]["max"]))
        print("  held, less what Linux took, us: %s"
              % json.dumps(stat["held_us"]))
        print("  past the budget of %d us: %s, %s" % (
            stat["budget_us"], json.dumps(stat["overrun_us"]),
            json.dumps(stat["overruns_while"])))
        # Long commands came back INCOMPLETE, and were resumed.
        vtpm = [p for p in stat["protocols"] if p["name"] == "vtpm"][0]
        check(vtpm["incomplete"] > 0, "no call outlasted its budget")
        control.close()


@test
def one_cpu_serves_several_clients_in_turn():
    with Evsm("--cpus", "1") as evsm:
        end = time.monotonic() + (2 if SHORT else 3)
        askers = [open_asker(evsm) for _ in range(3)]

        def primaries(index):
            handle, _ = primary_of(askers[0](
                create_primary(b"one %d" % index)))
            askers[0](flush(handle))

        clients = [
            Client("RSA-2048 primaries", primaries, end),
            Client("getrandom", lambda _: askers[1](get_random()), end),
            Client("pcrread", lambda _: askers[2](PCR_READ), end),
            Client("query", lambda _: evsm.command("call", "query", "0"), end),
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join(PATIENCE * 2)
            check(client.error is None and client.times,
                  "%s: %r" % (client.name, client.error))
            print(client.line())


@test
def a_demo_that_nobody_reads_clears_away():
    with tempfile.TemporaryDirectory() as folder:
        demo = subprocess.Popen(
            [EVSM, "demo"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=dict(os.environ, TMPDIR=folder))
        demo.stdout.readline()
        demo.stdout.close()
        check(demo.wait(PATIENCE) == 1, "tells it")
        check(os.listdir(folder) == [], "left: %s" % os.listdir(folder))


@test
def the_demo_goes_well():
    if SHORT:
        return
    with tempfile.TemporaryDirectory() as folder:
        out, err = run_evsm("demo", env={"TMPDIR": folder})
        check("0 failed" in out and "\033" not in out, out + err)
        check(os.listdir(folder) == [], "it leaves nothing behind")
        out, _ = run_evsm("demo", "--json", env={"TMPDIR": folder})
        check(json.loads(out)["ok"], out)
        demo = subprocess.Popen(
            [EVSM, "demo"], stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, start_new_session=True,
            env=dict(os.environ, TMPDIR=folder))
        time.sleep(0.7)
        os.killpg(demo.pid, signal.SIGINT)
        err = demo.communicate(timeout=PATIENCE)[1].decode()
        check(demo.returncode == 1 and "interrupted" in err, err)
        check(os.listdir(folder) == [], "nor when it is interrupted")
        _, err = run_evsm("demo", status=1, env={"PATH": folder})
        check("tpm2-tools" in err and err.count("\n") == 1, err)


main()

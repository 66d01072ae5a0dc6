#!/usr/bin/env python3
# tests/sim/test_wire.py - the swtpm wire and the control socket, and those
# who abuse them.
#
# Goal:   whatever a client sends or leaves out, it gets a clear error or is
#         hung up on, nobody else notices, and evsm goes on.
# Method: one evsm for each test, raw sockets; after each abuse a well-behaved
#         client must be answered.
import random
import resource
import socket
import time

from evsm import *  # noqa: F401,F403: all of it is for tests

RC_COMMAND_SIZE, RC_COMMAND_CODE = 0x142, 0x143
RC_INITIALIZE = 0x100


def well(evsm):
    """A well-behaved client is answered."""
    check(code(evsm.tpm(get_random())) == 0, "TPM2_GetRandom")
    answer = evsm.ask(do="query", protocol=2, version=1)
    check(answer["ok"] and answer["version_max"] == 1, answer)


def tpm_malformed(evsm):
    """What the TPM refuses: framed well, so the connection lives on."""
    with evsm.connect() as s:
        for bad, want in (
            (command(0x17B, b"\0\x08", tag=0), None),
            (command(0x17B, b"\0\x08", tag=0xFFFF), None),
            (command(0), RC_COMMAND_CODE),
            (command(0x1FFFF), RC_COMMAND_CODE),
            (command(0x17B), None),
            (command(0x17B, b"\0"), None),
            (command(0x17B, b"\0\x08\0"), None),
            (command(0x17B, b"\0\x08", tag=0x8002), None),
            (command(0x131, b"\xff" * 200, tag=0x8002), None),
            (command(0x17B, bytes(4077)), None),
        ):
            s.sendall(bad)
            got = code(tpm_response(s))
            check(got != 0 if want is None else got == want,
                  "%s: 0x%x" % (bad[:12].hex(), got))
        s.sendall(get_random())
        check(code(tpm_response(s)) == 0, "after all of them")


@test
def malformed_tpm_commands_get_the_tpms_error():
    with Evsm() as evsm:
        tpm_malformed(evsm)
        well(evsm)


@test
def a_size_that_cannot_be_is_answered_and_hung_up_on():
    with Evsm() as evsm:
        for size in (0, 1, 9, 4088, 4097, 65536, 0x7FFFFFFF, 0xFFFFFFFF):
            with evsm.connect() as s:
                s.sendall(struct.pack(">HII", 0x8001, size, 0x17B)
                          + bytes(random.choice((0, 3, 30000))))
                check(code(tpm_response(s)) == RC_COMMAND_SIZE, size)
                s.shutdown(socket.SHUT_WR)
                check(ended(s), "hung up on")
        with evsm.connect() as s:  # one that never stops sending
            s.settimeout(PATIENCE)
            try:
                for _ in range(100):
                    s.sendall(b"\xff" * 65536)
                check(False, "took 6 MB of garbage")
            except (ConnectionResetError, BrokenPipeError):
                pass
        well(evsm)


@test
def bytes_may_come_one_by_one_and_commands_in_a_heap():
    with Evsm() as evsm:
        with evsm.connect() as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in get_random(16):
                s.sendall(bytes([byte]))
                time.sleep(0.001)
            check(len(tpm_response(s)) == 12 + 16, "one by one")
            count = 50
            s.sendall(get_random(8) * count + get_random(8)[:5])
            for _ in range(count):
                check(code(tpm_response(s)) == 0, "pipelined")
            s.sendall(get_random(8)[5:])
            check(code(tpm_response(s)) == 0, "the rest of a half one")
        with evsm.connect() as s:  # asks and closes its half: is answered
            s.sendall(get_random())
            s.shutdown(socket.SHUT_WR)
            check(code(tpm_response(s)) == 0, "half closed")
            check(s.recv(1) == b"", "then hung up")


@test
def the_control_channel_does_what_its_capabilities_say():
    with Evsm() as evsm:
        result, caps = struct.unpack(">II", evsm.channel(1, size=8))
        check(result == 0, "GET_CAPABILITY")
        want = sum(1 << b for b in (0, 1, 2, 3, 4, 5, 7, 10, 11, 13))
        check(caps == want, "0x%x" % caps)
        check(evsm.channel(0x04, size=8) == bytes(8), "GET_TPMESTABLISHED")
        check(evsm.channel(0x05, b"\0") == bytes(4), "SET_LOCALITY")
        check(evsm.channel(0x05, b"\5") == struct.pack(">I", 0x3D), "5")
        check(evsm.channel(0x0F, size=8) == bytes(8), "GET_CONFIG")
        sizes = struct.unpack(">IIII", evsm.channel(0x11, bytes(4), 16))
        check(sizes == (0, 4087, 4087, 4087), sizes)
        check(evsm.channel(0x09) == bytes(4), "CANCEL_TPM_CMD")
        for missing in (0, 0x0A, 0x0C, 0x0D, 0x10, 0x12, 0x13, 0x99,
                        0xFFFFFFFF):
            check(evsm.channel(missing, bytes(64))
                  == struct.pack(">I", 0x0A), "0x%x" % missing)
        with evsm.connect(1) as s:  # several on one connection, padded
            for _ in range(5):
                s.sendall(struct.pack(">IBxxx", 5, 0))
                check(receive(s, 4) == bytes(4), "padded")
                s.sendall(struct.pack(">I", 1))
                check(receive(s, 8)[4:] == struct.pack(">I", caps), "again")
        well(evsm)


@test
def swtpms_own_tool_speaks_with_it():
    if not shutil.which("swtpm_ioctl"):
        return
    with Evsm() as evsm:
        for words, want in (
            ("-c", "0x2cbf"), ("-e", "is 0"), ("-i", ""), ("-g", "0x0"),
            ("-b 4096", "4087"), ("-l 0", ""), ("-l 7", "outside"),
            ("-r 0", "0x3d"), ("-h measured", ""), ("-e", "is 1"),
            ("-r 3", ""), ("-e", "is 0"), ("-C", ""), ("-v", "0xa"),
            ("--info 1", "0xa"), ("--stop", ""), ("-i", ""), ("-s", ""),
            ("-i", ""),
        ):
            done = subprocess.run(
                ["swtpm_ioctl", "--tcp", "127.0.0.1:%d" % (evsm.port + 1)]
                + words.split(" "), capture_output=True, text=True,
                timeout=PATIENCE)
            said = done.stdout + done.stderr
            check(want in said and (want or not said),
                  "%s: %s" % (words, said))
        check(code(evsm.tpm(STARTUP)) == 0, "TPM2_Startup")
        well(evsm)


@test
def init_resets_the_tpm_and_stop_switches_it_off():
    extend = command(0x182, struct.pack(">I", 16) + struct.pack(
        ">I", 9) + bytes.fromhex("40000009" "0000" "00" "0000")
        + bytes.fromhex("00000001" "000b") + b"\x11" * 32, tag=0x8002)
    read = command(0x17E, bytes.fromhex("00000001000b03000001"))
    with Evsm() as evsm:
        check(evsm.tpm(read)[-32:] == bytes(32), "PCR 16 is at rest")
        check(code(evsm.tpm(extend)) == 0, "TPM2_PCR_Extend")
        check(evsm.tpm(read)[-32:] != bytes(32), "extended")
        check(code(evsm.tpm(STARTUP)) == RC_INITIALIZE, "started already")
        check(evsm.channel(0x02, bytes(4)) == bytes(4), "INIT")
        check(code(evsm.tpm(get_random())) == RC_INITIALIZE, "not started")
        check(code(evsm.tpm(STARTUP)) == 0, "TPM2_Startup")
        check(evsm.tpm(read)[-32:] == bytes(32), "reset")
        check(evsm.channel(0x0E) == bytes(4), "STOP")
        check(code(evsm.tpm(STARTUP)) == RC_INITIALIZE, "switched off")
        check(evsm.channel(0x02, bytes(4)) == bytes(4), "INIT")
        check(code(evsm.tpm(STARTUP)) == 0, "TPM2_Startup")
        well(evsm)


@test
def a_measured_launch_goes_through_the_control_channel():
    with Evsm() as evsm:
        evsm.channel(0x02, bytes(4))
        check(evsm.channel(0x06) == bytes(4), "HASH_START")
        check(evsm.channel(0x07, struct.pack(">I", 5) + b"hello")
              == bytes(4), "HASH_DATA")
        check(evsm.channel(0x07, struct.pack(">I", 5000))
              == struct.pack(">I", 0x19), "too much HASH_DATA")
        check(evsm.channel(0x08) == bytes(4), "HASH_END")
        check(evsm.channel(0x04, size=8)[4] == 1, "established")
        check(evsm.channel(0x0B, b"\0") != bytes(4), "from locality 0")
        check(evsm.channel(0x0B, b"\3") == bytes(4), "from locality 3")
        check(evsm.channel(0x04, size=8)[4] == 0, "no more")


@test
def bad_requests_on_the_control_socket_are_told_what_is_wrong():
    with Evsm() as evsm:
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(PATIENCE)
            s.connect(evsm.control)
            for bad in (b"", b"hello", b"{", b"[]", b"1", b"null", b"{}",
                        b'{"do":1}', b'{"do":"sing"}', b'{"do":"query"}',
                        b'{"do":"query","protocol":-1,"version":1}',
                        b'{"do":"query","protocol":4294967296,"version":1}',
                        b'{"do":"query","protocol":1.5,"version":1}',
                        b'{"do":"query","protocol":"0","version":1}',
                        b'{"do":"tpm"}', b'{"do":"tpm","command":5}',
                        b'{"do":"tpm","command":""}',
                        b'{"do":"tpm","command":"0"}',
                        b'{"do":"tpm","command":"0g"}',
                        b'{"do":"stat"} x', b'{"a":{"b":{"c":{"d":1}}}}',
                        b"[" * 5000, b'{"do":"\xff\xfe"}', b"\0\0\0"):
                s.sendall(bad + b"\n")
                answer = json.loads(receive_line(s))
                check(not answer["ok"] and answer["error"], bad)
            s.sendall(b'{"do":"stat"}\n' * 3)
            data = b""
            while data.count(b"\n") < 3:
                data += s.recv(65536)
            s.sendall(b"x" * 20000)
            check(not json.loads(receive_line(s))["ok"], "too long a line")
            check(ended(s), "hung up on")
        well(evsm)


@test
def garbage_never_stops_it():
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    print("SEED=%d replays this" % seed)
    dice = random.Random(seed)
    with Evsm("--cpus", "3") as evsm:
        for _ in range(40 if SHORT else 150):
            port = dice.choice((0, 0, 0, 1, None))
            data = bytes(dice.randrange(256)
                         for _ in range(dice.choice((1, 9, 10, 40, 5000))))
            if port == 0 and dice.random() < 0.7:  # well framed garbage
                data = command(0x11E + dice.randrange(0x80), data[:4000],
                               tag=dice.choice((0x8001, 0x8002)))
            if port == 1 and dice.random() < 0.7:
                data = struct.pack(">I", dice.randrange(0x15)) + data
            if port is None:
                s = socket.socket(socket.AF_UNIX)
                s.connect(evsm.control)
            else:
                s = evsm.connect(port)
            s.settimeout(0.05)
            try:
                s.sendall(data)
                if dice.random() < 0.5:
                    s.recv(4096)
            except OSError:
                pass
            s.close()
        evsm.channel(0x02, bytes(4))
        evsm.tpm(STARTUP)
        well(evsm)


@test
def clients_that_vanish_leave_nothing_behind():
    with Evsm("--cpus", "4") as evsm:
        for i in range(12 if SHORT else 40):
            s = evsm.connect()
            kind = i % 4
            if kind == 0:  # in the middle of its command's execution
                s.sendall(create_primary(b"vanish %d" % i))
                time.sleep(0.002)
            elif kind == 1:
                s.sendall(get_random()[:i % 10])
            elif kind == 2:  # does not read its answers
                s.sendall(get_random(32) * 20)
            if kind != 3:  # RST
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
            s.close()
        # Their primaries stay in the TPM as anybody's do: take them out.
        for handle in range(0x80000000, 0x80000003):
            evsm.tpm(flush(handle))
        well(evsm)
        end = time.monotonic() + PATIENCE
        while evsm.stat()["clients"]["doors"][0]["now"] > 0:
            check(time.monotonic() < end, evsm.stat()["clients"])
            time.sleep(0.05)


@test
def too_many_connections_wait_and_are_served_when_one_leaves():
    with Evsm("--cpus", "2") as evsm:
        many = [evsm.connect() for _ in range(80)]
        limit = 64
        for s in many[:limit]:
            s.sendall(get_random())
        for s in many[:limit]:
            check(code(tpm_response(s)) == 0, "within the limit")
        for s in many[limit:]:
            s.sendall(get_random())
        check(not select.select(many[limit:], [], [], 0.2)[0], "they wait")
        well_control = evsm.ask(do="query", protocol=0, version=1)
        check(well_control["ok"], "the other doors are open")
        door = evsm.stat()["clients"]["doors"][0]
        check(door["now"] == limit and door["limit"] == limit, door)
        for s in many[:limit]:
            s.close()
        for s in many[limit:]:
            check(code(tpm_response(s)) == 0, "served when one leaves")
            s.close()
        well(evsm)


@test
def without_descriptors_clients_wait_and_no_vcpu_spins():
    with Evsm("--cpus", "2") as evsm, socket.socket(socket.AF_UNIX) as control:
        control.settimeout(PATIENCE)
        control.connect(evsm.control)

        def halts():
            control.sendall(b'{"do":"stat"}\n')
            text = b""
            while not text.endswith(b"\n"):
                text += control.recv(65536)
            return json.loads(text)["halts"]

        halts()
        pid = evsm.process.pid
        soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        here = len(os.listdir("/proc/%d/fd" % pid))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (here, hard))
        clients = [evsm.connect() for _ in range(3)]
        for s in clients:
            s.sendall(get_random())
        before = halts()
        time.sleep(0.5)
        after = halts()
        check(after - before < 100, "halted %d times" % (after - before))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
        for s in clients:
            check(code(tpm_response(s)) == 0, "served in the end")
            s.close()


@test
def a_slow_loris_is_hung_up_on_and_places_at_rest_are_taken_over():
    if SHORT:
        return
    with Evsm("--cpus", "2") as evsm:
        slow = [evsm.connect() for _ in range(32)]
        rest = [evsm.connect() for _ in range(32)]
        late = evsm.connect()
        late.sendall(get_random())
        began = time.monotonic()
        for s in slow:
            s.sendall(get_random()[:3])
        for s in slow[:5]:  # a byte now and then does not help
            time.sleep(0.5)
            s.sendall(b"\0")
        check(code(tpm_response(late)) == 0, "gets a place")
        for s in slow:
            check(ended(s), "hung up on")
            s.close()
        took = time.monotonic() - began
        check(9 < took < 40, "after %.1f s" % took)
        well(evsm)
        for s in rest + [late]:
            s.close()


main()

#!/usr/bin/env python3
# tests/sim/test_commands.py - evsm's command lines, as a person meets them.
#
# Goal:   each command says what is wrong in one line and exits as promised,
#         a second instance is refused, state survives, nothing leaks.
# Method: real processes, with files and ports of their own.
import os
import socket
import time

from evsm import *  # noqa: F401,F403: all of it is for tests


@test
def every_command_has_help_and_refuses_nonsense():
    out, _ = run_evsm("--help")
    for name in ("run", "stat", "call", "demo"):
        check("evsm " + name in out, "evsm --help misses " + name)
        text, err = run_evsm(name, "--help")
        check(text.startswith("evsm %s - " % name), name + " --help")
        check(err == "", "help is for standard output")
        _, err = run_evsm(name, "--nonsense", status=2)
        check(err.count("\n") == 1 and "--help" in err, err)
    run_evsm(status=2)
    run_evsm("sing", status=2)


@test
def wrong_options_are_told_in_one_line_with_status_2():
    for words in (
        ["run", "--cpus", "0"], ["run", "--cpus", "65"], ["run", "--cpus"],
        ["run", "--cpus", "two"], ["run", "--cpus=-1"], ["run", "word"],
        ["run", "--tpm-port", "65535"], ["run", "--tpm-port", "1x"],
        ["run", "--budget-us", "49"], ["run", "--budget-us", "1000001"],
        ["run", "--budget-us", "99999999999999999999999"],
        ["run", "--state", ""], ["run", "--state="],
        ["stat", "--json=1"], ["stat", "word"], ["call"], ["call", "sing"],
        ["call", "tpm"], ["call", "tpm", ""], ["call", "tpm", "8"],
        ["call", "tpm", "zz"],
        ["call", "query", "9x"], ["call", "query", "1.x"],
        ["call", "query", "1", "2"], ["call", "query", "--count", "0"],
        ["demo", "word"],
    ):
        _, err = run_evsm(*words, status=2)
        check(err.count("\n") == 1 and err.startswith("evsm "), repr(err))


@test
def nobody_there_is_told_in_one_line_with_status_1():
    with tempfile.TemporaryDirectory() as folder:
        env = {"XDG_RUNTIME_DIR": folder}
        for words in (["stat"], ["call", "query"]):
            _, err = run_evsm(*words, status=1, env=env)
            check("evsm run" in err and err.count("\n") == 1, repr(err))
            _, err = run_evsm(*words, "--control", folder + "/none",
                              status=1)
            check(err.count("\n") == 1, repr(err))


@test
def the_newest_instance_is_found_and_stale_sockets_are_not():
    with tempfile.TemporaryDirectory() as folder:
        env = {"XDG_RUNTIME_DIR": folder}
        first = Evsm(control=False, env=env)
        second = Evsm(control=False, env=env)
        check(os.stat(folder + "/evsm").st_mode & 0o777 == 0o700, "mode")
        check(os.stat(second.control).st_mode & 0o777 == 0o600, "mode")
        out, _ = run_evsm("stat", "--json", env=env)
        check(json.loads(out)["pid"] == second.process.pid, "the newest")
        second.kill()  # leaves its socket
        check(os.path.exists(second.control), "a socket is left by kill -9")
        out, _ = run_evsm("stat", "--json", env=env)
        check(json.loads(out)["pid"] == first.process.pid, "the other")
        first.stop()
        os.chmod(folder + "/evsm", 0o755)
        _, err = run_evsm("run", "--tpm-port", "0", status=1, env=env)
        check("0700" in err, err)


@test
def a_second_instance_is_refused_and_the_first_goes_on():
    with tempfile.TemporaryDirectory() as folder:
        state = folder + "/state"
        with Evsm(state=state) as evsm:
            for words, what in (
                (["--tpm-port", "0", "--state", state], "in use"),
                (["--tpm-port", str(evsm.port)], str(evsm.port)),
                (["--tpm-port", str(evsm.port + 1)], str(evsm.port + 1)),
                # Its second port is taken, or by chance its first one.
                (["--tpm-port", str(evsm.port - 1)], "127.0.0.1:"),
                (["--tpm-port", "0", "--control", evsm.control], "control"),
            ):
                _, err = run_evsm("run", *words, status=1)
                err = [x for x in err.splitlines() if "without" not in x]
                check(len(err) == 1 and what in err[0], repr(err))
            check(code(evsm.tpm(get_random())) == 0, "the first goes on")


@test
def a_control_path_that_is_something_else_is_left_alone():
    with tempfile.TemporaryDirectory() as folder:
        path = folder + "/precious"
        with open(path, "w") as f:
            f.write("precious")
        run_evsm("run", "--tpm-port", "0", "--control", path, status=1)
        check(open(path).read() == "precious", "kept")
        run_evsm("run", "--tpm-port", "0", "--control", folder + "/x" * 200,
                 status=1)


@test
def a_state_that_is_none_is_refused_and_never_overwritten():
    with tempfile.TemporaryDirectory() as folder:
        state = folder + "/state"
        with Evsm(state=state):
            pass
        whole = open(state, "rb").read()
        check(os.stat(state).st_mode & 0o777 == 0o600, "its owner's only")
        check(whole[:8] == b"EVSM-TPM", "magic")
        flipped = whole[:-1] + bytes([whole[-1] ^ 1])
        for bad in (b"", b"x", b"EVSM-TPM", whole[:31], whole[:-1],
                    whole + b"x", flipped, whole[:8] + b"\2" + whole[9:],
                    b"swtpm" + whole, os.urandom(400000)):
            with open(state, "wb") as f:
                f.write(bad)
            _, err = run_evsm("run", "--tpm-port", "0", "--state", state,
                              status=1)
            check(err.count("\n") == 1 and state in err, repr(err))
            check(open(state, "rb").read() == bad, "overwritten")
        with open(state, "wb") as f:
            f.write(whole)
        with Evsm(state=state):
            pass
        os.mkdir(folder + "/dir")
        run_evsm("run", "--tpm-port", "0", "--state", folder + "/dir",
                 status=1)
        run_evsm("run", "--tpm-port", "0", "--state", folder + "/no/such",
                 status=1)


@test
def a_link_that_leads_nowhere_is_no_state():
    with tempfile.TemporaryDirectory() as folder:
        link = folder + "/dangling"
        os.symlink("nowhere", link)
        _, err = run_evsm("run", "--tpm-port", "0", "--state", link, status=1)
        check(err.count("\n") == 1 and link in err, repr(err))
        check(os.path.islink(link), "the link stays a link")


@test
def the_state_is_never_written_into_a_file_of_others():
    with tempfile.TemporaryDirectory() as folder:
        state = folder + "/state"
        theirs = open(state + ".new", "wb+")  # held open, by whomever
        with Evsm(state=state):
            pass
        check(os.fstat(theirs.fileno()).st_size == 0, "seeds in there")
        theirs.close()
        check(os.stat(state).st_mode & 0o777 == 0o600, "its owner's only")


@test
def sigint_and_sigterm_end_it_with_clients_in_mid_command():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        with Evsm("--cpus", "4") as evsm:
            clients = [evsm.connect() for _ in range(6)]
            for i, s in enumerate(clients[:3]):
                s.sendall(create_primary(b"stop %d" % i))
            clients[3].sendall(get_random()[:7])
            clients[4].sendall(get_random())
            half = evsm.connect(1)
            half.sendall(b"\0\0")
            time.sleep(0.05)
            evsm.stop(number)
            for s in clients + [half]:
                check(ended(s), "hung up on")
                s.close()


@test
def a_signal_that_comes_twice_at_once_ends_it_cleanly():
    # As timeout(1) does it: to the process, and to its group.
    for number in (signal.SIGINT, signal.SIGTERM):
        with Evsm() as evsm:
            s = evsm.connect()
            s.sendall(create_primary(b"twice"))
            for _ in range(20):
                evsm.process.send_signal(number)
            check(evsm.wait() == 0, "a clean end: " + evsm.stderr())
            check(ended(s), "hung up on")
            s.close()


def closed(words):
    """A wrapper: the shell's redirections, for what it starts."""
    return ["/bin/sh", "-c", 'exec "$@" ' + words, "sh"]


@test
def closed_standard_files_are_not_taken_for_others():
    with tempfile.TemporaryDirectory() as folder:
        state = folder + "/state"
        for words in (">&-", "2>&-", "<&-", "<&- >&- 2>&-"):
            control = folder + "/control"
            process = subprocess.Popen(closed(words) + [
                EVSM, "run", "--tpm-port", "0", "--state", state,
                "--control", control], stdout=subprocess.DEVNULL)
            while not os.path.exists(control):
                check(process.poll() is None, "evsm did not start")
                time.sleep(0.01)
            for fd in range(3):
                name = os.readlink("/proc/%d/fd/%d" % (process.pid, fd))
                check(folder not in name and "socket" not in name and
                      "event" not in name and "signal" not in name, name)
            process.terminate()
            check(process.wait(PATIENCE) == 0, words)
            check(os.path.getsize(state + ".lock") == 0, "printed into it")


@test
def a_host_without_memory_is_told_in_one_line():
    if VARIANT not in ("host", "host-clang"):
        return  # a sanitizer's shadow takes terabytes of addresses
    for kb in (60000, 80000, 100000, 110000):
        done = subprocess.run(
            ["/bin/sh", "-c", 'ulimit -v %d; exec timeout 2 "$@"' % kb, "sh",
             EVSM, "run", "--tpm-port", "0", "--cpus", "4"],
            capture_output=True, text=True, timeout=PATIENCE)
        err = [x for x in done.stderr.splitlines() if "without" not in x]
        check(done.returncode == 1 and len(err) == 1 and "memory" in err[0],
              "%d kB: %d %s" % (kb, done.returncode, done.stderr))


@test
def a_state_by_another_name_is_the_same_state():
    with tempfile.TemporaryDirectory() as folder:
        state, link = folder + "/state", folder + "/link"
        with Evsm(state=state):
            os.symlink("state", link)
            _, err = run_evsm("run", "--tpm-port", "0", "--state", link,
                              status=1)
            check("in use" in err, err)
        with Evsm(state=link) as evsm:
            check(code(evsm.tpm(STARTUP)) in (0, 0x100), "serves")
        check(os.path.islink(link), "the link stays a link")


@test
def it_serves_though_nobody_learns_that_it_is_ready():
    with tempfile.TemporaryDirectory() as folder:
        control = folder + "/control"
        process = subprocess.Popen(
            closed(">/dev/full 2>" + folder + "/err") + [
                EVSM, "run", "--tpm-port", "0", "--control", control])
        while not os.path.exists(control):
            check(process.poll() is None, "evsm did not start")
            time.sleep(0.01)
        out, _ = run_evsm("call", "query", "vtpm", "--control", control)
        check("yes" in out, out)
        process.terminate()
        check(process.wait(PATIENCE) == 0, "a clean end")
        err = open(folder + "/err").read()
        check("can't say on standard output" in err, repr(err))


@test
def kill_9_and_restart_keep_what_was_answered():
    with tempfile.TemporaryDirectory() as folder:
        state = folder + "/state"
        evsm = Evsm(state=state)
        evsm.tools("tpm2_nvdefine 0x1500020 -C o -s 8 -a ownerread|ownerwrite")
        for i in range(3 if SHORT else 8):
            with open(folder + "/data", "wb") as f:
                f.write(b"round %02d" % i)
            evsm.tools("tpm2_nvwrite 0x1500020 -C o -i data", cwd=folder)
            evsm.kill()
            check(not os.path.exists(state + ".new"), "half a state is left")
            evsm = Evsm(state=state)
            check(evsm.ready, "starts again: " + evsm.stderr())
            out = tool("tpm2_nvread 0x1500020 -C o -s 8", evsm.tcti, folder)
            check(out == "round %02d" % i, "kept: %r" % out)
        evsm.stop()


@test
def a_blob_that_is_no_tpm_state_is_refused_and_kept():
    with tempfile.TemporaryDirectory() as folder:
        state = folder + "/state"
        with Evsm(state=state):
            pass
        # A whole file of ours, but what is in it is not libtpms's.
        bad = state_file(b"not a TPM's state" * 50)
        with open(state, "wb") as f:
            f.write(bad)
        _, err = run_evsm("run", "--tpm-port", "0", "--state", state,
                          status=1)
        check(err.count("\n") == 1 and "libtpms" in err, repr(err))
        check(open(state, "rb").read() == bad, "overwritten")


def state_file(blob):
    """As sim/tpm_state_file.h says."""
    head = b"EVSM-TPM" + struct.pack("<IIQ", 1, 32, len(blob))
    crc = 0xFFFFFFFFFFFFFFFF
    for byte in head + blob:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xC96C5795D7870F42 if crc & 1 else 0)
    return head + struct.pack("<Q", crc ^ 0xFFFFFFFFFFFFFFFF) + blob


@test
def a_disk_that_fails_costs_the_command_and_no_more():
    with tempfile.TemporaryDirectory() as folder:
        home, away = folder + "/home", folder + "/away"
        os.mkdir(home)
        with open(folder + "/data", "wb") as f:
            f.write(b"12345678")
        write = "tpm2_nvwrite 0x1500020 -C o -i data"
        with Evsm(state=home + "/state") as evsm:
            evsm.tools(
                "tpm2_nvdefine 0x1500020 -C o -s 8 -a ownerread|ownerwrite")
            before = open(home + "/state", "rb").read()
            os.rename(home, away)
            failed = False
            try:
                evsm.tools(write, cwd=folder)
            except AssertionError:
                failed = True
            check(failed, "a change that is not durable is answered")
            check(code(evsm.tpm(get_random())) == 0x101, "failure mode")
            check(evsm.ask(do="query", protocol=2, version=1)["ok"], "alive")
            os.rename(away, home)
            check(open(home + "/state", "rb").read() == before, "as it was")
            check(evsm.channel(0x02, bytes(4)) == bytes(4), "INIT")
            check(code(evsm.tpm(STARTUP)) == 0, "TPM2_Startup")
            evsm.tools(write, cwd=folder)
            check("can't write" in evsm.stderr(), evsm.stderr())


@test
def query_and_tpm_calls_answer_from_the_shell():
    with Evsm("--cpus", "3") as evsm:
        out = evsm.command("call", "query")
        check(re.search(r"core +version 1: yes, 1 to 1", out), out)
        check(re.search(r"vtpm +version 1: yes, 1 to 1", out), out)
        check(re.search(r"apic +version 1: no", out), out)
        out = evsm.command("call", "query", "vtpm.2")
        check("no" in out, out)
        out = json.loads(evsm.command("call", "query", "0", "--json"))
        check(out["version_max"] == 1 and out["result_name"] == "SUCCESS",
              out)
        out = evsm.command("call", "tpm", get_random().hex())
        check(code(bytes.fromhex(out)) == 0, out)
        evsm.command("call", "tpm", "00" * 4088, status=1)
        out = evsm.command("call", "query", "vtpm", "--count", "500")
        check("p99.9" in out, out)
        out = json.loads(evsm.command("call", "tpm", get_random().hex(),
                                      "--count", "50", "--json"))
        check(out["call_us"]["count"] == 50, out)


@test
def stat_counts_what_was_done():
    with Evsm("--cpus", "2", "--budget-us", "2000") as evsm:
        before = evsm.stat()
        for _ in range(10):
            evsm.tpm(get_random())
            evsm.ask(do="query", protocol=0, version=1)
        after = evsm.stat()
        calls = [{p["name"]: p["calls"] for p in s["protocols"]}
                 for s in (before, after)]
        check(calls[1]["vtpm"] >= calls[0]["vtpm"] + 10, calls)
        check(calls[1]["core"] >= calls[0]["core"] + 10, calls)
        check(after["budget_us"] == 2000 and len(after["cpus"]) == 2, after)
        for word in ("latency", "residency", "longest entry", "clients"):
            check(word in evsm.command("stat"), word)


@test
def valgrind_finds_no_leak_after_shutdown():
    if SHORT or not shutil.which("valgrind"):
        return
    with Evsm("--cpus", "2", wrapper=[
            "valgrind", "-q", "--leak-check=full", "--error-exitcode=99",
            "--show-leak-kinds=definite,possible"]) as evsm:
        check(code(evsm.tpm(get_random())) == 0, "answers")
        evsm.ask(do="query", protocol=2, version=1)
        evsm.stat()
        with evsm.connect() as half:
            half.sendall(get_random()[:5])
            evsm.stop()


main()

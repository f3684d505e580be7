"""The process around the machine: command line, monitors, qtest, signals, exit statuses.

usage: process_test.py BINARY [unittest arguments]
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

from vmm import Gone, Qmp, Qtest, Vm, has_kvm, run, witness_image

BINARY = None
NONE = ("-machine", "none", "-accel", "qtest")
MIB = 1 << 20


def accelerators():
    return ["kvm", "tcg"] if has_kvm() else ["tcg"]


def vm(*options, **how):
    return Vm(BINARY, *options, **how)


class CommandLine(unittest.TestCase):
    def refused(self, *options, names):
        status, _, stderr = run(BINARY, "-display", "none", *options)
        self.assertEqual(status, 1, stderr)
        self.assertIn(names, stderr)

    def test_errors_name_the_option_and_end_with_status_1(self):
        self.refused("-bogus", names="-bogus: invalid option")
        self.refused("-m", names="-m: requires an argument")
        self.refused("-m", "1x", names="-m 1x: Parameter 'size'")
        self.refused("-machine", "vax", names="unsupported machine type 'vax'")
        self.refused("-machine", "microvm", names="'microvm' is not built yet")
        self.refused("-object", "tls-creds-psk,id=t,dir=/,endpoint=client", names="'tls-creds-psk' are not built yet")
        self.refused("-kernel", "f", names="not built yet")
        self.refused("-incoming", "cpr,addr.transport=socket", names="not built yet")
        self.refused("-accel", "vax", names="no accelerator can be used")

    def test_what_cannot_be_opened_is_named(self):
        self.refused(*NONE, "-serial", "file:/nonexistent/x", names="'/nonexistent/x': No such file or directory")
        self.refused(*NONE, "-qtest", "unix:/nonexistent/q", names="'/nonexistent/q': No such file or directory")
        self.refused(*NONE, "-qmp", "unix:/nonexistent/q,server=on,wait=off", names="/nonexistent/q")
        self.refused(*NONE, "-chardev", "socket,id=c,path=/nonexistent/q", "-mon", "chardev=c,mode=control",
                     names="/nonexistent/q")
        self.refused("-drive", "file=/nonexistent/disk,format=raw", names="/nonexistent/disk")
        self.refused(*NONE, "-object", "memory-backend-file,id=m,size=1M,mem-path=/nonexistent/m",
                     names="can't open backing store /nonexistent/m for guest RAM: No such file or directory")
        self.refused(*NONE, "-global", "migration.nope=1", names="Property 'migration.nope' not found")
        self.refused(*NONE, "-incoming", "bogus:1", names="-incoming bogus:1: ")

    def test_answers_without_a_machine(self):
        for options, text in ((["-help"], "-machine"), (["-version"], "version"), (["-machine", "help"], "pc-q35-1.0"),
                              (["-accel", "help"], "kvm"), (["--help"], "-qmp")):
            status, stdout, stderr = run(BINARY, *options)
            self.assertEqual((status, stderr), (0, ""))
            self.assertIn(text, stdout)

    def test_everything_a_harness_passes(self):
        with vm("-machine", "none,", "-accel", "kvm", "-accel", "tcg", "-accel", "qtest", "--name", "g,debug-threads=on",
                "-uuid", "00112233-4455-6677-8899-aabbccddeeff", "-m", "150M", "-vga", "none", "-nographic",
                "-audio", "none", "-no-user-config", "-trace", "migration_*", "-msg", "timestamp=on", "-no-shutdown",
                "-overcommit", "mem-lock=off", "-mem-prealloc", "-monitor", "none", "-serial", "none", "-cpu", "host",
                "-global", "migration.x-events=on", "-global", "migration.x-max-bandwidth=1G") as m:
            self.assertEqual(m.qmp.command("query-name"), {"name": "g"})
            self.assertEqual(m.qmp.command("query-uuid"), {"UUID": "00112233-4455-6677-8899-aabbccddeeff"})
            states = {c["capability"]: c["state"] for c in m.qmp.command("query-migrate-capabilities")}
            self.assertTrue(states["events"])
            self.assertEqual(m.qmp.command("query-migrate-parameters")["max-bandwidth"], 1 << 30)
            self.assertEqual(m.quit(), 0)


class Memory(unittest.TestCase):
    def ends_at(self, m, size):
        m.qtest.write(size - 1, b"\x5a")
        self.assertEqual(m.qtest.read(size - 1, 2)[:1], b"\x5a")
        m.qtest.write(size, b"\x5a")
        self.assertNotEqual(m.qtest.read(size, 1), b"\x5a")

    def test_sizes(self):
        for text, size in (("150M", 150 * MIB), ("64", 64 * MIB), ("1G", 1024 * MIB), ("0.5G", 512 * MIB)):
            with self.subTest(text), vm(*NONE, "-m", text) as m:
                self.ends_at(m, size)

    def test_machine_none_has_no_ram_unless_asked(self):
        with vm(*NONE) as m:
            m.qtest.write(0x1000, b"\x5a")
            self.assertNotEqual(m.qtest.read(0x1000, 1), b"\x5a")

    def test_ram_of_a_memfd_object(self):
        with vm(*NONE, "-object", "memory-backend-memfd,id=m,size=16M", "-machine", "memory-backend=m") as m:
            self.ends_at(m, 16 * MIB)
            self.assertEqual(m.qmp.command("qom-get", path="/objects/m", property="size"), 16 * MIB)
            self.assertEqual(m.qmp.command("qom-get", path="/machine", property="memory-backend"), "/objects/m")
            self.assertEqual(m.qmp.error("object-del", id="m"), "object 'm' is in use, can not be deleted")

    def test_ram_in_a_shared_file_that_is_unlinked(self):
        with vm(*NONE, "-m", "16M", "-object", "memory-backend-file,id=m,size=16M,mem-path=@DIR@/ram,share=on",
                "-numa", "node,memdev=m") as m:
            self.assertEqual(os.path.getsize(m.path("ram")), 16 * MIB)
            with open(m.path("ram"), "rb") as ram:
                os.unlink(m.path("ram"))
                m.qtest.write(0x2000, b"shared")
                ram.seek(0x2000)
                self.assertEqual(ram.read(6), b"shared")

    def test_mem_path(self):
        with vm(*NONE, "-m", "4M", "-mem-path", "@DIR@/ram") as m:
            self.ends_at(m, 4 * MIB)


class Objects(unittest.TestCase):
    def test_memory_objects_come_and_go(self):
        with vm(*NONE, "-object", "memory-backend-ram,id=m0,size=1M", qtest=False) as m:
            qmp = m.qmp
            self.assertEqual(qmp.command("qom-get", path="/objects/m0", property="size"), MIB)
            self.assertEqual(qmp.command("object-add", qom_type="memory-backend-ram", id="m1", size=65536), {})
            self.assertEqual(qmp.command("object-add", qom_type="memory-backend-ram", id="m2", size=4097), {})
            names = [p["name"] for p in qmp.command("qom-list", path="/objects")]
            self.assertEqual(names, ["type", "m0", "m1", "m2"])
            self.assertEqual(qmp.command("object-del", id="m1"), {})
            self.assertEqual(qmp.error("object-del", id="m1"), "object 'm1' not found")
            self.assertEqual(m.quit(), 0)

    def test_texts(self):
        with vm(*NONE, qtest=False) as m:
            for text, arguments in (
                    ("Parameter 'qom-type' does not accept value 'bogus'", {"qom-type": "bogus", "id": "z"}),
                    ("Parameter 'qom-type' is missing", {"id": "z"}),
                    ("Parameter 'id' is missing", {"qom-type": "memory-backend-ram", "size": 4096}),
                    ("Parameter 'size' is missing", {"qom-type": "memory-backend-ram", "id": "z"}),
                    ("Parameter 'id' expects an identifier", {"qom-type": "memory-backend-ram", "id": "1 z", "size": 4096}),
                    ("Parameter 'bogus' is unexpected",
                     {"qom-type": "memory-backend-ram", "id": "z", "size": 4096, "bogus": 1}),
                    ("property 'size' of memory-backend-ram doesn't take value '0'",
                     {"qom-type": "memory-backend-ram", "id": "z", "size": 0}),
                    ("Parameter 'mem-path' is missing", {"qom-type": "memory-backend-file", "id": "z", "size": 4096}),
                    ("can't open backing store /nonexistent/x for guest RAM: No such file or directory",
                     {"qom-type": "memory-backend-file", "id": "z", "size": 4096, "mem-path": "/nonexistent/x"}),
                    ("objects of type 'tls-creds-anon' are not built yet", {"qom-type": "tls-creds-anon", "id": "z"}),
                    ("objects of type 'secret' are not built yet", {"qom-type": "secret", "id": "z", "data": "x"}),
                    ("objects of type 'authz-list' are not built yet", {"qom-type": "authz-list", "id": "z"})):
                self.assertEqual(m.qmp.error("object-add", **arguments), text)
            huge = m.qmp.error("object-add", qom_type="memory-backend-ram", id="z", size=1 << 62)
            self.assertTrue(huge.startswith("cannot set up guest memory 'z': "), huge)
            m.qmp.command("object-add", qom_type="memory-backend-memfd", id="m", size=4096)
            self.assertEqual(m.qmp.error("object-add", qom_type="memory-backend-ram", id="m", size=4096),
                             "attempt to add duplicate property 'm' to object (type 'container')")
            reply = m.qmp.request("qom-get", path="/nope", property="size")
            self.assertEqual(reply["error"], {"class": "DeviceNotFound", "desc": "Device '/nope' not found"})
            self.assertEqual(m.qmp.error("qom-get", path="/objects/m", property="nope"),
                             "Property 'memory-backend-memfd.nope' not found")
            self.assertEqual(m.qmp.error("qom-set", path="/objects/m", property="share", value=False),
                             "cannot change property value")
            self.assertIs(m.qmp.command("qom-get", path="m", property="share"), True)


class Queries(unittest.TestCase):
    def test_fresh_machine(self):
        with vm(*NONE, qtest=False) as m:
            qmp = m.qmp
            self.assertEqual(qmp.greeting["QMP"]["capabilities"], ["oob"])
            self.assertEqual(qmp.command("query-status"), {"status": "running", "running": True, "singlestep": False})
            self.assertEqual(qmp.command("query-name"), {})
            self.assertEqual(qmp.command("query-uuid"), {"UUID": "00000000-0000-0000-0000-000000000000"})
            self.assertEqual(qmp.command("query-cpus-fast"), [])
            self.assertEqual(qmp.command("query-kvm"), {"enabled": False, "present": True})
            self.assertEqual(qmp.command("query-block"), [])
            self.assertEqual(qmp.command("query-migrate"), {})
            self.assertEqual(qmp.command("query-vcpu-dirty-limit"), [])
            self.assertEqual(qmp.command("query-dirty-rate"),
                             {"status": "unstarted", "sample-pages": 0, "mode": "page-sampling", "start-time": 0, "calc-time": 0})
            machines = {info["name"]: info for info in qmp.command("query-machines")}
            self.assertEqual(machines["pc-godwit-1.0"]["alias"], "pc")
            self.assertIs(machines["pc-godwit-1.0"]["is-default"], True)
            self.assertEqual(machines["pc-q35-1.0"]["alias"], "q35")
            self.assertIn("none", machines)
            accelerators_ = {info["name"] for info in qmp.command("qom-list-types", implements="accel", abstract=False)}
            self.assertIn("kvm-accel", accelerators_)
            self.assertNotIn("memory-backend-ram", accelerators_)

    def test_human_monitor(self):
        with vm(*NONE, qtest=False) as m:
            human = lambda line: m.qmp.command("human-monitor-command", command_line=line)
            self.assertEqual(human("info status"), "VM status: running\r\n")
            self.assertEqual(human("bogus"), "unknown command: 'bogus'\r\n")
            self.assertEqual(human("info bogus"), "unknown command: 'info bogus'\r\n")
            self.assertEqual(human(""), "")
            m.qmp.command("stop")
            self.assertEqual(human("  info  status "), "VM status: paused\r\n")

    def test_what_is_not_built_says_so(self):
        with vm(*NONE, qtest=False) as m:
            self.assertEqual(m.qmp.error("calc-dirty-rate", calc_time=0), "calc-time is out of range[1, 60].")
            self.assertEqual(m.qmp.error("calc-dirty-rate", calc_time=1), "calc-dirty-rate is not built yet")
            self.assertEqual(m.qmp.error("set-vcpu-dirty-limit", dirty_rate=1),
                             "dirty page limit feature requires KVM with accelerator property 'dirty-ring-size' set'")
            self.assertEqual(m.qmp.error("system_wakeup"), "Unable to wake up: guest is not in suspended state")
            self.assertEqual(m.qmp.error("yank", instances=[{"type": "migration"}]), "Instance not found")

    def test_every_command_of_the_schema_answers(self):
        with vm(*NONE, qtest=False) as m:
            schema = m.qmp.command("query-qmp-schema")
            wanted = {entry["name"] for entry in schema if entry["meta-type"] == "command"}
            self.assertGreater(len(wanted), 40)
            self.assertEqual({entry["name"] for entry in m.qmp.command("query-commands")}, wanted)


class RunStates(unittest.TestCase):
    def test_stop_cont_reset(self):
        with vm(*NONE, qtest=False) as m:
            qmp = m.qmp
            status = lambda: qmp.command("query-status")["status"]
            qmp.command("stop")
            self.assertEqual([e["event"] for e in qmp.events], ["STOP"])
            self.assertEqual(status(), "paused")
            qmp.command("stop")
            self.assertEqual(len(qmp.events), 1)
            qmp.command("cont")
            self.assertEqual(qmp.events[-1]["event"], "RESUME")
            self.assertEqual(status(), "running")
            qmp.command("system_reset")
            self.assertEqual(qmp.events[-1]["event"], "RESET")
            self.assertEqual(qmp.events[-1]["data"], {"guest": False, "reason": "host-qmp-system-reset"})
            self.assertEqual(status(), "running")
            qmp.command("stop")
            qmp.command("system_reset")
            self.assertEqual(status(), "prelaunch")
            qmp.command("system_powerdown")
            self.assertEqual(qmp.events[-1]["event"], "POWERDOWN")
            self.assertNotIn("data", qmp.events[-1])

    def test_started_stopped(self):
        with vm(*NONE, "-S", qtest=False) as m:
            self.assertEqual(m.qmp.command("query-status")["status"], "prelaunch")
            self.assertEqual(m.qmp.command("human-monitor-command", command_line="info status"),
                             "VM status: paused (prelaunch)\r\n")
            m.qmp.command("cont")
            self.assertEqual(m.qmp.events[-1]["event"], "RESUME")

    def test_inmigrate(self):
        with vm(*NONE, "-incoming", "defer", qtest=False) as m:
            self.assertEqual(m.qmp.command("query-status")["status"], "inmigrate")
            m.qmp.command("stop")
            m.qmp.command("cont")
            self.assertEqual(m.qmp.command("query-status")["status"], "inmigrate")
            self.assertEqual(m.qmp.events, [])


class Ending(unittest.TestCase):
    """SIGTERM and quit end the process in order, in every state, with status 0 and soon."""

    STATES = {
        "running": (NONE, []),
        "prelaunch": ((*NONE, "-S"), []),
        "paused": (NONE, ["stop"]),
        "inmigrate": ((*NONE, "-incoming", "defer"), []),
        "listening": ((*NONE, "-incoming", "unix:@DIR@/mig"), []),
        "a pc": (("-machine", "pc", "-accel", "tcg", "-m", "32M"), []),
    }

    def check_end(self, m, began, reason):
        events = m.qmp.drain()
        self.assertEqual(m.wait(), 0, m.stderr())
        self.assertLess(time.monotonic() - began, 1.0)
        shutdown = [e for e in events if e["event"] == "SHUTDOWN"]
        self.assertEqual([e["data"] for e in shutdown], [{"guest": False, "reason": reason}])

    def test_signals(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            for state, (options, commands) in self.STATES.items():
                with self.subTest(state=state, signal=number), vm(*options) as m:
                    for command in commands:
                        m.qmp.command(command)
                    began = time.monotonic()
                    m.signal(number)
                    self.check_end(m, began, "host-signal")

    def test_quit(self):
        for state, (options, commands) in self.STATES.items():
            with self.subTest(state=state), vm(*options) as m:
                for command in commands:
                    m.qmp.command(command)
                began = time.monotonic()
                m.qmp.command("quit")
                self.assertEqual(m.qmp.events[-1]["event"], "SHUTDOWN", "the event precedes the reply")
                self.check_end(m, began, "host-qmp-quit")

    def test_many_signals_are_as_good_as_one(self):
        with vm(*NONE) as m:
            for _ in range(200):
                if m.process.poll() is None:
                    m.signal(signal.SIGTERM)
            self.assertEqual(m.wait(), 0)

    def test_while_migrating(self):
        with vm(*NONE, "-m", "64M") as source:
            listener = socket.socket(socket.AF_UNIX)  # accepts and never reads
            listener.bind(source.path("mig"))
            listener.listen(1)
            source.qtest.write(0, bytes(range(256)) * 4096)
            for page in range(0, 64 * MIB, 4096):
                source.qtest.ask("writeb 0x%x 0x1" % page)
            source.qmp.command("migrate-set-parameters", max_bandwidth=1 << 20)
            source.qmp.command("migrate", uri="unix:" + source.path("mig"))
            peer = listener.accept()[0]
            while source.qmp.command("query-migrate")["status"] == "setup":
                pass
            self.assertEqual(source.qmp.command("query-migrate")["status"], "active")
            began = time.monotonic()
            source.signal(signal.SIGTERM)
            self.check_end(source, began, "host-signal")
            peer.close()
            listener.close()

    def test_a_broken_incoming_stream_ends_with_status_1(self):
        with vm(*NONE, "-m", "4M", "-incoming", "unix:@DIR@/mig") as m:
            peer = socket.socket(socket.AF_UNIX)
            peer.connect(m.path("mig"))
            peer.sendall(b"this is no migration stream at all, not even a header")
            self.assertEqual(m.wait(), 1)
            self.assertIn("load of migration failed", m.stderr())
            peer.close()

    def test_the_process_stays_in_the_foreground(self):
        shell = subprocess.Popen(["/bin/sh", "-c", "exec %s %s -S" % (BINARY, " ".join(NONE))], stderr=subprocess.DEVNULL)
        while os.readlink("/proc/%d/exe" % shell.pid) != os.path.realpath(BINARY):
            os.sched_yield()
        with open("/proc/%d/status" % shell.pid, encoding="ascii") as status:
            fields = dict(line.split(":", 1) for line in status)
        while int(fields["SigCgt"].strip(), 16) & (1 << (signal.SIGTERM - 1)) == 0:
            with open("/proc/%d/status" % shell.pid, encoding="ascii") as status:
                fields = dict(line.split(":", 1) for line in status)
        self.assertIsNone(shell.poll())
        shell.send_signal(signal.SIGTERM)
        self.assertEqual(shell.wait(30), 0)


class Monitors(unittest.TestCase):
    def test_client_socket(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "mon")
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(path)
            listener.listen(1)
            with vm(*NONE, "-chardev", "socket,path=%s,id=mon" % path, "-mon", "chardev=mon,mode=control", qmp=False,
                    qtest=False) as m:
                qmp = Qmp(listener.accept()[0]).negotiate()
                self.assertEqual(qmp.command("quit"), {})
                self.assertEqual(m.wait(), 0)
                qmp.sock.close()
            listener.close()

    def test_tcp(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        with vm(*NONE, "-qmp", "tcp:127.0.0.1:%d,server,nowait" % port, qtest=False) as m:
            qmp = Qmp(socket.create_connection(("127.0.0.1", port))).negotiate()
            self.assertEqual(qmp.command("query-name"), {})
            m.qmp.command("stop")
            self.assertEqual(qmp.event("STOP")["event"], "STOP")
            qmp.sock.close()

    def test_stdio(self):
        process = subprocess.Popen([BINARY, *NONE, "-qmp", "stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL)
        out, _ = process.communicate(b"{'execute':'qmp_capabilities'}{'execute':'quit','id':1}", timeout=30)
        messages = [json.loads(line) for line in out.split(b"\r\n") if line]
        self.assertIn("QMP", messages[0])
        self.assertEqual(messages[1], {"return": {}})
        self.assertEqual(messages[2]["event"], "SHUTDOWN")
        self.assertEqual(messages[3], {"return": {}, "id": 1})
        self.assertEqual(process.returncode, 0)

    def test_a_server_that_waits_holds_the_start(self):
        with vm(*NONE, "-chardev", "socket,id=w,path=@DIR@/wait,server=on,wait=on", "-mon", "chardev=w,mode=control",
                qtest=False) as m:
            self.assertEqual(m.qmp.command("query-status")["status"], "prelaunch")
            waited = Qmp.connect(m.path("wait"), m.process).negotiate()
            m.qmp.event("RESUME")
            self.assertEqual(waited.command("query-status")["status"], "running")
            waited.sock.close()

    def test_waiting_for_a_client_ends_with_a_signal(self):
        with vm(*NONE, "-chardev", "socket,id=w,path=@DIR@/wait,server=on", "-mon", "chardev=w,mode=control",
                qtest=False) as m:
            m.signal(signal.SIGTERM)
            self.assertEqual(m.wait(), 0)

    def test_a_client_that_vanishes_does_no_harm(self):
        with vm(*NONE, qtest=False) as m:
            other = socket.socket(socket.AF_UNIX)
            other.connect(m.path("qmp"))
            other.close()
            self.assertEqual(m.qmp.command("query-status")["status"], "running")


class QtestProtocol(unittest.TestCase):
    def test_requests(self):
        with vm(*NONE, "-m", "1M") as m:
            for request, answer in (("endianness", "OK little"), ("writeq 0x1000 0x1122334455667788", "OK"),
                                    ("readq 0x1000", "OK 0x1122334455667788"), ("readb 0x1000", "OK 0x0000000000000088"),
                                    ("read 0x1000 0x8", "OK 0x8877665544332211"), ("bogus 1", "FAIL Unknown command 'bogus'")):
                self.assertEqual(m.qtest.ask(request), answer)

    def test_25000_sequential_reads_take_less_than_2_seconds(self):
        with vm(*NONE, "-m", "128M") as m:
            began = time.monotonic()
            for i in range(25000):
                self.assertEqual(m.qtest.ask("read 0x%x 0x1" % (i * 4096)), "OK 0x00")
            self.assertLess(time.monotonic() - began, 2.0)

    def test_served_in_every_state(self):
        with vm(*NONE, "-m", "1M", "-S") as m:
            m.qtest.write(0, b"abc")
            m.qmp.command("cont")
            self.assertEqual(m.qtest.read(0, 3), b"abc")
            m.qmp.command("stop")
            self.assertEqual(m.qtest.read(0, 3), b"abc")
        with vm(*NONE, "-m", "1M", "-incoming", "defer") as m:
            m.qtest.write(0, b"abc")
            self.assertEqual(m.qtest.read(0, 3), b"abc")

    def test_a_client_that_goes_does_no_harm(self):
        with vm(*NONE, "-m", "64M") as m:
            m.qtest.sock.sendall(b"read 0x0 0x4000000\n" * 4)
            m.qtest.sock.close()
            self.assertEqual(m.qmp.command("query-status")["status"], "running")
            self.assertEqual(m.quit(), 0)


class Guests(unittest.TestCase):
    def test_witness_runs_and_prints(self):
        for accelerator in accelerators():
            with self.subTest(accelerator), tempfile.TemporaryDirectory() as folder:
                image = os.path.join(folder, "disk")
                witness_image(image)
                with vm("-accel", accelerator, "-m", "64M", "-drive", "file=%s,format=raw" % image,
                        "-serial", "file:@DIR@/serial") as m:
                    self.assertTrue(os.path.exists(m.path("serial")))
                    iterations = lambda: int.from_bytes(m.qtest.read(0x9000, 8), "little")
                    while iterations() == 0:
                        self.assertIsNone(m.process.poll(), m.stderr())
                    while os.path.getsize(m.path("serial")) == 0:
                        self.assertIsNone(m.process.poll(), m.stderr())
                    cpus = m.qmp.command("query-cpus-fast")
                    self.assertEqual(len(cpus), 1)
                    self.assertTrue(os.path.isdir("/proc/%d/task/%d" % (m.process.pid, cpus[0]["thread-id"])))
                    self.assertEqual(m.qmp.command("query-kvm")["enabled"], accelerator == "kvm")
                    self.assertEqual(m.qmp.command("query-block")[0]["inserted"]["file"], image)
                    m.qmp.command("stop")
                    at_rest = iterations()
                    self.assertEqual(iterations(), at_rest)
                    m.qmp.command("cont")
                    while iterations() == at_rest:
                        self.assertIsNone(m.process.poll(), m.stderr())
                    m.qmp.command("system_reset")
                    self.assertEqual(m.quit(), 0)

    def test_split_form_of_the_disk_and_serial_on_a_socket(self):
        with tempfile.TemporaryDirectory() as folder:
            image = os.path.join(folder, "disk")
            witness_image(image)
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(os.path.join(folder, "com1"))
            listener.listen(1)
            with vm("-machine", "q35", "-m", "64M", "-drive", "if=none,id=d0,file=%s,format=raw" % image,
                    "-device", "ide-hd,drive=d0,secs=1,cyls=1,heads=1", "-chardev", "socket,id=c0,path=%s/com1" % folder,
                    "-device", "isa-serial,chardev=c0", *(["-accel", "kvm"] if has_kvm() else []), "-accel", "tcg") as m:
                com1 = listener.accept()[0]
                com1.settimeout(60)
                self.assertEqual(len(com1.recv(1)), 1)
                com1.close()
                self.assertEqual(m.quit(), 0)
            listener.close()

    def test_signals_end_a_running_guest(self):
        for accelerator in accelerators():
            with self.subTest(accelerator), tempfile.TemporaryDirectory() as folder:
                image = os.path.join(folder, "disk")
                witness_image(image)
                with vm("-accel", accelerator, "-m", "64M", "-drive", "file=%s,format=raw" % image) as m:
                    while m.qtest.read(0x9000, 8) == bytes(8):
                        self.assertIsNone(m.process.poll(), m.stderr())
                    began = time.monotonic()
                    m.signal(signal.SIGTERM)
                    self.assertEqual(m.wait(), 0)
                    self.assertLess(time.monotonic() - began, 1.0)


class Incoming(unittest.TestCase):
    def test_listens_before_the_monitor_answers(self):
        with vm(*NONE, "-incoming", "tcp:127.0.0.1:0") as m:
            address = m.qmp.command("query-migrate")["socket-address"][0]
            self.assertEqual(address["host"], "127.0.0.1")
            socket.create_connection((address["host"], int(address["port"]))).close()

    def test_a_guest_moves_from_one_process_to_another(self):
        with tempfile.TemporaryDirectory() as folder:
            image = os.path.join(folder, "disk")
            witness_image(image)
            accelerator = "kvm" if has_kvm() else "tcg"
            options = ("-accel", accelerator, "-m", "64M", "-drive", "file=%s,format=raw" % image)
            with vm(*options) as source, vm(*options, "-incoming", "unix:@DIR@/mig") as target:
                while int.from_bytes(source.qtest.read(0x9010, 8), "little") < 2:  # passes over the hot set
                    self.assertIsNone(source.process.poll(), source.stderr())
                mismatches = source.qtest.read(0x9028, 4)  # its first pass over untouched memory counts, too
                source.qmp.command("migrate", uri="unix:" + target.path("mig"))
                target.qmp.event("RESUME")
                source.qmp.event("STOP")
                while source.qmp.command("query-migrate")["status"] != "completed":
                    self.assertNotEqual(source.qmp.command("query-migrate")["status"], "failed")
                self.assertEqual(source.qmp.command("query-status")["status"], "postmigrate")
                self.assertEqual(target.qmp.command("query-status")["status"], "running")
                before = target.qtest.read(0x9000, 8)
                while target.qtest.read(0x9000, 8) == before:
                    self.assertIsNone(target.process.poll(), target.stderr())
                self.assertEqual(target.qtest.read(0x9028, 4), mismatches, "words were lost")
                self.assertEqual(source.quit(), 0)
                self.assertEqual(target.quit(), 0)


if __name__ == "__main__":
    BINARY = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)

"""The life of the process: run states, monitors, qtest, signals, exit statuses."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from vm_process import GODWIT, MIB, NONE, Godwit, Qmp, until


class RunStates(unittest.TestCase):
    def test_stop_cont_reset(self):
        with Godwit(*NONE, qtest=False) as m:
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
        with Godwit(*NONE, "-S", qtest=False) as m:
            self.assertEqual(m.qmp.command("query-status")["status"], "prelaunch")
            self.assertEqual(m.qmp.command("human-monitor-command", command_line="info status"),
                             "VM status: paused (prelaunch)\r\n")
            m.qmp.command("cont")
            self.assertEqual(m.qmp.events[-1]["event"], "RESUME")

    def test_inmigrate(self):
        with Godwit(*NONE, "-incoming", "defer", qtest=False) as m:
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
        events = m.qmp.rest()
        self.assertEqual(m.wait_exit(), 0, m.stderr())
        self.assertLess(time.monotonic() - began, 1.0)
        shutdown = [e for e in events if e["event"] == "SHUTDOWN"]
        self.assertEqual([e["data"] for e in shutdown], [{"guest": False, "reason": reason}])

    def test_signals(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            for state, (options, commands) in self.STATES.items():
                with self.subTest(state=state, signal=number), Godwit(*options) as m:
                    for command in commands:
                        m.qmp.command(command)
                    began = time.monotonic()
                    m.process.send_signal(number)
                    self.check_end(m, began, "host-signal")

    def test_quit(self):
        for state, (options, commands) in self.STATES.items():
            with self.subTest(state=state), Godwit(*options) as m:
                for command in commands:
                    m.qmp.command(command)
                began = time.monotonic()
                m.qmp.command("quit")
                self.assertEqual(m.qmp.events[-1]["event"], "SHUTDOWN", "the event precedes the reply")
                self.check_end(m, began, "host-qmp-quit")

    def test_many_signals_are_as_good_as_one(self):
        with Godwit(*NONE) as m:
            for _ in range(200):
                if m.process.poll() is None:
                    m.process.send_signal(signal.SIGTERM)
            self.check_end(m, time.monotonic(), "host-signal")

    def test_while_migrating(self):
        with Godwit(*NONE, "-m", "64M") as source:
            listener = socket.socket(socket.AF_UNIX)  # accepts and never reads
            listener.bind(source.path("mig"))
            listener.listen(1)
            source.write(0, bytes(range(256)) * 4096)
            for page in range(0, 64 * MIB, 4096):
                source.ask("writeb 0x%x 0x1" % page)
            source.qmp.capabilities(events=True)
            source.qmp.command("migrate-set-parameters", max_bandwidth=1 << 20)
            source.qmp.command("migrate", uri="unix:" + source.path("mig"))
            peer = listener.accept()[0]
            source.qmp.wait("active")
            began = time.monotonic()
            source.process.send_signal(signal.SIGTERM)
            self.check_end(source, began, "host-signal")
            peer.close()
            listener.close()

    def test_a_broken_incoming_stream_ends_with_status_1(self):
        with Godwit(*NONE, "-m", "4M", "-incoming", "unix:@DIR@/mig") as m:
            peer = socket.socket(socket.AF_UNIX)
            peer.connect(m.path("mig"))
            peer.sendall(b"QEVM\0\0\0\3this has a header, and is no migration stream otherwise")
            self.assertEqual(m.wait_exit(), 1)
            self.assertIn("load of migration failed", m.stderr())
            peer.close()

    def test_a_stranger_on_the_incoming_port_ends_nothing(self):
        with Godwit(*NONE, "-m", "4M", "-incoming", "unix:@DIR@/mig") as m:
            for said in (b"", b"GET / HTTP/1.1\r\n\r\n"):
                with socket.socket(socket.AF_UNIX) as peer:
                    peer.connect(m.path("mig"))
                    peer.sendall(said)
            with Godwit(*NONE, "-m", "4M") as source:
                source.qmp.capabilities(events=True)
                source.qmp.command("migrate", uri="unix:" + m.path("mig"))
                source.qmp.wait("completed")
                m.qmp.wait("RESUME")

    def test_the_process_stays_in_the_foreground(self):
        shell = subprocess.Popen(["/bin/sh", "-c", "exec %s %s -S" % (GODWIT, " ".join(NONE))],
                                 stderr=subprocess.DEVNULL)
        until(lambda: os.readlink("/proc/%d/exe" % shell.pid) == os.path.realpath(GODWIT), "the shell becomes Godwit")

        def catches_sigterm():
            with open("/proc/%d/status" % shell.pid, encoding="ascii") as status:
                fields = dict(line.split(":", 1) for line in status)
            return int(fields["SigCgt"].strip(), 16) & (1 << (signal.SIGTERM - 1)) != 0

        until(catches_sigterm, "Godwit catches SIGTERM")
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
            with Godwit(*NONE, "-chardev", "socket,path=%s,id=mon" % path, "-mon", "chardev=mon,mode=control",
                    qtest=False) as m:
                qmp = Qmp(listener.accept()[0], m.process)
                self.assertEqual(qmp.command("quit"), {})
                self.assertEqual(m.wait_exit(), 0)
                qmp.socket.close()
            listener.close()

    def test_tcp(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        with Godwit(*NONE, "-qmp", "tcp:127.0.0.1:%d,server,nowait" % port, qtest=False) as m:
            qmp = Qmp(socket.create_connection(("127.0.0.1", port)), m.process)
            self.assertEqual(qmp.command("query-name"), {})
            m.qmp.command("stop")
            self.assertEqual(qmp.wait("STOP")["event"], "STOP")
            qmp.socket.close()

    def test_stdio(self):
        process = subprocess.Popen([GODWIT, *NONE, "-qmp", "stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL)
        out, _ = process.communicate(b"{'execute':'qmp_capabilities'}{'execute':'quit','id':1}", timeout=30)
        messages = [json.loads(line) for line in out.split(b"\r\n") if line]
        self.assertIn("QMP", messages[0])
        self.assertEqual(messages[1], {"return": {}})
        self.assertEqual(messages[2]["event"], "SHUTDOWN")
        self.assertEqual(messages[3], {"return": {}, "id": 1})
        self.assertEqual(process.returncode, 0)

    def test_a_server_that_waits_holds_the_start(self):
        with Godwit(*NONE, "-chardev", "socket,id=w,path=@DIR@/wait,server=on,wait=on", "-mon", "chardev=w,mode=control",
                qtest=False) as m:
            self.assertEqual(m.qmp.command("query-status")["status"], "prelaunch")
            waited = Qmp(m.path("wait"), m.process)
            m.qmp.wait("RESUME")
            self.assertEqual(waited.command("query-status")["status"], "running")
            waited.socket.close()

    def test_waiting_for_a_client_ends_with_a_signal(self):
        with Godwit(*NONE, "-chardev", "socket,id=w,path=@DIR@/wait,server=on", "-mon", "chardev=w,mode=control",
                qtest=False) as m:
            m.process.send_signal(signal.SIGTERM)
            self.assertEqual(m.wait_exit(), 0)

    def test_a_client_that_vanishes_does_no_harm(self):
        with Godwit(*NONE, qtest=False) as m:
            other = socket.socket(socket.AF_UNIX)
            other.connect(m.name + ".qmp")
            other.close()
            self.assertEqual(m.qmp.command("query-status")["status"], "running")


class QtestProtocol(unittest.TestCase):
    def test_requests(self):
        with Godwit(*NONE, "-m", "1M") as m:
            for request, answer in (("endianness", "OK little"), ("writeq 0x1000 0x1122334455667788", "OK"),
                                    ("readq 0x1000", "OK 0x1122334455667788"),
                                    ("readb 0x1000", "OK 0x0000000000000088"),
                                    ("read 0x1000 0x8", "OK 0x8877665544332211"),
                                    ("bogus 1", "FAIL Unknown command 'bogus'")):
                self.assertEqual(m.ask(request), answer)

    def test_served_in_every_state(self):
        with Godwit(*NONE, "-m", "1M", "-S") as m:
            m.write(0, b"abc")
            m.qmp.command("cont")
            self.assertEqual(m.read(0, 3), b"abc")
            m.qmp.command("stop")
            self.assertEqual(m.read(0, 3), b"abc")
        with Godwit(*NONE, "-m", "1M", "-incoming", "defer") as m:
            m.write(0, b"abc")
            self.assertEqual(m.read(0, 3), b"abc")

    def test_a_client_that_goes_does_no_harm(self):
        with Godwit(*NONE, "-m", "64M") as m:
            m.qtest.sendall(b"read 0x0 0x4000000\n" * 4)
            m.qtest.close()
            self.assertEqual(m.qmp.command("query-status")["status"], "running")
            self.assertEqual(m.quit(), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")

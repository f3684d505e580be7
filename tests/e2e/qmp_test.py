"""`godwit qmp` as operators and scripts use it, on a monitor of Godwit and on one of QEMU 7.2."""
import fcntl
import json
import os
import pty
import re
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from vm_process import DEADLINE_S, GODWIT, PROGRAMS, QEMU

TOOL = os.path.join(PROGRAMS, "godwit")
MACHINES = [GODWIT] + ([QEMU] if QEMU else [])
ESCAPES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")


class Machine:
    """A VMM without a guest, whose monitor nobody is connected to."""

    def __init__(self, program, directory, *arguments):
        self.path = os.path.join(directory, os.path.basename(program) + ".qmp")
        self.process = subprocess.Popen(
            [program, "-machine", "none", "-display", "none", "-nodefaults", "-name", "tern",
             "-qmp", "unix:%s,server=on,wait=off" % self.path, *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + DEADLINE_S
        while not os.path.exists(self.path):
            if self.process.poll() is not None or time.monotonic() > end:
                raise AssertionError("%s does not start" % program)
            select.select([], [], [], 0.01)

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(DEADLINE_S)


class SlowMonitor:
    """A monitor that answers `stop` when it is told to, and everything else at once."""

    SCHEMA = [{"name": "n", "meta-type": "object", "members": []},
              {"name": "stop", "meta-type": "command", "arg-type": "n", "ret-type": "n"},
              {"name": "migrate-pause", "meta-type": "command", "arg-type": "n", "ret-type": "n", "allow-oob": True}]

    def __init__(self, path):
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(path)
        self.server.listen(1)
        self.go_on, self.requests = threading.Event(), []
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        connection = self.server.accept()[0]
        send = lambda m: connection.sendall(json.dumps(m).encode() + b"\r\n")
        send({"QMP": {"version": {"qemu": {"major": 9, "minor": 1, "micro": 0}, "package": ""}, "capabilities": ["oob"]}})
        answers = {"query-qmp-schema": self.SCHEMA, "query-status": {"status": "running"}, "query-name": {}}
        for line in connection.makefile():
            request = json.loads(line)
            name = request.get("execute") or request["exec-oob"]
            self.requests.append((name, "exec-oob" in request))
            if name == "stop":
                threading.Thread(target=lambda i=request["id"]: self.go_on.wait(DEADLINE_S) and
                                 send({"return": {}, "id": i}), daemon=True).start()
            else:
                send({"return": answers.get(name, {}), "id": request["id"]})

    def end(self):
        self.go_on.set()
        self.server.close()


class Terminal:
    """The tool on a terminal of its own."""

    def __init__(self, path, state, columns=160):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update({"TERM": "xterm", "LC_ALL": "C.UTF-8", "XDG_STATE_HOME": state, "TZ": "UTC"})
            os.environ.pop("NO_COLOR", None)
            os.execv(TOOL, ["godwit", "qmp", path])
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self.seen = b""

    def type(self, text):
        os.write(self.fd, text.encode())

    def until(self, text):
        """Reads on until `text` has been shown; what was shown before it. Escape sequences are left out."""
        end = time.monotonic() + DEADLINE_S
        while True:
            shown = ESCAPES.sub(b"", self.seen).replace(b"\r", b"")
            if text.encode() in shown:
                before, self.seen = shown.split(text.encode(), 1)
                return before.decode()
            if not select.select([self.fd], [], [], max(0, end - time.monotonic()))[0]:
                raise AssertionError("'%s' was not shown; what was: %r" % (text, shown))
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                data = b""
            if not data:
                raise AssertionError("ended before '%s' was shown; what was: %r" % (text, shown))
            self.seen += data

    def status(self):
        """Its exit status, once it has ended."""
        end, ended = time.monotonic() + DEADLINE_S, False
        while not ended:
            if not select.select([self.fd], [], [], max(0, end - time.monotonic()))[0]:
                raise AssertionError("does not end; what was shown: %r" % self.seen)
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                data = b""
            self.seen += data
            ended = not data
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class QmpTool(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="godwit-qmp-")
        self.addCleanup(shutil.rmtree, self.directory, True)

    def machines(self, *arguments):
        for program in MACHINES:
            with self.subTest(program=os.path.basename(program)):
                machine = Machine(program, self.directory, *arguments)
                try:
                    yield machine
                finally:
                    machine.end()

    def tool(self, *arguments, stdin=""):
        done = subprocess.run([TOOL, "qmp", *arguments], input=stdin, capture_output=True, text=True,
                              timeout=DEADLINE_S, env={**os.environ, "XDG_STATE_HOME": self.directory})
        return done.returncode, done.stdout, done.stderr

    def test_one_command(self):
        for machine in self.machines():
            status, out, _ = self.tool(machine.path, "query-status")
            self.assertEqual((status, json.loads(out)["status"]), (0, "running"))
            self.assertEqual(self.tool("unix:" + machine.path, "--raw", "query-name"), (0, '{"name": "tern"}\n', ""))
            self.assertEqual(self.tool(machine.path, '{"execute": "query-name", "id": 7}', "--raw"),
                             (0, '{"name": "tern"}\n', ""))

    def test_types_come_from_the_schema(self):
        for machine in self.machines():
            self.assertEqual(self.tool(machine.path, "migrate-set-parameters", "max-bandwidth=100M", "tls-hostname=5",
                                       "cpu-throttle-tailslow=on", "multifd-compression=zlib")[0], 0)
            parameters = json.loads(self.tool(machine.path, "query-migrate-parameters")[1])
            self.assertEqual([parameters[k] for k in ("max-bandwidth", "tls-hostname", "cpu-throttle-tailslow",
                                                      "multifd-compression")], [100 << 20, "5", True, "zlib"])
            self.assertEqual(self.tool(machine.path, "migrate-set-capabilities", "capabilities.0.capability=events",
                                       "capabilities.0.state=true")[0], 0)
            self.assertEqual(self.tool(machine.path, "migrate-set-capabilities",
                                       'capabilities=[{"capability": "return-path", "state": true}]')[0], 0)
            on = [c["capability"] for c in json.loads(self.tool(machine.path, "query-migrate-capabilities")[1]) if c["state"]]
            self.assertEqual(on, ["events", "return-path"])

    def test_exit_status_and_errors(self):
        for machine in self.machines():
            self.assertEqual(self.tool(machine.path, "cont", "x=1")[0], 2)
            status, out, err = self.tool(machine.path, "migrate-set-parameters", "max-bandwith=5")
            self.assertEqual((status, out), (2, ""))
            self.assertIn("use max-bandwidth?", err)
            status, out, err = self.tool(machine.path, "migrate-set-parameters", "downtime-limit=99999999")
            self.assertEqual((status, out), (1, ""))
            self.assertIn("downtime", err)
            self.assertEqual(self.tool(machine.path, "no-such-command")[0], 1)
            self.assertEqual(self.tool(machine.path, "query-status", "--timeout", "never")[0], 2)
        status, _, err = self.tool(self.directory + "/nobody", "query-status")
        self.assertEqual(status, 2)
        self.assertRegex(err, "nobody.*No such file.*Next: start the virtual machine with -qmp")
        self.assertEqual(self.tool("tcp:127.0.0.1", "query-status")[0], 2)

    def test_a_peer_that_is_no_monitor(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            address = "tcp:127.0.0.1:%d" % server.getsockname()[1]
            status, _, err = self.tool(address, "query-status", "--timeout", "0.2")
            self.assertEqual(status, 2)
            self.assertRegex(err, "no monitor to talk to at tcp:.*Next: check that it is a -qmp socket")

    def test_events_are_waited_for(self):
        for machine in self.machines():
            status, out, _ = self.tool(machine.path, "stop", "--wait-event", "STOP", "--raw", "--timeout", "60")
            answer, event = out.splitlines()
            self.assertEqual((status, answer, json.loads(event)["event"]), (0, "{}", "STOP"))
            status, _, err = self.tool(machine.path, "cont", "--wait-event", "STOP", "--timeout", "3")
            self.assertEqual(status, 1)
            self.assertIn("did not come in time", err)
            status, _, err = self.tool(machine.path, "stop", "--wait-event", "STOPP")
            self.assertEqual(status, 2)
            self.assertIn("use STOP?", err)

    def test_a_migration_is_waited_for(self):
        for machine in self.machines("-m", "4M"):
            self.tool(machine.path, "migrate-set-capabilities", "capabilities.0.capability=events",
                      "capabilities.0.state=true")
            status, out, err = self.tool(
                machine.path, "migrate", "uri=exec:cat > /dev/null", "--events", "--raw", "--timeout",
                "60", "--wait-event", "MIGRATION,data.status=completed", "--wait-event", "MIGRATION,status=failed")
            self.assertEqual(status, 0)
            self.assertEqual(json.loads(out.splitlines()[-1])["data"], {"status": "completed"})
            events = [json.loads(line) for line in err.splitlines()]
            self.assertIn("STOP", [e["event"] for e in events])

    def test_lines_of_a_pipe(self):
        for machine in self.machines():
            status, out, _ = self.tool(machine.path, stdin='query-name\n\n{"execute": "stop", "id": "a"}\ncont now\n'
                                       'human-monitor-command command-line="help"\nnope\nquery-status')
            answers = [json.loads(line) for line in out.splitlines()]
            self.assertEqual(status, 1)
            self.assertEqual(answers[:2], [{"return": {"name": "tern"}}, {"return": {}, "id": "a"}])
            self.assertIn("key=value", answers[2]["error"]["desc"])
            self.assertIsInstance(answers[3]["return"], str)
            self.assertEqual(answers[4]["error"]["class"], "CommandNotFound")
            self.assertEqual(answers[5]["return"]["status"], "paused")
            self.assertEqual(self.tool(machine.path, stdin="query-name\n")[0], 0)

    def test_typing_at_a_terminal(self):
        for machine in self.machines():
            terminal = Terminal(machine.path, self.directory)
            terminal.until("Tab completes")
            terminal.until("tern running> ")
            terminal.type("migrate-set-par\tdowntime-l\t")
            terminal.until("downtime-limit: int")  # the hint: both names were completed
            terminal.type("1234\n")
            terminal.until("\n{}\n")
            terminal.until("tern running> ")
            terminal.type("migrate-set-capabilities cap\tc\tev\tcap\ts\tt\t\n")
            terminal.until("\n{}\n")
            terminal.until("tern running> ")
            terminal.type("query-migrate-parameters\n")
            terminal.until('"downtime-limit": 1234')
            terminal.until("tern running> ")
            terminal.type("stop\n")
            terminal.until(" STOP\n")
            terminal.until("tern paused> ")
            terminal.type("this is not meant\x03")
            terminal.until("^C\n")
            terminal.until("tern paused> ")
            terminal.type("querystatus\n")
            terminal.until("use query-status?")
            terminal.until("tern paused> ")
            terminal.type("help migrate-set-parameters\n")
            terminal.until("multifd-compression")
            terminal.until("none|zlib|zstd, optional")
            terminal.until("tern paused> ")
            terminal.type("quit\n")
            terminal.until("ends the virtual machine")
            terminal.until("tern paused> ")
            terminal.type("\x1b[A\x1b[A\x1b[A\x01\x0b/quit\n")  # Up, then Ctrl-A Ctrl-K
            self.assertEqual(terminal.status(), 0)
            self.assertIsNone(machine.process.poll())
            with open(self.directory + "/godwit/qmp-history") as f:
                self.assertEqual(f.read().splitlines()[-3:], ["help migrate-set-parameters", "quit", "/quit"])
            os.remove(self.directory + "/godwit/qmp-history")

    def test_a_command_that_takes_long_is_left_and_another_runs_out_of_band(self):
        monitor = SlowMonitor(self.directory + "/slow")
        self.addCleanup(monitor.end)
        terminal = Terminal(self.directory + "/slow", self.directory)
        terminal.until("QEMU 9.1.0 running> ")
        terminal.type("stop\n")
        end = time.monotonic() + DEADLINE_S
        while ("stop", False) not in monitor.requests and time.monotonic() < end:
            select.select([], [], [], 0.01)
        terminal.type("\x03")
        terminal.until("'stop' goes on")
        terminal.until("QEMU 9.1.0 busy> ")
        terminal.type("exec-oob migrate-p\t\n")
        terminal.until("\n{}\n")
        self.assertIn(("migrate-pause", True), monitor.requests)
        terminal.until("QEMU 9.1.0 busy> ")
        terminal.type("he")
        terminal.until("he")
        monitor.go_on.set()
        terminal.until("answer to 'stop', which was given up:\n{}\n")
        terminal.until("QEMU 9.1.0 busy> he")
        terminal.type("\x15/quit\n")
        self.assertEqual(terminal.status(), 0)

    def test_an_event_comes_while_a_line_is_longer_than_the_terminal(self):
        machine = Machine(GODWIT, self.directory, "-qmp", "unix:%s/other,server=on,wait=off" % self.directory)
        self.addCleanup(machine.end)
        terminal = Terminal(machine.path, self.directory, columns=40)
        terminal.until("tern running> ")
        name = "x" * 90
        terminal.type("no-such-command a=" + name)
        terminal.until(name[-1:])
        self.assertEqual(self.tool(self.directory + "/other", "stop")[0], 0)
        terminal.until(" STOP\n")
        terminal.until("tern running> no-such-command a=")
        terminal.type("\n")
        terminal.until("has not been found")
        with open(self.directory + "/godwit/qmp-history") as f:
            self.assertEqual(f.read(), "no-such-command a=%s\n" % name)
        terminal.until("tern paused> ")
        terminal.type("\x04")
        self.assertEqual(terminal.status(), 0)

    def test_quit_asked_for_twice_ends_the_machine(self):
        for machine in self.machines():
            terminal = Terminal(machine.path, self.directory)
            terminal.until("tern running> ")
            terminal.type("quit\n")
            terminal.until("once more")
            terminal.until("tern running> ")
            terminal.type("quit\n")
            self.assertEqual(terminal.status(), 0)
            self.assertEqual(machine.process.wait(DEADLINE_S), 0)

    def test_an_event_leaves_the_line_as_it_is(self):
        machine = Machine(GODWIT, self.directory, "-qmp", "unix:%s/other,server=on,wait=off" % self.directory)
        self.addCleanup(machine.end)
        terminal = Terminal(machine.path, self.directory)
        terminal.until("tern running> ")
        terminal.type("query-na")
        terminal.until("query-na")
        self.assertEqual(self.tool(self.directory + "/other", "stop")[0], 0)
        shown = terminal.until("tern running> query-na")
        self.assertRegex(shown, r"\d\d:\d\d:\d\d\.\d\d\d STOP\n$")
        terminal.type("me\n")
        terminal.until('"name": "tern"')
        terminal.until("tern paused> ")
        machine.end()
        terminal.until("connection was closed")
        self.assertEqual(terminal.status(), 2)


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")

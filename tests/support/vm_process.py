"""Starts virtual machine monitors for tests and talks to them: QMP and qtest, Godwit and QEMU alike.

Every wait has a deadline; every process started is ended, and no other one is ever signalled.
"""
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

PROGRAMS = os.environ.get("GODWIT_PROGRAMS", os.path.join(os.path.dirname(__file__), "..", "..", "build", "release"))
GODWIT = os.path.join(PROGRAMS, "godwit-system-x86_64")
QEMU = shutil.which("qemu-system-x86_64")
DATA = os.path.join(os.path.dirname(__file__), "..", "data")
DEADLINE_S = float(os.environ.get("GODWIT_TEST_DEADLINE", 60))
MIB = 1 << 20
NONE = ("-machine", "none", "-accel", "qtest")


def have_kvm():
    return os.access("/dev/kvm", os.R_OK | os.W_OK)


def accelerators():
    if not have_kvm():
        print("SKIP: /dev/kvm is missing, only tcg is tested", file=sys.stderr)
    return ["kvm", "tcg"] if have_kvm() else ["tcg"]


class Failure(AssertionError):
    pass


def until(condition, what, timeout=DEADLINE_S):
    """Asks until it is true; `what`: a text, or what makes one at the end, for a failure. Each look takes a round trip."""
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            raise Failure("not in %d s: %s" % (timeout, what() if callable(what) else what))


def connect(path, process):
    """To a listener of `process`, as soon as there is one."""
    connection = socket.socket(socket.AF_UNIX)
    end = time.monotonic() + DEADLINE_S
    while True:
        try:
            connection.connect(path)
            return connection
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                connection.close()
                raise Failure("no monitor at %s" % path)
            select.select([], [], [], 0.01)


class Qmp:
    """One monitor connection. Events are kept in `events` in the order of arrival."""

    def __init__(self, where, process, negotiate=True):
        """`where`: the path of the monitor's socket, or a connection that is there already."""
        self.events, self.buffer, self.process = [], b"", process
        self.socket = where if isinstance(where, socket.socket) else connect(where, process)
        self.greeting = self._message(lambda m: "QMP" in m)
        if negotiate:
            self.command("qmp_capabilities")

    def _receive(self, timeout):
        if not select.select([self.socket], [], [], max(0, timeout))[0]:
            return False
        data = self.socket.recv(1 << 16)
        if not data:
            raise Failure("the monitor connection was closed")
        self.buffer += data
        return True

    def _message(self, wanted, timeout=DEADLINE_S):
        end = time.monotonic() + timeout
        while True:
            while b"\n" in self.buffer:
                line, self.buffer = self.buffer.split(b"\n", 1)
                message = json.loads(line)
                if "event" in message:
                    self.events.append(message)
                if wanted(message):
                    return message
            if time.monotonic() > end or not self._receive(end - time.monotonic()):
                raise Failure("nothing of what was waited for in %d s; events: %s" % (timeout, self.names()))

    def execute(self, name, arguments=None, fds=()):
        request = {"execute": name}
        if arguments is not None:
            request["arguments"] = arguments
        data = json.dumps(request).encode()
        if fds:
            socket.send_fds(self.socket, [data], list(fds))
        else:
            self.socket.sendall(data)
        return self._message(lambda m: "return" in m or "error" in m)

    def command(self, name, **arguments):
        answer = self.execute(name, {k.replace("_", "-"): v for k, v in arguments.items()} or None)
        if "error" in answer:
            raise Failure("%s: %s" % (name, answer["error"]["desc"]))
        return answer["return"]

    def error(self, name, **arguments):
        answer = self.execute(name, {k.replace("_", "-"): v for k, v in arguments.items()} or None)
        if "error" not in answer:
            raise Failure("%s was expected to fail" % name)
        return answer["error"]["desc"]

    def names(self):
        out = []
        for e in self.events:
            data = e.get("data", {})
            out.append(data.get("status") or ("P%d" % data["pass"] if "pass" in data else e["event"]))
        return out

    def wait(self, name, timeout=DEADLINE_S):
        """Until an event of that name, or of that migration status, has come; or one of several names."""
        names = (name,) if isinstance(name, str) else name
        matches = lambda m: "event" in m and (m["event"] in names or m.get("data", {}).get("status") in names)
        for e in self.events:
            if matches(e):
                return e
        return self._message(matches, timeout)

    def rest(self):
        """All events until the connection ends."""
        try:
            self._message(lambda _: False)
        except (Failure, ConnectionResetError):
            pass
        return self.events

    def human(self, line):
        return self.command("human-monitor-command", command_line=line)

    def capabilities(self, **states):
        self.command("migrate-set-capabilities", capabilities=[
            {"capability": k.replace("_", "-"), "state": v} for k, v in states.items()])


class Vm:
    """One VMM. Use as a context manager, or call end(). `@DIR@` in an argument stands for the folder of its files."""

    started = 0

    def __init__(self, program, *arguments, directory=None, qtest=True):
        self.own_directory = directory is None
        self.directory = directory or tempfile.mkdtemp(prefix="godwit-test-")
        Vm.started += 1
        self.name = "%s/%d" % (self.directory, Vm.started)
        self.stderr_path = self.name + ".err"
        command = [program, "-display", "none", "-nodefaults", "-qmp", "unix:%s.qmp,server=on,wait=off" % self.name]
        listener = None
        if qtest:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(self.name + ".qt")
            listener.listen(1)
            listener.settimeout(DEADLINE_S)
            command += ["-qtest", "unix:%s.qt" % self.name, "-qtest-log", "/dev/null"]
        command += [argument.replace("@DIR@", self.directory) for argument in arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=open(self.stderr_path, "wb"))
        self.qtest_buffer = b""
        try:
            self.qmp = Qmp(self.name + ".qmp", self.process)
            self.qtest = listener.accept()[0] if listener else None
        except BaseException as e:
            self.end()
            raise Failure("%s: %s: %s" % (program, e, self.stderr()))
        finally:
            if listener:
                listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def path(self, name):
        return os.path.join(self.directory, name)

    def stderr(self):
        with open(self.stderr_path, errors="replace") as f:
            return f.read().strip()

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise Failure("SIGTERM did not end the process")
        for connection in (getattr(getattr(self, "qmp", None), "socket", None), getattr(self, "qtest", None)):
            if connection:
                connection.close()
        if self.own_directory:
            text = self.stderr() if os.path.exists(self.stderr_path) else ""
            shutil.rmtree(self.directory, ignore_errors=True)
            self.stderr = lambda: text

    def wait_exit(self, timeout=DEADLINE_S):
        return self.process.wait(timeout)

    def ends_within(self, seconds):
        try:
            self.wait_exit(seconds)
            return True
        except subprocess.TimeoutExpired:
            return False

    def quit(self):
        """The exit status."""
        self.qmp.command("quit")
        return self.wait_exit()

    def until(self, condition, what):
        """Like the function, but does not wait for a process that has ended."""
        def holds():
            if self.process.poll() is not None:
                raise Failure("the process ended with status %s: %s" % (self.process.returncode, self.stderr()))
            return condition()

        until(holds, what)

    def ask(self, line):
        """A qtest request and its whole answer."""
        self.send(line)
        return self.answer()

    def send(self, line):
        """A qtest request, whose answer() is fetched later: it may wait for memory meanwhile."""
        self.qtest.settimeout(DEADLINE_S)
        self.qtest.sendall(line.encode() + b"\n")

    def answer(self):
        """Of the oldest request that has not been answered."""
        while b"\n" not in self.qtest_buffer:
            data = self.qtest.recv(1 << 20)
            if not data:
                raise Failure("the qtest connection was closed")
            self.qtest_buffer += data
        answer, self.qtest_buffer = self.qtest_buffer.split(b"\n", 1)
        return answer.decode()

    def qt(self, line):
        """A qtest request that has to succeed: what comes after the OK."""
        answer = self.ask(line)
        if not answer.startswith("OK"):
            raise Failure("qtest %s: %s" % (line[:60], answer[:80]))
        return answer[3:].strip()

    def read(self, address, length):
        return bytes.fromhex(self.qt("read 0x%x 0x%x" % (address, length))[2:])

    def write(self, address, data):
        self.qt("write 0x%x 0x%x 0x%s" % (address, len(data), data.hex()))


class Godwit(Vm):
    def __init__(self, *arguments, **settings):
        super().__init__(GODWIT, *arguments, **settings)


def run(*arguments):
    """Runs Godwit to its end: (exit status, stdout, stderr)."""
    done = subprocess.run([GODWIT, *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=DEADLINE_S,
                          check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()

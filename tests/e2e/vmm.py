"""Starts a VMM and talks to it: QMP, qtest, signals. Standard library only."""

import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
WITNESS = os.path.join(HERE, "..", "data", "witness", "witness.bin")
TIMEOUT = 60.0  # seconds; only a defect takes that long


class Gone(Exception):
    """The other end closed the connection."""


class Qmp:
    """One monitor connection. Events that come while a reply is awaited are kept in `events`."""

    def __init__(self, sock):
        self.sock = sock
        self.sock.settimeout(TIMEOUT)
        self.buffer = b""
        self.events = []
        self.greeting = self.receive()

    @classmethod
    def connect(cls, path, process):
        deadline = time.monotonic() + TIMEOUT
        while True:
            sock = socket.socket(socket.AF_UNIX)
            try:
                sock.connect(path)
                return cls(sock)
            except OSError:
                sock.close()
                if process.poll() is not None:
                    raise Gone("the process ended with status %s" % process.returncode) from None
                if time.monotonic() > deadline:
                    raise
                os.sched_yield()

    def receive(self):
        while b"\n" not in self.buffer:
            data = self.sock.recv(65536)
            if not data:
                raise Gone("the monitor closed the connection")
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    def request(self, name, **arguments):
        """The whole reply: {"return": ...} or {"error": ...}."""
        request = {"execute": name}
        if arguments:
            request["arguments"] = {key.replace("_", "-"): value for key, value in arguments.items()}
        self.sock.sendall(json.dumps(request).encode())
        while True:
            message = self.receive()
            if "event" not in message:
                return message
            self.events.append(message)

    def command(self, name, **arguments):
        reply = self.request(name, **arguments)
        if "error" in reply:
            raise AssertionError("%s: %s" % (name, reply["error"]["desc"]))
        return reply["return"]

    def error(self, name, **arguments):
        reply = self.request(name, **arguments)
        if "error" not in reply:
            raise AssertionError("%s succeeded" % name)
        return reply["error"]["desc"]

    def negotiate(self):
        self.command("qmp_capabilities")
        return self

    def event(self, name):
        """Waits for the first event of this name, and drops it and what came before."""
        while True:
            while self.events:
                event = self.events.pop(0)
                if event["event"] == name:
                    return event
            message = self.receive()
            if "event" in message:
                self.events.append(message)

    def drain(self):
        """All events until the connection ends."""
        try:
            while True:
                self.events.append(self.receive())
        except (Gone, ConnectionResetError):
            return self.events


class Qtest:
    def __init__(self, sock):
        self.sock = sock
        self.sock.settimeout(TIMEOUT)
        self.sock.setblocking(True)
        self.buffer = b""

    def ask(self, line):
        self.sock.sendall(line.encode() + b"\n")
        while b"\n" not in self.buffer:
            data = self.sock.recv(1 << 20)
            if not data:
                raise Gone("qtest closed the connection")
            self.buffer += data
        answer, self.buffer = self.buffer.split(b"\n", 1)
        return answer.decode()

    def read(self, address, length):
        answer = self.ask("read 0x%x 0x%x" % (address, length))
        if not answer.startswith("OK 0x"):
            raise AssertionError(answer)
        return bytes.fromhex(answer[5:])

    def write(self, address, data):
        answer = self.ask("write 0x%x 0x%x 0x%s" % (address, len(data), data.hex()))
        if answer != "OK":
            raise AssertionError(answer)


class Vm:
    """A running VMM with a QMP monitor and a qtest connection. Use it as a context manager."""

    def __init__(self, binary, *options, qmp=True, qtest=True):
        self.folder = tempfile.mkdtemp(prefix="godwit-test-")
        arguments = [binary, "-display", "none", "-nodefaults"]
        listener = None
        if qmp:
            arguments += ["-qmp", "unix:%s,server=on,wait=off" % self.path("qmp")]
        if qtest:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(self.path("qtest"))
            listener.listen(1)
            listener.settimeout(TIMEOUT)
            arguments += ["-qtest", "unix:" + self.path("qtest"), "-qtest-log", "/dev/null"]
        arguments += [option.replace("@DIR@", self.folder) for option in options]
        self.qmp = self.qtest = None
        self.log = open(self.path("stderr"), "w+b")
        self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        try:
            if qmp:
                self.qmp = Qmp.connect(self.path("qmp"), self.process).negotiate()
            if qtest:
                self.qtest = Qtest(listener.accept()[0])
        except (Gone, OSError) as error:
            text = self.stderr()
            self.close()
            raise AssertionError("%s: %s" % (error, text)) from None
        finally:
            if listener:
                listener.close()

    def path(self, name):
        return os.path.join(self.folder, name)

    def stderr(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def wait(self):
        """The exit status; negative for a signal."""
        return self.process.wait(TIMEOUT)

    def signal(self, number):
        self.process.send_signal(number)

    def quit(self):
        self.qmp.command("quit")
        return self.wait()

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(TIMEOUT)
        for connection in (self.qmp, self.qtest):
            if connection:
                connection.sock.close()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def run(binary, *options):
    """Runs the VMM to its end: (exit status, stdout, stderr)."""
    done = subprocess.run([binary, *options], stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def witness_image(path, fill=64, hot=16, words=512, ticks=0, gap=1 << 30, kind=-1):
    """The guest of tests/data/witness, told how many pages to fill, and how many of them to rewrite for ever."""
    with open(WITNESS, "rb") as source:
        image = bytearray(source.read())
    struct.pack_into("<iiiiii", image, 0x1FE - 24, fill, hot, words, ticks, gap, kind)
    with open(path, "wb") as target:
        target.write(image)


def has_kvm():
    return os.access("/dev/kvm", os.R_OK | os.W_OK)

"""What the tests of the process itself need beyond tests/support: exit statuses, last events, other monitors."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import vm_process
from vm_process import DEADLINE_S, GODWIT, Failure, Qmp, have_kvm  # noqa: F401 (for the tests)

NONE = ("-machine", "none", "-accel", "qtest")
MIB = 1 << 20


class Monitor(Qmp):
    """A connection that somebody else has made."""

    def __init__(self, connection, process):  # pylint: disable=super-init-not-called
        self.events, self.buffer, self.process = [], b"", process
        self.socket = connection
        self.greeting = self._message(lambda m: "QMP" in m)
        self.command("qmp_capabilities")


class Vm(vm_process.Vm):
    """`@DIR@` in an option stands for the folder of this VM."""

    def __init__(self, *options, qtest=True):
        folder = vm_process.tempfile.mkdtemp(prefix="godwit-test-")
        options = [option.replace("@DIR@", folder) for option in options]
        super().__init__(GODWIT, *options, directory=folder, qtest=qtest)

    def path(self, name):
        return os.path.join(self.directory, name)

    def alive(self):
        """For loops that wait for the guest: fails instead of waiting for a process that has ended."""
        if self.process.poll() is not None:
            raise Failure("the process ended with status %s: %s" % (self.process.returncode, self.stderr()))
        return True

    def ask(self, line):
        """A qtest request and its whole answer."""
        self.qtest.sendall(line.encode() + b"\n")
        while b"\n" not in self.qtest_buffer:
            self.qtest_buffer += self.qtest.recv(1 << 20)
        answer, self.qtest_buffer = self.qtest_buffer.split(b"\n", 1)
        return answer.decode()

    def last_events(self):
        """All events until the connection ends."""
        try:
            self.qmp._message(lambda _: False)
        except (Failure, ConnectionResetError):
            pass
        return self.qmp.events

    def quit(self):
        """The exit status."""
        self.qmp.command("quit")
        return self.wait_exit()

    def end(self):
        try:
            super().end()
        finally:
            for connection in (getattr(getattr(self, "qmp", None), "socket", None), getattr(self, "qtest", None)):
                if connection:
                    connection.close()
            vm_process.shutil.rmtree(self.directory, ignore_errors=True)


def run(*options):
    """Runs the VMM to its end: (exit status, stdout, stderr)."""
    done = subprocess.run([GODWIT, *options], stdin=subprocess.DEVNULL, capture_output=True, timeout=DEADLINE_S,
                          check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def accelerators():
    if not have_kvm():
        print("SKIP: /dev/kvm is missing, only tcg is tested", file=sys.stderr)
    return ["kvm", "tcg"] if have_kvm() else ["tcg"]

"""A guest that says more than anybody reads, and moves meanwhile: what becomes of its bytes, under Godwit and QEMU 7.2."""
import fcntl
import os
import select
import shutil
import struct
import sys
import tempfile
import termios
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import vm_process as vmm
from microvm import DEVICES, LINE_BYTES, Console, build_payload, have_assembler
from vm_process import GODWIT, QEMU, Vm

PIPE_BYTES = 4096


class Line:
    """A small pipe as a serial line. Reads only when told to."""

    def __init__(self, path):
        os.mkfifo(path)
        self.path, self.reader, self.text = path, os.open(path, os.O_RDONLY | os.O_NONBLOCK), b""
        fcntl.fcntl(self.reader, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def held(self):
        return struct.unpack("i", fcntl.ioctl(self.reader, termios.FIONREAD, bytes(4)))[0]

    def read(self, until):
        """Until `until` says so of the text, or nobody writes any more."""
        end = time.monotonic() + vmm.DEADLINE_S
        while not until(self.text):
            if not select.select([self.reader], [], [], max(0, end - time.monotonic()))[0]:
                raise vmm.Failure("the line is silent: %r" % self.text[-80:])
            data = os.read(self.reader, 1 << 16)
            if not data:
                return
            self.text += data


@unittest.skipUnless(QEMU, "QEMU is not installed")
@unittest.skipUnless(have_assembler(), "gcc and ld are not installed")
class SerialLine(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="godwit-serial-")
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.bios = build_payload(self.directory, "LONG=1", "TICK=1")
        self.lines = 0

    def line(self):
        self.lines += 1
        line = Line("%s/line%d" % (self.directory, self.lines))
        self.addCleanup(os.close, line.reader)
        return line

    def machine(self, program, line, *extra):
        machine = Vm(program, "-M", "microvm," + ",".join("%s=%s" % p for p in DEVICES.items()), "-accel", "tcg", "-m", "2M",
                     "-no-user-config", "-bios", self.bios, "-serial", "file:" + line.path, *extra, directory=self.directory)
        self.addCleanup(machine.end)
        machine.qmp.capabilities(events=True)
        return machine

    def save_with_a_full_line(self, program):
        """The machine, its line and the stream of its guest."""
        line, state = self.line(), self.directory + "/state"
        source = self.machine(program, line)
        vmm.until(lambda: source.qmp.command("query-status") and line.held() >= PIPE_BYTES,
                  lambda: "the line is full: %d bytes" % line.held())
        # The guest stands still at its line, whose pipe is not all that is full: its count of passes says so.
        passes = [None]

        def stands_still():
            passes.append(source.read(0x1000, 4))
            return passes[-1] == passes[-2]

        vmm.until(stands_still, lambda: "the guest stands still: passes %r" % passes[-2:])
        source.qmp.command("migrate", uri="exec:cat > " + state)
        source.qmp.wait("completed")
        return source, line, state

    def load(self, program, state):
        line = self.line()
        there = self.machine(program, line, "-incoming", "defer")
        there.qmp.command("migrate-incoming", uri="exec:cat " + state)
        there.qmp.wait("completed")
        line.read(lambda text: len(text) > 4 * LINE_BYTES)
        return line.text

    def test_nothing_is_lost_or_doubled_from_godwit(self):
        source, line, state = self.save_with_a_full_line(GODWIT)
        there = [self.load(program, state) for program in (GODWIT, QEMU)]
        source.qmp.execute("quit")
        line.read(lambda text: False)  # what waited comes out before the process ends
        self.assertGreater(len(line.text), PIPE_BYTES)
        for text in there:
            console = Console(self.directory)
            console.take(line.text + text)
            console.check()

    def test_godwit_sends_what_qemu_had_to_send_as_qemu_does(self):
        source, line, state = self.save_with_a_full_line(QEMU)
        there = [self.load(program, state)[:2 * LINE_BYTES] for program in (GODWIT, QEMU)]
        self.assertEqual(there[0][:LINE_BYTES // 2], there[1][:LINE_BYTES // 2])  # ticks come when they come
        console = Console(self.directory)
        line.read(lambda text: len(text) >= PIPE_BYTES)
        console.take(line.text[:PIPE_BYTES] + there[0])
        console.check()
        # QEMU as the source sends them too as soon as its line has room: then they are on both lines.
        line.read(lambda text: len(text) > PIPE_BYTES)
        self.assertTrue(there[0].startswith(line.text[PIPE_BYTES:]))


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")

"""A microvm with a guest that checks its own memory, under Godwit or QEMU, and moves of it from one to the other.

The guest prints a line every 2^LINESHIFT passes: pass, errors, timer ticks. What all the machines it ran on printed
is one text; a byte lost or sent twice anywhere shows in it.
"""
import fcntl
import os
import re
import shutil
import struct
import subprocess
import threading
import time

import vm_process as vmm
from vm_process import GODWIT, QEMU, Failure, Vm

LINE_SHIFT = 5
LINE = re.compile(rb"P([0-9a-f]{8}) E([0-9a-f]{8}) T([0-9a-f]{8})\r\n")
LINE_BYTES = 31
DEVICES = {"x-option-roms": "off", "auto-kernel-cmdline": "off", "acpi": "off", "isa-serial": "on",
           "pic": "off", "pit": "off", "rtc": "off"}


def have_assembler():
    return bool(shutil.which("gcc") and shutil.which("ld"))


def build_payload(directory, *defines):
    """The firmware image; defines such as LONG=1, TICK=1, FP=1."""
    source = os.path.join(vmm.DATA, "microvm", "payload.S")
    name = "%s/payload-%s" % (directory, "-".join(defines).replace("=", ""))
    options = ["-D" + d for d in defines + ("LINESHIFT=%d" % LINE_SHIFT,)]
    subprocess.run(["gcc", "-c", "-m32", *options, source, "-o", name + ".o"], check=True)
    subprocess.run(["ld", "-m", "elf_i386", "-Ttext", "0xffff0000", "--oformat", "binary", name + ".o", "-o",
                    name + ".bin"], check=True)
    return name + ".bin"


class Side:
    """A program and its accelerator. `peer`: what Godwit is told about who it sends to."""

    def __init__(self, program, accelerator, **properties):
        self.program, self.accelerator, self.properties = program, accelerator, properties

    def __repr__(self):
        return "%s/%s" % ("godwit" if self.program == GODWIT else "qemu", self.accelerator)

    def to(self, other):
        """This side, told who gets the guest next."""
        if self.program != GODWIT or other.accelerator != "tcg" or other.program == GODWIT:
            return self
        return Side(self.program, self.accelerator, **self.properties, **{"x-peer": "tcg"})


class Console:
    """The serial lines of all the machines that the guest has been on, as one text."""

    pipes = 0

    def __init__(self, directory):
        self.directory, self.text, self.lines, self.checked = directory, b"", [], 0

    def open(self):
        """A pipe for one machine: its path and a descriptor to read from. It holds more than a machine says before
        it is read; a full socket would make QEMU keep bytes, and send them after they have moved."""
        Console.pipes += 1
        path = "%s/console%d" % (self.directory, Console.pipes)
        os.mkfifo(path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 1 << 20)
        return path, reader

    def take(self, data):
        # Cut off once and not line by line: an emulated guest says a MiB in no time, and a copy of the rest for each of
        # its lines would take longer than what it says meanwhile.
        text, at = self.text + data, 0
        while len(text) - at >= LINE_BYTES:
            match = LINE.match(text, at)
            if not match:
                raise Failure("the guest said %r" % text[at:at + 80])
            at = match.end()
            self.lines.append(tuple(int(n, 16) for n in match.groups()))
        self.text = text[at:]

    def check(self):
        """Every line follows on the one before. Those that were looked at before are not again."""
        before = self.lines[self.checked - 1] if self.checked else None
        for line in self.lines[self.checked:]:
            if line[1] != 0:
                raise Failure("the guest found %d errors: %r" % (line[1], self.lines[-4:]))
            if before and line[0] != before[0] + (1 << LINE_SHIFT):
                raise Failure("pass %d follows on pass %d" % (line[0], before[0]))
            if before and line[2] < before[2]:
                raise Failure("%d ticks follow on %d" % (line[2], before[2]))
            before = line
        self.checked = len(self.lines)


class Machine:
    """One microvm, with its end of the console. `ram`: a file that is its memory, to be looked at from outside."""

    def __init__(self, side, directory, console, bios, cpus=1, incoming=False, devices=None, extra=(), memory="2M",
                 ram=None):
        self.side, self.console = side, console
        properties = {**DEVICES, **(devices or {}), **side.properties}
        cpu = [] if side.accelerator == "tcg" else ["-cpu", "qemu64,-pni"]
        machine = "microvm," + ",".join("%s=%s" % p for p in properties.items())
        if ram:
            machine += ",memory-backend=ram"
            extra = (*extra, "-object", "memory-backend-file,id=ram,size=%s,share=on,mem-path=%s" % (memory, ram))
        path, self.pipe = console.open()
        self.vm = Vm(side.program, "-M", machine, "-accel", side.accelerator, *cpu, "-m", memory, "-smp", str(cpus),
                     "-no-user-config", "-bios", bios, "-serial", "file:" + path, *(["-incoming", "defer"] if incoming else []),
                     *extra, directory=directory)
        try:
            os.set_blocking(self.pipe, True)  # now that somebody writes
            self.said, self.ended, self.arrived = bytearray(), False, threading.Condition()
            self.reader = threading.Thread(target=self.read, daemon=True)
            self.reader.start()
            self.vm.qmp.capabilities(events=True)
        except BaseException:
            self.vm.end()
            raise
        self.qmp = self.vm.qmp

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def read(self):
        while True:
            data = os.read(self.pipe, 1 << 16)
            with self.arrived:
                self.said += data
                self.ended = not data
                self.arrived.notify_all()
                if self.ended:
                    return

    def end(self):
        """Ends the machine; what it said to the last is on the console then."""
        if self.pipe is None:
            return
        self.vm.end()
        self.reader.join(vmm.DEADLINE_S)
        os.close(self.pipe)
        self.pipe = None
        self.take_what_was_said()

    def take_what_was_said(self):
        with self.arrived:
            data, self.said = bytes(self.said), bytearray()
        self.console.take(data)
        self.console.check()

    def wait_for_lines(self, count, timeout=vmm.DEADLINE_S):
        """Until `count` more lines have come from this machine."""
        first = len(self.console.lines)
        self.wait_until(lambda lines: len(lines) >= first + count, "%d lines" % count, timeout)

    def wait_for_ticks(self, count, timeout=vmm.DEADLINE_S):
        """Until a line says that the guest's timer has ticked `count` times more."""
        first = self.console.lines[-1][2]
        self.wait_until(lambda lines: lines[-1][2] >= first + count, "%d ticks" % count, timeout)

    def wait_until(self, enough, what, timeout):
        """Until `enough` is true of the console's lines."""
        began, before = time.monotonic(), len(self.console.lines)
        while not enough(self.console.lines):
            left = began + timeout - time.monotonic()
            with self.arrived:
                self.arrived.wait_for(lambda: self.said or self.ended, max(0, left))
                silent = not self.said
            if silent or left <= 0:
                raise Failure("%r: %s awaited for %.1f s, %d lines came%s; the last are %r, then %r; %s" % (
                    self.side, what, time.monotonic() - began, len(self.console.lines) - before,
                    ", the line was closed" if self.ended else "", self.console.lines[-2:], self.console.text,
                    self.what_it_does()))
            self.take_what_was_said()

    def what_it_does(self):
        """For a failure's text: what its monitor says about a guest that is not heard of."""
        said = []
        for command in ("info status", "info registers", "info lapic", "info pic"):
            try:
                said.append("%s: %s" % (command, " ".join(self.qmp.human(command).split())[:1500]))
            except (Failure, OSError) as e:
                said.append("%s: %s" % (command, e))
        return "\n  ".join(said + ["stderr: %s" % self.vm.stderr()])


class OtherProcessors:
    """What the processors that the first one started have counted (payload with SMP=1), wherever the guest is."""

    PAGES = 0x20000

    def __init__(self, cpus):
        self.counts = [0] * (cpus - 1)

    def look(self, machine):
        """Until each has counted on."""
        end = time.monotonic() + vmm.DEADLINE_S
        while True:
            started, = struct.unpack("<I", machine.vm.read(self.PAGES, 4))
            records = [struct.unpack("<III", machine.vm.read(self.PAGES + 0x1000 * (i + 1), 12))
                       for i in range(len(self.counts))]
            if any(errors for _, _, errors in records):
                raise Failure("a processor counted wrongly: %r" % records)
            counts = [count for count, _, _ in records]
            if any(now < before for now, before in zip(counts, self.counts)):
                raise Failure("a processor counts from the start: %r, then %r" % (self.counts, counts))
            if started == len(counts) and all(now > before for now, before in zip(counts, self.counts)):
                self.counts = counts
                return
            if time.monotonic() > end:
                raise Failure("%d processors have started; they counted %r, then %r" % (started, self.counts, counts))


def move(source, destination, uri, return_path=False):
    """The running guest, live."""
    source.qmp.capabilities(**{"return-path": return_path})
    destination.qmp.capabilities(**{"return-path": return_path})
    destination.qmp.command("migrate-incoming", uri=uri)
    if uri.startswith("tcp:"):
        address = destination.qmp.command("query-migrate")["socket-address"][0]
        uri = "tcp:127.0.0.1:" + address["port"]
    source.qmp.command("migrate", uri=uri)
    source.qmp.wait("completed")
    destination.qmp.wait("completed")

"""A running microvm moves between Godwit and QEMU 7.2, both ways, with and without KVM on each side."""
import os
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import vm_process as vmm
from microvm import Console, Machine, Side, build_payload, have_assembler, move
from vm_process import GODWIT, QEMU

OURS = Side(GODWIT, "kvm")
THEIRS = Side(QEMU, "kvm")
THEIRS_EMULATED = Side(QEMU, "tcg")
PAIRS = [(OURS, THEIRS), (THEIRS, OURS), (OURS, OURS), (OURS, THEIRS_EMULATED), (THEIRS_EMULATED, OURS)]
CHIPS = {"pic": "on", "pit": "on"}


@unittest.skipUnless(QEMU, "QEMU is not installed")
@unittest.skipUnless(vmm.have_kvm(), "/dev/kvm cannot be used")
@unittest.skipUnless(have_assembler(), "gcc and ld are not installed")
class Microvm(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="godwit-microvm-")
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.console = Console(self.directory)
        self.addCleanup(self.console.close)
        self.hops = 0

    def machine(self, side, bios, **options):
        return Machine(side, self.directory, self.console, bios, **options)

    def journey(self, sides, defines=("LONG=1", "TICK=1"), uri=None, return_path=False, **options):
        """One guest from side to side; the last machine's answer is that it goes on."""
        bios = build_payload(self.directory, *defines)
        here = self.machine(sides[0].to(sides[min(1, len(sides) - 1)]), bios, **options)
        try:
            here.wait_for_lines(2)
            for number, side in enumerate(sides[1:], 1):
                following = sides[min(number + 1, len(sides) - 1)]
                there = self.machine(side.to(following), bios, incoming=True, **options)
                try:
                    self.hops += 1
                    move(here, there, uri or "unix:%s/m%d" % (self.directory, self.hops), return_path)
                    self.assertFalse(here.qmp.command("query-status")["running"])
                    here.end()
                    there.wait_for_lines(2)
                    if "TICK=1" in defines:
                        there.wait_for_ticks(2)
                except BaseException as e:
                    there.end()
                    raise vmm.Failure("hop %d, %r to %r: %s; source: %s; destination: %s" % (
                        number, here.side, side, e, here.vm.stderr(), there.vm.stderr())) from e
                here = there
        finally:
            here.end()

    def fresh_console(self):
        self.console.close()
        os.unlink(self.console.path)
        self.console = Console(self.directory)

    def for_each_pair(self, test):
        for source, destination in PAIRS:
            with self.subTest(source=source, destination=destination):
                self.fresh_console()
                test(source, destination)

    def test_unix_with_and_without_return_path(self):
        for return_path in (False, True):
            self.for_each_pair(lambda *sides: self.journey(sides, return_path=return_path))

    def test_tcp(self):
        self.for_each_pair(lambda *sides: self.journey(sides, uri="tcp:127.0.0.1:0"))

    def test_protected_mode_with_x87_and_sse(self):
        # This KVM's interpreter does not know the instructions, so that the emulator begins.
        self.journey([THEIRS_EMULATED, OURS, THEIRS_EMULATED], defines=("TICK=1", "FP=1"))

    def test_two_processors_of_which_one_waits(self):
        self.for_each_pair(lambda a, b: self.journey([a, b, a], cpus=2))

    def test_pic_and_pit(self):
        self.for_each_pair(lambda a, b: self.journey([a, b, a], devices=CHIPS))

    def test_ten_hops(self):
        for other in (THEIRS, THEIRS_EMULATED):
            with self.subTest(other=other):
                self.fresh_console()
                self.journey([OURS, other] * 5 + [OURS], cpus=2, return_path=True)

    def test_through_a_file(self):
        self.for_each_pair(self.save_and_load)

    def save_and_load(self, source, destination):
        bios = build_payload(self.directory, "LONG=1", "TICK=1")
        state = self.directory + "/state"
        with self.machine(source.to(destination), bios) as here:
            here.wait_for_lines(2)
            here.qmp.command("stop")
            here.qmp.command("migrate", uri="exec:cat > " + state)
            here.qmp.wait("completed")
        with self.machine(destination, bios, incoming=True) as there:
            there.qmp.command("migrate-incoming", uri="exec:cat " + state)
            there.qmp.wait("completed")
            self.assertEqual(there.qmp.command("query-status")["status"], "paused")
            there.qmp.command("cont")
            there.wait_for_lines(2)
            there.wait_for_ticks(2)


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")

"""A running microvm moves between Godwit and QEMU 7.2, both ways, with and without KVM on each side."""
import os
import re
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import vm_process as vmm
from microvm import Console, Machine, OtherProcessors, Side, build_payload, have_assembler, move
from vm_process import GODWIT, QEMU

OURS = Side(GODWIT, "kvm")
THEIRS = Side(QEMU, "kvm")
THEIRS_EMULATED = Side(QEMU, "tcg")
PAIRS = [(OURS, THEIRS), (THEIRS, OURS), (OURS, OURS), (OURS, THEIRS_EMULATED), (THEIRS_EMULATED, OURS)]
CHIPS = {"pic": "on", "pit": "on", "rtc": "on"}


@unittest.skipUnless(QEMU, "QEMU is not installed")
@unittest.skipUnless(vmm.have_kvm(), "/dev/kvm cannot be used")
@unittest.skipUnless(have_assembler(), "gcc and ld are not installed")
class MicrovmTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="godwit-microvm-")
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.console = Console(self.directory)
        self.hops = 0

    def machine(self, side, bios, **options):
        return Machine(side, self.directory, self.console, bios, **options)

    def journey(self, sides, defines=("LONG=1", "TICK=1"), uri=None, return_path=False, look=None, **options):
        """One guest from side to side; the last machine's answer is that it goes on."""
        bios = build_payload(self.directory, *defines)
        here = self.machine(sides[0].to(sides[min(1, len(sides) - 1)]), bios, **options)
        try:
            here.wait_for_lines(2)
            if look:
                look(here)
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
                    if look:
                        look(there)
                except BaseException as e:
                    there.end()
                    raise vmm.Failure("hop %d, %r to %r: %s; source: %s; destination: %s" % (
                        number, here.side, side, e, here.vm.stderr(), there.vm.stderr())) from e
                here = there
        finally:
            here.end()

    def fresh_console(self):
        self.console = Console(self.directory)

    def for_each_pair(self, test):
        for source, destination in PAIRS:
            with self.subTest(source=source, destination=destination):
                self.fresh_console()
                test(source, destination)


class Moves(MicrovmTest):
    def test_unix_with_and_without_return_path(self):
        for return_path in (False, True):
            self.for_each_pair(lambda *sides: self.journey(sides, return_path=return_path))

    def test_tcp(self):
        self.for_each_pair(lambda *sides: self.journey(sides, uri="tcp:127.0.0.1:0"))

    def test_protected_mode(self):
        # Without the timer: this KVM's interpreter has no IRET for it.
        self.for_each_pair(lambda *sides: self.journey(sides, defines=()))

    def test_x87_and_sse_registers(self):
        # The emulator has what the guest put there in physical order (TOP is 6), KVM in stack order.
        seen = []

        def look(machine):
            text = machine.qmp.command("human-monitor-command", command_line="info registers")
            seen.append({**dict(re.findall(r"FPR(\d)=([0-9a-f]+ [0-9a-f]+)", text)),
                         **dict(re.findall(r"(XMM\d\d)=([0-9a-f ]+)", text))})

        self.journey([THEIRS_EMULATED, OURS, THEIRS_EMULATED, OURS, THEIRS], defines=("LONG=1", "TICK=1", "FP=1"),
                     look=lambda machine: machine.side.program == QEMU and look(machine))
        first, second, on_kvm = seen
        self.assertEqual(first["6"], "8000000000000000 3fff")
        self.assertEqual(first["7"], "c90fdaa22168c235 4000")
        self.assertEqual(second, first)
        self.assertEqual((on_kvm["0"], on_kvm["1"]), (first["6"], first["7"]))
        self.assertEqual([on_kvm[name] for name in ("XMM00", "XMM07", "XMM15")],
                         [first[name] for name in ("XMM00", "XMM07", "XMM15")])

    def test_two_processors_of_which_one_waits(self):
        self.for_each_pair(lambda a, b: self.journey([a, b, a], cpus=2))

    def test_many_processors_at_work(self):
        # QEMU 7.2's translator is no source for them: the guest arrives with old memory, at QEMU too.
        def is_source(side):
            return side.program != QEMU or side.accelerator != "tcg"

        def test(a, b):
            if is_source(a):
                self.journey([a, b] + ([a] if is_source(b) else []), defines=("LONG=1", "TICK=1", "SMP=1"), cpus=cpus,
                             return_path=True, look=OtherProcessors(cpus).look)

        for cpus in (4, 8):
            self.for_each_pair(test)

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


class SharedMemory(MicrovmTest):
    def test_stays_where_it_is(self):
        # Two blocks: RAM in a file that both map, the BIOS in the stream.
        bios = build_payload(self.directory, "LONG=1", "TICK=1")
        for source, destination in PAIRS[:3]:
            with self.subTest(source=source, destination=destination):
                self.fresh_console()
                ram = self.directory + "/ram"
                with open(ram, "wb") as f:
                    f.truncate(2 << 20)
                extra = ["-object", "memory-backend-file,id=mem0,size=2M,mem-path=%s,share=on" % ram]
                options = {"extra": extra, "devices": {"memory-backend": "mem0"}}
                with self.machine(source, bios, **options) as here:
                    here.wait_for_lines(2)
                    with self.machine(destination, bios, incoming=True, **options) as there:
                        for machine in (here, there):
                            machine.qmp.capabilities(x_ignore_shared=True)
                        move(here, there, "unix:%s/shared" % self.directory)
                        self.assertLessEqual(here.qmp.command("query-migrate")["ram"]["total"], 64 << 10)
                        here.end()
                        there.wait_for_lines(2)
                        there.wait_for_ticks(2)
                os.unlink(ram)


class Refusals(MicrovmTest):
    """What does not fit is refused before the hand-over: the destination says why, the guest runs on."""

    def refused(self, source, destination, *texts):
        """`source` and `destination`: (side, options)."""
        self.fresh_console()
        bios = build_payload(self.directory, "LONG=1", "TICK=1")
        side, options = source
        with self.machine(side, options.pop("bios", bios), **options) as here:
            here.wait_for_lines(2)
            side, options = destination
            there = self.machine(side, options.pop("bios", bios), incoming=True, **options)
            try:
                for machine in (here, there):
                    machine.qmp.capabilities(return_path=True)
                there.qmp.command("migrate-incoming", uri="unix:%s/m" % self.directory)
                here.qmp.command("migrate", uri="unix:%s/m" % self.directory)
                here.qmp.wait("failed")
                self.assertEqual(there.vm.wait_exit(), 1)
                for text in texts:
                    self.assertIn(text, there.vm.stderr())
                here.wait_for_lines(2)
                here.wait_for_ticks(2)
                self.assertTrue(here.qmp.command("query-status")["running"])
            finally:
                there.end()

    def test_more_processors(self):
        self.refused((THEIRS, {"cpus": 2}), (OURS, {"cpus": 1}), "cpu_common", "no such device")
        self.refused((OURS, {"cpus": 2}), (OURS, {"cpus": 1}), "cpu_common", "no such device")

    def test_other_ram_size(self):
        self.refused((OURS, {"memory": "2M"}), (OURS, {"memory": "4M"}), "microvm.ram", "0x200000", "0x400000")
        self.refused((THEIRS, {"memory": "4M"}), (OURS, {"memory": "2M"}), "microvm.ram", "0x400000", "0x200000")

    def test_other_bios_size(self):
        large = self.directory + "/large.bin"
        with open(large, "wb") as f:
            f.truncate(128 << 10)
        self.refused((THEIRS, {}), (OURS, {"bios": large}), "pc.bios", "0x10000", "0x20000")

    def test_other_machine(self):
        self.fresh_console()
        bios = build_payload(self.directory, "LONG=1", "TICK=1")
        with self.machine(THEIRS, bios) as here:
            here.wait_for_lines(2)
            with vmm.Vm(GODWIT, "-machine", "none", "-m", "2M", "-incoming", "defer", directory=self.directory) as there:
                there.qmp.capabilities(return_path=True)
                here.qmp.capabilities(return_path=True)
                there.qmp.command("migrate-incoming", uri="unix:%s/m" % self.directory)
                here.qmp.command("migrate", uri="unix:%s/m" % self.directory)
                here.qmp.wait("failed")
                self.assertEqual(there.wait_exit(), 1)
                self.assertIn("machine type 'microvm' received, this machine is 'none'", there.stderr())
            here.wait_for_lines(2)
            self.assertTrue(here.qmp.command("query-status")["running"])

    def test_devices_that_are_not_there(self):
        for name, section in (("pic", "i8259"), ("pit", "i8254"), ("rtc", "mc146818rtc")):
            with self.subTest(device=name):
                self.refused((THEIRS, {"devices": {name: "on"}}), (OURS, {}), section, "no such device")

    def stream(self, change):
        """A saved guest of QEMU's, changed, is offered to us; what we say."""
        with open(os.path.join(vmm.DATA, "golden", "microvm", "kvm-min64t.mig"), "rb") as f:
            changed = change(f.read())
        state = self.directory + "/state"
        with open(state, "wb") as f:
            f.write(changed)
        self.fresh_console()
        there = self.machine(OURS, build_payload(self.directory, "LONG=1"), incoming=True)
        try:
            there.qmp.command("migrate-incoming", uri="exec:cat " + state)
            self.assertEqual(there.vm.wait_exit(), 1)
            return there.vm.stderr()
        finally:
            there.end()

    def test_newer_versions_and_unknown_sections(self):
        def version(stream):
            at = stream.index(b"\x04apic") + 5 + 4
            return stream[:at] + b"\0\0\0\x04" + stream[at + 4:]
        said = self.stream(version)
        self.assertIn("version 4 received, versions 3 to 3 understood", said)
        self.assertIn("'quux'", self.stream(lambda stream: stream.replace(b"\x04apic", b"\x04quux", 1)).replace('"', "'"))

    def test_unknown_subsections(self):
        said = self.stream(lambda stream: stream.replace(b"cpu/tsc_khz", b"cpu/tsc_mhz", 1))
        self.assertIn("cpu/tsc_mhz", said)

    def test_fields_outside_their_range(self):
        def shift(stream):
            at = stream.index(b"\x04apic") + 5 + 8 + 152
            return stream[:at] + b"\x09" + stream[at + 1:]
        said = self.stream(shift)
        self.assertIn("count_shift", said)
        self.assertIn("0 to 7", said)


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")

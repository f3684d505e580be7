"""A running microvm moves where at least one side is emulated by Godwit: to and from QEMU and KVM."""
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
sys.path.insert(0, os.path.dirname(__file__))
import microvm
import microvm_test
import vm_process as vmm
from microvm import Side, have_assembler
from vm_process import GODWIT, QEMU

OURS = Side(GODWIT, "tcg")
OURS_ON_KVM = Side(GODWIT, "kvm")
THEIRS = Side(QEMU, "tcg")
THEIRS_ON_KVM = Side(QEMU, "kvm")
# An emulated guest is faster than this KVM's interpreter by far. With a line every 32 passes it would say more than a
# test can read: Godwit drops what does not fit into its buffer, and QEMU still sends a byte that waited after the
# guest, and that byte with it, has gone.
microvm.LINE_SHIFT = 11
EMULATED = [(OURS, OURS), (OURS, THEIRS), (THEIRS, OURS)]
ON_KVM = [(OURS, THEIRS_ON_KVM), (THEIRS_ON_KVM, OURS), (OURS, OURS_ON_KVM), (OURS_ON_KVM, OURS)]
CHIPS = {"pic": "on", "pit": "on", "rtc": "on"}


class EmulatedMoves(microvm_test.Moves):
    # Not what the base class asks for: there need not be a KVM.
    __unittest_skip__ = not (QEMU and have_assembler())
    __unittest_skip_why__ = "QEMU, gcc or ld is not installed"

    def for_each_pair(self, test):
        for source, destination in EMULATED + (ON_KVM if vmm.have_kvm() else []):
            with self.subTest(source=source, destination=destination):
                self.fresh_console()
                test(source, destination)

    def test_x87_and_sse_registers(self):
        # TOP is 6: two of us after another must not turn the registers twice.
        for defines in (("TICK=1", "FP=1"), ("LONG=1", "TICK=1", "FP=1")):
            seen = []

            def look(machine):
                if machine.side.program == QEMU:
                    text = machine.qmp.command("human-monitor-command", command_line="info registers")
                    seen.append(re.findall(r"FPR\d=[0-9a-f]+ [0-9a-f]+|XMM0[0-7]=[0-9a-f ]+", text))

            with self.subTest(defines=defines):
                self.fresh_console()
                self.journey([THEIRS, OURS, THEIRS, OURS, OURS, THEIRS], defines=defines, cpus=2, look=look)
                self.assertEqual(len(seen[0]), 16)
                self.assertEqual(seen[1:], [seen[0]] * 2)

    def test_pic_and_pit(self):
        self.for_each_pair(lambda a, b: self.journey([a, b, a], devices=CHIPS, cpus=2))

    def test_ten_hops(self):
        others = [OURS, THEIRS] + ([THEIRS_ON_KVM, OURS_ON_KVM] if vmm.have_kvm() else [])
        for other in others:
            for uri in (None, "tcp:127.0.0.1:0"):
                with self.subTest(other=other, uri=uri):
                    self.fresh_console()
                    self.journey([OURS, other] * 5 + [OURS], cpus=2, return_path=True, uri=uri)

    def test_ten_hops_with_one_processor(self):
        self.journey([OURS, THEIRS] * 5 + [OURS])


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")

"""vCPUs are limited by what they write: by hand, and by a migration that would not end without it."""
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import migrate_test
import vm_process as vmm

NO_RING = "dirty page limit feature requires KVM with accelerator property 'dirty-ring-size' set'"


@unittest.skipUnless(vmm.have_kvm(), "SKIP: /dev/kvm is missing")
class DirtyLimit(migrate_test.Guests):
    accelerator = "kvm,dirty-ring-size=65536"

    def until(self, condition, what):
        end = time.monotonic() + vmm.DEADLINE_S
        while not condition():
            self.assertLess(time.monotonic(), end, what)

    def rate(self, vm):
        return vm.qmp.command("query-vcpu-dirty-limit")[0]["current-rate"]

    def test_by_hand(self):
        vm = self.source()
        self.assertEqual(vm.qmp.command("query-vcpu-dirty-limit"), [])
        vm.qmp.command("set-vcpu-dirty-limit", dirty_rate=3)
        self.assertEqual(vm.qmp.command("query-vcpu-dirty-limit")[0]["limit-rate"], 3)
        self.until(lambda: self.rate(vm) > 5, "the hot set is larger")
        self.until(lambda: self.rate(vm) <= 3, "held back")
        self.assertRegex(vm.qmp.human("info vcpu_dirty_limit"), r"^vcpu\[0\], limit rate 3 \(MB/s\), current rate \d+ \(MB/s\)\r\n$")
        self.assert_runs(vm)
        self.assertEqual(vm.qmp.error("set-vcpu-dirty-limit", cpu_index=1, dirty_rate=1),
                         "there is no processor 1: the machine has 1")
        vm.qmp.command("cancel-vcpu-dirty-limit", cpu_index=0)
        self.assertEqual(vm.qmp.command("query-vcpu-dirty-limit"), [])
        self.assert_whole(vm)

    def test_a_migration_that_would_not_end(self):
        source, destination = self.source(), self.destination()
        source.qmp.capabilities(dirty_limit=True)
        # The guest writes its hot set, 16 MiB, far more often than 8 MiB/s can carry; 1 MiB/s is left to it.
        source.qmp.command("migrate-set-parameters", max_bandwidth=8 << 20, downtime_limit=300, vcpu_dirty_limit=1)
        source.qmp.command("migrate", uri=self.uri)
        self.until(lambda: "dirty-limit-throttle-time-per-round" in source.qmp.command("query-migrate"), "limited")
        self.assertEqual(source.qmp.error("set-vcpu-dirty-limit", dirty_rate=5),
                         "a migration with the capability dirty-limit limits the processors itself")
        source.qmp.wait("completed")
        destination.qmp.wait("completed")
        self.assertEqual(source.qmp.command("query-vcpu-dirty-limit"), [])
        self.assert_runs(destination)
        self.assert_whole(destination)

    def test_cancelled_it_lets_the_guest_go(self):
        source, _ = self.source(), self.destination()
        source.qmp.capabilities(dirty_limit=True)
        source.qmp.command("migrate-set-parameters", max_bandwidth=8 << 20, downtime_limit=0, vcpu_dirty_limit=1)
        source.qmp.command("migrate", uri=self.uri)
        self.until(lambda: source.qmp.command("query-vcpu-dirty-limit"), "limited")
        source.qmp.command("migrate_cancel")
        source.qmp.wait("cancelled")
        self.assertEqual(source.qmp.command("query-vcpu-dirty-limit"), [])
        self.assert_runs(source)

    def test_without_a_ring(self):
        self.accelerator = "kvm"
        vm = self.start()
        self.assertEqual(vm.qmp.error("set-vcpu-dirty-limit", dirty_rate=1), NO_RING)
        self.assertEqual(vm.qmp.error("migrate-set-capabilities", capabilities=[{"capability": "dirty-limit", "state": True}]),
                         "dirty-limit requires KVM with accelerator property 'dirty-ring-size' set")


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")

"""Postcopy between Godwit and QEMU 7.2, both ways: the guest goes first, its pages follow; a broken wire loses nothing."""
import os
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import vm_process as vmm
import witness
from fault_proxy import Proxy, unix
from postcopy import MIB, Move, have_huge_pages, have_userfaultfd
from vm_process import GODWIT, QEMU, Vm


@unittest.skipUnless(have_userfaultfd(), "SKIP: userfaultfd is not permitted")
class Postcopy(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="godwit-postcopy-")
        self.addCleanup(shutil.rmtree, self.directory, True)

    def move(self, source_program, destination_program, kind="ram", cuts=0, capabilities=(), side=0,
             tls=False):
        with Move(self.directory, source_program, destination_program, kind, capabilities=capabilities, tls=tls) as move:
            # QEMU takes 100 ms for a page that is asked for: there has to be something left for the cuts.
            move.start(postcopy_bandwidth=MIB // 4 if cuts else 4 * MIB)
            move.destination.qmp.wait("RESUME")
            move.check_some(10 if cuts else 40)
            move.write_some(3 if cuts else 10)
            for cut in range(cuts):
                move.forget_events()
                if cut % 2 == 0:
                    move.wire.cut()
                else:
                    (move.source, move.destination)[side].qmp.command("migrate-pause")
                move.expect_paused()
                move.resume()
                move.check_some(10)
                move.write_some(3)
            move.source.qmp.command("migrate-set-parameters", max_postcopy_bandwidth=4 * MIB)
            move.finish()
            info = move.source.qmp.command("query-migrate")
            self.assertGreater(info["ram"]["postcopy-requests"], 0)
            self.assertGreater(info["ram"]["postcopy-bytes"], 0)
            self.assertEqual(info["ram"]["remaining"], 0)
            return info, move.source.qmp.names(), move.destination.qmp.names()

    def for_each_pair(self, check):
        pairs = [(GODWIT, GODWIT)]
        if QEMU:
            pairs += [(GODWIT, QEMU), (QEMU, GODWIT)]
        for source, destination in pairs:
            with self.subTest("%s to %s" % (os.path.basename(source), os.path.basename(destination))):
                check(source, destination)

    def test_the_guest_goes_first(self):
        def check(source, destination):
            _, at_source, at_destination = self.move(source, destination)
            self.assertEqual(at_source, ["setup", "P1", "active", "postcopy-active", "STOP", "P2", "completed"])
            self.assertEqual(at_destination, ["setup", "active", "postcopy-active", "RESUME", "completed"])
        self.for_each_pair(check)

    def test_shared_memory(self):
        self.for_each_pair(lambda *pair: self.move(*pair, "memfd"))

    def test_huge_pages(self):
        if not have_huge_pages(32):
            self.skipTest("SKIP: no huge pages: echo 20 > /proc/sys/vm/nr_hugepages")
        self.for_each_pair(lambda *pair: self.move(*pair, "huge"))

    def test_a_broken_wire_is_mended(self):
        self.for_each_pair(lambda *pair: self.move(*pair, cuts=1))

    def test_it_breaks_again_and_again(self):
        for side in (0, 1):
            self.for_each_pair(lambda *pair: self.move(*pair, cuts=3, side=side))

    def test_urgent_pages_have_a_connection_of_their_own(self):
        for kind in ("ram", "huge") if have_huge_pages(32) else ("ram",):
            self.for_each_pair(lambda *pair: self.move(*pair, kind, capabilities=["postcopy-preempt"]))

    def test_both_connections_are_mended(self):
        self.for_each_pair(lambda *pair: self.move(*pair, cuts=2, capabilities=["postcopy-preempt"]))

    def test_urgent_pages_with_tls(self):
        self.for_each_pair(lambda *pair: self.move(*pair, capabilities=["postcopy-preempt"], tls=True))

    def test_both_connections_are_mended_with_tls(self):
        self.for_each_pair(lambda *pair: self.move(*pair, cuts=2, capabilities=["postcopy-preempt"], tls=True))

    def test_blocktime(self):
        self.for_each_pair(lambda *pair: self.move(*pair, capabilities=["postcopy-blocktime"]))

    def test_memory_that_is_released(self):
        self.for_each_pair(lambda *pair: self.move(*pair, capabilities=["release-ram"]))


@unittest.skipUnless(have_userfaultfd() and vmm.have_kvm(), "SKIP: userfaultfd or /dev/kvm is missing")
class RunningGuest(unittest.TestCase):
    """A guest that rewrites its memory faults by itself, on its vCPU."""
    FILL_MIB, HOT_MIB = 48, 16

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="godwit-postcopy-")
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.image = witness.image(self.directory + "/guest.img", self.FILL_MIB, self.HOT_MIB)

    def start(self, *extra):
        vm = Vm(GODWIT, "-accel", "kvm", "-m", "80M", "-drive", "file=%s,format=raw" % self.image, "-serial", "null",
                *extra, directory=self.directory)
        self.addCleanup(vm.end)
        vm.guest = witness.Witness(vm, self.FILL_MIB, self.HOT_MIB)
        vm.qmp.capabilities(events=True, postcopy_ram=True, postcopy_blocktime=True)
        return vm

    def test_it_runs_on_through_a_cut(self):
        source = self.start()
        source.guest.wait_progress(2, "passes")
        errors = source.guest.info()["errors"]
        destination = self.start("-incoming", "defer")
        with Proxy(unix(self.directory + "/wire"), unix(self.directory + "/m")) as wire:
            destination.qmp.command("migrate-incoming", uri="unix:%s/m" % self.directory)
            source.qmp.command("migrate-set-parameters", max_bandwidth=8 * MIB, max_postcopy_bandwidth=2 * MIB)
            source.qmp.command("migrate", uri="unix:%s/wire" % self.directory)
            source.qmp.wait("active")
            source.qmp.command("migrate-start-postcopy")
            destination.qmp.wait("RESUME")
            destination.guest.wait_progress(0)
            destination.qmp.events.clear()
            source.qmp.events.clear()
            wire.cut()
            destination.qmp.wait("postcopy-paused")
            source.qmp.wait("postcopy-paused")
            wire.target = unix(self.directory + "/again")
            destination.qmp.command("migrate-recover", uri="unix:%s/again" % self.directory)
            source.qmp.command("migrate", uri="unix:%s/wire" % self.directory, resume=True)
            destination.qmp.wait("postcopy-active")
            destination.guest.wait_progress(destination.guest.info()["iterations"])
            source.qmp.command("migrate-set-parameters", max_postcopy_bandwidth=0)
            source.qmp.wait("completed")
            destination.qmp.wait("completed")
        info = destination.qmp.command("query-migrate")
        self.assertEqual(len(info["postcopy-vcpu-blocktime"]), 1)
        destination.guest.wait_progress(destination.guest.info()["passes"] + 1, "passes")
        self.assertEqual(destination.guest.check_static_pages(), errors)
        destination.qmp.command("stop")
        self.assertTrue(destination.guest.hot_set_is_consistent())


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")

"""Postcopy between Godwit and QEMU 7.2, both ways: the guest goes first, its pages follow; a broken wire loses nothing.

The machines have RAM only; qtest reads and writes play the guest that faults.
"""
import os
import random
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import vm_process as vmm
import witness
from vm_process import GODWIT, QEMU, Vm
from wire import Wire

PAGE, MIB = 4096, 1 << 20
SIZE = 16 * MIB
ROUNDS = int(os.environ.get("GODWIT_POSTCOPY_ROUNDS", "1"))


def have_userfaultfd():
    return os.geteuid() == 0 or open("/proc/sys/vm/unprivileged_userfaultfd").read().strip() == "1"


def have_huge_pages(mib):
    with open("/proc/meminfo") as f:
        free = [int(line.split()[1]) for line in f if line.startswith("HugePages_Free")]
    return free and free[0] * 2 >= 2 * mib


def page(number, generation=0):
    """Every page differs; each fifth is zeros."""
    if number % 5 == 0 and generation == 0:
        return bytes(PAGE)
    return bytes((number * 7 + generation * 31 + i * 13) & 0xff for i in range(64)) * (PAGE // 64)


@unittest.skipUnless(have_userfaultfd(), "SKIP: userfaultfd is not permitted")
class Postcopy(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="godwit-postcopy-")
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.random = random.Random(1)

    def arguments(self, kind):
        backend = {
            "ram": "memory-backend-ram,id=m0,size=16M",
            "memfd": "memory-backend-memfd,id=m0,size=16M,share=on",
            "huge": "memory-backend-memfd,id=m0,size=16M,share=on,hugetlb=on,hugetlbsize=2M",
        }[kind]
        return ["-machine", "none,memory-backend=m0", "-m", "16M", "-object", backend]

    def start(self, program, kind, *extra):
        """QEMU's qtest needs a CPU to read and write memory, and this machine has none: others do it instead."""
        vm = Vm(program, *self.arguments(kind), *extra, directory=self.directory, qtest=program == GODWIT)
        vm.speaks_qtest = program == GODWIT
        return vm

    def start_source(self, program, kind):
        if program == GODWIT:
            vm = self.start(program, kind)
            for first in range(0, SIZE // PAGE, 64):
                vm.write(first * PAGE, b"".join(page(n) for n in range(first, first + 64)))
            return vm
        image = self.directory + "/ram"
        with open(image, "wb") as f:
            f.write(b"".join(page(n) for n in range(SIZE // PAGE)))
        return self.start(program, kind, "-device", "loader,file=%s,addr=0,force-raw=on" % image)

    def read(self, vm, address, length):
        if vm.speaks_qtest:
            return vm.read(address, length)
        path = self.directory + "/saved"
        vm.qmp.command("pmemsave", val=address, size=length, filename=path)
        with open(path, "rb") as f:
            return f.read()

    def check_some(self, vm, count=40):
        for number in self.random.sample(range(SIZE // PAGE), count):
            self.assertEqual(self.read(vm, number * PAGE, PAGE), page(number, self.written.get(number, 0)), number)

    def write_some(self, vm, count=10):
        if not vm.speaks_qtest:
            return
        for number in self.random.sample(range(SIZE // PAGE), count):
            generation = self.written.get(number, 0) + 1
            self.written[number] = generation
            vm.write(number * PAGE, page(number, generation))

    def check_all(self, vm):
        for first in range(0, SIZE // PAGE, 64):
            expected = b"".join(page(n, self.written.get(n, 0)) for n in range(first, first + 64))
            self.assertEqual(self.read(vm, first * PAGE, 64 * PAGE), expected, "pages from %d" % first)

    def move(self, source_program, destination_program, kind="ram", cuts=0, capabilities=(), side=0):
        self.written = {}
        target, path = self.directory + "/m", self.directory + "/wire"
        with self.start_source(source_program, kind) as source, \
             self.start(destination_program, kind, "-incoming", "defer") as destination, Wire(path, target) as wire:
            for vm in (source, destination):
                vm.qmp.capabilities(events=True, postcopy_ram=True, **dict.fromkeys(capabilities, True))
            source.qmp.command("migrate-set-parameters", max_bandwidth=2 * MIB, downtime_limit=1,
                               max_postcopy_bandwidth=MIB if cuts else 4 * MIB)
            destination.qmp.command("migrate-incoming", uri="unix:" + target)
            source.qmp.command("migrate", uri="unix:" + path)
            source.qmp.wait("active")
            source.qmp.command("migrate-start-postcopy")
            destination.qmp.wait("RESUME")
            self.check_some(destination)
            self.write_some(destination)
            for cut in range(cuts):
                for vm in (source, destination):
                    vm.qmp.events.clear()
                if cut % 2 == 0:
                    wire.cut()
                else:
                    (source, destination)[side].qmp.command("migrate-pause")
                for vm in (source, destination):
                    vm.qmp.wait("postcopy-paused")
                self.assertEqual(destination.qmp.command("query-status")["status"], "running")
                self.assertEqual(source.qmp.command("query-status")["status"], "finish-migrate")
                wire.target = "%s/again%d" % (self.directory, cut)
                destination.qmp.command("migrate-recover", uri="unix:" + wire.target)
                source.qmp.command("migrate", uri="unix:" + path, resume=True)
                for vm in (source, destination):
                    vm.qmp.wait("postcopy-active")
                self.check_some(destination, 10)
                self.write_some(destination, 3)
            source.qmp.command("migrate-set-parameters", max_postcopy_bandwidth=0)
            source.qmp.wait("completed")
            destination.qmp.wait("completed")
            self.check_all(destination)
            self.assertEqual(source.qmp.command("query-status")["status"], "postmigrate")
            self.assertEqual(destination.qmp.command("query-status")["status"], "running")
            info = source.qmp.command("query-migrate")
            self.assertGreater(info["ram"]["postcopy-requests"], 0)
            self.assertGreater(info["ram"]["postcopy-bytes"], 0)
            self.assertEqual(info["ram"]["remaining"], 0)
            return info, source.qmp.names(), destination.qmp.names()

    def for_each_pair(self, check):
        pairs = [(GODWIT, GODWIT)]
        if QEMU:
            pairs += [(GODWIT, QEMU), (QEMU, GODWIT)]
        for _ in range(ROUNDS):
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
        with Wire(self.directory + "/wire", self.directory + "/m") as wire:
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
            wire.target = self.directory + "/again"
            destination.qmp.command("migrate-recover", uri="unix:" + wire.target)
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

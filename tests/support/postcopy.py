"""A guest of RAM only that goes from one machine to another by postcopy, over a wire that can be cut; Godwit and QEMU 7.2.

qtest reads and writes play the guest that faults. QEMU's qtest needs a CPU for that, and these machines have none:
there the monitor reads.
"""
import contextlib
import os
import random

import vm_process as vmm
from fault_proxy import Fault, Proxy, unix
from vm_process import GODWIT, Vm

PAGE, MIB = 4096, 1 << 20


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


def expect(condition, *what):
    if not condition:
        raise vmm.Failure(" ".join(str(w) for w in what))


class Move:
    """Use as a context manager: starts both machines and the wire."""

    def __init__(self, directory, source_program, destination_program, kind="ram", size=16 * MIB, capabilities=(),
                 seed=1, tls=False):
        self.directory, self.kind, self.size = directory, kind, size
        self.programs = source_program, destination_program
        self.capabilities = capabilities
        self.tls = tls
        self.random = random.Random(seed)
        self.generation = {}  # of the pages that were written at the destination
        self.touched = []  # what was asked for and not waited for: page, and what it has to hold
        self.went_over = False
        self.doors = 0
        self.exits = contextlib.ExitStack()

    def __enter__(self):
        try:
            self.source = self.exits.enter_context(self._source())
            self.destination = self.exits.enter_context(self._start(self.programs[1], "-incoming", "defer"))
            self.wire = self.exits.enter_context(Proxy(unix(self.directory + "/wire"), None))
            for vm in (self.source, self.destination):
                vm.is_source = vm is self.source
                vm.qmp.capabilities(events=True, postcopy_ram=True, **dict.fromkeys(self.capabilities, True))
            if self.tls:
                self._secure()
            return self
        except BaseException:
            self.exits.close()
            raise

    def __exit__(self, *_):
        self.exits.close()

    def _start(self, program, *extra):
        mib = self.size // MIB
        backend = {
            "ram": "memory-backend-ram,id=m0,size=%dM",
            "memfd": "memory-backend-memfd,id=m0,size=%dM,share=on",
            "huge": "memory-backend-memfd,id=m0,size=%dM,share=on,hugetlb=on,hugetlbsize=2M",
        }[self.kind] % mib
        vm = Vm(program, "-machine", "none,memory-backend=m0", "-m", "%dM" % mib, "-object", backend, *extra,
                directory=self.directory, qtest=program == GODWIT)
        vm.speaks_qtest = program == GODWIT
        return vm

    def _secure(self):
        """Both sides know a key."""
        with open(self.directory + "/keys.psk", "w") as f:
            f.write("qemu:%s\n" % os.urandom(32).hex())
        for vm, endpoint in ((self.source, "client"), (self.destination, "server")):
            vm.qmp.command("object-add", qom_type="tls-creds-psk", id="tls0", dir=self.directory, endpoint=endpoint)
            vm.qmp.command("migrate-set-parameters", tls_creds="tls0", tls_hostname="localhost")

    def _source(self):
        if self.programs[0] == GODWIT:
            vm = self._start(GODWIT)
            for first in range(0, self.size // PAGE, 64):
                vm.write(first * PAGE, b"".join(page(n) for n in range(first, first + 64)))
            return vm
        image = self.directory + "/ram"
        with open(image, "wb") as f:
            f.write(b"".join(page(n) for n in range(self.size // PAGE)))
        return self._start(self.programs[0], "-device", "loader,file=%s,addr=0,force-raw=on" % image)

    # ---- the migration

    def start(self, bandwidth=2 * MIB, postcopy_bandwidth=4 * MIB):
        """Postcopy is asked for; nothing is waited for."""
        self.source.qmp.command("migrate-set-parameters", max_bandwidth=bandwidth, downtime_limit=1,
                                max_postcopy_bandwidth=postcopy_bandwidth)
        self.destination.qmp.command("migrate-incoming", uri=self._door())
        self.source.qmp.command("migrate", uri="unix:%s/wire" % self.directory)
        self.source.qmp.wait(("active", "failed"))
        self.source.qmp.execute("migrate-start-postcopy")  # refused where it has failed, which the status says too

    def _door(self):
        """The destination listens at another place each time."""
        self.doors += 1
        door = "%s/door%d" % (self.directory, self.doors)
        self.wire.target = unix(door)
        return "unix:" + door

    def ask_to_resume(self):
        self.destination.qmp.command("migrate-recover", uri=self._door())
        self.source.qmp.command("migrate", uri="unix:%s/wire" % self.directory, resume=True)

    def cut_after(self, count, direction):
        """The wire will break when so many bytes more have gone that way."""
        self.wire.plan(Fault("cut", count, direction, channel=None))

    def has_gone_over(self):
        """The guest has run at the destination."""
        self.went_over |= "RESUME" in self.destination.qmp.names()
        return self.went_over

    def forget_events(self):
        self.has_gone_over()
        for vm in (self.source, self.destination):
            vm.qmp.events.clear()

    def wait_both(self, status):
        for vm in (self.source, self.destination):
            vm.qmp.wait(status)

    def expect_paused(self):
        """Both are; the guest runs at the destination and stands still at the source."""
        self.wait_both("postcopy-paused")
        expect(self.run_state(self.destination) == "running", "paused, and the guest does not run at the destination")
        expect(self.run_state(self.source) == "finish-migrate", "paused, and the source is", self.run_state(self.source))

    def resume(self):
        self.forget_events()
        self.ask_to_resume()
        self.wait_both("postcopy-active")

    def finish(self):
        """What is left comes as fast as it can; every page is looked at."""
        self.source.qmp.command("migrate-set-parameters", max_postcopy_bandwidth=0)
        self.expect_whole()

    def expect_whole(self):
        self.wait_both("completed")
        self.end_of_touching()
        self.check_all(self.destination)
        expect(self.run_state(self.source) == "postmigrate", "completed, and the source is", self.run_state(self.source))
        expect(self.run_state(self.destination) == "running", "completed, and the guest does not run")

    @staticmethod
    def run_state(vm):
        return vm.qmp.command("query-status")["status"]

    # ---- the guest

    def read(self, vm, address, length):
        if vm.speaks_qtest:
            return vm.read(address, length)
        path = self.directory + "/saved"
        vm.qmp.command("pmemsave", val=address, size=length, filename=path)
        with open(path, "rb") as f:
            return f.read()

    def some(self, count):
        return self.random.sample(range(self.size // PAGE), count)

    def check_some(self, count=40):
        for number in self.some(count):
            expect(self.read(self.destination, number * PAGE, PAGE) == page(number, self.generation.get(number, 0)),
                   "page", number, "is wrong")

    def write_some(self, count=10):
        """A guest at QEMU does not write."""
        if not self.destination.speaks_qtest:
            return
        for number in self.some(count):
            self.generation[number] = self.generation.get(number, 0) + 1
            self.destination.write(number * PAGE, page(number, self.generation[number]))

    def begin_to_touch(self, count):
        """The guest reads and writes pages, and stands still at the first that is missing. Nobody waits for it:
        few enough that the requests fit into the socket."""
        for number in self.some(count) if self.destination.speaks_qtest else ():
            expected = None
            if self.random.random() < 0.5:
                expected = page(number, self.generation.get(number, 0))
                self.destination.send("read 0x%x 0x%x" % (number * PAGE, PAGE))
            else:
                self.generation[number] = self.generation.get(number, 0) + 1
                self.destination.send("write 0x%x 0x%x 0x%s" % (number * PAGE, PAGE,
                                                               page(number, self.generation[number]).hex()))
            self.touched.append((number, expected))

    def end_of_touching(self):
        """The guest has got through."""
        for number, expected in self.touched:
            answer = self.destination.answer()
            expect(answer.startswith("OK"), "page", number, answer[:80])
            expect(expected is None or answer == "OK 0x" + expected.hex(), "page", number, "is wrong")
        self.touched = []

    def check_all(self, vm):
        for first in range(0, self.size // PAGE, 64):
            data = self.read(vm, first * PAGE, 64 * PAGE)
            for number in range(first, first + 64):
                expect(data[(number - first) * PAGE:(number - first + 1) * PAGE]
                       == page(number, self.generation.get(number, 0)), "page", number, "is wrong")

"""RAM-only machines move between Godwit and QEMU 7.2, both ways, over every transport both have."""
import hashlib
import os
import random
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import vm_process as vmm
from vm_process import GODWIT, QEMU, Vm

PAGE = 4096
SIZE = 16 << 20
SET_A = "dd3bd1f4daba9246572bea3b3975cbfcde9c7b62101d9cdbd3bfd61e01fd389b"


def set_a():
    ram = bytearray(SIZE)
    for i in (0, 1, 2, 5, 100, 101):
        ram[i * PAGE:(i + 1) * PAGE] = bytes((7 * j + 13 * i) % 256 for j in range(PAGE))
    ram[16 * PAGE:17 * PAGE] = b"\x41" * PAGE
    ram[18 * PAGE - 1] = 1
    ram[4095 * PAGE:] = b"\xff" * PAGE
    return bytes(ram)


def long_runs():
    """Noise in runs of many lengths, with pages of zeros between them."""
    noise = random.Random(1)
    ram = bytearray()
    for pages in (1, 31, 32, 33, 64, 500, 127, 128, 1300, 200):
        ram += noise.randbytes(pages * PAGE) + bytes((1 + pages % 3) * PAGE)
    return bytes(ram) + bytes(SIZE - len(ram))


@unittest.skipUnless(QEMU, "QEMU is not installed")
class NoneMachine(unittest.TestCase):
    PAIRS = [(GODWIT, QEMU), (QEMU, GODWIT), (GODWIT, GODWIT)]

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="godwit-interop-")
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.content = set_a()

    def arguments(self, name, fill=False, share="on"):
        path = "%s/%s.ram" % (self.directory, name)
        if fill:
            with open(path, "wb") as f:
                f.write(self.content)
        return ["-machine", "none,memory-backend=m0", "-m", "16M", "-object",
                "memory-backend-file,id=m0,size=16M,mem-path=%s,share=%s" % (path, share)]

    def ram_hash(self, name):
        with open("%s/%s.ram" % (self.directory, name), "rb") as f:
            return hashlib.sha256(f.read()).hexdigest()

    def move(self, source_program, destination_program, uri, capabilities=None, source_extra=(), destination_extra=(),
             to_uri=None):
        with Vm(source_program, *self.arguments("src", fill=True), *source_extra, directory=self.directory) as source, \
             Vm(destination_program, *self.arguments("dst"), "-incoming", "defer", *destination_extra,
                directory=self.directory) as destination:
            source.qmp.capabilities(events=True, **(capabilities or {}))
            destination.qmp.capabilities(events=True)
            destination.qmp.command("migrate-incoming", uri=uri)
            if to_uri is None:
                address = destination.qmp.command("query-migrate").get("socket-address", [{}])[0]
                to_uri = "tcp:127.0.0.1:" + address["port"] if address.get("type") == "inet" else uri
            source.qmp.command("migrate", uri=to_uri)
            source.qmp.wait("completed")
            destination.qmp.wait("completed")
            self.assertEqual(self.ram_hash("dst"), hashlib.sha256(self.content).hexdigest())
            self.assertEqual(source.qmp.command("query-status")["status"], "postmigrate")
            self.assertEqual(destination.qmp.command("query-status")["status"], "running")
            return source.qmp.command("query-migrate"), source.qmp.names(), destination.qmp.names()

    def test_unix_with_and_without_return_path(self):
        for source, destination in self.PAIRS:
            for return_path in (False, True):
                info, at_source, at_destination = self.move(source, destination, "unix:%s/m" % self.directory,
                                                            {"return-path": return_path})
                self.assertEqual(at_destination, ["setup", "active", "RESUME", "completed"])
                self.assertEqual([n for n in at_source if n[0] != "P"], ["setup", "active", "STOP", "completed"])
                self.assertEqual((info["ram"]["normal"], info["ram"]["duplicate"]), (9, 4087))

    def test_long_runs_of_pages(self):
        self.content = long_runs()
        for source, destination in self.PAIRS:
            for uri in ("unix:%s/m" % self.directory, "tcp:127.0.0.1:0"):
                self.move(source, destination, uri)

    def test_tcp_with_a_port_of_the_listeners_choice(self):
        for source, destination in self.PAIRS:
            self.move(source, destination, "tcp:127.0.0.1:0")

    def test_both_count_the_same_bytes(self):
        figures = [self.move(source, GODWIT, "unix:%s/m" % self.directory)[0]["ram"] for source in (GODWIT, QEMU)]
        for member in ("transferred", "precopy-bytes", "downtime-bytes", "total", "normal-bytes", "page-size"):
            self.assertEqual(figures[0][member], figures[1][member], member)
        self.assertEqual(set(figures[0]), set(figures[1]))

    def test_through_a_file_with_exec(self):
        for source, destination in self.PAIRS:
            state = "%s/state" % self.directory
            with Vm(source, *self.arguments("src", fill=True), directory=self.directory) as vm:
                vm.qmp.capabilities(events=True)
                vm.qmp.command("migrate", uri="exec:cat > " + state)
                vm.qmp.wait("completed")
            with Vm(destination, *self.arguments("dst"), "-incoming", "exec:cat " + state,
                    directory=self.directory) as vm:
                vm.qmp.wait("RESUME") if vm.qmp.command("query-status")["status"] == "inmigrate" else None
            self.assertEqual(self.ram_hash("dst"), SET_A)

    def test_ignored_shared_memory_stays_where_it_is(self):
        for source_program, destination_program in self.PAIRS:
            arguments = self.arguments("src", fill=True)
            with Vm(source_program, *arguments, directory=self.directory) as source, \
                 Vm(destination_program, *arguments, "-incoming", "defer", directory=self.directory) as destination:
                for vm in (source, destination):
                    vm.qmp.capabilities(events=True, x_ignore_shared=True)
                destination.qmp.command("migrate-incoming", uri="unix:%s/m" % self.directory)
                source.qmp.command("migrate", uri="unix:%s/m" % self.directory)
                destination.qmp.wait("completed")
                source.qmp.wait("completed")
                self.assertEqual(source.qmp.command("query-migrate")["ram"]["total"], 0)
                self.assertEqual(self.ram_hash("src"), SET_A)

    def test_a_uuid_is_compared(self):
        uuid = ["-uuid", "12345678-9abc-def0-1122-334455667788"]
        for source, destination in self.PAIRS:
            self.move(source, destination, "unix:%s/m" % self.directory, {"validate-uuid": True}, uuid, uuid)

    def test_another_uuid_is_refused_and_the_source_goes_on(self):
        for source_program, destination_program in self.PAIRS:
            with Vm(source_program, *self.arguments("src", fill=True), "-uuid", "12345678-9abc-def0-1122-334455667788",
                    directory=self.directory) as source, \
                 Vm(destination_program, *self.arguments("dst"), "-uuid", "00000000-0000-0000-0000-000000000001",
                    "-incoming", "defer", directory=self.directory) as destination:
                source.qmp.capabilities(events=True, validate_uuid=True, return_path=True)
                destination.qmp.command("migrate-incoming", uri="unix:%s/m" % self.directory)
                source.qmp.command("migrate", uri="unix:%s/m" % self.directory)
                source.qmp.wait("failed")
                self.assertEqual(destination.wait_exit(), 1)
                self.assertRegex(destination.stderr().lower(), "uuid")
                self.assertEqual(source.qmp.command("query-status")["status"], "running")


class OurStream(unittest.TestCase):
    """What we save is what the recorded streams of QEMU 7.2 say, but for the values of the clock."""

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="godwit-stream-")
        self.addCleanup(shutil.rmtree, self.directory, True)

    def save(self, machine, extra=(), capabilities=None, share="on"):
        ram = self.directory + "/ram"
        with open(ram, "wb") as f:
            f.write(set_a())
        state = self.directory + "/state"
        with Vm(GODWIT, "-machine", machine, "-m", "16M", "-object",
                "memory-backend-file,id=m0,size=16M,mem-path=%s,share=%s" % (ram, share), *extra,
                directory=self.directory) as vm:
            vm.qmp.capabilities(events=True, **(capabilities or {}))
            vm.qmp.command("migrate", uri="file:" + state)
            vm.qmp.wait("completed")
        with open(state, "rb") as f:
            return f.read()

    def assert_same(self, ours, sample_name):
        with open(os.path.join(vmm.DATA, "golden", sample_name), "rb") as f:
            sample = f.read()
        # The body of section "timer" is the machine's clock; nothing else may differ.
        footer = b"" if "nofooter" in sample_name else b"\x7e\0\0\0\x02"
        boundary = b"\0" * 7 + b"\x10" + footer + b"\x02\0\0\0\x02"  # where a slice ends is a matter of time
        ours, sample = ours.replace(boundary, b""), sample.replace(boundary, b"")
        clock = sample.index(b"\x05timer") + 6 + 8
        self.assertEqual(len(ours), len(sample))
        self.assertEqual(ours[:clock], sample[:clock])
        self.assertEqual(ours[clock + 24:], sample[clock + 24:])

    def test_plain(self):
        self.assert_same(self.save("none,memory-backend=m0"), "01-precopy-plain.bin")

    def test_without_configuration_footers_and_description(self):
        self.assert_same(self.save("none,memory-backend=m0,suppress-vmdesc=on",
                                   ["-global", "migration.send-configuration=off",
                                    "-global", "migration.send-section-footer=off"]),
                         "02-precopy-noconfig-nofooter-novmdesc.bin")

    def test_configuration_with_capabilities_and_uuid(self):
        self.assert_same(self.save("none,memory-backend=m0", ["-uuid", "12345678-9abc-def0-1122-334455667788"],
                                   {"x-ignore-shared": True, "validate-uuid": True}),
                         "03-config-capabilities-uuid.bin")


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")

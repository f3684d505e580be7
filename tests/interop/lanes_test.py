"""The fast lanes between Godwit and QEMU 7.2, both ways, with every page compared."""
import hashlib
import os
import random
import shutil
import socket
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import vm_process as vmm
from vm_process import DATA, GODWIT, QEMU, Vm

PAGE, SIZE = 4096, 32 << 20
PAIRS = [(GODWIT, QEMU), (QEMU, GODWIT), (GODWIT, GODWIT)]
UUID = ["-uuid", "12345678-9abc-def0-1122-334455667788"]


def memory(seed):
    """Zero pages, text-like pages, pages of one value, and random ones."""
    source, ram = random.Random(seed), bytearray(SIZE)
    words = [b"lane ", b"page ", b"guest ", b"moves "]
    for i in range(SIZE // PAGE):
        kind = i % 4
        if kind == 1:
            page = b"".join(source.choices(words, k=1000))[:PAGE]
        elif kind == 2:
            page = bytes([i % 251 + 1]) * PAGE
        elif kind == 3:
            page = source.randbytes(PAGE)
        else:
            continue
        ram[i * PAGE:(i + 1) * PAGE] = page.ljust(PAGE, b".")
    return bytes(ram)


@unittest.skipUnless(QEMU, "QEMU is not installed")
class Lanes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.before = memory(1)

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="godwit-lanes-")
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.last_version = None

    def arguments(self, name, content=None):
        path = "%s/%s.ram" % (self.directory, name)
        if content is not None:
            with open(path, "wb") as f:
                f.write(content)
        elif os.path.exists(path):
            os.unlink(path)
        return ["-machine", "none,memory-backend=m0", "-m", "32M", "-object",
                "memory-backend-file,id=m0,size=32M,mem-path=%s,share=on" % path, *UUID]

    def ram(self, name):
        with open("%s/%s.ram" % (self.directory, name), "rb") as f:
            return f.read()

    def small(self, name):
        """The machine of the recorded streams."""
        return ["-machine", "none,memory-backend=m0", "-m", "16M", "-object",
                "memory-backend-file,id=m0,size=16M,mem-path=%s/%s.ram,share=on" % (self.directory, name)]

    def hash(self, name):
        return hashlib.sha256(self.ram(name)).hexdigest()

    def assert_same_memory(self):
        """Of pages that were just being written when the source stopped, the version before may have arrived."""
        source, destination = self.ram("src"), self.ram("dst")
        before = self.last_version or source
        different = [i for i in range(0, SIZE, PAGE) if source[i:i + PAGE] != destination[i:i + PAGE] and
                     before[i:i + PAGE] != destination[i:i + PAGE]]
        self.assertEqual(different, [])

    def move(self, programs, uri, at_source, at_destination, parameters, meanwhile=None, content=None):
        """Moves the memory; what the source says about it afterwards."""
        with Vm(programs[0], *self.arguments("src", content or self.before), directory=self.directory) as source, \
             Vm(programs[1], *self.arguments("dst"), "-incoming", "defer", directory=self.directory) as destination:
            source.qmp.capabilities(events=True, **at_source)
            destination.qmp.capabilities(events=True, **at_destination)
            for vm in (source, destination):
                vm.qmp.command("migrate-set-parameters", **parameters)
            destination.qmp.command("migrate-incoming", uri=uri)
            address = destination.qmp.command("query-migrate").get("socket-address", [{}])[0]
            to_uri = "tcp:127.0.0.1:" + address["port"] if address.get("type") == "inet" else uri
            source.qmp.command("migrate", uri=to_uri)
            if meanwhile:
                meanwhile(source)
            source.qmp.wait("completed")
            destination.qmp.wait("completed")
            info = source.qmp.command("query-migrate")
        self.assert_same_memory()
        return info

    def both_uris(self):
        return "unix:%s/m" % self.directory, "tcp:127.0.0.1:0"

    def test_multifd(self):
        for programs in PAIRS:
            for compression, uri in zip(("none", "zlib", "zstd", "none"), self.both_uris() * 2):
                for channels in ((1, 2) if compression == "none" else (2,)):
                    with self.subTest(programs=programs, compression=compression, uri=uri, channels=channels):
                        info = self.move(programs, uri, {"multifd": True}, {"multifd": True},
                                         {"multifd-compression": compression, "multifd-channels": channels,
                                          "max-bandwidth": 0})["ram"]
                        self.assertEqual((info["normal"], info["duplicate"]), (6144, 2048))
                        self.assertGreater(info["multifd-bytes"], 0)
                        self.assertEqual(info["transferred"], info["multifd-bytes"] + info["precopy-bytes"] + info["downtime-bytes"])
                        if compression == "none":
                            self.assertGreaterEqual(info["multifd-bytes"], 6144 * PAGE + 3 * channels * 1344)
                        elif programs[0] == GODWIT:  # QEMU counts the pages before they are compressed
                            self.assertLess(info["multifd-bytes"], 6144 * PAGE // 2)

    def test_multifd_of_many_channels(self):
        for programs in PAIRS:
            with self.subTest(programs=programs):
                self.move(programs, "unix:%s/m" % self.directory, {"multifd": True, "return-path": True},
                          {"multifd": True}, {"multifd-channels": 32})

    def test_zero_copy(self):
        for programs in PAIRS:
            with self.subTest(programs=programs):
                info = self.move(programs, "tcp:127.0.0.1:0", {"multifd": True, "zero-copy-send": True},
                                 {"multifd": True}, {"max-bandwidth": 0})["ram"]
                self.assertEqual(info["normal"], 6144)
                self.assertGreater(info["dirty-sync-missed-zero-copy"], 0)  # to itself a host always copies

    def rewrite_until(self, enough):
        """Changes a few bytes of pages again and again until the figures are enough, then lifts the limit."""
        def meanwhile(vm):
            n, end = 0, time.monotonic() + vmm.DEADLINE_S
            while "completed" not in vm.qmp.names() and not enough(vm.qmp.command("query-migrate")):
                self.assertLess(time.monotonic(), end, vm.qmp.command("query-migrate"))
                n += 1
                self.last_version = self.ram("src")
                for page in range(1, 41):
                    vm.write(page * PAGE + 64 * (n % 60), b"pass%08d" % n)
            vm.qmp.command("migrate-set-parameters", **{"max-bandwidth": 0, "downtime-limit": 300})
        return meanwhile

    def test_xbzrle(self):
        few = self.before[:41 * PAGE].ljust(SIZE, b"\0")
        enough = lambda info: info.get("xbzrle-cache", {}).get("pages", 0) >= 40
        for programs in PAIRS:
            with self.subTest(programs=programs):
                # QEMU's machine without a CPU has no way to write to its memory; see test_recorded_deltas.
                writes = programs[0] == GODWIT
                info = self.move(programs, "unix:%s/m" % self.directory, {"xbzrle": True}, {},
                                 {"max-bandwidth": 100000, "downtime-limit": 1, "xbzrle-cache-size": 4 << 20},
                                 self.rewrite_until(enough) if writes else None, few)
                figures = info["xbzrle-cache"]
                self.assertEqual(figures["cache-size"], 4 << 20)
                if writes:
                    self.assertGreaterEqual(figures["cache-miss"], 30)
                    self.assertGreaterEqual(figures["pages"], 40)
                    self.assertLess(figures["bytes"] - figures["overflow"] * PAGE, figures["pages"] * 200)

    def test_recorded_deltas(self):
        """Recorded with a CPU, which this machine has not: RAM is complete before that ends the load."""
        with Vm(GODWIT, *self.small("dst"), "-incoming", "defer", directory=self.directory) as vm:
            vm.qmp.command("migrate-incoming", uri="exec:cat %s" % os.path.join(DATA, "golden", "04-xbzrle.bin"))
            self.assertEqual(vm.wait_exit(), 1)
            self.assertRegex(vm.stderr(), "cpu")
        self.assertEqual(self.hash("dst"), "eedbf087fb3729735332b4699d435c32471b22d49c94adbe23e8b78a76b3fa42")

    def test_recorded_compressed_pages(self):
        with Vm(GODWIT, *self.small("dst"), "-incoming", "defer", directory=self.directory) as vm:
            vm.qmp.capabilities(events=True, compress=True)
            vm.qmp.command("migrate-incoming", uri="exec:cat %s" % os.path.join(DATA, "golden", "05-compress.bin"))
            vm.qmp.wait("completed")
        self.assertEqual(self.hash("dst"), "162a59dad32a32c62e13840bfa26c2322a841b34481bf9eda97e35d7c2264d4a")

    def test_recorded_channels_in_any_order(self):
        for n, method in enumerate(("none", "zlib", "zstd")):
            with Vm(GODWIT, *self.small("dst"), *UUID, "-incoming", "defer", directory=self.directory) as vm:
                vm.qmp.capabilities(events=True, multifd=True)
                vm.qmp.command("migrate-set-parameters", **{"multifd-compression": method})
                vm.qmp.command("migrate-incoming", uri="unix:%s/m" % self.directory)
                parts = ["main", "channel0", "channel1"]
                connections = []
                for part in parts[n:] + parts[:n]:
                    with open(os.path.join(DATA, "golden", "12-multifd-%s-%s.bin" % (method, part)), "rb") as f:
                        connection = socket.socket(socket.AF_UNIX)
                        connection.connect(self.directory + "/m")
                        connection.sendall(f.read())
                        connection.shutdown(socket.SHUT_WR)
                        connections.append(connection)
                vm.qmp.wait("completed")
                for connection in connections:
                    connection.close()
            self.assertEqual(self.hash("dst"), "9feddec85eb06b3d8922ac921d23abd2d9510510a5af114e35e9d1d18d77e210")

    def test_compress(self):
        for programs in PAIRS:
            for uri in self.both_uris():
                for wait in (True, False):
                    with self.subTest(programs=programs, uri=uri, wait=wait):
                        info = self.move(programs, uri, {"compress": True}, {"compress": True},
                                         {"compress-threads": 3, "compress-level": 1, "decompress-threads": 3,
                                          "compress-wait-thread": wait, "max-bandwidth": 0})
                        figures = info["compression"]
                        self.assertGreater(figures["pages"], 0)
                        if wait:
                            self.assertEqual(figures["busy"], 0)
                            self.assertLess(info["ram"]["transferred"], 4096 * PAGE)
                        self.assertEqual(set(figures), {"pages", "busy", "busy-rate", "compressed-size",
                                                        "compression-rate"})


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")

"""`godwit inspect` as the destination of a live source: it sees the whole stream, and the source keeps its guest."""
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from vm_process import DEADLINE_S, GODWIT, PROGRAMS, QEMU, Vm

TOOL = os.path.join(PROGRAMS, "godwit")
SIZE = 32 << 20  # far more than a socket holds: a source that is turned away is still sending


class Inspector:
    def __init__(self, *arguments):
        self.process = subprocess.Popen([TOOL, "inspect", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline()
        if not line.startswith("waiting for a source on "):
            self.process.kill()
            raise AssertionError(line + self.process.stderr.read())
        self.uri = line.split()[-1]

    def end(self):
        out, err = self.process.communicate(timeout=DEADLINE_S)
        return self.process.returncode, out, err


@unittest.skipUnless(QEMU, "QEMU is not installed")
class LiveSource(unittest.TestCase):
    PROGRAMS = [QEMU, GODWIT]

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="godwit-inspect-")
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.ram = bytes(i % 251 for i in range(4096)) * (SIZE // 4096)
        with open(self.directory + "/ram", "wb") as f:
            f.write(self.ram)

    def source(self, program):
        return Vm(program, "-machine", "none,memory-backend=m0", "-m", "32M", "-object",
                  "memory-backend-file,id=m0,size=32M,mem-path=%s/ram,share=on" % self.directory,
                  directory=self.directory)

    def addresses(self):
        return ["unix:%s/i.sock" % self.directory, "tcp:127.0.0.1:0"]

    def test_with_a_return_path_it_sees_everything_and_the_source_keeps_its_guest(self):
        for program in self.PROGRAMS:
            for address in self.addresses():
                with self.source(program) as source:
                    source.qmp.capabilities(events=True, return_path=True)
                    inspector = Inspector("--json", "--ram", self.directory + "/out", address)
                    source.qmp.command("migrate", uri=inspector.uri)
                    status, out, err = inspector.end()
                    self.assertEqual(status, 0, out + err)
                    source.qmp.wait("failed")
                    self.assertEqual(source.qmp.command("query-status")["status"], "running")
                found = json.loads(out)
                self.assertTrue(found["whole"])
                self.assertTrue(found["described"])
                self.assertEqual([b["normal-pages"] for b in found["ram"]["blocks"]], [SIZE // 4096])
                states = [f["value"] for d in found["devices"] if d["name"] == "globalstate" for f in d["fields"]]
                self.assertEqual(bytes.fromhex(states[1]).rstrip(b"\0"), b"running")
                with open(self.directory + "/out/m0.ram", "rb") as f:
                    self.assertEqual(hashlib.sha256(f.read()).digest(), hashlib.sha256(self.ram).digest())

    def turned_away(self, program, text, **capabilities):
        with self.source(program) as source:
            source.qmp.capabilities(events=True, **capabilities)
            inspector = Inspector("--verify", self.addresses()[0])
            source.qmp.command("migrate", uri=inspector.uri)
            status, out, err = inspector.end()
            self.assertEqual(status, 1, out + err)
            self.assertIn(text, out)
            source.qmp.wait("failed")
            self.assertEqual(source.qmp.command("query-status")["status"], "running")

    def test_without_a_return_path_the_source_is_turned_away(self):
        for program in self.PROGRAMS:
            self.turned_away(program, "turn the capability return-path on")

    def test_a_source_that_may_go_into_postcopy_is_turned_away(self):
        self.turned_away(QEMU, "turn postcopy-ram off", postcopy_ram=True)

    def test_without_a_return_path_but_allowed_the_source_gives_its_guest_away(self):
        for program in self.PROGRAMS:
            with self.source(program) as source:
                source.qmp.capabilities(events=True)
                inspector = Inspector("--verify", "--let-source-stop", self.addresses()[0])
                source.qmp.command("migrate", uri=inspector.uri)
                status, out, err = inspector.end()
                self.assertEqual(status, 0, out + err)
                source.qmp.wait("completed")
                self.assertEqual(source.qmp.command("query-status")["status"], "postmigrate")

    def test_a_signal_ends_it_and_the_source_keeps_its_guest(self):
        waiting = Inspector(self.addresses()[0])
        waiting.process.send_signal(signal.SIGINT)
        self.assertEqual(waiting.end()[0], 130)
        with self.source(QEMU) as source:
            source.qmp.capabilities(events=True, return_path=True)
            source.qmp.command("migrate-set-parameters", max_bandwidth=1 << 20)
            inspector = Inspector(self.addresses()[1])
            source.qmp.command("migrate", uri=inspector.uri)
            source.qmp.wait("active")
            inspector.process.send_signal(signal.SIGTERM)
            self.assertEqual(inspector.end()[0], 143)
            source.qmp.wait("failed")
            self.assertEqual(source.qmp.command("query-status")["status"], "running")


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")

"""Guests move over TLS between Godwit and QEMU 7.2, both ways; whoever has no right to one gets none of it."""
import hashlib
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

SUPPORT = os.path.join(os.path.dirname(__file__), "..", "support")
sys.path.insert(0, SUPPORT)
import vm_process as vmm
from vm_process import GODWIT, QEMU, Vm

SIZE = 16 << 20
PAIRS = [(GODWIT, GODWIT)] + ([(GODWIT, QEMU), (QEMU, GODWIT)] if QEMU else [])
NEEDS_CERTTOOL = unittest.skipUnless(shutil.which("certtool"), "SKIP: certtool (package gnutls-bin) is missing")


@NEEDS_CERTTOOL
class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not QEMU:
            print("SKIP: QEMU is missing, only Godwit is tested", file=sys.stderr)
        cls.keys = tempfile.mkdtemp(prefix="godwit-keys-")
        cls.addClassCleanup(shutil.rmtree, cls.keys, True)
        subprocess.run([os.path.join(SUPPORT, "make_certificates.sh"), cls.keys], check=True)

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="godwit-tls-")
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.ram = os.urandom(SIZE // 4) + bytes(SIZE // 4) + os.urandom(SIZE // 2)

    def start(self, program, name, *arguments):
        path = "%s/%s.ram" % (self.directory, name)
        with open(path, "wb") as f:
            f.write(self.ram if name == "src" else bytes(SIZE))
        vm = Vm(program, "-machine", "none,memory-backend=m0", "-m", "16M", "-object",
                "memory-backend-file,id=m0,size=16M,mem-path=%s,share=on" % path, *arguments,
                directory=self.directory)
        self.addCleanup(vm.end)
        return vm

    def pair(self, programs, source_object, destination_object, uri=None, source=None, destination=None):
        """Source and destination with these credentials; the destination listens."""
        there = self.start(programs[1], "dst", "-incoming", "defer")
        here = self.start(programs[0], "src")
        for vm, credentials, parameters in ((here, source_object, source), (there, destination_object, destination)):
            vm.qmp.capabilities(events=True)
            if credentials:
                credentials = dict(credentials)
                if "dir" in credentials:
                    credentials["dir"] = os.path.join(self.keys, credentials["dir"])
                answer = vm.qmp.execute("object-add", dict(credentials, id="tls0"))
                self.assertEqual(answer.get("return"), {}, answer)
                parameters = dict(parameters or {}, tls_creds="tls0")
            if parameters:
                vm.qmp.command("migrate-set-parameters", **parameters)
        there.qmp.command("migrate-incoming", uri=uri or "unix:%s/m" % self.directory)
        return here, there

    def address(self, destination):
        address = destination.qmp.command("query-migrate")["socket-address"][0]
        return "unix:" + address["path"] if address["type"] == "unix" else "tcp:localhost:" + address["port"]

    def assert_moved(self, source, destination):
        source.qmp.wait("completed")
        destination.qmp.wait("completed")
        with open("%s/dst.ram" % self.directory, "rb") as f:
            self.assertEqual(hashlib.sha256(f.read()).digest(), hashlib.sha256(self.ram).digest())

    def assert_refused(self, source, destination, source_says=None, destination_says=None):
        """The source keeps its guest and says why; nothing of the guest is at the destination, which goes on
        listening."""
        source.qmp.wait("failed")
        self.assertEqual(source.qmp.command("query-status")["status"], "running")
        if source_says:
            self.assertIn(source_says, source.qmp.command("query-migrate")["error-desc"])
        self.assertIsNone(destination.process.poll())
        self.assertEqual(destination.qmp.command("query-status")["status"], "inmigrate")
        if destination_says:
            end = time.monotonic() + vmm.DEADLINE_S
            while destination_says not in destination.stderr() and time.monotonic() < end:
                select.select([], [], [], 0.01)
            self.assertIn(destination_says, destination.stderr())
        with open("%s/dst.ram" % self.directory, "rb") as f:
            self.assertEqual(f.read().count(0), SIZE)

    PSK = ({"qom-type": "tls-creds-psk", "endpoint": "client", "dir": "psk"},
           {"qom-type": "tls-creds-psk", "endpoint": "server", "dir": "psk"})
    X509 = ({"qom-type": "tls-creds-x509", "endpoint": "client", "dir": "client"},
            {"qom-type": "tls-creds-x509", "endpoint": "server", "dir": "server"})
    ANON = ({"qom-type": "tls-creds-anon", "endpoint": "client"}, {"qom-type": "tls-creds-anon", "endpoint": "server"})

    def test_every_kind_both_ways(self):
        for programs in PAIRS:
            for kind in (self.PSK, self.X509, self.ANON):
                for return_path in (False, True):
                    with self.subTest(programs=programs, kind=kind[0]["qom-type"], return_path=return_path):
                        here, there = self.pair(programs, *kind, uri="tcp:127.0.0.1:0")
                        here.qmp.capabilities(return_path=return_path)
                        here.qmp.command("migrate", uri=self.address(there))
                        self.assert_moved(here, there)
                        here.end(), there.end()

    def test_tls_hostname_stands_in_for_a_host_and_is_needed_without_one(self):
        here, there = self.pair((GODWIT, GODWIT), *self.X509)
        here.qmp.command("migrate", uri=self.address(there))
        self.assert_refused(here, there, "No hostname")
        here.qmp.events.clear()
        here.qmp.command("migrate-set-parameters", tls_hostname="localhost")
        here.qmp.command("migrate", uri=self.address(there))
        self.assert_moved(here, there)

    def test_who_is_not_the_right_one_is_refused_and_both_know_why(self):
        client, server = self.X509
        cases = [
            ("wrong key", dict(self.PSK[0], dir="wrong-psk"), self.PSK[1], "TLS handshake failed: ", "TLS handshake failed"),
            ("wrong name", client, dict(server, dir="other"), "Certificate does not match the hostname localhost",
             "the peer refuses: Certificate is bad"),
            ("expired server", client, dict(server, dir="expired", **{"sanity-check": False}), "expired",
             "the peer refuses: Certificate is expired"),
            ("unknown client", dict(client, dir="stranger", **{"sanity-check": False}), server, "the peer refuses",
             "issuer is unknown"),
            ("client without certificate", dict(client, dir="nameless"), server, "the peer refuses", "TLS handshake failed"),
            ("plain source", None, self.PSK[1], None, "TLS handshake failed"),
        ]
        for name, at_source, at_destination, source_says, destination_says in cases:
            with self.subTest(name):
                here, there = self.pair((GODWIT, GODWIT), at_source, at_destination, uri="tcp:127.0.0.1:0")
                here.qmp.command("migrate", uri=self.address(there))
                self.assert_refused(here, there, source_says, destination_says)
                here.end(), there.end()

    def test_qemu_is_refused_the_same_way(self):
        if not QEMU:
            self.skipTest("SKIP: QEMU is missing")
        client, server = self.X509
        here, there = self.pair((GODWIT, QEMU), client, dict(server, dir="other"), uri="tcp:127.0.0.1:0")
        here.qmp.command("migrate", uri=self.address(there))
        here.qmp.wait("failed")
        self.assertIn("Certificate does not match the hostname localhost", here.qmp.command("query-migrate")["error-desc"])
        self.assertEqual(here.qmp.command("query-status")["status"], "running")
        here.end(), there.end()
        here, there = self.pair((QEMU, GODWIT), dict(client, dir="nameless"), server, uri="tcp:127.0.0.1:0")
        here.qmp.command("migrate", uri=self.address(there))
        self.assert_refused(here, there, None, "TLS handshake failed")

    def test_authorization_looks_at_the_subject(self):
        client, server = self.X509
        for identity, accepted in (("O=Godwit,CN=mover", True), ("O=Godwit,CN=other", False)):
            for program in [GODWIT] + ([QEMU] if QEMU else []):
                with self.subTest(identity=identity, source=program):
                    here, there = self.pair((program, GODWIT), client, server, uri="tcp:127.0.0.1:0")
                    there.qmp.command("object-add", **{"qom-type": "authz-simple"}, id="who", identity=identity)
                    there.qmp.command("migrate-set-parameters", tls_authz="who")
                    here.qmp.command("migrate", uri=self.address(there))
                    if accepted:
                        self.assert_moved(here, there)
                    else:
                        self.assert_refused(here, there, None, "TLS x509 authz check for O=Godwit,CN=mover is denied")
                    here.end(), there.end()

    def test_silent_strangers_do_not_take_the_sources_place(self):
        import socket
        here, there = self.pair((GODWIT, GODWIT), *self.PSK)
        strangers = []
        for _ in range(100):
            stranger = socket.socket(socket.AF_UNIX)
            stranger.connect("%s/m" % self.directory)
            strangers.append(stranger)
        here.qmp.command("migrate", uri=self.address(there))
        self.assert_moved(here, there)
        for stranger in strangers:
            stranger.close()


if __name__ == "__main__":
    unittest.main()

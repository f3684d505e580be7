"""Limits that hold over many faults: nothing leaks, a cancel acts within a second, a dead host is noticed within ten."""
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import fault_proxy
import shortages
import vm_process as vmm
from vm_process import Godwit

ATTEMPTS = int(os.environ.get("GODWIT_FAILED_ATTEMPTS", "1000"))
MIB = 1 << 20
DEAD_PEER_S = 10


def resources(vm):
    base = "/proc/%d/" % vm.process.pid
    with open(base + "maps") as f:
        mappings = sum(1 for _ in f)
    with open(base + "status") as f:
        memory = [int(line.split()[1]) for line in f if line.startswith("VmRSS")][0]
    return {"descriptors": len(os.listdir(base + "fd")), "threads": len(os.listdir(base + "task")),
            "mappings": mappings, "KiB": memory}


class Limits(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="godwit-limits-", dir="/dev/shm")
        self.addCleanup(shutil.rmtree, self.directory, True)

    def start(self, *extra):
        """Sources have 4 MiB that are not zero."""
        path = "%s/ram%d" % (self.directory, vmm.Vm.started)
        with open(path, "wb") as f:
            f.write(bytes(4 * MIB) if "-incoming" in extra else os.urandom(4096) * 1024)
        vm = Godwit("-machine", "none,memory-backend=m0", "-m", "4M", "-object",
                    "memory-backend-file,id=m0,size=4M,share=on,mem-path=" + path, *extra, directory=self.directory,
                    qtest=False)
        self.addCleanup(vm.end)
        vm.qmp.capabilities(events=True)
        vm.qmp.command("migrate-set-parameters", max_bandwidth=0)
        return vm

    def assert_same(self, before, after):
        self.assertEqual(before["descriptors"], after["descriptors"])
        self.assertEqual(before["threads"], after["threads"])
        self.assertLessEqual(after["mappings"], before["mappings"] + 4)
        self.assertLess(after["KiB"], before["KiB"] + 8 * 1024)

    def test_a_source_whose_attempts_fail_keeps_nothing_of_them(self):
        source, uri = self.start(), "unix:%s/peer" % self.directory
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.directory + "/peer")
        listener.listen(8)
        ending = threading.Event()

        def refuse():
            """Reads more of each stream than of the one before, and hangs up."""
            for attempt in range(1 << 30):
                connection = listener.accept()[0]
                if ending.is_set():
                    return
                wanted = attempt % 40 * 20_000
                while wanted > 0:
                    data = connection.recv(min(wanted, 1 << 16))
                    wanted = wanted - len(data) if data else 0
                connection.close()

        thread = threading.Thread(target=refuse, daemon=True)
        thread.start()
        for attempt in range(ATTEMPTS + 50):
            if attempt == 50:
                before = resources(source)
            source.qmp.capabilities(return_path=attempt % 2 == 1)
            source.qmp.events.clear()
            source.qmp.command("migrate", uri=uri)
            source.qmp.wait("failed")
            self.assertEqual(source.qmp.command("query-status")["status"], "running")
        end = time.monotonic() + 5
        while resources(source)["descriptors"] != before["descriptors"] and time.monotonic() < end:
            source.qmp.command("query-migrate")
        self.assert_same(before, resources(source))
        ending.set()
        socket.socket(socket.AF_UNIX).connect(self.directory + "/peer")
        thread.join()
        self.move(source)

    def test_strangers_at_a_destination_leave_nothing_and_keep_nobody_out(self):
        destination = self.start("-incoming", "unix:%s/m" % self.directory)
        before = None
        silent = []
        for stranger in range(ATTEMPTS):
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(vmm.DEADLINE_S)
            connection.connect(self.directory + "/m")
            if stranger % 3 == 0:
                connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
                try:
                    self.assertEqual(connection.recv(1), b"")  # closed at once
                except ConnectionResetError:
                    pass  # with bytes that nobody read
            elif stranger % 3 == 1 and len(silent) < 100:
                silent.append(connection)  # says nothing, or a part of a header, for as long as it may
                if stranger % 2:
                    connection.sendall(b"QEV")
                continue
            connection.close()
            if stranger == 400:
                before = resources(destination)
        self.assertLess(resources(destination)["threads"], before["threads"] + 66)
        self.assertEqual(destination.qmp.command("query-status")["status"], "inmigrate")
        source = self.start()
        source.qmp.command("migrate", uri="unix:%s/m" % self.directory)
        source.qmp.wait("completed")
        destination.qmp.wait("completed")
        self.assertEqual(destination.qmp.command("query-status")["status"], "running")
        for connection in silent:
            connection.close()

    def move(self, source):
        destination = self.start("-incoming", "unix:%s/good" % self.directory)
        source.qmp.events.clear()
        source.qmp.command("migrate", uri="unix:%s/good" % self.directory)
        source.qmp.wait("completed")
        destination.qmp.wait("completed")

    # ---- cancel

    def cancel(self, source, state):
        start = time.monotonic()
        source.qmp.command("migrate_cancel")
        source.qmp.wait("cancelled")
        took = time.monotonic() - start
        self.assertLess(took, 1, state)
        return took

    def test_cancel_acts_within_a_second_in_every_state(self):
        silent = socket.socket(socket.AF_UNIX)
        silent.bind(self.directory + "/silent")
        silent.listen(1)
        source = self.start()
        # active, with a destination that does not read, without and with a return path.
        for return_path in (False, True):
            source.qmp.events.clear()
            source.qmp.capabilities(return_path=return_path)
            source.qmp.command("migrate", uri="unix:%s/silent" % self.directory)
            source.qmp.wait("active")
            self.cancel(source, "active")
            silent.accept()[0].close()
        # setup: a host that does not answer, since its queue of connections is full.
        source.qmp.events.clear()
        with socket.socket() as full, contextlib.ExitStack() as queue:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            for _ in range(3):
                waiting = queue.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(full.getsockname())
            source.qmp.command("migrate", uri="tcp:127.0.0.1:%d" % full.getsockname()[1])
            source.qmp.wait("setup")
            self.cancel(source, "setup")
        # At each place of the switchover, with the wire still.
        for step, direction in (("last pages", "to destination"), ("device", "to destination"), ("last sign", "to source"),
                                ("eof", "to destination"), ("verdict", "to source")):
            source = self.start()
            source.qmp.capabilities(return_path=True)
            name = step.replace(" ", "-")
            self.start("-incoming", "unix:%s/%s" % (self.directory, name))
            path = "%s/%s.wire" % (self.directory, name)
            with fault_proxy.Proxy(fault_proxy.unix(path), fault_proxy.unix("%s/%s" % (self.directory, name)),
                                   [fault_proxy.Fault("stall", step, direction)]) as wire:
                source.qmp.command("migrate", uri="unix:" + path)
                self.assertTrue(wire.happened.wait(20), step)
                self.cancel(source, step)
                before_the_byte = step in ("last pages", "device", "last sign")
                self.assertEqual(source.qmp.command("query-status")["status"],
                                 "running" if before_the_byte else "postmigrate")
        # pre-switchover.
        source = self.start()
        source.qmp.capabilities(pause_before_switchover=True)
        self.start("-incoming", "unix:%s/pre" % self.directory)
        source.qmp.command("migrate", uri="unix:%s/pre" % self.directory)
        source.qmp.wait("pre-switchover")
        self.cancel(source, "pre-switchover")
        self.assertEqual(source.qmp.command("query-status")["status"], "running")

    def test_cancel_acts_within_a_second_beside_a_client_that_asks_without_end(self):
        attempt = shortages.attempt(shortages.Cell("monitor", "source", "cancel")).run()
        self.assertEqual(attempt.problems, [])
        self.assertLess(attempt.took, 1)

    # ---- a host that is gone

    def test_a_dead_host_is_noticed_within_ten_seconds(self):
        """The destination is in a network of its own, whose cable is pulled: no packet comes any more, and no error."""
        if os.geteuid() != 0 or not shutil.which("ip"):
            self.skipTest("SKIP: needs root and the program ip")
        # A network of its own: nothing of it outlives this test.
        code = subprocess.run(["unshare", "-n", sys.executable, "-B", os.path.abspath(__file__), "--in-own-network"],
                              check=False, timeout=120).returncode
        self.assertEqual(code, 0)


class PulledCable(Limits):
    """Runs in a network namespace of its own."""
    test_a_source_whose_attempts_fail_keeps_nothing_of_them = None
    test_strangers_at_a_destination_leave_nothing_and_keep_nobody_out = None
    test_cancel_acts_within_a_second_in_every_state = None
    test_cancel_acts_within_a_second_beside_a_client_that_asks_without_end = None
    test_a_dead_host_is_noticed_within_ten_seconds = None

    def ip(self, *arguments):
        subprocess.run(["ip", *arguments], check=True)

    def test_in_precopy_and_postcopy(self):
        # Both hosts are here, and the loopback between them loses all packets.
        self.ip("link", "set", "lo", "up")
        pairs = []
        for mode in ("precopy", "answered", "postcopy"):
            source, destination = self.start(), self.start("-incoming", "defer")
            for vm in (source, destination):
                vm.qmp.capabilities(return_path=mode == "answered", postcopy_ram=mode == "postcopy")
            destination.qmp.command("migrate-incoming", uri="tcp:127.0.0.1:0")
            port = destination.qmp.command("query-migrate")["socket-address"][0]["port"]
            source.qmp.command("migrate-set-parameters", max_bandwidth=100_000, max_postcopy_bandwidth=100_000)
            source.qmp.command("migrate", uri="tcp:127.0.0.1:" + port)
            destination.qmp.wait("active")
            if mode == "postcopy":
                source.qmp.command("migrate-start-postcopy")
                destination.qmp.wait("RESUME")
            pairs.append((mode, source, destination))
        self.ip("link", "set", "lo", "down")
        pulled = time.monotonic()
        for mode, source, destination in pairs:
            end = "postcopy-paused" if mode == "postcopy" else "failed"
            source.qmp.wait(end)
            self.assertLess(time.monotonic() - pulled, DEAD_PEER_S, "%s: the source" % mode)
            if mode == "postcopy":
                destination.qmp.wait(end)
            else:
                self.assertEqual(destination.wait_exit(), 1)
                self.assertEqual(source.qmp.command("query-status")["status"], "running")
            self.assertLess(time.monotonic() - pulled, DEAD_PEER_S, "%s: the destination" % mode)
        print("dead hosts noticed within %.1f s" % (time.monotonic() - pulled))


if __name__ == "__main__":
    if "--in-own-network" in sys.argv:
        unittest.main(argv=sys.argv[:1], defaultTest="PulledCable", warnings="ignore")
    unittest.main(defaultTest="Limits", warnings="ignore")

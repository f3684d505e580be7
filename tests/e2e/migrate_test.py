"""A running, writing guest moves between two processes: nothing is lost, and what goes wrong leaves it running."""
import os
import shutil
import signal
import socket
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import vm_process as vmm
import witness
from vm_process import GODWIT, Vm
from witness import Witness

FILL_MIB, HOT_MIB = 48, 16
ROUNDS = int(os.environ.get("GODWIT_ROUNDS", "100"))


class Guests(unittest.TestCase):
    """Witness guests, and what must be true of them."""
    accelerator = "kvm"

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="godwit-e2e-")
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.image = witness.image(self.directory + "/guest.img", FILL_MIB, HOT_MIB)
        self.uri = "unix:%s/m" % self.directory
        self.running = []

    def tearDown(self):
        for vm in self.running:
            vm.end()

    def start(self, *extra):
        vm = Vm(GODWIT, "-accel", self.accelerator, "-m", "80M", "-drive", "file=%s,format=raw" % self.image,
                "-serial", "null", *extra, directory=self.directory)
        self.running.append(vm)
        vm.guest = Witness(vm, FILL_MIB, HOT_MIB)
        vm.qmp.capabilities(events=True)
        vm.qmp.command("migrate-set-parameters", max_bandwidth=0)
        return vm

    def source(self):
        vm = self.start()
        vm.guest.wait_progress(2, "passes")
        self.errors = vm.guest.info()["errors"]  # the first fill counts the zeros it found; the difference is what counts
        return vm

    def destination(self, *extra, uri=None):
        vm = self.start("-incoming", "defer", *extra)
        vm.qmp.command("migrate-incoming", uri=uri or self.uri)
        return vm

    def assert_runs(self, vm):
        self.assertEqual(vm.qmp.command("query-status")["status"], "running")
        vm.guest.wait_progress(vm.guest.info()["iterations"])

    def assert_whole(self, vm):
        self.assertEqual(vm.guest.check_static_pages(), self.errors)
        vm.qmp.command("stop")
        self.assertTrue(vm.guest.hot_set_is_consistent())
        vm.qmp.command("cont")


@unittest.skipUnless(vmm.have_kvm(), "SKIP: /dev/kvm is missing")
class RunningGuest(Guests):
    def move(self, source, destination):
        source.qmp.events.clear()  # it may have been a destination before
        source.qmp.command("migrate", uri=self.uri)
        source.qmp.wait("completed")
        destination.qmp.wait("completed")

    def test_back_and_forth(self):
        """Many hops of one guest, every page checked each time, without and with a return path."""
        vm = self.source()
        for hop in range(ROUNDS):
            destination = self.destination()
            vm.qmp.capabilities(return_path=hop % 2 == 1)
            before = vm.guest.info()
            self.move(vm, destination)
            self.assertEqual(vm.qmp.command("query-status")["status"], "postmigrate")
            self.assertEqual(destination.guest.info()["errors"], before["errors"])
            destination.guest.wait_progress(before["passes"] + 1, "passes")
            self.assert_whole(destination)
            vm.end()
            self.running.remove(vm)
            vm = destination

    def test_a_vanishing_destination_leaves_the_guest_running(self):
        vm = self.source()
        vm.qmp.command("migrate-set-parameters", max_bandwidth=20 << 20)
        destination = self.destination()
        vm.qmp.command("migrate", uri=self.uri)
        destination.qmp.wait("active")
        os.kill(destination.process.pid, signal.SIGKILL)
        destination.process.wait()
        vm.qmp.wait("failed")
        self.assert_runs(vm)
        self.assertRegex(vm.qmp.command("query-migrate")["error-desc"], "Unable to write to socket")
        # And a second attempt works.
        vm.qmp.command("migrate-set-parameters", max_bandwidth=0)
        self.uri += "2"
        second = self.destination()
        self.move(vm, second)
        self.assert_whole(second)

    def test_a_vanishing_source_ends_the_destination(self):
        vm = self.source()
        vm.qmp.command("migrate-set-parameters", max_bandwidth=20 << 20)
        destination = self.destination()
        vm.qmp.command("migrate", uri=self.uri)
        destination.qmp.wait("active")
        os.kill(vm.process.pid, signal.SIGKILL)
        self.assertEqual(destination.wait_exit(), 1)
        self.assertRegex(destination.stderr(), "offset 0x[0-9a-f]+")

    def test_cancel_in_each_state(self):
        vm = self.source()
        # While nobody answers: setup.
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.directory + "/silent")
        listener.listen(1)
        vm.qmp.capabilities(return_path=True)
        vm.qmp.command("migrate-set-parameters", max_bandwidth=20 << 20)
        vm.qmp.command("migrate", uri="unix:%s/silent" % self.directory)
        vm.qmp.wait("active")
        vm.qmp.command("migrate_cancel")
        vm.qmp.wait("cancelled")
        listener.close()
        self.assert_runs(vm)
        # With the guest stopped: pre-switchover.
        vm.qmp.events.clear()
        vm.qmp.capabilities(pause_before_switchover=True, return_path=False)
        vm.qmp.command("migrate-set-parameters", max_bandwidth=0)
        destination = self.destination()
        vm.qmp.command("migrate", uri=self.uri)
        vm.qmp.wait("pre-switchover")
        self.assertEqual(vm.qmp.error("cont"), "Migration is not finalized yet")
        vm.qmp.command("migrate_cancel")
        vm.qmp.wait("cancelled")
        self.assertEqual([n for n in vm.qmp.names() if n[0] != "P"],
                         ["setup", "active", "STOP", "pre-switchover", "cancelling", "RESUME", "cancelled"])
        self.assertEqual(destination.wait_exit(), 1)
        self.assert_runs(vm)
        self.assert_whole(vm)

    def test_pause_before_switchover_and_continue(self):
        vm = self.source()
        vm.qmp.capabilities(pause_before_switchover=True)
        destination = self.destination()
        vm.qmp.command("migrate", uri=self.uri)
        vm.qmp.wait("pre-switchover")
        self.assertEqual(vm.qmp.command("query-status")["status"], "finish-migrate")
        vm.qmp.command("migrate-continue", state="pre-switchover")
        vm.qmp.wait("completed")
        destination.qmp.wait("RESUME")
        self.assert_whole(destination)

    def test_a_destination_held_with_S_waits_for_cont(self):
        vm = self.source()
        destination = self.destination("-S")
        self.move(vm, destination)
        self.assertEqual(destination.qmp.command("query-status")["status"], "paused")
        destination.qmp.command("cont")
        destination.qmp.wait("RESUME")
        self.assert_runs(destination)

    def test_cont_after_the_migration_runs_the_source_again(self):
        vm = self.source()
        destination = self.destination("-S")
        self.move(vm, destination)
        self.assertRegex(vm.qmp.error("migrate", uri=self.uri), "paused due to previous migration")
        vm.qmp.command("cont")
        self.assert_runs(vm)

    def test_every_transport(self):
        for uri in ("tcp:127.0.0.1:0", "unix:%s/t" % self.directory):
            vm, destination = self.source(), self.destination(uri=uri)
            address = destination.qmp.command("query-migrate")["socket-address"][0]
            vm.qmp.command("migrate", uri="tcp:127.0.0.1:%s" % address["port"] if "port" in address else uri)
            destination.qmp.wait("completed")
            self.assert_whole(destination)
        for kind in ("exec:cat > %s", "file:%s"):
            state = self.directory + "/state"
            vm = self.source()
            vm.qmp.command("migrate", uri=kind % state)
            vm.qmp.wait("completed")
            destination = self.start("-incoming", "exec:cat " + state if kind[0] == "e" else "file:" + state)
            destination.guest.wait_progress(vm.guest.info()["iterations"])
            self.assert_whole(destination)
        vm, destination = self.source(), self.start("-incoming", "defer")
        ours, theirs = socket.socketpair()
        vm.qmp.execute("getfd", {"fdname": "mig"}, [ours.fileno()])
        destination.qmp.execute("getfd", {"fdname": "mig"}, [theirs.fileno()])
        ours.close(), theirs.close()
        destination.qmp.command("migrate-incoming", uri="fd:mig")
        vm.qmp.command("migrate", uri="fd:mig")
        destination.qmp.wait("completed")
        self.assert_whole(destination)

    def test_other_memory_or_machine_is_refused_and_the_source_goes_on(self):
        for extra, text in ((["-m", "96M"], "Size mismatch"), (["-machine", "q35"], "pc-q35")):
            vm = self.source()
            vm.qmp.capabilities(return_path=True)
            destination = self.destination(*extra)
            vm.qmp.command("migrate", uri=self.uri)
            vm.qmp.wait("failed")
            self.assertEqual(destination.wait_exit(), 1)
            self.assertRegex(destination.stderr(), text)
            self.assert_runs(vm)

    def test_a_full_disk_is_an_error_and_the_guest_runs_on(self):
        vm = self.source()
        vm.qmp.command("migrate", uri="file:/dev/full")
        vm.qmp.wait("failed")
        self.assertRegex(vm.qmp.command("query-migrate")["error-desc"], "No space left")
        self.assert_runs(vm)

    def test_leaving_during_a_migration_is_orderly(self):
        vm = self.source()
        vm.qmp.command("migrate-set-parameters", max_bandwidth=20 << 20)
        destination = self.destination()
        vm.qmp.command("migrate", uri=self.uri)
        destination.qmp.wait("active")
        vm.process.send_signal(signal.SIGTERM)
        self.assertEqual(vm.wait_exit(), 0)
        self.assertEqual(destination.wait_exit(), 1)


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")

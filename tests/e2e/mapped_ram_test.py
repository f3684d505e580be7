"""A running, writing guest is saved to a file with mapped-ram and restored from it, and is whole afterwards."""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import migrate_test
import vm_process as vmm


@unittest.skipUnless(vmm.have_kvm(), "SKIP: /dev/kvm is missing")
class MappedRam(migrate_test.Guests):
    def save_and_restore(self, capabilities=(), offset=0, paused=False, **parameters):
        path = self.directory + "/state"
        uri = "file:%s%s" % (path, ",offset=%d" % offset if offset else "")
        on = {name: True for name in ("mapped_ram", *capabilities)}
        source, destination = self.source(), self.start("-incoming", "defer")
        for vm in (source, destination):
            vm.qmp.capabilities(**on)
            vm.qmp.command("migrate-set-parameters", downtime_limit=2000, **parameters)
        if paused:
            source.qmp.command("stop")
        source.qmp.command("migrate", uri=uri)
        source.qmp.wait("completed")
        info = source.qmp.command("query-migrate")
        destination.qmp.command("migrate-incoming", uri=uri)
        destination.qmp.wait("completed")
        if paused:
            self.assertEqual(destination.qmp.command("query-status")["status"], "paused")
            destination.qmp.command("cont")
        self.assert_runs(destination)
        self.assert_whole(destination)
        # What the guest never wrote to takes no room, and a page that is sent again none a second time.
        self.assertLess(os.stat(path).st_blocks * 512, 76 << 20)
        os.unlink(path)
        self.tearDown()
        return info

    def test_a_running_guest(self):
        for capabilities, parameters in (((), {}), (("multifd",), {"multifd-channels": 3}), ((), {"direct-io": True}),
                                         (("multifd",), {"direct-io": True})):
            with self.subTest(capabilities=capabilities, parameters=parameters):
                info = self.save_and_restore(capabilities, **{k.replace("-", "_"): v for k, v in parameters.items()})
                self.assertEqual(info["ram"]["multifd-bytes"] > 0, bool(capabilities))

    def test_a_paused_guest_behind_an_offset(self):
        info = self.save_and_restore(("multifd",), offset=4711, paused=True)
        self.assertEqual(info["ram"]["multifd-bytes"], info["ram"]["normal-bytes"])

    def test_cancelled_and_saved_again(self):
        source = self.source()
        source.qmp.capabilities(mapped_ram=True, multifd=True)
        source.qmp.command("migrate-set-parameters", max_bandwidth=8 << 20, downtime_limit=1)
        uri = "file:%s/state" % self.directory
        source.qmp.command("migrate", uri=uri)
        while source.qmp.command("query-migrate").get("ram", {}).get("multifd-bytes", 0) < 1 << 20:
            pass
        source.qmp.command("migrate_cancel")
        source.qmp.wait("cancelled")
        self.assert_runs(source)
        source.qmp.events.clear()
        source.qmp.command("migrate-set-parameters", max_bandwidth=0, downtime_limit=2000)
        source.qmp.command("migrate", uri=uri)
        source.qmp.wait("completed")
        destination = self.start("-incoming", "defer")
        destination.qmp.capabilities(mapped_ram=True)  # how many threads wrote it does not matter
        destination.qmp.command("migrate-incoming", uri=uri)
        destination.qmp.wait("completed")
        self.assert_runs(destination)
        self.assert_whole(destination)


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")

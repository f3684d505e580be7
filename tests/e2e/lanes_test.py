"""A running, writing guest moves over each of the fast lanes, and is whole afterwards."""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import migrate_test
import vm_process as vmm

HOT_RATE = 4 << 20  # bytes per second: far less than the guest writes


@unittest.skipUnless(vmm.have_kvm(), "SKIP: /dev/kvm is missing")
class Lanes(migrate_test.Guests):
    def move(self, at_source, at_destination=(), parameters=None, meanwhile=None):
        source, destination = self.source(), self.start("-incoming", "defer")
        for vm, capabilities in ((source, at_source), (destination, at_destination)):
            vm.qmp.capabilities(**{name: True for name in capabilities})
            if parameters:
                vm.qmp.command("migrate-set-parameters", **parameters)
        destination.qmp.command("migrate-incoming", uri=self.uri)
        source.qmp.command("migrate", uri=self.uri)
        if meanwhile:
            meanwhile(source)
        source.qmp.wait("completed")
        destination.qmp.wait("completed")
        self.assert_runs(destination)
        self.assert_whole(destination)
        return source.qmp.command("query-migrate")

    def test_multifd(self):
        for compression in ("none", "zlib", "zstd"):
            with self.subTest(compression):
                both = ("multifd", "return-path")
                info = self.move(both, both, {"multifd-channels": 3, "multifd-compression": compression,
                                              "downtime-limit": 2000})
                self.assertGreater(info["ram"]["multifd-bytes"], 0)
                self.tearDown()

    def test_compress(self):
        info = self.move(("compress",), ("compress",), {"compress-threads": 2, "downtime-limit": 2000})
        self.assertGreater(info["compression"]["pages"], 0)

    def test_xbzrle(self):
        def meanwhile(source):
            figures = lambda: source.qmp.command("query-migrate").get("xbzrle-cache", {})
            vmm.until(lambda: figures().get("pages", 0) >= 1000, lambda: "1000 pages as differences: %s" % figures())
            source.qmp.command("migrate-set-parameters", xbzrle_cache_size=8 << 20)  # with the cache in use
            source.qmp.command("migrate-set-parameters", max_bandwidth=0, downtime_limit=2000)
        info = self.move(("xbzrle",), (), {"max-bandwidth": 40 << 20, "downtime-limit": 1}, meanwhile)
        self.assertGreaterEqual(info["xbzrle-cache"]["pages"], 1000)
        self.assertLess(info["xbzrle-cache"]["bytes"], info["xbzrle-cache"]["pages"] * 4096 // 10)

    def test_auto_converge(self):
        seen = []

        def meanwhile(source):
            def throttled():
                percent = source.qmp.command("query-migrate").get("cpu-throttle-percentage", 0)
                if percent and percent not in seen:
                    seen.append(percent)
                return percent >= 60

            vmm.until(throttled, lambda: "throttled to 60 %%: %s" % seen)
            before = source.guest.info()["iterations"]
            self.assertGreaterEqual(source.guest.info()["iterations"], before)
            source.qmp.command("migrate-set-parameters", max_bandwidth=0, downtime_limit=2000)
        info = self.move(("auto-converge",), (), {"max-bandwidth": HOT_RATE, "downtime-limit": 1,
                                                  "cpu-throttle-increment": 30, "max-cpu-throttle": 85}, meanwhile)
        self.assertEqual(seen, [20, 50, 80])
        self.assertNotIn("cpu-throttle-percentage", info)

    def test_multifd_cancelled_under_load_and_started_again(self):
        source = self.source()
        source.qmp.capabilities(multifd=True)
        for n in range(3):
            destination = self.start("-incoming", "defer")
            destination.qmp.capabilities(multifd=True)
            uri = "%s%d" % (self.uri, n)
            destination.qmp.command("migrate-incoming", uri=uri)
            source.qmp.events.clear()
            if n < 2:
                source.qmp.command("migrate-set-parameters", max_bandwidth=8 << 20, downtime_limit=1)
            else:
                source.qmp.command("migrate-set-parameters", max_bandwidth=0, downtime_limit=1000)
            source.qmp.command("migrate", uri=uri)
            if n == 2:
                break
            source.qmp.wait("active")
            sent = lambda: source.qmp.command("query-migrate")["ram"]["multifd-bytes"]
            vmm.until(lambda: sent() >= 1 << 20, lambda: "1 MiB sent: %d" % sent())
            source.qmp.command("migrate_cancel")
            source.qmp.wait("cancelled")
            self.assert_runs(source)
            self.assertEqual(destination.wait_exit(), 1)
        destination.qmp.wait("completed")
        self.assert_runs(destination)
        self.assert_whole(destination)


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")

"""The human monitor: every answer byte for byte as QEMU 7.2 gives it, and live beside it where it is installed."""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import vm_process
from vm_process import NONE, QEMU, Godwit, Vm

GLOBALS = ("globals:\r\nstore-global-state: on\r\nonly-migratable: off\r\nsend-configuration: on\r\n"
           "send-section-footer: on\r\ndecompress-error-check: on\r\nclear-bitmap-shift: 18\r\n")
NEWER_CAPABILITIES = "dirty-limit: off\r\nmapped-ram: off\r\nx-auto-lanes: off\r\n"  # behind those of 7.2
SIZE = ("Error: Parameter '%s' expects a non-negative number below 2^64\r\nOptional suffix k, M, G, T, P or E means "
        "kilo-, mega-, giga-, tera-, peta-\r\nand exabytes, respectively.\r\n")


def usage(text, command):
    return '%s\r\nTry "help %s" for more information\r\n' % (text, command)


# In this order, on a machine `none` of 4 MiB with a name.
ANSWERS = (
    ("", ""), ("bogus", "unknown command: 'bogus'\r\n"), ("info bogus", "unknown command: 'info bogus'\r\n"),
    ("help bogus", "unknown command: 'bogus'\r\n"), ("?help", "unknown command: '?help'\r\n"),
    ("stop;cont", "unknown command: 'stop;cont'\r\n"), ('"info" status', "unknown command: '\"info\"'\r\n"),
    ("help stop", "stop|s  -- stop emulation\r\n"), ("? c", "cont|c  -- resume emulation\r\n"),
    ("help xp", "xp /fmt addr -- physical memory dump starting at 'addr'\r\n"),
    ("help info migrate", "info migrate  -- show migration status\r\n"),
    ("help help", "help|? [cmd] -- show the help\r\n"),
    ("help migrate",
     "migrate [-d] [-b] [-i] [-r] uri -- migrate to URI (using -d to not wait for completion)\r\n"
     "\t\t\t -b for migration without shared storage with full copy of disk\r\n"
     "\t\t\t -i for migration without shared storage with incremental copy of disk "
     "(base image shared between src and destination)\r\n\t\t\t -r to resume a paused migration\r\n"),
    ("info name", "guest\r\n"), ("info uuid", "00112233-4455-6677-8899-aabbccddeeff\r\n"),
    ("info kvm", "kvm support: disabled\r\n"), ("info cpus", ""), (" info  status ", "VM status: running\r\n"),
    ("stop", ""), ("info status", "VM status: paused\r\n"), ("s", ""), ("c", ""), ("cont", ""),
    ("info status", "VM status: running\r\n"),
    ("stop x", usage("stop|s: extraneous characters at the end of line", "stop")),
    ("c x", usage("cont|c: extraneous characters at the end of line", "c")),
    ("info migrate extra", usage("migrate: extraneous characters at the end of line", "info migrate")),
    ("info migrate", GLOBALS),
    ("migrate", usage("migrate: string expected", "migrate")),
    ("migrate -z tcp:1", usage("migrate: unsupported option -z", "migrate")),
    ("migrate -d -d tcp:1:2", usage("migrate: unsupported option -d", "migrate")),
    ("migrate - x", usage("migrate: unsupported option - ", "migrate")),
    ("migrate -dx tcp:1", usage("migrate: extraneous characters at the end of line", "migrate")),
    ("migrate_set_parameter", usage("migrate_set_parameter: string expected", "migrate_set_parameter")),
    ("migrate_set_parameter foo 1", "Error: invalid parameter value: foo\r\n"),
    ("migrate_set_parameter downtime-limit abc", SIZE % "downtime-limit"),
    ("migrate_set_parameter downtime-limit 5000000",
     "Error: Parameter 'downtime_limit' expects an integer in the range of 0 to (2000 * 1000) ms\r\n"),
    ("migrate_set_parameter announce-max 99999999999999999999",
     "Error: Value '99999999999999999999' is out of range for parameter 'announce-max'\r\n"),
    ("migrate_set_parameter downtime-limit 10", ""), ("migrate_set_parameter max-bandwidth 10", ""),
    ("migrate_set_parameter max-bandwidth -1", "Error: Invalid size -1\r\n"),
    ("migrate_set_parameter compress-level 100", "Error: Parameter 'compress_level' expects a value between 0 and 9\r\n"),
    ("migrate_set_parameter compress-level 300", "Error: Parameter 'compress-level' expects uint8_t\r\n"),
    ("migrate_set_parameter compress-level abc", "Error: Parameter 'compress-level' expects uint64\r\n"),
    ("migrate_set_parameter compress-level 0x5", ""), ("migrate_set_parameter compress-wait-thread off", ""),
    ("migrate_set_parameter compress-wait-thread maybe",
     "Error: Parameter 'compress-wait-thread' expects 'on' or 'off'\r\n"),
    ('migrate_set_parameter tls-creds "a b"', ""), ('migrate_set_parameter tls-hostname "a\\"b"', ""),
    ("migrate_set_parameter block-bitmap-mapping x",
     "Error: The block-bitmap-mapping parameter can only be set through QMP\r\n"),
    ("migrate_set_parameter multifd-compression foo",
     "Error: Parameter 'multifd-compression' does not accept value 'foo'\r\n"),
    ("migrate_set_parameter max-postcopy-bandwidth 1k", ""),
    ("info migrate_parameters",
     "announce-initial: 50 ms\r\nannounce-max: 550 ms\r\nannounce-rounds: 5\r\nannounce-step: 100 ms\r\n"
     "compress-level: 5\r\ncompress-threads: 8\r\ncompress-wait-thread: off\r\ndecompress-threads: 2\r\n"
     "throttle-trigger-threshold: 50\r\ncpu-throttle-initial: 20\r\ncpu-throttle-increment: 10\r\n"
     "cpu-throttle-tailslow: off\r\nmax-cpu-throttle: 99\r\ntls-creds: 'a b'\r\ntls-hostname: 'a\"b'\r\n"
     "max-bandwidth: 10485760 bytes/second\r\ndowntime-limit: 10 ms\r\nx-checkpoint-delay: 20000 ms\r\n"
     "block-incremental: off\r\nmultifd-channels: 2\r\nmultifd-compression: none\r\n"
     "xbzrle-cache-size: 67108864 bytes\r\nmax-postcopy-bandwidth: 1024\r\ntls-authz: ''\r\n"),
    ('migrate_set_parameter tls-creds ""', ""),
    ("migrate_set_capability xbzrle", usage("Expected 'on' or 'off'", "migrate_set_capability")),
    ("migrate_set_capability bogus on", "Error: invalid parameter value: bogus\r\n"),
    ("migrate_set_capability postcopy-preempt on", "Error: Postcopy preempt requires postcopy-ram\r\n"),
    ("migrate_set_capability events on", ""),
    ("info migrate_capabilities", "".join("%s: %s\r\n" % (name, "on" if name == "events" else "off") for name in (
        "xbzrle", "rdma-pin-all", "auto-converge", "zero-blocks", "compress", "events", "postcopy-ram", "x-colo",
        "release-ram", "block", "return-path", "pause-before-switchover", "multifd", "dirty-bitmaps",
        "postcopy-blocktime", "late-block-activate", "x-ignore-shared", "validate-uuid", "background-snapshot",
        "zero-copy-send", "postcopy-preempt"))),
    ("migrate_set_speed 1", "unknown command: 'migrate_set_speed'\r\n"),
    ("migrate_set_downtime 1", "unknown command: 'migrate_set_downtime'\r\n"),
    ("migrate_start_postcopy",
     "Error: Enable postcopy with migrate_set_capability before the start of migration\r\n"),
    ("migrate_pause", "Error: migrate-pause is currently only supported during postcopy-active state\r\n"),
    ("migrate_recover tcp:1", "Error: Migrate recover can only be run when postcopy is paused.\r\n"),
    ("migrate_incoming tcp:1:2", "Error: '-incoming' was not specified on the command line\r\n"),
    ("migrate_cancel", ""), ("migrate_continue foo", "Error: invalid parameter value: foo\r\n"),
    ("migrate_continue none", ""),
    ("migrate_continue pre-switchover", "Error: Migration not in expected state: none\r\n"),
    ("xp 0", "0000000000000000: 0x00000000\r\n"),
    ("xp /16xb 0x10", "0000000000000010: 0x00 0x00 0x00 0x00 0x00 0x00 0x00 0x00\r\n"
                      "0000000000000018: 0x00 0x00 0x00 0x00 0x00 0x00 0x00 0x00\r\n"),
    ("xp /3dg 8", "0000000000000008:                    0                    0\r\n"
                  "0000000000000018:                    0\r\n"),
    ("xp /2ub 0", "0000000000000000:   0   0\r\n"), ("xp /2ob 0", "0000000000000000:   0   0\r\n"),
    ("xp /2cb 0", "0000000000000000: '\\x00' '\\x00'\r\n"), ("xp/1xg 0", "0000000000000000: 0x0000000000000000\r\n"),
    ("xp /5xw 0x3ffff0", "00000000003ffff0: 0x00000000 0x00000000 0x00000000 0x00000000\r\n"
                         "0000000000400000: Cannot access memory\r\n"),
    ("xp /xw (0+8)*2", "0000000000000010: 0x00000000\r\n"), ("xp /0xb 0", ""),
    ("xp", usage("unexpected end of expression", "xp")),
    ("xp /zz 0", usage("invalid char in format: 'z'", "xp")),
    ("xp abc", usage("invalid char 'a' in expression", "xp")), ("xp $eip", usage("unknown register", "xp")),
    ("calc_dirty_rate 0", "Incorrect period length specified!\r\n"),
    ("calc_dirty_rate 61", "Error: calc-time is out of range[1, 60].\r\n"),
    ("calc_dirty_rate 1 1", "Error: sample-pages is out of range[128, 16384].\r\n"),
    ("info dirty_rate", "Status: unstarted\r\nStart Time: 0 (ms)\r\nSample Pages: 0 (per GB)\r\nPeriod: 0 (sec)\r\n"
                        "Mode: page-sampling\r\nDirty rate: (not ready)\r\n"),
    ("info vcpu_dirty_limit", "Dirty page limit not enabled!\r\n"),
    ("system_wakeup", "Error: wake-up from suspend is not supported by this guest\r\n"),
    ("system_powerdown", ""), ("system_reset", ""),
    ("migrate bogus", "Error: Parameter 'uri' expects a valid migration protocol\r\n"),
    ("migrate -r tcp:127.0.0.1:1", "Error: Cannot resume if there is no paused migration\r\n"),
    ("migrate tcp:127.0.0.1:1", "terminal does not allow synchronous migration, continuing detached\r\n"),
    ("quit x", usage("quit|q: extraneous characters at the end of line", "quit")),
)
OPTIONS = (*NONE, "-m", "4M", "-name", "guest", "-uuid", "00112233-4455-6677-8899-aabbccddeeff")


class HumanMonitor(unittest.TestCase):
    def compare(self, machine):
        for line, answer in ANSWERS:
            given = machine.qmp.human(line)
            if line == "info migrate_capabilities":
                given = given.removesuffix(NEWER_CAPABILITIES)
            self.assertEqual(given, answer, line)
        vm_process.until(lambda: "setup" not in machine.qmp.human("info migrate"), "the migration fails")
        self.assertEqual(machine.qmp.human("info migrate"), GLOBALS + (
            "Migration status: failed (Failed to connect to '127.0.0.1:1': Connection refused)\r\ntotal time: 0 ms\r\n"))
        self.assertEqual(machine.qmp.human("q"), "")
        self.assertEqual(machine.wait_exit(), 0)

    def test_answers(self):
        with Godwit(*OPTIONS, qtest=False) as machine:
            self.compare(machine)

    @unittest.skipUnless(QEMU, "SKIP: QEMU is not installed")
    def test_qemu_gives_the_same_answers(self):
        options = [option for option in OPTIONS if option not in ("-accel", "qtest")]
        with Vm(QEMU, *options, qtest=False) as machine:
            self.compare(machine)

    def test_memory(self):
        with Godwit(*NONE, "-m", "1M") as machine:
            machine.write(0, b"AZ az09~\x7f\x80\xff\n\r\t\x1b\0'\\\"\xfe\xca\x01\x02\x03\x04\x85\x86\x87\x88")
            for line, answer in (
                    ("xp /16cb 0", "0000000000000000: 'A' 'Z' ' ' 'a' 'z' '0' '9' '~'\r\n"
                                   "0000000000000008: '\\x7f' '\\x80' '\\xff' '\\n' '\\r' '\\x09' '\\x1b' '\\x00'\r\n"),
                    ("xp /3cb 0x10", "0000000000000010: '\\'' '\\\\' '\"'\r\n"),
                    ("xp /8db 8", "0000000000000008: 127 128 255  10  13   9  27   0\r\n"),
                    ("xp /8ob 8", "0000000000000008: 0177 0200 0377 012 015 011 033   0\r\n"),
                    ("xp /4uh 8", "0000000000000008: 32895  2815  2317    27\r\n"),
                    ("xp /4oh 8", "0000000000000008: 0100177  05377  04415    033\r\n"),
                    ("xp /4dw 0x10", "0000000000000010: 4263664679   50463178 2273740036        136\r\n"),
                    ("xp /4ow 8", "0000000000000008: 01277700177    06604415 037610456047  0300400712\r\n"),
                    ("xp /2dg 8", "0000000000000008:     7609775994929279   216737703425891367\r\n"),
                    ("xp /2og 8", "0000000000000008:    0330220641277700177  014020034537610456047\r\n"),
                    ("xp /2xg 8", "0000000000000008: 0x001b090d0aff807f 0x030201cafe225c27\r\n"),
                    # What is not said is as it was before.
                    ("xp /w 0", "0000000000000000: 0x61205a41\r\n"), ("xp /2b 0", "0000000000000000: 0x41 0x5a\r\n"),
                    ("xp 0", "0000000000000000: 0x41\r\n"),
                    ("xp /i 0", "Error: there is no disassembler: the formats are o, x, d, u and c\r\n")):
                self.assertEqual(machine.qmp.human(line), answer, line)

    def test_migration(self):
        with Godwit(*NONE, "-m", "1M", "-incoming", "defer", qtest=False) as destination, \
             Godwit(*NONE, "-m", "1M", qtest=False) as source:
            human = source.qmp.human
            uri = "unix:" + destination.path("mig")
            self.assertEqual(destination.qmp.human("info status"), "VM status: paused (inmigrate)\r\n")
            self.assertEqual(destination.qmp.human("migrate tcp:h:1"),
                             "Error: Guest is waiting for an incoming migration\r\n")
            self.assertEqual(destination.qmp.human("migrate_incoming " + uri), "")
            self.assertEqual(destination.qmp.human("info migrate"), GLOBALS + "socket address: [\r\n\t%s\r\n]\r\n" % uri)
            self.assertEqual(destination.qmp.human("migrate_incoming " + uri),
                             "Error: The incoming migration has already been started\r\n")
            human("migrate_set_capability events on")
            human("migrate_set_capability pause-before-switchover on")
            self.assertEqual(human("migrate -d " + uri), "")
            source.qmp.wait("pre-switchover")
            self.assertEqual(human("info status"), "VM status: paused (finish-migrate)\r\n")
            self.assertEqual(human("migrate -d " + uri), "Error: There's a migration process in progress\r\n")
            self.assertEqual(human("cont"), "Error: Migration is not finalized yet\r\n")
            self.assertRegex(human("info migrate"), r"Migration status: pre-switchover\r\ntotal time: \d+ ms\r\n"
                             r"expected downtime: 300 ms\r\nsetup: \d+ ms\r\ntransferred ram: \d+ kbytes\r\n")
            self.assertEqual(human("migrate_continue pre-switchover"), "")
            source.qmp.wait("completed")
            self.assertRegex(human("info migrate"), (
                r"Migration status: completed\r\ntotal time: \d+ ms\r\ndowntime: \d+ ms\r\nsetup: \d+ ms\r\n"
                r"transferred ram: \d+ kbytes\r\nthroughput: \d+\.\d\d mbps\r\nremaining ram: 0 kbytes\r\n"
                r"total ram: 1024 kbytes\r\nduplicate: 256 pages\r\nskipped: 0 pages\r\nnormal: 0 pages\r\n"
                r"normal bytes: 0 kbytes\r\ndirty sync count: \d\r\npage size: 4 kbytes\r\nmultifd bytes: 0 kbytes\r\n"
                r"pages-per-second: \d+\r\n(precopy ram: \d+ kbytes\r\n)?(downtime ram: \d+ kbytes\r\n)?$"))

    def test_dirty_rate(self):
        for mode, samples in (("", 512), ("-b ", 0)):
            with self.subTest(mode), Godwit(*NONE, "-m", "16M") as machine:
                self.assertEqual(machine.qmp.human("calc_dirty_rate %s1" % mode),
                                 "Starting dirty rate measurement with period 1 seconds\r\n"
                                 "[Please use 'info dirty_rate' to check results]\r\n")
                self.assertEqual(machine.qmp.command("query-dirty-rate")["status"], "measuring")
                self.assertEqual(machine.qmp.human("calc_dirty_rate 1"),
                                 "Error: the dirty rate is already being measured.\r\n")

                def measured():
                    machine.write(4096, os.urandom(4096))
                    return machine.qmp.command("query-dirty-rate")["status"] != "measuring"

                vm_process.until(measured, "the rate is measured")
                name = "page-sampling" if samples else "dirty-bitmap"
                self.assertRegex(machine.qmp.human("info dirty_rate"), (
                    r"^Status: measured\r\nStart Time: \d+ \(ms\)\r\nSample Pages: %d \(per GB\)\r\nPeriod: 1 \(sec\)\r\n"
                    r"Mode: %s\r\nDirty rate: \d+ \(MB/s\)\r\n$" % (samples, name)))


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")

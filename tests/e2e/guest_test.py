"""Real guests in the process, on every accelerator there is.

usage: guest_test.py BINARY [unittest arguments]
"""

import os
import signal
import socket
import sys
import tempfile
import time
import unittest

from vmm import Vm, has_kvm, witness_image

BINARY = None
NONE = ("-machine", "none", "-accel", "qtest")


def vm(*options, **how):
    return Vm(BINARY, *options, **how)

def accelerators():
    return ["kvm", "tcg"] if has_kvm() else ["tcg"]

class Guests(unittest.TestCase):
    def test_witness_runs_and_prints(self):
        for accelerator in accelerators():
            with self.subTest(accelerator), tempfile.TemporaryDirectory() as folder:
                image = os.path.join(folder, "disk")
                witness_image(image)
                with vm("-accel", accelerator, "-m", "64M", "-drive", "file=%s,format=raw" % image,
                        "-serial", "file:@DIR@/serial") as m:
                    self.assertTrue(os.path.exists(m.path("serial")))
                    iterations = lambda: int.from_bytes(m.qtest.read(0x9000, 8), "little")
                    while iterations() == 0:
                        self.assertIsNone(m.process.poll(), m.stderr())
                    while os.path.getsize(m.path("serial")) == 0:
                        self.assertIsNone(m.process.poll(), m.stderr())
                    cpus = m.qmp.command("query-cpus-fast")
                    self.assertEqual(len(cpus), 1)
                    self.assertTrue(os.path.isdir("/proc/%d/task/%d" % (m.process.pid, cpus[0]["thread-id"])))
                    self.assertEqual(m.qmp.command("query-kvm")["enabled"], accelerator == "kvm")
                    self.assertEqual(m.qmp.command("query-block")[0]["inserted"]["file"], image)
                    m.qmp.command("stop")
                    at_rest = iterations()
                    self.assertEqual(iterations(), at_rest)
                    m.qmp.command("cont")
                    while iterations() == at_rest:
                        self.assertIsNone(m.process.poll(), m.stderr())
                    m.qmp.command("system_reset")
                    self.assertEqual(m.quit(), 0)

    def test_split_form_of_the_disk_and_serial_on_a_socket(self):
        with tempfile.TemporaryDirectory() as folder:
            image = os.path.join(folder, "disk")
            witness_image(image)
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(os.path.join(folder, "com1"))
            listener.listen(1)
            with vm("-machine", "q35", "-m", "64M", "-drive", "if=none,id=d0,file=%s,format=raw" % image,
                    "-device", "ide-hd,drive=d0,secs=1,cyls=1,heads=1", "-chardev", "socket,id=c0,path=%s/com1" % folder,
                    "-device", "isa-serial,chardev=c0", *(["-accel", "kvm"] if has_kvm() else []), "-accel", "tcg") as m:
                com1 = listener.accept()[0]
                com1.settimeout(60)
                self.assertEqual(len(com1.recv(1)), 1)
                com1.close()
                self.assertEqual(m.quit(), 0)
            listener.close()

    def test_a_guest_that_resets_itself(self):
        code = bytes.fromhex("b006" "baf90c" "ee" "f4" "ebfd")  # mov al,6; mov dx,0xcf9; out dx,al; hlt; jmp to the hlt
        image = code + bytes(510 - len(code)) + b"\x55\xaa"
        for accelerator in accelerators():
            with self.subTest(accelerator), tempfile.NamedTemporaryFile() as disk:
                disk.write(image)
                disk.flush()
                options = ("-accel", accelerator, "-m", "16M", "-drive", "file=%s,format=raw" % disk.name, "-S")
                with vm(*options) as m:
                    m.qmp.command("cont")
                    self.assertEqual(m.qmp.event("RESET")["data"], {"guest": True, "reason": "guest-reset"})
                    self.assertEqual(m.qmp.event("RESET")["data"], {"guest": True, "reason": "guest-reset"})
                    self.assertEqual(m.qmp.command("query-status")["status"], "running")
                    self.assertEqual(m.quit(), 0)
                with vm(*options, "-no-reboot") as m:
                    m.qmp.command("cont")
                    self.assertEqual(m.qmp.event("SHUTDOWN")["data"], {"guest": True, "reason": "guest-reset"})
                    self.assertEqual(m.wait(), 0)

    def test_signals_end_a_running_guest(self):
        for accelerator in accelerators():
            with self.subTest(accelerator), tempfile.TemporaryDirectory() as folder:
                image = os.path.join(folder, "disk")
                witness_image(image)
                with vm("-accel", accelerator, "-m", "64M", "-drive", "file=%s,format=raw" % image) as m:
                    while m.qtest.read(0x9000, 8) == bytes(8):
                        self.assertIsNone(m.process.poll(), m.stderr())
                    began = time.monotonic()
                    m.signal(signal.SIGTERM)
                    self.assertEqual(m.wait(), 0)
                    self.assertLess(time.monotonic() - began, 1.0)


class Incoming(unittest.TestCase):
    def test_listens_before_the_monitor_answers(self):
        with vm(*NONE, "-incoming", "tcp:127.0.0.1:0") as m:
            address = m.qmp.command("query-migrate")["socket-address"][0]
            self.assertEqual(address["host"], "127.0.0.1")
            socket.create_connection((address["host"], int(address["port"]))).close()

    def test_a_guest_moves_from_one_process_to_another(self):
        with tempfile.TemporaryDirectory() as folder:
            image = os.path.join(folder, "disk")
            witness_image(image)
            accelerator = "kvm" if has_kvm() else "tcg"
            options = ("-accel", accelerator, "-m", "64M", "-drive", "file=%s,format=raw" % image)
            with vm(*options) as source, vm(*options, "-incoming", "unix:@DIR@/mig") as target:
                while int.from_bytes(source.qtest.read(0x9010, 8), "little") < 2:  # passes over the hot set
                    self.assertIsNone(source.process.poll(), source.stderr())
                mismatches = source.qtest.read(0x9028, 4)  # its first pass over untouched memory counts, too
                source.qmp.command("migrate", uri="unix:" + target.path("mig"))
                target.qmp.event("RESUME")
                source.qmp.event("STOP")
                while source.qmp.command("query-migrate")["status"] != "completed":
                    self.assertNotEqual(source.qmp.command("query-migrate")["status"], "failed")
                self.assertEqual(source.qmp.command("query-status")["status"], "postmigrate")
                self.assertEqual(target.qmp.command("query-status")["status"], "running")
                before = target.qtest.read(0x9000, 8)
                while target.qtest.read(0x9000, 8) == before:
                    self.assertIsNone(target.process.poll(), target.stderr())
                self.assertEqual(target.qtest.read(0x9028, 4), mismatches, "words were lost")
                self.assertEqual(source.quit(), 0)
                self.assertEqual(target.quit(), 0)


if __name__ == "__main__":
    BINARY = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)

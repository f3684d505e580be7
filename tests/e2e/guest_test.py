"""Real guests in the process, on every accelerator there is."""

import os
import signal
import socket
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import witness
from vm_process import NONE, Godwit, accelerators


class Guests(unittest.TestCase):
    def test_witness_runs_and_prints(self):
        for accelerator in accelerators():
            with self.subTest(accelerator), tempfile.TemporaryDirectory() as folder:
                image = os.path.join(folder, "disk")
                witness.image(image, 4, 1)
                with Godwit("-accel", accelerator, "-m", "64M", "-drive", "file=%s,format=raw" % image,
                        "-serial", "file:@DIR@/serial") as m:
                    self.assertTrue(os.path.exists(m.path("serial")))
                    iterations = lambda: int.from_bytes(m.read(0x9000, 8), "little")
                    m.until(lambda: iterations() > 0, "the guest runs")
                    m.until(lambda: os.path.getsize(m.path("serial")) > 0, "the guest prints")
                    cpus = m.qmp.command("query-cpus-fast")
                    self.assertEqual(len(cpus), 1)
                    self.assertTrue(os.path.isdir("/proc/%d/task/%d" % (m.process.pid, cpus[0]["thread-id"])))
                    self.assertEqual(m.qmp.command("query-kvm")["enabled"], accelerator == "kvm")
                    self.assertEqual(m.qmp.command("query-block")[0]["inserted"]["file"], image)
                    m.qmp.command("stop")
                    at_rest = iterations()
                    self.assertEqual(iterations(), at_rest)
                    m.qmp.command("cont")
                    m.until(lambda: iterations() > at_rest, "the guest goes on")
                    m.qmp.command("system_reset")
                    self.assertEqual(m.quit(), 0)

    def test_split_form_of_the_disk_and_serial_on_a_socket(self):
        with tempfile.TemporaryDirectory() as folder:
            image = os.path.join(folder, "disk")
            witness.image(image, 4, 1)
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(os.path.join(folder, "com1"))
            listener.listen(1)
            with Godwit("-machine", "q35", "-m", "64M", "-drive", "if=none,id=d0,file=%s,format=raw" % image,
                    "-device", "ide-hd,drive=d0,secs=1,cyls=1,heads=1",
                    "-chardev", "socket,id=c0,path=%s/com1" % folder,
                    "-device", "isa-serial,chardev=c0", "-accel", "kvm", "-accel", "tcg") as m:
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
                with Godwit(*options) as m:
                    m.qmp.command("cont")
                    self.assertEqual(m.qmp.wait("RESET")["data"], {"guest": True, "reason": "guest-reset"})
                    m.qmp.events.clear()
                    m.qmp.wait("RESET")  # it ran again, up to the same point
                    self.assertEqual(m.qmp.command("query-status")["status"], "running")
                    self.assertEqual(m.quit(), 0)
                with Godwit(*options, "-no-reboot") as m:
                    m.qmp.command("cont")
                    self.assertEqual(m.qmp.wait("SHUTDOWN")["data"], {"guest": True, "reason": "guest-reset"})
                    self.assertEqual(m.wait_exit(), 0)

    def test_signals_end_a_running_guest(self):
        for accelerator in accelerators():
            with self.subTest(accelerator), tempfile.TemporaryDirectory() as folder:
                image = os.path.join(folder, "disk")
                witness.image(image, 4, 1)
                with Godwit("-accel", accelerator, "-m", "64M", "-drive", "file=%s,format=raw" % image) as m:
                    m.until(lambda: m.read(0x9000, 8) != bytes(8), "the guest runs")
                    began = time.monotonic()
                    m.process.send_signal(signal.SIGTERM)
                    self.assertEqual(m.wait_exit(), 0)
                    self.assertLess(time.monotonic() - began, 1.0)


class Incoming(unittest.TestCase):
    def test_listens_before_the_monitor_answers(self):
        with Godwit(*NONE, "-incoming", "tcp:127.0.0.1:0") as m:
            address = m.qmp.command("query-migrate")["socket-address"][0]
            self.assertEqual(address["host"], "127.0.0.1")
            socket.create_connection((address["host"], int(address["port"]))).close()


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")

"""How fast qtest answers: many round trips, one byte each."""

import os
import socket
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from vm_process import NONE, Failure, Godwit as Vm, accelerators
import witness

ROUND_TRIPS = 25000
GOAL_S = 2.0
ATTEMPTS = 4
REQUESTS = ("read 0x9000 0x1", "readb 0x9000")


def in_a_process(work):
    """What `work` returns, a float; apart from this process and its threads, which would share the time."""
    here, there = socket.socketpair()
    child = os.fork()
    if child == 0:
        try:
            there.sendall(repr(work()).encode())
        finally:
            os._exit(0)
    there.close()
    with here:
        text = here.recv(100)
    os.waitpid(child, 0)
    if not text:
        raise Failure("the connection was closed, or the answer was not the same each time")
    return float(text)


def round_trips(connection, request):
    """Seconds for ROUND_TRIPS of them."""
    line, answer_start = request.encode() + b"\n", b"OK 0x"
    began = time.monotonic()
    for _ in range(ROUND_TRIPS):
        connection.sendall(line)
        answer = connection.recv(100)
        while not answer.endswith(b"\n"):
            more = connection.recv(100)
            if not more:
                raise OSError("closed")
            answer += more
        if not answer.startswith(answer_start):
            raise OSError(answer)
    return time.monotonic() - began


def baseline():
    """The same with a partner that does nothing but answer."""
    here, there = socket.socketpair()
    child = os.fork()
    if child == 0:
        here.close()
        while there.recv(100):
            there.sendall(b"OK 0x00\n")
        os._exit(0)
    there.close()
    with here:
        taken = in_a_process(lambda: round_trips(here, REQUESTS[0]))
    os.waitpid(child, 0)
    return taken


class Latency(unittest.TestCase):
    def check(self, machine, what):
        machine.qtest.settimeout(60)
        for request in REQUESTS:
            seen = []
            for _ in range(ATTEMPTS):
                bare = baseline()
                seen.append((in_a_process(lambda: round_trips(machine.qtest, request)), bare))
                # A busy machine makes both slow.
                if seen[-1][0] < max(GOAL_S, 10 * bare):
                    break
            else:
                self.fail("%s, %r: %d round trips took (bare ones took) s: %s" % (what, request, ROUND_TRIPS, seen))
            print("  %s, %r: %.2f s, bare %.2f s" % (what, request, *seen[-1]))

    def test_without_a_guest(self):
        with Vm(*NONE, "-m", "16M") as m:
            self.check(m, "none")

    def test_with_a_guest(self):
        for accelerator in accelerators():
            with self.subTest(accelerator), tempfile.TemporaryDirectory() as folder:
                image = os.path.join(folder, "disk")
                witness.image(image, 4, 1)
                with Vm("-accel", accelerator, "-m", "64M", "-drive", "file=%s,format=raw" % image, "-S") as m:
                    self.check(m, accelerator + ", stopped")
                    m.qmp.command("cont")
                    m.until(lambda: m.read(witness.INFO, 8) != bytes(8), "the guest runs")
                    self.check(m, accelerator + ", running")


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")

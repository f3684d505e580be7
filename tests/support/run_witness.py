"""An independent witness that a guest never runs on two sides: it asks the guest itself, and believes no process.

The guest (`boot_sector`) copies a word from one page of its memory to another for ever. The witness shares the memory
of each side, keeps a challenge of its own in each, and looks for the copy. A copy of a challenge can only have been
made by a guest that ran on that side after the challenge was written there: a migration brings copies of what the
other side was asked, and nothing else. The page of challenges is not written by the guest, so that it is sent once
and never again; a side is asked once that page has arrived.
"""
import os
import struct
import threading

import vm_process as vmm

ASKED, ANSWERED = 0x30000, 0x31000  # tests/data/microvm/payload.S has them too
MARK = b"WITNESS!"  # beside the challenge: this page has arrived
ROUND_S = 0.001     # a second run that is shorter than two rounds is not noticed
PAGES = {ASKED // 4096, ANSWERED // 4096}

# cli; ds = 0x3000; then for ever: eax = [ASKED]; [ANSWERED] = eax
LOOP = bytes.fromhex("fa b80030 8ed8  66a10000  66a30010  ebf6")


def boot_sector(path):
    with open(path, "wb") as f:
        f.write(LOOP.ljust(510, b"\0") + b"\x55\xaa")
    return path


class Side:
    def __init__(self, name, number, memory):
        self.name, self.number, self.memory = name, number, memory
        self.asked, self.answers, self.has_left = 0, 0, False

    def ask(self, count):
        """A challenge that nobody was asked before, here or elsewhere."""
        self.asked = self.number << 24 | count

    def look(self):
        """True if the guest has answered since the last look."""
        word, mark = struct.unpack("<I4x8s", os.pread(self.memory, 16, ASKED))
        if mark != MARK:
            return False
        if word != self.asked:
            os.pwrite(self.memory, struct.pack("<I", self.asked), ASKED)
            return False
        return os.pread(self.memory, 4, ANSWERED) == struct.pack("<I", word)


class RunWitness:
    """Looks on from its start to its end."""

    def __init__(self):
        self.sides, self.violations, self.added, self.count = {}, [], 0, 0
        self.here = None  # the side that answered last
        self.changed, self.ending = threading.Condition(), threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def start(self):
        self.thread.start()
        return self

    def stop(self):
        self.ending.set()
        self.thread.join()
        while self.sides:
            os.close(self.sides.popitem()[1].memory)

    def add(self, name, path, begins_here=False):
        """`path`: the file that is the side's memory, shared. Without `begins_here` the guest has to come by migration."""
        self.added += 1
        side = Side(name, self.added, os.open(path, os.O_RDWR))
        if begins_here:
            os.pwrite(side.memory, struct.pack("<I4x8s", 0, MARK), ASKED)
        with self.changed:
            self._ask(side)
            self.sides[name] = side

    def may_return(self, name):
        """An operator lets the guest run there again, because no other side can run it any more."""
        with self.changed:
            self.sides[name].has_left = False
            self._ask(self.sides[name])

    def forget(self, name):
        """Its process has ended."""
        with self.changed:
            os.close(self.sides.pop(name).memory)

    def expect_running(self, name, timeout=vmm.DEADLINE_S):
        """Waits until the guest there has answered a challenge that is newer than this call."""
        side = self.sides[name]
        with self.changed:
            wanted = side.answers + 2  # the first may be to a challenge from before
            if not self.changed.wait_for(lambda: side.answers >= wanted, timeout):
                raise vmm.Failure("the guest at the %s has not answered for %g s" % (name, timeout))

    def has_run(self, name):
        with self.changed:
            return self.sides[name].answers > 0

    def _ask(self, side):
        self.count += 1
        side.ask(self.count)

    def _run(self):
        while not self.ending.wait(ROUND_S):
            with self.changed:
                for side in list(self.sides.values()):
                    if side.look():
                        self._answered(side)
                        self.changed.notify_all()

    def _answered(self, side):
        side.answers += 1
        if side.has_left:
            self.violations.append("the guest runs at the %s after it has run at the %s" % (side.name, self.here.name))
        elif side is not self.here:
            if self.here:
                self.here.has_left = True
                self._ask(self.here)  # what it was asked before, it may have answered before
            self.here = side
        self._ask(side)

"""A wire between two processes that goes wrong where a test says: at a named step of the stream, or at a byte.

Carries unix and tcp connections, any number at a time, in a thread of this process.
"""
import os
import select
import selectors
import socket
import threading

from migration_stream import ToDestination, ToSource

FAULTS = ("cut", "stall", "delay", "truncate", "duplicate", "half-open")


class Fault:
    """`kind` happens on connection `channel` in `direction` at the first place called `step`, `plus` bytes behind it. A
    step that is a number is a byte of the connection; with channel None it is counted over all connections, from when
    the fault was planned, and a cut breaks them all."""

    def __init__(self, kind, step, direction="to destination", channel=0, plus=0, occurrence=1):
        assert kind in FAULTS, kind
        self.kind, self.step, self.direction = kind, step, direction
        self.channel, self.plus, self.occurrence, self.counted_from = channel, plus, occurrence, 0

    def place(self, way, carried, marks):
        """The offset in the connection, once it is known."""
        if self.channel not in (None, way.channel) or self.direction != way.direction:
            return None
        if isinstance(self.step, int):
            return self.step if self.channel is not None else self.step + self.counted_from - carried + way.passed
        seen = [at for name, at in marks if name == self.step]
        return seen[self.occurrence - 1] + self.plus if len(seen) >= self.occurrence else None


class Way:
    """One direction of one connection."""

    def __init__(self, direction, channel, follower):
        self.direction, self.channel, self.follower = direction, channel, follower
        self.passed, self.recent, self.held = 0, b"", b""
        self.swallows = self.stalled = False


def dial(address):
    family, where = address
    connection = socket.socket(family)
    connection.connect(where)
    return connection


def unix(path):
    return socket.AF_UNIX, path


def tcp(port):
    return socket.AF_INET, ("127.0.0.1", port)


class Proxy:
    def __init__(self, listen, target, faults=(), opaque=False):
        """`listen`, `target`: from unix() or tcp(); port 0 is any. `target` may be set anew for connections to come.
        `opaque`: the bytes are encrypted."""
        self.target, self.faults, self.opaque = target, list(faults), opaque
        self.listener = socket.socket(listen[0])
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(listen[1])
        self.listener.listen(64)
        self.happened = threading.Event()  # the first fault
        self.connections = 0  # since there was none
        self.carried = dict.fromkeys(("to destination", "to source"), 0)
        self.ends = {}  # socket -> (other socket, Way of what is read from it)
        self.wake_in, self.wake_out = os.pipe()
        self.orders, self.lock = [], threading.Lock()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    @property
    def port(self):
        return self.listener.getsockname()[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._order("end")
        self.thread.join()
        if self.listener.family == socket.AF_UNIX:
            os.unlink(self.listener.getsockname())
        self.listener.close()
        os.close(self.wake_in), os.close(self.wake_out)

    def cut(self):
        """Breaks all connections, those that wait to be accepted too: they belong to what is cut."""
        self._order("cut")

    def plan(self, fault):
        """Instead of what was planned before."""
        self._order(fault)

    def release(self):
        """Ends stalls; the faults are over, too."""
        self._order("release")

    def _order(self, what):
        done = threading.Event()
        with self.lock:
            self.orders.append((what, done))
        os.write(self.wake_out, b"x")
        if not done.wait(30):
            raise AssertionError("the proxy hangs")

    def _run(self):
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.wake_in, selectors.EVENT_READ)
        self.selector.register(self.listener, selectors.EVENT_READ)
        while True:
            for key, _ in self.selector.select():
                if key.fileobj == self.wake_in:
                    os.read(self.wake_in, 1)
                    if not self._obey():
                        return
                elif key.fileobj is self.listener:
                    self._connect()
                elif key.fileobj in self.ends:
                    self._carry(key.fileobj)

    def _obey(self):
        with self.lock:
            orders, self.orders = self.orders, []
        goes_on = True
        for what, done in orders:
            if isinstance(what, Fault):
                what.counted_from, self.faults = self.carried[what.direction], [what]
            elif what == "release":
                self.faults = []
                for end, (other, way) in list(self.ends.items()):
                    if way.stalled:
                        way.stalled = False
                        self.selector.register(end, selectors.EVENT_READ)
                        self._pass(end, other, way, way.held)
            else:
                self._drop_all()
                goes_on = goes_on and what != "end"
            done.set()
        return goes_on

    def _connect(self):
        source, _ = self.listener.accept()
        try:
            target = dial(self.target)
        except OSError:
            source.close()
            return
        channel = self.connections = self.connections + 1 if self.ends else 0
        follows = not self.opaque and channel == 0
        self.ends[source] = target, Way("to destination", channel, ToDestination() if follows else None)
        self.ends[target] = source, Way("to source", channel, ToSource() if follows else None)
        for end in (source, target):
            # One thread carries all: it must never wait for a reader.
            end.setsockopt(socket.SOL_SOCKET, 32, 32 << 20)  # SO_SNDBUFFORCE
            self.selector.register(end, selectors.EVENT_READ)

    def _carry(self, end):
        other, way = self.ends[end]
        try:
            data = end.recv(1 << 16)
        except OSError:
            return self._drop(end)
        if not data:
            if not way.swallows:
                self._drop(end)  # an end of one direction ends both: what follows it on this wire is nothing
            else:
                self.selector.unregister(end)
            return
        if way.follower:
            way.follower.feed(data)
        marks = way.follower.marks if way.follower else ()
        while data:
            due = [(at, f) for f in self.faults for at in [f.place(way, self.carried[way.direction], marks)]
                   if at is not None and at < way.passed + len(data) and at >= way.passed]
            if not due:
                return self._pass(end, other, way, data)
            at, fault = min(due, key=lambda d: d[0])
            before = at - way.passed
            if not self._pass(end, other, way, data[:before]):
                return
            data = data[before:]
            self.faults.remove(fault)
            data = self._happen(fault, end, other, way, data)

    def _pass(self, end, other, way, data):
        way.passed += len(data)
        self.carried[way.direction] += len(data)
        way.recent = (way.recent + data)[-256:]
        if way.swallows:
            return True
        try:
            other.sendall(data)
        except OSError:
            self._drop(end)
            return False
        return True

    def _happen(self, fault, end, other, way, data):
        """What is left to carry of `data`."""
        if fault.kind == "cut":
            if fault.channel is None:
                self._drop_all()
            self._drop(end)
            data = b""
        elif fault.kind == "stall":
            way.stalled = True
            self.selector.unregister(end)
            way.held, data = data, b""
        elif fault.kind == "delay":
            threading.Event().wait(0.3)
        elif fault.kind == "truncate":
            other.shutdown(socket.SHUT_WR)
            way.swallows = True
        elif fault.kind == "duplicate":
            self._pass(end, other, way, way.recent[-64:])
        elif fault.kind == "half-open":
            for e in (end, other):
                self.ends[e][1].swallows = True
        self.happened.set()
        return data

    def _drop_all(self):
        while select.select([self.listener], [], [], 0)[0]:
            self.listener.accept()[0].close()
        for end in list(self.ends):
            self._drop(end)

    def _drop(self, end):
        if end not in self.ends:
            return
        other, _ = self.ends.pop(end)
        self.ends.pop(other, None)
        for s in (end, other):
            try:
                self.selector.unregister(s)
            except (KeyError, ValueError):
                pass
            s.close()

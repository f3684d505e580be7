"""A wire that can be cut: forwards connections from one unix socket to another, in this process."""
import os
import select
import selectors
import socket
import threading


class Cut:
    """Where it will break: after `count` bytes more, of all connections; or so many from where `pattern` starts, on the
    first one."""

    def __init__(self, count, pattern):
        self.count, self.pattern, self.tail, self.done = count, pattern, b"", False

    def admit(self, data, is_first):
        """How much of `data` still gets through."""
        limit = self.count
        if self.pattern:
            if not is_first:
                return len(data)
            joined = self.tail + data
            found = joined.find(self.pattern)
            if found < 0:
                self.tail = joined[len(joined) - min(len(joined), len(self.pattern) - 1):]
                return len(data)
            limit += found - len(self.tail)
            self.pattern = b""
        self.count = limit - len(data)
        self.done = self.count <= 0
        return len(data) if not self.done else max(0, limit)


class Wire:
    """Any number of connections at a time. `cut()` breaks all there are; `stall()` lets nothing through and tells nobody."""

    def __init__(self, path, target):
        self.path, self.target = path, target
        self.listener = socket.socket(socket.AF_UNIX)
        if os.path.exists(path):
            os.unlink(path)
        self.listener.bind(path)
        self.listener.listen(8)
        self.wake_in, self.wake_out = os.pipe()
        self.orders, self.lock = [], threading.Lock()
        self.pairs, self.stalled = {}, False
        self.sources, self.first = set(), None  # the ends of who connected, and the one that was first
        self.planned = {}
        self.carried = 0
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._order("end")
        self.thread.join()
        self.listener.close()

    def _order(self, what):
        done = threading.Event()
        with self.lock:
            self.orders.append((what, done))
        os.write(self.wake_out, b"x")
        done.wait(30)

    def cut(self):
        self._order("cut")

    def cut_in(self, way, count, pattern=b""):
        """Breaks all there are when so much was `sent`, or `answered`, from now on."""
        with self.lock:
            self.planned = {way: Cut(count, pattern)}

    def stall(self):
        self._order("stall")

    def release(self):
        self._order("release")

    def _run(self):
        selector = selectors.DefaultSelector()
        selector.register(self.wake_in, selectors.EVENT_READ)
        selector.register(self.listener, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj == self.wake_in:
                    os.read(self.wake_in, 1)
                    if not self._obey(selector):
                        return
                elif key.fileobj is self.listener:
                    self._connect(selector)
                elif key.fileobj in self.pairs:
                    self._carry(selector, key.fileobj)

    def _obey(self, selector):
        with self.lock:
            orders, self.orders = self.orders, []
        going_on = True
        for what, done in orders:
            if what in ("cut", "end"):
                self._drop_all(selector)
                going_on = going_on and what != "end"
            elif what == "stall":
                self.stalled = True
                for end in self.pairs:
                    selector.unregister(end)
            elif what == "release" and self.stalled:
                self.stalled = False
                for end in self.pairs:
                    selector.register(end, selectors.EVENT_READ)
            done.set()
        return going_on

    def _connect(self, selector):
        source, _ = self.listener.accept()
        target = socket.socket(socket.AF_UNIX)
        try:
            target.connect(self.target)
        except OSError:
            source.close()
            return
        if not self.pairs:
            self.first = source
        self.sources.add(source)
        self.pairs[source], self.pairs[target] = target, source
        if not self.stalled:
            selector.register(source, selectors.EVENT_READ)
            selector.register(target, selectors.EVENT_READ)

    def _carry(self, selector, end):
        try:
            data = end.recv(1 << 16)
            if data:
                with self.lock:
                    cut = self.planned.get("sent" if end in self.sources else "answered")
                passed = cut.admit(data, end in (self.first, self.pairs.get(self.first))) if cut else len(data)
                self.pairs[end].sendall(data[:passed])
                self.carried += passed
                if cut and cut.done:
                    with self.lock:
                        self.planned = {}
                    self._drop_all(selector)
                return
        except OSError:
            pass
        self._drop(selector, end)

    def _drop_all(self, selector):
        """With those that wait to be accepted: they belong to what is cut."""
        while select.select([self.listener], [], [], 0)[0]:
            self.listener.accept()[0].close()
        for end in list(self.pairs):
            self._drop(selector, end)

    def _drop(self, selector, end):
        if end not in self.pairs:
            return
        other = self.pairs.pop(end)
        self.sources -= {end, other}
        self.pairs.pop(other, None)
        for s in (end, other):
            try:
                selector.unregister(s)
            except (KeyError, ValueError):
                pass
            s.close()

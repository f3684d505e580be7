"""Follows a migration stream as it passes, and names the places in it.

A follower is fed with bytes in pieces of any size and appends (name, offset) to `marks`. An offset may lie ahead of
what it has seen. Bytes that it does not understand end its work (`lost` says why); they pass all the same.
"""
import struct

PAGE = 4096
RAM_ID = 2


class Follower:
    def __init__(self):
        self.marks, self.offset, self.buffer, self.lost = [], 0, b"", None
        self.steps = self.follow()
        self.need = next(self.steps)

    def feed(self, data):
        if self.lost:
            return
        self.buffer += data
        at = 0
        try:
            while len(self.buffer) - at >= self.need:
                taken = self.buffer[at:at + self.need]
                at += self.need
                self.offset += self.need
                self.need = self.steps.send(taken)
        except StopIteration:
            self.lost = "the stream is at its end"
        except ValueError as error:
            self.lost = str(error)
        self.buffer = self.buffer[at:]

    def mark(self, name, offset=None):
        self.marks.append((name, self.offset if offset is None else offset))

    def follow(self):
        raise NotImplementedError


class ToDestination(Follower):
    """header, configuration, ping, block list, pages, last pages, device, eof, description; in postcopy: discard,
    package, package end (its last byte), run, background, end of stream; on a new connection: resume."""

    def follow(self):
        self.mark("header")
        first = yield 1
        if first == b"Q":
            yield 7
            self.mark("configuration")
            yield from self.configuration()
            type_ = yield 1
        else:
            type_ = first  # a connection that is taken up again begins with commands
        while True:
            more = yield from self.record(type_[0])
            if not more:
                return
            type_ = yield 1

    def configuration(self):
        if (yield 1) != b"\x07":
            raise ValueError("no configuration")
        yield struct.unpack(">I", (yield 4))[0]

    def record(self, kind):
        at = self.offset - 1
        if kind == 0x08:
            return (yield from self.command(at))
        if kind == 0x01:
            self.mark("block list", at)
            yield 4
            yield (yield 1)[0]
            yield 8
            yield from self.block_list()
        elif kind in (0x02, 0x03):
            self.mark("pages" if kind == 0x02 else "last pages", at)
            yield 4
            yield from self.pages()
        elif kind == 0x04:
            self.mark("device", at)
            yield from self.device()
            return True
        elif kind == 0x00:
            self.mark("eof", at)
            self.mark("behind eof")
            yield 1
            self.mark("description", self.offset - 1)
            yield 1 << 40
        else:
            raise ValueError("record type 0x%02x at 0x%x" % (kind, at))
        if (yield 5)[:1] != b"\x7e":
            raise ValueError("no footer before 0x%x" % self.offset)
        return True

    def command(self, at):
        number, length = struct.unpack(">HH", (yield 4))
        payload = (yield length) if length else b""
        name = {1: "return path", 2: "ping", 3: "advise", 4: "listen", 5: "run", 6: "discard", 7: "package", 8: "resume",
                10: "bitmap request"}.get(number, "command %d" % number)
        self.mark(name, at)
        if number == 7:
            size = struct.unpack(">I", payload)[0]
            self.mark("package end", self.offset + size - 1)
            self.mark("background", self.offset + size)
            yield size
        return True

    def block_list(self):
        total = struct.unpack(">Q", (yield 8))[0] & ~(PAGE - 1)
        while total > 0:
            yield (yield 1)[0]
            total -= struct.unpack(">Q", (yield 8))[0]
        # With postcopy a page size follows each block that is larger than 4 KiB; none is here.
        if struct.unpack(">Q", (yield 8))[0] != 0x10:
            raise ValueError("no end of the block list before 0x%x" % self.offset)

    def pages(self):
        first = True
        while True:
            flags = struct.unpack(">Q", (yield 8))[0] & (PAGE - 1)
            if flags == 0x10:
                return
            if not flags & 0x20:
                yield (yield 1)[0]
            if flags & 0x08:
                if first:
                    self.mark("mid page", self.offset + 100)
                first = False
                yield PAGE
            elif flags & 0x02:
                yield 1
            elif flags & 0x40:
                yield struct.unpack(">BH", (yield 3))[1]
            else:
                raise ValueError("page flags 0x%x before 0x%x" % (flags, self.offset))

    def device(self):
        """Its length is not in the stream: it ends with a footer that has its number."""
        number = yield 4
        seen = b""
        while not seen.endswith(b"\x7e" + number):
            seen = (seen + (yield 1))[-5:]


class ToSource(Follower):
    """pong, verdict, page request, bitmap, acknowledged; `first ...` of each kind."""

    NAMES = {1: "verdict", 2: "pong", 3: "page request", 4: "page request", 5: "bitmap", 6: "acknowledged"}

    def follow(self):
        pongs = 0
        while True:
            at = self.offset
            kind, length = struct.unpack(">HH", (yield 4))
            payload = (yield length) if length else b""
            if kind not in self.NAMES:
                raise ValueError("message %d at 0x%x" % (kind, at))
            self.mark(self.NAMES[kind], at)
            if kind == 2:
                pongs += 1
                self.mark({0x676F6477: "last sign", 0x62747763: "package arrived", 2: "pong 2", 3: "pong 3"}.get(
                    struct.unpack(">I", payload)[0], "another pong"), at)
            if kind == 5:
                yield struct.unpack(">Q", (yield 8))[0] + 8

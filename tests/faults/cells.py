"""The cells of the fault matrix: what goes wrong where, and what must hold then."""
import dataclasses
import random

S = "source runs it"
N = "nobody; the source has it whole, and an operator decides"
D = "destination runs it"
LOST = "lost with the side that ran it"

STEPS = {
    # name: (direction, bytes behind the place's start)
    "header": ("to destination", 4),
    "configuration": ("to destination", 5),
    "block list": ("to destination", 20),
    "mid page": ("to destination", 0),
    "last pages": ("to destination", 3),
    "device": ("to destination", 12),
    "last sign": ("to source", 0),
    "eof": ("to destination", 0),
    "behind eof": ("to destination", 0),
    "verdict": ("to source", 0),
    "discard": ("to destination", 12),
    "pong 2": ("to source", 4),
    "package": ("to destination", 40),
    "package arrived": ("to source", 0),
    "package end": ("to destination", 0),
    "background": ("to destination", 0),
    "pong 3": ("to source", 0),
    "pages on their way": ("to destination", 300_000),  # behind `background`
    "handshake": ("to destination", 100),
    "encrypted pages": ("to destination", 600_000),
    "data channel": ("to destination", 50_000),
}
EARLY = ("header", "configuration", "block list", "mid page", "handshake", "encrypted pages", "data channel")
OURS = EARLY + ("last pages", "device", "last sign", "discard", "pong 2", "package", "package arrived")
BYTE = {"precopy": "eof", "answered": "eof", "postcopy": "package end"}

FAULTS = ("cut", "stall", "delay", "truncate", "duplicate", "half-open", "kill source", "kill destination",
          "stop source", "stop destination")
# Those of them that the wire does not do itself: it stops at the step, and then it happens.
OF_PROCESSES = FAULTS[6:]


@dataclasses.dataclass(frozen=True)
class Cell:
    scenario: str   # precopy, answered (precopy with return path), postcopy
    transport: str  # unix, tcp
    tls: bool
    lane: str       # plain, multifd, xbzrle
    fault: str
    step: str

    def __str__(self):
        return "%-8s %-4s %-3s %-7s %-16s %s" % (self.scenario, self.transport, "tls" if self.tls else "-", self.lane,
                                                self.fault, self.step)

    def expected(self):
        """The sets of what may be left behind: who runs the guest."""
        ours = self.step in OURS
        if self.scenario == "postcopy" and self.step == "encrypted pages":
            ours = False
        byte = BYTE[self.scenario] == self.step
        if self.fault in ("delay", "stop source"):
            return {D}
        if self.fault == "stop destination":
            return {S, N, D} if ours or byte else {D}  # it may go on before anybody has lost patience, or cancelled
        if self.fault == "kill source":
            if ours or byte:
                return {LOST}
            return {D}
        if self.fault == "kill destination":
            if self.scenario == "precopy" and self.step not in EARLY:
                return {S, N, LOST}
            return {S} if ours else {N} if byte else {LOST}
        if self.fault == "duplicate":
            return {S, N, D} if ours or byte else {D}
        if self.scenario == "precopy":
            # Nobody answers: what fits into the buffers of the sockets is sent, and out of the source's hands.
            if self.step in EARLY:
                # With multifd the main channel carries next to nothing, and all of it may be on its way.
                return {S, N} if self.fault == "half-open" or self.lane == "multifd" else {S}
            return {D} if self.step == "behind eof" else {S, N}
        if ours:
            return {S}
        if byte:
            # A destination that sees an end says on the way back that it does not run the guest.
            return {S, N} if self.fault == "truncate" else {N}
        return {D}


def all_cells():
    cells = []
    steps = {
        "precopy": ("header", "configuration", "block list", "mid page", "last pages", "device", "eof", "behind eof"),
        "answered": ("header", "configuration", "block list", "mid page", "last pages", "device", "last sign", "eof",
                     "behind eof", "verdict"),
        "postcopy": ("header", "configuration", "block list", "discard", "pong 2", "package", "package arrived",
                     "package end", "background", "pong 3", "pages on their way", "verdict"),
    }
    for transport in ("unix", "tcp"):
        for scenario, places in steps.items():
            for fault in FAULTS:
                for step in places:
                    cells.append(Cell(scenario, transport, False, "plain", fault, step))
        for scenario in steps:
            for fault in FAULTS:
                for step in ("handshake", "encrypted pages"):
                    cells.append(Cell(scenario, transport, True, "plain", fault, step))
        for lane in ("multifd", "xbzrle"):
            for scenario in ("precopy", "answered"):
                for fault in FAULTS:
                    for step in ("block list", "mid page") if lane == "xbzrle" else ("block list", "data channel"):
                        cells.append(Cell(scenario, transport, False, lane, fault, step))
    return cells


def short_cells():
    """Each fault and each step at least once in every scenario, the rest left to the long part."""
    cells = [c for c in all_cells() if c.transport == "unix" and not c.tls and c.lane == "plain"]
    chosen = [c for c in cells if c.fault == "cut" or (c.step in ("mid page", "package", "eof", "verdict", "background")
                                                       and c.fault in ("truncate", "half-open", "kill destination"))]
    rest = [c for c in all_cells() if c not in chosen]
    random.Random(7).shuffle(rest)
    return chosen + rest[:40]

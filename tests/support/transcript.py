"""Replays a recorded conversation with QEMU 7.2 (tests/data/qmp) against Godwit, and compares.

The requests are sent in their order; before each, everything that was received before it in the recording has to have
come. Replies are compared in order, member by member. Events are compared in order per monitor; one may come earlier
between the replies than it was recorded, never later, so that what a command brings about comes before its reply.
"""
import json
import os
import re
import select
import signal
import socket
import subprocess
import time

import vm_process

DEADLINE_S = vm_process.DEADLINE_S
LONG = {
    '(1024 x "[" then 1024 x "]")': b"[" * 1024 + b"]" * 1024,
    '(1025 x "[")': b"[" * 1025,
    "(id string of 1 MiB)": b'{"execute":"query-name","id":"' + b"x" * (1 << 20) + b'"}',
    # Beyond the limit by as many elements as errors were recorded.
    "(array with >2097152 tokens)": b"[" + b"0," * ((1 << 20) + 10) + b"0]",
    "(id string of 64 MiB + 5)": b'{"execute":"query-status","id":"' + b"x" * ((64 << 20) + 5) + b'"}\n',
}


class Difference(AssertionError):
    pass


def load(name):
    with open(os.path.join(vm_process.DATA, "qmp", name + ".jsonl"), encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    return lines[0], lines[1:]


class Script:
    """What is expected on one monitor, and what has come so far."""

    def __init__(self, out_of_band):
        self.out_of_band = out_of_band  # ids of the requests that are answered when they are answered
        self.replies, self.events = [], []  # in order; an event with the number of replies before it

    def add(self, message):
        if "event" in message:
            self.events.append((sum(not self.is_out_of_band(reply) for reply in self.replies), message))
        else:
            self.replies.append(message)

    def is_out_of_band(self, reply):
        return str(reply.get("id")) in self.out_of_band

    def in_line(self):
        return [reply for reply in self.replies if not self.is_out_of_band(reply)]

    def beside(self):
        return {str(reply["id"]): reply for reply in self.replies if self.is_out_of_band(reply)}

    def told(self, optional=()):
        """The events that are compared: how often the bitmap was synchronized while active is a matter of time."""
        active, out = False, []
        for before, event in self.events:
            name, data = event["event"], event.get("data", {})
            if name == "MIGRATION":
                active = data["status"] == "active"
            elif name == "STOP":
                active = False
            if name == "MIGRATION_PASS":
                data = {}  # passes() has the numbers
            if not (active and name == "MIGRATION_PASS") and [name, data] not in optional:
                out.append((before, name, data))
        return out

    def passes(self):
        """One list of MIGRATION_PASS numbers for each migration."""
        runs = [[]]
        for _, event in self.events:
            if event.get("data", {}).get("status") == "setup":
                runs.append([])
            if event["event"] == "MIGRATION_PASS":
                runs[-1].append(event["data"]["pass"])
        return runs


class Monitor:
    def __init__(self, path, process):
        self.socket = vm_process.connect(path, process)
        self.buffer, self.open = b"", True
        out_of_band = set()
        self.expected, self.received, self.requests = Script(out_of_band), Script(out_of_band), []

    def take(self):
        try:
            data = self.socket.recv(1 << 20)
        except ConnectionResetError:
            data = b""
        self.open = bool(data)
        self.buffer += data
        while b"\r\n" in self.buffer:
            line, self.buffer = self.buffer.split(b"\r\n", 1)
            self.received.add(json.loads(line))

    def complete(self, optional):
        return (len(self.received.replies) >= len(self.expected.replies)
                and len(self.received.told(optional)) >= len(self.expected.told(optional)))

    def send(self, data, descriptors=()):
        while data:
            part, data = data[:1 << 16], data[1 << 16:]
            socket.send_fds(self.socket, [part], descriptors)
            descriptors = ()


class Peer:
    def __init__(self, command, directory, name):
        self.stderr_path = os.path.join(directory, name + ".stderr")
        words = split_command(command)
        self.qtest = None
        with socket.socket(socket.AF_UNIX) as listener, open(self.stderr_path, "wb") as stderr:
            listener.bind(os.path.join(directory, name + ".qtest"))
            listener.listen(1)
            listener.settimeout(DEADLINE_S)
            self.process = subprocess.Popen(words + ["-qtest", "unix:" + listener.getsockname()],
                                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr)
            self.qtest = listener.accept()[0]
        self.qtest.settimeout(DEADLINE_S)
        self.paths = [re.match(r"unix:([^,]*)", words[i + 1])[1] for i, word in enumerate(words) if word == "-qmp"]

    def stderr(self):
        with open(self.stderr_path, errors="replace") as file:
            return file.read()

    def read(self, address):
        """64 bits of guest memory."""
        self.qtest.sendall(b"readq 0x%x\n" % address)
        answer = b""
        while not answer.endswith(b"\n"):
            part = self.qtest.recv(64)
            if not part:
                raise Difference("the process ended: " + self.stderr())
            answer += part
        return int(answer.split()[1], 16)

    def end(self):
        self.qtest.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


def split_command(command):
    """The recorded command line has no quotes: a word without a dash belongs to the option before it."""
    words = []
    for word in command.split(" "):
        if words and not word.startswith("-") and not words[-1].startswith("-"):
            words[-1] += " " + word
        else:
            words.append(word)
    return words


class Replay:
    """One transcript. `policy` decides what may differ; see transcript_test.py."""

    def __init__(self, name, directory, policy):
        self.name, self.directory, self.policy = name, directory, policy
        self.header, self.entries = load(name)
        self.peers, self.monitors, self.ended = {}, {}, set()
        self.pairs = []  # ends of connections that getfd has yet to hand over
        self.left_out = {}  # how many replies per monitor, because their request was not sent

    def run(self):
        try:
            for index, entry in enumerate(self.entries):
                self.step(index, entry)
                if entry["dir"] == "->" and (ours := self.policy.parting_reply(entry)):
                    # From here on the recorded conversation is another one.
                    self.monitor(entry["peer"]).expected.add(ours)
                    break
            self.await_all()
            self.finish()
        except Difference as difference:
            raise Difference("%s: %s\n%s" % (self.name, difference, self.tail())) from None
        finally:
            for monitor in self.monitors.values():
                monitor.socket.close()
            for ends in self.pairs:
                ends.close()
            statuses = {name: peer.end() for name, peer in self.peers.items()}
        for name, status in statuses.items():
            if name not in self.ended and status != 0 and not (status == 1 and self.could_not_load(name)):
                raise Difference("%s: %s ended with status %s: %s" % (self.name, name, status,
                                                                      self.peers[name].stderr()))

    def could_not_load(self, name):
        """Such a destination ends; the recorder may have stopped before it saw that."""
        told = [event for key, monitor in self.monitors.items() if key.partition(".")[0] == name
                for event in monitor.expected.told()]
        return "-incoming" in self.header["argv"][name] and told and told[-1][1:] == ("MIGRATION", {"status": "failed"})

    def step(self, index, entry):
        peer, direction = entry["peer"], entry["dir"]
        if direction == "<-":
            message = self.local(entry.get("msg", {"return": entry.get("raw")}))
            monitor = self.monitor(peer)
            if "event" not in message and self.left_out.get(peer):
                self.left_out[peer] -= 1
            else:
                monitor.expected.add(message)
        elif direction == "->":
            self.await_all()
            reply = self.reply_to(index)
            # The guest runs at a destination a moment before the status says so; 7.2 does not answer in between.
            ended = reply.get("return", {}) == {"status": "completed"}
            if ended or entry["t"] - self.entries[index - 1]["t"] > 0.1:
                self.settle(peer, entry, reply)
            self.send(peer, entry, reply)
        elif direction == "exit":
            self.await_all()
            status = self.peers[peer].process.wait(DEADLINE_S)
            if status != entry["msg"]["status"]:
                raise Difference("%s ended with status %s: %s" % (peer, status, self.peers[peer].stderr()))
            self.ended.add(peer)
        elif entry.get("note", "").endswith(" killed"):
            self.await_all()
            victim = {"source": "src", "destination": "dst"}[entry["note"].split()[0]]
            self.peers[victim].process.kill()
            self.peers[victim].process.wait()
            self.ended.add(victim)

    def reply_to(self, index):
        """The first recorded reply after a request; of a malformed one there may be more."""
        for entry in self.entries[index + 1:]:
            if entry["peer"] == self.entries[index]["peer"] and "event" not in entry.get("msg", {"event": 0}):
                return self.local(entry["msg"])
        return {}

    def settle(self, name, entry, reply):
        """Where the recorder waited some time before it asked, the answer may have to change yet."""
        request = entry.get("msg", {})
        if not str(request.get("execute", "")).startswith("query-"):
            return
        monitor, end = self.monitor(name), time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            try:
                self.policy.same(reply, self.ask(name, {**request, "id": "settle"}), name)
                return
            except Difference:
                if not monitor.open:
                    return

    def ask(self, name, request):
        """A request that was not recorded."""
        monitor = self.monitor(name)
        monitor.send(json.dumps(request).encode())
        while monitor.open:
            if not select.select([monitor.socket], [], [], DEADLINE_S)[0]:
                raise Difference("%s does not answer" % name)
            monitor.take()
            if monitor.received.replies[-1].get("id") == request["id"]:
                reply = monitor.received.replies.pop()
                del reply["id"]
                return reply
        raise Difference("%s closed its monitor" % name)

    def send(self, name, entry, reply):
        monitor = self.monitor(name)
        if "raw" in entry:
            raw = entry["raw"]
            monitor.requests.append(raw)
            monitor.send(LONG[raw] if raw in LONG else raw.encode("latin-1"))
            return
        request = self.policy.request(name.partition(".")[0], self.local(entry["msg"]), reply)
        if request is None:
            self.left_out[name] = self.left_out.get(name, 0) + 1
            return
        monitor.requests.append(request)
        if "exec-oob" in request and "id" in request:
            monitor.expected.out_of_band.add(str(request["id"]))
        descriptors = []
        if request.get("execute") == "getfd" and "return" in reply:
            # Two of them in a row brought the two ends of one connection.
            if not self.pairs:
                self.pairs += socket.socketpair()
            descriptors = [self.pairs.pop()]
        monitor.send(json.dumps(request).encode() + b"\n", [each.fileno() for each in descriptors])
        for each in descriptors:
            each.close()

    def monitor(self, name):
        if name not in self.monitors:
            peer, _, index = name.partition(".")
            if peer not in self.peers:
                self.peers[peer] = self.start(peer)
            at = self.peers[peer]
            self.monitors[name] = Monitor(at.paths[int(index or 0)], at.process)
        return self.monitors[name]

    def start(self, name):
        command = self.local(self.header["argv"][name]).replace("qemu-system-x86_64", vm_process.GODWIT, 1)
        peer = Peer(self.policy.command(command), self.directory, name)
        self.policy.started(peer, command)
        return peer

    def local(self, value):
        text = json.dumps(value).replace("@DIR@", self.directory).replace("@IMG@", self.policy.images)
        for recorded, ours in self.policy.ports.items():
            text = re.sub(r"(tcp:[^:\"]*):%s\b" % recorded, r"\1:" + ours, text)
        return json.loads(text)

    def await_all(self):
        end = time.monotonic() + DEADLINE_S
        while not all(m.complete(self.policy.optional(name)) for name, m in self.monitors.items()):
            by_socket = {m.socket: m for m in self.monitors.values() if m.open}
            readable = select.select(list(by_socket), [], [], max(0, end - time.monotonic()))[0]
            for each in readable:
                by_socket[each].take()
            if not readable:
                self.compare()
                raise Difference("what was recorded does not come")
        self.compare()

    def compare(self):
        for name, monitor in self.monitors.items():
            self.policy.compare(name, monitor)

    def finish(self):
        """Nothing may have come beyond what was recorded."""
        for name, monitor in self.monitors.items():
            peer = name.partition(".")[0]
            if self.peers[peer].process.poll() is None and monitor.open and not self.could_not_load(peer):
                self.ask(name, {"execute": "query-version", "id": "the end"})
        for name, monitor in self.monitors.items():
            self.policy.compare(name, monitor, whole=True)

    def tail(self):
        """The last that was said, for the failure's text."""
        out = []
        for name, monitor in self.monitors.items():
            out.append("%s: last request %s" % (name, str(monitor.requests[-1:])[:300]))
            out.append("  replies: %s" % str(monitor.received.replies[-2:])[:600])
            out.append("  events: %s" % [str(list(e[1:])) for e in monitor.received.told()][-12:])
        return "\n".join(out)

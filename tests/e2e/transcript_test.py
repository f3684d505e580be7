"""The conversations recorded with QEMU 7.2 (tests/data/qmp), held with Godwit: replies, texts, events, order."""
import json
import os
import re
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import vm_process
import witness
from transcript import Difference, Replay

# ---- What is still to come. Who brings a feature deletes its lines; the transcripts and members are then compared.

LATER_TRANSCRIPTS = {
    "36-colo-failover-secondary": "x-colo",
    "37-colo-failover-primary": "x-colo",
    "38-colo-cancel": "x-colo",
    "38b-colo-checkpoints": "x-colo",
    "38c-colo-second-migrate-bug": "x-colo",
    "39-block-migration": "block",
    "41-blockers": "devices that cannot be migrated (ivshmem, nvme)",
    "42-misc-caps": "background-snapshot",
    "43-dirty-bitmaps": "dirty-bitmaps",
    "53-self-announce": "network interfaces",
}
# Not switched on in the requests of the other transcripts; what was refused because of one of them is not asked.
LATER_CAPABILITIES = {
    "rdma-pin-all", "zero-blocks", "x-colo", "block", "dirty-bitmaps", "background-snapshot",
}
NEWER_CAPABILITIES = {"dirty-limit", "mapped-ram", "x-auto-lanes"}  # that 7.2 does not have
LATER_TEXTS = (("RDMA ERROR: ", "RDMA ERROR: "),)  # how they begin: recorded, ours
LATER_COMMANDS = {"set_link"}  # network interfaces
LATER_MEMBERS = {"blk", "inc"}  # of migrate
LATER_OBJECTS = set()  # types

# ---- What may differ.

# Commands that 7.2 does not have and Godwit does: those of the time before it, which the interface keeps.
OLD_COMMANDS = {"migrate_set_speed", "migrate_set_downtime", "migrate-set-cache-size", "query-migrate-cache-size"}
# 7.2 neither checks nor stores these two (control plane, section 14, number 6): requests that set them are left out.
UNCHECKED_PARAMETERS = {"multifd-zlib-level", "multifd-zstd-level"}
# How texts begin: recorded, ours.
ACCEPTED_TEXTS = (
    # file: is a transport of 8.2, which 7.2 does not know.
    ("unknown migration protocol: file:", "Could not open '"),
    ("Parameter 'uri' expects a valid migration protocol", "Could not create '"),
    # Who listened removes its socket file at the end.
    ("Failed to connect to '.*/mig.sock': Connection refused", "Failed to connect to '.*/mig.sock': No such file"),
    # The recorded process had closed its own end before it wrote again.
    ("Unable to write to socket: Bad file descriptor", "Unable to write to socket: Broken pipe"),
)
# Members of replies that may be there though they were not recorded: a failure has a reason in more cases.
ACCEPTED_MEMBERS = {"error-desc"}
# Events that may be missing on one of the two sides.
OPTIONAL_EVENTS = {
    # The recorded guest did not survive its second start, ours does.
    ("54-cont-during-finish-migrate", "src"): [["RESET", {"guest": True, "reason": "guest-reset"}]],
    ("45-quit-and-reset", "src"): [["RESET", {"guest": True, "reason": "guest-reset"}],
                                   # Between `quit` and the end there may be time for it.
                                   ["MIGRATION", {"status": "cancelled"}]],
    # The guest comes out of a file, and may run before the monitor has a client.
    ("24-exec-and-fd", "dst"): [["RESUME", {}]],
    # `stop` of a guest that is on its way: how many passes are left then is a matter of time.
    ("27-xbzrle", "src"): [["MIGRATION_PASS", {}]],
    ("28-compress", "src"): [["MIGRATION_PASS", {}]],
}
# Events that another thread brings about than the one that answers: recorded before the reply, here perhaps after it.
LATE_EVENTS = {
    # 7.2 asks while it answers `migrate` whether the transport can have several channels, Godwit when it connects.
    ("29-multifd", "src2"): [["MIGRATION", {"status": "failed"}]],
    # Both break the connection and answer; who notices that it is broken may be faster or slower than the answer.
    ("33-postcopy-pause-from-destination", "dst"): [["MIGRATION", {"status": "postcopy-paused"}]],
    # Asked until it says `completed`; 7.2 did not answer before it was. The event is on its way when the status is there.
    ("40-tls", "src"): [["MIGRATION", {"status": "completed"}]],
}
IN_PROGRESS = {"error": {"class": "GenericError", "desc": "There's a migration process in progress"}}
NO_RESUME = {"error": {"class": "GenericError",
                       "desc": "Postcopy recovery cannot work when release-ram capability is set"}}
NO_CANCEL = {"error": {"class": "GenericError", "desc": "Postcopy migration in progress, cannot cancel."}}
# Conversations that go apart for good: the monitor, what is in the request where they do, and our reply. They are held up
# to there.
PARTING = {
    # The second destination expects no TLS, and 7.2 ends it for what a source with TLS says first. Here a connection that
    # does not begin with a stream's header ends nothing.
    "40b-tls-plain-client": ("src", '"tls-creds": "tc"', {"return": {}}),
    # A defect of 7.2: it announces `setup` of a migration that it then refuses, and stays in that status.
    "30b-migrate-on-postcopy-destination-defect": ("dst", '"execute": "migrate"', IN_PROGRESS),
    # After it 7.2 lets a paused postcopy be cancelled, and says `cancelling` from then on. Here it depends on whether the
    # destination has said that it is about to run the guest.
    "33-postcopy-pause-from-destination": ("src", '"resume": true', NO_RESUME),
    # 7.2 lets the source give a guest up that runs at the destination and has pages here. Later versions refuse it too.
    "35-postcopy-cancel": ("src", '"execute": "migrate_cancel"', NO_CANCEL),
}
# The commands there are differ, but not as to these.
COMMANDS = """qmp_capabilities query-commands query-version query-status query-name query-uuid query-cpus-fast query-machines
    qom-list-types query-kvm query-events stop cont quit system_powerdown system_reset system_wakeup human-monitor-command
    object-add object-del getfd closefd add-fd remove-fd query-fdsets migrate migrate-incoming migrate_cancel
    migrate-continue migrate-start-postcopy migrate-pause migrate-recover migrate-set-capabilities
    query-migrate-capabilities migrate-set-parameters query-migrate-parameters query-migrate calc-dirty-rate
    query-dirty-rate set-vcpu-dirty-limit cancel-vcpu-dirty-limit query-vcpu-dirty-limit""".split()
META_TYPES = {"alternate", "array", "builtin", "command", "enum", "event", "object"}
# Times, counts and rates of the run, whose presence and type is compared.
VARYING = {"total-time", "setup-time", "downtime", "expected-downtime", "start-time", "postcopy-blocktime",
           "postcopy-vcpu-blocktime", "pages", "bytes", "cache-miss", "cache-miss-rate", "encoding-rate", "overflow", "busy",
           "busy-rate", "compressed-size", "compression-rate"}


class Policy:
    def __init__(self, name, images):
        self.name, self.images = name, images
        self.compared = {}  # monitor: (replies, events) that were found alike
        self.capabilities = {}  # peer: what the recorded process had switched on
        self.ports = {}  # recorded: ours
        self.absent = set()  # objects that were not made

    # What is started and sent

    def command(self, command):
        return command.replace("-accel tcg", "-accel kvm -accel tcg")

    def started(self, peer, command):
        """A guest that dirties its memory has to be at it before it is moved."""
        if "dirty.img" in command and "-incoming" not in command:
            passes = lambda: peer.read(witness.INFO + 16)
            vm_process.until(lambda: passes() >= 1, "the guest writes its memory once")

    def parting_reply(self, entry):
        """What Godwit answers to the request where the conversation goes apart from the recorded one."""
        where, request, reply = PARTING.get(self.name, (None, None, None))
        return reply if entry["peer"] == where and request in json.dumps(entry.get("msg")) else None

    def request(self, peer, request, reply):
        name, arguments = request.get("execute"), request.get("arguments")
        on = self.capabilities.setdefault(peer, set())
        if name in OLD_COMMANDS | LATER_COMMANDS:
            return None
        if isinstance(arguments, dict) and arguments.get("qom-type") in LATER_OBJECTS:
            self.absent.add(arguments["id"])
            return None
        if name == "object-del" and arguments["id"] in self.absent:
            return None
        if name == "migrate-set-parameters" and UNCHECKED_PARAMETERS & set(arguments or ()):
            return None
        if name in ("migrate-set-capabilities", "migrate-set-parameters") and "error" in reply and on & LATER_CAPABILITIES:
            return None
        if name == "migrate" and LATER_MEMBERS & set(arguments):
            if "error" in reply and on & LATER_CAPABILITIES:
                return None
            if "error" not in reply:
                return {**request, "arguments": {k: v for k, v in arguments.items() if k not in LATER_MEMBERS}}
        if name != "migrate-set-capabilities" or "error" in reply:
            return request
        changes = arguments["capabilities"]
        for change in changes:
            (on.add if change["state"] else on.discard)(change["capability"])
        kept = [c for c in changes if not (c["state"] and c["capability"] in LATER_CAPABILITIES)]
        return {**request, "arguments": {"capabilities": kept}}

    # What is compared

    def optional(self, monitor):
        return OPTIONAL_EVENTS.get((self.name, monitor), ())

    def compare(self, name, monitor, whole=False):
        expected, received = monitor.expected, monitor.received
        replies, events = self.compared.get(name, (0, 0))
        for recorded, ours in list(zip(expected.in_line(), received.in_line()))[replies:]:
            self.same(recorded, ours, name)
        answered = received.beside()
        for number, recorded in expected.beside().items():
            if number in answered:
                self.same(recorded, answered[number], name)
        wanted, told = expected.told(self.optional(name)), received.told(self.optional(name))
        for (before, *recorded), (ours_before, *ours) in list(zip(wanted, told))[events:]:
            if recorded != ours:
                raise Difference("%s: event %s instead of %s" % (name, ours, recorded))
            if ours_before > before and recorded not in LATE_EVENTS.get((self.name, name), ()):
                raise Difference("%s: event %s came after a reply that it belongs before" % (name, ours))
        for run in received.passes():
            if run != list(range(1, len(run) + 1)):
                raise Difference("%s: MIGRATION_PASS counts %s" % (name, run))
        self.compared[name] = (min(len(expected.in_line()), len(received.in_line())),
                               min(len(wanted), len(told)))
        if whole and len(received.replies) != len(expected.replies):
            raise Difference("%s: more replies: %s" % (name, received.replies[len(expected.replies):]))
        if whole and len(told) != len(wanted):
            raise Difference("%s: more events: %s" % (name, told[len(wanted):]))

    def same(self, recorded, ours, where):
        if "note" in recorded:
            if "return" not in ours:
                raise Difference("%s: %s instead of %s" % (where, ours, recorded["note"]))
            return
        if set(recorded) != set(ours):
            raise Difference("%s: %s instead of %s" % (where, ours, recorded))
        if "QMP" in recorded:
            self.same_value(recorded["QMP"]["capabilities"], ours["QMP"]["capabilities"], where)
            return
        for member in recorded:
            self.same_value(recorded[member], ours[member], "%s: %s" % (where, member))

    def same_value(self, recorded, ours, where):
        def differs():
            raise Difference("%s: %s instead of %s" % (where, str(ours)[:900], str(recorded)[:900]))

        if isinstance(recorded, str) and recorded.startswith("(array of ") and isinstance(ours, list):
            if not all("name" in entry and entry["meta-type"] in META_TYPES for entry in ours):
                differs()
        elif isinstance(recorded, list) and {"name": "query-commands"} in recorded:
            if not all({"name": name} in ours for name in COMMANDS):
                differs()
        elif isinstance(recorded, dict) and isinstance(ours, dict):
            if (recorded.get("status"), ours.get("status")) in (("setup", "active"), ("cancelling", "cancelled")):
                return  # asked right after migrate or migrate_cancel: how far it has come is a matter of time
            if set(recorded) == {"qemu", "package"}:
                return  # the version
            if not set(recorded) <= set(ours) or not set(ours) - set(recorded) <= ACCEPTED_MEMBERS:
                differs()
            for member, value in recorded.items():
                if member == "ram":
                    self.same_ram(value, ours[member], where + ".ram", completed=recorded["status"] == "completed")
                elif member in VARYING:
                    if not self.same_shape(value, ours[member]):
                        differs()
                elif member == "port":
                    if not ours[member].isdigit():
                        differs()
                    self.ports[value] = ours[member]
                else:
                    self.same_value(value, ours[member], "%s.%s" % (where, member))
        elif isinstance(recorded, list) and isinstance(ours, list):
            if recorded and isinstance(recorded[0], dict) and "capability" in recorded[0]:
                recorded = [{**c, "state": c["state"] and c["capability"] not in LATER_CAPABILITIES} for c in recorded]
                ours = [c for c in ours if c["capability"] not in NEWER_CAPABILITIES]
            if recorded and isinstance(recorded[0], dict) and set(recorded[0]) == {"name", "type"}:  # in a hash's order
                recorded, ours = (sorted(entries, key=lambda entry: entry["name"]) for entries in (recorded, ours))
            recorded = [each for each in recorded if not (isinstance(each, dict) and each.get("name") in self.absent)]
            if len(recorded) != len(ours):
                differs()
            for index, (one, other) in enumerate(zip(recorded, ours)):
                self.same_value(one, other, "%s[%d]" % (where, index))
        elif isinstance(recorded, str) and recorded.startswith("xbzrle: ") and isinstance(ours, str):
            lines = [line for line in ours.splitlines(True) if line.split(":")[0] not in NEWER_CAPABILITIES]
            if recorded != "".join(lines):
                differs()
        elif isinstance(recorded, str) and isinstance(ours, str) and recorded != ours:
            if not any(re.match(one, recorded) and re.match(other, ours) for one, other in LATER_TEXTS + ACCEPTED_TEXTS):
                differs()
        elif recorded != ours or isinstance(recorded, bool) != isinstance(ours, bool):
            differs()

    def same_shape(self, recorded, ours):
        if isinstance(recorded, list):
            return isinstance(ours, list) and len(ours) == len(recorded) and all(map(self.same_shape, recorded, ours))
        return isinstance(ours, (int, float)) and not isinstance(ours, bool)

    def same_ram(self, recorded, ours, where, completed):
        if set(recorded) != set(ours):
            raise Difference("%s: members %s instead of %s" % (where, sorted(ours), sorted(recorded)))
        for member, value in ours.items():
            if not isinstance(value, (int, float)):
                raise Difference("%s.%s: %s" % (where, member, value))
        for member in ["page-size"] + (["remaining", "dirty-pages-rate"] if completed else []):
            self.same_value(recorded[member], ours[member], "%s.%s" % (where, member))


class Transcripts(unittest.TestCase):
    """One test per transcript, made below."""

    maxDiff = None

    def replay(self, name):
        with tempfile.TemporaryDirectory(prefix="godwit-images-") as images:
            witness.image(os.path.join(images, "dirty.img"), 47, 47)
            with open(os.path.join(images, "idle.img"), "wb") as file:
                file.write(b"\xf4\xeb\xfd".ljust(510, b"\0") + b"\x55\xaa")  # hlt; jmp to it
            folder = tempfile.mkdtemp(prefix="godwit-test-")
            os.mkdir(os.path.join(folder, "psk"))
            with open(os.path.join(folder, "psk", "keys.psk"), "w", encoding="ascii") as file:
                file.write("qemu:%s\n" % ("5a" * 32))
            try:
                Replay(name, folder, Policy(name, images)).run()
            finally:
                shutil.rmtree(folder, ignore_errors=True)


def add_tests():
    for file in sorted(os.listdir(os.path.join(vm_process.DATA, "qmp"))):
        match = re.match(r"(\d.*)\.jsonl$", file)
        if match and match[1] not in LATER_TRANSCRIPTS:
            setattr(Transcripts, "test_" + re.sub(r"\W", "_", match[1]), lambda self, name=match[1]: self.replay(name))


add_tests()

if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")

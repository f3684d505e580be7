"""Postcopy over a wire that breaks, again and again; tells how often each case worked.

    postcopy_soak.py [--rounds N] [--cuts N] [--seed N]

A round takes a guest along every pair of Godwit and QEMU 7.2, with and without preempt; the wire breaks at a random byte
after the guest has gone over, is mended, and every page is looked at. Then N cuts in each direction between two Godwits,
at any byte of any step, the next ones while the wire is mended: the guest must be on one side, and whole. Exit status 1
if anything failed. The long form: --rounds 20 --cuts 200.
"""
import argparse
import collections
import os
import random
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import vm_process as vmm
from fault_proxy import Fault
from postcopy import MIB, Move, expect, have_userfaultfd
from vm_process import GODWIT, QEMU

PREEMPT = {False: (), True: ("postcopy-preempt",)}
SMALL = 2 * MIB  # a guest that is cut anywhere
MOST_CUTS = 4    # of one migration

# How a cut can end.
AT_SOURCE, BY_HAND, AT_DESTINATION = "runs at the source", "stands still at the source", "runs at the destination"


def cut_in_the_middle(move, rng):
    """The guest has gone over; a side or the wire breaks the connection."""
    # So slow, and so few, that most pages are still missing when it breaks, even if this machine has no time for the
    # test: QEMU 7.2 with preempt takes up to a second for a page that is asked for.
    move.start(postcopy_bandwidth=MIB // 16)
    move.destination.qmp.wait("RESUME")
    move.check_some(4)
    move.write_some(4)
    move.forget_events()
    how = rng.choice(["to destination", "to source", "source", "destination"])
    if how == "to source" and move.destination.speaks_qtest:
        # Each page that is touched makes the destination ask: the wire breaks in a request.
        move.cut_after(rng.randrange(1, 40), "to source")
        move.begin_to_touch(8)
    elif how == "source":
        move.source.qmp.command("migrate-pause")
    elif how == "destination":
        move.destination.qmp.command("migrate-pause")
    else:
        move.cut_after(rng.randrange(1, MIB), "to destination")
        move.source.qmp.command("migrate-set-parameters", max_postcopy_bandwidth=MIB)
        move.begin_to_touch(5)
    move.expect_paused()
    move.resume()
    move.end_of_touching()
    move.check_some(10)
    move.write_some(3)
    move.finish()
    return AT_DESTINATION


def plan_cut(move, rng, way):
    if way == "to source":
        move.cut_after(rng.randrange(1, 300), way)
    elif rng.random() < 0.5:  # near the hand-over, whose bytes are few
        move.wire.plan(Fault("cut", rng.choice(["discard", "package"]), plus=rng.randrange(400)))
    else:
        move.cut_after(rng.randrange(1, SMALL), way)


def goes_on_listening(vm):
    """A destination that was never shown a header waits for the next who comes."""
    return "was not let in" in vm.stderr() and vm.qmp.command("query-migrate").get("status") in (None, "setup", "none")


def settle(vm, may_listen=False):
    """What has become of the migration on this side: failed, completed, postcopy-paused; the process has ended; or,
    at a destination, nothing."""
    end = time.monotonic() + vmm.DEADLINE_S
    while True:
        try:
            if may_listen and goes_on_listening(vm):
                return "listens"
            status = vm.qmp.wait(("failed", "completed", "postcopy-paused"), 1 if may_listen else vmm.DEADLINE_S)["data"]["status"]
            if status != "failed" or vm.is_source:
                return status
            break
        except (vmm.Failure, OSError):
            if vm.ends_within(1):
                break
            if time.monotonic() > end:
                raise
    expect(vm.wait_exit() == 1, "the process ended with status", vm.process.returncode, vm.stderr())
    return "ended"


def cut_anywhere(move, rng, way):
    """Until the guest is whole on one side."""
    plan_cut(move, rng, way)
    move.start(bandwidth=4 * MIB, postcopy_bandwidth=8 * MIB)
    for cut in range(1, MOST_CUTS + 2):
        at_source = settle(move.source)
        at_destination = settle(move.destination, may_listen=at_source == "failed")
        if at_destination in ("ended", "listens"):
            expect(not move.has_gone_over(), "the destination let the guest run, and ended")
            return expect_at_source(move, at_source)
        if not move.has_gone_over():
            move.destination.qmp.wait("RESUME")  # a connection can be lost while the package is being loaded
        state = move.run_state(move.source)
        expect(at_source != "failed" and state in ("finish-migrate", "postmigrate"), "two guests:", at_source, state)
        expect(move.run_state(move.destination) == "running", "the guest does not run at the destination")
        if at_destination == "completed":  # of which a source whose connection broke does not hear
            move.end_of_touching()
            move.check_all(move.destination)
            return AT_DESTINATION
        expect(at_source == "postcopy-paused", "the source has completed, and the destination lacks pages")
        move.forget_events()
        expect(cut <= MOST_CUTS, "it broke once more, and nobody cut it")
        if cut < MOST_CUTS:
            plan_cut(move, rng, way)
        move.begin_to_touch(2)
        move.ask_to_resume()
    raise AssertionError("not reached")


def expect_at_source(move, status):
    """The guest runs there; or it stands still, when the very last byte before the hand-over was lost."""
    if status == "failed":
        expect(move.run_state(move.source) == "running", "the destination has ended, and the source does not run")
        move.check_all(move.source)
        return AT_SOURCE
    expect(move.run_state(move.source) == "finish-migrate", "nobody knows, and the source is",
           move.run_state(move.source))
    move.source.qmp.command("migrate_cancel")
    move.source.qmp.wait("cancelled")
    move.source.qmp.command("cont")
    move.check_all(move.source)
    return BY_HAND


class Tally:
    def __init__(self):
        self.worked, self.failed = collections.Counter(), collections.Counter()

    def run(self, name, seed, work, *machines, **settings):
        directory = tempfile.mkdtemp(prefix="godwit-soak-")
        try:
            with Move(directory, *machines, seed=seed, **settings) as move:
                try:
                    self.worked[name, work(move, random.Random(seed))] += 1
                except (vmm.Failure, OSError) as e:
                    raise vmm.Failure("%s; source: %s; destination: %s" % (
                        e, move.source.stderr(), move.destination.stderr())) from e
        except (vmm.Failure, OSError) as e:
            self.failed[name] += 1
            print("%s, seed %d: %s" % (name, seed, e), flush=True)
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def report(self):
        for (name, end), count in self.worked.items():
            print("%4d worked  %s: the guest %s" % (count, name, end))
        for name, count in self.failed.items():
            print("%4d FAILED  %s" % (count, name))
        print("%d worked, %d failed" % (self.worked.total(), self.failed.total()), flush=True)
        return 1 if self.failed or not self.worked else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--cuts", type=int, default=8)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    options = parser.parse_args()
    if not have_userfaultfd():
        print("SKIP: userfaultfd is not permitted")
        return 0
    print("--seed %d" % options.seed, flush=True)
    tally = Tally()
    programs = [GODWIT] + ([QEMU] if QEMU else [])
    for number in range(options.rounds):
        for source in programs:
            for destination in programs:
                for preempt, capabilities in PREEMPT.items():
                    name = "%s to %s%s" % (os.path.basename(source), os.path.basename(destination),
                                           ", preempt" if preempt else "")
                    tally.run(name, options.seed + number, cut_in_the_middle, source, destination,
                              capabilities=capabilities)
        print("round %d: %d worked, %d failed" % (number + 1, tally.worked.total(), tally.failed.total()), flush=True)
    for number in range(options.cuts):
        for way in ("to destination", "to source"):
            for preempt, capabilities in PREEMPT.items():
                if preempt == (number % 2 == 1):
                    tally.run("cut on the way %s%s" % (way, ", preempt" if preempt else ""), options.seed + number,
                              lambda move, rng, way=way: cut_anywhere(move, rng, way), GODWIT, GODWIT, size=SMALL,
                              capabilities=capabilities)
    return tally.report()


if __name__ == "__main__":
    sys.exit(main())

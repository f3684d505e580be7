"""Every pair of Godwit and QEMU 7.2, KVM and emulation, again and again; tells how often each one worked.

    soak.py [--rounds N] [--seconds LIMIT] [--qemu-pairs]

A round takes one guest along every pair, for one and two processors, without and with return path. A guest that fails
is counted against its pair, and a new one goes on with the next pair. Exit status 1 if anything failed.
"""
import argparse
import collections
import os
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import microvm
import vm_process as vmm
from microvm import Console, Machine, Side, build_payload, move
from run_witness import RunWitness
from vm_process import GODWIT, QEMU

LINE_SHIFT = 9


def sides():
    accelerators = ["tcg"] + (["kvm"] if vmm.have_kvm() else [])
    return [Side(program, accelerator) for accelerator in accelerators for program in (GODWIT, QEMU)]


def tour(pairs):
    """The pairs in an order in which each begins where the one before ends (each side is as often first as second)."""
    left = collections.defaultdict(list)
    for source, destination in pairs:
        left[source].append(destination)
    path, way = [pairs[0][0]], []
    while path:
        if left[path[-1]]:
            path.append(left[path[-1]].pop(0))
        else:
            way.append(path.pop())
    way.reverse()
    return list(zip(way, way[1:]))


class Traveller:
    """One guest, and where it is. A witness sees to it that it is nowhere else."""

    def __init__(self, directory, bios, cpus):
        self.directory, self.bios, self.cpus = directory, bios, cpus
        self.here, self.console, self.witness, self.hops = None, None, None, 0

    def machine(self, side, following, incoming):
        name = "%r, hop %d" % (side, self.hops)
        ram = "%s/ram%d%s" % (self.directory, self.hops, "in" if incoming else "")
        with open(ram, "wb") as f:
            f.truncate(2 << 20)
        machine = Machine(side.to(following), self.directory, self.console, self.bios, cpus=self.cpus, incoming=incoming,
                          ram=ram)
        machine.name = name + (" in" if incoming else "")
        self.witness.add(machine.name, ram, begins_here=not incoming)
        os.unlink(ram)
        return machine

    def go(self, source, destination, following, return_path):
        if self.here is None:
            self.console, self.witness = Console(self.directory), RunWitness().start()
            self.here = self.machine(source, destination, False)
            self.here.wait_for_lines(2)
        there = self.machine(destination, following, True)
        try:
            self.hops += 1
            uri = "unix:%s/m%d" % (self.directory, self.hops)
            self.witness.expect_running(self.here.name)
            move(self.here, there, uri, return_path)
            self.witness.expect_running(there.name)
            if self.here.qmp.command("query-status")["running"]:
                raise vmm.Failure("the source runs on")
            self.here.end()
            self.witness.forget(self.here.name)
            there.wait_for_lines(2)
            there.wait_for_ticks(2)
            if self.witness.violations:
                raise vmm.Failure(self.witness.violations[0])
        except BaseException as e:
            said = there.vm.stderr()
            try:
                there.end()
            except vmm.Failure as second:
                said += "; %s" % second
            raise vmm.Failure("%s; source: %s; destination: %s" % (e, self.here.vm.stderr(), said)) from e
        self.here = there

    def end(self):
        here, self.here = self.here, None
        if here:
            self.witness.stop()
            here.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("GODWIT_SOAK", "1")))
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begins no move after that long")
    parser.add_argument("--qemu-pairs", action="store_true", help="from QEMU to QEMU too")
    options = parser.parse_args()
    microvm.LINE_SHIFT = LINE_SHIFT
    all_sides = sides()
    pairs = [(a, b) for a in all_sides for b in all_sides if options.qemu_pairs or GODWIT in (a.program, b.program)]
    way = tour(pairs)
    assert len(way) == len(pairs)
    passed, failed, end = collections.Counter(), collections.Counter(), time.monotonic() + options.seconds
    directory = tempfile.mkdtemp(prefix="godwit-soak-", dir="/dev/shm")
    finished = 0
    try:
        bios = build_payload(directory, "LONG=1", "TICK=1")
        for number in range(options.rounds):
            for cpus in (1, 2):
                for return_path in (False, True):
                    guest = Traveller(directory, bios, cpus)
                    try:
                        for at, (source, destination) in enumerate(way):
                            if time.monotonic() > end:
                                return report(way, passed, failed, finished)
                            case = (source, destination, cpus, return_path)
                            try:
                                guest.go(source, destination, way[(at + 1) % len(way)][1], return_path)
                                passed[case] += 1
                            except (vmm.Failure, OSError) as e:
                                failed[case] += 1
                                print("round %d, %s: %s" % (number + 1, name(case), e), flush=True)
                                try:
                                    guest.end()
                                except vmm.Failure as second:
                                    print("  and then: %s" % second, flush=True)
                    finally:
                        guest.end()
            finished += 1
            print("round %d: %d moves worked, %d failed so far" % (
                number + 1, passed.total(), failed.total()), flush=True)
        return report(way, passed, failed, finished)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def name(case):
    source, destination, cpus, return_path = case
    return "%r -> %r, %d vCPU%s, return path %s" % (
        source, destination, cpus, "s" if cpus > 1 else "", "on" if return_path else "off")


def report(way, passed, failed, rounds):
    print("%d whole rounds" % rounds)
    for source, destination in way:
        for cpus in (1, 2):
            for return_path in (False, True):
                case = (source, destination, cpus, return_path)
                print("%4d worked %4d failed  %s" % (passed[case], failed[case], name(case)))
    print("%d moves worked, %d failed" % (passed.total(), failed.total()), flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())

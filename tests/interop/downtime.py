"""How long a microvm stands still when it is handed over: Godwit to QEMU 7.2 and back against QEMU to QEMU.

    downtime.py [--moves N] [--accel kvm]

From the STOP event of the source to the RESUME event of the destination, as their timestamps say; moves of the kinds
alternate, with return path. Prints each kind's readings and its median relative to QEMU to QEMU.
"""
import argparse
import os
import shutil
import statistics
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import microvm
from microvm import Console, Machine, Side, build_payload, move
from vm_process import GODWIT, QEMU

LINE_SHIFT = 9


def stamp_us(event):
    return event["timestamp"]["seconds"] * 1000000 + event["timestamp"]["microseconds"]


def downtime_ms(directory, bios, number, source, destination):
    console = Console(directory)
    with Machine(source, directory, console, bios) as here, \
            Machine(destination, directory, console, bios, incoming=True) as there:
        here.wait_for_lines(2)
        move(here, there, "unix:%s/m%d" % (directory, number), return_path=True)
        stop, resume = here.qmp.wait("STOP"), there.qmp.wait("RESUME")
        here.end()
        there.wait_for_lines(2)
        return (stamp_us(resume) - stamp_us(stop)) / 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moves", type=int, default=10)
    parser.add_argument("--accel", default="kvm")
    options = parser.parse_args()
    microvm.LINE_SHIFT = LINE_SHIFT
    ours, theirs = Side(GODWIT, options.accel), Side(QEMU, options.accel)
    kinds = [(theirs, theirs), (ours, theirs), (theirs, ours), (ours, ours)]
    readings = {kind: [] for kind in kinds}
    directory = tempfile.mkdtemp(prefix="godwit-downtime-")
    try:
        bios = build_payload(directory, "LONG=1", "TICK=1")
        for number in range(options.moves):
            for at, kind in enumerate(kinds):
                readings[kind].append(downtime_ms(directory, bios, number * len(kinds) + at, *kind))
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    against = statistics.median(readings[kinds[0]])
    for (source, destination), values in readings.items():
        print("%r -> %r: median %.2f ms, %.2f of QEMU's: %s" % (
            source, destination, statistics.median(values), statistics.median(values) / against,
            " ".join("%.1f" % v for v in values)))


if __name__ == "__main__":
    sys.exit(main())

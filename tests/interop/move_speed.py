"""How fast a guest moves between Godwit and QEMU 7.2: all four pairs in turns.

    move_speed.py [--rounds N] [--mib SIZE] [--unix] [--tls] [--channels N] [--new-memory] [--pairs same]

The machine is `none` with SIZE MiB of noise in a shared file, on one host, without a limit of bandwidth: over TCP or a UNIX
socket, with a pre-shared key (--tls), with N channels of multifd. The destination's memory is there already, so that the first
touch of it is not measured, and is compared after each move; with --new-memory it is anonymous memory that is not, and nothing is
compared. Prints for each pair the time from `migrate` until both sides say completed, and the processor time of both.
"""
import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from vm_process import GODWIT, MIB, QEMU, Failure, Vm

NO_LIMIT = 10 ** 11
LIMIT_S = 120
NAMES = {GODWIT: "Godwit", QEMU: "QEMU"}


def name(pair):
    return " -> ".join(NAMES[program] for program in pair)


def fill(path, mib, content):
    with open(path, "wb") as f:
        for _ in range(mib):
            f.write(content())


def cpu_s(vm):
    """Of all its threads, user and system."""
    with open("/proc/%d/stat" % vm.process.pid) as f:
        ticks = f.read().rsplit(")", 1)[1].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


class Bench:
    def __init__(self, directory, options):
        self.directory, self.options, self.mib = directory, options, options.mib
        fill(self.ram("src"), self.mib, lambda: os.urandom(MIB))
        with open(directory + "/keys.psk", "w") as f:
            f.write("qemu:%s\n" % os.urandom(32).hex())

    def ram(self, name):
        return "%s/%s.ram" % (self.directory, name)

    def start(self, program, name, endpoint, *extra):
        memory = "memory-backend-file,id=m0,size=%dM,mem-path=%s,share=on" % (self.mib, self.ram(name))
        if name == "src":
            memory += ",prealloc=on"  # a guest would have touched it
        if self.options.new_memory and name == "dst":
            memory = "memory-backend-ram,id=m0,size=%dM" % self.mib
        vm = Vm(program, "-machine", "none,memory-backend=m0", "-m", "%dM" % self.mib, "-object", memory, "-object",
                "tls-creds-psk,id=tls0,dir=%s,endpoint=%s" % (self.directory, endpoint), *extra,
                directory=self.directory)
        vm.qmp.capabilities(events=True, **({"multifd": True} if self.options.channels else {}))
        parameters = {"max_bandwidth": NO_LIMIT}
        if self.options.tls:
            parameters["tls_creds"] = "tls0"
        if self.options.channels:
            parameters["multifd_channels"] = self.options.channels
        vm.qmp.command("migrate-set-parameters", **parameters)
        return vm

    def listen(self, destination):
        """The address for `migrate`."""
        if self.options.unix:
            uri = "unix:%s/m.sock" % self.directory
            destination.qmp.command("migrate-incoming", uri=uri)
            return uri
        destination.qmp.command("migrate-incoming", uri="tcp:127.0.0.1:0")
        return "tcp:127.0.0.1:" + destination.qmp.command("query-migrate")["socket-address"][0]["port"]

    def move(self, source_program, destination_program):
        """Seconds: wall, CPU of the source, CPU of the destination."""
        if not self.options.new_memory:
            fill(self.ram("dst"), self.mib, lambda: bytes(MIB))
        with self.start(source_program, "src", "client") as source, \
                self.start(destination_program, "dst", "server", "-incoming", "defer") as destination:
            uri = self.listen(destination)
            sides = source, destination
            used = [cpu_s(vm) for vm in sides]
            start = time.monotonic()
            source.qmp.command("migrate", uri=uri)
            for vm in sides:
                if vm.qmp.wait(("completed", "failed"), LIMIT_S)["data"]["status"] == "failed":
                    raise Failure("the migration failed: %s" % [side.stderr() for side in sides])
            wall = time.monotonic() - start
            used = [cpu_s(vm) - before for vm, before in zip(sides, used)]
        if not self.options.new_memory:
            subprocess.run(["cmp", self.ram("src"), self.ram("dst")], check=True)
        return wall, *used


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mib", type=int, default=2048)
    parser.add_argument("--unix", action="store_true")
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--channels", type=int, default=0)
    parser.add_argument("--new-memory", action="store_true")
    parser.add_argument("--pairs", choices=("all", "same"), default="all")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # the files are removed
    pairs = [(QEMU, QEMU), (GODWIT, QEMU), (QEMU, GODWIT), (GODWIT, GODWIT)]
    if options.pairs == "same":
        pairs = [pairs[0], pairs[3]]
    readings = {pair: [] for pair in pairs}
    with tempfile.TemporaryDirectory(prefix="godwit-move-speed-", dir="/dev/shm") as directory:
        bench = Bench(directory, options)
        for _ in range(options.rounds):
            for pair in pairs:
                readings[pair].append(bench.move(*pair))
                print(name(pair), "%.2f %.2f %.2f s" % readings[pair][-1], flush=True)
    for pair, moves in readings.items():
        print(name(pair))
        for what, values, base in zip(("wall", "CPU of the source", "CPU of the destination"), zip(*moves),
                                      zip(*readings[pairs[0]])):
            print("  %-23s %s s, %.2f of QEMU's" % (what, " ".join("%.2f" % v for v in values),
                                                   statistics.median(values) / statistics.median(base)))


if __name__ == "__main__":
    sys.exit(main())

"""Two real processes, a wire between them that goes wrong at one step, and what must hold afterwards.

  matrix.py            the short part (CI)
  matrix.py --all      every cell, once
  matrix.py --runs N   N cells, drawn from all of them
  matrix.py --only TEXT  the cells whose line has TEXT in it

Prints one line for each cell: who runs the guest, the status and the error of each side. Exit status 1 if one of them
is not as it must be.
"""
import argparse
import concurrent.futures
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

SUPPORT = os.path.join(os.path.dirname(__file__), "..", "support")
sys.path.insert(0, SUPPORT)
import fault_proxy
import vm_process as vmm
from cells import BYTE, D, LOST, N, OF_PROCESSES, S, STEPS, all_cells, short_cells
from vm_process import Failure, Godwit

MIB = 1 << 20
# Of a guest. Without a return path more than the buffers of the sockets hold: what fits is out of the source's hands.
SIZE = {"precopy": 32 * MIB, "answered": 4 * MIB, "postcopy": 4 * MIB}
FINAL = ("completed", "failed", "cancelled")
CANCEL_S = 1.0


def resources(process):
    """What an attempt must not leave behind: descriptors (the dirty log's among them) and threads."""
    base = "/proc/%d/" % process.pid
    return len(os.listdir(base + "fd")), len(os.listdir(base + "task"))


class Attempt:
    def __init__(self, cell, keys):
        self.cell, self.keys = cell, keys
        self.directory = tempfile.mkdtemp(prefix="godwit-matrix-", dir="/dev/shm")
        self.problems, self.machines, self.notes = [], [], []

    def check(self, holds, what):
        if not holds:
            self.problems.append(what)

    # ---- machines

    def start(self, name, *extra):
        path, size = "%s/%s.ram" % (self.directory, name), SIZE[self.cell.scenario]
        with open(path, "wb") as f:
            if name == "source":
                generator = random.Random(1)
                for page in range(size // 4096):
                    f.write(bytes(4096) if page % 5 == 0 else generator.randbytes(64) * 64)
            else:
                f.truncate(size)
        vm = Godwit("-machine", "none,memory-backend=m0", "-m", "%dM" % (size // MIB), "-object",
                    "memory-backend-file,id=m0,size=%d,mem-path=%s,share=on" % (size, path), *extra,
                    directory=self.directory, qtest=False)
        vm.ram = path
        self.machines.append(vm)
        if name == "source":
            # What an attempt keeps until the next one, for questions about it, is there from the start.
            vm.qmp.capabilities(events=True)
            vm.qmp.command("migrate", uri="file:/dev/full")
            vm.qmp.wait("failed")
        vm.qmp.capabilities(events=True, return_path=self.cell.scenario == "answered",
                            postcopy_ram=self.cell.scenario == "postcopy", multifd=self.cell.lane == "multifd",
                            xbzrle=self.cell.lane == "xbzrle")
        vm.qmp.command("migrate-set-parameters", max_bandwidth=MIB if self.cell.scenario == "postcopy" else 0,
                       max_postcopy_bandwidth=8 * MIB,
                       x_postcopy_timeout=1000)
        if self.cell.tls:
            vm.qmp.command("object-add", qom_type="tls-creds-psk", id="tls0",
                           endpoint="client" if name == "source" else "server", dir=self.keys + "/psk")
            vm.qmp.command("migrate-set-parameters", tls_creds="tls0")
        return vm

    def listen(self, name):
        """A destination, and where it listens."""
        vm = self.start(name, "-incoming", "defer")
        if self.cell.transport == "unix":
            vm.qmp.command("migrate-incoming", uri="unix:%s/%s.m" % (self.directory, name))
            return vm, fault_proxy.unix("%s/%s.m" % (self.directory, name))
        vm.qmp.command("migrate-incoming", uri="tcp:127.0.0.1:0")
        return vm, fault_proxy.tcp(int(vm.qmp.command("query-migrate")["socket-address"][0]["port"]))

    def fault(self):
        direction, plus = STEPS[self.cell.step]
        step = self.cell.step
        kind = "stall" if self.cell.fault in OF_PROCESSES else self.cell.fault
        if step in ("handshake", "encrypted pages", "data channel"):
            return fault_proxy.Fault(kind, plus, direction, channel=1 if step == "data channel" else 0)
        if step == "pages on their way":
            step = "background"
        return fault_proxy.Fault(kind, step, direction, plus=plus)

    def migrate(self, source, address, **more):
        uri = "unix:" + address[1] if self.cell.transport == "unix" else "tcp:127.0.0.1:%d" % address[1][1]
        source.qmp.events.clear()
        source.qmp.command("migrate", uri=uri, **more)
        if self.cell.scenario == "postcopy" and not more:
            source.qmp.command("migrate-start-postcopy")

    def status(self, vm):
        try:
            if vm.process.poll() is None:
                return vm.qmp.command("query-migrate").get("status", "none")
        except (Failure, OSError):  # it ends just now
            vm.process.wait(10)
        return "exit %d" % vm.process.returncode

    def runs(self, vm):
        try:
            return vm.process.poll() is None and vm.qmp.command("query-status")["status"] == "running"
        except (Failure, OSError):
            vm.process.wait(10)
            return False

    def until(self, condition, what, seconds=20):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise Failure("not within %d s: %s" % (seconds, what))
            time.sleep(0.01)  # a status has no descriptor to wait on when a process may also end

    # ---- one cell

    def run(self):
        try:
            self.go()
        except Exception as error:  # a cell that breaks is a line of the matrix too
            self.problems.append("%s: %s" % (type(error).__name__, error))
        finally:
            for vm in self.machines:
                try:
                    if vm.process.poll() is None:
                        vm.process.send_signal(signal.SIGCONT)
                    vm.end()
                except Failure as error:
                    self.problems.append(str(error))
            shutil.rmtree(self.directory, True)
        return self

    def go(self):
        self.source = self.start("source")
        self.destination, target = self.listen("destination")
        before = resources(self.source.process)
        listen = fault_proxy.unix(self.directory + "/wire") if self.cell.transport == "unix" else fault_proxy.tcp(0)
        with fault_proxy.Proxy(listen, target, [self.fault()], opaque=self.cell.tls) as wire:
            address = listen if self.cell.transport == "unix" else fault_proxy.tcp(wire.port)
            self.migrate(self.source, address)
            if not wire.happened.wait(30):
                raise Failure("the step was never reached; source %s" % self.status(self.source))
            self.after_the_fault(wire)
            self.settle(wire)
            left = self.left()
            self.judge(left)
            if self.cell.fault != "kill source" and self.status(self.source) in ("failed", "cancelled"):
                self.until(lambda: all(now <= then for now, then in zip(resources(self.source.process), before)),
                           "the source has given back what it took: %s, now %s" % (before, resources(self.source.process)))
            if left in (S, N):
                self.try_again()
            elif left == D and self.is_paused():
                wire.release()
                self.migrate(self.source, address, resume=True)
                self.expect_moved(self.destination)

    def after_the_fault(self, wire):
        fault = self.cell.fault
        if fault.startswith("kill"):
            vm = self.source if fault == "kill source" else self.destination
            vm.process.kill()
            vm.process.wait()
            wire.cut()
        elif fault in ("stop source", "stop destination"):
            vm = self.source if fault == "stop source" else self.destination
            vm.process.send_signal(signal.SIGSTOP)
            wire.release()
            if fault == "stop destination":
                self.cancel_if_it_waits()
            vm.process.send_signal(signal.SIGCONT)
        elif fault in ("stall", "half-open"):
            self.cancel_if_it_waits()

    def cancel_if_it_waits(self):
        """In postcopy the patience of both sides is 1 s; before it, a source waits for as long as it is told to."""
        if self.cell.scenario == "postcopy" and self.cell.step not in ("header", "configuration", "block list", "handshake"):
            return
        start = time.monotonic()
        answer = self.source.qmp.execute("migrate_cancel")
        if "error" in answer:
            return
        self.until(lambda: self.status(self.source) in FINAL + ("postcopy-paused",), "the cancelled source ends")
        took = time.monotonic() - start
        self.check(took < CANCEL_S, "cancel took %.2f s" % took)

    def is_paused(self):
        return all(vm.process.poll() is None and self.status(vm) == "postcopy-paused"
                   for vm in (self.source, self.destination))

    def settle(self, wire):
        """Until both sides have come to an end, or wait to be told. Whoever then still waits hears that the other is gone."""
        rests = lambda vm: self.status(vm) in FINAL + ("postcopy-paused",) or vm.process.poll() is not None
        self.until(lambda: rests(self.source) or rests(self.destination), "one side comes to rest")
        end = time.monotonic() + 3
        while not (rests(self.source) and self.destination_rests(rests)) and time.monotonic() < end:
            time.sleep(0.01)
        if not (rests(self.source) and self.destination_rests(rests)):
            self.notes.append("wire cut at the end")
            wire.cut()
        self.until(lambda: rests(self.source) and self.destination_rests(rests), "both sides come to rest")

    def destination_rests(self, rests):
        """One that was never shown a header goes on listening."""
        if rests(self.destination):
            return True
        early = self.cell.step in ("header", "handshake")
        return early and self.status(self.destination) == "none" and self.status(self.source) in FINAL

    def left(self):
        at_source, at_destination = self.runs(self.source), self.runs(self.destination)
        self.check(not (at_source and at_destination), "the guest runs on both sides")
        if at_source:
            return S
        if at_destination:
            return D
        if self.source.process.poll() is not None:
            return LOST
        ran = self.cell.fault == "kill destination" and self.cell.step not in BYTE.values() and \
            LOST in self.cell.expected()
        return LOST if ran else N

    def judge(self, left):
        self.result = left
        self.check(left in self.cell.expected(), "expected: %s" % " or ".join(sorted(self.cell.expected())))
        self.source_status, self.destination_status = self.status(self.source), self.status(self.destination)
        self.source_text = ""
        if self.source.process.poll() is None:
            self.source_text = self.source.qmp.command("query-migrate").get("error-desc", "")
            if self.source_status == "failed":
                self.check(self.source_text, "a failed source says why")
                if left in (N, D):
                    self.check("destination may be running" in self.source_text, "the source says that it does not know")
        self.destination_text = self.destination.stderr().splitlines()[-1] if self.destination.stderr() else ""
        if self.destination_status == "exit 1":
            self.check("load of migration failed" in self.destination.stderr(), "the destination says why it ends")
        elif self.destination.process.poll() is not None and self.cell.fault != "kill destination":
            self.problems.append("the destination ended with %s" % self.destination_status)

    def try_again(self):
        if self.status(self.source) == "postcopy-paused":
            self.source.qmp.command("migrate_cancel")
            self.source.qmp.wait("cancelled")
        if not self.runs(self.source):
            self.source.qmp.command("cont")
        second, address = self.listen("second")
        self.migrate(self.source, address)
        self.expect_moved(second)

    def expect_moved(self, destination):
        self.until(lambda: self.status(self.source) in ("completed", "failed"), "the source completes")
        self.until(lambda: self.status(destination) in ("completed", "exit 1"), "the destination completes")
        self.check(self.status(self.source) == "completed", "another attempt works; source %s: %s" % (
            self.status(self.source), self.source.qmp.command("query-migrate").get("error-desc")))
        self.check(self.runs(destination) and not self.runs(self.source), "the guest runs at the destination then")
        with open(self.source.ram, "rb") as a, open(destination.ram, "rb") as b:
            self.check(a.read() == b.read(), "memory is the same then")

    def line(self):
        return "%s %s | %s | source %s%s | destination %s%s%s" % (
            "ok    " if not self.problems else "FAILED", self.cell, getattr(self, "result", "?"),
            getattr(self, "source_status", "?"), self.quoted(getattr(self, "source_text", "")),
            getattr(self, "destination_status", "?"), self.quoted(getattr(self, "destination_text", "")),
            "".join("\n       >> " + p for p in self.problems))

    @staticmethod
    def quoted(text):
        return ' "%s"' % text[:110] if text else ""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--runs", type=int)
    parser.add_argument("--only")
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if not (os.geteuid() == 0 or os.access("/dev/userfaultfd", os.R_OK | os.W_OK)):
        print("SKIP: userfaultfd is not permitted")
        return 77
    cells = short_cells() if not (options.all or options.runs or options.only) else all_cells()
    if options.only:
        cells = [c for c in cells if options.only in " ".join(str(c).split())]
    if options.runs:
        cells = random.Random(options.seed).choices(cells, k=options.runs)
    keys = tempfile.mkdtemp(prefix="godwit-keys-")
    if shutil.which("certtool"):
        subprocess.run([os.path.join(SUPPORT, "make_certificates.sh"), keys], check=True)
    else:
        print("SKIP: certtool is missing, cells with TLS are left out")
        cells = [c for c in cells if not c.tls]
    start, failed, printing = time.monotonic(), 0, threading.Lock()
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for attempt in concurrent.futures.as_completed([pool.submit(Attempt(c, keys).run) for c in cells]):
            attempt = attempt.result()
            failed += bool(attempt.problems)
            with printing:
                print(attempt.line(), flush=True)
    shutil.rmtree(keys, True)
    print("%d cells in %.0f s, %d failed" % (len(cells), time.monotonic() - start, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""Two real processes and a guest between them: what each attempt of the fault matrix needs, whatever goes wrong in it."""
import os
import random
import shutil
import signal
import tempfile
import time

import run_witness
import vm_process as vmm
from cells import D, N, S
from vm_process import Failure, Godwit

MIB = 1 << 20
FINAL = ("completed", "failed", "cancelled")
CANCEL_S = 5.0  # several at a time, on a machine that has other work; limits_test.py holds it to one second
ACCELERATOR = "kvm" if vmm.have_kvm() else "tcg"


def resources(vm):
    """What an attempt must not leave behind: descriptors (the dirty log's among them) and threads."""
    base = "/proc/%d/" % vm.process.pid
    return {"descriptors": len(os.listdir(base + "fd")), "threads": len(os.listdir(base + "task"))}


class Attempt:
    """One line of the matrix. Who runs the guest is asked of the processes and of the guest itself."""

    size = 4 * MIB

    def __init__(self, cell, keys=None):
        self.cell, self.keys = cell, keys
        self.directory = tempfile.mkdtemp(prefix="godwit-matrix-", dir="/dev/shm")
        self.problems, self.machines, self.note = [], [], ""
        self.result = self.source_status = self.destination_status = "?"
        self.source_text = self.destination_text = ""

    def check(self, holds, what):
        if not holds:
            self.problems.append(what)

    def run(self):
        try:
            with run_witness.RunWitness() as self.witness:
                self.go()
            self.problems += self.witness.violations
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
            self.clean_up()
            shutil.rmtree(self.directory, True)
        return self

    def go(self):
        raise NotImplementedError

    def clean_up(self):
        pass

    # ---- machines

    def start(self, name, *extra):
        path = "%s/%s.ram" % (self.directory, name)
        is_source = name == "source"
        with open(path, "wb") as f:
            if is_source:
                generator = random.Random(1)
                for page in range(self.size // 4096):
                    f.write(bytes(4096) if page % 5 == 0 else generator.randbytes(64) * 64)
            else:
                f.truncate(self.size)
        image = run_witness.boot_sector("%s/%s.img" % (self.directory, name))
        vm = Godwit("-machine", "pc,memory-backend=m0", "-accel", ACCELERATOR, "-m", "%dM" % (self.size // MIB),
                    "-object", "memory-backend-file,id=m0,size=%d,mem-path=%s,share=on" % (self.size, path),
                    "-drive", "file=%s,format=raw" % image, *extra, directory=self.directory, qtest=False)
        vm.ram, vm.role = path, name
        self.machines.append(vm)
        self.witness.add(name, path, begins_here=is_source)
        self.step_aside(vm)
        vm.qmp.capabilities(events=True)
        if is_source:
            # What an attempt keeps until the next one, for questions about it, is there from the start.
            vm.qmp.command("migrate", uri="file:/dev/full")
            vm.qmp.wait("failed")
            self.witness.expect_running("source")
        return vm

    @staticmethod
    def step_aside(vm):
        """The guest never rests: it takes what processor time is left over."""
        tasks = "/proc/%d/task" % vm.process.pid
        for task in os.listdir(tasks):
            with open("%s/%s/comm" % (tasks, task)) as f:
                if f.read().startswith("vcpu"):
                    os.setpriority(os.PRIO_PROCESS, int(task), 19)

    # ---- asking

    def status(self, vm):
        try:
            if vm.process.poll() is None:
                return vm.qmp.command("query-migrate").get("status", "none")
        except (Failure, OSError):  # it ends just now
            vm.process.wait(10)
        return "exit %d" % vm.process.returncode

    def error_of(self, vm):
        return vm.qmp.command("query-migrate").get("error-desc", "")

    def runs(self, vm):
        """What the process says, and then the guest too; one that waits for pages while a postcopy is paused says nothing."""
        try:
            running = vm.process.poll() is None and vm.qmp.command("query-status")["status"] == "running"
        except (Failure, OSError):
            vm.process.wait(10)
            return False
        if running and self.status(vm) != "postcopy-paused":
            self.witness.expect_running(vm.role)
        return running

    def until(self, condition, what, seconds=20):
        end = time.monotonic() + seconds
        while not condition():
            if self.source.process.poll() not in (None, -signal.SIGKILL):
                raise Failure("the source ended with status %d: %s" % (self.source.process.returncode, self.source.stderr()))
            if time.monotonic() > end:
                raise Failure("not within %d s: %s" % (seconds, what() if callable(what) else what))
            time.sleep(0.01)  # a status has no descriptor to wait on when a process may also end

    def note_texts(self):
        """Of both sides, for the line that is printed."""
        self.source_status, self.destination_status = self.status(self.source), self.status(self.destination)
        if self.source.process.poll() is None:
            self.source_text = self.error_of(self.source)
        self.destination_text = (self.destination.stderr().splitlines() or [""])[-1]

    # ---- what must hold

    def expect_given_back(self, before):
        now = lambda: resources(self.source)
        self.until(lambda: all(now()[what] <= before[what] for what in before),
                   lambda: "the source has given back what it took: %s, now %s" % (before, now()))

    def expect_moved(self, destination):
        self.until(lambda: self.status(self.source) in ("completed", "failed"), "the source completes")
        self.until(lambda: self.status(destination) in ("completed", "exit 1"), "the destination completes")
        self.check(self.status(self.source) == "completed", "another attempt works; source %s: %s" % (
            self.status(self.source), self.error_of(self.source)))
        self.check(self.runs(destination) and not self.runs(self.source), "the guest runs at the destination then")
        self.expect_same_memory(destination)

    def expect_same_memory(self, destination):
        """But for the pages that the witness and the guest write."""
        with open(self.source.ram, "rb") as a, open(destination.ram, "rb") as b:
            left, arrived = a.read(), b.read()
        differ = [page for page in range(len(left) // 4096) if page not in run_witness.PAGES and
                  left[page * 4096:page * 4096 + 4096] != arrived[page * 4096:page * 4096 + 4096]]
        self.check(not differ, "memory is the same then; pages %s differ" % differ[:8])

    # ---- its line

    def line(self):
        return "%s %s | %s | source %s%s | destination %s%s%s%s" % (
            "ok    " if not self.problems else "FAILED", self.cell, self.result,
            self.source_status, self.quoted(self.source_text), self.destination_status,
            self.quoted(self.destination_text), self.note, "".join("\n       >> " + p for p in self.problems))

    @staticmethod
    def quoted(text):
        return ' "%s"' % text[:110] if text else ""

"""What runs out during a migration, or is used up by others: a disk, descriptors, memory, a monitor's time."""
import contextlib
import dataclasses
import os
import resource
import socket
import subprocess
import sys
import threading
import time

import vm_process as vmm
from attempt import CANCEL_S, FINAL, MIB, Attempt, resources
from cells import D, S
from vm_process import Failure

OWN_MOUNTS = "GODWIT_OWN_MOUNTS"
SAYS_NO_DESCRIPTORS = "Too many open files"
SAYS_NO_MEMORY = ("Out of memory", "Cannot allocate memory", "Could not allocate", "Resource temporarily unavailable")


@dataclasses.dataclass(frozen=True)
class Cell:
    what: str  # full disk, descriptors, memory, monitor
    where: str
    how: str

    def __str__(self):
        return "%-11s %-15s %-27s" % (self.what, self.where, self.how)


def all_cells():
    cells = [Cell("full disk", "source", how) for how in ("file", "mapped-ram", "mapped-ram, multifd", "exec")]
    for side in ("source", "destination"):
        cells += [Cell("descriptors", side, how) for how in ("plain", "return path", "multifd", "preempt")]
        cells += [Cell("memory", side, how) for how in ("multifd", "xbzrle")]
    cells += [Cell("descriptors", "source", "exec"), Cell("out of memory", "destination", "killed")]
    cells += [Cell("monitor", "source", how) for how in ("commands without end", "answers not read", "cancel")]
    return cells


def attempt(cell):
    kind = {"full disk": FullDisk, "descriptors": NoDescriptors, "memory": NoMemory, "out of memory": Killed,
            "monitor": BusyMonitor}[cell.what]
    return kind(cell)


# ---- a file system of our own: nothing of it outlives this process

def needs_own_mounts():
    return os.geteuid() == 0 and OWN_MOUNTS not in os.environ


def enter_own_mounts():
    """Runs this program again where its mounts are nobody else's."""
    command = ["unshare", "--mount", "--propagation", "private"]
    if subprocess.run([*command, "true"], check=False, stderr=subprocess.DEVNULL).returncode == 0:
        os.environ[OWN_MOUNTS] = "1"
        os.execvp(command[0], [*command, sys.executable, "-B", *sys.argv])


class Shortage(Attempt):
    LANES = {"return path": ("return-path",), "multifd": ("multifd", "return-path"), "preempt": ("postcopy-ram", "postcopy-preempt"),
             "xbzrle": ("xbzrle", "return-path")}

    def start(self, name, *extra):
        vm = super().start(name, *extra)
        vm.qmp.command("migrate-set-parameters", max_bandwidth=0, multifd_channels=3)
        vm.qmp.capabilities(**dict.fromkeys(self.LANES.get(self.cell.how, ()), True))
        return vm

    def skip(self, why):
        self.result = "SKIP: " + why

    def migrate(self, uri):
        """The error of the command, if it has one."""
        self.source.qmp.events.clear()
        return self.source.qmp.execute("migrate", {"uri": uri}).get("error", {}).get("desc")

    def end_of_attempt(self):
        self.until(lambda: self.status(self.source) in FINAL, "the source ends")
        return self.status(self.source)

    def expect_at_source(self, *texts):
        """The guest runs on there, and the source says why; what it says is returned."""
        self.check(self.status(self.source) == "failed", "the source fails, and is %s" % self.status(self.source))
        said = self.error_of(self.source)
        self.check(any(text in said for text in texts), "the source says %s: %s" % (" or ".join(texts), said))
        if self.runs(self.source):
            self.result = S
        self.check(self.result == S, "the guest runs at the source")
        self.source_text = said
        return said

    def listen(self, name):
        vm = self.start(name, "-incoming", "defer")
        vm.uri = "unix:%s/%s.m" % (self.directory, name)
        return vm


class FullDisk(Shortage):
    """A file system of 1 MiB; then it gets larger."""

    def go(self):
        if OWN_MOUNTS not in os.environ:
            return self.skip("needs root, to mount a file system")
        self.disk = self.directory + "/disk"
        os.mkdir(self.disk)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "disk", self.disk], check=True)
        self.source = self.start("source")
        if self.cell.how.startswith("mapped-ram"):
            self.source.qmp.capabilities(mapped_ram=True, multifd="multifd" in self.cell.how)
        before = resources(self.source)
        path = self.disk + "/guest"
        uri = ("exec:cat > " if self.cell.how == "exec" else "file:") + path
        self.migrate(uri)
        self.end_of_attempt()
        if self.cell.how == "exec":
            self.expect_at_source("Unable to write to command: Broken pipe")  # as in 7.2; more is in the log
            self.check("No space left on device" in self.source.stderr() and "exited with status 1" in
                       self.source.stderr(), "the log says what the command said: %s" % self.source.stderr())
        else:
            self.expect_at_source("No space left on device")
        self.source_status = "failed"
        self.expect_given_back(before)
        subprocess.run(["mount", "-o", "remount,size=64m", self.disk], check=True)
        self.migrate(uri)
        self.check(self.end_of_attempt() == "completed", "it works with room: %s" % self.error_of(self.source))
        self.destination = self.start("destination", "-incoming", "defer")
        if self.cell.how.startswith("mapped-ram"):
            self.destination.qmp.capabilities(mapped_ram=True, multifd="multifd" in self.cell.how)
        self.destination.qmp.command("migrate-incoming", uri=uri.replace("cat >", "cat"))
        self.expect_moved(self.destination)
        self.destination_status = self.status(self.destination)

    def clean_up(self):
        if hasattr(self, "disk"):
            subprocess.run(["umount", self.disk], check=True)


@contextlib.contextmanager
def limited(vm, what, limit):
    """The soft limit of another process, until the end."""
    soft, hard = resource.prlimit(vm.process.pid, what)
    resource.prlimit(vm.process.pid, what, (limit, hard))
    try:
        yield
    finally:
        if vm.process.poll() is None:
            resource.prlimit(vm.process.pid, what, (soft, hard))


class Stepwise(Shortage):
    """One side has nothing to spare, then a little, then more, until the guest has moved."""

    MOST_STEPS = 40

    def go(self):
        self.source = self.start("source")
        before = resources(self.source)
        self.refusals = 0
        for step in range(self.MOST_STEPS):
            self.destination = self.listen("destination%d" % step)
            if self.moves(step):
                break
            self.refusals += 1
            self.expect_given_back(before)
            self.machines.remove(self.destination)
            self.destination.end()
        else:
            raise Failure("never enough in %d steps" % self.MOST_STEPS)
        self.check(self.refusals > 0, "it was ever too little")
        self.expect_moved(self.destination)
        self.source_status, self.destination_status = self.status(self.source), self.status(self.destination)
        self.note = ", %d refusals before" % self.refusals
        self.result = D if self.result == "?" else "%s, then %s" % (self.result, D)

    def moves(self, step):
        """Whether the guest does, with `step` of what there is. If not, it runs at the source, and everybody says why."""
        limited_side = self.source if self.cell.where == "source" else self.destination
        with self.scarce(limited_side, step):
            refused = self.begin()
            if refused:
                self.check(self.says_why(refused), "the refusal says why: %s" % refused)
                self.source_text = refused
                self.expect_runs_at_source()
                return False
            ended = lambda: self.status(self.source) in FINAL
            self.until(lambda: ended() or self.waits(), "the source ends, or the destination waits for its limit")
        if not ended():  # the destination had not enough to accept a connection, and goes on now
            self.refusals += 1
            self.end_of_attempt()
        if self.status(self.source) == "completed":
            return True
        self.check(self.status(self.source) == "failed", "the source is %s" % self.status(self.source))
        self.expect_runs_at_source()
        said = self.error_of(self.source)
        if self.cell.where == "source":
            self.check(self.says_why(said), "the source says why: %s" % said)
            self.source_text = said
        else:
            # One that could not even look at who called goes on listening.
            self.until(lambda: self.destination.process.poll() == 1 or "was not let in" in self.destination.stderr(),
                       lambda: "the destination ends or refuses: %s" % self.status(self.destination))
            self.check(self.says_why(self.destination.stderr()), "the destination says why: %s" % self.destination.stderr())
            self.destination_text = self.destination.stderr().splitlines()[-1]
        return False

    def begin(self):
        """The error of a command, if one has it."""
        answer = self.destination.qmp.execute("migrate-incoming", {"uri": self.destination.uri})
        if "error" in answer:
            return answer["error"]["desc"]
        target = self.destination.uri
        if self.cell.how == "exec":
            target = "exec:%s -c 'import socket, shutil, sys; s = socket.socket(socket.AF_UNIX); s.connect(\"%s\"); " \
                     "shutil.copyfileobj(sys.stdin.buffer, s.makefile(\"wb\"))'" % (sys.executable, target[5:])
        refused = self.migrate(target)
        if not refused and self.cell.how == "preempt":
            self.source.qmp.execute("migrate-start-postcopy")  # refused where it has failed already
        return refused

    def expect_runs_at_source(self):
        self.check(self.runs(self.source), "the guest runs at the source, and is %s" %
                   self.source.qmp.command("query-status")["status"])
        self.result = S

    def waits(self):
        return False


class NoDescriptors(Stepwise):
    def scarce(self, vm, step):
        """So that it can open `step` more."""
        taken = {int(fd) for fd in os.listdir("/proc/%d/fd" % vm.process.pid)}
        free = [fd for fd in range(len(taken) + step + 1) if fd not in taken]
        return limited(vm, resource.RLIMIT_NOFILE, free[step])

    def says_why(self, text):
        return SAYS_NO_DESCRIPTORS in text

    def waits(self):
        return self.cell.where == "destination" and "waits for descriptors" in self.destination.stderr()


class NoMemory(Stepwise):
    """Of its address space: what the kernel grants beyond it, nobody knows. Stacks and arenas make the steps large."""

    def scarce(self, vm, step):
        with open("/proc/%d/status" % vm.process.pid) as f:
            size = [int(line.split()[1]) * 1024 for line in f if line.startswith("VmSize")][0]
        return limited(vm, resource.RLIMIT_AS, size + (step * step) * MIB)

    def says_why(self, text):
        return any(each in text for each in SAYS_NO_MEMORY)


class Killed(Shortage):
    """The kernel kills the destination in the middle of the load, since its cgroup has no memory left."""

    size = 32 * MIB

    def go(self):
        self.source = self.start("source")
        before = resources(self.source)
        self.destination = self.listen("destination")
        if not self.confine(self.destination, 8 * MIB):
            return self.skip("no cgroup whose memory can be limited")
        self.destination.qmp.command("migrate-incoming", uri=self.destination.uri)
        self.migrate(self.destination.uri)
        self.end_of_attempt()
        self.check(self.destination.wait_exit() == -9, "the destination is killed: %s" % self.status(self.destination))
        self.expect_at_source("Unable to write to socket", "Connection reset", "closed")
        self.note_texts()
        self.expect_given_back(before)
        second = self.listen("second")
        second.qmp.command("migrate-incoming", uri=second.uri)
        self.migrate(second.uri)
        self.expect_moved(second)

    def confine(self, vm, limit):
        for base, name in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
            self.group = "%s/godwit-test-%d" % (base, vm.process.pid)
            try:
                os.mkdir(self.group)
                for file, value in ((name, limit), ("cgroup.procs", vm.process.pid)):
                    with open("%s/%s" % (self.group, file), "w") as f:
                        f.write(str(value))
                return True
            except OSError:
                with contextlib.suppress(OSError):
                    os.rmdir(self.group)
        return False

    def clean_up(self):
        if hasattr(self, "group") and os.path.isdir(self.group):
            self.until(self.group_is_gone, "the cgroup is empty")

    def group_is_gone(self):
        with contextlib.suppress(OSError):
            os.rmdir(self.group)
        return not os.path.isdir(self.group)


class BusyMonitor(Shortage):
    """Other clients of the source's monitor, who ask without end."""

    MOST_S = 20
    MOST_KIB = 128 * 1024
    QUESTIONS = b'{"execute": "query-migrate"}\n' * 500

    def start(self, name, *extra):
        if name == "source":
            extra += ("-qmp", "unix:%s/other,server=on,wait=off" % self.directory)
        return super().start(name, *extra)

    def go(self):
        self.source = self.start("source")
        self.destination = self.listen("destination")
        self.destination.qmp.command("migrate-incoming", uri=self.destination.uri)
        if self.cell.how == "cancel":
            self.source.qmp.command("migrate-set-parameters", max_bandwidth=100_000)
        before = self.memory_kib()
        other = vmm.connect(self.directory + "/other", self.source.process)
        ending = threading.Event()
        threads = [threading.Thread(target=self.ask, args=(other, ending), daemon=True)]
        if self.cell.how != "answers not read":
            threads.append(threading.Thread(target=self.drain, args=(other,), daemon=True))
        for thread in threads:
            thread.start()
        try:
            self.look_on()
            self.check(self.memory_kib() - before < self.MOST_KIB, "memory is bounded: %d KiB, then %d" % (
                before, self.memory_kib()))
        finally:
            ending.set()
            other.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()
            other.close()
        self.note_texts()

    def look_on(self):
        self.until(lambda: self.asked, "the other client asks")
        start = time.monotonic()
        self.migrate(self.destination.uri)
        if self.cell.how == "cancel":
            self.source.qmp.wait("active")
            start = time.monotonic()
            self.source.qmp.command("migrate_cancel")
            self.source.qmp.wait("cancelled")
            self.took = took = time.monotonic() - start
            self.check(took < CANCEL_S, "cancel took %.2f s" % took)
            self.check(self.runs(self.source), "the guest runs at the source")
            self.result = S
        else:
            self.source.qmp.wait("completed", self.MOST_S)
            took = time.monotonic() - start
            self.expect_moved(self.destination)
            self.result = D
        self.note = ", %.2f s beside %d commands" % (took, self.asked)

    asked = 0

    def ask(self, other, ending):
        with contextlib.suppress(OSError):
            other.sendall(b'{"execute": "qmp_capabilities"}\n')
            while not ending.is_set():
                other.sendall(self.QUESTIONS)
                self.asked += 500

    def drain(self, other):
        with contextlib.suppress(OSError):
            while other.recv(1 << 20):
                pass

    def memory_kib(self):
        with open("/proc/%d/status" % self.source.process.pid) as f:
            return [int(line.split()[1]) for line in f if line.startswith("VmRSS")][0]

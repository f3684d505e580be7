"""A migration over a wire that goes wrong at one step, and what must hold afterwards."""
import signal
import time

import fault_proxy
from attempt import CANCEL_S, FINAL, MIB, Attempt, resources
from cells import BYTE, D, LOST, N, OF_PROCESSES, S, STEPS
from vm_process import Failure

# Of a guest. Without a return path more than the buffers of the sockets hold: what fits is out of the source's hands.
SIZE = {"precopy": 32 * MIB, "answered": 4 * MIB, "postcopy": 4 * MIB}


class BrokenWire(Attempt):
    def __init__(self, cell, keys):
        super().__init__(cell, keys)
        self.size = SIZE[cell.scenario]

    def start(self, name, *extra):
        vm = super().start(name, *extra)
        vm.qmp.capabilities(return_path=self.cell.scenario == "answered", postcopy_ram=self.cell.scenario == "postcopy",
                            multifd=self.cell.lane == "multifd", xbzrle=self.cell.lane == "xbzrle")
        vm.qmp.command("migrate-set-parameters", max_bandwidth=MIB if self.cell.scenario == "postcopy" else 0,
                       max_postcopy_bandwidth=8 * MIB, x_postcopy_timeout=1000)
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

    # ---- one cell

    def go(self):
        self.source = self.start("source")
        self.destination, target = self.listen("destination")
        before = resources(self.source)
        listen = fault_proxy.unix(self.directory + "/wire") if self.cell.transport == "unix" else fault_proxy.tcp(0)
        with fault_proxy.Proxy(listen, target, [self.fault()], opaque=self.cell.tls) as wire:
            address = listen if self.cell.transport == "unix" else fault_proxy.tcp(wire.port)
            self.migrate(self.source, address)
            if not wire.happened.wait(30):
                raise Failure("the step was never reached; source %s" % self.status(self.source))
            self.after_the_fault(wire)
            self.settle(wire)
            self.result = self.left()
            self.judge()
            if self.cell.fault != "kill source" and self.status(self.source) in ("failed", "cancelled"):
                self.expect_given_back(before)
            if self.result in (S, N):
                self.try_again()
            elif self.result == D and self.is_paused():
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
            wire.cut()
        self.until(lambda: rests(self.source) and self.destination_rests(rests), "both sides come to rest")

    def destination_rests(self, rests):
        """One that was never shown a header goes on listening. One that is paused may be just about to run the guest."""
        if rests(self.destination):
            return self.status(self.destination) != "postcopy-paused" or \
                self.destination.qmp.command("query-status")["status"] != "inmigrate"
        early = self.cell.step in ("header", "handshake")
        return early and self.status(self.destination) == "none" and rests(self.source)

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

    def judge(self):
        self.check(self.result in self.cell.expected(), "expected: %s" % " or ".join(sorted(self.cell.expected())))
        self.note_texts()
        if self.source_status == "failed":
            self.check(self.source_text, "a failed source says why")
            if self.result in (N, D):
                self.check("destination may be running" in self.source_text, "the source says that it does not know")
        if self.destination_status == "exit 1":
            self.check("load of migration failed" in self.destination.stderr(), "the destination says why it ends")
        elif self.destination.process.poll() is not None and self.cell.fault != "kill destination":
            self.problems.append("the destination ended with %s" % self.destination_status)

    def try_again(self):
        if self.status(self.source) == "postcopy-paused":
            self.source.qmp.command("migrate_cancel")
            self.source.qmp.wait("cancelled")
        if not self.runs(self.source):
            self.witness.may_return("source")
            self.source.qmp.command("cont")
        second, address = self.listen("second")
        self.migrate(self.source, address)
        self.expect_moved(second)

"""What a running process has given up: system calls, new privileges, its guest's memory in a core file."""
import os
import re
import sys
import tempfile
import shutil
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import vm_process as vmm
from vm_process import GODWIT, Vm

RAM = ("-machine", "none,memory-backend=m0", "-m", "16M", "-object", "memory-backend-ram,id=m0,size=16M")


class Confinement(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="godwit-confined-")
        self.addCleanup(shutil.rmtree, self.directory, True)

    def start(self, *arguments):
        vm = Vm(GODWIT, *RAM, *arguments, directory=self.directory, qtest=False)
        self.addCleanup(vm.end)
        vm.qmp.capabilities(events=True)
        return vm

    def states(self, vm):
        """Of each thread: (no new privileges, filters)."""
        out = set()
        for task in os.listdir("/proc/%d/task" % vm.process.pid):
            with open("/proc/%d/task/%s/status" % (vm.process.pid, task)) as f:
                text = f.read()
            out.add(tuple(int(re.search(r"^%s:\s*(\d+)" % name, text, re.M).group(1)) for name in ("NoNewPrivs", "Seccomp")))
        return out

    def test_every_thread_is_confined_unless_told_otherwise(self):
        self.assertEqual(self.states(self.start()), {(1, 2)})
        self.assertEqual(self.states(self.start("-sandbox", "on")), {(1, 2)})
        inherited = int(re.search(r"^Seccomp:\s*(\d+)", open("/proc/self/status").read(), re.M).group(1))
        self.assertEqual({filters for _, filters in self.states(self.start("-sandbox", "off"))}, {inherited})

    def test_exec_works_unless_it_is_denied(self):
        state = self.directory + "/state"
        vm = self.start()
        vm.qmp.command("migrate", uri="exec:gzip -c > " + state)
        vm.qmp.wait("completed")
        destination = self.start("-incoming", "defer")
        destination.qmp.command("migrate-incoming", uri="exec:gzip -dc " + state)
        destination.qmp.wait("RESUME")
        vm = self.start("-sandbox", "on,spawn=deny")
        self.assertIn("Operation not permitted", vm.qmp.error("migrate", uri="exec:cat > /dev/null"))
        self.assertEqual(vm.qmp.command("query-status")["status"], "running")

    def test_a_started_program_is_confined_too(self):
        out = self.directory + "/out"
        vm = self.start()
        vm.qmp.command("migrate", uri="exec:cat > /dev/null; grep -E 'NoNewPrivs|Seccomp:' /proc/self/status > %s; "
                       "unshare -U true 2>> %s; true" % (out, out))
        vm.qmp.wait("completed")
        with open(out) as f:
            text = f.read()
        self.assertRegex(text, r"NoNewPrivs:\s*1")
        self.assertRegex(text, r"Seccomp:\s*2")
        self.assertIn("Operation not permitted", text)

    def dumped(self, vm):
        """Whether a core file would have the 16 MiB of RAM: what the kernel says of the mapping."""
        with open("/proc/%d/smaps" % vm.process.pid) as f:
            text = f.read()
        areas = re.findall(r"^([0-9a-f]+)-([0-9a-f]+) .*?^VmFlags: ([^\n]*)$", text, re.M | re.S)
        flags = [f for start, end, f in areas if int(end, 16) - int(start, 16) == 16 << 20]
        self.assertTrue(flags)
        return not any("dd" in f.split() for f in flags)

    def test_guest_memory_is_kept_out_of_core_files(self):
        self.assertFalse(self.dumped(self.start()))
        self.assertTrue(self.dumped(self.start("-machine", "dump-guest-core=on")))

    def test_wrong_words_are_refused(self):
        for words in ("maybe", "on,spawn=perhaps", "on,nonsense=1"):
            status, _, error = vmm.run("-sandbox", words)
            self.assertEqual(status, 1, words)
            self.assertIn("-sandbox", error)


if __name__ == "__main__":
    unittest.main(warnings="ignore")

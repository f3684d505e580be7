"""The command line, the memory and objects it asks for, and the queries that show them."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import witness
from vm_process import GODWIT, MIB, NONE, Failure, Godwit, Qmp, run


class CommandLine(unittest.TestCase):
    def refused(self, *options, names):
        status, _, stderr = run("-display", "none", *options)
        self.assertEqual(status, 1, stderr)
        self.assertIn(names, stderr)

    def test_errors_name_the_option_and_end_with_status_1(self):
        self.refused("-bogus", names="-bogus: invalid option")
        self.refused("-m", names="-m: requires an argument")
        self.refused("-m", "1x", names="-m 1x: Parameter 'size'")
        self.refused("-machine", "vax", names="unsupported machine type 'vax'")
        self.refused("-machine", "microvm", names="needs a BIOS image")
        self.refused(*NONE, "-object", "tls-creds-psk,id=t,dir=/nonexistent,endpoint=client",
                     names="Unable to access credentials /nonexistent/keys.psk: No such file or directory")
        self.refused("-kernel", "f", names="not built yet")
        self.refused("-incoming", "cpr,addr.transport=socket,addr.type=unix,addr.path=/p",
                     names="channels of type 'cpr' are not built yet")
        self.refused(*NONE, "-incoming", "main,addr.transport=socket,addr.type=unix",
                     names="Parameter 'channels[0].addr.path' is missing")
        self.refused("-incoming", "main,addr.transport=pigeon", names="does not accept value 'pigeon'")
        self.refused("-accel", "vax", names="no accelerator can be used")

    def test_what_cannot_be_opened_is_named(self):
        self.refused(*NONE, "-serial", "file:/nonexistent/x", names="'/nonexistent/x': No such file or directory")
        self.refused(*NONE, "-qtest", "unix:/nonexistent/q", names="'/nonexistent/q': No such file or directory")
        self.refused(*NONE, "-qmp", "unix:/nonexistent/q,server=on,wait=off", names="/nonexistent/q")
        self.refused(*NONE, "-chardev", "socket,id=c,path=/nonexistent/q", "-mon", "chardev=c,mode=control",
                     names="/nonexistent/q")
        self.refused("-drive", "file=/nonexistent/disk,format=raw", names="/nonexistent/disk")
        self.refused(*NONE, "-object", "memory-backend-file,id=m,size=1M,mem-path=/nonexistent/m",
                     names="can't open backing store /nonexistent/m for guest RAM: No such file or directory")
        self.refused(*NONE, "-global", "migration.nope=1", names="Property 'migration.nope' not found")
        self.refused(*NONE, "-incoming", "bogus:1", names="-incoming bogus:1: ")

    def test_answers_without_a_machine(self):
        for options, text in ((["-help"], "-machine"), (["-version"], "version"), (["-machine", "help"], "pc-q35-1.0"),
                              (["-accel", "help"], "kvm"), (["--help"], "-qmp")):
            status, stdout, stderr = run(*options)
            self.assertEqual((status, stderr), (0, ""))
            self.assertIn(text, stdout)

    def test_everything_a_harness_passes(self):
        with Godwit("-machine", "none,", "-accel", "kvm", "-accel", "tcg", "-accel", "qtest",
                "--name", "g,debug-threads=on",
                "-uuid", "00112233-4455-6677-8899-aabbccddeeff", "-m", "150M", "-vga", "none", "-nographic",
                "-audio", "none", "-no-user-config", "-trace", "migration_*", "-msg", "timestamp=on", "-no-shutdown",
                "-overcommit", "mem-lock=off", "-mem-prealloc", "-monitor", "none", "-serial", "none", "-cpu", "host",
                "-global", "migration.x-events=on", "-global", "migration.x-max-bandwidth=1G") as m:
            self.assertEqual(m.qmp.command("query-name"), {"name": "g"})
            self.assertEqual(m.qmp.command("query-uuid"), {"UUID": "00112233-4455-6677-8899-aabbccddeeff"})
            states = {c["capability"]: c["state"] for c in m.qmp.command("query-migrate-capabilities")}
            self.assertTrue(states["events"])
            self.assertEqual(m.qmp.command("query-migrate-parameters")["max-bandwidth"], 1 << 30)
            self.assertEqual(m.quit(), 0)


class Shell(unittest.TestCase):
    """As harnesses start the program: `/bin/sh -c "exec ..."`. It answers, stays that process, and ends with status 0."""

    PC = "-machine pc -accel kvm -accel tcg -m 64M "
    LINES = (
        "-machine none, -accel qtest",
        "--machine none --accel qtest --nodefaults --no-user-config",
        "-accel qtest -M none -machine suppress-vmdesc=on -machine graphics=off",
        "-accel bogus -accel kvm -accel tcg -accel qtest -machine none",
        "-accel kvm,thread=single -accel tcg,thread=multi -machine none -S",
        PC, PC + "-machine q35", PC + "-cpu host", PC + "-cpu qemu64,+x2apic", PC + "-smp 2", PC + "-smp cpus=2,cores=2",
        "-machine pc,usb=off, -accel kvm -accel tcg -m 1536 -S", "-m size=150M -accel kvm -accel tcg",
        PC + "-name g,debug-threads=on -uuid 00112233-4455-6677-8899-aabbccddeeff -no-shutdown -overcommit mem-lock=off",
        PC + "-drive file=@IMG@,format=raw", PC + "-drive file=@IMG@,format=raw,if=ide,snapshot=on -serial file:@DIR@/s",
        PC + "-drive if=none,id=d0,file=@IMG@,format=raw -device ide-hd,drive=d0,secs=1,cyls=1,heads=1", PC + "@IMG@",
        PC + "-serial null -vga none -nographic -audio none -trace foo -msg timestamp=on",
        PC + "-serial none -monitor none -net none", PC + "-monitor null -serial stdio",
        PC + "-chardev null,id=c0 -serial chardev:c0", PC + "-chardev file,id=c0,path=@DIR@/s -device isa-serial,chardev=c0",
        PC + "-chardev socket,id=c0,path=@DIR@/c,server=on,wait=off -device isa-serial,chardev=c0",
        PC + "-chardev stdio,id=c0 -serial chardev:c0",
        "-machine none -accel qtest -chardev socket,id=m,path=@DIR@/m,server=on,wait=off -mon chardev=m,mode=control",
        "-machine none -accel qtest -chardev socket,id=m,host=127.0.0.1,port=@PORT@,server=on,wait=off "
        "-mon chardev=m,mode=control,pretty=on",
        "-machine none -accel qtest -qmp tcp:127.0.0.1:@PORT@,server,nowait -qmp unix:@DIR@/m,server,nowait",
        "-machine none -accel qtest -qmp-pretty unix:@DIR@/m,server=on,wait=off -only-migratable",
        "-machine none -accel qtest -global migration.x-events=on -global migration.x-max-bandwidth=1M "
        "-global migration.send-section-footer=off -global driver=migration,property=store-global-state,value=off",
        "-accel kvm -accel tcg -object memory-backend-file,id=m,size=64M,mem-path=@DIR@/r,share=on -numa node,memdev=m -m 64M",
        "-accel kvm -accel tcg -object memory-backend-memfd,id=m,size=64M -machine memory-backend=m,aux-ram-share=on",
        "-accel kvm -accel tcg -object memory-backend-ram,id=m,size=64M -M pc,memory-backend=m -m 64M",
        "-machine none -accel qtest -m 4M -mem-path @DIR@/r -mem-prealloc -qtest-log /dev/stderr",
        "-machine none -accel qtest -incoming defer", "-machine none -accel qtest -incoming tcp:127.0.0.1:0 -S",
        "-machine none -accel qtest -incoming unix:@DIR@/i", "-machine none -accel qtest -incoming defer -incoming unix:@DIR@/i",
        "-machine none -accel qtest -incoming main,addr.transport=socket,addr.type=unix,addr.path=@DIR@/i",
        "-machine none -accel qtest -incoming main,addr.transport=socket,addr.type=inet,addr.host=127.0.0.1,addr.port=0",
        """-machine none -accel qtest -incoming '{"channel-type": "main", "addr": {"transport": "socket", "type": "unix", """
        """"path": "@DIR@/i"}}'""",
        "-machine none -accel qtest -incoming 'exec:sleep 600'",
    )

    def test_table(self):
        for line in self.LINES:
            with self.subTest(line), tempfile.TemporaryDirectory(prefix="godwit-test-") as folder:
                image = witness.image(os.path.join(folder, "disk"), 1, 1)
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", 0))
                    port = str(probe.getsockname()[1])
                for placeholder, value in (("@DIR@", folder), ("@IMG@", image), ("@PORT@", port)):
                    line = line.replace(placeholder, value)
                with open(os.path.join(folder, "err"), "w+b") as stderr:
                    shell = subprocess.Popen(
                        ["/bin/sh", "-c", "exec %s -display none -qmp unix:%s/q,server=on,wait=off %s" % (GODWIT, folder, line)],
                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr)
                    try:
                        qmp = Qmp(os.path.join(folder, "q"), shell)
                        waits = "-incoming" in line
                        state = qmp.command("query-status")["status"]
                        self.assertEqual(state, "inmigrate" if waits else "prelaunch" if " -S" in line else "running")
                        self.assertEqual(os.readlink("/proc/%d/exe" % shell.pid), os.path.realpath(GODWIT))
                        qmp.socket.close()
                        shell.send_signal(signal.SIGTERM)
                        self.assertEqual(shell.wait(60), 0)
                    except Failure as failure:
                        stderr.seek(0)
                        self.fail("%s: %s" % (failure, stderr.read().decode()))
                    finally:
                        if shell.poll() is None:
                            shell.kill()
                        shell.wait()


class Channels(unittest.TestCase):
    def test_channels_instead_of_a_uri(self):
        with Godwit(*NONE, "-m", "1M", "-incoming", "defer", qtest=False) as destination, \
             Godwit(*NONE, "-m", "1M", qtest=False) as source:
            text = "need either 'uri' or 'channels' argument"
            where = [{"channel-type": "main",
                      "addr": {"transport": "socket", "type": "unix", "path": destination.path("mig")}}]
            for machine, command in ((source, "migrate"), (destination, "migrate-incoming")):
                self.assertEqual(machine.qmp.error(command), "Parameter 'uri' is missing")
                self.assertEqual(machine.qmp.error(command, uri="unix:/p", channels=where), text)
                self.assertEqual(machine.qmp.error(command, channels=[]), text)
                self.assertEqual(machine.qmp.error(command, channels=[{**where[0], "channel-type": "cpr"}]),
                                 "channels of type 'cpr' are not built yet")
                self.assertEqual(machine.qmp.error(command, channels=[{"channel-type": "main", "addr": {}}]),
                                 "Parameter 'channels[0].addr.transport' is missing")
            source.qmp.capabilities(events=True)
            destination.qmp.command("migrate-incoming", channels=where)
            source.qmp.command("migrate", channels=where)
            source.qmp.wait("completed")
            destination.qmp.wait("RESUME")

    def test_a_failed_load_may_leave_the_process(self):
        with Godwit(*NONE, "-m", "1M", "-incoming", "defer", qtest=False) as machine:
            machine.qmp.capabilities(events=True)
            machine.qmp.command("migrate-incoming", uri="unix:" + machine.path("mig"), exit_on_error=False)
            with socket.socket(socket.AF_UNIX) as peer:
                peer.connect(machine.path("mig"))
                peer.sendall(b"QEVM\0\0\0\3this has a header, and is no migration stream otherwise")
                machine.qmp.wait("failed")
            info = machine.qmp.command("query-migrate")
            self.assertEqual(info["status"], "failed")
            self.assertIn("error-desc", info)
            self.assertEqual(machine.qmp.command("query-status")["status"], "inmigrate")
            self.assertEqual(machine.quit(), 0)


class Memory(unittest.TestCase):
    def ends_at(self, m, size):
        m.write(size - 1, b"\x5a")
        self.assertEqual(m.read(size - 1, 2)[:1], b"\x5a")
        m.write(size, b"\x5a")
        self.assertNotEqual(m.read(size, 1), b"\x5a")

    def test_sizes(self):
        for text, size in (("150M", 150 * MIB), ("64", 64 * MIB), ("1G", 1024 * MIB), ("0.5G", 512 * MIB)):
            with self.subTest(text), Godwit(*NONE, "-m", text) as m:
                self.ends_at(m, size)

    def test_machine_none_has_no_ram_unless_asked(self):
        with Godwit(*NONE) as m:
            m.write(0x1000, b"\x5a")
            self.assertNotEqual(m.read(0x1000, 1), b"\x5a")

    def test_ram_of_a_memfd_object(self):
        with Godwit(*NONE, "-object", "memory-backend-memfd,id=m,size=16M", "-machine", "memory-backend=m") as m:
            self.ends_at(m, 16 * MIB)
            self.assertEqual(m.qmp.command("qom-get", path="/objects/m", property="size"), 16 * MIB)
            self.assertEqual(m.qmp.command("qom-get", path="/machine", property="memory-backend"), "/objects/m")
            self.assertEqual(m.qmp.error("object-del", id="m"), "object 'm' is in use, can not be deleted")

    def test_ram_in_a_shared_file_that_is_unlinked(self):
        with Godwit(*NONE, "-m", "16M", "-object", "memory-backend-file,id=m,size=16M,mem-path=@DIR@/ram,share=on",
                "-numa", "node,memdev=m") as m:
            self.assertEqual(os.path.getsize(m.path("ram")), 16 * MIB)
            with open(m.path("ram"), "rb") as ram:
                os.unlink(m.path("ram"))
                m.write(0x2000, b"shared")
                ram.seek(0x2000)
                self.assertEqual(ram.read(6), b"shared")

    def test_mem_path(self):
        with Godwit(*NONE, "-m", "4M", "-mem-path", "@DIR@/ram") as m:
            self.ends_at(m, 4 * MIB)


class Objects(unittest.TestCase):
    def test_memory_objects_come_and_go(self):
        with Godwit(*NONE, "-object", "memory-backend-ram,id=m0,size=1M", qtest=False) as m:
            qmp = m.qmp
            self.assertEqual(qmp.command("qom-get", path="/objects/m0", property="size"), MIB)
            self.assertEqual(qmp.command("object-add", qom_type="memory-backend-ram", id="m1", size=65536), {})
            self.assertEqual(qmp.command("object-add", qom_type="memory-backend-ram", id="m2", size=4097), {})
            names = [p["name"] for p in qmp.command("qom-list", path="/objects")]
            self.assertEqual(names, ["type", "m0", "m1", "m2"])
            self.assertEqual(qmp.command("object-del", id="m1"), {})
            self.assertEqual(qmp.error("object-del", id="m1"), "object 'm1' not found")
            self.assertEqual(m.quit(), 0)

    def test_texts(self):
        with Godwit(*NONE, qtest=False) as m:
            for text, arguments in (
                    ("Parameter 'qom-type' does not accept value 'bogus'", {"qom-type": "bogus", "id": "z"}),
                    ("Parameter 'qom-type' is missing", {"id": "z"}),
                    ("Parameter 'id' is missing", {"qom-type": "memory-backend-ram", "size": 4096}),
                    ("Parameter 'size' is missing", {"qom-type": "memory-backend-ram", "id": "z"}),
                    ("Parameter 'id' expects an identifier",
                     {"qom-type": "memory-backend-ram", "id": "1 z", "size": 4096}),
                    ("Parameter 'bogus' is unexpected",
                     {"qom-type": "memory-backend-ram", "id": "z", "size": 4096, "bogus": 1}),
                    ("property 'size' of memory-backend-ram doesn't take value '0'",
                     {"qom-type": "memory-backend-ram", "id": "z", "size": 0}),
                    ("Parameter 'mem-path' is missing", {"qom-type": "memory-backend-file", "id": "z", "size": 4096}),
                    ("can't open backing store /nonexistent/x for guest RAM: No such file or directory",
                     {"qom-type": "memory-backend-file", "id": "z", "size": 4096, "mem-path": "/nonexistent/x"}),
                    ("objects of type 'secret' are not built yet", {"qom-type": "secret", "id": "z", "data": "x"})):
                self.assertEqual(m.qmp.error("object-add", **arguments), text)
            huge = m.qmp.error("object-add", qom_type="memory-backend-ram", id="z", size=1 << 62)
            self.assertTrue(huge.startswith("cannot set up guest memory 'z': "), huge)
            m.qmp.command("object-add", qom_type="memory-backend-memfd", id="m", size=4096)
            self.assertEqual(m.qmp.error("object-add", qom_type="memory-backend-ram", id="m", size=4096),
                             "attempt to add duplicate property 'm' to object (type 'container')")
            reply = m.qmp.execute("qom-get", {"path": "/nope", "property": "size"})
            self.assertEqual(reply["error"], {"class": "DeviceNotFound", "desc": "Device '/nope' not found"})
            self.assertEqual(m.qmp.error("qom-get", path="/objects/m", property="nope"),
                             "Property 'memory-backend-memfd.nope' not found")
            self.assertEqual(m.qmp.error("qom-set", path="/objects/m", property="share", value=False),
                             "cannot change property value")
            self.assertIs(m.qmp.command("qom-get", path="m", property="share"), True)


class Queries(unittest.TestCase):
    def test_fresh_machine(self):
        with Godwit(*NONE, qtest=False) as m:
            qmp = m.qmp
            self.assertEqual(qmp.greeting["QMP"]["capabilities"], ["oob"])
            self.assertEqual(qmp.command("query-status"), {"status": "running", "running": True, "singlestep": False})
            self.assertEqual(qmp.command("query-name"), {})
            self.assertEqual(qmp.command("query-uuid"), {"UUID": "00000000-0000-0000-0000-000000000000"})
            self.assertEqual(qmp.command("query-cpus-fast"), [])
            self.assertEqual(qmp.command("query-yank"), [{"type": "chardev", "id": "compat_monitor0"}])
            self.assertEqual(qmp.command("query-kvm"), {"enabled": False, "present": True})
            self.assertEqual(qmp.command("query-block"), [])
            self.assertEqual(qmp.command("query-migrate"), {})
            self.assertEqual(qmp.command("query-vcpu-dirty-limit"), [])
            self.assertEqual(qmp.command("query-dirty-rate"),
                             {"status": "unstarted", "sample-pages": 0, "mode": "page-sampling", "start-time": 0,
                              "calc-time": 0})
            machines = {info["name"]: info for info in qmp.command("query-machines")}
            self.assertEqual(machines["pc-godwit-1.0"]["alias"], "pc")
            self.assertIs(machines["pc-godwit-1.0"]["is-default"], True)
            self.assertEqual(machines["pc-q35-1.0"]["alias"], "q35")
            self.assertIn("none", machines)
            accelerators_ = {info["name"] for info in qmp.command("qom-list-types", implements="accel", abstract=False)}
            self.assertIn("kvm-accel", accelerators_)
            self.assertNotIn("memory-backend-ram", accelerators_)

    def test_human_monitor(self):
        with Godwit(*NONE, qtest=False) as m:
            listed = m.qmp.human("help")
            for line in listed.splitlines():
                self.assertTrue(" -- " in line or line.startswith("\t"), line)
            self.assertIn("info [subcommand] -- show various information about the system state\r\n", listed)
            self.assertEqual(m.qmp.human("info"), m.qmp.human("help info"))
            self.assertEqual(m.qmp.human("info version")[:6], "7.2.0G")

    def test_what_is_not_built_says_so(self):
        with Godwit(*NONE, qtest=False) as m:
            self.assertEqual(m.qmp.error("set-vcpu-dirty-limit", dirty_rate=1),
                             "dirty page limit feature requires KVM with accelerator property 'dirty-ring-size' set'")
            self.assertEqual(m.qmp.error("system_wakeup"), "wake-up from suspend is not supported by this guest")
            self.assertEqual(m.qmp.error("yank", instances=[{"type": "migration"}]), "Instance not found")

    def test_every_command_of_the_schema_answers(self):
        with Godwit(*NONE, qtest=False) as m:
            schema = m.qmp.command("query-qmp-schema")
            wanted = {entry["name"] for entry in schema if entry["meta-type"] == "command"}
            self.assertGreater(len(wanted), 40)
            self.assertEqual({entry["name"] for entry in m.qmp.command("query-commands")}, wanted)


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")

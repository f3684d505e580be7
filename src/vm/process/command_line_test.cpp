#include "vm/process/command_line.h"

#include <boost/json.hpp>
#include <gmock/gmock.h>
#include <sstream>

#include "vm/process/option_table.h"
#include "vm/process/option_values.h"

namespace godwit::vm {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using Kind = ChardevConfig::Kind;

constexpr std::uint64_t mebibyte = 1 << 20;

/// Words are separated by blanks, as by a shell.
Result<CommandLine> parse(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return parse_command_line(words);
}

CommandLine good(const std::string& text) {
  auto parsed = parse(text);
  if (parsed) return *std::move(parsed);
  ADD_FAILURE() << text << ": " << parsed.error().what();
  return {};
}

std::string error_of(const std::string& text) {
  auto parsed = parse(text);
  return parsed ? "no error" : parsed.error().what();
}

TEST(CommandLine, WithoutOptionsIsADefaultPc) {
  const CommandLine line = good("");
  EXPECT_EQ(line.machine.kind, MachineKind::pc);
  EXPECT_EQ(line.machine.machine_name, "pc-godwit-1.0");
  EXPECT_EQ(line.machine.memory->size, 128 * mebibyte);
  EXPECT_EQ(line.machine.memory->kind, MemoryBackend::Kind::anonymous);
  EXPECT_EQ(line.machine.vcpus, 1u);
  EXPECT_THAT(line.machine.accelerators, IsEmpty());
  EXPECT_FALSE(line.machine.incoming);
  EXPECT_FALSE(line.machine.start_stopped);
  EXPECT_THAT(line.process.chardevs, IsEmpty());
  EXPECT_FALSE(line.answer);
}

TEST(CommandLine, TakesOneDashOrTwoInAnyOrder) {
  const CommandLine line = good("--m 64 -S --machine none -name a");
  EXPECT_EQ(line.machine.kind, MachineKind::none);
  EXPECT_EQ(line.machine.memory->size, 64 * mebibyte);
  EXPECT_TRUE(line.machine.start_stopped);
  EXPECT_EQ(line.process.name, "a");
}

TEST(CommandLine, Accelerators) {
  const auto wanted =
      good("-accel kvm,dirty-ring-size=4096 -accel bogus -accel tcg,thread=single -accel qtest")
          .machine.accelerators;
  ASSERT_THAT(wanted, SizeIs(4));
  EXPECT_EQ(wanted[0].name, "kvm");
  EXPECT_EQ(wanted[0].dirty_ring_size, 4096u);
  EXPECT_EQ(wanted[1].name, "bogus");
  EXPECT_EQ(wanted[2].name, "tcg");
  EXPECT_EQ(wanted[3].name, "qtest");
  EXPECT_EQ(good("-enable-kvm").machine.accelerators.front().name, "kvm");
  const auto listed = good("-machine pc,accel=kvm:tcg").machine.accelerators;
  ASSERT_THAT(listed, SizeIs(2));
  EXPECT_EQ(listed[1].name, "tcg");
  EXPECT_THAT(good("-accel help").answer.value_or(""), HasSubstr("kvm"));
  EXPECT_EQ(error_of("-accel kvm,dirty-ring-size=5000"),
            "-accel kvm,dirty-ring-size=5000: dirty-ring-size must be a power of two.");
  EXPECT_EQ(error_of("-accel kvm,bogus=1"), "-accel kvm,bogus=1: Invalid parameter 'bogus'");
}

TEST(CommandLine, MachineNames) {
  EXPECT_EQ(good("-machine pc").machine.machine_name, "pc-godwit-1.0");
  EXPECT_EQ(good("-M q35").machine.machine_name, "pc-q35-1.0");
  EXPECT_EQ(good("-M q35").machine.kind, MachineKind::pc);
  EXPECT_EQ(good("-M pc-godwit-1.0").machine.machine_name, "pc-godwit-1.0");
  const CommandLine none = good("-machine none,");
  EXPECT_EQ(none.machine.machine_name, "none");
  EXPECT_FALSE(none.machine.memory);
  EXPECT_THAT(good("-machine help").answer.value_or(""), HasSubstr("pc-q35-1.0"));
  EXPECT_EQ(error_of("-machine microvm"), "machine microvm needs a BIOS image: -bios FILE");
  EXPECT_EQ(error_of("-machine vax"),
            "-machine vax: unsupported machine type 'vax'. Use -machine help to list supported machines");
}

TEST(CommandLine, MicrovmProperties) {
  const CommandLine line = good(
      "-M microvm,x-option-roms=off,pit=off,pic=on,rtc=on,isa-serial=off,auto-kernel-cmdline=off,acpi=off,"
      "ioapic2=off,kernel-irqchip=split,x-peer=tcg -bios b.bin -m 2M -smp 8");
  EXPECT_EQ(line.machine.kind, MachineKind::microvm);
  EXPECT_EQ(line.machine.machine_name, "microvm");
  EXPECT_EQ(line.machine.bios, "b.bin");
  EXPECT_EQ(line.machine.vcpus, 8u);
  const MicrovmOptions& options = line.machine.microvm;
  EXPECT_FALSE(options.pit);
  EXPECT_TRUE(options.pic);
  EXPECT_EQ(options.rtc, true);
  EXPECT_FALSE(options.serial);
  EXPECT_EQ(options.peer, Peer::translator);
  EXPECT_EQ(good("-M microvm,rtc=auto -bios b").machine.microvm.rtc, std::nullopt);
}

TEST(CommandLine, WhatAMicrovmIsNotIsRefused) {
  EXPECT_EQ(error_of("-M microvm,acpi=on -bios b"),
            "-machine microvm: acpi=on is not built yet: use acpi=off");
  EXPECT_THAT(error_of("-M microvm,kernel-irqchip=off -bios b"),
              HasSubstr("kernel-irqchip=off is not built"));
  EXPECT_THAT(error_of("-M microvm,x-peer=vax -bios b"), HasSubstr("expects auto, kvm or tcg, not 'vax'"));
  EXPECT_THAT(error_of("-M microvm,pit=maybe -bios b"), HasSubstr("pit"));
  EXPECT_THAT(error_of("-M microvm -bios b -smp 9"), HasSubstr("The max CPUs supported"));
  EXPECT_EQ(error_of("-M pc,pic=on"), "Property 'pic' not found");
  EXPECT_THAT(error_of("-M pc -bios b"), HasSubstr("-bios is for machine microvm"));
}

TEST(CommandLine, RepeatedMachineOptionsMerge) {
  const CommandLine line = good(
      "-machine q35, -machine graphics=off -machine aux-ram-share=on,suppress-vmdesc=on -machine "
      "memory-backend=m0 "
      "-object memory-backend-memfd,id=m0,size=150M");
  EXPECT_EQ(line.machine.machine_name, "pc-q35-1.0");
  EXPECT_TRUE(line.machine.suppress_description);
  EXPECT_EQ(line.machine.memory->id, "m0");
  EXPECT_EQ(error_of("-machine pc,bogus=1"), "-machine pc,bogus=1: Property 'bogus' not found");
}

TEST(CommandLine, CpuAndSmp) {
  EXPECT_EQ(good("-cpu qemu64,-pni").machine.cpu_model, "qemu64,-pni");
  EXPECT_EQ(good("-smp 4").machine.vcpus, 4u);
  EXPECT_EQ(good("-smp cpus=2,sockets=1,cores=2,threads=1,maxcpus=2").machine.vcpus, 2u);
  EXPECT_EQ(good("-smp sockets=2,cores=2").machine.vcpus, 4u);
  EXPECT_THAT(error_of("-smp 0"), HasSubstr("-smp 0: Invalid SMP CPUs 0"));
  EXPECT_THAT(error_of("-smp 256"), HasSubstr("The max CPUs supported"));
  EXPECT_THAT(error_of("-smp 2,maxcpus=4"), HasSubstr("not built yet"));
  EXPECT_THAT(error_of("-smp 2 -machine none"), HasSubstr("machine 'none' is 1"));
}

TEST(CommandLine, MemorySizes) {
  EXPECT_EQ(good("-m 150M").machine.memory->size, 150 * mebibyte);
  EXPECT_EQ(good("-m 1536").machine.memory->size, 1536 * mebibyte);
  EXPECT_EQ(good("-m 1G").machine.memory->size, 1024 * mebibyte);
  EXPECT_EQ(good("-m size=2.5G").machine.memory->size, 2560 * mebibyte);
  EXPECT_EQ(good("-m 0").machine.memory->size, 128 * mebibyte);
  EXPECT_EQ(good("-m 64,slots=0,maxmem=64M").machine.memory->size, 64 * mebibyte);
  EXPECT_EQ(good("-m 5000b").machine.memory->size, 8192u);
  EXPECT_EQ(good("-m 64 -machine none").machine.memory->size, 64 * mebibyte);
  EXPECT_THAT(error_of("-m 1x"), HasSubstr("-m 1x: Parameter 'size' expects"));
  EXPECT_THAT(error_of("-m 64,maxmem=128M"), HasSubstr("not built yet"));
}

TEST(CommandLine, NameAndUuid) {
  EXPECT_EQ(good("-name guest1,debug-threads=on").process.name, "guest1");
  EXPECT_EQ(good("-name guest=g,process=p").process.name, "g");
  EXPECT_FALSE(good("").process.name);
  EXPECT_EQ(to_text(*good("-uuid 00112233-4455-6677-8899-aabbccddeeff").machine.uuid),
            "00112233-4455-6677-8899-aabbccddeeff");
  EXPECT_EQ(error_of("-uuid nope"), "-uuid nope: failed to parse UUID string: wrong format");
}

TEST(CommandLine, Disks) {
  EXPECT_EQ(good("-drive file=/tmp/a.img,format=raw").machine.first_disk, "/tmp/a.img");
  EXPECT_EQ(
      good("-drive if=none,id=d0,file=/tmp/a.img,format=raw -device ide-hd,drive=d0,secs=1,cyls=1,heads=1")
          .machine.first_disk,
      "/tmp/a.img");
  EXPECT_EQ(good("-device ide-hd,drive=d0 -drive if=none,id=d0,file=/a,,b,format=raw").machine.first_disk,
            "/a,b");
  EXPECT_EQ(good("-hda x.img").machine.first_disk, "x.img");
  EXPECT_EQ(good("x.img").machine.first_disk, "x.img");
  EXPECT_EQ(good("-drive if=none,id=d0,file=/tmp/a.img").machine.first_disk, "");
  EXPECT_THAT(error_of("-drive file=a,format=qcow2"), HasSubstr("'qcow2' are not built yet"));
  EXPECT_THAT(error_of("-drive file=a,if=virtio"), HasSubstr("if=virtio are not built yet"));
  EXPECT_THAT(error_of("-drive file=a -drive file=b"), HasSubstr("a second disk"));
  EXPECT_THAT(error_of("-device ide-hd,drive=zz"), HasSubstr("can't find value 'zz'"));
  EXPECT_THAT(error_of("-drive file=a,bogus=1"), HasSubstr("Invalid parameter 'bogus'"));
  EXPECT_THAT(error_of("-machine none -drive file=a"), HasSubstr("'none' has no disks"));
  EXPECT_THAT(error_of("-device virtio-blk-pci,drive=d"), HasSubstr("virtio-blk-pci"));
}

TEST(CommandLine, Serial) {
  const CommandLine file = good("-serial file:/tmp/a,b=c");
  ASSERT_THAT(file.process.chardevs, SizeIs(1));
  EXPECT_EQ(file.process.chardevs[0].kind, Kind::file);
  EXPECT_EQ(file.process.chardevs[0].path, "/tmp/a,b=c");
  EXPECT_EQ(file.process.serial_chardev, "serial0");
  EXPECT_EQ(good("-serial null").process.serial_chardev, "");
  EXPECT_EQ(good("-serial none").process.serial_chardev, "");
  EXPECT_EQ(good("-serial stdio").process.chardevs[0].kind, Kind::stdio);
  EXPECT_EQ(good("-serial chardev:c0 -chardev null,id=c0").process.serial_chardev, "c0");
  EXPECT_EQ(good("-device isa-serial,chardev=c0 -chardev file,id=c0,path=/tmp/x -nodefaults")
                .process.serial_chardev,
            "c0");
  EXPECT_EQ(good("-serial none -serial none").process.serial_chardev, "");
  EXPECT_EQ(
      error_of("-serial bogus"),
      "-serial bogus: 'bogus' is not a valid char driver name: unix, tcp, file, stdio, pty and null are");
  EXPECT_THAT(error_of("-serial null -serial stdio"), HasSubstr("a second serial port is not built yet"));
  EXPECT_EQ(error_of("-serial chardev:zz"), "chardev \"zz\" not found");
}

TEST(CommandLine, NographicPutsTheSerialPortOnStdio) {
  EXPECT_EQ(good("-nographic").process.chardevs[0].kind, Kind::stdio);
  EXPECT_THAT(good("-nographic -nodefaults").process.chardevs, IsEmpty());
  EXPECT_THAT(good("-nographic -serial none").process.chardevs, IsEmpty());
  EXPECT_EQ(good("-nographic -qmp stdio").process.serial_chardev, "");
}

TEST(CommandLine, Chardevs) {
  const auto one = [](const std::string& text) { return good("-chardev " + text).process.chardevs.front(); };
  const ChardevConfig client = one("socket,path=/tmp/s,id=c");
  EXPECT_EQ(client.kind, Kind::unix_socket);
  EXPECT_EQ(client.path, "/tmp/s");
  EXPECT_FALSE(client.server);
  const ChardevConfig server = one("socket,id=c,path=/tmp/s,server=on,wait=off");
  EXPECT_TRUE(server.server);
  EXPECT_FALSE(server.wait);
  EXPECT_TRUE(one("socket,id=c,path=/tmp/s,server").wait);
  EXPECT_FALSE(one("socket,id=c,path=/tmp/s,server,nowait").wait);
  const ChardevConfig tcp = one("socket,id=c,host=localhost,port=4444");
  EXPECT_EQ(tcp.kind, Kind::tcp_socket);
  EXPECT_EQ(tcp.host, "localhost");
  EXPECT_EQ(tcp.port, "4444");
  EXPECT_EQ(one("stdio,id=c,signal=off").kind, Kind::stdio);
  EXPECT_EQ(one("null,id=c").kind, Kind::null);
  EXPECT_EQ(one("pty,id=c").kind, Kind::pty);
  EXPECT_TRUE(one("file,id=c,path=/tmp/f,append=on").append);
  EXPECT_THAT(error_of("-chardev bogus,id=y"), HasSubstr("'bogus' is not a valid char driver name"));
  EXPECT_THAT(error_of("-chardev null"), HasSubstr("Parameter 'id' is missing"));
  EXPECT_THAT(error_of("-chardev null,id=1"), HasSubstr("Parameter 'id' expects an identifier"));
  EXPECT_THAT(error_of("-chardev null,id=a -chardev null,id=a"), HasSubstr("Duplicate ID 'a' for chardev"));
  EXPECT_THAT(error_of("-chardev socket,id=a"), HasSubstr("needs either 'path' or 'host' and 'port'"));
  EXPECT_THAT(error_of("-chardev socket,id=a,path=/x,bogus=1"), HasSubstr("Invalid parameter 'bogus'"));
  EXPECT_THAT(error_of("-chardev socket,id=a,path=/x,wait=on"),
              HasSubstr("incompatible with socket in client connect mode"));
  EXPECT_THAT(error_of("-chardev socket,id=a,path=/x,tls-creds=t"), HasSubstr("'tls-creds'"));
  EXPECT_THAT(error_of("-chardev null,id=a,mux=on"), HasSubstr("not built yet"));
}

TEST(CommandLine, Monitors) {
  const ProcessConfig process = good(
                                    "-chardev socket,path=/tmp/s,id=mon0 -mon chardev=mon0,mode=control -qmp "
                                    "unix:/tmp/q,server=on,wait=off "
                                    "-qmp tcp:localhost:4444,server,nowait -qmp-pretty stdio")
                                    .process;
  ASSERT_THAT(process.monitors, SizeIs(4));
  EXPECT_EQ(process.monitors[0].chardev, "mon0");
  EXPECT_EQ(process.monitors[1].chardev, "compat_monitor0");
  EXPECT_TRUE(process.monitors[3].pretty);
  ASSERT_THAT(process.chardevs, SizeIs(4));
  EXPECT_EQ(process.chardevs[1].path, "/tmp/q");
  EXPECT_TRUE(process.chardevs[1].server);
  EXPECT_FALSE(process.chardevs[1].wait);
  EXPECT_EQ(process.chardevs[2].host, "localhost");
  EXPECT_EQ(process.chardevs[2].port, "4444");
  EXPECT_FALSE(process.chardevs[2].wait);
  EXPECT_EQ(good("-qmp tcp:[::1]:5,server,nowait").process.chardevs[0].host, "::1");
  EXPECT_EQ(good("-qmp tcp::5,server,nowait").process.chardevs[0].host, "");
  EXPECT_THAT(good("-qmp none -monitor none -monitor null").process.monitors, IsEmpty());
  EXPECT_EQ(error_of("-mon chardev=nope,mode=control"), "chardev \"nope\" not found");
  EXPECT_THAT(error_of("-monitor stdio"), HasSubstr("human monitor is not built yet"));
  EXPECT_THAT(error_of("-chardev null,id=a -mon chardev=a"), HasSubstr("human monitor is not built yet"));
  EXPECT_THAT(error_of("-chardev stdio,id=a -mon chardev=a,mode=control -serial chardev:a"),
              HasSubstr("already in use"));
  EXPECT_THAT(error_of("-qmp stdio -serial stdio"), HasSubstr("stdio"));
  EXPECT_THAT(error_of("-qmp tcp:localhost"), HasSubstr("is not HOST:PORT"));
  EXPECT_THAT(error_of("-qmp unix:"), HasSubstr("lacks an address"));
}

TEST(CommandLine, WarnsOfChardevsThatNothingUses) {
  EXPECT_THAT(good("-chardev null,id=c").process.warnings,
              ElementsAre(HasSubstr("chardev \"c\" is not used")));
  EXPECT_THAT(good("-chardev null,id=c -serial chardev:c").process.warnings, IsEmpty());
  EXPECT_THAT(good("-qmp unix:/x,server,nowait").process.warnings, IsEmpty());
}

TEST(CommandLine, Qtest) {
  EXPECT_EQ(good("-qtest unix:/tmp/q.sock -qtest-log /dev/null").process.qtest_socket, "/tmp/q.sock");
  EXPECT_THAT(error_of("-qtest tcp:localhost:1"), HasSubstr("qtest connects to unix:PATH"));
  EXPECT_THAT(error_of("-qtest unix:/x,server=on,wait=off"), HasSubstr("qtest connects to unix:PATH"));
}

TEST(CommandLine, AcceptsWhatChangesNothing) {
  const CommandLine line = good(
      "-display none -vga none -nographic -audio none -audio driver=none,id=a -nodefaults -no-user-config "
      "-trace migration_* "
      "-msg timestamp=on -S -no-shutdown -overcommit mem-lock=on -mem-prealloc -qtest-log /dev/stderr -net "
      "none -nic none");
  EXPECT_TRUE(line.process.timestamps);
  EXPECT_TRUE(line.process.keep_on_shutdown);
  EXPECT_TRUE(line.machine.lock_memory);
  EXPECT_TRUE(line.machine.memory->prealloc);
  EXPECT_TRUE(line.machine.start_stopped);
  EXPECT_THAT(error_of("-display gtk"), HasSubstr("there is no display"));
  EXPECT_THAT(error_of("-vga std"), HasSubstr("no graphics adapter"));
  EXPECT_THAT(error_of("-nic user"), HasSubstr("not built yet"));
}

TEST(CommandLine, MemoryInAFile) {
  const CommandLine line = good("-m 64 -mem-path /dev/shm/ram -mem-prealloc");
  EXPECT_EQ(line.machine.memory->kind, MemoryBackend::Kind::file);
  EXPECT_EQ(line.machine.memory->path, "/dev/shm/ram");
  EXPECT_FALSE(line.machine.memory->share);
  EXPECT_TRUE(line.machine.memory->prealloc);

  const CommandLine object = good(
      "-object memory-backend-file,id=ram,size=64M,mem-path=/dev/shm/x,share=on -numa node,memdev=ram -m "
      "64M");
  EXPECT_EQ(object.machine.memory->id, "ram");
  EXPECT_EQ(object.machine.memory->kind, MemoryBackend::Kind::file);
  EXPECT_TRUE(object.machine.memory->share);
  EXPECT_EQ(object.process.ram_backend, "ram");
}

TEST(CommandLine, MemoryFromAnObject) {
  const CommandLine line = good("-object memory-backend-memfd,id=m,size=1G -machine memory-backend=m");
  EXPECT_EQ(line.machine.memory->size, 1024 * mebibyte);
  EXPECT_EQ(line.machine.memory->kind, MemoryBackend::Kind::memfd);
  EXPECT_TRUE(line.machine.memory->share) << "memfd is shared unless told otherwise";
  EXPECT_FALSE(good("-object memory-backend-ram,id=m,size=4k").process.memory_backends[0].share);
  EXPECT_EQ(
      good("-object memory-backend-memfd,id=m,size=4M,hugetlb=on").process.memory_backends[0].huge_page_size,
      2 * mebibyte);
  const auto json = good(R"(-object {"qom-type":"memory-backend-ram","id":"m","size":65536,"share":true})");
  ASSERT_THAT(json.process.memory_backends, SizeIs(1));
  EXPECT_EQ(json.process.memory_backends[0].size, 65536u);
  EXPECT_TRUE(json.process.memory_backends[0].share);

  EXPECT_EQ(error_of("-machine memory-backend=zz"), "Memory backend 'zz' not found");
  EXPECT_EQ(error_of("-object memory-backend-ram,id=a,size=64M -machine memory-backend=a -m 32M"),
            "Machine memory size does not match the size of the memory backend");
  EXPECT_EQ(error_of("-object memory-backend-ram,id=m"),
            "-object memory-backend-ram,id=m: Parameter 'size' is missing");
  EXPECT_THAT(error_of("-object memory-backend-ram,size=1M"), HasSubstr("Parameter 'id' is missing"));
  EXPECT_THAT(error_of("-object memory-backend-file,id=f,size=1M"),
              HasSubstr("Parameter 'mem-path' is missing"));
  EXPECT_THAT(error_of("-object memory-backend-ram,id=m,size=0"),
              HasSubstr("property 'size' of memory-backend-ram doesn't take value '0'"));
  EXPECT_THAT(error_of("-object memory-backend-ram,id=m,size=1M -object memory-backend-ram,id=m,size=1M"),
              HasSubstr("attempt to add duplicate property 'm' to object (type 'container')"));
  EXPECT_THAT(error_of("-object bogus,id=x"),
              HasSubstr("Parameter 'qom-type' does not accept value 'bogus'"));
  EXPECT_THAT(error_of("-object {broken"), HasSubstr("JSON parse error"));
}

TEST(CommandLine, TakesSecurityObjectsAsObjectAddDoes) {
  const auto object = [](const std::string& option) {
    return boost::json::serialize(good("-object " + option).process.objects.at(0));
  };
  EXPECT_EQ(object("tls-creds-x509,id=t,dir=/x,endpoint=server,verify-peer=off"),
            R"({"qom-type":"tls-creds-x509","id":"t","verify-peer":false,"dir":"/x","endpoint":"server"})");
  EXPECT_EQ(
      object("authz-list,id=a,rules.0.match=CN=*,rules.0.policy=allow,rules.0.format=glob,rules.1.match=x"),
      R"({"qom-type":"authz-list","id":"a","rules":[{"match":"CN=*","policy":"allow","format":"glob"},)"
      R"({"match":"x"}]})");
  EXPECT_THAT(error_of("-object authz-list,id=a,rules.1.match=x"), HasSubstr("'rules.0' is missing"));
}

TEST(CommandLine, NamesWhatIsNotBuiltYet) {
  EXPECT_THAT(error_of("-object secret,id=s,data=x"), HasSubstr("'secret' are not built yet"));
  for (const char* option : {"-kernel f", "-initrd f", "-append x"})
    EXPECT_THAT(error_of(option), HasSubstr("not built yet"));
  EXPECT_THAT(error_of("-incoming cpr,addr.transport=socket,addr.type=unix,addr.path=/x"),
              HasSubstr("channel"));
  EXPECT_THAT(error_of(R"(-incoming {"channel-type":"main"})"), HasSubstr("Parameter 'addr' is missing"));
  const auto channels =
      good("-incoming defer -incoming main,addr.transport=file,addr.filename=/f,addr.offset=4k").process;
  EXPECT_FALSE(channels.incoming);
  ASSERT_THAT(channels.incoming_channels, SizeIs(1));
  EXPECT_EQ(channels.incoming_channels[0].addr.filename, "/f");
  EXPECT_EQ(channels.incoming_channels[0].addr.offset, 4096U);
  const auto command = good("-incoming main,addr.transport=exec,addr.args.0=cat,addr.args.1=/f");
  EXPECT_EQ(command.process.incoming_channels[0].addr.args, (std::vector<std::string>{"cat", "/f"}));
}

TEST(CommandLine, Globals) {
  const ProcessConfig process = good(
                                    "-global migration.x-events=on --global migration.x-max-bandwidth=1G "
                                    "-global driver=migration,property=send-configuration,value=off -global "
                                    "mc146818rtc.lost_tick_policy=slew")
                                    .process;
  ASSERT_THAT(process.migration_globals, SizeIs(3));
  EXPECT_EQ(process.migration_globals[0].property, "x-events");
  EXPECT_EQ(process.migration_globals[0].value, "on");
  EXPECT_EQ(process.migration_globals[1].value, "1G");
  EXPECT_EQ(process.migration_globals[2].property, "send-configuration");
  EXPECT_THAT(process.warnings, ElementsAre(HasSubstr("mc146818rtc")));
  EXPECT_THAT(error_of("-global migration"), HasSubstr("Parameter 'driver' is missing"));
}

TEST(CommandLine, Incoming) {
  for (const char* uri : {"defer", "tcp:0:4444", "tcp:[::1]:0", "unix:/tmp/a,b", "fd:7", "exec:cat</tmp/x",
                          "file:/tmp/x,offset=4096"}) {
    const CommandLine line = good(std::string("-incoming ") + uri);
    EXPECT_EQ(line.process.incoming, uri);
    EXPECT_TRUE(line.machine.incoming);
  }
}

TEST(CommandLine, NamesUnknownOptionsAndMissingArguments) {
  EXPECT_EQ(error_of("-bogus"), "-bogus: invalid option");
  EXPECT_EQ(error_of("--bogus"), "--bogus: invalid option");
  EXPECT_EQ(error_of("-"), "-: invalid option");
  EXPECT_EQ(error_of("-m"), "-m: requires an argument");
}

TEST(CommandLine, HelpNamesEveryOption) {
  const std::string help = good("-help").answer.value_or("");
  for (const Option& option : option_table()) {
    if (!option.help.empty()) {
      EXPECT_THAT(help, HasSubstr("-" + std::string(option.name)));
    }
  }
  EXPECT_EQ(good("-h").answer, help);
  EXPECT_THAT(good("-version").answer.value_or(""), HasSubstr("version"));
}

}  // namespace
}  // namespace godwit::vm

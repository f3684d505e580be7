#include "vm/process/option_table.h"

#include "base/fail.h"
#include "vm/process/option_handlers.h"

namespace godwit::vm {

namespace {

constexpr Option table[] = {
    {"h", "", "", options::help},
    {"help", "", "print this and end", options::help},
    {"version", "", "print the version and end", options::version},

    {"machine", "[type=]NAME[,memory-backend=ID][,suppress-vmdesc=on]", "the machine; 'help' lists them",
     options::machine},
    {"M", "NAME", "the same", options::machine},
    {"bios", "FILE", "the BIOS image of machine microvm; a multiple of 64 KiB", options::bios},
    {"accel", "NAME[,dirty-ring-size=N]", "kvm, tcg or qtest; of several the first that can be used",
     options::accelerator},
    {"enable-kvm", "", "-accel kvm", options::enable_kvm},
    {"cpu", "MODEL[,FEATURES]", "the processor's model", options::cpu},
    {"smp", "[cpus=]N", "how many processors", options::smp},
    {"m", "[size=]SIZE", "RAM; MiB without a suffix (default 128)", options::memory},
    {"mem-path", "PATH", "put the RAM into this file", options::memory_path},
    {"mem-prealloc", "", "have all of the RAM at the start", options::memory_prealloc},
    {"numa", "node,memdev=ID", "the RAM is this memory object", options::numa},
    {"object", "TYPE,id=ID,...", "make an object; 'help' lists the types", options::object},
    {"overcommit", "mem-lock=on", "keep all memory from being swapped out", options::overcommit},
    {"name", "NAME[,debug-threads=on]", "the guest's name", options::name},
    {"uuid", "UUID", "the guest's identity", options::uuid},

    {"drive", "file=PATH,format=raw[,if=none,id=ID]", "the disk whose first sector is booted",
     options::drive},
    {"hda", "PATH", "the same, in short", options::hard_disk},
    {"device", "ide-hd,drive=ID | isa-serial,chardev=ID", "a device; 'help' lists them", options::device},
    {"chardev", "BACKEND,id=ID,...", "a character device: socket, file, stdio, pty, null", options::chardev},
    {"serial", "DEVICE", "COM1: file:PATH, stdio, unix:PATH, chardev:ID, null, none", options::serial},
    {"kernel", "FILE", "not built yet", options::kernel},
    {"initrd", "FILE", "not built yet", options::kernel},
    {"append", "TEXT", "not built yet", options::kernel},
    {"display", "none", "accepted", options::display},
    {"vga", "none", "accepted", options::vga},
    {"nographic", "", "COM1 on standard input and output", options::nographic},
    {"audio", "none", "accepted", options::audio},
    {"net", "none", "accepted", options::network},
    {"nic", "none", "accepted", options::network},
    {"nodefaults", "", "no devices but those named", options::no_defaults},
    {"no-user-config", "", "accepted: there are no configuration files", options::accepted},

    {"qmp", "DEVICE", "a QMP monitor: unix:PATH,server=on,wait=off, tcp:HOST:PORT, stdio", options::qmp},
    {"qmp-pretty", "DEVICE", "the same with indented output", options::qmp_pretty},
    {"mon", "chardev=ID,mode=control[,pretty=on]", "a QMP monitor on a character device", options::mon},
    {"monitor", "none", "accepted: the human monitor is not built yet", options::monitor},
    {"qtest", "unix:PATH", "connect to a listener and serve the qtest protocol", options::qtest},
    {"qtest-log", "PATH", "accepted: nothing is logged", options::accepted},

    {"incoming", "defer | URI", "wait for a guest that migrates to here", options::incoming},
    {"only-migratable", "", "refuse what cannot be migrated", options::only_migratable},
    {"global", "migration.PROPERTY=VALUE", "preset a capability (x-CAPABILITY) or parameter",
     options::global},
    {"S", "", "do not start the guest: 'cont' does", options::start_stopped},
    {"no-shutdown", "", "stop instead of ending when the guest switches itself off", options::no_shutdown},
    {"no-reboot", "", "end instead of resetting when the guest resets itself", options::no_reboot},
    {"msg", "timestamp=on", "messages with the time", options::message_format},
    {"sandbox", "on|off[,spawn=deny][,resourcecontrol=allow]", "confine the process (default on)",
     options::sandbox},
    {"trace", "EVENTS", "accepted: there are no trace points", options::accepted},
};

}  // namespace

std::span<const Option> option_table() {
  return table;
}

const Option* find_option(std::string_view name) {
  for (const Option& option : table)
    if (option.name == name) return &option;
  return nullptr;
}

std::string help_text() {
  std::string text =
      "usage: godwit-system-x86_64 [options] [disk image]\n\nOptions begin with one dash or two.\n\n";
  for (const Option& option : table) {
    if (option.help.empty()) continue;
    const std::string left = fmt::format("-{} {}", option.name, option.argument);
    text += left.size() < 30 ? fmt::format("{:<30} {}\n", left, option.help)
                             : fmt::format("{}\n{:<30} {}\n", left, "", option.help);
  }
  return text;
}

}  // namespace godwit::vm

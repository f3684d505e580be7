// -drive, -device, -serial, -chardev, and what concerns hardware that is not there.
#include <algorithm>

#include "base/fail.h"
#include "vm/process/chardev_options.h"
#include "vm/process/option_handlers.h"
#include "vm/process/option_values.h"

namespace godwit::vm::options {

namespace {

Result<> disk_device(Draft& draft, OptionValues& values) {
  auto drive = values.take("drive");
  if (!drive) return fail("Parameter 'drive' is missing");
  values.ignore({"id", "bus", "unit", "secs", "cyls", "heads", "bootindex", "serial", "model", "ver",
                 "share-rw", "write-cache", "logical_block_size", "physical_block_size", "bios-chs-trans"});
  GODWIT_TRY(values.finish());
  draft.disk_devices.push_back(*std::move(drive));
  return {};
}

Result<> serial_device(Draft& draft, OptionValues& values) {
  auto chardev = values.take("chardev");
  if (!chardev) return fail("Parameter 'chardev' is missing");
  GODWIT_ASSIGN(const auto index, values.take_number("index"));
  GODWIT_ASSIGN(const auto port, values.take_number("iobase"));
  if (index.value_or(0) != 0 || port.value_or(0x3f8) != 0x3f8 || !draft.serial_device.empty())
    return fail("a second serial port is not built yet");
  values.ignore({"id", "irq", "wakeup"});
  GODWIT_TRY(values.finish());
  draft.serial_device = *std::move(chardev);
  return {};
}

}  // namespace

Result<> drive(Draft& draft, const std::string& argument) {
  OptionValues values = OptionValues::parse(argument);
  DriveDraft drive;
  drive.id = values.take("id").value_or("");
  drive.file = values.take("file").value_or("");
  const std::string interface = values.take("if").value_or("ide");
  if (interface != "ide" && interface != "none")
    return fail("drives with if={} are not built yet", interface);
  drive.on_board = interface == "ide";
  if (!drive.on_board && drive.id.empty()) return fail("a drive with if=none needs an 'id'");
  const std::string format = values.take("format").value_or("raw");
  if (format != "raw") return fail("images of format '{}' are not built yet; raw is", format);
  const std::string media = values.take("media").value_or("disk");
  if (media != "disk") return fail("drives with media={} are not built yet", media);
  values.ignore({"index", "bus", "unit", "snapshot", "cache", "aio", "readonly", "read-only", "discard",
                 "detect-zeroes", "werror", "rerror", "file.locking", "auto-read-only", "copy-on-read"});
  GODWIT_TRY(values.finish());
  const bool taken = !drive.id.empty() && std::ranges::any_of(draft.drives, [&](const DriveDraft& other) {
    return other.id == drive.id;
  });
  if (taken) return fail("Duplicate ID '{}' for drive", drive.id);
  draft.drives.push_back(std::move(drive));
  return {};
}

Result<> hard_disk(Draft& draft, const std::string& argument) {
  draft.drives.push_back({"", argument, true});
  return {};
}

Result<> device(Draft& draft, const std::string& argument) {
  OptionValues values = OptionValues::parse(argument, "driver");
  GODWIT_ASSIGN(const std::string driver, values.require("driver"));
  if (driver == "help" || driver == "?") {
    draft.result.answer =
        "Devices:\nname \"ide-hd\", desc \"disk whose first sector is booted\"\n"
        "name \"isa-serial\", desc \"serial port COM1\"\n";
    return {};
  }
  if (driver == "ide-hd") return disk_device(draft, values);
  if (driver == "isa-serial") return serial_device(draft, values);
  return fail("there is no device '{}' yet; there are ide-hd and isa-serial", driver);
}

Result<> chardev(Draft& draft, const std::string& argument) {
  GODWIT_ASSIGN(auto chardev, parse_chardev(argument));
  for (const ChardevConfig& other : draft.result.process.chardevs)
    if (other.id == chardev.id) return fail("Duplicate ID '{}' for chardev", chardev.id);
  draft.result.process.chardevs.push_back(std::move(chardev));
  return {};
}

Result<> serial(Draft& draft, const std::string& argument) {
  if (!draft.serials.empty() && argument != "none" && argument != "null")
    return fail("a second serial port is not built yet");
  draft.serials.push_back(argument);
  return {};
}

Result<> display(Draft&, const std::string& argument) {
  if (argument.substr(0, argument.find(',')) != "none")
    return fail("there is no display; -display none is accepted");
  return {};
}

Result<> vga(Draft&, const std::string& argument) {
  if (argument != "none") return fail("there is no graphics adapter; -vga none is accepted");
  return {};
}

Result<> nographic(Draft& draft, const std::string&) {
  draft.console_on_stdio = true;
  return {};
}

Result<> audio(Draft&, const std::string& argument) {
  const std::string driver = OptionValues::parse(argument, "driver").take("driver").value_or("");
  if (driver != "none") return fail("there is no sound; -audio none is accepted");
  return {};
}

Result<> network(Draft&, const std::string& argument) {
  if (argument != "none") return fail("network interfaces are not built yet; 'none' is accepted");
  return {};
}

}  // namespace godwit::vm::options

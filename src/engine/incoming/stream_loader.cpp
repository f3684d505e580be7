#include "engine/incoming/stream_loader.h"

#include <utility>

#include "base/fail.h"
#include "base/log.h"
#include "wire/header.h"

namespace godwit::engine {

StreamLoader::StreamLoader(Guest& guest, const Capabilities& capabilities, const MigrationOptions& options,
                           Reply reply)
    : guest_(guest),
      capabilities_(capabilities),
      options_(options),
      reply_(std::move(reply)),
      ram_(guest.ram_blocks(), capabilities.has(Capability::x_ignore_shared)) {}

Result<> StreamLoader::load(Input& in) {
  GODWIT_TRY(wire::decode_file_header(in));
  if (options_.send_configuration) GODWIT_TRY(load_configuration(in));
  while (true) {
    GODWIT_ASSIGN(const bool more, load_record(in));
    if (!more) return {};
  }
}

Result<> StreamLoader::load_configuration(Input& in) {
  GODWIT_ASSIGN(const wire::Configuration received, wire::decode_configuration(in));
  wire::Configuration local;
  local.machine = guest_.machine_name();
  local.uuid = guest_.uuid();
  if (capabilities_.has(Capability::x_ignore_shared)) local.capabilities = {"x-ignore-shared"};
  auto warning = wire::check_configuration(received, local);
  if (!warning)
    return fail(
        std::move(warning).error().in(fmt::format("configuration before offset 0x{:x}", in.offset())));
  if (!warning->empty()) log::warn("{}", *warning);
  return {};
}

Result<bool> StreamLoader::load_record(Input& in) {
  GODWIT_ASSIGN(const wire::RecordType type, wire::decode_record_type(in));
  switch (type) {
    case wire::RecordType::eof:
      return false;
    case wire::RecordType::section_start:
      GODWIT_TRY(load_section_start(in));
      return true;
    case wire::RecordType::section_part:
    case wire::RecordType::section_end:
      GODWIT_TRY(load_section_pages(in));
      return true;
    case wire::RecordType::section_full:
      GODWIT_TRY(load_section_full(in));
      return true;
    case wire::RecordType::command: {
      GODWIT_ASSIGN(const wire::Command command, wire::decode_command(in));
      GODWIT_TRY(execute(command));
      return true;
    }
    default:
      return fail("record type {} at offset 0x{:x} has no place here", wire::to_string(type), in.offset());
  }
}

Result<> StreamLoader::load_section_start(Input& in) {
  GODWIT_ASSIGN(const wire::SectionHeader header, wire::decode_section_header(in));
  const std::string text = wire::section_text(header.name, header.instance);
  if (header.name != wire::ram_section_name || header.instance != 0)
    return fail("{} at offset 0x{:x}: this machine has no such section", text, in.offset());
  if (header.version != wire::ram_section_version)
    return fail("{} before offset 0x{:x}: version {} received, version {} understood", text, in.offset(),
                header.version, wire::ram_section_version);
  if (ram_id_) return fail("{} starts a second time at offset 0x{:x}", text, in.offset());
  ram_id_ = header.id;
  if (auto loaded = ram_.load_setup(in); !loaded)
    return fail(std::move(loaded).error().in(fmt::format("{} before offset 0x{:x}", text, in.offset())));
  return footer(in, header.id);
}

Result<> StreamLoader::load_section_pages(Input& in) {
  GODWIT_ASSIGN(const std::uint32_t id, wire::decode_section_id(in));
  if (id != ram_id_) return fail("section number {} at offset 0x{:x} was never started", id, in.offset());
  if (auto loaded = ram_.load_pages(in); !loaded)
    return fail(std::move(loaded).error().in(wire::section_text(wire::ram_section_name, 0)));
  return footer(in, id);
}

Result<> StreamLoader::load_section_full(Input& in) {
  GODWIT_ASSIGN(const wire::SectionHeader header, wire::decode_section_header(in));
  GODWIT_TRY(load_device(guest_, header, in, loaded_));
  return footer(in, header.id);
}

Result<> StreamLoader::footer(Input& in, std::uint32_t id) {
  return options_.send_section_footer ? wire::decode_footer(in, id) : Result<>{};
}

Result<> StreamLoader::execute(const wire::Command& command) {
  if (std::holds_alternative<wire::OpenReturnPath>(command)) {
    if (return_path_open_) log::warn("the source opens the return path a second time");
    if (!reply_) log::warn("the source opens a return path on a transport that has none");
    return_path_open_ = reply_ != nullptr;
    return {};
  }
  if (const auto* ping = std::get_if<wire::Ping>(&command)) {
    if (!return_path_open_) return fail("PING {} without a return path", ping->value);
    return reply_(wire::Pong{ping->value});
  }
  if (std::holds_alternative<wire::SwitchoverStart>(command)) return {};
  return fail(
      Error(fmt::format("the source sends {}, for a capability that is off here", wire::name_of(command)))
          .advise("set the same migration capabilities on both sides"));
}

Result<> StreamLoader::drain_description(Input& in) {
  GODWIT_ASSIGN(const bool at_end, in.at_end());
  if (at_end) return {};
  GODWIT_ASSIGN(const std::uint8_t type, in.u8());
  if (type != static_cast<std::uint8_t>(wire::RecordType::description))
    return fail("byte 0x{:02x} behind the end of the stream before offset 0x{:x}, expected a description",
                type, in.offset());
  GODWIT_TRY(wire::decode_description(in));
  return {};
}

}  // namespace godwit::engine

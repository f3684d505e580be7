#include "engine/incoming/stream_loader.h"

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "base/fail.h"
#include "base/log.h"
#include "engine/greeting.h"
#include "wire/header.h"

namespace godwit::engine {

StreamLoader::StreamLoader(Guest& guest, const Capabilities& capabilities, const MigrationOptions& options,
                           Reply reply, PostcopyTarget* postcopy)
    : guest_(guest),
      capabilities_(capabilities),
      options_(options),
      reply_(std::move(reply)),
      ram_(guest.ram_blocks(), capabilities.has(Capability::x_ignore_shared)),
      postcopy_(postcopy) {}

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
  local.capabilities = sent_capabilities(capabilities_);
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
      if (!in_package_) GODWIT_TRY(check_complete(in));
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
      return execute(command, in);
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
  const bool host_page_sizes = postcopy_ && postcopy_->advised();
  if (auto loaded = ram_.load_setup(in, host_page_sizes); !loaded)
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

Result<bool> StreamLoader::execute(const wire::Command& command, Input& in) {
  if (std::holds_alternative<wire::OpenReturnPath>(command)) {
    if (return_path_open_) log::warn("the source opens the return path a second time");
    if (!reply_) log::warn("the source opens a return path on a transport that has none");
    return_path_open_ = reply_ != nullptr;
    return true;
  }
  if (const auto* sent = std::get_if<wire::Ping>(&command)) {
    GODWIT_TRY(ping(sent->value));
    return true;
  }
  if (std::holds_alternative<wire::SwitchoverStart>(command)) return true;
  if (postcopy_) {
    if (const auto* advise = std::get_if<wire::PostcopyAdvise>(&command)) {
      if (ram_id_) return fail("The source announces postcopy after its list of RAM blocks");
      GODWIT_TRY(postcopy_->advise(*advise));
      return true;
    }
    if (const auto* discard = std::get_if<wire::PostcopyDiscard>(&command)) {
      ram_.stop_reading_ahead();  // that would touch pages which are to be missing
      GODWIT_TRY(postcopy_->discard(*discard));
      return true;
    }
    if (const auto* package = std::get_if<wire::Packaged>(&command)) {
      GODWIT_TRY(load_package(package->length, in));
      return false;
    }
    // Whoever listens reads the connection: only what was read before may follow here.
    if (in_package_ && ram_id_ && std::holds_alternative<wire::PostcopyListen>(command)) {
      ram_.stop_reading_ahead();
      GODWIT_TRY(postcopy_->listen(*ram_id_));
      listens_ = true;
      return true;
    }
    if (in_package_ && std::holds_alternative<wire::PostcopyRun>(command)) {
      if (listens_) GODWIT_TRY(check_all_loaded(guest_, loaded_, in.offset()));
      GODWIT_TRY(postcopy_->run());
      // The guest runs here, whether or not the source hears it.
      if (unanswered_ping_)
        if (auto told = reply_(wire::Pong{*unanswered_ping_}); !told)
          log::warn("the source is not told that the guest runs here: {}", told.error().what());
      return false;
    }
  }
  return fail(Error(fmt::format("the source sends {} at offset 0x{:x}, which has no place there, or is for a "
                                "capability that is off here",
                                wire::name_of(command), in.offset()))
                  .advise("set the same migration capabilities on both sides"));
}

Result<> StreamLoader::ping(std::uint32_t value) {
  if (!return_path_open_) return fail("PING {} without a return path", value);
  if (in_package_) {
    // The source takes the answer for "the guest runs here": not before it does.
    unanswered_ping_ = value;
    return {};
  }
  GODWIT_TRY(reply_(wire::Pong{value}));
  if (!postcopy_) return {};
  postcopy_->heard_ping(value);
  return value == hello ? reply_(wire::Pong{hello_answer}) : Result<>{};
}

/// Everything is off the connection before any of it is interpreted.
Result<> StreamLoader::load_package(std::uint32_t length, Input& in) {
  if (in_package_) return fail("a package in a package, at offset 0x{:x}", in.offset());
  const std::uint64_t offset = in.offset();
  std::vector<std::byte> package;
  const auto read_up_to = [&](std::size_t size) -> Result<> {
    while (package.size() < size) {
      // In pieces: the length is only believed as far as the bytes are there.
      const std::size_t piece = std::min<std::size_t>(size - package.size(), 1 << 20);
      package.resize(package.size() + piece);
      GODWIT_TRY(in.read(std::span(package).last(piece)));
    }
    return {};
  };
  if (postcopy_->source_is_godwit() && length > 0) {
    GODWIT_TRY(read_up_to(length - 1));
    GODWIT_TRY(reply_(wire::Pong{package_arrived}));
  }
  GODWIT_TRY(read_up_to(length));
  in_package_ = true;
  SpanInput records(package, offset);
  while (true) {
    GODWIT_ASSIGN(const bool more, load_record(records));
    if (!more) break;
  }
  if (!postcopy_->running())
    return fail("the package ends at offset 0x{:x} and does not let the guest run", records.offset());
  return {};
}

/// Nothing that belongs to the guest is missing. The header and the end alone are a stream as well. A
/// snapshot has no end of section "ram".
Result<> StreamLoader::check_complete(const Input& in) const {
  if (!ram_id_)
    return fail("expected {} before offset 0x{:x}, where the stream ends",
                wire::section_text(wire::ram_section_name, 0), in.offset());
  return check_all_loaded(guest_, loaded_, in.offset());
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

#include "wire/header.h"

#include <algorithm>
#include <string_view>

#include "base/fail.h"
#include "wire/record.h"

namespace godwit::wire {
namespace {

constexpr std::uint32_t obsolete_version = 2;
constexpr std::uint32_t subsection_version = 1;
constexpr std::string_view prefix = "configuration/";
constexpr std::string_view page_bits_name = "configuration/target-page-bits";
constexpr std::string_view capabilities_name = "configuration/capabilities";
constexpr std::string_view uuid_name = "configuration/uuid";

void encode_subsection_header(Output& out, std::string_view name) {
  out.u8(static_cast<std::uint8_t>(RecordType::subsection));
  out.counted_text(name);
  out.be32(subsection_version);
}

Result<std::string> decode_machine_name(Input& in) {
  const std::uint64_t offset = in.offset();
  GODWIT_ASSIGN(const std::uint32_t length, in.be32());
  if (length > machine_name_limit)
    return fail("expected a machine name of at most {} bytes at offset {:#x}, got {}", machine_name_limit,
                offset, length);
  GODWIT_ASSIGN(const auto bytes, in.need(length));
  std::string name(reinterpret_cast<const char*>(bytes.data()), length);
  in.skip(length);
  return name;
}

Result<std::vector<std::string>> decode_capabilities(Input& in) {
  const std::uint64_t offset = in.offset();
  GODWIT_ASSIGN(const std::uint32_t count, in.be32());
  if (count > capability_count_limit)
    return fail("expected at most {} capabilities at offset {:#x}, got {}", capability_count_limit, offset,
                count);
  std::vector<std::string> names;
  for (std::uint32_t i = 0; i < count; ++i) {
    GODWIT_ASSIGN(names.emplace_back(), in.counted_text());
  }
  return names;
}

Result<std::array<std::uint8_t, 16>> decode_uuid(Input& in) {
  std::array<std::uint8_t, 16> uuid;
  GODWIT_TRY(in.read(std::as_writable_bytes(std::span(uuid))));
  return uuid;
}

/// Whether a subsection of the configuration comes next, by the general rule of subsections.
Result<bool> subsection_follows(Input& in) {
  GODWIT_ASSIGN(const bool end, in.at_end());
  if (end) return false;
  GODWIT_ASSIGN(const auto type, in.need(1));
  return static_cast<std::uint8_t>(type[0]) == static_cast<std::uint8_t>(RecordType::subsection);
}

Result<> decode_subsection(Input& in, Configuration& configuration) {
  in.skip(1);
  const std::uint64_t offset = in.offset();
  GODWIT_ASSIGN(const std::string name, in.counted_text());
  const std::uint64_t version_offset = in.offset();
  GODWIT_ASSIGN(const std::uint32_t version, in.be32());
  if (name != page_bits_name && name != capabilities_name && name != uuid_name)
    return fail("expected a known subsection at offset {:#x}, got '{}'", offset, name);
  if (version != subsection_version)
    return fail("subsection '{}': expected version {} at offset {:#x}, got {}", name, subsection_version,
                version_offset, version);
  const bool repeated = (name == page_bits_name && configuration.target_page_bits) ||
                        (name == capabilities_name && !configuration.capabilities.empty()) ||
                        (name == uuid_name && configuration.uuid);
  if (repeated) return fail("expected subsection '{}' once, it comes again at offset {:#x}", name, offset);
  if (name == page_bits_name) {
    GODWIT_ASSIGN(configuration.target_page_bits, in.be32());
  } else if (name == capabilities_name) {
    GODWIT_ASSIGN(configuration.capabilities, decode_capabilities(in));
  } else {
    GODWIT_ASSIGN(configuration.uuid, decode_uuid(in));
  }
  return {};
}

Result<Configuration> decode_body(Input& in) {
  Configuration configuration;
  GODWIT_ASSIGN(configuration.machine, decode_machine_name(in));
  for (;;) {
    GODWIT_ASSIGN(const bool more, subsection_follows(in));
    if (!more) return configuration;
    GODWIT_TRY(decode_subsection(in, configuration));
  }
}

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

}  // namespace

void encode_file_header(Output& out) {
  out.be32(stream_magic);
  out.be32(stream_version);
}

Result<> decode_file_header(Input& in) {
  const std::uint64_t offset = in.offset();
  GODWIT_ASSIGN(const std::uint32_t magic, in.be32());
  if (magic != stream_magic)
    return fail("not a migration stream: expected magic {:#010x} at offset {:#x}, got {:#010x}", stream_magic,
                offset, magic);
  GODWIT_ASSIGN(const std::uint32_t version, in.be32());
  if (version == obsolete_version)
    return fail("stream version {} is obsolete: expected {} at offset {:#x}", version, stream_version,
                offset + 4);
  if (version != stream_version)
    return fail("stream version is not supported: expected {} at offset {:#x}, got {}", stream_version,
                offset + 4, version);
  return {};
}

void encode_configuration(Output& out, const Configuration& configuration) {
  out.u8(static_cast<std::uint8_t>(RecordType::configuration));
  out.be32(static_cast<std::uint32_t>(configuration.machine.size()));
  out.text(configuration.machine);
  if (configuration.target_page_bits) {
    encode_subsection_header(out, page_bits_name);
    out.be32(*configuration.target_page_bits);
  }
  if (!configuration.capabilities.empty()) {
    encode_subsection_header(out, capabilities_name);
    out.be32(static_cast<std::uint32_t>(configuration.capabilities.size()));
    for (const std::string& name : configuration.capabilities) out.counted_text(name);
  }
  if (configuration.uuid) {
    encode_subsection_header(out, uuid_name);
    out.bytes(std::as_bytes(std::span(*configuration.uuid)));
  }
}

Result<Configuration> decode_configuration(Input& in) {
  const std::uint64_t offset = in.offset();
  GODWIT_ASSIGN(const std::uint8_t type, in.u8());
  if (type != static_cast<std::uint8_t>(RecordType::configuration))
    return fail("configuration section missing: expected type byte {:#04x} at offset {:#x}, got {:#04x}",
                static_cast<std::uint8_t>(RecordType::configuration), offset, type);
  auto configuration = decode_body(in);
  if (!configuration) return std::unexpected(std::move(configuration).error().in("configuration section"));
  return configuration;
}

Result<std::string> check_configuration(const Configuration& received, const Configuration& local) {
  if (!local.machine.starts_with(received.machine))
    return fail("machine type '{}' received, this machine is '{}'", received.machine, local.machine);
  if (received.target_page_bits && received.target_page_bits != local.target_page_bits.value_or(12))
    return fail("target pages of 2^{} bytes received, this machine has 2^{}", *received.target_page_bits,
                local.target_page_bits.value_or(12));
  for (const std::string& name : received.capabilities)
    if (!contains(local.capabilities, name))
      return fail("capability '{}' is on at the source and off here; set it alike on both sides", name);
  for (const std::string& name : local.capabilities)
    if (!contains(received.capabilities, name))
      return fail("capability '{}' is off at the source and on here; set it alike on both sides", name);
  if (received.uuid && local.uuid && *received.uuid != *local.uuid)
    return fail("UUID {:02x} received, this machine's is {:02x}", fmt::join(*received.uuid, ""),
                fmt::join(*local.uuid, ""));
  if (received.uuid && !local.uuid) return "the source has a UUID, this machine has none: not compared";
  return "";
}

}  // namespace godwit::wire

#include "wire/section_end.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>

#include "base/fail.h"
#include "wire/record.h"

namespace godwit::wire {
namespace {

constexpr std::size_t footer_size = 5;
constexpr std::uint32_t plausible_id_limit = 65536;
constexpr std::uint32_t plausible_version_limit = 65536;
constexpr std::uint32_t plausible_command_limit = 64;

std::uint32_t be32_at(std::span<const std::byte> bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<std::uint32_t>(bytes[at + i]);
  return value;
}

bool is_printable(std::span<const std::byte> text) {
  return std::ranges::all_of(text,
                             [](std::byte b) { return std::isprint(static_cast<unsigned char>(b)) != 0; });
}

/// Whether the window, which begins with a section's footer, goes on with the head of a section.
Result<bool> section_follows(Input& in) {
  GODWIT_ASSIGN(auto bytes, in.need(footer_size + 6));
  if (be32_at(bytes, footer_size + 1) >= plausible_id_limit) return false;
  const auto length = static_cast<std::size_t>(bytes[footer_size + 5]);
  if (length == 0) return false;
  GODWIT_ASSIGN(bytes, in.need(footer_size + 6 + length + 8));
  return is_printable(bytes.subspan(footer_size + 6, length)) &&
         be32_at(bytes, footer_size + 6 + length + 4) < plausible_version_limit;
}

/// Whether the window, which begins with a section's footer, goes on with a record.
Result<bool> record_follows(Input& in) {
  GODWIT_ASSIGN(auto bytes, in.need(footer_size + 1));
  switch (static_cast<RecordType>(bytes[footer_size])) {
    case RecordType::eof:
      return true;
    case RecordType::section_start:
    case RecordType::section_full:
      return section_follows(in);
    case RecordType::section_part:
    case RecordType::section_end: {
      GODWIT_ASSIGN(bytes, in.need(footer_size + 5));
      return be32_at(bytes, footer_size + 1) < plausible_id_limit;
    }
    case RecordType::command: {
      GODWIT_ASSIGN(bytes, in.need(footer_size + 5));
      const std::uint32_t command = be32_at(bytes, footer_size + 1) >> 16;
      return command > 0 && command < plausible_command_limit;
    }
    default:
      return false;
  }
}

}  // namespace

Result<std::vector<std::byte>> read_to_footer(Input& in, std::uint32_t id, std::size_t limit) {
  const std::uint64_t start = in.offset();
  std::array<std::byte, footer_size> footer{std::byte{static_cast<std::uint8_t>(RecordType::section_footer)}};
  for (std::size_t i = 0; i < 4; ++i) footer[1 + i] = static_cast<std::byte>(id >> (24 - 8 * i));

  std::vector<std::byte> data;
  std::optional<std::uint64_t> no_record;  ///< behind the first thing that looked like the footer
  for (;;) {
    // The last bytes of the window may be the beginning of a footer: they stay until more is there.
    auto shown = in.need(footer_size);
    if (!shown && no_record)
      return fail(
          "expected a record behind the footer of section id {} at offset {:#x}; no later one has any", id,
          *no_record);
    if (!shown)
      return std::unexpected(std::move(shown).error().in(fmt::format(
          "looking for the footer of section id {} behind the data from offset {:#x}", id, start)));
    const auto window = in.window().first(std::min(in.window().size(), limit + footer_size - data.size()));
    const auto found = std::ranges::search(window, footer);
    const auto before =
        window.first(found.empty() ? window.size() - (footer_size - 1)
                                   : static_cast<std::size_t>(found.begin() - window.begin()));
    data.insert(data.end(), before.begin(), before.end());
    in.skip(before.size());
    if (!found.empty()) {
      GODWIT_ASSIGN(const bool real, record_follows(in));
      if (real) return data;
      if (!no_record) no_record = in.offset() + footer_size;
      GODWIT_ASSIGN(const std::uint8_t byte, in.u8());
      data.push_back(static_cast<std::byte>(byte));
    }
    if (data.size() >= limit)
      return fail("expected the footer of section id {} within {} bytes from offset {:#x}", id, limit, start);
  }
}

}  // namespace godwit::wire

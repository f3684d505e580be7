#include <algorithm>
#include <cassert>

#include <godwit/stream.h>

#include "base/fail.h"

namespace godwit {
namespace {

std::unexpected<Error> short_of(std::uint64_t expected, std::uint64_t offset, std::uint64_t available) {
  return fail("expected {} byte{} at offset {:#x}, the stream ends after {}", expected,
              expected == 1 ? "" : "s", offset, available);
}

}  // namespace

void Output::patch_be32(std::size_t at, std::uint32_t value) {
  assert(at + 4 <= bytes_.size());
  for (std::size_t i = 0; i < 4; ++i) bytes_[at + i] = static_cast<std::byte>(value >> (24 - 8 * i));
}

std::unexpected<Error> Input::ends_early(std::size_t expected) const {
  return short_of(expected, offset(), static_cast<std::uint64_t>(end_ - at_));
}

Result<std::string> Input::counted_text() {
  GODWIT_ASSIGN(const std::size_t length, u8());
  GODWIT_ASSIGN(const auto bytes, need(length));
  std::string text(reinterpret_cast<const char*>(bytes.data()), length);
  skip(length);
  return text;
}

Result<> Input::read(std::span<std::byte> into) {
  const std::size_t wanted = into.size();
  const std::uint64_t start = offset();
  const std::size_t ready = std::min(into.size(), static_cast<std::size_t>(end_ - at_));
  if (ready != 0) std::memcpy(into.data(), at_, ready);
  at_ += ready;
  into = into.subspan(ready);
  while (!into.empty()) {
    auto got = read_past_window(into);
    if (!got) [[unlikely]] {
      const auto end = nothing_follows();
      if (end && *end) return short_of(wanted, start, wanted - into.size());
      return std::unexpected(std::move(got).error());
    }
    window_end_offset_ += *got;
    into = into.subspan(*got);
  }
  return {};
}

Result<> Input::discard(std::uint64_t count) {
  const std::uint64_t wanted = count;
  const std::uint64_t start = offset();
  for (;;) {
    const std::uint64_t piece = std::min<std::uint64_t>(count, static_cast<std::uint64_t>(end_ - at_));
    at_ += piece;
    count -= piece;
    if (count == 0) return {};
    if (count >= window_limit) {
      GODWIT_ASSIGN(const bool jumped, jump(count));
      if (jumped) {
        window_end_offset_ += count;
        return {};
      }
    }
    GODWIT_ASSIGN(const bool end, nothing_follows());
    if (end) return short_of(wanted, start, wanted - count);
    if (at_ == end_) GODWIT_TRY(fill(1));
  }
}

Result<bool> Input::at_end() {
  if (at_ != end_) return false;
  return nothing_follows();
}

Result<> SpanInput::fill(std::size_t count) {
  return ends_early(count);
}

Result<std::size_t> SpanInput::read_past_window(std::span<std::byte> into) {
  return ends_early(into.size());
}

}  // namespace godwit

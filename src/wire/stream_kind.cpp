#include "wire/stream_kind.h"

#include <algorithm>

#include "base/fail.h"
#include "wire/command.h"
#include "wire/header.h"
#include "wire/multifd.h"
#include "wire/ram.h"
#include "wire/record.h"

namespace godwit::wire {
namespace {

constexpr std::uint16_t last_return_message = 7;
constexpr std::uint32_t last_colo_message = 6;
constexpr std::uint64_t end_of_pages = 0x10;
constexpr std::uint64_t page_kinds = 0x02 | 0x08 | 0x40 | 0x100;

std::uint64_t be_at(std::span<const std::byte> bytes, std::size_t at, std::size_t width) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < width; ++i) value = value << 8 | static_cast<std::uint64_t>(bytes[at + i]);
  return value;
}

/// Both begin with two zero bytes: a page record that names its block, or a message from 0 to 6.
Result<StreamKind> urgent_or_colo(Input& in) {
  GODWIT_ASSIGN(auto bytes, in.need(4));
  const auto message = static_cast<std::uint32_t>(be_at(bytes, 0, 4));
  const auto eight = in.need(8);
  if (!eight && message == 0)
    return StreamKind::colo_answers;  // the secondary is ready, and nothing else yet
  if (eight) {
    const std::uint64_t record = be_at(*eight, 0, 8);
    if (record == end_of_pages) return StreamKind::urgent;
    const auto nine = in.need(9);
    const std::uint64_t flags = record & (page_size - 1);
    if (nine && (flags & page_kinds) == flags && flags != 0 && (*nine)[8] != std::byte{0})
      return StreamKind::urgent;
    if (message == 0 && be_at(*eight, 4, 4) <= last_colo_message) return StreamKind::colo_answers;
  }
  return fail("not a migration stream: expected one of its beginnings at offset {:#x}, got {:#010x}",
              in.offset(), message);
}

/// Both begin with a command. Between two Godwits the urgent channel has one PING in front of its pages, and
/// a page record begins with a zero byte.
StreamKind recovery_or_urgent(Input& in) {
  Output ping;
  encode_command(ping, Ping{});
  const auto head = ping.data().first(ping.size() - sizeof(Ping::value));
  const auto begin = in.need(head.size());
  if (!begin || !std::ranges::equal(*begin, head)) return StreamKind::recovery;
  const auto more = in.need(ping.size() + 1);
  return more && (*more)[ping.size()] == std::byte{0} ? StreamKind::urgent : StreamKind::recovery;
}

}  // namespace

std::string_view to_string(StreamKind kind) {
  switch (kind) {
    case StreamKind::main:
      return "main stream";
    case StreamKind::recovery:
      return "recovery connection";
    case StreamKind::multifd:
      return "multifd channel";
    case StreamKind::urgent:
      return "urgent channel of postcopy-preempt";
    case StreamKind::return_path:
      return "return path";
    case StreamKind::colo_answers:
      return "answers of COLO's secondary";
  }
  return "unknown";
}

Result<StreamKind> detect_stream_kind(Input& in) {
  GODWIT_ASSIGN(auto bytes, in.need(2));
  if (static_cast<RecordType>(bytes[0]) == RecordType::command) return recovery_or_urgent(in);
  const auto first = be_at(bytes, 0, 2);
  if (first >= 1 && first <= last_return_message) return StreamKind::return_path;
  if (first == 0) return urgent_or_colo(in);
  GODWIT_ASSIGN(bytes, in.need(4));
  const auto magic = be_at(bytes, 0, 4);
  if (magic == stream_magic) return StreamKind::main;
  if (magic == multifd_magic) return StreamKind::multifd;
  return fail("not a migration stream: expected magic {:#010x} at offset {:#x}, got {:#010x}", stream_magic,
              in.offset(), magic);
}

}  // namespace godwit::wire

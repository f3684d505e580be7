// What the destination tells the source on the return path (wire-format sections 7.1 and 7.9).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include <godwit/stream.h>

namespace godwit::wire {

/// The last message. 0: the guest belongs to the destination now.
struct Shut {
  std::uint32_t status = 0;
  bool operator==(const Shut&) const = default;
};
struct Pong {
  std::uint32_t value = 0;
  bool operator==(const Pong&) const = default;
};
/// One host page is wanted. Without a block name: the block of the previous request.
struct PageRequest {
  std::uint64_t start = 0;   ///< byte offset in the block
  std::uint32_t length = 0;  ///< bytes
  std::optional<std::string> block;
  bool operator==(const PageRequest&) const = default;
};
/// A bitmap follows: decode_received_bitmap().
struct ReceivedBitmap {
  std::string block;
  bool operator==(const ReceivedBitmap&) const = default;
};
/// 1 is the only value that means yes.
struct ResumeAck {
  std::uint32_t value = 1;
  bool operator==(const ResumeAck&) const = default;
};
/// Newer than 7.2: accepted. Only sent to a peer that has the capability switchover-ack.
struct SwitchoverAck {
  bool operator==(const SwitchoverAck&) const = default;
};

using ReturnMessage = std::variant<Shut, Pong, PageRequest, ReceivedBitmap, ResumeAck, SwitchoverAck>;

/// A longer message is refused, as by a 7.2 source.
inline constexpr std::uint16_t return_message_limit = 512;

/// "SHUT", "PONG", "REQ_PAGES_ID", ...
std::string_view name_of(const ReturnMessage& message);

void encode_return_message(Output& out, const ReturnMessage& message);
Result<ReturnMessage> decode_return_message(Input& in);

/// The bitmap behind ReceivedBitmap: bit p % 64 of word p / 64 is page p. `words` has (pages + 63) / 64
/// elements.
void encode_received_bitmap(Output& out, std::span<const std::uint64_t> words, std::uint64_t pages);
/// Fails unless the peer's bitmap is for exactly `pages` pages and ends with the end mark. Bits past the last
/// page are cleared.
Result<> decode_received_bitmap(Input& in, std::span<std::uint64_t> words, std::uint64_t pages);
/// For who does not know the block: reads the bitmap by its own size, and returns how many pages it marks.
Result<std::uint64_t> count_received_bitmap(Input& in);

}  // namespace godwit::wire

// COMMAND records: what the source tells the destination beside the data (wire-format section 1.7).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <godwit/stream.h>

namespace godwit::wire {

struct OpenReturnPath {
  bool operator==(const OpenReturnPath&) const = default;
};
/// Answered by Pong with the same value.
struct Ping {
  std::uint32_t value = 0;
  bool operator==(const Ping&) const = default;
};
/// Without page sizes when only dirty bitmaps move by postcopy.
struct PostcopyAdvise {
  struct PageSizes {
    std::uint64_t host_summary = 0;  ///< bytes; the page sizes of all blocks that are sent, or-ed
    std::uint64_t target = 0;        ///< bytes
    bool operator==(const PageSizes&) const = default;
  };
  std::optional<PageSizes> page_sizes;
  bool operator==(const PostcopyAdvise&) const = default;
};
struct PostcopyListen {
  bool operator==(const PostcopyListen&) const = default;
};
struct PostcopyRun {
  bool operator==(const PostcopyRun&) const = default;
};
/// Pages to drop again (wire-format section 7.4). One to discard_range_limit ranges.
struct PostcopyDiscard {
  struct Range {
    std::uint64_t start = 0;   ///< bytes
    std::uint64_t length = 0;  ///< bytes
    bool operator==(const Range&) const = default;
  };
  std::string block;
  std::vector<Range> ranges;
  bool operator==(const PostcopyDiscard&) const = default;
};
/// `length` bytes of records follow the command. They have to be off the connection before they are
/// interpreted.
struct Packaged {
  std::uint32_t length = 0;
  bool operator==(const Packaged&) const = default;
};
struct EnableColo {
  bool operator==(const EnableColo&) const = default;
};
struct PostcopyResume {
  bool operator==(const PostcopyResume&) const = default;
};
/// Asks which pages of the block have arrived.
struct ReceivedBitmapRequest {
  std::string block;
  bool operator==(const ReceivedBitmapRequest&) const = default;
};
/// Newer than 7.2: accepted and without effect. Never sent to a 7.2 peer, which does not know it.
struct SwitchoverStart {
  bool operator==(const SwitchoverStart&) const = default;
};

using Command =
    std::variant<OpenReturnPath, Ping, PostcopyAdvise, PostcopyListen, PostcopyRun, PostcopyDiscard, Packaged,
                 EnableColo, PostcopyResume, ReceivedBitmapRequest, SwitchoverStart>;

/// The most ranges a 7.2 source puts into one discard command.
inline constexpr std::size_t discard_ranges_sent = 12;
/// The most that fit into the 16-bit length for any block name.
inline constexpr std::size_t discard_range_limit = (65535 - 3 - 255) / 16;

/// "OPEN_RETURN_PATH", "PING", ...
std::string_view name_of(const Command& command);

/// With the record's type byte. A discard has at most discard_range_limit ranges, names at most 255 bytes.
void encode_command(Output& out, const Command& command);
/// Without the record's type byte.
Result<Command> decode_command(Input& in);

}  // namespace godwit::wire

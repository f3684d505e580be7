// Two channels joined in memory, for tests of everything that speaks over one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "channel/channel.h"

namespace godwit::channel {

/// What goes wrong with the bytes written into one end of a pair. Counted from the first byte.
struct MemoryFaults {
  std::optional<std::uint64_t> cut_after{};    ///< then both ends see a broken connection
  std::optional<std::uint64_t> stall_after{};  ///< then writes block until shutdown(), or release_stall()
};

/// One end of a pair. Writes block while `capacity` bytes are unread, as on a socket.
class MemoryChannel : public Channel {
 public:
  /// The n-th and all further bytes written here meet these faults. Call it before the first write.
  virtual void inject(MemoryFaults faults) = 0;
  virtual void release_stall() = 0;
  /// Bytes that this end has written so far.
  virtual std::uint64_t written() const = 0;
};

struct MemoryChannelPair {
  std::unique_ptr<MemoryChannel> first;
  std::unique_ptr<MemoryChannel> second;
};

/// `two_way` and `multi_channel` are what both ends answer to those questions. Destroying an end closes it:
/// the other one reads what is left, then the end of the stream, and fails to write.
MemoryChannelPair make_memory_channels(std::size_t capacity = 256 * 1024, bool two_way = true,
                                       bool multi_channel = true);

}  // namespace godwit::channel

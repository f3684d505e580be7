// The source's end of the main channel: small records are gathered, pages go by reference, and every byte is
// counted.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <sys/uio.h>
#include <vector>

#include <godwit/stream.h>

#include "channel/channel.h"

namespace godwit::engine {

/// Used by the migration thread only; `bytes` may be read by others.
class StreamWriter {
 public:
  explicit StreamWriter(channel::Channel& channel) : channel_(channel) {}

  /// Records that are not written yet. They go out, in order, before the next pages and with flush().
  Output& pending() { return pending_; }

  /// Writes what is pending, then `pages`, in one vectored write.
  Result<> write(std::span<const iovec> pages);
  Result<> flush() { return write({}); }

  /// Bytes put on the channel so far, what is pending included, and what somebody else has written to its
  /// file.
  std::uint64_t bytes() const { return written_ + pending_.size(); }
  /// Somebody has written to the file that the channel is, at a place of his own.
  void count_elsewhere(std::uint64_t bytes) { written_ += bytes; }

  channel::Channel& channel() { return channel_; }

 private:
  channel::Channel& channel_;
  Output pending_;
  std::vector<iovec> vector_;
  std::uint64_t written_ = 0;
};

}  // namespace godwit::engine

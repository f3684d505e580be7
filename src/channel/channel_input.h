// The byte source of a decoder that reads from a channel.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include <godwit/stream.h>

#include "channel/channel.h"

namespace godwit::channel {

/// Reads a channel through a window. One system call fetches as much as the kernel has, up to the window's
/// size; a large read() drains the window and then gets the rest straight into its place, refilling the
/// window in the same call. read_ahead() goes around the window, which only takes what is given back.
///
/// Does not own the channel, which must outlive it. One thread.
class ChannelInput final : public Input {
 public:
  static constexpr std::size_t default_window = 512 * 1024;

  /// `window` is at least window_limit. `already_read` are the first bytes of the stream, which somebody else
  /// has read to find out what it is.
  explicit ChannelInput(Channel& channel, std::size_t window = default_window,
                        std::span<const std::byte> already_read = {});

  /// From here on a system call fetches so much at most, where more is not asked for: the first of what comes
  /// can be used while the rest is still in the kernel.
  void read_at_most(std::size_t bytes) { most_per_read_ = bytes; }

  Channel& channel() const { return channel_; }
  /// Something can be decoded, at least its start, before the channel has to be asked again.
  bool has_bytes() const { return at_ != end_ || channel_.has_unread(); }
  /// The same, having fetched what is there. For who expects something now: one system call where poll() and
  /// read() take two.
  bool fetch();
  /// How many system calls were made: what a benchmark and a test want to know.
  std::uint64_t reads() const { return reads_; }

  std::size_t read_ahead_limit() const override { return capacity_; }
  Result<std::size_t> read_ahead(std::span<const iovec> parts) override;
  void give_back(std::span<const iovec> parts) override;

 protected:
  Result<> fill(std::size_t count) override;
  Result<std::size_t> read_past_window(std::span<std::byte> into) override;
  Result<bool> nothing_follows() override;
  Result<bool> jump(std::uint64_t count) override { return channel_.pass_over(count); }

 private:
  Channel& channel_;
  std::size_t capacity_;
  std::unique_ptr<std::byte[]> window_;
  std::size_t most_per_read_ = ~std::size_t{0};
  std::uint64_t reads_ = 0;
};

}  // namespace godwit::channel

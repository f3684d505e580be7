// The byte source of a multifd channel: headers through a small window, pages straight to their places. Never
// reads further than it was asked to, so that nothing has to be copied again.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <sys/uio.h>

#include <godwit/stream.h>

#include "channel/channel.h"

namespace godwit::engine {

/// Does not own the channel, which must outlive it. One thread.
class PacketInput final : public Input {
 public:
  explicit PacketInput(channel::Channel& channel);

  /// Fills all `places` in order. What has arrived behind them, at most `ahead` bytes (a header's worth), is
  /// read in the same call. `places` is used up.
  Result<> scatter(std::span<iovec> places, std::size_t ahead);

 protected:
  Result<> fill(std::size_t count) override;
  Result<std::size_t> read_past_window(std::span<std::byte> into) override;
  Result<bool> nothing_follows() override;

 private:
  channel::Channel& channel_;
  std::unique_ptr<std::byte[]> window_;
};

}  // namespace godwit::engine

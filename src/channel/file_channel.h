// A channel to or from a regular file or a block device.
#pragma once

#include <atomic>
#include <string>

#include "base/system.h"
#include "channel/channel.h"

namespace godwit::channel {

/// Reads and writes at the descriptor's own position. Such calls never wait for a peer, so shutdown() takes
/// effect between them.
class FileChannel final : public Channel {
 public:
  /// `name` is for logs.
  FileChannel(UniqueFd file, std::string name) : file_(std::move(file)), name_(std::move(name)) {}

  using Channel::read;
  using Channel::write;
  Result<> write(std::span<const iovec> parts) override;
  Result<std::size_t> read(std::span<const iovec> parts) override;
  void shutdown() noexcept override { shut_down_.store(true, std::memory_order_relaxed); }
  Result<> finish_writing() override;
  Result<bool> wait_for_peer_close(std::chrono::milliseconds) override { return true; }
  std::string_view kind() const override { return "file"; }
  bool two_way() const override { return false; }
  bool multi_channel() const override { return false; }
  int file() const override { return file_.get(); }
  Result<bool> pass_over(std::uint64_t count) override;
  std::string peer() const override { return name_; }

 private:
  UniqueFd file_;
  std::string name_;
  std::atomic<bool> shut_down_{false};
};

}  // namespace godwit::channel

// A channel over pipes or character devices: one descriptor to read from, one to write to, or only one of
// them.
#pragma once

#include <atomic>
#include <string>

#include "base/system.h"
#include "channel/channel.h"

namespace godwit::channel {

/// The descriptors are non-blocking while the channel lives, and every wait is a poll() together with a
/// WakeFd.
class PipeChannel : public Channel {
 public:
  struct Ends {
    UniqueFd from_peer{};  ///< may be none
    UniqueFd to_peer{};    ///< may be none
  };

  /// `peer` is for logs, `kind` is the noun of error texts and lives for ever.
  PipeChannel(Ends ends, std::string peer, std::string_view kind = "pipe");
  ~PipeChannel() override;

  using Channel::read;
  using Channel::write;
  Result<> write(std::span<const iovec> parts) override;
  Result<std::size_t> read(std::span<const iovec> parts) override;
  void shutdown() noexcept override;
  Result<> finish_writing() override;
  Result<bool> wait_for_peer_close(std::chrono::milliseconds timeout) override;
  int read_descriptor() const override { return ends_.from_peer.get(); }
  int write_descriptor() const override { return ends_.to_peer.get(); }
  std::string_view kind() const final { return kind_; }
  bool two_way() const override { return has_both_; }
  bool multi_channel() const override { return false; }
  std::string peer() const override { return peer_; }

 protected:
  bool is_shut_down() const { return shut_down_.load(std::memory_order_relaxed); }
  /// Whether somebody reads, so that what the peer says must not be dropped.
  bool is_read() const { return is_read_.load(std::memory_order_relaxed); }
  int reading_fd() const { return ends_.from_peer.get(); }
  int wake_fd() const { return wake_.fd(); }
  /// Reads and drops what is there. False at the end of the stream.
  Result<bool> drop_some();
  void close_both();

 private:
  Ends ends_;
  std::string peer_;
  std::string_view kind_;
  bool has_both_;
  bool reader_was_blocking_ = false;
  bool writer_was_blocking_ = false;
  std::atomic<bool> shut_down_{false};
  std::atomic<bool> is_read_{false};
  WakeFd wake_;
};

}  // namespace godwit::channel

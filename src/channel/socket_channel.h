// A channel over a connected stream socket: tcp, unix, vsock, or one that was handed over.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "base/system.h"
#include "channel/channel.h"
#include "channel/zero_copy.h"

namespace godwit::channel {

/// The socket is blocking: a large write is one system call. shutdown() of the socket itself is what wakes.
class SocketChannel final : public Channel {
 public:
  /// Whether somebody else may hold the same socket, and may not have more of them for us.
  enum class Origin : std::uint8_t { own, handed_over };

  /// Takes over a connected stream socket, makes it blocking and sets it up for bulk transfer. `peer` is for
  /// logs; where it is empty the socket is asked.
  SocketChannel(UniqueFd socket, std::string peer, Origin origin);
  ~SocketChannel() override;

  using Channel::read;
  using Channel::write;
  Result<> write(std::span<const iovec> parts) override;
  Result<std::size_t> read(std::span<const iovec> parts) override;
  std::size_t read_what_is_there(std::span<std::byte> into) override;
  Result<> write_zero_copy(std::span<const iovec> parts) override;
  Result<bool> finish_zero_copy() override;
  void shutdown() noexcept override;
  Result<> finish_writing() override;
  Result<bool> wait_for_peer_close(std::chrono::milliseconds timeout) override;
  int read_descriptor() const override { return socket_.get(); }
  int write_descriptor() const override { return socket_.get(); }
  void set_patience(std::chrono::milliseconds patience) override;
  void prefer_latency() override;
  std::string_view kind() const override { return "socket"; }
  bool two_way() const override { return true; }
  bool multi_channel() const override { return origin_ == Origin::own; }
  std::string peer() const override { return peer_; }

 private:
  Result<> write_failed(int error_number);
  Result<std::size_t> read_failed(int error_number);
  Result<> wait_ready(short events);

  UniqueFd socket_;
  std::string peer_;
  Origin origin_;
  std::chrono::milliseconds patience_{0};
  // Set before the socket is shut down, read after a call on it has returned: the kernel orders the two.
  std::atomic<bool> shut_down_{false};
  std::optional<ZeroCopySender> zero_copy_;  ///< once somebody asked for it
};

}  // namespace godwit::channel

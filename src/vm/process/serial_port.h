// What COM1 is plugged into.
#pragma once

#include <array>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/circular_buffer.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>

#include <godwit/clock.h>

#include "vm/process/chardev.h"

namespace godwit::vm {

/// Bytes go out at once, in a file each by itself. A peer that does not read makes them wait; when
/// `room` bytes do, the line has no room until most of them have gone. A guest that writes without looking
/// loses what is beyond `backlog_limit`, as on a line without flow control. Nobody ever waits in transmit().
///
/// Threads: transmit() and has_room() on any, the rest on the main loop's.
class SerialPort {
 public:
  using Input = std::function<void(std::span<const std::uint8_t>)>;

  using Ready = std::function<void()>;

  static constexpr std::size_t room = 1024;
  static constexpr std::size_t backlog_limit = 64 * 1024;

  /// `loop` outlives the port.
  static Result<std::unique_ptr<SerialPort>> open(const ChardevConfig& config, boost::asio::io_context& loop);

  void transmit(std::uint8_t byte) noexcept;
  bool has_room() const noexcept { return has_room_.load(std::memory_order_acquire); }

  /// From now on, what arrives is given to `input`, and `ready` is told when there is room again.
  void start(Input input, Ready ready);

  /// Waits for the peer to take what is left, for that long at most. After the last transmit().
  void finish(Milliseconds patience);

  /// True until a server that start-up has to wait for has its first client.
  bool awaits_client() const { return awaits_client_; }

 private:
  SerialPort(ChardevConfig config, OpenChardev opened, boost::asio::io_context& loop);

  void accept_next();
  void take_client(UniqueFd client);
  void read_next();
  void lose_client();
  bool flush();
  void flush_when_writable();
  void go_on_flushing(const boost::system::error_code& error);
  bool would_block() const;
  bool find_room();

  ChardevConfig config_;
  qmp::SocketFile socket_file_;  // removed with the port
  boost::asio::posix::stream_descriptor listener_;
  boost::asio::posix::stream_descriptor input_;
  Input on_input_;
  Ready on_ready_;
  std::array<std::uint8_t, 4096> buffer_;
  bool awaits_client_ = false;

  std::mutex mutex_;  // guards what follows
  boost::asio::posix::stream_descriptor output_;
  boost::circular_buffer<std::uint8_t> backlog_{backlog_limit};  ///< has its memory: a vCPU adds to it
  bool flushing_ = false;
  std::atomic<bool> has_room_{true};
};

}  // namespace godwit::vm

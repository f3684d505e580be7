// What COM1 is plugged into.
#pragma once

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <span>

#include "vm/process/chardev.h"

namespace godwit::vm {

/// Bytes go out at once, in a file each by itself. A peer that does not read makes up to `backlog_limit`
/// bytes wait; further ones are lost, as on a line without flow control.
///
/// Threads: transmit() on any, the rest on the main loop's.
class SerialPort {
 public:
  using Input = std::function<void(std::span<const std::uint8_t>)>;

  static constexpr std::size_t backlog_limit = 64 * 1024;

  /// `loop` outlives the port.
  static Result<std::unique_ptr<SerialPort>> open(const ChardevConfig& config, boost::asio::io_context& loop);

  void transmit(std::uint8_t byte) noexcept;

  /// From now on, what arrives is given to `input`.
  void start_input(Input input);

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

  ChardevConfig config_;
  qmp::SocketFile socket_file_;  // removed with the port
  boost::asio::posix::stream_descriptor listener_;
  boost::asio::posix::stream_descriptor input_;
  Input on_input_;
  std::array<std::uint8_t, 4096> buffer_;
  bool awaits_client_ = false;

  std::mutex mutex_;  // guards what follows
  boost::asio::posix::stream_descriptor output_;
  std::deque<std::uint8_t> backlog_;
  bool flushing_ = false;
};

}  // namespace godwit::vm

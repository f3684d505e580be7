#include "vm/process/serial_port.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "base/exhaustion.h"
#include "base/log.h"

namespace godwit::vm {

namespace asio = boost::asio;
using Descriptor = asio::posix::stream_descriptor;

namespace {

/// Gives `fd` to `descriptor`. Files cannot be waited for, which shows when they are, not here.
void assign(Descriptor& descriptor, UniqueFd fd) {
  if (!fd) return;
  boost::system::error_code error;
  descriptor.assign(fd.release(), error);
}

void make_nonblocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags >= 0) ::fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

}  // namespace

Result<std::unique_ptr<SerialPort>> SerialPort::open(const ChardevConfig& config, asio::io_context& loop) {
  GODWIT_ASSIGN(auto opened, open_chardev(config));
  return std::unique_ptr<SerialPort>(new SerialPort(config, std::move(opened), loop));
}

SerialPort::SerialPort(ChardevConfig config, OpenChardev opened, asio::io_context& loop)
    : config_(std::move(config)), listener_(loop), input_(loop), output_(loop) {
  if (opened.listener) {
    socket_file_ = std::move(opened.listener->file);
    assign(listener_, std::move(opened.listener->fd));
  }
  // A FIFO that nobody empties must not hold a vCPU, which would then not stop. What is behind standard
  // output belongs to others too, so that its mode is left alone: see would_block().
  if (opened.output && config_.kind != ChardevConfig::Kind::stdio) make_nonblocking(opened.output.get());
  assign(input_, std::move(opened.input));
  assign(output_, std::move(opened.output));
  awaits_client_ = config_.server && config_.wait;
  if (listener_.is_open()) accept_next();
}

void SerialPort::accept_next() {
  listener_.async_wait(Descriptor::wait_read, [this](const boost::system::error_code& error) {
    if (error) return;
    auto client = qmp::accept_client(listener_.native_handle());
    if (!client) {
      log::error("serial port: {}", client.error().what());
      return;  // out of descriptors: better no client than a loop that spins
    }
    if (*client)
      take_client(*std::move(client));
    else
      accept_next();
  });
}

void SerialPort::take_client(UniqueFd client) {
  auto copy = client.duplicate();
  if (!copy) return accept_next();
  {
    const std::lock_guard lock(mutex_);
    assign(output_, *std::move(copy));
  }
  assign(input_, std::move(client));
  awaits_client_ = false;
  if (on_input_) read_next();
}

void SerialPort::start(Input input, Ready ready) {
  on_input_ = std::move(input);
  on_ready_ = std::move(ready);
  if (input_.is_open()) read_next();
}

void SerialPort::read_next() {
  input_.async_read_some(asio::buffer(buffer_),
                         [this](const boost::system::error_code& error, std::size_t got) {
                           if (error == asio::error::operation_aborted) return;
                           if (error) return lose_client();
                           on_input_(std::span(buffer_).first(got));
                           read_next();
                         });
}

void SerialPort::lose_client() {
  boost::system::error_code ignored;
  input_.close(ignored);
  if (!config_.is_socket()) return;  // the end of standard input does not end standard output
  bool found_room = false;
  {
    const std::lock_guard lock(mutex_);
    output_.close(ignored);
    backlog_.clear();
    flushing_ = false;
    found_room = find_room();
  }
  if (found_room && on_ready_) on_ready_();
  if (listener_.is_open()) accept_next();
}

void SerialPort::transmit(std::uint8_t byte) noexcept {
  const std::lock_guard lock(mutex_);
  if (!output_.is_open()) return;
  if (backlog_.size() >= backlog_limit) return;
  backlog_.push_back(byte);
  if (flushing_ || flush()) {
    if (backlog_.size() >= room) has_room_.store(false, std::memory_order_release);
    return;
  }
  // Without memory for it the next byte tries again.
  const auto posted = or_exhausted([this]() -> Result<> {
    with_reserve([this] {
      asio::post(output_.get_executor(), [this] {
        const std::lock_guard inner(mutex_);
        flush_when_writable();
      });
    });
    return {};
  });
  flushing_ = posted.has_value();
}

/// With mutex_ held. True: there is room, and there was none.
bool SerialPort::find_room() {
  if (backlog_.size() > room / 4) return false;
  return !has_room_.exchange(true, std::memory_order_acq_rel);
}

bool SerialPort::would_block() const {
  if (config_.kind != ChardevConfig::Kind::stdio) return false;  // write() says so
  pollfd writable{const_cast<Descriptor&>(output_).native_handle(), POLLOUT, 0};
  return ::poll(&writable, 1, 0) == 0;
}

/// With mutex_ held. False: the peer takes no more for now.
bool SerialPort::flush() {
  while (!backlog_.empty()) {
    std::array<std::uint8_t, 512> piece;
    // Behind standard output only one byte is sure not to make us wait.
    const std::size_t most = config_.kind == ChardevConfig::Kind::stdio ? 1 : piece.size();
    const std::size_t size = std::min(most, backlog_.size());
    std::copy_n(backlog_.begin(), size, piece.begin());
    if (would_block()) return false;
    const ssize_t written = ::write(output_.native_handle(), piece.data(), size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EAGAIN) return false;
    // Written, or there is nowhere to write it.
    const std::size_t done = written > 0 ? static_cast<std::size_t>(written) : size;
    backlog_.erase_begin(done);
  }
  return true;
}

/// With mutex_ held.
void SerialPort::flush_when_writable() {
  if (!output_.is_open()) return;
  output_.async_wait(Descriptor::wait_write, [this](const boost::system::error_code& error) {
    if (error != asio::error::operation_aborted) go_on_flushing(error);
  });
}

void SerialPort::go_on_flushing(const boost::system::error_code& error) {
  bool found_room = false;
  {
    const std::lock_guard lock(mutex_);
    if (error) backlog_.clear();  // it cannot be waited for
    if (flush())
      flushing_ = false;
    else
      flush_when_writable();
    found_room = find_room();
  }
  if (found_room && on_ready_) on_ready_();
}

void SerialPort::finish(Milliseconds patience) {
  const auto end = std::chrono::steady_clock::now() + patience;
  const std::lock_guard lock(mutex_);
  while (output_.is_open() && !flush()) {
    const auto left = std::chrono::ceil<Milliseconds>(end - std::chrono::steady_clock::now());
    pollfd writable{output_.native_handle(), POLLOUT, 0};
    if (left.count() <= 0 || ::poll(&writable, 1, static_cast<int>(left.count())) == 0) return;
  }
}

}  // namespace godwit::vm

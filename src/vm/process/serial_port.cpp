#include "vm/process/serial_port.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

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
  if (config_.is_socket() && opened.output) ::fcntl(opened.output.get(), F_SETFL, O_RDWR | O_NONBLOCK);
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

void SerialPort::start_input(Input input) {
  on_input_ = std::move(input);
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
  {
    const std::lock_guard lock(mutex_);
    output_.close(ignored);
    backlog_.clear();
    flushing_ = false;
  }
  if (listener_.is_open()) accept_next();
}

void SerialPort::transmit(std::uint8_t byte) noexcept {
  const std::lock_guard lock(mutex_);
  if (!output_.is_open()) return;
  if (backlog_.size() >= backlog_limit) return;
  backlog_.push_back(byte);
  if (flushing_ || flush()) return;
  flushing_ = true;
  asio::post(output_.get_executor(), [this] {
    const std::lock_guard inner(mutex_);
    flush_when_writable();
  });
}

/// With mutex_ held. False: the peer takes no more for now.
bool SerialPort::flush() {
  while (!backlog_.empty()) {
    const std::uint8_t byte = backlog_.front();
    const ssize_t written = ::write(output_.native_handle(), &byte, 1);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EAGAIN) return false;
    backlog_.pop_front();  // written, or there is nowhere to write it
  }
  return true;
}

/// With mutex_ held.
void SerialPort::flush_when_writable() {
  if (!output_.is_open()) return;
  output_.async_wait(Descriptor::wait_write, [this](const boost::system::error_code& error) {
    const std::lock_guard lock(mutex_);
    if (error == asio::error::operation_aborted) return;
    if (error || flush())
      flushing_ = false;
    else
      flush_when_writable();
  });
}

}  // namespace godwit::vm

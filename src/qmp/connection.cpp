#include "qmp/connection.h"

#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <poll.h>
#include <utility>

#include "base/log.h"
#include "qmp/raw_io.h"

namespace godwit::qmp {
namespace {

using Descriptor = boost::asio::posix::stream_descriptor;
constexpr std::size_t chunk_bytes = 64 * 1024;

/// A file is always ready, and the loop says so by refusing to wait for it.
bool is_ready(const boost::system::error_code& error) {
  return !error || error == boost::asio::error::operation_not_supported;
}

void adopt(Descriptor& descriptor, UniqueFd fd) {
  if (!fd) return;
  boost::system::error_code error;  // the first wait fails if this does
  descriptor.assign(fd.get(), error);
  if (!error) [[maybe_unused]]
    const int now_of_descriptor = fd.release();
}

}  // namespace

Connection::Connection(boost::asio::io_context& loop, Stream stream, Session session, OutputLimits limits,
                       Owner& owner)
    : session_(std::move(session)),
      limits_(limits),
      owner_(owner),
      loop_(loop),
      in_(loop),
      out_(loop),
      is_socket_(is_socket(stream.in.get())),
      chunk_(chunk_bytes) {
  adopt(in_, std::move(stream.in));
  adopt(out_, std::move(stream.out));
}

void Connection::start() {
  attempt([this] {
    if (is_socket_) await_hang_up();
    update();
  });
}

void Connection::update() {
  if (closed_) return;
  if (session_.has_output()) {
    if (backlog() > limits_.drop_bytes) {
      log::warn("a monitor client has left {} bytes unread: disconnected", backlog());
      close();
      return;
    }
    forget_sent();
    outgoing_ += session_.take_output();
  }
  if (!awaiting_room_) send_some();
  if (closed_) return;
  if (input_ended_ && session_.idle() && all_sent()) {
    close();
    return;
  }
  await_input();
}

void Connection::forget_sent() {
  if (sent_ < outgoing_.size() / 2) return;
  outgoing_.erase(0, sent_);
  sent_ = 0;
  if (outgoing_.empty() && outgoing_.capacity() > limits_.pause_bytes) outgoing_ = {};
}

void Connection::close() {
  if (closed_) return;
  closed_ = true;
  boost::system::error_code ignored;
  in_.close(ignored);
  out_.close(ignored);
  with_reserve(
      [this] { boost::asio::post(loop_, [self = shared_from_this()] { self->owner_.on_closed(*self); }); });
}

void Connection::give_up(const Error& why) {
  log::warn("a monitor client is disconnected: {}", why.what());
  close();
}

void Connection::await_input() {
  if (awaiting_input_ || input_ended_ || congested() || !session_.wants_input()) return;
  awaiting_input_ = true;
  in_.async_wait(Descriptor::wait_read, [self = shared_from_this()](const boost::system::error_code& error) {
    self->awaiting_input_ = false;
    self->attempt([&] { is_ready(error) ? self->on_readable() : self->close(); });
  });
}

void Connection::on_readable() {
  std::vector<UniqueFd> passed;
  const Transfer transfer = read_some(in_.native_handle(), is_socket_, chunk_, passed);
  switch (transfer.outcome) {
    case Transfer::Outcome::moved:
      session_.receive(std::string_view(chunk_.data(), transfer.bytes), std::move(passed));
      owner_.on_requests(*this);
      break;
    case Transfer::Outcome::ended:
      // Whoever only stopped sending still gets the answers it waits for.
      input_ended_ = true;
      if (hung_up()) return close();
      break;
    case Transfer::Outcome::would_block:
      break;
    case Transfer::Outcome::failed:
      return close();
  }
  update();
}

bool Connection::hung_up() {
  pollfd query{in_.native_handle(), 0, 0};
  return is_socket_ && ::poll(&query, 1, 0) > 0 && (query.revents & (POLLHUP | POLLERR)) != 0;
}

void Connection::await_hang_up() {
  in_.async_wait(Descriptor::wait_error, [self = shared_from_this()](const boost::system::error_code& error) {
    if (!self->closed_ && !error && self->hung_up()) self->close();
  });
}

void Connection::send_some() {
  while (backlog() != 0) {
    const std::string_view rest = std::string_view(outgoing_).substr(sent_);
    const Transfer transfer = write_some(output().native_handle(), is_socket_, rest);
    if (transfer.outcome == Transfer::Outcome::would_block) return await_room();
    if (transfer.outcome != Transfer::Outcome::moved) return close();
    sent_ += transfer.bytes;
  }
  forget_sent();
}

void Connection::await_room() {
  awaiting_room_ = true;
  output().async_wait(Descriptor::wait_write,
                      [self = shared_from_this()](const boost::system::error_code& error) {
                        self->awaiting_room_ = false;
                        self->attempt([&] {
                          if (!is_ready(error)) return self->close();
                          self->update();
                          if (!self->closed_ && !self->congested()) self->owner_.on_requests(*self);
                        });
                      });
}

}  // namespace godwit::qmp

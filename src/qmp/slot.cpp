#include "qmp/slot.h"

#include <chrono>
#include <utility>

#include "base/exhaustion.h"
#include "base/log.h"

namespace godwit::qmp {
namespace {

/// How long to wait for a descriptor to become free before the next attempt to accept.
constexpr auto accept_retry = std::chrono::milliseconds(100);

}  // namespace

Slot::Slot(boost::asio::io_context& loop, const CommandTable& commands, std::shared_ptr<FdSets> sets,
           Settings settings, Owner& owner)
    : loop_(loop),
      commands_(commands),
      settings_(std::move(settings)),
      owner_(owner),
      descriptors_(std::make_shared<DescriptorStore>(std::move(sets))),
      listener_(loop),
      retry_(loop) {}

void Slot::serve(Listener listener) {
  file_ = std::move(listener.file);
  boost::system::error_code error;
  listener_.assign(listener.fd.get(), error);
  if (error) {
    log::error("monitor {}: {}", address(), error.message());
    return;
  }
  [[maybe_unused]] const int now_of_listener = listener.fd.release();
  await_client();
}

void Slot::serve(Stream stream) {
  Session session(commands_, descriptors_, settings_.session);
  connection_ =
      std::make_shared<Connection>(loop_, std::move(stream), std::move(session), settings_.limits, owner_);
  connection_->start();
  owner_.on_connected(*this);
}

void Slot::release() {
  connection_.reset();
  if (listener_.is_open()) await_client();
}

void Slot::stop_accepting() {
  boost::system::error_code ignored;
  listener_.close(ignored);
  retry_.cancel();
  file_ = SocketFile();
}

void Slot::await_client() {
  const auto on_ready = [self = shared_from_this()](const boost::system::error_code& error) {
    if (!error && self->listener_.is_open()) self->on_client();
  };
  listener_.async_wait(boost::asio::posix::stream_descriptor::wait_read, on_ready);
}

void Slot::on_client() {
  const auto served = or_exhausted([this]() -> Result<> {
    GODWIT_ASSIGN(UniqueFd client, accept_client(listener_.native_handle()));
    if (client)
      serve(Stream{.in = std::move(client), .out = {}});
    else
      await_client();
    return {};
  });
  if (served) return;
  log::warn("monitor {}: {}", address(), served.error().what());
  with_reserve([this] { retry_soon(); });
}

void Slot::retry_soon() {
  retry_.expires_after(accept_retry);
  retry_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (!error && self->listener_.is_open()) self->await_client();
  });
}

}  // namespace godwit::qmp

#include "qmp/monitor_service.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <chrono>
#include <utility>

#include "base/exhaustion.h"
#include "base/log.h"
#include "base/thread.h"
#include "qmp/envelope.h"

namespace godwit::qmp {
namespace {

/// Opens what `endpoint` names and says where it is.
struct Opened {
  std::variant<Listener, Stream> source;
  std::string address;
};

template <typename SocketEndpoint>
Result<Opened> open_socket(SocketEndpoint&& endpoint) {
  if (endpoint.server) {
    GODWIT_ASSIGN(Listener listener, listen_on(endpoint));
    std::string address = listener.address;
    return Opened{std::move(listener), std::move(address)};
  }
  GODWIT_ASSIGN(UniqueFd fd, connect_to(endpoint));
  return Opened{Stream{.in = std::move(fd), .out = {}}, to_string(Endpoint(endpoint))};
}

Result<Opened> open(UnixEndpoint&& endpoint) {
  return open_socket(std::move(endpoint));
}
Result<Opened> open(TcpEndpoint&& endpoint) {
  return open_socket(std::move(endpoint));
}
Result<Opened> open(StdioEndpoint&& endpoint) {
  GODWIT_ASSIGN(Stream stream, open_stdio());
  return Opened{std::move(stream), to_string(Endpoint(endpoint))};
}
Result<Opened> open(OpenEndpoint&& endpoint) {
  std::string address = fmt::format("fd:{}", endpoint.fd.get());
  return Opened{Stream{.in = std::move(endpoint.fd), .out = {}}, std::move(address)};
}

}  // namespace

Monitor::Service::Service(const CommandTable& commands, Executor executor)
    : commands_(commands),
      executor_(std::move(executor)),
      work_(boost::asio::make_work_guard(loop_)),
      patience_(loop_),
      thread_(start_thread("monitor", [this](const std::stop_token&) { run(); })) {}

/// Who runs out of memory on behalf of a client loses that client (Connection::attempt); this is for the
/// rest.
void Monitor::Service::run() {
  for (;;) {
    const auto ended = or_exhausted([this]() -> Result<> {
      loop_.run();
      return {};
    });
    if (ended) return;
    log::error("the monitor: {}", ended.error().what());
  }
}

Result<std::string> Monitor::Service::add(Endpoint&& endpoint, const Options& options) {
  const bool waits = waits_for_client(endpoint);
  GODWIT_ASSIGN(Opened opened,
                std::visit([](auto&& kind) { return open(std::move(kind)); }, std::move(endpoint)));
  Slot::Settings settings{.session = {.offer_oob = true,
                                      .layout = options.pretty ? JsonLayout::pretty : JsonLayout::line,
                                      .limits = {}},
                          .limits = options.limits,
                          .address = opened.address,
                          .id = 0};
  const std::lock_guard lock(mutex_);
  if (closing_) return fail(Error("the monitor is closing"));
  settings.id = ++slot_count_;
  if (waits) {
    log::info("waiting for a client on {}", opened.address);
    awaited_.push_back(settings.id);
  }
  boost::asio::post(loop_, [this, settings, source = std::move(opened.source)]() mutable {
    serve(std::move(settings), std::move(source));
  });
  return std::move(opened.address);
}

bool Monitor::Service::wait_for_clients(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  return first_client_.wait(lock, std::move(stop), [this] { return awaited_.empty() || closing_; }) &&
         !closing_;
}

void Monitor::Service::emit(std::string_view name, std::optional<boost::json::object>&& data) {
  const std::lock_guard lock(mutex_);  // the order of the time stamps is that of the events
  post_locked(make_event(name, std::move(data), std::chrono::system_clock::now()));
}

void Monitor::Service::post_locked(Message&& message) {
  if (closed_) return;
  if (messages_.empty()) boost::asio::post(loop_, [this] { drain_messages(); });
  messages_.push_back(std::move(message));
}

void Monitor::Service::answer(Answer&& answer) {
  answer.call->run();
  const std::lock_guard lock(mutex_);
  with_reserve([&] { post_locked(answer); });
}

void Monitor::Service::run_in_band(Answer&& prepared) {
  {
    const std::lock_guard lock(mutex_);
    if (closing_) return;
  }
  answer(std::move(prepared));
}

void Monitor::Service::serve(Slot::Settings settings, std::variant<Listener, Stream> source) {
  if (ending_) return;
  Slot::Owner& owner = *this;
  slots_.push_back(std::make_shared<Slot>(loop_, commands_, sets_, std::move(settings), owner));
  std::visit([this](auto&& kind) { slots_.back()->serve(std::move(kind)); }, std::move(source));
}

void Monitor::Service::drain_messages() {
  std::vector<Message> messages;
  {
    const std::lock_guard lock(mutex_);
    messages.swap(messages_);
  }
  for (const Message& message : messages) {
    const auto handled = or_exhausted([&]() -> Result<> {
      std::visit([this](const auto& kind) { handle(kind); }, message);
      return {};
    });
    if (!handled) log::error("clients were not told: {}", handled.error().what());
  }
}

void Monitor::Service::handle(const boost::json::value& event) {
  std::string line;
  std::string pretty;
  with_reserve([&] {
    line = to_json_text(event) + "\r\n";
    pretty = to_json_text(event, JsonLayout::pretty) + "\r\n";
  });
  for (const auto& slot : slots_) {
    Connection* const connection = slot->connection();
    if (!connection || connection->closed()) continue;
    connection->attempt([&] {
      connection->session().deliver(line, pretty);
      connection->update();
    });
  }
}

void Monitor::Service::handle(const Answer& answer) {
  if (!answer.out_of_band) running_ = false;
  if (const auto connection = answer.connection.lock(); connection && !connection->closed()) {
    connection->attempt([&] { connection->session().complete(std::move(*answer.call)); });
    run_out_of_band(*connection);
  }
  dispatch();
}

void Monitor::Service::run_out_of_band(Connection& connection) {
  connection.attempt([&] {
    while (std::shared_ptr<Call> call = connection.session().next_out_of_band())
      answer({connection.weak_from_this(), std::move(call), true});
    connection.update();
  });
}

void Monitor::Service::dispatch() {
  for (std::size_t turn = 0; turn < slots_.size() && !running_ && !ending_; ++turn) {
    const std::size_t index = (next_slot_ + turn) % slots_.size();
    if (!dispatch_from(*slots_[index])) continue;
    next_slot_ = index + 1;
    return;
  }
  dispatch_again();
}

/// For those who have used up their turn; what has arrived from others meanwhile comes first.
void Monitor::Service::dispatch_again() {
  const auto has_more = [](const auto& slot) {
    Connection* const connection = slot->connection();
    return connection && !connection->closed() && !connection->congested() &&
           connection->session().has_in_band();
  };
  if (running_ || ending_ || dispatches_again_ || std::ranges::none_of(slots_, has_more)) return;
  with_reserve([this] {
    boost::asio::post(loop_, [this] {
      dispatches_again_ = false;
      dispatch();
    });
  });
  dispatches_again_ = true;
}

bool Monitor::Service::dispatch_from(const Slot& slot) {
  Connection* const connection = slot.connection();
  if (!connection || connection->closed() || connection->congested()) return false;
  std::shared_ptr<Call> call;
  connection->attempt([&] { call = connection->session().next_in_band(); });
  run_out_of_band(*connection);
  if (!call || connection->closed()) return false;
  connection->attempt([&] {
    executor_([self = shared_from_this(), from = connection->weak_from_this(), call = std::move(call)] {
      self->run_in_band({from, call, false});
    });
    running_ = true;
  });
  return running_;
}

void Monitor::Service::on_requests(Connection& connection) {
  run_out_of_band(connection);
  dispatch();
  if (ending_) end_when_sent();
}

void Monitor::Service::on_connected(Slot& slot) {
  const std::lock_guard lock(mutex_);
  std::erase(awaited_, slot.id());
  first_client_.notify_all();
}

void Monitor::Service::on_closed(Connection& connection) {
  const auto served_by = [&connection](const auto& slot) { return slot->connection() == &connection; };
  const auto slot = std::ranges::find_if(slots_, served_by);
  if (slot != slots_.end()) with_reserve([&] { (*slot)->release(); });
  if (std::ranges::none_of(slots_, [](const auto& other) { return other->connection() != nullptr; }))
    sets_->clear();
  if (ending_) end_when_sent();
}

void Monitor::Service::close(Milliseconds patience) {
  {
    const std::lock_guard lock(mutex_);
    if (closing_) return;
    closing_ = true;
    first_client_.notify_all();
    with_reserve(
        [&] { boost::asio::post(loop_, [this, patience] { with_reserve([&] { begin_end(patience); }); }); });
  }
  thread_.join();
}

void Monitor::Service::begin_end(Milliseconds patience) {
  drain_messages();
  ending_ = true;
  for (const auto& slot : slots_) slot->stop_accepting();
  patience_.expires_after(patience);
  patience_.async_wait([this](const boost::system::error_code& error) {
    if (!error) end_now();
  });
  end_when_sent();
}

void Monitor::Service::end_when_sent() {
  const auto sent = [](const auto& slot) { return !slot->connection() || slot->connection()->all_sent(); };
  if (std::ranges::all_of(slots_, sent)) end_now();
}

void Monitor::Service::end_now() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    messages_.clear();
  }
  for (const auto& slot : slots_)
    if (slot->connection()) slot->connection()->close();
  slots_.clear();
  patience_.cancel();
  work_.reset();  // the loop ends when the handlers that were just cancelled have run
}

}  // namespace godwit::qmp

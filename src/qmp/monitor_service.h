// The inside of Monitor: the loop, its thread, and who runs next.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "qmp/fd_sets.h"
#include "qmp/monitor.h"
#include "qmp/slot.h"

namespace godwit::qmp {

/// Also held by the commands that are on their way to the main loop: one that gets there after the Monitor
/// has gone finds it closing, and does nothing.
class Monitor::Service : public std::enable_shared_from_this<Monitor::Service>, private Slot::Owner {
 public:
  Service(const CommandTable& commands, Executor executor);

  // Any thread.
  Result<std::string> add(Endpoint&& endpoint, const Options& options);
  bool wait_for_clients(std::stop_token stop);
  void emit(std::string_view name, std::optional<boost::json::object>&& data);
  void close(Milliseconds patience);

 private:
  /// A call that has run. It does not keep the connection, which belongs to the loop.
  struct Answer {
    std::weak_ptr<Connection> connection;
    std::shared_ptr<Call> call;
    bool out_of_band;
  };
  using Message = std::variant<boost::json::value, Answer>;  // an event or an answer

  // Any thread. Messages are handled in the order in which they came about.
  void post_locked(Message&& message);
  void answer(Answer&& answer);
  void run_in_band(Answer&& prepared);

  // The monitor's thread.
  void run();
  void serve(Slot::Settings settings, std::variant<Listener, Stream> source);
  void drain_messages();
  void handle(const boost::json::value& event);
  void handle(const Answer& answer);
  void run_out_of_band(Connection& connection);
  void dispatch();
  bool dispatch_from(const Slot& slot);
  void dispatch_again();
  void on_requests(Connection& connection) override;
  void on_connected(Slot& slot) override;
  void on_closed(Connection& connection) override;
  void begin_end(Milliseconds patience);
  void end_when_sent();
  void end_now();

  const CommandTable& commands_;
  const Executor executor_;
  const std::shared_ptr<FdSets> sets_ = std::make_shared<FdSets>();

  std::mutex mutex_;  // guards the members up to closed_
  std::condition_variable_any first_client_;
  std::vector<Message> messages_;
  std::vector<std::uint64_t> awaited_;  // slots that have had no client yet, and that others wait for
  std::uint64_t slot_count_ = 0;
  bool closing_ = false;  // no call begins any more
  bool closed_ = false;   // no message is taken any more

  // The monitor's thread only.
  boost::asio::io_context loop_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  boost::asio::steady_timer patience_;
  std::vector<std::shared_ptr<Slot>> slots_;
  std::size_t next_slot_ = 0;
  bool running_ = false;  // an in-band call is on its way
  bool dispatches_again_ = false;
  bool ending_ = false;

  std::jthread thread_;
};

}  // namespace godwit::qmp

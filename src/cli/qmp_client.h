// A client of QMP, the monitor protocol (control-plane section 1): one command at a time, events kept in a
// queue.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <godwit/schema/commands.h>

#include "cli/wait.h"

namespace godwit::cli {

/// An event of the monitor.
struct QmpEvent {
  std::string name;
  std::chrono::microseconds time{};  ///< wall clock of the sender, since 1970
  boost::json::object data;          ///< empty if the event has none
};

/// Whether commands may overtake one another on a connection.
enum class OutOfBand : bool { no, if_offered };

/// One connection to a monitor, negotiated and ready for commands.
///
/// Thread contract: one thread at a time. Every call ends: with its result, with an error, when its time is
/// over, or when the stop request comes. After an error other than the refusal of a command the connection is
/// of no more use.
class QmpClient {
 public:
  /// Reads the greeting on a connected socket and negotiates, out-of-band execution too if it is wanted and
  /// offered. `stop` must live as long as the client.
  static Result<QmpClient> open(UniqueFd socket, Deadline deadline, const StopRequest& stop,
                                OutOfBand out_of_band = OutOfBand::no);

  QmpClient(QmpClient&&) = default;
  QmpClient& operator=(QmpClient&&) = default;

  /// Runs a command of the schema and waits for its answer. A refusal is an error with the monitor's class
  /// and text. Members of the answer that the schema does not know are ignored. `descriptor` (-1: none)
  /// travels with the command.
  template <typename Command>
  Result<typename Command::Returns> execute(const typename Command::Arguments& arguments = {},
                                            int descriptor = -1) {
    auto json = schema::to_json(arguments);
    GODWIT_ASSIGN(const auto answer, execute(Command::name, std::move(json.as_object()), descriptor));
    auto value = schema::from_json<typename Command::Returns>(answer, schema::UnknownMembers::ignore);
    if (!value)
      return std::unexpected(std::move(value).error().in("the answer to " + std::string(Command::name)));
    return value;
  }

  /// The same for a command by name, in bare JSON.
  Result<boost::json::value> execute(std::string_view command, boost::json::object arguments = {},
                                     int descriptor = -1);

  /// Sends a request as it is, but for its "id", and returns that. Its answer comes with take_answers().
  Result<std::int64_t> send(boost::json::object request);

  /// The answers that came in and were not taken yet, oldest first, with their "id". Where execute() is used
  /// too, it takes those it finds.
  std::vector<boost::json::object> take_answers();

  /// Readable when receive() has something to do.
  int fd() const { return socket_.get(); }

  /// Takes in, without waiting, what the monitor has sent.
  Result<> receive();

  /// The events that came in and were not taken yet, oldest first.
  std::vector<QmpEvent> take_events();

  /// How long one command may take; 30 s at first.
  void set_timeout(Milliseconds timeout) { timeout_ = timeout; }

  /// The monitor's version as its greeting says: "7.2.22 (Debian ...)".
  const std::string& version() const { return version_; }

 private:
  QmpClient(UniqueFd socket, const StopRequest& stop);

  /// Whether out-of-band execution is offered.
  Result<bool> take_greeting(Deadline deadline);
  Result<std::int64_t> send(boost::json::object request, int descriptor, Deadline deadline);
  Result<boost::json::object> wait_for_answer(std::int64_t id, Deadline deadline);
  std::optional<boost::json::object> find_answer(std::int64_t id);
  Result<> parse(std::string_view bytes);
  Result<> take_message(boost::json::value message);

  UniqueFd socket_;
  const StopRequest* stop_;
  Milliseconds timeout_{30'000};
  std::string version_;
  std::int64_t last_id_ = 0;
  std::unique_ptr<boost::json::stream_parser> parser_;  // it cannot be moved
  std::size_t pending_bytes_ = 0;                       // of the message that is not complete yet
  std::deque<boost::json::object> answers_;
  std::deque<QmpEvent> events_;
};

}  // namespace godwit::cli

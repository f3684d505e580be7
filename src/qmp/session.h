// One client's conversation, without the socket (control-plane sections 1.2 to 1.4).
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <godwit/result.h>

#include "qmp/command_table.h"
#include "qmp/context.h"
#include "qmp/envelope.h"
#include "qmp/json_parser.h"
#include "qmp/json_printer.h"

namespace godwit::qmp {

/// A request that was accepted for execution. Knows nothing of its session, which may be gone when it runs.
class Call {
 public:
  /// Runs the handler, once, on whichever thread calls.
  void run();

 private:
  friend class Session;
  Call(const CommandTable::Command& command, boost::json::object&& arguments,
       std::optional<boost::json::value>&& id, Context&& context);

  const CommandTable::Command& command_;
  boost::json::object arguments_;
  std::optional<boost::json::value> id_;
  Context context_;
  std::optional<Result<boost::json::value>> outcome_;
};

/// Takes bytes, gives calls to run and bytes to send. No I/O, no threads: everything is called by the
/// monitor's thread. One per connection, made when a client connects.
class Session {
 public:
  struct Settings {
    bool offer_oob = true;
    JsonLayout layout = JsonLayout::line;
    JsonLimits limits = {};
  };

  /// In-band requests that wait at most; beyond, wants_input() is false.
  static constexpr std::size_t queue_limit_with_oob = 8;

  /// Greets at once. `commands` outlives the session and every call it makes.
  Session(const CommandTable& commands, std::shared_ptr<DescriptorStore> descriptors, Settings settings);

  /// Bytes from the client, and the descriptors that came with the first of them.
  void receive(std::string_view bytes, std::vector<UniqueFd> passed);

  /// False while the client has as many requests outstanding as it may.
  bool wants_input() const { return unparsed_.empty() && !queue_full(); }

  /// The next request that overtakes others, or null. Run it at once on the monitor's thread.
  std::unique_ptr<Call> next_out_of_band();

  /// How many requests one call of next_in_band() refuses at most.
  static constexpr std::size_t refusals_per_turn = 16;

  /// The next request in order, or null if there is none or the one before has not been completed. Requests
  /// that are refused without running are answered on the way, a limited number of them: others want a turn
  /// too.
  std::unique_ptr<Call> next_in_band();
  /// True if next_in_band() has more to do.
  bool has_in_band() const { return !running_ && !queue_.empty(); }

  /// Answers a call that has run.
  void complete(Call&& call);

  /// Sends an event, if the client has negotiated. `line` and `pretty` are the two forms of it.
  void deliver(std::string_view line, std::string_view pretty);

  /// True if nothing is queued, running, or waiting to be parsed.
  bool idle() const { return queue_.empty() && !running_ && out_of_band_.empty() && unparsed_.empty(); }

  SessionMode mode() const { return mode_; }

  /// What is to be sent; the caller takes it.
  std::string take_output() { return std::exchange(output_, {}); }
  bool has_output() const { return !output_.empty(); }

 private:
  struct Item {
    JsonParser::Outcome parsed;
    std::uint64_t end;  ///< offset in the input behind it
  };
  struct Passed {
    std::uint64_t at;  ///< offset of the byte it came with
    std::vector<UniqueFd> fds;
  };
  struct Accepted {
    const CommandTable::Command* command;
    Request request;
  };

  bool queue_full() const;
  void parse();
  void enqueue(JsonParser::Outcome&& parsed);
  std::unique_ptr<Call> admit(Item&& item);
  Result<Accepted> accept(JsonParser::Outcome&& parsed) const;
  Result<const CommandTable::Command*> look_up(const Request& request) const;
  /// The newest descriptors that came before offset `end`; older ones are closed.
  std::vector<UniqueFd> passed_before(std::uint64_t end);
  /// What a command did not take may be meant for the next one, unless that brings its own.
  void put_back(std::vector<UniqueFd>&& unused);
  void reply(Result<boost::json::value>&& outcome, std::optional<boost::json::value>&& id);
  void send(const boost::json::value& message);

  const CommandTable& commands_;
  std::shared_ptr<DescriptorStore> descriptors_;
  Settings settings_;
  Context::Capabilities offered_;
  SessionMode mode_ = SessionMode::negotiation;
  bool oob_ = false;
  bool running_ = false;

  JsonParser parser_;
  std::string unparsed_;          // received while the queue was full
  std::uint64_t received_ = 0;    // bytes so far
  std::uint64_t last_value_ = 0;  // offset behind the last value
  std::deque<Passed> passed_;     // descriptors no request has taken yet, oldest first
  std::deque<Item> queue_;
  std::deque<Item> out_of_band_;
  std::string output_;
};

}  // namespace godwit::qmp

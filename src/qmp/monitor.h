// The monitors of a process: QMP on any number of sockets, one thread for all of them
// (control-plane sections 1, 5 and 13).
#pragma once

#include <boost/json/object.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <type_traits>

#include <godwit/result.h>
#include <godwit/schema/json.h>

#include "base/clock.h"
#include "qmp/command_table.h"
#include "qmp/endpoint.h"
#include "qmp/json_printer.h"
#include "qmp/output_limits.h"

namespace godwit::qmp {

/// Owns the thread "monitor", which does all socket work of all monitors, parses, and runs out-of-band
/// commands. It never waits for anything but its sockets: a slow, flooding or vanished client costs only
/// itself.
///
/// In-band commands run where the executor puts them, one at a time over all clients, which take turns.
/// Replies and events reach each client in the order in which they came about: what a command emits before it
/// returns is sent before its reply.
class Monitor {
 public:
  /// Runs a function soon, on the main loop; functions in the order given. Called by the monitor thread. May
  /// drop the function when the main loop has ended.
  using Executor = std::function<void(std::function<void()>)>;

  struct Options {
    bool pretty = false;
    OutputLimits limits = {};
  };

  /// `commands` is complete, and outlives the Monitor and whatever the executor still holds.
  Monitor(const CommandTable& commands, Executor executor);
  /// As close() without patience.
  ~Monitor();
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;

  /// Opens `endpoint` and serves it from now on. Returns where it is, with the port that was chosen:
  /// "tcp:127.0.0.1:34463". Errors: see sockets.h. Thread-safe.
  Result<std::string> add(Endpoint endpoint, Options options);
  Result<std::string> add(Endpoint endpoint) { return add(std::move(endpoint), Options()); }

  /// Waits until each endpoint with `wait_for_client` has had its first client. False if stopped before.
  bool wait_for_clients(std::stop_token stop = {});

  /// Sends an event to every client that has negotiated, stamped with the time of the call. Any thread; never
  /// blocks. `Event` is a tag of <godwit/schema/commands.h>.
  /// Where memory runs out it is made with that of the reserve; one that is lost nevertheless is in the log.
  template <typename Event>
  void emit(const typename Event::Data& data = {}) {
    emit_made(Event::name, [&data]() -> std::optional<boost::json::object> {
      if constexpr (std::is_same_v<typename Event::Data, schema::Nothing>)
        return std::nullopt;
      else
        return std::move(schema::to_json(data).as_object());
    });
  }
  void emit(std::string_view name, std::optional<boost::json::object> data);

  /// Ends all conversations. What was emitted and answered before is still sent, for as long as `patience` at
  /// most; requests that have not begun are dropped. Idempotent; one thread.
  void close(Milliseconds patience);

 private:
  void emit_made(std::string_view name, const std::function<std::optional<boost::json::object>()>& make_data);

  class Service;
  std::shared_ptr<Service> service_;
};

}  // namespace godwit::qmp

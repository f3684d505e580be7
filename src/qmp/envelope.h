// The outermost objects of QMP: greeting, request, reply, event (control-plane sections 1.2 to 1.5 and 2).
// The only place that spells their member names.
#pragma once

#include <boost/json/value.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include <godwit/result.h>

#include "qmp/context.h"

namespace godwit::qmp {

/// A request whose envelope is in order. Whether the command exists is not yet known.
struct Request {
  std::string command;
  boost::json::object arguments;
  bool out_of_band = false;
};

boost::json::value make_greeting(const Context::Capabilities& offered);

/// The `id` of a request, in order or not.
std::optional<boost::json::value> id_of(const boost::json::value& request);

/// True if `request` asks to overtake others: it goes around the queue, even if it then turns out to be
/// wrong.
bool asks_out_of_band(const boost::json::value& request);

/// Checks the envelope. `oob_enabled` is what the connection has negotiated.
Result<Request> open_request(boost::json::value&& request, bool oob_enabled);

/// What answers a request; `id` is repeated if there was one.
boost::json::value make_reply(Result<boost::json::value>&& outcome, std::optional<boost::json::value>&& id);

/// `data` is absent for an event without arguments.
boost::json::value make_event(std::string_view name, std::optional<boost::json::object>&& data,
                              std::chrono::system_clock::time_point when);

}  // namespace godwit::qmp

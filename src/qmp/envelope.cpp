#include "qmp/envelope.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/string.hpp>
#include <utility>

#include <godwit/schema/json.h>

#include "base/fail.h"
#include "qmp/version.h"

namespace godwit::qmp {
namespace {

constexpr std::string_view execute = "execute";
constexpr std::string_view exec_oob = "exec-oob";
constexpr std::string_view arguments = "arguments";
constexpr std::string_view id = "id";

boost::json::value error_object(const Error& error) {
  const std::string_view error_class = to_string(error.error_class());
  return {{"class", boost::json::string(error_class)}, {"desc", boost::json::string(error.what())}};
}

/// All types are checked before anything else is.
Result<> check_types(const boost::json::object& request, bool oob_enabled) {
  for (const auto& member : request) {
    const std::string_view key = member.key();
    const bool command = key == execute || (key == exec_oob && oob_enabled);
    if (command && !member.value().is_string()) return fail("QMP input member '{}' must be a string", key);
    if (key == arguments && !member.value().is_object())
      return fail("QMP input member '{}' must be an object", key);
  }
  return {};
}

Result<> check_members(const boost::json::object& request, bool oob_enabled) {
  if (oob_enabled && request.contains(execute) && request.contains(exec_oob))
    return fail("QMP input member '{}' clashes with '{}'", execute, exec_oob);
  for (const auto& member : request) {
    const std::string_view key = member.key();
    const bool known = key == execute || key == arguments || key == id || (key == exec_oob && oob_enabled);
    if (!known) return fail("QMP input member '{}' is unexpected", key);
  }
  return {};
}

}  // namespace

boost::json::value make_greeting(const Context::Capabilities& offered) {
  boost::json::array capabilities;
  for (const schema::QMPCapability capability : offered) capabilities.push_back(schema::to_json(capability));
  return {
      {"QMP", {{"version", schema::to_json(monitor_version())}, {"capabilities", std::move(capabilities)}}}};
}

std::optional<boost::json::value> id_of(const boost::json::value& request) {
  const auto* object = request.if_object();
  const auto* found = object ? object->if_contains(id) : nullptr;
  if (!found) return std::nullopt;
  return *found;
}

bool asks_out_of_band(const boost::json::value& request) {
  const auto* object = request.if_object();
  return object && object->contains(exec_oob) && !object->contains(execute);
}

Result<Request> open_request(boost::json::value&& request, bool oob_enabled) {
  auto* object = request.if_object();
  if (!object) return fail("QMP input must be a JSON object");
  GODWIT_TRY(check_types(*object, oob_enabled));
  GODWIT_TRY(check_members(*object, oob_enabled));

  const bool out_of_band = object->contains(exec_oob);
  const auto* command = object->if_contains(out_of_band ? exec_oob : execute);
  if (!command) return fail("QMP input lacks member '{}'", execute);
  Request opened{.command = std::string(command->get_string()), .arguments = {}, .out_of_band = out_of_band};
  if (auto* given = object->if_contains(arguments)) opened.arguments = std::move(given->get_object());
  return opened;
}

boost::json::value make_reply(Result<boost::json::value>&& outcome,
                              std::optional<boost::json::value>&& request_id) {
  boost::json::object reply;
  if (outcome) reply.emplace("return", std::move(*outcome));
  if (request_id) reply.emplace(id, *std::move(request_id));
  if (!outcome) reply.emplace("error", error_object(outcome.error()));
  return reply;
}

boost::json::value make_event(std::string_view name, std::optional<boost::json::object>&& data,
                              std::chrono::system_clock::time_point when) {
  const auto microseconds = std::chrono::floor<std::chrono::microseconds>(when.time_since_epoch());
  const auto seconds = std::chrono::floor<std::chrono::seconds>(microseconds);
  boost::json::object event;
  event.emplace("timestamp", boost::json::object{{"seconds", seconds.count()},
                                                 {"microseconds", (microseconds - seconds).count()}});
  event.emplace("event", boost::json::string(name));
  if (data) event.emplace("data", *std::move(data));
  return event;
}

}  // namespace godwit::qmp

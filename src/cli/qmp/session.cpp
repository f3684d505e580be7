#include "cli/qmp/session.h"

#include <utility>

#include "base/fail.h"

namespace godwit::cli::qmp {

namespace json = boost::json;

namespace {

/// From "7.2.22 (Debian 1:7.2+dfsg-7)" and "7.2.0 (Godwit 0.1.0)".
std::string product_of(const std::string& version) {
  constexpr std::string_view ours = "(Godwit ";
  if (const auto at = version.find(ours); at != version.npos)
    return "Godwit " + version.substr(at + ours.size(), version.find(')', at) - at - ours.size());
  return "QEMU " + version.substr(0, version.find(' '));
}

std::string text_of(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(json::string_view(name.data(), name.size()));
  if (value == nullptr || !value->is_string()) return {};
  return std::string(value->get_string().data(), value->get_string().size());
}

}  // namespace

Session::Session(QmpClient client, const Address& address, const StopRequest& stop)
    : client_(std::move(client)),
      stop_(&stop),
      address_(to_string(address)),
      product_(product_of(client_.version())) {}

Result<Session> Session::open(const Address& address, Deadline deadline, const StopRequest& stop) {
  GODWIT_ASSIGN(auto socket, connect(address, deadline, stop));
  auto client = QmpClient::open(std::move(socket), deadline, stop, OutOfBand::if_offered);
  if (!client && stop.signal() != 0) return std::unexpected(std::move(client).error());
  if (!client)
    return std::unexpected(
        std::move(client)
            .error()
            .in("no monitor to talk to at " + to_string(address))
            .advise(
                "check that it is a -qmp socket, and that no other client is connected: QEMU serves one at a "
                "time on each; a second one needs a second -qmp"));
  Session session(*std::move(client), address, stop);
  GODWIT_ASSIGN(const auto answer, session.ask({{"execute", "query-name"}}, deadline, nullptr));
  if (const auto* found = answer.if_contains("return"); found != nullptr && found->is_object())
    session.name_ = text_of(found->get_object(), "name");
  return session;
}

Result<const SchemaIndex*> Session::schema(Deadline deadline) {
  if (schema_) return schema_.get();
  GODWIT_ASSIGN(const auto answer, ask({{"execute", "query-qmp-schema"}}, deadline, nullptr));
  if (auto refused = refusal_of(answer)) return std::unexpected(std::move(*refused).in("query-qmp-schema"));
  GODWIT_ASSIGN(auto index, SchemaIndex::build(answer.at("return")));
  schema_ = std::make_unique<SchemaIndex>(std::move(index));
  return schema_.get();
}

Result<json::object> Session::ask(json::object request, Deadline deadline, const OnEvent& on_event) {
  GODWIT_ASSIGN(const auto id, client_.send(std::move(request)));
  for (;;) {
    if (on_event)
      for (const auto& event : client_.take_events()) on_event(event);
    for (auto& answer : client_.take_answers()) {
      // Without an id: the refusal of what could not be parsed. Another one: of a request given up before.
      const auto* answered = answer.if_contains("id");
      if (answered != nullptr && *answered != id) continue;
      answer.erase("id");
      return std::move(answer);
    }
    const int fds[] = {client_.fd()};
    GODWIT_ASSIGN(const bool readable, wait_readable(fds, deadline, *stop_));
    if (!readable)
      return godwit::fail(
          Error("the monitor does not answer in time").advise("give it longer with --timeout"));
    GODWIT_TRY(client_.receive());
  }
}

Result<std::optional<QmpEvent>> Session::wait_event(const std::function<bool(const QmpEvent&)>& wanted,
                                                    Deadline deadline, const OnEvent& on_event) {
  for (;;) {
    for (auto& event : client_.take_events()) {
      if (on_event) on_event(event);
      if (wanted(event)) return std::move(event);
    }
    const int fds[] = {client_.fd()};
    GODWIT_ASSIGN(const bool readable, wait_readable(fds, deadline, *stop_));
    if (!readable) return std::nullopt;
    GODWIT_TRY(client_.receive());
  }
}

std::optional<Error> refusal_of(const json::object& answer) {
  if (answer.contains("return")) return std::nullopt;
  const auto* error = answer.if_contains("error");
  if (error == nullptr || !error->is_object())
    return Error("the monitor's answer is neither a return value nor an error");
  Error refused(text_of(error->get_object(), "desc"));
  if (text_of(error->get_object(), "class") == to_string(ErrorClass::command_not_found))
    return std::move(refused).with_class(ErrorClass::command_not_found);
  return refused;
}

}  // namespace godwit::cli::qmp

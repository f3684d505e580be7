#include "cli/qmp_client.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/fail.h"
#include "cli/unix_socket.h"

namespace godwit::cli {

namespace json = boost::json;

namespace {

constexpr std::size_t most_message_bytes = 64 << 20;

json::parse_options deep() {
  json::parse_options options;
  options.max_depth = 1024;
  return options;
}

std::string_view text_of(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(json::string_view(name.data(), name.size()));
  if (value == nullptr || !value->is_string()) return {};
  return {value->get_string().data(), value->get_string().size()};
}

std::int64_t number_of(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(json::string_view(name.data(), name.size()));
  return value != nullptr && value->is_int64() ? value->get_int64() : 0;
}

Error refusal(const json::value& error) {
  const auto* object = error.if_object();
  if (object == nullptr) return Error("the monitor refused the command without saying why");
  Error refused{std::string(text_of(*object, "desc"))};
  const auto class_name = text_of(*object, "class");
  for (const auto known : {ErrorClass::command_not_found, ErrorClass::device_not_active,
                           ErrorClass::device_not_found, ErrorClass::kvm_missing_capability})
    if (class_name == to_string(known)) return std::move(refused).with_class(known);
  return refused;
}

QmpEvent event_of(const json::object& message) {
  QmpEvent event{.name = std::string(text_of(message, "event")), .time = {}, .data = {}};
  if (const auto* stamp = message.if_contains("timestamp"); stamp != nullptr && stamp->is_object())
    event.time = std::chrono::seconds(number_of(stamp->get_object(), "seconds")) +
                 std::chrono::microseconds(number_of(stamp->get_object(), "microseconds"));
  if (const auto* data = message.if_contains("data"); data != nullptr && data->is_object())
    event.data = data->get_object();
  return event;
}

std::string version_text(const json::object& greeting) {
  const auto version = schema::from_json<schema::VersionInfo>(
      greeting.contains("version") ? greeting.at("version") : json::value(), schema::UnknownMembers::ignore);
  if (!version) return "unknown version";
  auto text = fmt::format("{}.{}.{}", version->qemu.major, version->qemu.minor, version->qemu.micro);
  if (!version->package.empty()) text += " (" + version->package + ")";
  return text;
}

}  // namespace

QmpClient::QmpClient(UniqueFd socket, const StopRequest& stop)
    : socket_(std::move(socket)),
      stop_(&stop),
      parser_(std::make_unique<json::stream_parser>(json::storage_ptr(), deep())) {}

Result<QmpClient> QmpClient::open(UniqueFd socket, Deadline deadline, const StopRequest& stop,
                                  OutOfBand out_of_band) {
  QmpClient client(std::move(socket), stop);
  GODWIT_ASSIGN(const bool offered, client.take_greeting(deadline));
  schema::QmpCapabilitiesArguments arguments;
  if (offered && out_of_band == OutOfBand::if_offered) arguments.enable = {schema::QMPCapability::oob};
  GODWIT_TRY(client.execute<schema::command::qmp_capabilities>(arguments));
  return client;
}

Result<bool> QmpClient::take_greeting(Deadline deadline) {
  GODWIT_ASSIGN(const auto greeting, wait_for_answer(0, deadline));
  const auto* body = greeting.if_contains("QMP");
  if (body == nullptr || !body->is_object()) return fail("the peer does not greet as a QMP monitor does");
  version_ = version_text(body->get_object());
  const auto* offers = body->get_object().if_contains("capabilities");
  return offers != nullptr && offers->is_array() &&
         std::ranges::find(offers->get_array(), json::value("oob")) != offers->get_array().end();
}

Result<std::int64_t> QmpClient::send(json::object request) {
  return send(std::move(request), -1, after(timeout_));
}

Result<std::int64_t> QmpClient::send(json::object request, int descriptor, Deadline deadline) {
  request["id"] = ++last_id_;
  GODWIT_TRY(send_all(socket_.get(), json::serialize(request) + "\n", descriptor, deadline, *stop_));
  return last_id_;
}

std::vector<json::object> QmpClient::take_answers() {
  std::vector<json::object> answers(std::make_move_iterator(answers_.begin()),
                                    std::make_move_iterator(answers_.end()));
  answers_.clear();
  return answers;
}

Result<json::value> QmpClient::execute(std::string_view command, json::object arguments, int descriptor) {
  const Deadline deadline = after(timeout_);
  json::object request{{"execute", json::string_view(command.data(), command.size())}};
  if (!arguments.empty()) request["arguments"] = std::move(arguments);
  GODWIT_ASSIGN(const auto id, send(std::move(request), descriptor, deadline));
  auto answer = wait_for_answer(id, deadline);
  if (!answer) return std::unexpected(std::move(answer).error().in(command));
  if (auto* error = answer->if_contains("error")) return std::unexpected(refusal(*error).in(command));
  auto* value = answer->if_contains("return");
  if (value == nullptr)
    return fail("{}: the monitor's answer is neither a return value nor an error", command);
  return std::move(*value);
}

Result<json::object> QmpClient::wait_for_answer(std::int64_t id, Deadline deadline) {
  for (;;) {
    if (auto answer = find_answer(id)) return std::move(*answer);
    const int fds[] = {socket_.get()};
    GODWIT_ASSIGN(const bool readable, wait_readable(fds, deadline, *stop_));
    if (!readable) return fail("the monitor does not answer");
    GODWIT_TRY(receive());
  }
}

std::optional<json::object> QmpClient::find_answer(std::int64_t id) {
  while (!answers_.empty()) {
    auto answer = std::move(answers_.front());
    answers_.pop_front();
    // Without an id it is the greeting, or the refusal of what could not even be parsed. Another id: the
    // answer to a command that was given up.
    const auto* answered = answer.if_contains("id");
    if (answered == nullptr || (answered->is_int64() && answered->get_int64() == id)) return answer;
  }
  return std::nullopt;
}

Result<> QmpClient::receive() {
  std::array<char, 65536> buffer;
  for (;;) {
    auto got = receive_some(socket_.get(), buffer);
    if (!got) return std::unexpected(std::move(got).error().in("monitor"));
    if (*got == 0) return {};
    GODWIT_TRY(parse({buffer.data(), *got}));
    if (*got < buffer.size()) return {};
  }
}

Result<> QmpClient::parse(std::string_view bytes) {
  while (!bytes.empty()) {
    json::error_code error;
    const std::size_t taken = parser_->write_some(bytes.data(), bytes.size(), error);
    pending_bytes_ += taken;
    if (error) return fail("the monitor sent what is not JSON: {}", error.message());
    if (pending_bytes_ > most_message_bytes) return fail("the monitor sent a message without an end");
    bytes.remove_prefix(taken);
    if (!parser_->done()) continue;
    GODWIT_TRY(take_message(parser_->release()));
    parser_->reset();
    pending_bytes_ = 0;
    bytes.remove_prefix(std::min(bytes.find_first_not_of(" \t\r\n"), bytes.size()));
  }
  return {};
}

Result<> QmpClient::take_message(json::value message) {
  auto* object = message.if_object();
  if (object == nullptr) return fail("the monitor sent a message that is not an object");
  if (object->contains("event"))
    events_.push_back(event_of(*object));
  else
    answers_.push_back(std::move(*object));
  return {};
}

std::vector<QmpEvent> QmpClient::take_events() {
  std::vector<QmpEvent> events(std::make_move_iterator(events_.begin()),
                               std::make_move_iterator(events_.end()));
  events_.clear();
  return events;
}

}  // namespace godwit::cli

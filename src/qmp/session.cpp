#include "qmp/session.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include <godwit/schema/commands.h>

#include "base/exhaustion.h"
#include "base/fail.h"
#include "qmp/envelope.h"

namespace godwit::qmp {

Call::Call(const CommandTable::Command& command, boost::json::object&& arguments,
           std::optional<boost::json::value>&& id, Context&& context)
    : command_(command), arguments_(std::move(arguments)), id_(std::move(id)), context_(std::move(context)) {}

void Call::run() {
  assert(!outcome_);
  outcome_ = or_exhausted([&] { return command_.run(arguments_, context_); });
}

Session::Session(const CommandTable& commands, std::shared_ptr<DescriptorStore> descriptors,
                 Settings settings)
    : commands_(commands),
      descriptors_(std::move(descriptors)),
      settings_(settings),
      parser_(settings.limits) {
  if (settings_.offer_oob) offered_.push_back(schema::QMPCapability::oob);
  send(make_greeting(offered_));
}

void Session::receive(std::string_view bytes, std::vector<UniqueFd> passed) {
  if (!passed.empty()) {
    // A client that sends one descriptor after the other and no request holds the newest only.
    if (!passed_.empty() && passed_.back().at >= last_value_ && unparsed_.empty()) passed_.pop_back();
    passed_.push_back({received_, std::move(passed)});
  }
  received_ += bytes.size();
  unparsed_ += bytes;
  parse();
}

bool Session::queue_full() const {
  if (oob_) return queue_.size() >= queue_limit_with_oob;
  return running_ || !queue_.empty();
}

void Session::parse() {
  std::string_view rest = unparsed_;
  while (!queue_full() && !rest.empty()) {
    auto outcome = parser_.next(rest);
    if (!outcome) break;
    last_value_ = received_ - rest.size();
    enqueue(*std::move(outcome));
  }
  unparsed_.erase(0, unparsed_.size() - rest.size());
}

void Session::enqueue(JsonParser::Outcome&& parsed) {
  const bool overtakes = oob_ && parsed && asks_out_of_band(*parsed);
  (overtakes ? out_of_band_ : queue_).push_back({std::move(parsed), last_value_});
}

std::unique_ptr<Call> Session::next_out_of_band() {
  while (!out_of_band_.empty()) {
    Item item = std::move(out_of_band_.front());
    out_of_band_.pop_front();
    if (auto call = admit(std::move(item))) return call;
  }
  return nullptr;
}

std::unique_ptr<Call> Session::next_in_band() {
  for (std::size_t turn = 0; turn < refusals_per_turn && has_in_band(); ++turn) {
    Item item = std::move(queue_.front());
    queue_.pop_front();
    auto call = admit(std::move(item));
    running_ = call != nullptr;
    parse();
    if (call) return call;
  }
  return nullptr;
}

std::unique_ptr<Call> Session::admit(Item&& item) {
  std::vector<UniqueFd> passed = passed_before(item.end);
  std::optional<boost::json::value> id;
  if (item.parsed) id = id_of(*item.parsed);
  auto accepted = accept(std::move(item.parsed));
  if (!accepted) {
    put_back(std::move(passed));
    reply(std::unexpected(std::move(accepted).error()), std::move(id));
    return nullptr;
  }
  auto& [command, request] = *accepted;
  Context context(descriptors_, mode_, offered_, request.out_of_band);
  context.passed_ = std::move(passed);
  return std::unique_ptr<Call>(
      new Call(*command, std::move(request.arguments), std::move(id), std::move(context)));
}

Result<Session::Accepted> Session::accept(JsonParser::Outcome&& parsed) const {
  GODWIT_ASSIGN(boost::json::value value, std::move(parsed));
  GODWIT_ASSIGN(Request request, open_request(std::move(value), oob_));
  GODWIT_ASSIGN(const CommandTable::Command* const command, look_up(request));
  return Accepted{command, std::move(request)};
}

Result<const CommandTable::Command*> Session::look_up(const Request& request) const {
  const auto not_found = [](std::string text) {
    return fail(Error(std::move(text)).with_class(ErrorClass::command_not_found));
  };
  if (mode_ == SessionMode::negotiation && request.command != schema::command::qmp_capabilities::name)
    return not_found("Expecting capabilities negotiation with 'qmp_capabilities'");
  const CommandTable::Command* const command = commands_.find(request.command);
  if (!command) return not_found(fmt::format("The command {} has not been found", request.command));
  if (request.out_of_band && !command->allow_oob)
    return fail("The command {} does not support OOB", request.command);
  return command;
}

std::vector<UniqueFd> Session::passed_before(std::uint64_t end) {
  std::vector<UniqueFd> newest;
  while (!passed_.empty() && passed_.front().at < end) {
    newest = std::move(passed_.front().fds);
    passed_.pop_front();
  }
  return newest;
}

void Session::put_back(std::vector<UniqueFd>&& unused) {
  if (!unused.empty()) passed_.push_front({0, std::move(unused)});
}

void Session::complete(Call&& call) {
  assert(call.outcome_);
  const bool out_of_band = call.context_.out_of_band();
  put_back(std::move(call.context_.passed_));
  if (*call.outcome_ && call.context_.enabled_) {
    mode_ = SessionMode::command;
    const auto& enabled = *call.context_.enabled_;
    oob_ = std::ranges::find(enabled, schema::QMPCapability::oob) != enabled.end();
  }
  reply(*std::move(call.outcome_), std::move(call.id_));
  if (!out_of_band) running_ = false;
  parse();
}

void Session::deliver(std::string_view line, std::string_view pretty) {
  if (mode_ == SessionMode::negotiation) return;
  output_ += settings_.layout == JsonLayout::line ? line : pretty;
}

void Session::reply(Result<boost::json::value>&& outcome, std::optional<boost::json::value>&& id) {
  const std::size_t before = output_.size();
  const auto said = or_exhausted([&]() -> Result<> {
    send(make_reply(std::move(outcome), std::optional(id)));
    return {};
  });
  if (said) return;
  output_.resize(before);
  send(make_reply(fail(said.error()), std::move(id)));
}

void Session::send(const boost::json::value& message) {
  print_json(output_, message, settings_.layout);
  output_ += "\r\n";
}

}  // namespace godwit::qmp

#include "cli/qmp/one_shot.h"

#include <algorithm>
#include <cstdio>

#include "base/fail.h"
#include "cli/json_text.h"
#include "cli/qmp/argument_parser.h"
#include "cli/qmp/printer.h"

namespace godwit::cli::qmp {

namespace json = boost::json;

namespace {

constexpr std::chrono::milliseconds for_ever = std::chrono::hours(24 * 365);

void put(const json::value& value, bool raw) {
  std::fputs((raw ? compact(value) + "\n" : pretty(value)).c_str(), stdout);
  std::fflush(stdout);
}

bool needs_schema(const OneShot& wanted) {
  const bool plain = wanted.words.size() == 1;  // a request in JSON, or a command without arguments
  return !plain || !wanted.events.empty();
}

Result<json::object> request_of(Session& session, const OneShot& wanted, Deadline deadline) {
  static const auto no_schema = SchemaIndex::build(json::array());
  const SchemaIndex* schema = &*no_schema;
  if (needs_schema(wanted)) {
    GODWIT_ASSIGN(schema, session.schema(deadline));
  }
  for (const auto& filter : wanted.events) GODWIT_TRY(check(filter, *schema));
  const std::vector<std::string_view> words(wanted.words.begin(), wanted.words.end());
  return parse_request(words, *schema);
}

std::string names_of(const std::vector<EventFilter>& filters) {
  std::string text;
  for (const auto& filter : filters) {
    text += (text.empty() ? "" : " or ") + filter.name;
    for (const auto& [key, value] : filter.conditions) text += "," + key + "=" + value;
  }
  return text;
}

int wait_for_event(Session& session, const OneShot& wanted, Deadline deadline, const OnEvent& on_event,
                   std::vector<QmpEvent>& early) {
  const auto matches = [&wanted](const QmpEvent& event) {
    return std::ranges::any_of(wanted.events, [&event](const auto& filter) { return filter.matches(event); });
  };
  if (const auto found = std::ranges::find_if(early, matches); found != early.end()) {
    put(to_json(*found), wanted.raw);
    return exit_success;
  }
  auto event = session.wait_event(matches, deadline, on_event);
  if (!event) {
    complain(std::move(event).error().in("waiting for " + names_of(wanted.events)));
    return exit_unusable;
  }
  if (!*event) {
    complain(Error(names_of(wanted.events) + " did not come in time")
                 .advise("wait longer with --timeout; MIGRATION events need the capability 'events'"));
    return exit_refused;
  }
  put(to_json(**event), wanted.raw);
  return exit_success;
}

}  // namespace

int run_one_shot(Session& session, const OneShot& wanted) {
  const Deadline answer_by = after(wanted.timeout.value_or(answer_timeout));
  const Deadline event_by = wanted.timeout ? answer_by : after(for_ever);
  auto request = request_of(session, wanted, answer_by);
  if (!request) {
    complain(request.error());
    return exit_unusable;
  }
  std::vector<QmpEvent> early;
  const OnEvent show = [&wanted](const QmpEvent& event) {
    if (wanted.show_events) std::fputs((compact(to_json(event)) + "\n").c_str(), stderr);
  };
  session.client().take_events();  // those before the command are not its doing
  const auto answer = session.ask(*std::move(request), answer_by, [&](const QmpEvent& event) {
    show(event);
    early.push_back(event);
  });
  if (!answer) {
    complain(answer.error());
    return exit_unusable;
  }
  if (const auto refused = refusal_of(*answer)) {
    complain(*refused);
    return exit_refused;
  }
  put(answer->at("return"), wanted.raw);
  return wanted.events.empty() ? exit_success : wait_for_event(session, wanted, event_by, show, early);
}

void complain(const Error& error) {
  std::fprintf(stderr, "godwit qmp: %s\n", error.explain().c_str());
}

}  // namespace godwit::cli::qmp

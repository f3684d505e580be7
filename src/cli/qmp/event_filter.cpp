#include "cli/qmp/event_filter.h"

#include <algorithm>

#include "base/fail.h"
#include "cli/json_text.h"

namespace godwit::cli::qmp {

namespace json = boost::json;

namespace {

const json::value* find(const json::object& data, std::string_view path) {
  const json::object* object = &data;
  for (;;) {
    const auto dot = path.find('.');
    const auto part = path.substr(0, dot);
    const auto* value = object->if_contains(json::string_view(part.data(), part.size()));
    if (value == nullptr || dot == path.npos) return value;
    object = value->if_object();
    if (object == nullptr) return nullptr;
    path.remove_prefix(dot + 1);
  }
}

std::string text_of(const json::value& value) {
  if (const auto* text = value.if_string()) return std::string(text->data(), text->size());
  return compact(value);
}

}  // namespace

bool EventFilter::matches(const QmpEvent& event) const {
  return event.name == name && std::ranges::all_of(conditions, [&event](const auto& condition) {
           const auto* value = find(event.data, condition.first);
           return value != nullptr && text_of(*value) == condition.second;
         });
}

Result<EventFilter> parse_event_filter(std::string_view text) {
  const auto malformed = [text] {
    return godwit::fail(Error(fmt::format("'{}' does not say which event to wait for", text))
                            .advise("write NAME or NAME,KEY=VALUE, such as MIGRATION,status=completed"));
  };
  EventFilter filter;
  filter.name = text.substr(0, text.find(','));
  if (filter.name.empty() || filter.name.contains('=')) return malformed();
  for (auto comma = text.find(','); comma != text.npos; comma = text.find(',')) {
    text.remove_prefix(comma + 1);
    auto condition = text.substr(0, text.find(','));
    if (condition.starts_with("data.")) condition.remove_prefix(5);
    const auto equals = condition.find('=');
    if (equals == condition.npos || equals == 0) return malformed();
    filter.conditions.emplace_back(condition.substr(0, equals), condition.substr(equals + 1));
  }
  return filter;
}

Result<> check(const EventFilter& filter, const SchemaIndex& schema) {
  if (schema.events().contains(filter.name)) return {};
  std::vector<std::string_view> names;
  for (const auto& [name, data] : schema.events()) names.push_back(name);
  const auto near = nearest(filter.name, names);
  return godwit::fail(
      Error(fmt::format("this monitor has no event '{}'", filter.name))
          .advise(near.empty() ? fmt::format("use one of {}", fmt::join(names, ", ")) : "use " + near + "?"));
}

}  // namespace godwit::cli::qmp

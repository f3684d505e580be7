// Which event to wait for: "STOP", "MIGRATION,status=completed".
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/qmp/schema_index.h"
#include "cli/qmp_client.h"

namespace godwit::cli::qmp {

struct EventFilter {
  std::string name;
  /// Members of the event's data by their path, and their text.
  std::vector<std::pair<std::string, std::string>> conditions;

  bool matches(const QmpEvent& event) const;
};

/// "NAME[,KEY=VALUE]..."; "data." in front of a KEY may be there or not.
Result<EventFilter> parse_event_filter(std::string_view text);

/// Fails if the monitor has no event of that name: it would be waited for for ever.
Result<> check(const EventFilter& filter, const SchemaIndex& schema);

}  // namespace godwit::cli::qmp

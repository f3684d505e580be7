// What the shell shows: answers, events, errors, help.
#pragma once

#include <boost/json.hpp>
#include <string>
#include <string_view>

#include "cli/qmp/schema_index.h"
#include "cli/qmp_client.h"
#include "cli/screen.h"

namespace godwit::cli::qmp {

/// Texts end with a newline.
class Printer {
 public:
  explicit Printer(const Canvas& canvas) : canvas_(canvas) {}

  /// An answer of the monitor to `command`, which may help to say what was meant instead.
  std::string answer(const boost::json::object& answer, std::string_view command,
                     const SchemaIndex& schema) const;
  /// "14:02:11.318 MIGRATION {"status": "active"}", in local time.
  std::string event(const QmpEvent& event) const;
  std::string error(const Error& error) const;
  /// What to know of a command or an event.
  std::string help(std::string_view name, const SchemaIndex& schema) const;
  /// All commands, and how to use the shell.
  std::string help(const SchemaIndex& schema) const;

 private:
  std::string members(const Type& object) const;

  Canvas canvas_;
};

/// Texts in columns, as many as fit.
std::string in_columns(const std::vector<std::string>& texts, int columns);

/// An event as a monitor sends it.
boost::json::object to_json(const QmpEvent& event);

}  // namespace godwit::cli::qmp

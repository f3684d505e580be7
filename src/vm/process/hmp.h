// The human monitor: commands for people, which answer with text. What human-monitor-command runs.
#pragma once

#include <cstdint>
#include <fmt/format.h>
#include <span>
#include <string>
#include <string_view>

#include <godwit/result.h>

#include "qmp/context.h"
#include "vm/process/hmp_arguments.h"
#include "vm/process/vm_commands.h"

namespace godwit::vm {

/// One command while it runs.
struct HumanCall {
  const VmServices& services;
  qmp::Context& context;
  const HumanArguments& arguments;
  std::string& text;  ///< the answer so far; lines end with '\n'

  template <typename... Values>
  void print(fmt::format_string<Values...> format, Values&&... values) {
    fmt::format_to(std::back_inserter(text), format, std::forward<Values>(values)...);
  }
};

struct HumanCommand {
  std::string_view name;        ///< with its other names: "cont|c"
  std::string_view syntax;      ///< of the arguments, for the parser: see hmp_arguments.h
  std::string_view parameters;  ///< of the arguments, for people
  std::string_view help;
  /// An error is printed behind "Error: ".
  Result<> (*run)(HumanCall& call);

  bool is_called(std::string_view word) const;
};

// The groups, by file, each in the order of `help`.
std::span<const HumanCommand> human_run_commands();        // hmp_run.cpp
std::span<const HumanCommand> human_migration_commands();  // hmp_migration.cpp
std::span<const HumanCommand> human_memory_commands();     // hmp_memory.cpp
std::span<const HumanCommand> human_machine_infos();       // hmp_info.cpp
std::span<const HumanCommand> human_migration_infos();     // hmp_migration_info.cpp

/// migrate_set_parameter (hmp_parameters.cpp). `name` and `text` as typed.
Result<schema::MigrateSetParameters> human_parameter(const std::string& name, const std::string& text);

class HumanMonitor {
 public:
  explicit HumanMonitor(const VmServices& services) : services_(services) {}

  /// Runs one line. Errors are text too. Lines of the answer end with "\r\n".
  std::string execute(std::string_view line, qmp::Context& context);

 private:
  std::string run(std::string_view line, qmp::Context& context);
  std::string run(const HumanCommand& command, std::string_view typed, std::string_view arguments,
                  qmp::Context& context);

  const VmServices services_;
  DumpFormat format_;  ///< the last one: what is not said of the next is taken from it
};

}  // namespace godwit::vm

// What can stand at the end of a line that is being typed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/qmp/schema_index.h"

namespace godwit::cli::qmp {

struct Candidate {
  std::string text;
  std::string about;  ///< its type, for a list of candidates

  friend bool operator==(const Candidate&, const Candidate&) = default;
};

struct Completion {
  std::size_t begin = 0;              ///< where in the line the candidates start
  std::vector<Candidate> candidates;  ///< sorted; each begins with what is typed from `begin` on

  /// What all candidates begin with.
  std::string common() const;
};

/// Words of the shell itself, which are no commands of the monitor.
inline constexpr std::string_view shell_words[] = {"/help", "/quit", "exec-oob", "help"};

/// `line` ends at the cursor.
Completion complete(std::string_view line, const SchemaIndex& schema);

/// The arguments that may follow, or the type of the value being typed; empty if there is nothing to say.
std::string hint(std::string_view line, const SchemaIndex& schema);

}  // namespace godwit::cli::qmp

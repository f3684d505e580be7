// The lines of earlier sessions, in a file.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <godwit/result.h>

namespace godwit::cli::qmp {

/// Lines are appended one by one, so that two shells at once lose nothing of each other.
class HistoryFile {
 public:
  /// Made, with its directory, when the first line is added; readable for its owner alone.
  explicit HistoryFile(std::string path) : path_(std::move(path)) {}

  /// The last lines, oldest first. A file that has grown far beyond them is cut. No file: no lines.
  Result<std::vector<std::string>> load() const;

  Result<> add(std::string_view line) const;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// $XDG_STATE_HOME/godwit/qmp-history, or the same below ~/.local/state; empty if there is no home.
std::string history_path();

}  // namespace godwit::cli::qmp

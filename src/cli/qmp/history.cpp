#include "cli/qmp/history.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/system.h"

namespace godwit::cli::qmp {
namespace {

constexpr std::size_t most_lines = 1000;

Result<> append(const std::string& path, std::string_view text) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) return system_error("cannot keep the history in " + path, errno);
  // One write: what two shells append at once does not mix.
  if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return system_error("cannot keep the history in " + path, errno);
  return {};
}

Result<> replace(const std::string& path, const std::vector<std::string>& lines) {
  const auto next = path + ".new";
  ::unlink(next.c_str());
  std::string text;
  for (const auto& line : lines) text += line + "\n";
  GODWIT_TRY(append(next, text));
  if (::rename(next.c_str(), path.c_str()) != 0)
    return system_error("cannot shorten the history in " + path, errno);
  return {};
}

}  // namespace

Result<std::vector<std::string>> HistoryFile::load() const {
  std::vector<std::string> lines;
  std::ifstream file(path_);
  for (std::string line; std::getline(file, line);)
    if (!line.empty()) lines.push_back(line);
  if (lines.size() <= most_lines) return lines;
  const bool far_beyond = lines.size() > 2 * most_lines;
  lines.erase(lines.begin(), lines.end() - most_lines);
  if (far_beyond) GODWIT_TRY(replace(path_, lines));
  return lines;
}

Result<> HistoryFile::add(std::string_view line) const {
  if (path_.empty()) return {};
  const auto directory = std::filesystem::path(path_).parent_path();
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return fail("cannot keep the history in {}: {}", directory.string(), error.message());
  return append(path_, std::string(line) + "\n");
}

std::string history_path() {
  const char* state = std::getenv("XDG_STATE_HOME");
  if (state != nullptr && *state == '/') return std::string(state) + "/godwit/qmp-history";
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home == '\0') return {};
  return std::string(home) + "/.local/state/godwit/qmp-history";
}

}  // namespace godwit::cli::qmp

// A line typed at a terminal, with editing by libedit, while a monitor goes on talking.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/qmp/completer.h"
#include "cli/screen.h"
#include "cli/wait.h"

namespace godwit::cli::qmp {

/// Thread contract: one thread; one editor at a time.
class LineEditor {
 public:
  struct Hooks {
    /// The candidates for a line that ends at the cursor.
    std::function<Completion(std::string_view)> complete;
    /// What to show at the right of it.
    std::function<std::string(std::string_view)> hint;
    /// A descriptor to watch meanwhile, and what to do when it is readable: text to show above the line
    /// (which ends with a newline), or nothing.
    int watched_fd = -1;
    std::function<Result<std::string>()> on_readable;
  };
  enum class Outcome : std::uint8_t { line, abandoned, end };
  struct Read {
    Outcome outcome = Outcome::end;
    std::string text{};
  };

  /// On standard input and output. `stop` must live as long as the editor.
  static Result<LineEditor> open(Hooks hooks, const StopRequest& stop);
  LineEditor(LineEditor&&) noexcept;
  LineEditor& operator=(LineEditor&&) = delete;
  ~LineEditor();

  /// The next line; a space follows the prompt. Ctrl-C abandons it. Fails if the watched descriptor does, or
  /// if the tool shall end.
  Result<Read> read(const std::string& prompt);

  /// For Up and Ctrl-R.
  void remember(const std::string& line);

 private:
  struct Terminal;
  explicit LineEditor(std::unique_ptr<Terminal> terminal);
  std::unique_ptr<Terminal> terminal_;
};

}  // namespace godwit::cli::qmp

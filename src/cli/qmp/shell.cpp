#include "cli/qmp/shell.h"

#include <csignal>
#include <cstdio>
#include <map>
#include <unistd.h>

#include "base/fail.h"
#include "cli/qmp/argument_parser.h"
#include "cli/qmp/history.h"
#include "cli/qmp/line_editor.h"
#include "cli/qmp/one_shot.h"
#include "cli/qmp/printer.h"
#include "cli/qmp/words.h"

namespace godwit::cli::qmp {

namespace json = boost::json;

namespace {

class Shell {
 public:
  Shell(Session& session, const SchemaIndex& schema, const StopRequest& stop)
      : session_(session),
        schema_(schema),
        stop_(stop),
        printer_(Screen(STDOUT_FILENO).canvas()),
        history_(history_path()) {}

  Result<int> run();

 private:
  enum class Next : std::uint8_t { go_on, leave };

  Result<Next> run_line(const std::string& line);
  Result<Next> run_request(const std::string& line);
  /// Until that request is answered, or given up with Ctrl-C.
  Result<> wait_for(std::int64_t id);
  /// What has arrived, as text. Sets answered_ if the answer to `awaited` is among it.
  std::string arrived(std::int64_t awaited);
  Result<std::string> run_state();
  void keep(LineEditor& editor, const std::string& line);

  static void say(const std::string& text) {
    std::fputs(text.c_str(), stdout);
    std::fflush(stdout);
  }

  Session& session_;
  const SchemaIndex& schema_;
  const StopRequest& stop_;
  Printer printer_;
  HistoryFile history_;
  std::map<std::int64_t, std::string> pending_;  // commands without an answer yet
  bool answered_ = false;
  bool quit_warned_ = false;
  bool vm_ends_ = false;  // it was asked to
  bool history_works_ = true;
};

std::string first_word(std::string_view line) {
  const auto words = split_words(line).words;
  return words.empty() ? std::string() : std::string(words.front().text);
}

std::string Shell::arrived(std::int64_t awaited) {
  std::string text;
  for (const auto& event : session_.client().take_events()) text += printer_.event(event);
  for (auto& answer : session_.client().take_answers()) {
    const auto* id = answer.if_contains("id");
    const std::int64_t number = id != nullptr && id->is_int64() ? id->get_int64() : awaited;
    const auto asked = pending_.extract(number);
    const std::string command = asked.empty() ? std::string() : asked.mapped();
    if (number == awaited)
      answered_ = true;
    else
      text += fmt::format("answer to '{}', which was given up:\n", command);
    answer.erase("id");
    text += printer_.answer(answer, command, schema_);
  }
  return text;
}

Result<> Shell::wait_for(std::int64_t id) {
  answered_ = false;
  for (;;) {
    say(arrived(id));
    if (answered_) return {};
    const int fds[] = {session_.client().fd()};
    auto readable = wait_readable(fds, after(std::chrono::hours(1)), stop_);
    if (!readable && stop_.signal() == SIGINT) {
      say(fmt::format("\n'{}' goes on; its answer is shown when it comes\n", pending_[id]));
      return {};
    }
    if (!readable) return std::unexpected(std::move(readable).error());
    if (*readable) GODWIT_TRY(session_.client().receive());
  }
}

Result<Shell::Next> Shell::run_request(const std::string& line) {
  auto request = parse_request(line, schema_);
  if (!request) {
    say(printer_.error(request.error()));
    return Next::go_on;
  }
  std::string command;
  for (const auto* verb : {"execute", "exec-oob"})
    if (const auto* name = request->if_contains(verb); name != nullptr && name->is_string())
      command = std::string(name->get_string().data(), name->get_string().size());
  vm_ends_ = vm_ends_ || command == "quit";
  GODWIT_ASSIGN(const auto id, session_.client().send(*std::move(request)));
  pending_[id] = command;
  GODWIT_TRY(wait_for(id));
  return Next::go_on;
}

Result<Shell::Next> Shell::run_line(const std::string& line) {
  const auto word = first_word(line);
  const bool warned = std::exchange(quit_warned_, false);
  if (word == "/quit") return Next::leave;
  if (word == "help" || word == "/help") {
    const auto words = split_words(line).words;
    say(words.size() > 1 ? printer_.help(words[1].text, schema_) : printer_.help(schema_));
    return Next::go_on;
  }
  if (word.starts_with('/')) {
    say(printer_.error(Error("the shell has no '" + word + "'").advise("use /quit or /help")));
    return Next::go_on;
  }
  if (word == "quit" && !warned) {
    quit_warned_ = true;
    say("'quit' ends the virtual machine, not this shell. Enter it once more to do that; /quit or Ctrl-D "
        "leaves "
        "the shell.\n");
    return Next::go_on;
  }
  return run_request(line);
}

Result<std::string> Shell::run_state() {
  // While a command is under way the monitor answers nothing else.
  if (!pending_.empty()) return "busy";
  GODWIT_ASSIGN(const auto id, session_.client().send({{"execute", "query-status"}}));
  std::string events;
  for (;;) {
    for (const auto& event : session_.client().take_events()) events += printer_.event(event);
    for (const auto& answer : session_.client().take_answers()) {
      const auto* answered = answer.if_contains("id");
      if (answered == nullptr || *answered != id) continue;
      say(events);
      const auto* state = answer.if_contains("return");
      const auto* status =
          state != nullptr && state->is_object() ? state->get_object().if_contains("status") : nullptr;
      return status != nullptr && status->is_string() ? std::string(status->get_string()) : std::string();
    }
    const int fds[] = {session_.client().fd()};
    GODWIT_ASSIGN(const bool readable, wait_readable(fds, after(answer_timeout), stop_));
    if (!readable) return fail("the monitor does not answer query-status");
    GODWIT_TRY(session_.client().receive());
  }
}

void Shell::keep(LineEditor& editor, const std::string& line) {
  if (line.starts_with(' ')) return;  // as in command shells: for what has a secret in it
  editor.remember(line);
  if (auto kept = history_.add(line); !kept && std::exchange(history_works_, false))
    say(printer_.error(kept.error()));
}

Result<int> Shell::run() {
  LineEditor::Hooks hooks;
  hooks.complete = [this](std::string_view line) { return complete(line, schema_); };
  hooks.hint = [this](std::string_view line) { return hint(line, schema_); };
  hooks.watched_fd = session_.client().fd();
  hooks.on_readable = [this]() -> Result<std::string> {
    GODWIT_TRY(session_.client().receive());
    return arrived(-1);
  };
  GODWIT_ASSIGN(auto editor, LineEditor::open(std::move(hooks), stop_));
  auto earlier = history_.load();
  if (!earlier) say(printer_.error(earlier.error()));
  if (earlier)
    for (const auto& line : *earlier) editor.remember(line);
  const auto who = session_.name().empty() ? session_.product() : session_.name() + ", " + session_.product();
  say(fmt::format("{} at {}. Tab completes, 'help' explains, Ctrl-D leaves.\n", who, session_.address()));
  for (;;) {
    auto state = run_state();
    if (!state && vm_ends_) return exit_success;
    if (!state) return std::unexpected(std::move(state).error());
    const auto name = session_.name().empty() ? session_.product() : session_.name();
    auto read = editor.read(fmt::format("{}{}>", name, state->empty() ? "" : " " + *state));
    if (!read && vm_ends_) return exit_success;
    if (!read) return std::unexpected(std::move(read).error());
    if (read->outcome == LineEditor::Outcome::end) {
      say("\n");
      return exit_success;
    }
    if (read->outcome == LineEditor::Outcome::abandoned || first_word(read->text).empty()) continue;
    keep(editor, read->text);
    auto next = run_line(read->text);
    if (!next && vm_ends_) return exit_success;
    if (!next) return std::unexpected(std::move(next).error());
    if (*next == Next::leave) return exit_success;
  }
}

}  // namespace

int run_shell(Session& session, const StopRequest& stop) {
  const auto schema = session.schema(after(answer_timeout));
  auto status = schema ? Shell(session, **schema, stop).run() : Result<int>(std::unexpected(schema.error()));
  if (status) return *status;
  complain(status.error());
  return exit_unusable;
}

}  // namespace godwit::cli::qmp

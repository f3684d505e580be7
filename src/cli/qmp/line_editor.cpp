#include "cli/qmp/line_editor.h"

#include <cerrno>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cwchar>
#include <histedit.h>
#include <poll.h>
#include <unistd.h>

#include "base/fail.h"

namespace godwit::cli::qmp {
namespace {

constexpr char escape_mark = '\1';  // brackets what takes no columns

/// For libedit, which gives a sequence out with the character behind it: the last one needs a space there.
std::string in_style(const char* sequence, const std::string& text) {
  return fmt::format("{0}{1}{0}{2}{0}\x1b[0m{0} ", escape_mark, sequence, text);
}

int columns_of_text(const wchar_t* from, const wchar_t* to) {
  int columns = 0;
  for (; from < to; ++from) {
    const int width = ::wcwidth(*from);
    columns += width < 0 ? 2 : width;  // a control character is shown as ^X
  }
  return columns;
}

}  // namespace

/// What libedit calls back into.
struct LineEditor::Terminal {
  Terminal(Hooks wanted, const StopRequest& wanted_stop)
      : hooks(std::move(wanted)),
        stop(wanted_stop),
        screen(STDOUT_FILENO),
        drawing(can_draw(STDOUT_FILENO)),
        lines(::history_init()),
        edit(::el_init("godwit", stdin, stdout, stderr)) {}
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;
  ~Terminal() {
    if (edit != nullptr) ::el_end(edit);
    if (lines != nullptr) ::history_end(lines);
  }

  static Terminal& of(EditLine* edit) {
    void* data = nullptr;
    ::el_get(edit, EL_CLIENTDATA, &data);
    return *static_cast<Terminal*>(data);
  }

  void set_up() {
    ::el_set(edit, EL_CLIENTDATA, this);
    ::el_set(edit, EL_SIGNAL, 1);
    ::el_set(edit, EL_EDITOR, "emacs");
    ::el_set(edit, EL_PROMPT_ESC, &Terminal::show_prompt, escape_mark);
    ::el_set(edit, EL_RPROMPT_ESC, &Terminal::show_hint, escape_mark);
    HistEvent event;
    ::history(lines, &event, H_SETSIZE, 1000);
    ::history(lines, &event, H_SETUNIQUE, 1);
    ::el_set(edit, EL_HIST, ::history, lines);
    ::el_set(edit, EL_GETCFN, &Terminal::next_character);
    ::el_set(edit, EL_ADDFN, "godwit-complete", "complete", &Terminal::on_tab);
    ::el_set(edit, EL_ADDFN, "godwit-abandon", "give the line up", &Terminal::on_abandon);
    ::el_set(edit, EL_ADDFN, "godwit-accept", "enter the line", &Terminal::on_accept);
    ::el_set(edit, EL_BIND, "^R", "em-inc-search-prev", nullptr);
    ::el_source(edit, nullptr);  // the operator's own ~/.editrc
    ::el_set(edit, EL_BIND, "\t", "godwit-complete", nullptr);
    ::el_set(edit, EL_BIND, "^C", "godwit-abandon", nullptr);
    ::el_set(edit, EL_BIND, "\n", "godwit-accept", nullptr);
    ::el_set(edit, EL_BIND, "\r", "godwit-accept", nullptr);
  }

  std::string before_cursor() const {
    const LineInfo* info = ::el_line(edit);
    return {info->buffer, info->cursor};
  }

  // --- the display

  static char* show_prompt(EditLine* edit) { return of(edit).prompt_text.data(); }
  static char* show_hint(EditLine* edit) { return of(edit).hint_text.data(); }

  /// Moves to where the prompt starts, with nothing below it.
  void erase_line() {
    if (!drawing) {
      std::fputc('\n', stdout);
      return;
    }
    const LineInfoW* info = ::el_wline(edit);
    const int columns = std::max(screen.canvas().columns, 1);
    const int row = (prompt_columns + columns_of_text(info->buffer, info->cursor)) / columns;
    std::fputs("\r", stdout);
    if (row > 0) std::fprintf(stdout, "\x1b[%dA", row);
    std::fputs("\x1b[J", stdout);
  }

  void draw_line() {
    ::el_set(edit, EL_REFRESH);
    std::fflush(stdout);
  }

  void show_above(const std::string& text) {
    erase_line();
    std::fputs(text.c_str(), stdout);
    draw_line();
  }

  /// Cut so that the line does not run into it: libedit leaves out one that does not fit at all.
  std::string hint_for_line() const {
    if (!drawing || !hooks.hint) return {};
    const LineInfoW* info = ::el_wline(edit);
    const auto canvas = screen.canvas();
    const int room = canvas.columns - prompt_columns - columns_of_text(info->buffer, info->lastchar) - 12;
    auto text = hooks.hint(before_cursor());
    if (room < 8 || text.empty()) return {};
    if (columns_of(text) > room) text = text.substr(0, static_cast<std::size_t>(room - 3)) + "...";
    return in_style("\x1b[2m", text);
  }

  /// libedit draws only what a key changes; a hint may have to change with it.
  void renew_hint() {
    auto text = hint_for_line();
    if (text == hint_text) return;
    hint_text = std::move(text);
    erase_line();
    draw_line();
  }

  // --- keys

  static unsigned char on_tab(EditLine* edit, int) { return of(edit).complete(); }

  static unsigned char on_abandon(EditLine* edit, int) {
    of(edit).abandoned = true;
    return on_accept(edit, 0);
  }

  /// Draws the line once more without the hint, which is no part of it, and goes below it.
  static unsigned char on_accept(EditLine* edit, int) {
    auto& self = of(edit);
    self.hint_text.clear();
    if (self.drawing) self.erase_line();
    const LineInfo* info = ::el_line(edit);
    ::el_cursor(edit, static_cast<int>(info->lastchar - info->cursor));
    if (self.drawing) self.draw_line();
    ::el_insertstr(edit, "\n");
    std::fputs(self.abandoned ? "^C\n" : "\n", stdout);
    return CC_NEWLINE;
  }

  unsigned char complete() {
    const auto line = before_cursor();
    const auto completion = hooks.complete(line);
    if (completion.candidates.empty()) return CC_REFRESH_BEEP;
    const auto common = completion.common();
    const auto typed = line.size() - completion.begin;
    if (common.size() > typed) {
      ::el_insertstr(edit, common.substr(typed).c_str());
      return CC_REFRESH;
    }
    std::vector<std::string> shown;
    for (const auto& candidate : completion.candidates)
      shown.push_back(candidate.text + (candidate.about.empty() ? "" : " " + candidate.about));
    show_above(prompt_plain + line + "\n" + list(shown));
    return CC_NORM;
  }

  std::string list(const std::vector<std::string>& texts) const;

  // --- input

  static int next_character(EditLine* edit, wchar_t* character) { return of(edit).get(character); }

  /// As libedit wants it: 1, or 0 at the end.
  int get(wchar_t* character) {
    std::mbstate_t state{};
    for (;;) {
      const int got = wait_for_byte();
      if (got == interrupt) {
        *character = L'\3';
        return 1;
      }
      if (got != byte_there) return 0;
      char byte = 0;
      if (::read(STDIN_FILENO, &byte, 1) != 1) {
        ended = true;
        return 0;
      }
      const auto length = std::mbrtowc(character, &byte, 1, &state);
      if (length == static_cast<std::size_t>(-2)) continue;  // more bytes of the same character follow
      if (length == static_cast<std::size_t>(-1)) {
        state = {};
        continue;
      }
      if (length == 0) *character = L'\0';
      return 1;
    }
  }

  enum Wait : int { failed, interrupt, byte_there };

  int wait_for_byte() {
    for (;;) {
      pollfd entries[] = {{STDIN_FILENO, POLLIN, 0}, {hooks.watched_fd, POLLIN, 0}, {stop.fd(), POLLIN, 0}};
      int ready = ::poll(entries, std::size(entries), 0);
      if (ready == 0) {
        renew_hint();
        ready = ::poll(entries, std::size(entries), -1);
      }
      if (ready < 0 && errno != EINTR) return fail_with(system_error("cannot wait", errno).error());
      if (ready <= 0) continue;
      if (entries[2].revents != 0) {
        auto taken = stop.taken();
        if (stop.signal() == SIGINT) return interrupt;
        return fail_with(taken.error());
      }
      if (entries[1].revents != 0) {
        auto text = hooks.on_readable();
        if (!text) return fail_with(text.error());
        if (!text->empty()) show_above(*text);
      }
      if (entries[0].revents != 0) return byte_there;
    }
  }

  int fail_with(const Error& error) {
    failure = error;
    return failed;
  }

  Hooks hooks;
  const StopRequest& stop;
  Screen screen;
  bool drawing;
  ::History* lines;
  EditLine* edit;
  std::string prompt_text;
  std::string prompt_plain;
  int prompt_columns = 0;
  std::string hint_text;
  std::optional<Error> failure;
  bool abandoned = false;
  bool ended = false;
};

std::string LineEditor::Terminal::list(const std::vector<std::string>& texts) const {
  std::string out;
  constexpr std::size_t most = 200;
  for (std::size_t i = 0; i < std::min(texts.size(), most); ++i) out += "  " + texts[i] + "\n";
  if (texts.size() > most) out += fmt::format("  and {} more\n", texts.size() - most);
  return out;
}

Result<LineEditor> LineEditor::open(Hooks hooks, const StopRequest& stop) {
  // libedit reads and draws characters of the locale; without one at least those of UTF-8.
  std::setlocale(LC_CTYPE, "");
  if (MB_CUR_MAX == 1) std::setlocale(LC_CTYPE, "C.UTF-8");
  auto terminal = std::make_unique<Terminal>(std::move(hooks), stop);
  if (terminal->edit == nullptr || terminal->lines == nullptr)
    return godwit::fail(
        Error("the terminal cannot be used").advise("set TERM, or give the command as arguments"));
  terminal->set_up();
  return LineEditor(std::move(terminal));
}

LineEditor::LineEditor(std::unique_ptr<Terminal> terminal) : terminal_(std::move(terminal)) {}
LineEditor::LineEditor(LineEditor&&) noexcept = default;
LineEditor::~LineEditor() = default;

Result<LineEditor::Read> LineEditor::read(const std::string& prompt) {
  auto& terminal = *terminal_;
  terminal.prompt_plain = prompt + " ";
  terminal.prompt_columns = columns_of(terminal.prompt_plain);
  terminal.prompt_text = terminal.drawing ? in_style("\x1b[1m", prompt) : prompt + " ";
  terminal.hint_text.clear();
  terminal.abandoned = false;
  // libedit would draw the prompt first. What a fast typist answers it with would then still be the
  // terminal's to interpret: a Ctrl-D would be no end of input, and not arrive here either.
  ::el_set(terminal.edit, EL_PREP_TERM, 1);
  int length = 0;
  const char* line = ::el_gets(terminal.edit, &length);
  if (terminal.failure) return std::unexpected(*std::exchange(terminal.failure, std::nullopt));
  if (terminal.abandoned) return Read{.outcome = Outcome::abandoned};
  if (line == nullptr || length <= 0 || terminal.ended) return Read{.outcome = Outcome::end};
  std::string text(line, static_cast<std::size_t>(length));
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  return Read{.outcome = Outcome::line, .text = std::move(text)};
}

void LineEditor::remember(const std::string& line) {
  HistEvent event;
  ::history(terminal_->lines, &event, H_ENTER, line.c_str());
}

}  // namespace godwit::cli::qmp

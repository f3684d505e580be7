#include "cli/screen.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <sys/ioctl.h>
#include <unistd.h>

namespace godwit::cli {
namespace {

constexpr const char* begin_update = "\x1b[?2026h";  // terminals that know it show the update at once
constexpr const char* end_update = "\x1b[?2026l";

bool is_continuation(char c) {
  return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
}

/// The first `columns` characters of a text.
std::string_view first_columns(std::string_view text, int columns) {
  std::size_t end = 0;
  for (; end < text.size(); ++end)
    if (!is_continuation(text[end]) && columns-- == 0) break;
  return text.substr(0, end);
}

std::string_view sequence_of(Style style) {
  switch (style) {
    case Style::plain:
      return "";
    case Style::bold:
      return "\x1b[1m";
    case Style::dim:
      return "\x1b[2m";
    case Style::good:
      return "\x1b[1;32m";
    case Style::bad:
      return "\x1b[1;31m";
    case Style::accent:
      return "\x1b[36m";
  }
  return "";
}

std::string repeated(std::string_view text, int times) {
  std::string result;
  for (int i = 0; i < times; ++i) result += text;
  return result;
}

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno != EINTR) return;  // the terminal is gone; the tool goes on without it
    if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
  }
}

bool locale_is_utf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    std::string text(value);
    std::ranges::transform(text, text.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text.find("utf-8") != std::string::npos || text.find("utf8") != std::string::npos;
  }
  return false;
}

}  // namespace

std::string styled(std::string_view text, Style style, const Canvas& canvas) {
  if (!canvas.color || style == Style::plain || text.empty()) return std::string(text);
  return std::string(sequence_of(style)) + std::string(text) + "\x1b[0m";
}

int columns_of(std::string_view text) {
  return static_cast<int>(std::ranges::count_if(text, [](char c) { return !is_continuation(c); }));
}

Line& Line::add(std::string_view text, Style style) {
  const auto fitting = first_columns(text, left_);
  left_ -= columns_of(fitting);
  text_ += styled(fitting, style, canvas_);
  return *this;
}

Line& Line::column(std::string_view text, int columns, Style style) {
  add(text, style);
  return add(std::string(static_cast<std::size_t>(std::max(0, columns - columns_of(text))), ' '));
}

std::string bar(double share, int columns, const Canvas& canvas) {
  if (columns <= 0) return {};
  const double filled = std::clamp(share, 0.0, 1.0) * columns;
  const int whole = static_cast<int>(filled);
  if (!canvas.unicode)
    return std::string(static_cast<std::size_t>(whole), '#') +
           std::string(static_cast<std::size_t>(columns - whole), '-');
  constexpr const char* eighths[] = {"░", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  std::string text = repeated("█", whole);
  if (whole < columns)
    text += eighths[static_cast<int>((filled - whole) * 8)] + repeated("░", columns - whole - 1);
  return text;
}

Screen::~Screen() {
  if (cursor_hidden_) write_all(fd_, "\x1b[?25h");
}

Canvas Screen::canvas() const {
  Canvas canvas{.color = true, .unicode = locale_is_utf8()};
  winsize size{};
  if (::ioctl(fd_, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    canvas.columns = size.ws_col;
    canvas.rows = size.ws_row > 0 ? size.ws_row : canvas.rows;
  }
  return canvas;
}

void Screen::show(const std::vector<std::string>& lines) {
  draw(lines, false);
}

void Screen::keep(const std::vector<std::string>& lines) {
  draw(lines, true);
}

void Screen::draw(const std::vector<std::string>& lines, bool for_good) {
  const Canvas now = canvas();
  std::string out = begin_update;
  if (!for_good && !cursor_hidden_) out += "\x1b[?25l";
  // A terminal that became narrower has wrapped the block: each of its rows may take two or more now.
  int rows_up = block_rows_;
  if (block_rows_ > 0 && block_columns_ > now.columns)
    rows_up = std::min(now.rows - 1, block_rows_ * ((block_columns_ + now.columns - 1) / now.columns));
  if (rows_up > 0) out += "\x1b[" + std::to_string(rows_up) + "A";
  out += '\r';
  const std::size_t most = for_good ? lines.size() : static_cast<std::size_t>(std::max(1, now.rows - 1));
  const std::size_t count = std::min(lines.size(), most);
  for (std::size_t i = 0; i < count; ++i) out += lines[i] + "\x1b[K\r\n";
  out += "\x1b[J";
  if (for_good && cursor_hidden_) out += "\x1b[?25h";
  out += end_update;
  cursor_hidden_ = !for_good;
  block_rows_ = for_good ? 0 : static_cast<int>(count);
  block_columns_ = now.columns;
  write_all(fd_, out);
}

bool can_draw(int fd) {
  const auto is_set = [](const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr && *value != '\0';
  };
  const char* term = std::getenv("TERM");
  return ::isatty(fd) == 1 && !is_set("NO_COLOR") && term != nullptr && std::string_view(term) != "dumb";
}

}  // namespace godwit::cli

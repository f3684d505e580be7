// Output for a terminal: styled lines that fit its width, and a block of them that is redrawn in place.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace godwit::cli {

/// What the place can show where lines are drawn.
struct Canvas {
  int columns = 80;
  int rows = 24;
  bool color = false;
  bool unicode = false;

  friend bool operator==(const Canvas&, const Canvas&) = default;
};

enum class Style : std::uint8_t { plain, bold, dim, good, bad, accent };

/// `text` in that style, if the canvas has colors.
std::string styled(std::string_view text, Style style, const Canvas& canvas);

/// A line built piece by piece and cut at the right edge: it never wraps. Text is UTF-8, one column per
/// character.
class Line {
 public:
  explicit Line(const Canvas& canvas) : canvas_(canvas), left_(canvas.columns - 1) {}

  Line& add(std::string_view text, Style style = Style::plain);
  /// The same, padded with spaces to `columns`.
  Line& column(std::string_view text, int columns, Style style = Style::plain);

  /// Columns still free.
  int left() const { return left_; }
  const std::string& text() const { return text_; }

 private:
  Canvas canvas_;
  int left_;  // the last column stays free: some terminals wrap when it is written
  std::string text_;
};

/// "#####-----" of that many columns; `share` from 0 to 1.
std::string bar(double share, int columns, const Canvas& canvas);

/// Columns a text takes.
int columns_of(std::string_view text);

/// A block of lines at the bottom of a terminal, redrawn in place with one write, so that it does not
/// flicker.
///
/// Hides the cursor while it shows a block, and shows it again when it goes.
class Screen {
 public:
  /// On a terminal; `fd` stays the caller's.
  explicit Screen(int fd) : fd_(fd) {}
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;
  ~Screen();

  /// Replaces the block by these lines. What does not fit the height of the terminal is left out.
  void show(const std::vector<std::string>& lines);

  /// Puts lines for good where the block is; the block is empty then.
  void keep(const std::vector<std::string>& lines);

  /// The terminal as it is now: it may have been resized.
  Canvas canvas() const;

 private:
  void draw(const std::vector<std::string>& lines, bool for_good);

  int fd_;
  int block_rows_ = 0;
  int block_columns_ = 0;  // the width for which the block was drawn
  bool cursor_hidden_ = false;
};

/// Whether a program may draw on this descriptor: a terminal, and neither NO_COLOR nor TERM=dumb says
/// otherwise.
bool can_draw(int fd);

}  // namespace godwit::cli

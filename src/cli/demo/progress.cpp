#include "cli/demo/progress.h"

#include <algorithm>
#include <fmt/format.h>

#include "cli/quantity.h"

namespace godwit::cli::demo {
namespace {

constexpr int label_columns = 12;
constexpr int cell_columns = 32;
constexpr int name_columns = 19;
constexpr int least_bar_columns = 8;

std::string share_text(double share) {
  return fmt::format("{:3.0f} %", std::clamp(share, 0.0, 1.0) * 100);
}

double share_of(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

std::string seconds_text(std::chrono::milliseconds elapsed) {
  return fmt::format("{:.1f} s", static_cast<double>(elapsed.count()) / 1000);
}

std::string or_dash(const std::optional<double>& rate) {
  return rate ? rate_text(*rate) : "-";
}

/// "  Moving      #####-----   63 %  pass 2": the bar takes what room there is, or goes if there is none.
std::string bar_line(std::string_view label, double share, const std::string& rest, const Canvas& canvas) {
  Line line(canvas);
  line.add("  ").column(label, label_columns - 2, Style::bold);
  const auto percent = share_text(share);
  const int room = line.left() - columns_of(percent) - columns_of(rest) - 4;
  if (room >= least_bar_columns) line.add(bar(share, std::min(room, 50), canvas), Style::accent).add("  ");
  line.add(percent).add("  ").add(rest, Style::dim);
  return line.text();
}

struct Cell {
  std::string name;
  std::string value;
};

int used(const Line& line, const Canvas& canvas) {
  return canvas.columns - 1 - line.left();
}

/// As many cells side by side as the width takes, at least one.
std::vector<std::string> cell_lines(const std::vector<Cell>& cells, const Canvas& canvas) {
  const bool narrow = canvas.columns < label_columns + cell_columns;
  const int indent = narrow ? 2 : label_columns;
  const auto per_line = static_cast<std::size_t>(std::clamp((canvas.columns - indent) / cell_columns, 1, 3));
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < cells.size(); i += per_line) {
    Line line(canvas);
    line.column("", indent);
    for (std::size_t j = i; j < std::min(i + per_line, cells.size()); ++j) {
      if (j > i) line.column("", indent + static_cast<int>(j - i) * cell_columns - used(line, canvas));
      line.column(cells[j].name, name_columns, Style::dim).add(cells[j].value);
    }
    lines.push_back(line.text());
  }
  return lines;
}

/// What of the guest's memory is on the other side, as far as the source knows.
double moved_share(const MoveFigures& figures) {
  if (figures.total_bytes == 0) return 0;
  return 1 - share_of(figures.remaining_bytes, figures.total_bytes);
}

std::string downtime_text(const MoveFigures& figures) {
  return figures.expected_downtime_ms ? fmt::format("{} ms", *figures.expected_downtime_ms) : "-";
}

}  // namespace

std::vector<std::string> render(const FillFigures& figures, const Canvas& canvas) {
  const auto rest = fmt::format("{} of {}", size_text(static_cast<double>(figures.filled_bytes)),
                                size_text(static_cast<double>(figures.total_bytes)));
  // Before the first page a firmware may be at work.
  if (figures.filled_bytes == 0) return {bar_line("Booting", 0, seconds_text(figures.elapsed), canvas)};
  return {bar_line("Filling", share_of(figures.filled_bytes, figures.total_bytes), rest, canvas)};
}

std::vector<std::string> render(const MoveFigures& figures, const Canvas& canvas) {
  const auto rest =
      fmt::format("pass {}  {}  {}", figures.passes, figures.status, seconds_text(figures.elapsed));
  std::vector<std::string> lines{bar_line("Moving", moved_share(figures), rest, canvas)};
  const auto cells = cell_lines({{"transferred", size_text(static_cast<double>(figures.transferred_bytes))},
                                 {"remaining", size_text(static_cast<double>(figures.remaining_bytes))},
                                 {"bandwidth", or_dash(figures.bandwidth_bytes_per_second)},
                                 {"dirty rate", or_dash(figures.dirty_bytes_per_second)},
                                 {"guest writes", or_dash(figures.written_bytes_per_second)},
                                 {"expected downtime", downtime_text(figures)}},
                                canvas);
  lines.insert(lines.end(), cells.begin(), cells.end());
  return lines;
}

std::vector<std::string> render(const CheckFigures& figures, const Canvas& canvas) {
  return {bar_line("Checking", figures.share, figures.what, canvas)};
}

std::string plain_line(const FillFigures& figures) {
  if (figures.filled_bytes == 0) return fmt::format("booting   {:>6}", seconds_text(figures.elapsed));
  return fmt::format("filling   {:>6}  {} of {}", seconds_text(figures.elapsed),
                     size_text(static_cast<double>(figures.filled_bytes)),
                     size_text(static_cast<double>(figures.total_bytes)));
}

std::string plain_line(const MoveFigures& figures) {
  return fmt::format(
      "moving    {:>6}  {}, pass {}, transferred {}, remaining {}, bandwidth {}, dirty rate {}, guest writes "
      "{}, "
      "expected downtime {}",
      seconds_text(figures.elapsed), figures.status, figures.passes,
      size_text(static_cast<double>(figures.transferred_bytes)),
      size_text(static_cast<double>(figures.remaining_bytes)), or_dash(figures.bandwidth_bytes_per_second),
      or_dash(figures.dirty_bytes_per_second), or_dash(figures.written_bytes_per_second),
      downtime_text(figures));
}

}  // namespace godwit::cli::demo

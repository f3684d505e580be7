#include "cli/demo/audience.h"

#include <cerrno>
#include <optional>
#include <unistd.h>

namespace godwit::cli::demo {
namespace {

class TerminalAudience final : public Audience {
 public:
  explicit TerminalAudience(int fd) : screen_(fd) {}

  void tell(const std::vector<std::string>& lines) override { screen_.keep(lines); }
  void filling(const FillFigures& figures) override { show(figures); }
  void moving(const MoveFigures& figures) override { show(figures); }
  void checking(const CheckFigures& figures) override { show(figures); }
  void phase_over() override {
    if (!shown_.empty()) screen_.keep(shown_);
    shown_.clear();
  }
  Canvas canvas() const override { return screen_.canvas(); }

 private:
  template <typename Figures>
  void show(const Figures& figures) {
    shown_ = render(figures, screen_.canvas());
    screen_.show(shown_);
  }

  Screen screen_;
  std::vector<std::string> shown_;
};

class PlainAudience final : public Audience {
 public:
  explicit PlainAudience(int fd) : fd_(fd) {}

  void tell(const std::vector<std::string>& lines) override {
    for (const auto& line : lines) write_line(line);
  }
  void filling(const FillFigures& figures) override { line(figures, {}); }
  void moving(const MoveFigures& figures) override {
    line(figures, figures.status + " " + std::to_string(figures.passes));
  }
  void checking(const CheckFigures& figures) override {
    if (figures.what != last_key_) write_line("checking  " + figures.what);
    last_key_ = figures.what;
  }
  void phase_over() override {
    if (!held_back_.empty()) write_line(held_back_);
    held_back_.clear();
    last_key_.clear();
    last_line_.reset();
  }
  Canvas canvas() const override { return {.columns = 10'000}; }

 private:
  /// A line now if `key` changed or a second went by since the last one; else at the end of the phase.
  template <typename Figures>
  void line(const Figures& figures, const std::string& key) {
    held_back_ = plain_line(figures);
    if (last_line_ && key == last_key_ && figures.elapsed < *last_line_ + std::chrono::seconds(1)) return;
    write_line(held_back_);
    held_back_.clear();
    last_key_ = key;
    last_line_ = figures.elapsed;
  }

  void write_line(std::string text) {
    text += '\n';
    for (std::string_view rest = text; !rest.empty();) {
      const ssize_t written = ::write(fd_, rest.data(), rest.size());
      if (written < 0 && errno != EINTR) return;
      if (written > 0) rest.remove_prefix(static_cast<std::size_t>(written));
    }
  }

  int fd_;
  std::string last_key_;
  std::string held_back_;
  std::optional<std::chrono::milliseconds> last_line_;
};

class NoAudience final : public Audience {
 public:
  void tell(const std::vector<std::string>&) override {}
  void filling(const FillFigures&) override {}
  void moving(const MoveFigures&) override {}
  void checking(const CheckFigures&) override {}
  void phase_over() override {}
  Canvas canvas() const override { return {}; }
};

}  // namespace

std::unique_ptr<Audience> make_terminal_audience(int fd) {
  return std::make_unique<TerminalAudience>(fd);
}
std::unique_ptr<Audience> make_plain_audience(int fd) {
  return std::make_unique<PlainAudience>(fd);
}
std::unique_ptr<Audience> make_no_audience() {
  return std::make_unique<NoAudience>();
}

}  // namespace godwit::cli::demo

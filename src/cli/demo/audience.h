// Who watches the demo: a person at a terminal, a log, or nobody.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/demo/progress.h"

namespace godwit::cli::demo {

/// Is told of the demo as it goes on; decides itself what of it to show. Never fails.
class Audience {
 public:
  virtual ~Audience() = default;

  /// Lines that stay: the introduction, the verdict.
  virtual void tell(const std::vector<std::string>& lines) = 0;

  virtual void filling(const FillFigures& figures) = 0;
  virtual void moving(const MoveFigures& figures) = 0;
  virtual void checking(const CheckFigures& figures) = 0;

  /// The phase shown last is over; its last figures stay.
  virtual void phase_over() = 0;

  /// Where tell() goes to.
  virtual Canvas canvas() const = 0;
};

/// Redraws the figures in place on the terminal `fd`.
std::unique_ptr<Audience> make_terminal_audience(int fd);

/// Writes a line to `fd` where something changed: a pass began, a second went by.
std::unique_ptr<Audience> make_plain_audience(int fd);

std::unique_ptr<Audience> make_no_audience();

}  // namespace godwit::cli::demo

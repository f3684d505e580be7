#include "cli/screen.h"

#include <gmock/gmock.h>
#include <pty.h>
#include <unistd.h>

#include "base/system.h"
#include "cli/wait.h"

namespace godwit::cli {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Line, IsCutBeforeTheLastColumn) {
  Line line(Canvas{.columns = 10});
  line.add("12345").add("67890");
  EXPECT_EQ(line.text(), "123456789");
  EXPECT_EQ(line.left(), 0);
}

TEST(Line, CountsCharactersAndNotBytesOrSequences) {
  Line line(Canvas{.columns = 6, .color = true, .unicode = true});
  line.add("█▍░", Style::accent).add("äöü");
  EXPECT_EQ(line.text(), "\x1b[36m█▍░\x1b[0mäö");
}

TEST(Line, PadsColumns) {
  Line line(Canvas{.columns = 20});
  line.column("ab", 5).column("cdefgh", 3).add("|");
  EXPECT_EQ(line.text(), "ab   cdefgh|");
}

TEST(Line, IsPlainWithoutColors) {
  EXPECT_EQ(styled("x", Style::bad, Canvas{}), "x");
  EXPECT_EQ(styled("x", Style::bad, Canvas{.color = true}), "\x1b[1;31mx\x1b[0m");
}

TEST(Bar, HasItsWidthAtEveryShare) {
  for (const bool unicode : {false, true})
    for (double share = -0.5; share < 1.5; share += 0.01)
      EXPECT_EQ(columns_of(bar(share, 17, Canvas{.unicode = unicode})), 17) << share;
  EXPECT_EQ(bar(0.5, 4, Canvas{}), "##--");
  EXPECT_EQ(bar(1, 3, Canvas{.unicode = true}), "███");
  EXPECT_EQ(bar(0.5, 3, Canvas{.unicode = true}), "█▌░");
  EXPECT_EQ(bar(0.5, 0, Canvas{}), "");
}

/// A terminal of 40 columns and 6 rows.
class ScreenTest : public ::testing::Test {
 protected:
  ScreenTest() {
    int master = -1;
    int slave = -1;
    winsize size{.ws_row = 6, .ws_col = 40, .ws_xpixel = 0, .ws_ypixel = 0};
    termios raw{};
    ::cfmakeraw(&raw);
    EXPECT_EQ(::openpty(&master, &slave, nullptr, &raw, &size), 0);
    master_.reset(master);
    slave_.reset(slave);
  }

  void resize(unsigned short columns) {
    const winsize size{.ws_row = 6, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
    ASSERT_EQ(::ioctl(slave_.get(), TIOCSWINSZ, &size), 0);
  }

  /// What was drawn since the last call.
  std::string drawn() {
    std::string text;
    const int fds[] = {master_.get()};
    while (wait_readable(fds, after(Milliseconds(0)), StopRequest()).value_or(false)) {
      char bytes[4096];
      const ssize_t got = ::read(master_.get(), bytes, sizeof bytes);
      if (got <= 0) break;
      text.append(bytes, static_cast<std::size_t>(got));
    }
    return text;
  }

  UniqueFd master_;
  UniqueFd slave_;
};

TEST_F(ScreenTest, RedrawsInPlaceWithoutClearingFirst) {
  Screen screen(slave_.get());
  EXPECT_EQ(screen.canvas().columns, 40);
  screen.show({"one", "two"});
  const auto first = drawn();
  EXPECT_THAT(first, HasSubstr("\rone\x1b[K\r\ntwo\x1b[K\r\n"));
  EXPECT_THAT(first, HasSubstr("\x1b[?25l"));
  screen.show({"uno", "due"});
  const auto second = drawn();
  EXPECT_THAT(second, HasSubstr("\x1b[2A\runo\x1b[K\r\ndue\x1b[K\r\n"));
  EXPECT_THAT(second, Not(HasSubstr("\x1b[2J")));
}

TEST_F(ScreenTest, WhatIsKeptIsNotDrawnOver) {
  Screen screen(slave_.get());
  screen.show({"one", "two"});
  screen.keep({"done"});
  drawn();
  screen.show({"next"});
  EXPECT_THAT(drawn(), Not(HasSubstr("\x1b[1A")));
}

TEST_F(ScreenTest, ShowsNoMoreLinesThanTheTerminalHas) {
  Screen screen(slave_.get());
  screen.show({"1", "2", "3", "4", "5", "6", "7", "8"});
  const auto text = drawn();
  EXPECT_THAT(text, HasSubstr("5\x1b[K"));
  EXPECT_THAT(text, Not(HasSubstr("6\x1b[K")));
}

TEST_F(ScreenTest, TakesBackLinesThatANarrowerTerminalWrapped) {
  Screen screen(slave_.get());
  screen.show({std::string(39, 'x'), std::string(39, 'y')});
  drawn();
  resize(20);
  screen.show({"x", "y"});
  EXPECT_THAT(drawn(), HasSubstr("\x1b[4A"));
}

TEST_F(ScreenTest, GivesTheCursorBack) {
  {
    Screen screen(slave_.get());
    screen.show({"one"});
    drawn();
  }
  EXPECT_THAT(drawn(), EndsWith("\x1b[?25h"));
}

TEST_F(ScreenTest, DrawsOnlyWhereItMay) {
  const auto with = [&](const char* term, const char* no_color) {
    ::setenv("TERM", term, 1);
    ::setenv("NO_COLOR", no_color, 1);
    return can_draw(slave_.get());
  };
  EXPECT_TRUE(with("xterm", ""));
  EXPECT_FALSE(with("dumb", ""));
  EXPECT_FALSE(with("xterm", "1"));
  ::unsetenv("NO_COLOR");
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const UniqueFd read_end(ends[0]);
  const UniqueFd write_end(ends[1]);
  EXPECT_FALSE(can_draw(write_end.get()));
}

}  // namespace
}  // namespace godwit::cli

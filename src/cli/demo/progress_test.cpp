#include "cli/demo/progress.h"

#include <gmock/gmock.h>

namespace godwit::cli::demo {
namespace {

using namespace std::chrono_literals;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::ResultOf;
using ::testing::SizeIs;

constexpr std::uint64_t mib = 1 << 20;

const MoveFigures moving{.elapsed = 1234ms,
                         .status = "active",
                         .passes = 2,
                         .transferred_bytes = 400 * mib,
                         .remaining_bytes = 128 * mib,
                         .total_bytes = 512 * mib,
                         .dirty_bytes_per_second = 30.0 * mib,
                         .written_bytes_per_second = 3000.0 * mib,
                         .bandwidth_bytes_per_second = 250.0 * mib,
                         .expected_downtime_ms = 85};

TEST(Progress, ShowsEveryFigureOfAMove) {
  EXPECT_THAT(render(moving, {.columns = 80}),
              ElementsAre("  Moving    ###########################----------   75 %  pass 2  active  1.2 s",
                          "            transferred        400 MiB      remaining          128 MiB",
                          "            bandwidth          250 MiB/s    dirty rate         30 MiB/s",
                          "            guest writes       2.93 GiB/s   expected downtime  85 ms"));
}

TEST(Progress, UsesAWideTerminalAndEndsInTime) {
  const auto lines = render(moving, {.columns = 200});
  EXPECT_THAT(lines, SizeIs(3));
  EXPECT_THAT(lines[0], HasSubstr(" " + std::string(37, '#') + std::string(13, '-') + " "));
}

TEST(Progress, FitsTerminalsOfEveryWidth) {
  for (const bool unicode : {false, true})
    for (int columns = 1; columns < 250; ++columns) {
      const Canvas canvas{.columns = columns, .unicode = unicode};
      for (const auto& lines : {render(moving, canvas), render(FillFigures{2s, 100 * mib, 400 * mib}, canvas),
                                render(FillFigures{2s, 0, 400 * mib}, canvas),
                                render(CheckFigures{"something with quite a long description", 0.5}, canvas)})
        EXPECT_THAT(lines, Each(ResultOf(columns_of, ::testing::Lt(columns)))) << columns;
    }
}

TEST(Progress, DropsTheBarBeforeTheFiguresOnANarrowTerminal) {
  const auto lines = render(moving, {.columns = 40});
  EXPECT_THAT(lines, SizeIs(7));
  EXPECT_THAT(lines[0], ::testing::StartsWith("  Moving     75 %  pass 2"));
  EXPECT_THAT(lines[0], Not(HasSubstr("#")));
  EXPECT_EQ(lines[1], "  transferred        400 MiB");
  EXPECT_EQ(lines[6], "  expected downtime  85 ms");
}

TEST(Progress, HasADashForWhatIsNotKnownYet) {
  MoveFigures early;
  early.status = "setup";
  const auto lines = render(early, {.columns = 80});
  EXPECT_THAT(lines[0], HasSubstr("0 %  pass 0  setup  0.0 s"));
  EXPECT_THAT(lines[2], HasSubstr("bandwidth          -"));
  EXPECT_EQ(plain_line(early),
            "moving     0.0 s  setup, pass 0, transferred 0 B, remaining 0 B, bandwidth -, dirty rate -, "
            "guest writes -, "
            "expected downtime -");
}

TEST(Progress, HasPlainLines) {
  EXPECT_EQ(plain_line(moving),
            "moving     1.2 s  active, pass 2, transferred 400 MiB, remaining 128 MiB, bandwidth 250 MiB/s, "
            "dirty rate 30 MiB/s, guest writes 2.93 GiB/s, expected downtime 85 ms");
  EXPECT_EQ(plain_line(FillFigures{1500ms, 100 * mib, 400 * mib}), "filling    1.5 s  100 MiB of 400 MiB");
  EXPECT_EQ(plain_line(FillFigures{1500ms, 0, 400 * mib}), "booting    1.5 s");
}

TEST(Progress, HasColorsOnlyWhereAskedFor) {
  const auto colored = render(moving, {.columns = 80, .color = true});
  EXPECT_THAT(colored[0], HasSubstr("\x1b["));
  EXPECT_THAT(render(moving, {.columns = 80}), Each(Not(HasSubstr("\x1b"))));
}

}  // namespace
}  // namespace godwit::cli::demo

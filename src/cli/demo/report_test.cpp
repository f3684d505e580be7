#include "cli/demo/report.h"

#include <gmock/gmock.h>

namespace godwit::cli::demo {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Report good() {
  Report report;
  report.parameters = {.fill_pages = 1000, .hot_pages = 100};
  report.destination_pid = 4711;
  report.move.emplace();
  report.move->completed = true;
  report.move->status = "completed";
  report.move->downtime_ms = 46;
  report.findings.emplace();
  report.findings->runs_on = true;
  report.findings->hot.pages = 100;
  report.findings->sampled.pages = 10;
  report.findings->static_pages = 900;
  report.findings->blackout.switch_ms = 48.13;
  return report;
}

std::string last_line(const Report& report) {
  return summary(report, {}).back();
}

TEST(Report, IsGoodIfNothingWasLostAndTheGuestRunsOn) {
  EXPECT_EQ(verdict(good()), Verdict::ok);
  EXPECT_THAT(problems(good()), IsEmpty());
  EXPECT_EQ(last_line(good()), "Nothing was lost. The guest runs on in process 4711.");
  const auto lines = summary(good(), {});
  EXPECT_THAT(lines, ::testing::Contains(
                         "  stood still  48.1 ms by the guest's own clock; the source reported 46 ms"));
}

TEST(Report, NamesEachKindOfLoss) {
  auto report = good();
  report.findings->guest_errors = 3;
  EXPECT_EQ(verdict(report), Verdict::lost);
  EXPECT_THAT(problems(report),
              ElementsAre("the guest found 3 of its words changed: a write was lost, or undone"));

  report = good();
  report.findings->hot.bad_pages = 1;
  report.findings->hot.first_bad = "word 5";
  EXPECT_EQ(verdict(report), Verdict::lost);
  EXPECT_THAT(problems(report), ElementsAre("1 of 100 pages that it rewrites is wrong: word 5"));

  report = good();
  report.findings->sampled.bad_pages = 2;
  EXPECT_EQ(verdict(report), Verdict::lost);

  report = good();
  report.findings->runs_on = false;
  EXPECT_EQ(verdict(report), Verdict::lost);
  EXPECT_EQ(last_line(report), "  the guest does not run at the destination");
}

TEST(Report, TellsAMoveThatDidNotHappenFromOneThatDidHarm) {
  Report report;
  report.move.emplace();
  report.error = "the source gave the move up: refused";
  report.runs_on_source = true;
  EXPECT_EQ(verdict(report), Verdict::not_moved);
  EXPECT_EQ(last_line(report), "  The guest runs on where it was, unharmed.");
  report.runs_on_source = false;
  EXPECT_EQ(verdict(report), Verdict::lost);
}

TEST(Report, DemoThatDidNotGetToItsEndProvesNothing) {
  Report report;
  report.error = "interrupted by SIGINT";
  EXPECT_EQ(verdict(report), Verdict::unknown);
  EXPECT_THAT(summary(report, {}),
              ElementsAre("", "The demo did not get to its end.", "  interrupted by SIGINT"));
}

TEST(Report, IsAsCompleteInJson) {
  const auto json = to_json(good());
  EXPECT_EQ(json.at("verdict"), "ok");
  EXPECT_TRUE(json.at("problems").as_array().empty());
  EXPECT_EQ(json.at("setup").at("filled-bytes"), 4096000);
  EXPECT_EQ(json.at("setup").at("hot-bytes"), 409600);
  EXPECT_EQ(json.at("migration").at("downtime-ms"), 46);
  EXPECT_EQ(json.at("guest").at("blackout-ms"), 48.13);
  EXPECT_EQ(json.at("guest").at("runs-on"), true);
  EXPECT_EQ(json.at("checks").at("words-wrong"), 0);
  EXPECT_EQ(json.at("checks").at("hot-pages-checked-from-outside").at("pages"), 100);

  Report failed;
  failed.error = "no room";
  EXPECT_EQ(to_json(failed).at("verdict"), "unknown");
  EXPECT_EQ(to_json(failed).at("problems").at(0), "no room");
  EXPECT_FALSE(to_json(failed).contains("checks"));
}

}  // namespace
}  // namespace godwit::cli::demo

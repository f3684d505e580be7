#include "cli/qmp/event_filter.h"

#include <gtest/gtest.h>

#include "cli/testing/schemas.h"

namespace godwit::cli::qmp {
namespace {

QmpEvent event(std::string name, std::string_view data = "{}") {
  return {.name = std::move(name), .time = {}, .data = boost::json::parse(data).as_object()};
}

TEST(EventFilter, MatchesNameAndData) {
  const auto any = parse_event_filter("MIGRATION");
  ASSERT_TRUE(any);
  EXPECT_TRUE(any->matches(event("MIGRATION", R"({"status": "active"})")));
  EXPECT_FALSE(any->matches(event("STOP")));
  for (const auto* text : {"MIGRATION,status=completed", "MIGRATION,data.status=completed"}) {
    const auto completed = parse_event_filter(text);
    ASSERT_TRUE(completed);
    EXPECT_TRUE(completed->matches(event("MIGRATION", R"({"status": "completed"})")));
    EXPECT_FALSE(completed->matches(event("MIGRATION", R"({"status": "active"})")));
    EXPECT_FALSE(completed->matches(event("MIGRATION")));
  }
  const auto nested = parse_event_filter("E,a.b=2,c=true");
  ASSERT_TRUE(nested);
  EXPECT_TRUE(nested->matches(event("E", R"({"a": {"b": 2}, "c": true})")));
  EXPECT_FALSE(nested->matches(event("E", R"({"a": 2, "c": true})")));
}

TEST(EventFilter, WhatIsNoneIsRefused) {
  for (const auto* text : {"", ",", "a=b", "E,", "E,x", "E,=x"})
    EXPECT_FALSE(parse_event_filter(text)) << text;
  EXPECT_TRUE(check(*parse_event_filter("STOP"), own_schema()));
  EXPECT_FALSE(check(*parse_event_filter("STOPP"), own_schema()));
}

}  // namespace
}  // namespace godwit::cli::qmp

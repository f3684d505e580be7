#include "vm/guest_clock.h"

#include <gtest/gtest.h>

namespace godwit::vm {
namespace {

using std::chrono::seconds;

TEST(GuestClock, RunsWithTheMachineOnly) {
  VirtualClock host;
  GuestClock clock(host);
  host.advance(seconds(5));
  EXPECT_EQ(clock.now(), seconds(0));
  clock.start();
  clock.start();
  host.advance(seconds(3));
  EXPECT_EQ(clock.now(), seconds(3));
  clock.stop();
  clock.stop();
  host.advance(seconds(10));
  EXPECT_EQ(clock.now(), seconds(3));
  clock.start();
  host.advance(seconds(1));
  EXPECT_EQ(clock.now(), seconds(4));
}

TEST(GuestClock, GoesOnFromWhereItWasSaved) {
  VirtualClock host;
  GuestClock from(host);
  from.start();
  host.advance(seconds(7));
  from.stop();
  Output out;
  std::string description;
  ASSERT_TRUE(from.section([] { return Result<std::int64_t>(1234); }, {})->save(out, description));
  EXPECT_EQ(out.size(), 24u);
  EXPECT_EQ(
      description,
      R"("vmsd_name": "timer", "version": 2, "fields": [{"name": "cpu_ticks_offset", "type": "int64", "size": 8}, )"
      R"({"name": "unused", "type": "unused_buffer", "size": 8}, )"
      R"({"name": "cpu_clock_offset", "type": "int64", "size": 8}])");

  host.advance(seconds(100));
  GuestClock to(host);
  std::int64_t ticks = 0;
  SpanInput in(out.data());
  ASSERT_TRUE(to.section({}, [&](std::int64_t loaded) { ticks = loaded; })->load(in, 2));
  EXPECT_EQ(ticks, 1234);
  EXPECT_EQ(to.now(), seconds(7));
  to.start();
  host.advance(seconds(1));
  EXPECT_EQ(to.now(), seconds(8));
}

}  // namespace
}  // namespace godwit::vm

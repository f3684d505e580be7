#include "cli/qmp/address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace godwit::cli::qmp {
namespace {

using ::testing::HasSubstr;

TEST(Address, PathUnixAndTcp) {
  EXPECT_EQ(parse_address("/tmp/a"), Address(UnixAddress{"/tmp/a"}));
  EXPECT_EQ(parse_address("a,b"), Address(UnixAddress{"a,b"}));
  EXPECT_EQ(parse_address("unix:/tmp/a"), Address(UnixAddress{"/tmp/a"}));
  EXPECT_EQ(parse_address("tcp:host:4444"), Address(TcpAddress{"host", "4444"}));
  EXPECT_EQ(parse_address("tcp::4444"), Address(TcpAddress{"localhost", "4444"}));
  EXPECT_EQ(parse_address("tcp:[::1]:4444"), Address(TcpAddress{"::1", "4444"}));
  for (const auto* text : {"unix:/tmp/a", "tcp:host:4444", "tcp:[::1]:4444"})
    EXPECT_EQ(to_string(*parse_address(text)), text);
}

TEST(Address, WhatIsNoneIsRefusedWithWhatToWrite) {
  for (const auto* text : {"", "unix:", "tcp:", "tcp:host", "tcp:host:", "tcp:host:x", "tcp:host:65536",
                           "tcp:[::1", "tcp:[::1]", "tcp:host:123456789", "unix:/a,server=on"}) {
    const auto parsed = parse_address(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_THAT(parsed.error().explain(), HasSubstr("Next: write PATH")) << text;
  }
}

}  // namespace
}  // namespace godwit::cli::qmp

#include <gtest/gtest.h>

#include "vm/process/hmp.h"

namespace godwit::vm {
namespace {

std::string refusal(const std::string& name, const std::string& text) {
  const auto change = human_parameter(name, text);
  return change ? "" : change.error().what();
}

TEST(HumanParameters, Values) {
  EXPECT_EQ(human_parameter("max-bandwidth", "10")->max_bandwidth, 10U << 20);
  EXPECT_EQ(human_parameter("max-bandwidth", "1.5")->max_bandwidth, 3U << 19);
  EXPECT_EQ(human_parameter("max-bandwidth", "1k")->max_bandwidth, 1024U);
  EXPECT_EQ(human_parameter("max-postcopy-bandwidth", "1k")->max_postcopy_bandwidth, 1024U);
  EXPECT_EQ(human_parameter("downtime-limit", "0x10")->downtime_limit, 16U);
  EXPECT_EQ(human_parameter("compress-level", "0x5")->compress_level, 5);
  EXPECT_EQ(human_parameter("compress-wait-thread", "off")->compress_wait_thread, false);
  EXPECT_EQ(human_parameter("tls-creds", "x y")->tls_creds->value, "x y");
  EXPECT_EQ(human_parameter("multifd-compression", "zstd")->multifd_compression,
            schema::MultiFDCompression::zstd);
  EXPECT_EQ(human_parameter("zero-page-detection", "none")->zero_page_detection,
            schema::ZeroPageDetection::none);
  EXPECT_EQ(human_parameter("direct-io", "on")->direct_io, true);
  EXPECT_EQ(human_parameter("x-checkpoint-delay", "4294967295")->x_checkpoint_delay, 4294967295U);
}

TEST(HumanParameters, Texts) {
  EXPECT_EQ(refusal("foo", "1"), "invalid parameter value: foo");
  EXPECT_EQ(refusal("downtime-limit", "abc"),
            "Parameter 'downtime-limit' expects a non-negative number below 2^64\n"
            "Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-\n"
            "and exabytes, respectively.");
  EXPECT_EQ(refusal("downtime-limit", "99999999999999999999"),
            "Value '99999999999999999999' is out of range for parameter 'downtime-limit'");
  EXPECT_EQ(refusal("max-bandwidth", "-1"), "Invalid size -1");
  for (const auto* text : {"abc", "1k", "1.5", "99999999999999999999"})
    EXPECT_EQ(refusal("compress-level", text), "Parameter 'compress-level' expects uint64");
  for (const auto* text : {"-1", "300"})
    EXPECT_EQ(refusal("compress-level", text), "Parameter 'compress-level' expects uint8_t");
  EXPECT_EQ(refusal("x-checkpoint-delay", "-1"), "Parameter 'x-checkpoint-delay' expects uint32_t");
  EXPECT_EQ(refusal("compress-wait-thread", "maybe"),
            "Parameter 'compress-wait-thread' expects 'on' or 'off'");
  EXPECT_EQ(refusal("multifd-compression", "foo"),
            "Parameter 'multifd-compression' does not accept value 'foo'");
  EXPECT_EQ(refusal("block-bitmap-mapping", "x"),
            "The block-bitmap-mapping parameter can only be set through QMP");
}

}  // namespace
}  // namespace godwit::vm

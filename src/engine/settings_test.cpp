#include "engine/settings.h"

#include <gtest/gtest.h>

namespace godwit::engine {
namespace {

using enum Capability;

std::string refusal(std::vector<schema::MigrationCapabilityStatus> changes, const Capabilities& before = {}) {
  auto result = before.with(changes);
  return result ? "" : result.error().what();
}

TEST(Capabilities, AreListedInTheOrderOfTheSchemaAndAllOff) {
  const auto list = Capabilities().list();
  ASSERT_EQ(list.size(), 24u);
  EXPECT_EQ(list.front().capability, xbzrle);
  EXPECT_EQ(list[16].capability, x_ignore_shared);
  EXPECT_EQ(list[20].capability, postcopy_preempt);
  EXPECT_EQ(list.back().capability, x_auto_lanes);
  for (const auto& entry : list) EXPECT_FALSE(entry.state) << schema::to_string(entry.capability);
}

TEST(Capabilities, TheLastOfARepeatedNameWins) {
  auto result = Capabilities().with({{events, false}, {events, true}});
  ASSERT_TRUE(result.has_value());
  EXPECT_TRUE(result->has(events));
}

TEST(Capabilities, ExclusionsHaveTheTextsClientsKnow) {
  EXPECT_EQ(refusal({{postcopy_ram, true}, {x_ignore_shared, true}}),
            "Postcopy is not compatible with ignore-shared");
  EXPECT_EQ(refusal({{background_snapshot, true}, {return_path, true}, {multifd, true}}),
            "Background-snapshot is not compatible with return-path");
  EXPECT_EQ(refusal({{zero_copy_send, true}}),
            "Zero copy only available for non-compressed non-TLS multifd migration");
  EXPECT_EQ(refusal({{postcopy_preempt, true}}), "Postcopy preempt requires postcopy-ram");
  EXPECT_EQ(refusal({{postcopy_preempt, true}, {postcopy_ram, true}, {compress, true}}),
            "Postcopy preempt not compatible with compress");
  EXPECT_EQ(refusal({{multifd, true}, {compress, true}}), "Multifd is not compatible with compress");
}

TEST(Capabilities, WhatIsNotBuiltRefusesToBeEnabledAndSaysSo) {
  for (const auto& entry : Capabilities().list()) {
    const std::string text = refusal({{multifd, entry.capability == zero_copy_send},
                                      {postcopy_ram, entry.capability == postcopy_preempt},
                                      {entry.capability, true}});
    EXPECT_EQ(text.empty(), is_built(entry.capability))
        << schema::to_string(entry.capability) << ": " << text;
  }
  EXPECT_EQ(refusal({{block, true}}), "Capability 'block' is not built yet (docs/status.md lists what is)");
}

TEST(Parameters, DefaultsAreThoseOfTheControlInterface) {
  const auto p = Parameters().to_schema();
  EXPECT_EQ(p.announce_initial, 50u);
  EXPECT_EQ(p.announce_max, 550u);
  EXPECT_EQ(p.announce_rounds, 5u);
  EXPECT_EQ(p.announce_step, 100u);
  EXPECT_EQ(p.compress_level, 1);
  EXPECT_EQ(p.compress_threads, 8);
  EXPECT_EQ(p.decompress_threads, 2);
  EXPECT_EQ(p.max_bandwidth, 134217728u);
  EXPECT_EQ(p.downtime_limit, 300u);
  EXPECT_EQ(p.x_checkpoint_delay, 20000u);
  EXPECT_EQ(p.multifd_channels, 2);
  EXPECT_EQ(p.xbzrle_cache_size, 67108864u);
  EXPECT_EQ(p.max_cpu_throttle, 99);
  EXPECT_EQ(p.tls_creds, "");
}

struct OutOfRange {
  std::function<void(schema::MigrateSetParameters&)> change;
  std::string text;
};

TEST(Parameters, RangesAreCheckedWithTheirTexts) {
  const OutOfRange cases[] = {
      {[](auto& c) { c.compress_level = 10; }, "Parameter 'compress_level' expects a value between 0 and 9"},
      {[](auto& c) { c.compress_threads = 0; },
       "Parameter 'compress_threads' expects a value between 1 and 255"},
      {[](auto& c) { c.cpu_throttle_initial = 100; },
       "Parameter 'cpu_throttle_initial' expects an integer in the range of 1 to 99"},
      {[](auto& c) { c.downtime_limit = 2'000'001; },
       "Parameter 'downtime_limit' expects an integer in the range of 0 to (2000 * 1000) ms"},
      {[](auto& c) { c.announce_step = 0; }, "Parameter 'announce_step' expects a value between 0 and 10000"},
      {[](auto& c) { c.xbzrle_cache_size = 4095; },
       "Parameter 'xbzrle_cache_size' expects a power of two no less than the target page size"},
      {[](auto& c) { c.xbzrle_cache_size = 3 * 4096; },
       "Parameter 'xbzrle_cache_size' expects a power of two no less than the target page size"},
      {[](auto& c) { c.max_cpu_throttle = 19; },
       "Parameter 'max_cpu_throttle' expects an integer in the range of cpu_throttle_initial to 99"},
      {[](auto& c) { c.multifd_zlib_level = 10; },
       "Parameter 'multifd_zlib_level' expects a value between 0 and 9"},
  };
  for (const OutOfRange& bad : cases) {
    schema::MigrateSetParameters changes;
    bad.change(changes);
    const auto result = Parameters().with(changes);
    ASSERT_FALSE(result.has_value()) << bad.text;
    EXPECT_EQ(result.error().what(), bad.text);
  }
}

TEST(Parameters, OneBadMemberChangesNothing) {
  Settings settings;
  schema::MigrateSetParameters changes;
  changes.max_bandwidth = 5;
  changes.compress_level = 10;
  EXPECT_FALSE(settings.change(changes).has_value());
  EXPECT_EQ(settings.max_bandwidth(), 134217728u);
  changes.compress_level.reset();
  EXPECT_TRUE(settings.change(changes).has_value());
  EXPECT_EQ(settings.max_bandwidth(), 5u);
}

TEST(Parameters, NullClearsAString) {
  schema::MigrateSetParameters changes;
  changes.tls_creds = schema::StrOrNull{"tls0"};
  auto p = Parameters().with(changes);
  ASSERT_TRUE(p.has_value());
  EXPECT_EQ(p->tls_creds, "tls0");
  changes.tls_creds = schema::StrOrNull{};
  p = p->with(changes);
  ASSERT_TRUE(p.has_value());
  EXPECT_EQ(p->tls_creds, "");
}

}  // namespace
}  // namespace godwit::engine

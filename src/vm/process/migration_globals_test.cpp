#include "vm/process/migration_globals.h"

#include <gtest/gtest.h>

namespace godwit::vm {
namespace {

MigrationPresets good(std::vector<MigrationGlobal> globals) {
  auto presets = resolve_globals(globals);
  if (presets) return *std::move(presets);
  ADD_FAILURE() << presets.error().what();
  return {};
}

std::string error_of(std::string property, std::string value) {
  const std::vector<MigrationGlobal> globals{{std::move(property), std::move(value)}};
  auto presets = resolve_globals(globals);
  return presets ? "no error" : presets.error().what();
}

TEST(MigrationGlobals, SetTheSwitchesOfTheStream) {
  const auto options =
      good({{"send-configuration", "off"}, {"send-section-footer", "off"}, {"store-global-state", "no"}})
          .options;
  EXPECT_FALSE(options.send_configuration);
  EXPECT_FALSE(options.send_section_footer);
  EXPECT_FALSE(options.store_global_state);
  EXPECT_TRUE(good({}).options.send_configuration);
}

TEST(MigrationGlobals, SetCapabilities) {
  const auto presets = good({{"x-events", "on"}, {"return-path", "on"}, {"x-ignore-shared", "off"}});
  ASSERT_EQ(presets.capabilities.size(), 3u);
  EXPECT_EQ(presets.capabilities[0].capability, schema::MigrationCapability::events);
  EXPECT_TRUE(presets.capabilities[0].state);
  EXPECT_EQ(presets.capabilities[1].capability, schema::MigrationCapability::return_path);
  EXPECT_EQ(presets.capabilities[2].capability, schema::MigrationCapability::x_ignore_shared);
  EXPECT_FALSE(presets.capabilities[2].state);
}

TEST(MigrationGlobals, SetParametersOfEveryType) {
  const auto parameters = good({{"x-max-bandwidth", "1G"},
                                {"x-downtime-limit", "500"},
                                {"x-checkpoint-delay", "7"},
                                {"cpu-throttle-tailslow", "on"},
                                {"multifd-compression", "zlib"},
                                {"tls-hostname", "host"}})
                              .parameters;
  EXPECT_EQ(parameters.max_bandwidth, std::uint64_t{1} << 30);
  EXPECT_EQ(parameters.downtime_limit, 500u);
  EXPECT_EQ(parameters.x_checkpoint_delay, 7u);
  EXPECT_EQ(parameters.cpu_throttle_tailslow, true);
  EXPECT_EQ(parameters.multifd_compression, schema::MultiFDCompression::zlib);
  EXPECT_EQ(parameters.tls_hostname->value, "host");
}

TEST(MigrationGlobals, NameWhatTheyDoNotKnow) {
  EXPECT_EQ(error_of("nope", "1"),
            "can't apply global migration.nope=1: Property 'migration.nope' not found");
  EXPECT_EQ(error_of("x-nope", "1"),
            "can't apply global migration.x-nope=1: Property 'migration.x-nope' not found");
  EXPECT_EQ(error_of("x-events", "7"),
            "can't apply global migration.x-events=7: Parameter 'events' expects 'on' or 'off'");
  EXPECT_NE(error_of("x-max-bandwidth", "fast"), "no error");
  EXPECT_NE(error_of("multifd-compression", "rar"), "no error");
}

}  // namespace
}  // namespace godwit::vm

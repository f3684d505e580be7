// Two engines, two guests without a VMM, a real socket between them.
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <godwit/migration.h>

#include "base/system.h"
#include "base/testing/temporary_directory.h"
#include "engine/testing/host.h"

namespace godwit::engine {
namespace {

using testing::BlockSize;
using testing::FakeGuest;
using testing::Host;
using testing::Recorder;
using Capability = schema::MigrationCapability;
using Status = schema::MigrationStatus;
using enum schema::MigrationStatus;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class MigrationTest : public ::testing::Test {
 protected:
  MigrationTest() { uri_ = directory_.uri("m"); }

  static void fill(FakeGuest& guest, std::uint64_t stride = 3) {
    for (std::size_t b = 0; b < guest.ram_blocks().size(); ++b)
      for (std::uint64_t page = 0; page < guest.ram_blocks()[b].pages(); page += stride)
        guest.write(b, page, static_cast<std::uint8_t>(page + b + 1));
  }
  void listen(Host& destination) {
    const auto result = destination.migration.incoming(uri_, destination.descriptors);
    ASSERT_TRUE(result.has_value()) << result.error().what();
  }

  test::TemporaryDirectory directory_;
  std::string uri_;
};

const std::vector<BlockSize> kTwoBlocks = {{"low", 100}, {"high", 300}};

TEST_F(MigrationTest, ARunningGuestMoves) {
  Host source(kTwoBlocks);
  Host destination(kTwoBlocks, RunState::inmigrate);
  fill(source.guest);
  source.guest.device = {.register_value = 77, .mode = 5};
  listen(destination);
  ASSERT_TRUE(source.migrate(uri_).has_value());
  source.recorder.wait_for("completed");
  destination.recorder.wait_for("completed");

  EXPECT_TRUE(source.guest.same_memory(destination.guest));
  EXPECT_EQ(destination.guest.device.register_value, 77u);
  EXPECT_EQ(destination.guest.device.mode, 5);
  EXPECT_THAT(source.guest.history(), ElementsAre(RunState::finish_migrate, RunState::postmigrate));
  EXPECT_THAT(destination.guest.history(), ElementsAre(RunState::running));
  EXPECT_THAT(source.recorder.statuses(), ElementsAre("setup", "active", "completed"));
  EXPECT_THAT(destination.recorder.statuses(), ElementsAre("setup", "active", "completed"));
  EXPECT_EQ(source.recorder.events()[1], "P1");
  EXPECT_FALSE(source.guest.tracker.running());

  const auto info = source.migration.info();
  EXPECT_EQ(info.ram->total, 400 * 4096);
  EXPECT_EQ(info.ram->remaining, 0);
  EXPECT_GE(info.ram->normal, 134);
  EXPECT_EQ(info.ram->normal + info.ram->duplicate, 400);
  EXPECT_TRUE(info.downtime.has_value());
  EXPECT_FALSE(info.expected_downtime.has_value());
}

TEST_F(MigrationTest, WhatIsWrittenMeanwhileArrives) {
  Host source;
  Host destination({{"ram", 64}}, RunState::inmigrate);
  fill(source.guest);
  int rounds = 0;
  source.guest.tracker.on_collect = [&] {
    if (++rounds > 5) return;
    // A page that was sent already and one that was not.
    for (std::uint64_t page : {std::uint64_t{0}, std::uint64_t{63}}) {
      std::memset(source.guest.ram_blocks()[0].host + page * page_size, 0x40 + rounds, page_size);
      source.guest.tracker.mark_locked(0, page);
    }
  };
  listen(destination);
  ASSERT_TRUE(source.migrate(uri_).has_value());
  destination.recorder.wait_for("completed");
  EXPECT_TRUE(source.guest.same_memory(destination.guest));
  source.migration.wait_until_idle();
  EXPECT_GE(source.migration.info().ram->dirty_sync_count, 3);
}

TEST_F(MigrationTest, WithAReturnPathTheSourceHearsTheVerdict) {
  Host source;
  Host destination({{"ram", 64}}, RunState::inmigrate);
  source.set(Capability::return_path);
  fill(source.guest);
  listen(destination);
  ASSERT_TRUE(source.migrate(uri_).has_value());
  source.recorder.wait_for("completed");
  destination.recorder.wait_for("completed");
  EXPECT_TRUE(source.guest.same_memory(destination.guest));
}

TEST_F(MigrationTest, PausedGuestsStayPaused) {
  Host source({{"ram", 8}}, RunState::paused);
  Host destination({{"ram", 8}}, RunState::inmigrate);
  listen(destination);
  ASSERT_TRUE(source.migrate(uri_).has_value());
  destination.recorder.wait_for("completed");
  EXPECT_THAT(destination.guest.history(), ElementsAre(RunState::paused));
}

TEST_F(MigrationTest, ADestinationHeldBackWaitsForCont) {
  Host source;
  Host destination({{"ram", 64}}, RunState::inmigrate);
  destination.guest.starts_by_itself = false;
  listen(destination);
  ASSERT_TRUE(source.migrate(uri_).has_value());
  destination.recorder.wait_for("completed");
  EXPECT_THAT(destination.guest.history(), ElementsAre(RunState::paused));
}

TEST_F(MigrationTest, PauseBeforeSwitchoverWaitsAndGoesOn) {
  Host source;
  Host destination({{"ram", 64}}, RunState::inmigrate);
  source.set(Capability::pause_before_switchover);
  listen(destination);
  ASSERT_TRUE(source.migrate(uri_).has_value());
  source.recorder.wait_for("pre-switchover");
  EXPECT_EQ(source.guest.run_state(), RunState::finish_migrate);
  EXPECT_EQ(source.migration.proceed(active).error().what(),
            "Migration not in expected state: pre-switchover");
  ASSERT_TRUE(source.migration.proceed(pre_switchover).has_value());
  source.recorder.wait_for("completed");
  EXPECT_THAT(source.recorder.statuses(),
              ElementsAre("setup", "active", "pre-switchover", "device", "completed"));
}

TEST_F(MigrationTest, CancelBeforeSwitchoverGivesTheGuestBackAndASecondAttemptWorks) {
  Host source;
  fill(source.guest);
  source.set(Capability::pause_before_switchover);
  {
    Host destination({{"ram", 64}}, RunState::inmigrate);
    listen(destination);
    ASSERT_TRUE(source.migrate(uri_).has_value());
    source.recorder.wait_for("pre-switchover");
    source.migration.cancel();
    source.recorder.wait_for("cancelled");
    destination.recorder.wait_for("exit 1");
  }
  EXPECT_THAT(source.recorder.statuses(),
              ElementsAre("setup", "active", "pre-switchover", "cancelling", "cancelled"));
  EXPECT_EQ(source.guest.run_state(), RunState::running);
  EXPECT_FALSE(source.guest.tracker.running());

  source.set(Capability::pause_before_switchover, false);
  Host destination({{"ram", 64}}, RunState::inmigrate);
  listen(destination);
  ASSERT_TRUE(source.migrate(uri_).has_value());
  destination.recorder.wait_for("completed");
  EXPECT_TRUE(source.guest.same_memory(destination.guest));
}

TEST_F(MigrationTest, ARefusedConnectionFailsLaterAndTheGuestRunsOn) {
  Host source;
  ASSERT_TRUE(source.migrate(uri_).has_value());
  source.recorder.wait_for("failed");
  EXPECT_THAT(source.recorder.events(), ElementsAre("setup", "failed"));
  const auto info = source.migration.info();
  EXPECT_EQ(*info.error_desc,
            "Failed to connect to '" + directory_.file("m") + "': No such file or directory");
  EXPECT_TRUE(source.guest.history().empty());
}

TEST_F(MigrationTest, BadAddressesAreErrorsOfTheCommand) {
  Host source;
  EXPECT_EQ(source.migrate("bogus:1").error().what(), "Parameter 'uri' expects a valid migration protocol");
  EXPECT_THAT(source.recorder.events(), ElementsAre("setup", "failed"));
  EXPECT_EQ(source.migrate("tcp:").error().what(), "error parsing address ''");
  EXPECT_EQ(*source.migration.info().error_desc, "error parsing address ''");
}

TEST_F(MigrationTest, PreconditionsLeaveNoTrace) {
  Host source({{"ram", 8}}, RunState::postmigrate);
  EXPECT_EQ(source.migrate(uri_).error().what(),
            "Can't migrate the vm that was paused due to previous migration");
  Host waiting({{"ram", 8}}, RunState::inmigrate);
  EXPECT_EQ(waiting.migrate(uri_).error().what(), "Guest is waiting for an incoming migration");
  Host blocked;
  blocked.guest.reasons = {"State blocked by non-migratable device 'x'"};
  EXPECT_EQ(blocked.migrate(uri_).error().what(), "State blocked by non-migratable device 'x'");
  EXPECT_TRUE(blocked.recorder.events().empty());
  EXPECT_EQ(blocked.migration.info().blocked_reasons->size(), 1u);
  EXPECT_FALSE(blocked.migration.info().status.has_value());
}

TEST_F(MigrationTest, ADestinationWithOtherMemoryRefusesAndTheSourceRunsOn) {
  for (const bool return_path : {false, true}) {
    Host source({{"ram", 4096}});
    fill(source.guest);
    source.set(Capability::return_path, return_path);
    Host destination({{"ram", 32}}, RunState::inmigrate);
    listen(destination);
    ASSERT_TRUE(source.migrate(uri_).has_value());
    destination.recorder.wait_for("exit 1");
    source.recorder.wait_for("failed");
    EXPECT_THAT(destination.recorder.failure(),
                HasSubstr("Size mismatch: ram: 0x1000000 received, 0x20000 here"));
    EXPECT_EQ(source.guest.run_state(), RunState::running);
    EXPECT_FALSE(source.guest.tracker.running());
  }
}

TEST_F(MigrationTest, WithAReturnPathALateRefusalGivesTheGuestBack) {
  Host source({{"ram", 8}});
  source.set(Capability::return_path);
  source.guest.device.mode =
      9;  // out of the range that the destination accepts; noticed when everything was sent
  Host destination({{"ram", 8}}, RunState::inmigrate);
  listen(destination);
  ASSERT_TRUE(source.migrate(uri_).has_value());
  source.recorder.wait_for("failed");
  destination.recorder.wait_for("exit 1");
  EXPECT_THAT(destination.recorder.failure(), HasSubstr("mode"));
  EXPECT_TRUE(destination.guest.history().empty());
}

TEST_F(MigrationTest, ADifferentMachineUuidOrCapabilityIsRefused) {
  struct Case {
    std::function<void(Host&, Host&)> differ;
    std::string text;
  };
  const Case cases[] = {
      {[](Host& s, Host&) { s.guest.machine = "other"; }, "other"},
      {[](Host& s, Host& d) {
         s.set(Capability::validate_uuid);
         s.guest.own_uuid = Uuid{1};
         d.guest.own_uuid = Uuid{2};
       },
       "UUID 0100"},
      {[](Host& s, Host&) { s.set(Capability::x_ignore_shared); }, "x-ignore-shared"},
  };
  for (const Case& c : cases) {
    Host source({{"ram", 4096}});
    fill(source.guest, 1);  // more than a socket holds
    Host destination({{"ram", 4096}}, RunState::inmigrate);
    c.differ(source, destination);
    listen(destination);
    ASSERT_TRUE(source.migrate(uri_).has_value());
    destination.recorder.wait_for("exit 1");
    EXPECT_THAT(destination.recorder.failure(), HasSubstr(c.text));
    source.recorder.wait_for("failed");
    EXPECT_EQ(source.guest.run_state(), RunState::running);
  }
}

TEST_F(MigrationTest, IgnoredSharedBlocksAreNotSent) {
  const std::vector<BlockSize> sizes = {{"private", 16}, {"common", 16, true}};
  Host source(sizes);
  Host destination(sizes, RunState::inmigrate);
  fill(source.guest);
  source.set(Capability::x_ignore_shared);
  destination.set(Capability::x_ignore_shared);
  listen(destination);
  ASSERT_TRUE(source.migrate(uri_).has_value());
  source.recorder.wait_for("completed");
  destination.recorder.wait_for("completed");
  EXPECT_EQ(source.migration.info().ram->total, 16 * 4096);
  EXPECT_EQ(static_cast<int>(destination.guest.ram_blocks()[0].host[0]), 1);
  EXPECT_EQ(static_cast<int>(destination.guest.ram_blocks()[1].host[0]), 0);
}

TEST_F(MigrationTest, TheBandwidthLimitIsKept) {
  Host source({{"ram", 512}});
  for (std::uint64_t page = 0; page < 512; ++page) source.guest.write(0, page, 1);
  schema::MigrateSetParameters slow;
  slow.max_bandwidth = 4 << 20;  // 2 MiB take half a second
  slow.downtime_limit = 0;
  ASSERT_TRUE(source.migration.set_parameters(slow).has_value());
  Host destination({{"ram", 512}}, RunState::inmigrate);
  listen(destination);
  ASSERT_TRUE(source.migrate(uri_).has_value());
  source.recorder.wait_for("completed");
  EXPECT_GE(*source.migration.info().total_time, 350);
}

TEST_F(MigrationTest, AGuestGoesThroughAFileAndBack) {
  Host source(kTwoBlocks);
  fill(source.guest);
  const std::string file = "file:" + directory_.file("state") + ",offset=0x1000";
  ASSERT_TRUE(source.migrate(file).has_value());
  source.recorder.wait_for("completed");
  Host destination(kTwoBlocks, RunState::inmigrate);
  ASSERT_TRUE(destination.migration.incoming(file, destination.descriptors).has_value());
  destination.recorder.wait_for("completed");
  EXPECT_TRUE(source.guest.same_memory(destination.guest));
}

TEST_F(MigrationTest, IncomingCanBeTriedAgainUntilItSucceedsOnce) {
  Host running;
  EXPECT_EQ(running.migration.incoming(uri_, running.descriptors).error().what(),
            "'-incoming' was not specified on the command line");
  Host destination({{"ram", 8}}, RunState::inmigrate);
  EXPECT_EQ(destination.migration.incoming("bogus", destination.descriptors).error().what(),
            "unknown migration protocol: bogus");
  EXPECT_FALSE(destination.migration.incoming("unix:" + directory_.path() + "/no/m", destination.descriptors)
                   .has_value());
  listen(destination);
  EXPECT_EQ(destination.migration.incoming(uri_, destination.descriptors).error().what(),
            "The incoming migration has already been started");
  const auto info = destination.migration.info();
  EXPECT_FALSE(info.status.has_value());
  ASSERT_EQ(info.socket_address->size(), 1u);
  EXPECT_THAT(destination.recorder.events(), ElementsAre("setup", "setup", "setup"));
}

TEST_F(MigrationTest, ASourceThatVanishesEndsTheDestination) {
  Host destination({{"ram", 8}}, RunState::inmigrate);
  listen(destination);
  {
    const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, uri_.substr(5).c_str(), sizeof address.sun_path - 1);
    ASSERT_EQ(::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::write(socket.get(), "QEVM\0\0\0\3", 8), 8);
  }
  destination.recorder.wait_for("exit 1");
  EXPECT_THAT(destination.recorder.statuses(), ElementsAre("setup", "active", "failed", "exit 1"));
  EXPECT_THAT(destination.recorder.failure(), HasSubstr("destination, loading the guest"));
}

TEST_F(MigrationTest, DeviceStateCanBeSavedAndLoadedAlone) {
  Host source;
  source.guest.device.register_value = 4711;
  const std::string path = directory_.file("devices");
  ASSERT_TRUE(source.migration.save_device_state(path, true).has_value());
  EXPECT_THAT(source.guest.history(), ElementsAre(RunState::save_vm, RunState::running));
  Host other({{"ram", 8}}, RunState::paused);
  ASSERT_TRUE(other.migration.load_device_state(path).has_value());
  EXPECT_EQ(other.guest.device.register_value, 4711u);
  EXPECT_EQ(source.migration.load_device_state(path).error().what(),
            "Cannot update device state while vm is running");
  EXPECT_EQ(source.migration.save_device_state("/nonexistent/x", true).error().what(),
            "Unable to open /nonexistent/x: No such file or directory");
}

TEST_F(MigrationTest, BlockersAreRefusedWhileMigrating) {
  Host source;
  source.set(Capability::pause_before_switchover);
  Host destination({{"ram", 64}}, RunState::inmigrate);
  listen(destination);
  ASSERT_TRUE(source.migrate(uri_).has_value());
  source.recorder.wait_for("pre-switchover");
  EXPECT_EQ(source.migration.add_blocker("a disk").error().what(),
            "disallowing migration blocker (migration/snapshot in progress) for: a disk");
  source.migration.cancel();
  source.migration.wait_until_idle();
  ASSERT_TRUE(source.migration.add_blocker("a disk").has_value());
  EXPECT_EQ(source.migrate(uri_).error().what(), "a disk");
  source.migration.remove_blocker("a disk");
  EXPECT_FALSE(source.migration.info().blocked_reasons.has_value());
}

}  // namespace
}  // namespace godwit::engine

// Postcopy between two engines: the guest goes first, its pages follow.
#include <algorithm>
#include <atomic>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/system.h"
#include "base/thread.h"
#include "engine/testing/cut_proxy.h"
#include "engine/testing/postcopy_fixture.h"

namespace godwit::engine {
namespace {

using testing::BlockSize;
using testing::CutProxy;
using testing::FakeGuest;
using testing::Host;
using Capability = schema::MigrationCapability;
using enum schema::MigrationStatus;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::uint64_t mib = 1 << 20;

class PostcopyTest : public testing::PostcopyFixture {
 protected:
  static void fill(FakeGuest& guest, std::uint64_t stride = 1) {
    for (std::size_t b = 0; b < guest.ram_blocks().size(); ++b)
      for (std::uint64_t page = 0; page < guest.ram_blocks()[b].pages(); page += stride)
        guest.write(b, page, static_cast<std::uint8_t>(page * 7 + b + 1));
  }
  static void prepare(Host& source, Host& destination) {
    source.set(Capability::postcopy_ram);
    destination.set(Capability::postcopy_ram);
    // Slow enough to be in the middle of the first pass for a while.
    schema::MigrateSetParameters slow;
    slow.max_bandwidth = mib;
    slow.downtime_limit = 1;
    set(source, slow);
  }
  void listen(Host& destination, const std::string& name) {
    const auto result = destination.migration.incoming(directory_.uri(name), destination.descriptors);
    ASSERT_TRUE(result.has_value()) << result.error().what();
  }
  /// Until the guest runs at the destination; most of its pages are still at the source.
  void go(Host& source, Host& destination, const std::string& name) {
    ASSERT_TRUE(source.migrate(directory_.uri(name)).has_value());
    source.recorder.wait_for("active");
    ASSERT_TRUE(source.migration.start_postcopy().has_value());
    destination.recorder.wait_for("postcopy-active");
    EXPECT_TRUE(destination.guest.wait_for(destination.guest.starts_by_itself ? RunState::running
                                                                              : RunState::paused));
  }

  /// Each side in turn cuts the connection.
  void cut(Host& source, Host& destination, int round) {
    ASSERT_TRUE((round % 2 ? source : destination).migration.pause().has_value());
    source.recorder.wait_for("postcopy-paused", round);
    destination.recorder.wait_for("postcopy-paused", round);
  }
  void resume(Host& source, Host& destination, int round, const std::string& name) {
    ASSERT_TRUE(source.migrate(directory_.uri(name), true).has_value());
    source.recorder.wait_for("postcopy-active", round + 1);
    destination.recorder.wait_for("postcopy-active", round + 1);
  }
  static void limit_postcopy(Host& source, std::uint64_t bytes_per_s) {
    schema::MigrateSetParameters limit;
    limit.max_postcopy_bandwidth = bytes_per_s;
    set(source, limit);
  }
  /// Everything that is left, as fast as it goes.
  static void finish(Host& source, Host& destination) {
    limit_postcopy(source, 0);
    source.recorder.wait_for("completed");
    destination.recorder.wait_for("completed");
    EXPECT_TRUE(source.guest.same_memory(destination.guest));
  }
};

const std::vector<BlockSize> kTwoBlocks = {{"low", 512}, {"high", 2048}};

TEST_F(PostcopyTest, TheGuestGoesFirstAndItsPagesFollow) {
  Host source(kTwoBlocks);
  Host destination(kTwoBlocks, RunState::inmigrate);
  prepare(source, destination);
  fill(source.guest, 3);
  source.guest.device = {.register_value = 77, .mode = 5};
  listen(destination, "m");
  go(source, destination, "m");
  EXPECT_TRUE(source.guest.same_memory(destination.guest));  // faults for what is not there yet
  source.recorder.wait_for("completed");
  destination.recorder.wait_for("completed");
  EXPECT_TRUE(source.guest.same_memory(destination.guest));
  EXPECT_EQ(destination.guest.device.register_value, 77u);
  EXPECT_THAT(source.guest.history(), ElementsAre(RunState::finish_migrate, RunState::postmigrate));
  EXPECT_THAT(destination.guest.history(), ElementsAre(RunState::running));
  EXPECT_THAT(source.recorder.events(),
              ElementsAre("setup", "P1", "active", "postcopy-active", "P2", "completed"));
  EXPECT_THAT(destination.recorder.statuses(),
              ElementsAre("setup", "active", "postcopy-active", "completed"));
  EXPECT_FALSE(source.guest.tracker.running());

  const auto info = source.migration.info();
  EXPECT_EQ(info.ram->remaining, 0);
  EXPECT_EQ(info.ram->normal + info.ram->duplicate, 2560);
  EXPECT_GT(info.ram->postcopy_bytes, 0u);
  EXPECT_EQ(info.ram->downtime_bytes, 0u);
  EXPECT_EQ(static_cast<std::uint64_t>(info.ram->transferred),
            info.ram->precopy_bytes + info.ram->postcopy_bytes);
  EXPECT_TRUE(info.downtime.has_value());
}

/// Pages at which the kernel has anything, were it only the zero page that all share.
std::uint64_t mapped_pages(const RamBlock& block) {
  const UniqueFd pagemap(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
  std::vector<std::uint64_t> entries(block.pages());
  const std::size_t bytes = entries.size() * sizeof(std::uint64_t);
  const auto at =
      static_cast<off_t>(reinterpret_cast<std::uintptr_t>(block.host) / page_size * sizeof(std::uint64_t));
  EXPECT_EQ(::pread(pagemap.get(), entries.data(), bytes, at), static_cast<ssize_t>(bytes));
  return static_cast<std::uint64_t>(
      std::ranges::count_if(entries, [](std::uint64_t entry) { return entry >> 63 != 0; }));
}

TEST_F(PostcopyTest, ZeroPagesThatNobodyWaitsForAreNotPlaced) {
  Host source(kTwoBlocks);
  Host destination(kTwoBlocks, RunState::inmigrate);
  prepare(source, destination);
  for (std::uint64_t page = 0; page < 512; ++page) source.guest.write(0, page, 1);
  source.guest.write(1, 2047, 1);
  listen(destination, "m");
  go(source, destination, "m");
  source.recorder.wait_for("completed");
  destination.recorder.wait_for("completed");
  EXPECT_EQ(mapped_pages(destination.guest.ram_blocks()[0]), 512u);
  EXPECT_EQ(mapped_pages(destination.guest.ram_blocks()[1]), 1u);
  EXPECT_TRUE(source.guest.same_memory(destination.guest));
}

TEST_F(PostcopyTest, WhatIsAskedForComesBeforeTheRest) {
  Host source({{"ram", 4096}});
  Host destination({{"ram", 4096}}, RunState::inmigrate);
  prepare(source, destination);
  limit_postcopy(source, 100'000);  // the rest would take minutes
  fill(source.guest);
  listen(destination, "m");
  go(source, destination, "m");
  const std::byte* ram = destination.guest.ram_blocks()[0].host;
  for (std::uint64_t page = 4000; page > 3900; --page)
    EXPECT_EQ(std::to_integer<std::uint8_t>(ram[page * page_size]), static_cast<std::uint8_t>(page * 7 + 1));
  const auto info = source.migration.info();
  EXPECT_EQ(info.status, postcopy_active);
  EXPECT_GE(info.ram->postcopy_requests, 90);
  EXPECT_GT(info.ram->remaining, 0);
  limit_postcopy(source, 0);
  source.recorder.wait_for("completed");
  EXPECT_TRUE(source.guest.same_memory(destination.guest));
}

TEST_F(PostcopyTest, PagesThatWereDirtiedAgainAreDroppedAndFetched) {
  Host source({{"ram", 512}});
  Host destination({{"ram", 512}}, RunState::inmigrate);
  prepare(source, destination);
  fill(source.guest);
  source.guest.tracker.on_collect = [&, round = 0]() mutable {
    if (++round != 2) return;  // the synchronization with the guest stopped
    for (std::uint64_t page : {0, 1, 5}) {
      std::memset(source.guest.ram_blocks()[0].host + page * page_size, 0xee, page_size);
      source.guest.tracker.mark_locked(0, page);
    }
  };
  listen(destination, "m");
  go(source, destination, "m");
  source.recorder.wait_for("completed");
  EXPECT_TRUE(source.guest.same_memory(destination.guest));
  EXPECT_EQ(std::to_integer<int>(destination.guest.ram_blocks()[0].host[5 * page_size]), 0xee);
}

TEST_F(PostcopyTest, EveryKindOfMemoryIsMoved) {
  const std::vector<std::vector<BlockSize>> kinds = {
      {{"shared", 1024, true}},
      {{"huge", 2048, false, 2 * mib}},
      {{"small", 64}, {"huge", 2048, true, 2 * mib}, {"shared", 300, true}}};
  for (const auto& blocks : kinds) {
    if (!memory::GuestRam::create({.size = 16 * mib, .huge_page_size = 2 * mib}) &&
        std::ranges::any_of(blocks, [](const BlockSize& block) { return block.huge_page_size != 0; })) {
      std::cout << "NO HUGE PAGES HERE\n";
      continue;
    }
    Host source(blocks);
    Host destination(blocks, RunState::inmigrate);
    prepare(source, destination);
    fill(source.guest, 5);
    listen(destination, "m");
    go(source, destination, "m");
    EXPECT_TRUE(source.guest.same_memory(destination.guest)) << blocks[0].name;
    source.recorder.wait_for("completed");
    destination.recorder.wait_for("completed");
    EXPECT_TRUE(source.guest.same_memory(destination.guest)) << blocks[0].name;
  }
}

TEST_F(PostcopyTest, APermissionThatIsNotUsedChangesNothing) {
  Host source;
  Host destination({{"ram", 64}}, RunState::inmigrate);
  source.set(Capability::postcopy_ram);
  destination.set(Capability::postcopy_ram);
  destination.set(Capability::postcopy_blocktime);
  destination.guest.thread_ids = {1, 2};
  fill(source.guest);
  listen(destination, "m");
  ASSERT_TRUE(source.migrate(directory_.uri("m")).has_value());
  source.recorder.wait_for("completed");
  destination.recorder.wait_for("completed");
  EXPECT_TRUE(source.guest.same_memory(destination.guest));
  const auto info = destination.migration.info();
  EXPECT_EQ(info.postcopy_blocktime, 0u);
  EXPECT_THAT(*info.postcopy_vcpu_blocktime, ElementsAre(0, 0));
}

TEST_F(PostcopyTest, WaitingVcpusAreMeasured) {
  Host source({{"ram", 1024}});
  Host destination({{"ram", 1024}}, RunState::inmigrate);
  prepare(source, destination);
  destination.set(Capability::postcopy_blocktime);
  destination.guest.thread_ids = {current_thread_id()};
  fill(source.guest);
  CutProxy wire(directory_.file("wire"), directory_.file("m"));
  listen(destination, "m");
  limit_postcopy(source, 4096);
  go(source, destination, "wire");
  wire.stall();
  auto release = start_thread("release", [&](std::stop_token) {
    Event never;
    SteadyClock().wait_for(never, std::chrono::milliseconds(50));  // what is measured
    wire.stall(false);
  });
  EXPECT_EQ(std::to_integer<int>(destination.guest.ram_blocks()[0].host[1000 * page_size]),
            (1000 * 7 + 1) & 0xff);
  limit_postcopy(source, 0);
  destination.recorder.wait_for("completed");
  const auto info = destination.migration.info();
  EXPECT_GE(*info.postcopy_blocktime, 40u);
  EXPECT_THAT(*info.postcopy_vcpu_blocktime, ElementsAre(::testing::Ge(40u)));
}

TEST_F(PostcopyTest, WithPauseBeforeSwitchoverItWaitsForPermission) {
  Host source({{"ram", 1024}});
  Host destination({{"ram", 1024}}, RunState::inmigrate);
  prepare(source, destination);
  source.set(Capability::pause_before_switchover);
  fill(source.guest);
  listen(destination, "m");
  ASSERT_TRUE(source.migrate(directory_.uri("m")).has_value());
  source.recorder.wait_for("active");
  ASSERT_TRUE(source.migration.start_postcopy().has_value());
  source.recorder.wait_for("pre-switchover");
  ASSERT_TRUE(source.migration.proceed(pre_switchover).has_value());
  source.recorder.wait_for("completed");
  EXPECT_THAT(source.recorder.statuses(),
              ElementsAre("setup", "active", "pre-switchover", "postcopy-active", "completed"));
  EXPECT_TRUE(source.guest.same_memory(destination.guest));
}

TEST_F(PostcopyTest, AStoppedDestinationWaitsForCont) {
  Host source({{"ram", 512}});
  Host destination({{"ram", 512}}, RunState::inmigrate);
  destination.guest.starts_by_itself = false;
  prepare(source, destination);
  fill(source.guest);
  listen(destination, "m");
  go(source, destination, "m");
  source.recorder.wait_for("completed");
  EXPECT_THAT(destination.guest.history(), ElementsAre(RunState::paused));
}

TEST_F(PostcopyTest, ReleasedMemoryIsGone) {
  Host source({{"ram", 1024}});
  Host destination({{"ram", 1024}}, RunState::inmigrate);
  prepare(source, destination);
  source.set(Capability::release_ram);
  fill(source.guest);
  listen(destination, "m");
  go(source, destination, "m");
  source.recorder.wait_for("completed");
  destination.recorder.wait_for("completed");
  EXPECT_EQ(std::to_integer<int>(source.guest.ram_blocks()[0].host[1023 * page_size]), 0);
  for (std::uint64_t page = 0; page < 1024; ++page)
    ASSERT_EQ(std::to_integer<int>(destination.guest.ram_blocks()[0].host[page * page_size]),
              (page * 7 + 1) & 0xff);
}

TEST_F(PostcopyTest, CommandsSayWhenThereIsNothingToStart) {
  Host source;
  EXPECT_EQ(source.migration.start_postcopy().error().what(),
            "Enable postcopy with migrate_set_capability before the start of migration");
  source.set(Capability::postcopy_ram);
  EXPECT_EQ(source.migration.start_postcopy().error().what(),
            "Postcopy must be started after migration has been started");
  EXPECT_EQ(source.migration.pause().error().what(),
            "migrate-pause is currently only supported during postcopy-active state");
  EXPECT_EQ(source.migration.recover("unix:x", source.descriptors).error().what(),
            "Migrate recover can only be run when postcopy is paused.");
  EXPECT_EQ(source.migrate("unix:x", true).error().what(), "Cannot resume if there is no paused migration");
}

TEST_F(PostcopyTest, ItCannotBeCancelled) {
  Host source({{"ram", 1024}});
  Host destination({{"ram", 1024}}, RunState::inmigrate);
  prepare(source, destination);
  limit_postcopy(source, 4096);
  fill(source.guest);
  listen(destination, "m");
  go(source, destination, "m");
  EXPECT_EQ(source.migration.cancel().error().what(), "Postcopy migration in progress, cannot cancel.");
  limit_postcopy(source, 0);
  source.recorder.wait_for("completed");
}

TEST_F(PostcopyTest, APausedConnectionIsTakenUpAgain) {
  Host source({{"ram", 2048}});
  Host destination({{"ram", 2048}}, RunState::inmigrate);
  prepare(source, destination);
  limit_postcopy(source, 400'000);
  fill(source.guest);
  listen(destination, "m");
  go(source, destination, "m");
  source.recorder.wait_for("postcopy-active");
  for (int round = 1; round <= 3; ++round) {
    cut(source, destination, round);
    EXPECT_EQ(destination.guest.run_state(), RunState::running);
    EXPECT_EQ(source.guest.run_state(), RunState::finish_migrate);
    std::string name = "m";
    if (round > 1) {
      name = "again" + std::to_string(round);
      ASSERT_TRUE(destination.migration.recover(directory_.uri(name), destination.descriptors).has_value());
    }
    ASSERT_TRUE(source.migrate(directory_.uri("nobody"), true).has_value());  // fails, and changes nothing
    resume(source, destination, round, name);
  }
  finish(source, destination);
}

TEST_F(PostcopyTest, WithPreemptWhatIsAskedForHasAConnectionOfItsOwn) {
  std::vector<std::vector<BlockSize>> kinds = {kTwoBlocks};
  if (memory::GuestRam::create({.size = 16 * mib, .huge_page_size = 2 * mib}))
    kinds.push_back({{"small", 64}, {"huge", 4096, false, 2 * mib}});
  for (const auto& blocks : kinds) {
    SCOPED_TRACE(blocks[1].name);
    Host source(blocks);
    Host destination(blocks, RunState::inmigrate);
    prepare(source, destination);
    source.set(Capability::postcopy_preempt);
    destination.set(Capability::postcopy_preempt);
    limit_postcopy(source, 2'000'000);
    fill(source.guest);
    listen(destination, "m");
    go(source, destination, "m");
    for (std::uint64_t page : {2000, 3, 1500, 2001, 700, 1023, 513})
      EXPECT_EQ(std::to_integer<std::uint8_t>(destination.guest.ram_blocks()[1].host[page * page_size]),
                static_cast<std::uint8_t>(page * 7 + 2));
    for (int round = 1; round <= 2; ++round) {
      cut(source, destination, round);
      resume(source, destination, round, "m");
      EXPECT_EQ(std::to_integer<std::uint8_t>(destination.guest.ram_blocks()[1].host[1800 * page_size]),
                static_cast<std::uint8_t>(1800 * 7 + 2));
    }
    finish(source, destination);
    const auto info = source.migration.info();
    EXPECT_GT(info.ram->postcopy_requests, 0);
  }
}

TEST_F(PostcopyTest, BeforeItPagesMayTakeAnyLane) {
  for (const Capability lane : {Capability::multifd, Capability::compress, Capability::xbzrle}) {
    SCOPED_TRACE(schema::to_string(lane));
    Host source(kTwoBlocks);
    Host destination(kTwoBlocks, RunState::inmigrate);
    prepare(source, destination);
    source.set(lane);
    destination.set(lane);
    fill(source.guest);
    const bool small = lane == Capability::compress;  // a hundred bytes for a page
    schema::MigrateSetParameters slow;
    slow.max_bandwidth = small ? 100'000 : 8 * mib;
    set(source, slow);
    limit_postcopy(source, 2'000'000);
    const std::string name(schema::to_string(lane));
    listen(destination, name);
    ASSERT_TRUE(source.migrate(directory_.uri(name)).has_value());
    source.recorder.wait_for("active");
    const auto sent = [&] { return source.migration.info().ram->transferred; };
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (sent() < (small ? 20'000 : 200'000) && std::chrono::steady_clock::now() < deadline)
      std::this_thread::yield();
    ASSERT_TRUE(source.migration.start_postcopy().has_value());
    destination.recorder.wait_for("postcopy-active");
    EXPECT_TRUE(destination.guest.wait_for(RunState::running));
    for (int round = 1; round <= 2; ++round) {
      cut(source, destination, round);
      resume(source, destination, round, name);
    }
    finish(source, destination);
  }
}

TEST_F(PostcopyTest, PreemptAndMultifdCannotBeToldApart) {
  Host source;
  Host destination({{"ram", 16}}, RunState::inmigrate);
  for (Host* host : {&source, &destination})
    for (const Capability each :
         {Capability::postcopy_ram, Capability::postcopy_preempt, Capability::multifd})
      host->set(each);
  EXPECT_THAT(source.migrate(directory_.uri("m")).error().what(), HasSubstr("do not work together"));
  EXPECT_THAT(destination.migration.incoming(directory_.uri("m"), destination.descriptors).error().what(),
              HasSubstr("do not work together"));
}

TEST_F(PostcopyTest, PreemptNeedsATransportWithSeveralConnections) {
  Host source;
  source.set(Capability::postcopy_ram);
  source.set(Capability::postcopy_preempt);
  ASSERT_TRUE(source.migrate("exec:cat >/dev/null").has_value());
  source.recorder.wait_for("failed");
  EXPECT_THAT(*source.migration.info().error_desc, HasSubstr("several connections"));
  EXPECT_EQ(source.guest.run_state(), RunState::running);
}

}  // namespace
}  // namespace godwit::engine

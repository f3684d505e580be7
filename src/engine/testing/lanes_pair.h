// Two engines that agree about the lane, and a guest with pages of all kinds. For tests of the lanes.
#pragma once

#include <cstring>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <string>
#include <vector>

#include "base/testing/temporary_directory.h"
#include "channel/connector.h"
#include "engine/testing/host.h"
#include "wire/header.h"
#include "wire/multifd.h"

namespace godwit::engine::testing {

inline const std::vector<BlockSize> kBlocks = {{"low", 100}, {"high", 700}, {"small", 1}};

/// Two that agree about the lane.
struct Pair {
  explicit Pair(const std::vector<BlockSize>& sizes = kBlocks)
      : source(sizes), destination(sizes, RunState::inmigrate) {
    // However slow the machine: it goes on until nothing is dirty.
    schema::MigrateSetParameters parameters;
    parameters.downtime_limit = 0;
    set(parameters);
    // Pages of one value, pages without a pattern, and zero pages between.
    std::uint32_t x = 1;
    for (std::size_t b = 0; b < sizes.size(); ++b) {
      const RamBlock& block = source.guest.ram_blocks()[b];
      for (std::uint64_t page = 0; page < block.pages(); ++page) {
        if (page % 5 == 4) continue;
        for (std::size_t i = 0; i < page_size; ++i)
          block.host[page * page_size + i] =
              static_cast<std::byte>(page % 5 == 0 ? (x = x * 1664525 + 1013904223) >> 24 : page + i / 100);
      }
    }
  }
  void set(Capability capability, bool on = true) {
    source.set(capability, on);
    destination.set(capability, on);
  }
  void set(const schema::MigrateSetParameters& parameters) {
    for (Host* host : {&source, &destination}) {
      const auto result = host->migration.set_parameters(parameters);
      EXPECT_TRUE(result.has_value()) << result.error().what();
    }
  }
  /// At each look for dirty pages, up to the n-th, a page here and there has changed by a few bytes.
  void write_meanwhile(int rounds) {
    source.guest.tracker.on_collect = [this, rounds, round = 0]() mutable {
      if (++round > rounds) return;
      for (std::size_t b = 0; b < source.guest.ram_blocks().size(); ++b) {
        const RamBlock& block = source.guest.ram_blocks()[b];
        for (std::uint64_t page = 0; page < block.pages(); page += 3) {
          std::memset(block.host + page * page_size + 100 * (page % 40), round, 5);
          if (page % 30 == 0) std::memset(block.host + page * page_size, 0, page_size);
          source.guest.tracker.mark_locked(b, page);
        }
      }
    };
  }
  schema::MigrationInfo finish() {
    source.recorder.wait_for("completed");
    destination.recorder.wait_for("completed");
    source.migration.wait_until_idle();
    return source.migration.info();
  }

  Host source;
  Host destination;
};

class LanesTest : public ::testing::Test {
 protected:
  LanesTest() { uri_ = directory_.uri("m"); }

  void listen(Host& destination) {
    const auto result = destination.migration.incoming(uri_, destination.descriptors);
    ASSERT_TRUE(result.has_value()) << result.error().what();
  }
  schema::MigrationInfo move(Pair& pair) {
    listen(pair.destination);
    EXPECT_TRUE(pair.source.migrate(uri_).has_value());
    const auto info = pair.finish();
    EXPECT_TRUE(pair.source.guest.same_memory(pair.destination.guest));
    return info;
  }

  /// A connection made by hand.
  std::unique_ptr<channel::Channel> connect() {
    const auto address = channel::parse_address(uri_, channel::Direction::outgoing);
    NoDescriptors none;
    channel::Interrupt never;
    return channel::connect(*address, none, never).value();
  }
  static void introduce(channel::Channel& channel, std::uint8_t id, const Uuid& uuid = {}) {
    Output hello;
    wire::encode_multifd_hello(hello, {.uuid = uuid, .channel = id});
    ASSERT_TRUE(channel.write(hello.data()));
  }
  static void begin_stream(channel::Channel& channel) {
    Output header;
    wire::encode_file_header(header);
    ASSERT_TRUE(channel.write(header.data()));
  }

  test::TemporaryDirectory directory_;
  std::string uri_;
};

}  // namespace godwit::engine::testing

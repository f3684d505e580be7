// Guests are saved to files with mapped-ram and come back, and what is wrong with such a file is refused.
#include "wire/mapped_ram.h"

#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/testing/temporary_directory.h"
#include "channel/channel_input.h"
#include "channel/file_channel.h"
#include "engine/incoming/mapped_ram_reader.h"
#include "engine/testing/host.h"
#include "engine/testing/none_guest.h"
#include "memory/populated.h"
#include "wire/test_stream.h"

namespace godwit::engine {
namespace {

using testing::BlockSize;
using testing::FakeGuest;
using testing::Host;
using testing::NoneGuest;
using Capability = schema::MigrationCapability;
using enum schema::MigrationCapability;
using ::testing::AllOf;
using ::testing::HasSubstr;

const std::vector<BlockSize> kBlocks = {{"low", 100}, {"high", 3000}, {"small", 1}};

struct MappedCase {
  unsigned channels;  ///< 0: without multifd
  bool direct;
  std::uint64_t offset;
};

void PrintTo(const MappedCase& c, std::ostream* out) {
  *out << c.channels << " channels" << (c.direct ? ", direct" : "") << ", offset " << c.offset;
}

class MappedRamTest : public ::testing::Test {
 protected:
  MappedRamTest() : source_(kBlocks), destination_(kBlocks, RunState::inmigrate) {
    path_ = directory_.file("state");
    std::uint32_t x = 1;
    for (const RamBlock& block : source_.guest.ram_blocks())
      for (std::uint64_t page = 0; page < block.pages(); ++page) {
        if (page % 7 == 4 || (page >= 1000 && page < 2000)) continue;
        for (std::size_t i = 0; i < page_size; i += 8)
          block.host[page * page_size + i] = static_cast<std::byte>((x = x * 1664525 + 1013904223) >> 24);
      }
    set([](Host& host) { host.set(mapped_ram); });
    schema::MigrateSetParameters parameters;
    parameters.downtime_limit = 0;
    parameters.max_bandwidth = 0;
    set(parameters);
  }

  template <typename Action>
    requires std::invocable<Action, Host&>
  void set(Action action) {
    action(source_);
    action(destination_);
  }
  void set(const schema::MigrateSetParameters& parameters) {
    set([&](Host& host) {
      const auto result = host.migration.set_parameters(parameters);
      EXPECT_TRUE(result.has_value()) << result.error().what();
    });
  }
  std::string uri(std::uint64_t offset = 0) const {
    return "file:" + path_ + (offset != 0 ? ",offset=" + std::to_string(offset) : "");
  }
  schema::MigrationInfo save(std::uint64_t offset = 0) {
    const auto started = source_.migrate(uri(offset));
    EXPECT_TRUE(started.has_value()) << started.error().what();
    source_.migration.wait_until_idle();
    const auto info = source_.migration.info();
    EXPECT_EQ(info.status, schema::MigrationStatus::completed) << info.error_desc.value_or("");
    return info;
  }
  void restore(std::uint64_t offset = 0) {
    const auto started = destination_.migration.incoming(uri(offset), destination_.descriptors);
    ASSERT_TRUE(started.has_value()) << started.error().what();
    destination_.recorder.wait_for_any({"completed", "exit 1"}, 1);
    EXPECT_EQ(destination_.recorder.failure(), "");
  }
  /// Why a file like this is not loaded.
  std::string failure_of_load() {
    EXPECT_TRUE(destination_.migration.incoming(uri(), destination_.descriptors).has_value());
    destination_.recorder.wait_for("exit 1");
    return destination_.recorder.failure();
  }
  void overwrite(std::uint64_t at, std::initializer_list<int> bytes) {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(at));
    for (const int byte : bytes) file.put(static_cast<char>(byte));
  }

  /// Where the header of the first block stands.
  std::uint64_t header() const {
    std::ifstream file(path_, std::ios::binary);
    std::string start(4096, '\0');
    file.read(start.data(), 4096);
    return start.find(std::string("\0\0\0\1\0\0\0\0\0\0\x10\0", 12));
  }
  void turn_over(std::uint64_t at, std::uint64_t bit) {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(at));
    const int byte = file.get();
    file.seekp(static_cast<std::streamoff>(at));
    file.put(static_cast<char>(byte ^ (1 << bit)));
  }
  /// Loads the file without a migration around it. Empty: it is good.
  std::string load_error(Guest& guest) const {
    channel::FileChannel channel(UniqueFd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC)), path_);
    const auto reader = MappedRamReader::open(channel, 1, false);
    channel::ChannelInput in(channel);
    Capabilities capabilities;
    capabilities.set(mapped_ram, true);
    const MigrationOptions options;
    StreamLoader loader(guest, capabilities, options, nullptr);
    loader.ram().read_from(**reader);
    auto loaded = loader.load(in);
    if (loaded) loaded = loader.drain_description(in);
    return loaded ? "" : loaded.error().what();
  }

  Host source_;
  Host destination_;
  test::TemporaryDirectory directory_;
  std::string path_;
};

class MappedRamWays : public MappedRamTest, public ::testing::WithParamInterface<MappedCase> {};

TEST_P(MappedRamWays, AGuestThatWritesIsSavedAndComesBack) {
  const auto [channels, direct, offset] = GetParam();
  schema::MigrateSetParameters parameters;
  parameters.direct_io = direct;
  if (channels > 0) {
    parameters.multifd_channels = static_cast<std::uint8_t>(channels);
    set([](Host& host) { host.set(multifd); });
  }
  set(parameters);
  source_.guest.tracker.on_collect = [this, round = 0]() mutable {
    if (++round > 4) return;
    for (std::uint64_t page = 0; page < 3000; page += 11) {
      std::byte* const at = source_.guest.ram_blocks()[1].host + page * page_size;
      std::memset(at, page % 2 == 0 ? 0 : round, page_size);  // what was there becomes zeros, too
      source_.guest.tracker.mark_locked(1, page);
    }
  };
  // The destination has something where zeros belong.
  std::memset(destination_.guest.ram_blocks()[1].host + 1500 * page_size, 0x5a, 3 * page_size);

  const auto info = save(offset);
  EXPECT_GT(info.ram->normal, 1700);
  EXPECT_GT(info.ram->duplicate, 1000);
  EXPECT_EQ(info.ram->multifd_bytes > 0, channels > 0);
  if (channels == 0)
    EXPECT_GT(info.ram->transferred, info.ram->normal_bytes);
  else
    EXPECT_EQ(info.ram->multifd_bytes, static_cast<std::uint64_t>(info.ram->normal_bytes));
  restore(offset);
  EXPECT_TRUE(source_.guest.same_memory(destination_.guest));
  EXPECT_EQ(destination_.guest.run_state(), RunState::running);
}

INSTANTIATE_TEST_SUITE_P(All, MappedRamWays,
                         ::testing::Values(MappedCase{0, false, 0}, MappedCase{0, false, 12345},
                                           MappedCase{1, false, 0}, MappedCase{3, false, 77777},
                                           MappedCase{0, true, 0}, MappedCase{4, true, 512}));

TEST_F(MappedRamTest, PagesThatNobodyTouchedAreNotInTheFileAndNotTouched) {
  save();
  struct stat info{};
  ASSERT_EQ(::stat(path_.c_str(), &info), 0);
  EXPECT_GT(info.st_size, 3101 * 4096);
  EXPECT_LT(info.st_blocks * 512, 2200 * 4096);
  restore();
  const DirtyBitmap populated = memory::populated_pages(destination_.guest.ram_blocks()[1]);
  for (std::uint64_t page = 1000; page < 2000; ++page) EXPECT_FALSE(populated.test(page)) << page;
  EXPECT_TRUE(source_.guest.same_memory(destination_.guest));
}

TEST_F(MappedRamTest, PagesStandWhereThePeersPutThem) {
  save();
  std::ifstream file(path_, std::ios::binary);
  const std::string all(std::istreambuf_iterator<char>(file), {});
  // The largest block is the first one: its pages begin at 1 MiB, whatever the order of sending.
  const RamBlock& high = source_.guest.ram_blocks()[1];
  EXPECT_EQ(std::memcmp(all.data() + (1 << 20), high.host, high.size), 0);
  // The next block: the first multiple of 1 MiB behind it.
  const RamBlock& low = source_.guest.ram_blocks()[0];
  EXPECT_EQ(std::memcmp(all.data() + (13 << 20), low.host, low.size), 0);
}

TEST_F(MappedRamTest, WhatIsInFrontOfTheOffsetStays) {
  std::ofstream(path_) << "in front";
  save(8);
  char start[9] = {};
  std::ifstream(path_).read(start, 8);
  EXPECT_STREQ(start, "in front");
}

TEST_F(MappedRamTest, APausedGuestComesBackPaused) {
  EXPECT_TRUE(source_.guest.set_run_state(RunState::paused).has_value());
  save();
  restore();
  EXPECT_TRUE(source_.guest.same_memory(destination_.guest));
  EXPECT_EQ(destination_.guest.run_state(), RunState::paused);
}

TEST_F(MappedRamTest, OnlyFilesHaveFixedPlaces) {
  const std::string refused = "Migration requires seekable transport (e.g. file)";
  for (const char* uri : {"tcp:127.0.0.1:1", "unix:/nowhere", "exec:cat"}) {
    EXPECT_EQ(source_.migrate(uri).error().what(), refused) << uri;
    EXPECT_EQ(destination_.migration.incoming(uri, destination_.descriptors).error().what(), refused) << uri;
  }
  EXPECT_FALSE(source_.migration.info().status.has_value()) << "nothing has begun";
  // What is not seekable shows when it is open.
  EXPECT_TRUE(source_.migrate("file:/dev/null").has_value());
  source_.migration.wait_until_idle();
  EXPECT_EQ(source_.migration.info().error_desc, refused);
  EXPECT_EQ(source_.guest.run_state(), RunState::running);
}

TEST_F(MappedRamTest, WhatItDoesNotGoWithIsRefused) {
  const auto error = [this](Capability other) {
    const auto result = source_.migration.set_capabilities({{other, true}});
    return result ? "" : result.error().what();
  };
  EXPECT_EQ(error(xbzrle), "Mapped-ram migration is incompatible with xbzrle");
  EXPECT_EQ(error(compress), "Mapped-ram migration is incompatible with compression");
  EXPECT_EQ(error(postcopy_ram), "Mapped-ram migration is incompatible with postcopy");
  source_.set(multifd);
  EXPECT_EQ(error(zero_copy_send), "Mapped-ram migration is incompatible with zero copy");
  schema::MigrateSetParameters parameters;
  parameters.multifd_compression = schema::MultiFDCompression::zstd;
  EXPECT_EQ(source_.migration.set_parameters(parameters).error().what(),
            "Mapped-ram migration is incompatible with multifd compression");
}

TEST_F(MappedRamTest, BothSidesHaveToKnow) {
  save();
  destination_.set(mapped_ram, false);
  EXPECT_THAT(failure_of_load(), HasSubstr("capability 'mapped-ram' is on at the source and off here"));
}

TEST_F(MappedRamTest, AFullFileSystemEndsTheSave) {
  // A limit on the size of files stands for the full disk.
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit small = before;
  small.rlim_cur = 5 << 20;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  EXPECT_TRUE(source_.migrate(uri()).has_value());
  source_.migration.wait_until_idle();
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_EQ(source_.migration.info().status, schema::MigrationStatus::failed);
  EXPECT_THAT(source_.migration.info().error_desc.value_or(""), HasSubstr("Unable to write to file"));
  EXPECT_EQ(source_.guest.run_state(), RunState::running);
  EXPECT_FALSE(source_.guest.tracker.running());
}

TEST_F(MappedRamTest, AFileThatEndsEarlyIsRefused) {
  save();
  std::filesystem::resize_file(path_, 3 << 20);
  EXPECT_THAT(failure_of_load(),
              HasSubstr("are from offset 0x100000 to 0xcb8000, the file ends at 0x300000"));
}

TEST_F(MappedRamTest, ABitmapWithPagesBehindTheBlockIsRefused) {
  save();
  overwrite(header() + wire::mapped_header_size + 3000 / 8, {0x01});
  // 3000 is a multiple of 8: the bit is the first one behind the block.
  EXPECT_THAT(failure_of_load(), HasSubstr("expected no page past the end of the block"));
}

/// Every bit of the header of a block, turned over, is noticed.
TEST_F(MappedRamTest, ADamagedHeaderIsRefused) {
  save();
  ASSERT_EQ(load_error(destination_.guest), "");
  const std::uint64_t at = header();
  for (std::uint64_t bit = 0; bit < wire::mapped_header_size * 8; ++bit) {
    turn_over(at + bit / 8, bit % 8);
    EXPECT_NE(load_error(destination_.guest), "") << "bit " << bit;
    turn_over(at + bit / 8, bit % 8);
  }
}

/// Any other bit in front of the pages: an error, or a guest that loads; nothing else.
TEST_F(MappedRamTest, DamageInFrontOfThePagesDoesNoHarm) {
  save();
  const std::uint64_t end = header() + wire::mapped_header_size + 400;
  for (std::uint64_t bit = 0; bit < end * 8; bit += 3) {
    turn_over(bit / 8, bit % 8);
    static_cast<void>(load_error(destination_.guest));
    turn_over(bit / 8, bit % 8);
  }
  EXPECT_EQ(load_error(destination_.guest), "");
  EXPECT_TRUE(source_.guest.same_memory(destination_.guest));
}

TEST_F(MappedRamTest, AFileOfANewerPeerLoads) {
  const auto stream = wire::test::golden("16-mapped-ram.bin.gz");
  std::ofstream(path_, std::ios::binary) << wire::test::text_of(stream);
  NoneGuest guest("m0", 4096);
  EXPECT_EQ(load_error(guest), "");
  const std::byte* ram = guest.ram_blocks()[0].host;
  EXPECT_EQ(std::memcmp(ram, stream.data() + (1 << 20), 16 << 20), 0);
  EXPECT_EQ(ram[4095 * page_size], std::byte{0xff});
}

TEST_F(MappedRamTest, AFileThatIsAppendedToHasNoFixedPlaces) {
  channel::FileChannel channel(
      UniqueFd(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)), "f");
  const auto opened = channel::PositionedFile::open(channel, channel::Direction::outgoing, false);
  EXPECT_EQ(opened.error().what(),
            "the file 'f' is open for appending, and mapped-ram writes at fixed places");
}

TEST_F(MappedRamTest, DirectInputNeedsAFileSystemThatCan) {
  channel::FileChannel channel(UniqueFd(::open("/proc/self/status", O_RDONLY | O_CLOEXEC)), "f");
  const auto opened = channel::PositionedFile::open(channel, channel::Direction::incoming, true);
  ASSERT_FALSE(opened.has_value());
  EXPECT_THAT(opened.error().explain(),
              AllOf(HasSubstr("direct-io: this file"), HasSubstr("turn direct-io off")));
}

}  // namespace
}  // namespace godwit::engine

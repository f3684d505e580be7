#include "memory/postcopy_memory.h"

#include <atomic>
#include <cstring>
#include <fstream>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/testing/not_tested_here.h"
#include "base/thread.h"
#include "memory/ram.h"

namespace godwit::memory {
namespace {

constexpr std::uint64_t mib = 1024 * 1024;

struct Kind {
  const char* name;
  RamOptions options;
};

class PostcopyMemoryOf : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    auto ram = GuestRam::create(GetParam().options);
    if (!ram) NOT_TESTED_HERE() << ram.error().explain();
    ram_.emplace(*std::move(ram));
    blocks_.push_back(ram_->block("ram"));
    if (auto possible = PostcopyMemory::check(blocks_); !possible)
      NOT_TESTED_HERE() << possible.error().explain();
  }
  std::uint64_t host_page() const { return blocks_[0].host_page_size; }
  /// Waits for a fault and returns it.
  MissingPage next_fault(PostcopyMemory& memory) {
    pollfd entry{memory.fd(), POLLIN, 0};
    EXPECT_EQ(::poll(&entry, 1, 20'000), 1);
    std::array<MissingPage, 4> room;
    const auto faults = memory.read_faults(room);
    EXPECT_TRUE(faults.has_value());
    EXPECT_EQ(faults->size(), 1u);
    return faults->empty() ? MissingPage{} : faults->front();
  }

  std::optional<GuestRam> ram_;
  std::vector<RamBlock> blocks_;
};

TEST_P(PostcopyMemoryOf, WhoTouchesAMissingPageWaitsForIt) {
  const RamBlock& block = blocks_[0];
  std::memset(block.host, 0x11, 2 * host_page());  // of a firmware, say: has to go
  PostcopyMemory memory(blocks_);
  ASSERT_TRUE(memory.prepare().has_value());
  std::memset(block.host + host_page(), 0x22, host_page());  // arrived before the switch
  const auto started = memory.start(true);
  ASSERT_TRUE(started.has_value()) << started.error().explain();

  std::atomic<int> seen{-1};
  std::atomic<int> thread_id{0};
  {
    auto toucher = start_thread("toucher", [&](std::stop_token) {
      thread_id = current_thread_id();
      seen = std::to_integer<int>(block.host[100]);
    });
    const MissingPage fault = next_fault(memory);
    EXPECT_EQ(fault.block, 0u);
    EXPECT_EQ(fault.offset, 0u);
    EXPECT_EQ(fault.thread_id, thread_id);
    EXPECT_EQ(seen, -1);
    const std::vector<std::byte> content(host_page(), std::byte{0x33});
    EXPECT_TRUE(*memory.place(0, 0, content.data()));
    EXPECT_FALSE(*memory.place(0, 0, std::vector<std::byte>(host_page(), std::byte{0x44}).data()));
  }
  EXPECT_EQ(seen, 0x33);
  EXPECT_EQ(std::to_integer<int>(block.host[host_page()]), 0x22);
}

TEST_P(PostcopyMemoryOf, ZerosArePlacedAndStopLetsEverybodyGo) {
  const RamBlock& block = blocks_[0];
  PostcopyMemory memory(blocks_);
  ASSERT_TRUE(memory.prepare().has_value());
  ASSERT_TRUE(memory.start(false).has_value());
  EXPECT_TRUE(*memory.place_zeros(0, host_page()));
  EXPECT_FALSE(*memory.place_zeros(0, host_page()));
  EXPECT_EQ(std::to_integer<int>(block.host[host_page() + 5]), 0);
  std::atomic<int> seen{-1};
  {
    auto toucher =
        start_thread("toucher", [&](std::stop_token) { seen = std::to_integer<int>(block.host[100]); });
    EXPECT_EQ(next_fault(memory).thread_id, 0);
    memory.stop();
  }
  EXPECT_EQ(seen, 0);
}

INSTANTIATE_TEST_SUITE_P(
    All, PostcopyMemoryOf,
    ::testing::Values(
        Kind{"anonymous", {.size = 4 * mib}}, Kind{"anonymous_shared", {.size = 4 * mib, .shared = true}},
        Kind{"memfd", {.source = RamSource::memfd, .size = 4 * mib}},
        Kind{"memfd_shared", {.source = RamSource::memfd, .size = 4 * mib, .shared = true}},
        Kind{"huge", {.source = RamSource::memfd, .size = 4 * mib, .huge_page_size = 2 * mib}},
        Kind{"huge_shared",
             {.source = RamSource::memfd, .size = 4 * mib, .shared = true, .huge_page_size = 2 * mib}}),
    [](const auto& kind) { return kind.param.name; });

TEST(PostcopyMemory, APrivateMappingOfAFileWithDataIsRefused) {
  std::string path = "/dev/shm/godwit-postcopy-XXXXXX";
  const UniqueFd fd(::mkstemp(path.data()));
  ASSERT_TRUE(fd);
  ASSERT_EQ(::ftruncate(fd.get(), 4 * mib), 0);
  ASSERT_EQ(::pwrite(fd.get(), "data", 4, 8192), 4);
  {
    const auto ram = GuestRam::create({.source = RamSource::file, .size = 4 * mib, .path = path});
    ASSERT_TRUE(ram.has_value());
    const RamBlock block = ram->block("ram");
    const auto possible = PostcopyMemory::check({&block, 1});
    ASSERT_FALSE(possible.has_value());
    EXPECT_NE(possible.error().what().find("private mapping of a file that holds data"), std::string::npos);
  }
  ::unlink(path.c_str());
}

TEST(PostcopyMemory, OrdinaryFilesAreRefused) {
  std::string path = "/var/tmp/godwit-postcopy-XXXXXX";
  const UniqueFd fd(::mkstemp(path.data()));
  ASSERT_TRUE(fd);
  const auto ram =
      GuestRam::create({.source = RamSource::file, .size = 4 * mib, .shared = true, .path = path});
  ASSERT_TRUE(ram.has_value()) << ram.error().explain();
  const RamBlock block = ram->block("ram");
  EXPECT_FALSE(PostcopyMemory::check({&block, 1}).has_value());
  ::unlink(path.c_str());
}

/// The flags of the mapping at `address` in /proc/self/smaps: "rd wr mr ...".
std::string flags_of(const void* address) {
  std::ifstream smaps("/proc/self/smaps");
  const auto wanted = reinterpret_cast<std::uintptr_t>(address);
  bool inside = false;
  for (std::string line; std::getline(smaps, line);) {
    unsigned long start = 0;
    unsigned long end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &start, &end) == 2) inside = start <= wanted && wanted < end;
    if (inside && line.starts_with("VmFlags:")) return line;
  }
  return {};
}

TEST(PostcopyMemory, TheKernelMakesNoHugePagesMeanwhileAndDoesAfterwards) {
  const auto ram = GuestRam::create({.size = 4 * mib});
  ASSERT_TRUE(ram.has_value());
  const RamBlock block = ram->block("ram");
  ASSERT_TRUE(block.transparent_huge_pages);
  PostcopyMemory memory({&block, 1});
  ASSERT_TRUE(memory.prepare().has_value());
  EXPECT_NE(flags_of(block.host).find(" nh"), std::string::npos);
  memory.stop();
  EXPECT_NE(flags_of(block.host).find(" hg"), std::string::npos);
}

}  // namespace
}  // namespace godwit::memory

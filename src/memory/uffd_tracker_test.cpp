// What is special about the trackers that use userfaultfd; what all trackers have in common is in
// tracker_property_test.cpp.
#include <array>
#include <cstdio>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include <godwit/user_tracker.h>

#include "base/testing/not_tested_here.h"
#include "memory/ram.h"
#include "memory/uffd_async_tracker.h"
#include "memory/uffd_sync_tracker.h"

namespace godwit::memory {
namespace {

constexpr std::uint64_t mib = 1024 * 1024;

/// Lets the kernel write one byte to `target`, as a device that reads from a socket into guest memory does.
bool write_by_system_call(std::byte* target) {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) return false;
  const UniqueFd reader(ends[0]);
  const UniqueFd writer(ends[1]);
  return ::write(writer.get(), "x", 1) == 1 && ::read(reader.get(), target, 1) == 1;
}

template <typename Tracker>
void expect_system_calls_seen(Result<std::unique_ptr<Tracker>> tracker) {
  if (!tracker) NOT_TESTED_HERE() << "no tracker: " << tracker.error().explain();
  for (const bool shared : {false, true}) {
    const auto ram = GuestRam::create({.size = 4 * mib, .shared = shared});
    ASSERT_TRUE(ram);
    const RamBlock block = ram->block("ram");
    ASSERT_TRUE((*tracker)->start(std::span(&block, 1)));
    ASSERT_TRUE(write_by_system_call(block.host + 77 * page_size + 5));
    std::vector<DirtyBitmap> dirty{DirtyBitmap(block.pages())};
    const auto found = (*tracker)->collect(dirty);
    ASSERT_TRUE(found);
    EXPECT_EQ(*found, 1u);
    EXPECT_TRUE(dirty[0].test(77));
    (*tracker)->stop();
  }
}

TEST(UffdAsyncTracker, SeesWritesInsideSystemCalls) {
  expect_system_calls_seen(UffdAsyncTracker::create());
}
TEST(UffdSyncTracker, SeesWritesInsideSystemCalls) {
  expect_system_calls_seen(UffdSyncTracker::create());
}

TEST(UffdAsyncTracker, TwoTrackersOnTheSameMemoryAreRefused) {
  auto first = UffdAsyncTracker::create();
  auto second = UffdAsyncTracker::create();
  if (!first || !second) NOT_TESTED_HERE() << "no tracker: " << first.error().explain();
  const auto ram = GuestRam::create({.size = 4 * mib});
  ASSERT_TRUE(ram);
  const RamBlock block = ram->block("pc.ram");
  ASSERT_TRUE((*first)->start(std::span(&block, 1)));
  const auto refused = (*second)->start(std::span(&block, 1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().what(), "block 'pc.ram': another userfaultfd is on this memory already");
  // And the first one is none the worse for it.
  block.host[5 * page_size] = std::byte{1};
  std::vector<DirtyBitmap> dirty{DirtyBitmap(block.pages())};
  EXPECT_EQ((*first)->collect(dirty).value(), 1u);
}

TEST(UffdAsyncTracker, MemoryThatIsNotThereIsAnErrorThatNamesTheBlock) {
  auto tracker = UffdAsyncTracker::create();
  if (!tracker) NOT_TESTED_HERE() << "no tracker: " << tracker.error().explain();
  RamBlock block;
  {
    const auto ram = GuestRam::create({.size = 4 * mib});
    ASSERT_TRUE(ram);
    block = ram->block("gone");
  }
  const auto refused = (*tracker)->start(std::span(&block, 1));
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().what().starts_with("block 'gone': ")) << refused.error().what();
  (*tracker)->stop();
}

TEST(UserTracker, TakesTheAsynchronousOneWhereThereIsOne) {
  const auto best = make_user_tracker();
  if (UffdAsyncTracker::create()) {
    ASSERT_TRUE(best);
    EXPECT_EQ((*best)->name(), "userfault-async");
  } else if (UffdSyncTracker::create()) {
    ASSERT_TRUE(best);
    EXPECT_EQ((*best)->name(), "userfault-sync");
  } else {
    ASSERT_FALSE(best);
    EXPECT_TRUE(best.error().what().starts_with("writes to memory cannot be tracked: asynchronously: "));
  }
}

enum Outcome : int {
  as_hoped = 0,
  no_async = 10,
  lost_a_write,
  sync_was_permitted,
  no_advice,
  not_unprivileged
};

/// What a process without privileges can do.
Outcome try_without_privileges() {
  if (::setresgid(65534, 65534, 65534) != 0 || ::setresuid(65534, 65534, 65534) != 0) return not_unprivileged;
  ::prctl(PR_SET_DUMPABLE,
          1);  // a change of user closes /proc/self, which a process that began as that user has
  auto tracker = UffdAsyncTracker::create();
  if (!tracker) {
    std::fprintf(stderr, "%s\n", tracker.error().explain().c_str());
    return no_async;
  }
  const auto ram = GuestRam::create({.size = 4 * mib});
  const RamBlock block = ram->block("ram");
  std::vector<DirtyBitmap> dirty{DirtyBitmap(block.pages())};
  if (!(*tracker)->start(std::span(&block, 1)) || !write_by_system_call(block.host + 9 * page_size))
    return lost_a_write;
  block.host[10 * page_size] = std::byte{1};
  if ((*tracker)->collect(dirty).value_or(0) != 2) return lost_a_write;

  const auto sync = UffdSyncTracker::create();
  if (sync) return sync_was_permitted;
  return sync.error().advice().find("/proc/sys/vm/unprivileged_userfaultfd") == std::string::npos ? no_advice
                                                                                                  : as_hoped;
}

TEST(UserTracker, AsynchronousTrackingNeedsNoPrivileges) {
  if (::geteuid() != 0) NOT_TESTED_HERE() << "only root can give privileges up";
  if (!UffdAsyncTracker::create()) NOT_TESTED_HERE() << "no tracker";
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) ::_exit(try_without_privileges());
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status)) << status;
  if (WEXITSTATUS(status) == sync_was_permitted)
    NOT_TESTED_HERE() << "this machine permits userfaultfd to everybody";
  EXPECT_EQ(WEXITSTATUS(status), as_hoped);
}

}  // namespace
}  // namespace godwit::memory

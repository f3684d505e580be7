#include "base/system.h"

#include <cerrno>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

namespace godwit {
namespace {

bool is_open(int fd) {
  return ::fcntl(fd, F_GETFD) >= 0;
}

TEST(UniqueFd, ClosesExactlyOnce) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  {
    UniqueFd first(ends[0]);
    UniqueFd second(ends[1]);
    UniqueFd moved = std::move(first);
    EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): that is what is tested
    EXPECT_TRUE(is_open(moved.get()));
  }
  EXPECT_FALSE(is_open(ends[0]));
  EXPECT_FALSE(is_open(ends[1]));
}

TEST(Mapping, RefusesWhatTheKernelRefuses) {
  auto mapping = Mapping::map(0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1);
  ASSERT_FALSE(mapping.has_value());
  EXPECT_EQ(mapping.error().what(), "cannot map 0 bytes: Invalid argument");
}

TEST(WakeFd, IsReadableUntilDrained) {
  WakeFd wake;
  pollfd p{wake.fd(), POLLIN, 0};
  EXPECT_EQ(::poll(&p, 1, 0), 0);
  wake.wake();
  wake.wake();
  EXPECT_EQ(::poll(&p, 1, 0), 1);
  wake.drain();
  EXPECT_EQ(::poll(&p, 1, 0), 0);
}

}  // namespace
}  // namespace godwit

#include "base/system.h"

#include <cerrno>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <system_error>
#include <unistd.h>

#include "base/exhaustion.h"

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

TEST(Exhaustion, BecomesAnError) {
  auto result = or_exhausted([]() -> Result<int> {
    throw std::system_error(EMFILE, std::generic_category(), "cannot create an eventfd");
  });
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().what(), "cannot create an eventfd: Too many open files");
  result = or_exhausted([]() -> Result<int> { throw std::bad_alloc(); });
  EXPECT_EQ(result.error().what(), "Out of memory");
  result = or_exhausted([]() -> Result<int> { return 7; });
  EXPECT_EQ(result.value_or(0), 7);
}

}  // namespace
}  // namespace godwit

#include "engine/incoming/multifd_receiver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <semaphore>

#include "channel/memory_channel.h"

namespace godwit::engine {
namespace {

using ::testing::HasSubstr;

TEST(MultifdReceiver, DoesNotWaitWithoutEndForChannelsThatNeverCome) {
  std::binary_semaphore failed{0};
  MultifdReceiver receiver({.channels = 2, .patience = std::chrono::milliseconds(20)},
                           [&] { failed.release(); });
  auto only = channel::make_memory_channels();
  receiver.add(std::move(only.first));
  failed.acquire();
  EXPECT_THAT(receiver.error()->what(), HasSubstr("0 of 3 connections have come within 20 ms"));
  EXPECT_FALSE(receiver.wait_for_all());
}

}  // namespace
}  // namespace godwit::engine

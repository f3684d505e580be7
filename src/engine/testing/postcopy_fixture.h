// For tests of postcopy: a directory for the sockets, and a loud skip where the kernel cannot do it.
#pragma once

#include <gtest/gtest.h>

#include "base/testing/not_tested_here.h"
#include "base/testing/temporary_directory.h"
#include "engine/testing/host.h"
#include "memory/postcopy_memory.h"

namespace godwit::engine::testing {

class PostcopyFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    const FakeGuest guest;
    if (auto possible = memory::PostcopyMemory::check(guest.ram_blocks()); !possible)
      NOT_TESTED_HERE() << possible.error().explain();
  }
  static void set(Host& host, const schema::MigrateSetParameters& changes) {
    const auto result = host.migration.set_parameters(changes);
    ASSERT_TRUE(result.has_value()) << result.error().what();
  }

  test::TemporaryDirectory directory_;
};

}  // namespace godwit::engine::testing

// For tests of postcopy in which one side is a peer that says what it must not.
#pragma once

#include <cstdint>
#include <filesystem>
#include <gtest/gtest.h>
#include <initializer_list>
#include <string>

#include <godwit/stream.h>

#include "engine/testing/host.h"
#include "memory/postcopy_memory.h"

namespace godwit::engine::testing {

constexpr std::uint64_t kPages = 256;
constexpr std::uint64_t kSize = kPages * page_size;

class BadPeerTest : public ::testing::Test {
 protected:
  BadPeerTest() {
    std::string pattern = std::filesystem::temp_directory_path() / "godwit-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
  }
  ~BadPeerTest() override { std::filesystem::remove_all(directory_); }
  void SetUp() override {
    const FakeGuest guest;
    if (auto possible = memory::PostcopyMemory::check(guest.ram_blocks()); !possible)
      GTEST_SKIP() << possible.error().explain();
  }
  std::string path(const std::string& name) const { return directory_ + "/" + name; }
  static void set(Host& host, const schema::MigrateSetParameters& changes) {
    ASSERT_TRUE(host.migration.set_parameters(changes).has_value());
  }

  std::string directory_;
};

inline Output bytes(std::initializer_list<int> values) {
  Output out;
  for (const int value : values) out.u8(static_cast<std::uint8_t>(value));
  return out;
}

}  // namespace godwit::engine::testing

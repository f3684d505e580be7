// One process of a migration, without the process: a guest, an engine, and what it announced. For tests of
// the engine.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <gtest/gtest.h>
#include <mutex>
#include <string>
#include <vector>

#include <godwit/migration.h>

#include "base/clock.h"
#include "engine/testing/fake_guest.h"

namespace godwit::engine::testing {

using Capability = schema::MigrationCapability;
using Status = schema::MigrationStatus;

/// Keeps the events and lets a test wait for one.
class Recorder final : public MigrationObserver {
 public:
  void on_status(Status status) override { add(std::string(schema::to_string(status))); }
  void on_pass(std::int64_t pass) override { add("P" + std::to_string(pass)); }
  void on_incoming_failed(const Error& error) override {
    {
      std::lock_guard lock(mutex_);
      failure_ = error.explain();
    }
    add("exit 1");
  }
  /// Until it was announced `times` times.
  void wait_for(const std::string& event, int times = 1) {
    std::unique_lock lock(mutex_);
    const bool seen = changed_.wait_until(lock, std::chrono::steady_clock::now() + std::chrono::seconds(40),
                                          [&] { return std::ranges::count(events_, event) >= times; });
    EXPECT_TRUE(seen) << "no event " << event << " number " << times;
  }
  /// Until one of `ends` was announced, or `event` `times` times.
  void wait_for_any_of(const std::vector<std::string>& ends, const std::string& event, int times) {
    std::unique_lock lock(mutex_);
    const auto seen = [&] {
      return std::ranges::find_first_of(events_, ends) != events_.end() ||
             std::ranges::count(events_, event) >= times;
    };
    EXPECT_TRUE(changed_.wait_until(lock, std::chrono::steady_clock::now() + std::chrono::seconds(40), seen))
        << "no event " << event << " number " << times;
  }
  /// Until one of them was announced `times` times.
  void wait_for_any(const std::vector<std::string>& wanted, int times) {
    std::unique_lock lock(mutex_);
    const auto seen = [&] {
      return std::ranges::any_of(
          wanted, [&](const auto& event) { return std::ranges::count(events_, event) >= times; });
    };
    EXPECT_TRUE(changed_.wait_until(lock, std::chrono::steady_clock::now() + std::chrono::seconds(40), seen));
  }
  std::vector<std::string> events() const {
    std::lock_guard lock(mutex_);
    return events_;
  }
  /// Without the passes, whose number depends on the speed of the machine.
  std::vector<std::string> statuses() const {
    auto all = events();
    std::erase_if(all, [](const std::string& event) { return event[0] == 'P' && std::isdigit(event[1]); });
    return all;
  }
  std::string failure() const {
    std::lock_guard lock(mutex_);
    return failure_;
  }

 private:
  void add(std::string event) {
    {
      std::lock_guard lock(mutex_);
      events_.push_back(std::move(event));
    }
    changed_.notify_all();
  }
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> events_;
  std::string failure_;
};

/// One process of a migration.
struct Host {
  explicit Host(std::vector<BlockSize> sizes = {{"ram", 64}}, RunState state = RunState::running,
                MigrationOptions options = {})
      : guest(std::move(sizes), state), migration(guest, recorder, clock, options) {
    set(Capability::events);
  }
  void set(Capability capability, bool on = true) {
    const auto result = migration.set_capabilities({{capability, on}});
    EXPECT_TRUE(result.has_value()) << result.error().what();
  }
  Result<> migrate(const std::string& uri, bool resume = false) {
    schema::MigrateArguments request;
    request.uri = uri;
    if (resume) request.resume = true;
    return migration.migrate(request, descriptors);
  }

  SteadyClock clock;
  NoDescriptors descriptors;
  Recorder recorder;
  FakeGuest guest;
  Migration migration;
};

}  // namespace godwit::engine::testing

// A guest that leaves tracks: each time it begins to run it writes an epoch and its host into its memory, and
// it writes where the plan says.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <random>
#include <span>
#include <thread>
#include <vector>

#include <godwit/guest.h>

#include "engine/simulation/host_memory.h"
#include "engine/simulation/world.h"
#include "engine/testing/fake_guest.h"

namespace godwit::engine::simulation {

class SimGuest final : public Guest {
 public:
  /// `memory` is its RAM, in so many `blocks`. `host` is its number in the world.
  SimGuest(World& world, unsigned host, std::span<std::byte> memory, unsigned blocks, std::uint64_t seed,
           RunState state);
  ~SimGuest() override;

  std::string machine_name() const override { return "simulated"; }
  std::span<const RamBlock> ram_blocks() const override { return blocks_; }
  DirtyTracker& dirty_tracker() override { return tracker; }
  std::span<const std::unique_ptr<DeviceSection>> device_sections() override { return sections_; }
  RunState run_state() const override;
  Result<> set_run_state(RunState state) override;

  /// A machine that was switched on: all pages have contents, and it runs unless it is to be stopped.
  void boot(bool running);
  /// Its host dies: it does nothing from here on.
  void die();
  /// Its process ends: the vCPU does nothing more, also when a page that it waits for comes.
  void switch_off();
  /// Its vCPU has done what it had to do; nobody waits for a page any more.
  void wait_for_vcpu();
  unsigned host() const { return host_; }
  /// The number of the first page that differs although nobody wrote it here, or -1.
  std::int64_t first_difference(const SimGuest& source) const;

  testing::ToldTracker tracker;
  testing::FakeDevice device;
  unsigned passes = 0;         ///< in how many of the passes to come the guest writes
  bool writes_always = false;  ///< ... in all of them
  unsigned touches = 0;        ///< pages a vCPU uses when it begins to run here; for postcopy
  bool lazy = false;           ///< memory may be missing when it begins to run: only the vCPU may use it
  bool does_not_start = false;

 private:
  void start();
  void stop();
  void begin_epoch();
  void write_in_a_pass();
  void fill(std::uint64_t page);
  void mark(std::uint64_t page);
  std::byte* at(std::uint64_t page) const { return memory_ + page * page_size; }
  void run_vcpu(const std::stop_token& stop);

  World& world_;
  const unsigned host_;
  mutable std::mutex mutex_;
  RunState state_;
  bool dead_ = false;
  std::atomic<bool> runs_{false};
  std::mt19937_64 random_;
  std::byte* const memory_;
  const std::uint64_t pages_;
  std::vector<RamBlock> blocks_;  ///< one behind the other in the memory
  std::vector<std::unique_ptr<DeviceSection>> sections_;
  /// The guest wrote there since it runs on this host, so the other side's page is an older one.
  std::array<std::atomic<bool>, HostMemory::most_pages> written_{};
  std::jthread vcpu_;
};

}  // namespace godwit::engine::simulation

#include "engine/simulation/guest.h"

#include <cstring>
#include <fmt/format.h>

#include "base/fail.h"
#include "base/thread.h"

namespace godwit::engine::simulation {
namespace {

/// What lies at the start of page 0.
struct Track {
  std::uint64_t epoch;
  std::uint64_t host;
};

}  // namespace

SimGuest::SimGuest(World& world, unsigned host, std::span<std::byte> memory, unsigned blocks,
                   std::uint64_t seed, RunState state)
    : world_(world),
      host_(host),
      state_(state),
      random_(seed),
      memory_(memory.data()),
      pages_(memory.size() / page_size) {
  for (unsigned block = 0; block < blocks; ++block) {
    const std::uint64_t first = pages_ * block / blocks;
    const std::uint64_t end = pages_ * (block + 1) / blocks;
    blocks_.push_back(
        {.name = fmt::format("ram{}", block), .host = at(first), .size = (end - first) * page_size});
  }
  sections_.push_back(make_section("fake", 0, testing::fake_device_table(), device));
  tracker.on_collect = [this] { write_in_a_pass(); };
}

SimGuest::~SimGuest() {
  wait_for_vcpu();
}

RunState SimGuest::run_state() const {
  std::lock_guard lock(mutex_);
  return state_;
}

Result<> SimGuest::set_run_state(RunState state) {
  std::lock_guard lock(mutex_);
  if (dead_) return fail("the host is dead");
  if (state == RunState::running) {
    if (does_not_start) return fail("the vCPUs do not start");
    start();
  } else {
    stop();
  }
  state_ = state;
  return {};
}

void SimGuest::boot(bool running) {
  std::memset(memory_, 0, page_size);
  for (std::uint64_t page = 1; page < pages_; ++page) fill(page);
  reinterpret_cast<Track*>(memory_)->host = host_;
  std::lock_guard lock(mutex_);
  if (running) start();
}

void SimGuest::die() {
  std::lock_guard lock(mutex_);
  dead_ = true;
  stop();
}

void SimGuest::switch_off() {
  std::lock_guard lock(mutex_);
  stop();
}

void SimGuest::wait_for_vcpu() {
  if (vcpu_.joinable()) vcpu_.join();
}

void SimGuest::start() {
  if (runs_.exchange(true)) return;
  world_.runs(host_);
  if (lazy)
    vcpu_ = start_thread("vcpu", [this](const std::stop_token& stop) { run_vcpu(stop); });
  else
    begin_epoch();
}

void SimGuest::stop() {
  runs_ = false;
  vcpu_.request_stop();
  world_.stands(host_);
}

void SimGuest::begin_epoch() {
  auto* track = reinterpret_cast<Track*>(memory_);
  const std::uint64_t epoch = track->epoch + 1;
  if (!runs_) return;  // it was switched off while it waited for the page
  written_[0] = true;
  *track = {epoch, host_};
  world_.claims(host_, epoch);
}

/// With the tracker locked.
void SimGuest::write_in_a_pass() {
  if (!runs_ || lazy) return;
  if (!writes_always) {
    if (passes == 0) return;
    --passes;
  }
  for (unsigned writes = 1 + static_cast<unsigned>(random_() % 6); writes > 0; --writes) {
    const std::uint64_t page = 1 + random_() % (pages_ - 1);
    fill(page);
    mark(page);
  }
}

/// With the tracker locked.
void SimGuest::mark(std::uint64_t page) {
  std::size_t block = 0;
  for (; page >= blocks_[block].pages(); ++block) page -= blocks_[block].pages();
  tracker.mark_locked(block, page);
}

/// Every fifth page is zero, some have one byte all over, the rest a pattern.
void SimGuest::fill(std::uint64_t page) {
  auto* words = reinterpret_cast<std::uint64_t*>(at(page));
  const std::uint64_t kind = random_() % 5;
  const std::uint64_t base = kind == 0 ? 0 : random_();
  for (std::size_t word = 0; word < page_size / 8; ++word) words[word] = kind < 2 ? base : base + word * kind;
}

void SimGuest::run_vcpu(const std::stop_token& stop) {
  begin_epoch();
  for (unsigned touch = 0; touch < touches && !stop.stop_requested(); ++touch) {
    const std::uint64_t page = 1 + random_() % (pages_ - 1);
    volatile std::byte* place = at(page);
    if (touch % 2) {
      static_cast<void>(*place);
    } else {
      written_[page] = true;
      *place = std::byte{0xee};
    }
  }
}

std::int64_t SimGuest::first_difference(const SimGuest& source) const {
  for (std::uint64_t page = 0; page < pages_; ++page)
    if (!written_[page] && std::memcmp(at(page), source.at(page), page_size) != 0)
      return static_cast<std::int64_t>(page);
  return -1;
}

}  // namespace godwit::engine::simulation

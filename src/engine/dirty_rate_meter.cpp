#include "engine/dirty_rate_meter.h"

#include <algorithm>

#include "base/exhaustion.h"
#include "base/fail.h"
#include "base/log.h"
#include "base/thread.h"
#include "engine/page_samples.h"

namespace godwit::engine {
namespace {

constexpr std::int64_t default_sample_pages = 512;  // per GiB

std::int64_t mib_per_second(std::uint64_t bytes, Nanoseconds time) {
  const double seconds = std::chrono::duration<double>(time).count();
  return seconds > 0 ? static_cast<std::int64_t>(static_cast<double>(bytes) / (1 << 20) / seconds) : 0;
}

}  // namespace

DirtyRateMeter::~DirtyRateMeter() {
  end();
}

Result<> DirtyRateMeter::check(const schema::CalcDirtyRateArguments& wanted) const {
  const Mode mode = wanted.mode.value_or(Mode::page_sampling);
  if (info().status == schema::DirtyRateStatus::measuring)
    return fail("the dirty rate is already being measured.");
  if (wanted.calc_time < 1 || wanted.calc_time > 60) return fail("calc-time is out of range[1, 60].");
  if (wanted.sample_pages && mode == Mode::dirty_ring)
    return fail("either sample-pages or dirty-ring can be specified.");
  const std::int64_t pages = wanted.sample_pages.value_or(default_sample_pages);
  if (pages < 128 || pages > 16384) return fail("sample-pages is out of range[128, 16384].");
  const bool by_vcpu = !guest_.dirty_tracker().pages_by_vcpu().empty();
  if (mode != Mode::page_sampling && by_vcpu != (mode == Mode::dirty_ring))
    return fail("mode {} is not enabled, use other method instead.", schema::to_string(mode));
  return {};
}

Result<> DirtyRateMeter::start(const schema::CalcDirtyRateArguments& wanted) {
  GODWIT_TRY(check(wanted));
  end();  // the thread of the one before, which has done its work
  const Mode mode = wanted.mode.value_or(Mode::page_sampling);
  if (mode != Mode::page_sampling) GODWIT_TRY(guest_.dirty_tracker().start(guest_.ram_blocks()));
  const std::int64_t sample_pages = wanted.sample_pages.value_or(default_sample_pages);
  {
    const std::lock_guard lock(mutex_);
    info_ = {};
    info_.status = schema::DirtyRateStatus::measuring;
    info_.start_time = to_ms(clock_.now()) / 1000;
    info_.calc_time = wanted.calc_time;
    info_.sample_pages = static_cast<std::uint64_t>(sample_pages);
    info_.mode = mode;
  }
  stop_.clear();
  thread_ = start_thread(
      "dirty-rate",
      [this, mode, sample_pages, seconds = wanted.calc_time](auto&&) {
        measure(mode, static_cast<std::uint64_t>(sample_pages), std::chrono::seconds(seconds));
      },
      [this](const Error& error) {
        log::warn("the dirty rate cannot be measured: {}", error.what());
        const std::lock_guard lock(mutex_);
        info_.dirty_rate = -1;
        info_.status = schema::DirtyRateStatus::measured;
      });
  return {};
}

schema::DirtyRateInfo DirtyRateMeter::info() const {
  const std::lock_guard lock(mutex_);
  return info_;
}

void DirtyRateMeter::end() {
  stop_.set();
  if (thread_.joinable()) thread_.join();
}

void DirtyRateMeter::release_tracker() {
  if (info().mode != Mode::page_sampling) end();
}

void DirtyRateMeter::measure(Mode mode, std::uint64_t sample_pages, Nanoseconds how_long) {
  if (mode == Mode::page_sampling)
    measure_by_samples(sample_pages, how_long);
  else
    measure_by_tracker(how_long);
}

void DirtyRateMeter::measure_by_samples(std::uint64_t pages_per_gib, Nanoseconds how_long) {
  const PageSamples samples(guest_.ram_blocks(), pages_per_gib, random_);
  const Nanoseconds began = clock_.now();
  clock_.wait_for(stop_, how_long);
  const Nanoseconds time = clock_.now() - began;
  const std::uint64_t bytes = samples.changed_bytes();
  const std::lock_guard lock(mutex_);
  info_.dirty_rate = guest_.ram_blocks().empty() ? -1 : mib_per_second(bytes, time);
  info_.status = schema::DirtyRateStatus::measured;
}

void DirtyRateMeter::measure_by_tracker(Nanoseconds how_long) {
  DirtyTracker& tracker = guest_.dirty_tracker();
  const Nanoseconds began = clock_.now();
  clock_.wait_for(stop_, how_long);
  const Nanoseconds time = clock_.now() - began;
  std::vector<std::uint64_t> by_vcpu;
  const auto pages = or_exhausted([&] {
    std::vector<DirtyBitmap> written;
    for (const RamBlock& block : guest_.ram_blocks()) written.emplace_back(block.pages());
    auto collected = tracker.collect(written);
    by_vcpu = tracker.pages_by_vcpu();
    return collected;
  });
  tracker.stop();
  if (!pages) log::warn("the dirty rate cannot be measured: {}", pages.error().what());
  const std::lock_guard lock(mutex_);
  info_.dirty_rate = pages ? mib_per_second(*pages * page_size, time) : -1;
  info_.sample_pages = 0;
  if (info_.mode == Mode::dirty_ring) {
    auto& rates = info_.vcpu_dirty_rate.emplace();
    for (std::size_t vcpu = 0; vcpu < by_vcpu.size(); ++vcpu)
      rates.push_back({.id = static_cast<std::int64_t>(vcpu),
                       .dirty_rate = mib_per_second(by_vcpu[vcpu] * page_size, time)});
  }
  info_.status = schema::DirtyRateStatus::measured;
}

}  // namespace godwit::engine

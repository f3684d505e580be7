// Time of a simulated host: it moves a little whenever somebody looks, and at once to where somebody waits
// for.
#pragma once

#include <atomic>

#include <godwit/clock.h>

namespace godwit::engine::simulation {

class SimClock final : public Clock {
 public:
  Nanoseconds now() const override { return Nanoseconds(now_.fetch_add(kTick)); }
  bool wait_for(const Event& event, Nanoseconds how_long) override {
    if (!event.is_set()) advance(how_long);
    return event.is_set();
  }
  void advance(Nanoseconds how_long) {
    if (how_long.count() > 0) now_ += how_long.count();
  }

 private:
  static constexpr std::int64_t kTick = 100'000;
  mutable std::atomic<std::int64_t> now_{0};
};

}  // namespace godwit::engine::simulation

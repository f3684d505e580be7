// The clocks of a machine in tests: they stand still until they are moved, and timers expire on the test's
// thread.
#pragma once

#include <cstdint>

#include "vm/guest_timers.h"

namespace godwit::vm::testing {

class VirtualTime final : public GuestTime {
 public:
  std::int64_t now_ns(Base base) const override {
    return base == Base::virtual_clock ? virtual_ns : virtual_ns + host_offset_ns;
  }
  void advance(std::int64_t ns) {
    virtual_ns += ns;
    timers.run_due();
  }

  std::int64_t virtual_ns = 1'000'000;
  std::int64_t host_offset_ns = 0;
  GuestTimers timers{*this};
};

}  // namespace godwit::vm::testing

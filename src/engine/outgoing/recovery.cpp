#include "engine/outgoing/recovery.h"

#include <algorithm>
#include <utility>

#include "base/exhaustion.h"
#include "base/fail.h"
#include "base/log.h"
#include "channel/connector.h"
#include "engine/outgoing/setup_phase.h"
#include "engine/probes.h"

namespace godwit::engine {
namespace {

constexpr Nanoseconds kFirstPause = 100ms;
constexpr Nanoseconds kLongestPause = 5s;

}  // namespace

void Recovery::resume(Target target) {
  {
    std::lock_guard lock(mutex_);
    next_ = std::move(target);
  }
  session_.wake.set();
}

Result<> Recovery::run(PostcopyPhase& postcopy, const Error& why) {
  StatusMachine& status = session_.context.status;
  log::warn("{}", Error(why)
                      .at(Side::source, "postcopy")
                      .advise("migrate-recover on the destination, then migrate with resume=true here; the "
                              "pages are kept")
                      .explain());
  session_.close_channels();
  status.to(Status::postcopy_active, Status::postcopy_paused);
  reached(Probe::source_paused);
  pause_ = kFirstPause;
  while (true) {
    GODWIT_ASSIGN(Target target, wait_for_target());
    last_ = target.address;
    auto resumed = or_exhausted([&] { return attempt(postcopy, std::move(target)); });
    if (resumed && status.to(Status::postcopy_recover, Status::postcopy_active)) {
      reached(Probe::resumed);
      return {};
    }
    reached(Probe::resume_failed);
    if (!resumed) log::warn("{}", Error(resumed.error()).at(Side::source, "resuming").explain());
    session_.close_channels();
    status.to(Status::postcopy_recover, Status::postcopy_paused);
  }
}

Result<> Recovery::attempt(PostcopyPhase& postcopy, Target target) {
  if (target.channel) session_.channel.put(std::move(target.channel), session_.cancelled());
  GODWIT_TRY(connect(session_, target.address));
  if (!session_.context.status.to(Status::postcopy_paused, Status::postcopy_recover))
    return fail("The attempt is to end");
  return postcopy.resume();
}

bool Recovery::automatic() const {
  return session_.context.settings.parameters().postcopy_auto_recover && !channel::connects_at_once(last_) &&
         !session_.has(Capability::release_ram);
}

Result<Target> Recovery::wait_for_target() {
  while (!session_.cancelled()) {
    {
      std::lock_guard lock(mutex_);
      if (next_) return *std::exchange(next_, std::nullopt);
    }
    if (!automatic()) {
      session_.wake.wait();
      session_.wake.clear();
    } else if (session_.context.clock.wait_for(session_.wake, pause_)) {
      session_.wake.clear();
    } else {
      pause_ = std::min(2 * pause_, kLongestPause);
      return Target{.address = last_};
    }
  }
  return fail("The process ends");
}

}  // namespace godwit::engine

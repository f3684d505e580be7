#include "engine/incoming/recovery.h"

#include <utility>

#include "base/exhaustion.h"
#include "base/log.h"
#include "base/thread.h"

namespace godwit::engine {

void IncomingRecovery::start() {
  thread_ = start_thread("recover", [this](std::stop_token) {
    while (!listener_.ended()) {
      auto passed_on = or_exhausted([this]() -> Result<> {
        GODWIT_ASSIGN(auto channel, listener_.accept_from_any());
        connected_(std::move(channel));
        return {};
      });
      if (!passed_on && !listener_.ended())
        log::warn("a connection is dropped: {}",
                  Error(passed_on.error()).at(Side::destination, "postcopy").explain());
    }
  });
}

}  // namespace godwit::engine

#include "engine/incoming/recovery.h"

#include <utility>

#include "base/thread.h"

namespace godwit::engine {

void IncomingRecovery::start() {
  thread_ = start_thread("recover", [this](std::stop_token) {
    while (auto channel = listener_.accept_from_any()) connected_(*std::move(channel));
  });
}

}  // namespace godwit::engine

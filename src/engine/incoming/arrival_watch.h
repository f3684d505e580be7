// Looks at a source's first connection while its second one is waited for.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <thread>

#include <godwit/result.h>

#include "base/system.h"
#include "channel/channel.h"

namespace godwit::engine {

class ArrivalWatch {
 public:
  /// `give_up` is called, at most once, on the thread of this, when `first` breaks or `patience` is over.
  ArrivalWatch(const channel::Channel& first, std::chrono::milliseconds patience,
               std::function<void()> give_up);
  ~ArrivalWatch() { stop(); }

  /// Ends it. Why it has given up, if it has.
  std::optional<Error> stop();

 private:
  void watch(const channel::Channel& first, std::chrono::milliseconds patience);
  void end(Error why);

  WakeFd done_;
  std::function<void()> give_up_;
  std::optional<Error> why_;  ///< the thread's, until it has ended
  std::jthread thread_;       // last: it uses what is above
};

}  // namespace godwit::engine

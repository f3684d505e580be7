#include "engine/incoming/arrival_watch.h"

#include <array>
#include <fmt/format.h>
#include <poll.h>
#include <utility>

#include "base/thread.h"
#include "channel/wait.h"
#include "engine/probes.h"

namespace godwit::engine {

ArrivalWatch::ArrivalWatch(const channel::Channel& first, std::chrono::milliseconds patience,
                           std::function<void()> give_up)
    : give_up_(std::move(give_up)),
      thread_(start_thread(
          "arrival-watch", [this, &first, patience](std::stop_token) { watch(first, patience); },
          [this](Error error) { end(std::move(error)); })) {}

void ArrivalWatch::watch(const channel::Channel& first, std::chrono::milliseconds patience) {
  std::array<pollfd, 2> entries{{{done_.fd(), POLLIN, 0}, {first.read_descriptor(), POLLRDHUP, 0}}};
  const auto ready = channel::wait_for_any(entries, std::chrono::steady_clock::now() + patience);
  if (entries[0].revents != 0) return;
  end(!ready ? ready.error()
             : Error(*ready ? std::string("the source has closed its first connection")
                            : fmt::format("the source's second connection has not come within {} ms",
                                          patience.count()))
                   .advise("set the capability 'postcopy-preempt' on both sides"));
}

void ArrivalWatch::end(Error why) {
  why_ = std::move(why);
  reached(Probe::second_connection_missing);
  give_up_();
}

std::optional<Error> ArrivalWatch::stop() {
  done_.wake();
  if (thread_.joinable()) thread_.join();
  return why_;
}

}  // namespace godwit::engine

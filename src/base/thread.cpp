#include "base/thread.h"

#include <pthread.h>
#include <signal.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include "base/exhaustion.h"

namespace godwit {
namespace {

/// The mask is inherited, so it is set around a thread's creation: no instant in which the new one takes a
/// signal.
class AllSignalsBlocked {
 public:
  AllSignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~AllSignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  AllSignalsBlocked(const AllSignalsBlocked&) = delete;
  AllSignalsBlocked& operator=(const AllSignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

}  // namespace

std::jthread start_thread(std::string name, std::function<void(std::stop_token)> body,
                          OnExhaustion exhausted) {
  const AllSignalsBlocked inherited;
  try {
    return std::jthread(
        [name, body = std::move(body), exhausted = std::move(exhausted)](std::stop_token stop) {
          pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
          if (!exhausted) return body(std::move(stop));
          auto ran = or_exhausted([&]() -> Result<> {
            body(std::move(stop));
            return {};
          });
          if (!ran) exhausted(std::move(ran).error());
        });
  } catch (const std::system_error& error) {
    throw std::system_error(error.code(), "cannot start the thread '" + name + "'");
  }
}

int current_thread_id() {
  return static_cast<int>(gettid());
}

}  // namespace godwit

#include "base/thread.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>
#include <utility>

namespace godwit {

std::jthread start_thread(std::string name, std::function<void(std::stop_token)> body) {
  // The mask is inherited, so it is set around the creation: no instant in which the new thread takes a
  // signal.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::jthread thread([name = std::move(name), body = std::move(body)](std::stop_token stop) {
    pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
    body(std::move(stop));
  });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

int current_thread_id() {
  return static_cast<int>(gettid());
}

}  // namespace godwit

#include "channel/resolver.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <mutex>
#include <netdb.h>
#include <thread>

#include "base/fail.h"
#include "base/system.h"
#include "base/thread.h"
#include "channel/wait.h"

namespace godwit::channel {
namespace {

/// What getaddrinfo() is asked, and its answer.
struct Lookup {
  std::string host;
  std::string port;
  bool any_host = false;
  addrinfo hints{};

  int status = 0;  // of getaddrinfo()
  int error_number = 0;
  std::vector<SocketAddress> found{};

  void run(int extra_flags) {
    addrinfo asked = hints;
    asked.ai_flags |= extra_flags;
    addrinfo* list = nullptr;
    status = ::getaddrinfo(any_host ? nullptr : host.c_str(), port.c_str(), &asked, &list);
    error_number = errno;
    if (status != 0) return;
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned(list, &::freeaddrinfo);
    for (const addrinfo* entry = list; entry; entry = entry->ai_next) {
      SocketAddress address;
      std::memcpy(&address.storage, entry->ai_addr, entry->ai_addrlen);
      address.length = entry->ai_addrlen;
      found.push_back(address);
    }
  }
};

/// A lookup on a thread of its own. Shared with that thread, so that it can be given up.
struct BackgroundLookup {
  Lookup lookup;
  std::atomic<bool> done{false};
  WakeFd finished;
};

/// Owns the threads of lookups that nobody waits for any more.
class AbandonedLookups {
 public:
  static AbandonedLookups& instance() {
    static AbandonedLookups lookups;
    return lookups;
  }
  void add(std::shared_ptr<BackgroundLookup> lookup, std::jthread thread) {
    std::lock_guard lock(mutex_);
    entries_.push_back({std::move(lookup), std::move(thread)});
  }
  void join_finished() {
    std::lock_guard lock(mutex_);
    std::erase_if(entries_, [](const Entry& entry) { return entry.lookup->done.load(); });
  }

 private:
  struct Entry {
    std::shared_ptr<BackgroundLookup> lookup;
    std::jthread thread;
  };
  std::mutex mutex_;
  std::vector<Entry> entries_;
};

Result<Lookup> run_in_background(Lookup lookup, const Interrupt& interrupt) {
  AbandonedLookups::instance().join_finished();
  auto shared = std::make_shared<BackgroundLookup>(std::move(lookup));
  const auto finish = [shared] {
    shared->done.store(true);
    shared->finished.wake();
  };
  auto thread = start_thread(
      "name-lookup",
      [shared, finish](const std::stop_token&) {
        shared->lookup.run(0);
        finish();
      },
      [shared, finish](const Error&) {
        shared->lookup.status = EAI_MEMORY;
        finish();
      });
  pollfd entries[] = {{shared->finished.fd(), POLLIN, 0}, {interrupt.fd(), POLLIN, 0}};
  GODWIT_TRY(wait_for_any(entries));
  if (!shared->done.load()) {
    AbandonedLookups::instance().add(std::move(shared), std::move(thread));
    return fail("The connection attempt was cancelled");
  }
  thread.join();
  return std::move(shared->lookup);
}

Result<int> wanted_family(const Tcp& tcp, bool any_host) {
  if (tcp.ipv4 == false && tcp.ipv6 == false) return fail("Cannot disable IPv4 and IPv6 at same time");
  // Both asked for: all there is, or the one socket that serves both. One asked for, or the other one
  // refused: that one.
  if (tcp.ipv4.value_or(false) && tcp.ipv6.value_or(false)) return any_host ? AF_INET6 : AF_UNSPEC;
  if (tcp.ipv4.value_or(false) || tcp.ipv6 == false) return AF_INET;
  if (tcp.ipv6.value_or(false) || tcp.ipv4 == false) return AF_INET6;
  return AF_UNSPEC;
}

}  // namespace

Result<std::vector<SocketAddress>> resolve(const Tcp& tcp, Purpose purpose, const Interrupt* interrupt) {
  Lookup lookup;
  lookup.host = tcp.host;
  lookup.port = tcp.port;
  lookup.any_host = purpose == Purpose::listening && tcp.host.empty();
  GODWIT_ASSIGN(lookup.hints.ai_family, wanted_family(tcp, lookup.any_host));
  lookup.hints.ai_socktype = SOCK_STREAM;
  lookup.hints.ai_flags = purpose == Purpose::listening ? AI_PASSIVE : 0;
  if (tcp.numeric) lookup.hints.ai_flags |= AI_NUMERICHOST | AI_NUMERICSERV;

  lookup.run(AI_NUMERICHOST);  // never waits; fails with EAI_NONAME for names
  if (lookup.status == EAI_NONAME && !tcp.numeric) {
    if (interrupt) {
      GODWIT_ASSIGN(lookup, run_in_background(std::move(lookup), *interrupt));
    } else {
      lookup.run(0);
    }
  }
  if (lookup.status != 0) {
    const std::string reason =
        lookup.status == EAI_SYSTEM ? errno_text(lookup.error_number) : ::gai_strerror(lookup.status);
    return fail("address resolution failed for {}:{}: {}", tcp.host, tcp.port, reason);
  }
  return std::move(lookup.found);
}

}  // namespace godwit::channel

#include "engine/testing/cut_proxy.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

#include "base/thread.h"

namespace godwit::engine::testing {
namespace {

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  return address;
}

}  // namespace

CutProxy::CutProxy(const std::string& listen_path, std::string target_path)
    : target_path_(std::move(target_path)), listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const auto address = address_of(listen_path);
  ::unlink(listen_path.c_str());
  ::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  ::listen(listener_.get(), 4);
  thread_ = start_thread("cut-proxy", [this](const std::stop_token& stop) { run(stop); });
}

CutProxy::~CutProxy() {
  thread_.request_stop();
  wake_.wake();
}

void CutProxy::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    std::array<pollfd, 2> entries{{{listener_.get(), POLLIN, 0}, {wake_.fd(), POLLIN, 0}}};
    ::poll(entries.data(), entries.size(), -1);
    if (entries[1].revents) wake_.drain();
    if (!entries[0].revents) continue;
    const UniqueFd source(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    const UniqueFd target(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const auto address = address_of(target_path_);
    if (::connect(target.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) continue;
    cut_now_ = false;
    ++connections_;
    forward(source.get(), target.get(), stop);
    for (Direction* direction : {&to_target_, &to_source_}) {
      direction->seen.clear();
      if (direction->cut) direction->armed = false;
      direction->cut = false;
    }
  }
}

void CutProxy::forward(int source, int target, const std::stop_token& stop) {
  while (!stop.stop_requested() && !cut_now_ && !to_target_.cut && !to_source_.cut) {
    const bool carries = !stalled_;
    std::array<pollfd, 3> entries{
        {{carries ? source : -1, POLLIN, 0}, {carries ? target : -1, POLLIN, 0}, {wake_.fd(), POLLIN, 0}}};
    ::poll(entries.data(), entries.size(), -1);
    if (entries[2].revents) wake_.drain();
    if (entries[0].revents && !carry(source, target, to_target_)) return;
    if (entries[1].revents && !carry(target, source, to_source_)) return;
  }
}

std::size_t CutProxy::Direction::admit(std::span<const std::byte> fresh) {
  if (!armed) return fresh.size();
  const std::size_t passed = seen.size();
  seen.insert(seen.end(), fresh.begin(), fresh.end());
  const auto found = std::ranges::search(seen, pattern);
  if (found.empty() && !pattern.empty()) return fresh.size();
  const auto limit = static_cast<std::uint64_t>(found.begin() - seen.begin()) + count;
  if (limit > seen.size()) return fresh.size();
  cut = true;
  return limit > passed ? static_cast<std::size_t>(limit) - passed : 0;
}

/// False: one of the two has closed its end.
bool CutProxy::carry(int from, int to, Direction& direction) {
  std::array<std::byte, 65536> buffer;
  const ssize_t got = ::read(from, buffer.data(), buffer.size());
  if (got <= 0) return false;
  const std::size_t length = direction.admit(std::span(buffer).first(static_cast<std::size_t>(got)));
  for (std::size_t done = 0; done < length;) {
    const ssize_t put = ::send(to, buffer.data() + done, length - done, MSG_NOSIGNAL);
    if (put <= 0) return false;
    done += static_cast<std::size_t>(put);
  }
  return true;
}

}  // namespace godwit::engine::testing

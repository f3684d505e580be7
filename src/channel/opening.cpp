#include "channel/opening.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <poll.h>
#include <string_view>
#include <sys/socket.h>

#include "base/fail.h"
#include "base/system.h"
#include "channel/wait.h"

namespace godwit::channel {
namespace {

/// A part of an opening keeps the socket readable: how often to look whether the rest has come.
constexpr std::chrono::milliseconds kLookAgain{20};

}  // namespace

Result<> await_opening(Channel& channel, const Opening& opening, const Interrupt& interrupt) {
  const int socket = channel.read_descriptor();
  const auto deadline = std::chrono::steady_clock::now() + opening.patience;
  std::array<char, 16> bytes;
  for (;;) {
    std::array<pollfd, 2> entries{{{socket, POLLIN | POLLRDHUP, 0}, {interrupt.fd(), POLLIN, 0}}};
    GODWIT_ASSIGN(const bool ready, wait_for_any(entries, deadline));
    if (interrupt.interrupted()) return fail("the connection is not wanted any more");
    if (!ready) return fail("it has sent nothing for {} ms", opening.patience.count());
    const ssize_t count = ::recv(socket, bytes.data(), bytes.size(), MSG_PEEK | MSG_DONTWAIT);
    const bool closed = entries[0].revents & (POLLRDHUP | POLLHUP);  // a look never comes to the end
    if (count < 0 && errno != EAGAIN && errno != EINTR) return system_error("it cannot be read from", errno);
    const std::string_view shown(bytes.data(), static_cast<std::size_t>(std::max<ssize_t>(0, count)));
    if (std::ranges::any_of(opening.any_of, [&](const auto& whole) { return shown.starts_with(whole); }))
      return {};
    for (const auto& [refused, reason] : opening.none_of)
      if (shown.starts_with(refused)) return fail("{}", reason);
    if (std::ranges::none_of(opening.any_of, [&](const auto& whole) { return whole.starts_with(shown); }))
      return fail("what it sends is not a migration stream");
    if (count == 0 || closed) return fail("it has closed the connection");
    if (std::chrono::steady_clock::now() >= deadline)
      return fail("it has sent a part of a header, and no more");
    std::array<pollfd, 1> ended{{{interrupt.fd(), POLLIN, 0}}};
    GODWIT_TRY(wait_for_any(ended, std::chrono::steady_clock::now() + kLookAgain));
  }
}

}  // namespace godwit::channel

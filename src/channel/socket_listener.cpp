#include "channel/socket_listener.h"

#include <cerrno>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include "base/fail.h"
#include "base/log.h"
#include "channel/descriptor_flags.h"
#include "channel/socket_channel.h"
#include "channel/wait.h"

namespace godwit::channel {
namespace {

std::unexpected<Error> was_closed() {
  return fail("The listener was closed");
}

/// Whether accept() failed because of one connection, or of nothing: the next one may do.
bool concerns_one_connection(int error_number) {
  switch (error_number) {
    case EAGAIN:
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
      return true;
    default:
      return false;
  }
}

/// Nothing tells when there is room again.
constexpr std::chrono::milliseconds kOutOfResources{100};

/// Whether the process or the machine has run out of something that others give back.
bool is_for_now(int error_number) {
  return error_number == EMFILE || error_number == ENFILE || error_number == ENOBUFS ||
         error_number == ENOMEM;
}

}  // namespace

/// close() waits until it is left, whatever for.
class SocketListener::Accepting {
 public:
  explicit Accepting(SocketListener& listener) : listener_(listener) {}
  ~Accepting() {
    std::lock_guard lock(listener_.mutex_);
    listener_.accepting_ = false;
    listener_.accept_left_.notify_all();
  }
  Accepting(const Accepting&) = delete;
  Accepting& operator=(const Accepting&) = delete;

 private:
  SocketListener& listener_;
};

SocketListener::SocketListener(std::vector<UniqueFd> sockets) : sockets_(std::move(sockets)) {
  for (const UniqueFd& socket : sockets_) {
    set_blocking(socket.get(), false);  // a connection may be gone again between poll() and accept()
    addresses_.insert(addresses_.begin(), listening_address(socket.get()));
  }
}

void SocketListener::own_path(std::string path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return;
  path_device_ = status.st_dev;
  path_inode_ = status.st_ino;
  std::lock_guard lock(mutex_);
  own_path_ = std::move(path);
}

Result<std::unique_ptr<Channel>> SocketListener::accept() {
  std::vector<pollfd> entries{{wake_.fd(), POLLIN, 0}};
  {
    std::lock_guard lock(mutex_);
    if (closed_) return was_closed();
    for (const UniqueFd& socket : sockets_) entries.push_back({socket.get(), POLLIN, 0});
    accepting_ = true;
  }
  auto connection = [&] {
    const Accepting leaves(*this);
    return accept_one(entries);
  }();
  {
    std::lock_guard lock(mutex_);
    if (closed_) return was_closed();
  }
  GODWIT_ASSIGN(auto socket, std::move(connection));
  return std::make_unique<SocketChannel>(std::move(socket), "", SocketChannel::Origin::own);
}

Result<UniqueFd> SocketListener::accept_one(std::vector<pollfd>& entries) {
  for (;;) {
    GODWIT_TRY(wait_for_any(entries));
    if (entries.front().revents) return was_closed();
    for (const pollfd& entry : std::span(entries).subspan(1)) {
      if (!entry.revents) continue;
      UniqueFd connection(::accept4(entry.fd, nullptr, nullptr, SOCK_CLOEXEC));
      if (connection) return connection;
      if (is_for_now(errno)) {
        if (!std::exchange(warned_, true))
          log::warn("a connection waits for descriptors or memory: {}", errno_text(errno));
        GODWIT_TRY(
            wait_for_any(std::span(entries).first(1), std::chrono::steady_clock::now() + kOutOfResources));
        break;
      }
      if (!concerns_one_connection(errno)) return system_error("Unable to accept a connection", errno);
    }
  }
}

void SocketListener::close() noexcept {
  std::unique_lock lock(mutex_);
  closed_ = true;
  wake_.wake();
  accept_left_.wait(lock, [this] { return !accepting_; });
  if (!sockets_.empty()) remove_path();
  sockets_.clear();
  addresses_.clear();
}

void SocketListener::remove_path() noexcept {
  struct stat status{};
  if (own_path_.empty() || ::stat(own_path_.c_str(), &status) != 0) return;
  if (status.st_dev == path_device_ && status.st_ino == path_inode_) ::unlink(own_path_.c_str());
}

std::vector<ListeningAddress> SocketListener::addresses() const {
  std::lock_guard lock(mutex_);
  return addresses_;
}

}  // namespace godwit::channel

#include "channel/listener.h"

#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <mutex>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include "base/clock.h"
#include "base/fail.h"
#include "channel/command_channel.h"
#include "channel/open_channel.h"
#include "channel/socket_listener.h"

namespace godwit::channel {
namespace {

/// Gives the one channel that there is (or the reason why there is none) and then waits to be closed.
class SingleListener final : public Listener {
 public:
  explicit SingleListener(Result<std::unique_ptr<Channel>> channel) : channel_(std::move(channel)) {}
  ~SingleListener() override { close(); }

  Result<std::unique_ptr<Channel>> accept() override {
    {
      std::lock_guard lock(mutex_);
      if (!taken_ && !closed_.is_set()) {
        taken_ = true;
        return std::move(channel_);
      }
    }
    closed_.wait();
    return fail("The listener was closed");
  }

  void close() noexcept override { closed_.set(); }
  std::vector<ListeningAddress> addresses() const override { return {}; }
  bool multi_channel() const override { return false; }

 private:
  std::mutex mutex_;
  Result<std::unique_ptr<Channel>> channel_;  // guarded by mutex_
  bool taken_ = false;                        // guarded by mutex_
  Event closed_;
};

bool is_listening(int fd) {
  int listening = 0;
  socklen_t length = sizeof listening;
  return ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) == 0 && listening != 0;
}

/// Takes over a descriptor that this process was started with. What the process has opened itself is
/// close-on-exec, and must not be taken by a number that somebody made up.
Result<UniqueFd> take_inherited(int number) {
  const int flags = ::fcntl(number, F_GETFD);
  if (flags < 0) return fail("File descriptor {} is not open", number);
  if (flags & FD_CLOEXEC) return fail("File descriptor {} was not inherited", number);
  if (number <=
      STDERR_FILENO) {  // these numbers stay in use, or the next file opened would become standard output
    UniqueFd copy(::fcntl(number, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
    if (!copy) return system_error("cannot duplicate a descriptor", errno);
    return copy;
  }
  ::fcntl(number, F_SETFD, flags | FD_CLOEXEC);
  return UniqueFd(number);
}

Result<int> parse_descriptor_number(const std::string& text) {
  int number = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data(), end, number);
  if (problem != std::errc{} || stop != end) return fail("Invalid file descriptor number '{}'", text);
  return number;
}

Result<std::unique_ptr<Listener>> listen_descriptor(UniqueFd descriptor, const std::string& name) {
  if (is_listening(descriptor.get())) {
    std::vector<UniqueFd> sockets;
    sockets.push_back(std::move(descriptor));
    return std::make_unique<SocketListener>(std::move(sockets));
  }
  GODWIT_ASSIGN(auto channel, open_descriptor(std::move(descriptor), name, Direction::incoming));
  return std::make_unique<SingleListener>(std::move(channel));
}

Result<std::unique_ptr<Listener>> listen_fd(const Fd& fd, DescriptorSource& descriptors) {
  if (fd.name.empty() || fd.name[0] < '0' || fd.name[0] > '9') {
    GODWIT_ASSIGN(auto descriptor, descriptors.take_named(fd.name));
    return listen_descriptor(std::move(descriptor), fd.name);
  }
  GODWIT_ASSIGN(const int number, parse_descriptor_number(fd.name));
  auto descriptor = take_inherited(number);
  if (!descriptor) return std::make_unique<SingleListener>(std::unexpected(std::move(descriptor).error()));
  auto listener = listen_descriptor(*std::move(descriptor), fd.name);
  if (!listener) return std::make_unique<SingleListener>(std::unexpected(std::move(listener).error()));
  return listener;
}

struct ListenerMaker {
  DescriptorSource& descriptors;
  int backlog;

  Result<std::unique_ptr<Listener>> operator()(const Tcp& tcp) const { return listen_tcp(tcp, backlog); }
  Result<std::unique_ptr<Listener>> operator()(const Unix& unix_) const {
    return listen_unix(unix_, backlog);
  }
  Result<std::unique_ptr<Listener>> operator()(const Vsock& vsock) const {
    return listen_vsock(vsock, backlog);
  }
  Result<std::unique_ptr<Listener>> operator()(const Fd& fd) const { return listen_fd(fd, descriptors); }
  Result<std::unique_ptr<Listener>> operator()(const Exec& exec) const {
    GODWIT_ASSIGN(auto channel, CommandChannel::start(exec.command));
    return std::make_unique<SingleListener>(std::move(channel));
  }
  Result<std::unique_ptr<Listener>> operator()(const File& file) const {
    GODWIT_ASSIGN(auto channel, open_file(file, descriptors, Direction::incoming));
    return std::make_unique<SingleListener>(std::move(channel));
  }
  Result<std::unique_ptr<Listener>> operator()(const Rdma&) const { return rdma_is_missing(); }
};

}  // namespace

Result<std::unique_ptr<Listener>> listen(const Address& address, DescriptorSource& descriptors, int backlog) {
  return std::visit(ListenerMaker{descriptors, backlog}, address);
}

}  // namespace godwit::channel

#include "cli/testing/scripted_peer.h"

#include <cstring>
#include <fcntl.h>
#include <stdexcept>
#include <sys/socket.h>
#include <utility>

#include "base/thread.h"

namespace godwit::cli {

void ScriptedPeer::Stage::send(const std::string& bytes) {
  std::string_view rest = bytes;
  while (!rest.empty()) {
    const ssize_t sent = ::send(fd_, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;
    rest.remove_prefix(static_cast<std::size_t>(sent));
  }
}

std::string ScriptedPeer::Stage::line() {
  for (;;) {
    if (const auto end = pending_.find('\n'); end != std::string::npos) {
      auto line = pending_.substr(0, end + 1);
      pending_.erase(0, end + 1);
      return line;
    }
    char bytes[65536];
    iovec vector{bytes, sizeof bytes};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    msghdr message{};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t got = ::recvmsg(fd_, &message, MSG_CMSG_CLOEXEC);
    if (got <= 0) return {};
    if (const cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr && header->cmsg_type == SCM_RIGHTS)
      std::memcpy(&descriptor_, CMSG_DATA(header), sizeof descriptor_);
    pending_.append(bytes, static_cast<std::size_t>(got));
  }
}

ScriptedPeer::ScriptedPeer(std::function<void(Stage&)> script) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    throw std::runtime_error("no socket pair");
  end_.reset(ends[0]);
  other_end_.reset(ends[1]);
  ::fcntl(other_end_.get(), F_SETFL, O_NONBLOCK);
  thread_ = start_thread("scripted-peer", [fd = end_.get(), script = std::move(script)](std::stop_token) {
    Stage stage(fd);
    script(stage);
    ::shutdown(fd, SHUT_RDWR);
  });
}

ScriptedPeer::~ScriptedPeer() {
  ::shutdown(end_.get(), SHUT_RDWR);
}

}  // namespace godwit::cli

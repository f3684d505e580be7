#include "qmp/raw_io.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

namespace godwit::qmp {
namespace {

constexpr std::size_t most_descriptors = 253;  // the kernel's limit for one message

Transfer classify(ssize_t result) {
  if (result > 0) return {Transfer::Outcome::moved, static_cast<std::size_t>(result)};
  if (result == 0) return {Transfer::Outcome::ended};
  const bool again = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
  return {again ? Transfer::Outcome::would_block : Transfer::Outcome::failed};
}

void collect_descriptors(msghdr& message, std::vector<UniqueFd>& passed) {
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t index = 0; index < count; ++index) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + index * sizeof fd, sizeof fd);
      passed.emplace_back(fd);
    }
  }
}

Transfer receive(int fd, std::span<char> into, std::vector<UniqueFd>& passed) {
  alignas(cmsghdr) char control[CMSG_SPACE(most_descriptors * sizeof(int))];
  iovec part{into.data(), into.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  passed.reserve(most_descriptors);  // once they are here they need an owner
  const ssize_t result = ::recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  const Transfer transfer = classify(result);
  if (result >= 0) collect_descriptors(message, passed);
  return transfer;
}

}  // namespace

bool is_socket(int fd) {
  struct stat status{};
  return ::fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
}

Transfer read_some(int fd, bool socket, std::span<char> into, std::vector<UniqueFd>& passed) {
  if (socket) return receive(fd, into, passed);
  return classify(::read(fd, into.data(), into.size()));
}

Transfer write_some(int fd, bool socket, std::string_view bytes) {
  const ssize_t result = socket ? ::send(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL)
                                : ::write(fd, bytes.data(), bytes.size());
  return classify(result);
}

}  // namespace godwit::qmp

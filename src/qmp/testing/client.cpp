#include "qmp/testing/client.h"

#include <boost/json.hpp>
#include <cerrno>
#include <cstring>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include "qmp/sockets.h"

namespace godwit::qmp::testing {

Client Client::connect(const std::string& address) {
  auto endpoint = parse_endpoint(address);
  EXPECT_TRUE(endpoint) << address;
  auto fd = std::holds_alternative<UnixEndpoint>(*endpoint) ? connect_to(std::get<UnixEndpoint>(*endpoint))
                                                            : connect_to(std::get<TcpEndpoint>(*endpoint));
  EXPECT_TRUE(fd) << address;
  return Client(fd ? *std::move(fd) : UniqueFd());
}

Client Client::ready(const std::string& address, bool oob) {
  Client client = connect(address);
  EXPECT_TRUE(client.receive().contains("QMP"));
  const auto reply = client.ask(oob ? R"({"execute":"qmp_capabilities","arguments":{"enable":["oob"]}})"
                                    : R"({"execute":"qmp_capabilities"})");
  EXPECT_TRUE(reply.contains("return"));
  return client;
}

void Client::send(std::string_view bytes, const std::vector<int>& descriptors) {
  std::vector<char> control(CMSG_SPACE(descriptors.size() * sizeof(int)));
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!descriptors.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
    std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size() * sizeof(int));
  }
  while (part.iov_len > 0) {
    const ssize_t sent = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
    if (sent <= 0) return;  // the other side has gone: the test sees it when it reads
    part.iov_base = static_cast<char*>(part.iov_base) + sent;
    part.iov_len -= static_cast<std::size_t>(sent);
    message.msg_control = nullptr;
    message.msg_controllen = 0;
  }
}

std::size_t Client::send_what_fits(std::string_view bytes) {
  const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  return sent > 0 ? static_cast<std::size_t>(sent) : 0;
}

bool Client::wait_readable() {
  pollfd query{socket_.get(), POLLIN, 0};
  const auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(deadline);
  return ::poll(&query, 1, static_cast<int>(limit.count())) > 0;
}

std::optional<std::string> Client::line() {
  for (;;) {
    if (const std::size_t end = received_.find("\r\n"); end != std::string::npos) {
      std::string text = received_.substr(0, end);
      received_.erase(0, end + 2);
      return text;
    }
    char chunk[65536];
    if (!wait_readable()) {
      ADD_FAILURE() << "the monitor says nothing";
      return std::nullopt;
    }
    const ssize_t got = ::recv(socket_.get(), chunk, sizeof chunk, 0);
    if (got <= 0) return std::nullopt;
    received_.append(chunk, static_cast<std::size_t>(got));
  }
}

boost::json::object Client::receive() {
  const auto text = line();
  if (!text) {
    ADD_FAILURE() << "no message from the monitor";
    return {};
  }
  return boost::json::parse(*text).as_object();
}

boost::json::object Client::reply() {
  for (;;) {
    boost::json::object message = receive();
    if (!message.contains("event")) return message;
  }
}

boost::json::object Client::ask(std::string_view request) {
  send(request);
  return reply();
}

bool Client::silent() {
  char byte;
  return received_.empty() && ::recv(socket_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

bool Client::closed_by_peer() {
  while (wait_readable()) {
    char chunk[65536];
    if (::recv(socket_.get(), chunk, sizeof chunk, 0) <= 0) return true;
  }
  return false;
}

void Client::finish_sending() {
  ::shutdown(socket_.get(), SHUT_WR);
}

}  // namespace godwit::qmp::testing

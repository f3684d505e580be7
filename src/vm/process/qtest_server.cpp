#include "vm/process/qtest_server.h"

#include <array>
#include <cerrno>
#include <sys/socket.h>

#include "base/log.h"
#include "base/thread.h"
#include "qmp/sockets.h"
#include "vm/process/qtest_protocol.h"

namespace godwit::vm {

namespace {

class MachineBus final : public QtestBus {
 public:
  explicit MachineBus(Machine& machine) : machine_(machine) {}
  void read_memory(std::uint64_t address, std::span<std::byte> into) override {
    machine_.read_memory(address, into);
  }
  void write_memory(std::uint64_t address, std::span<const std::byte> from) override {
    machine_.write_memory(address, from);
  }
  std::uint32_t read_port(std::uint16_t port, unsigned size) override {
    return machine_.read_port(port, size);
  }
  void write_port(std::uint16_t port, unsigned size, std::uint32_t value) override {
    machine_.write_port(port, size, value);
  }

 private:
  Machine& machine_;
};

bool send_all(int socket, std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = ::send(socket, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

void serve(int socket, Machine& machine) {
  MachineBus bus(machine);
  QtestProtocol protocol(bus, [socket](std::string_view piece) { return send_all(socket, piece); });
  std::array<char, 64 * 1024> buffer;
  while (true) {
    const ssize_t got = ::recv(socket, buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return;
    protocol.receive({buffer.data(), static_cast<std::size_t>(got)});
  }
}

}  // namespace

Result<std::unique_ptr<QtestServer>> QtestServer::connect(const std::string& path, Machine& machine) {
  auto socket = qmp::connect_to(qmp::UnixEndpoint{path, std::nullopt});
  if (!socket) return std::unexpected(std::move(socket).error().in("qtest"));
  return std::unique_ptr<QtestServer>(new QtestServer(*std::move(socket), machine));
}

QtestServer::QtestServer(UniqueFd socket, Machine& machine) : socket_(std::move(socket)) {
  thread_ = start_thread(
      "qtest", [fd = socket_.get(), &machine](const std::stop_token&) { serve(fd, machine); },
      [this](const Error& error) {
        log::error("qtest: {}", error.what());
        stop();
      });
}

QtestServer::~QtestServer() {
  stop();
}

void QtestServer::stop() noexcept {
  ::shutdown(socket_.get(), SHUT_RDWR);
}

}  // namespace godwit::vm

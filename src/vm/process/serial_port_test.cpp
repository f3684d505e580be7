#include "vm/process/serial_port.h"

#include <boost/asio/executor_work_guard.hpp>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <poll.h>
#include <sstream>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/testing/shortage.h"
#include "base/testing/temporary_directory.h"
#include "base/thread.h"

namespace godwit::vm {
namespace {

using Kind = ChardevConfig::Kind;

class SerialPortTest : public testing::Test {
 protected:
  std::unique_ptr<SerialPort> open(Kind kind, bool server = false, bool append = false) {
    ChardevConfig config;
    config.id = "c";
    config.kind = kind;
    config.path = path();
    config.server = server;
    config.wait = server;
    config.append = append;
    auto port = SerialPort::open(config, loop_);
    if (port) return *std::move(port);
    ADD_FAILURE() << port.error().what();
    return nullptr;
  }
  std::string path() const { return folder_.file("port"); }
  std::string contents() const {
    std::ifstream file(path());
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }
  static void transmit(SerialPort& port, std::string_view text) {
    for (const char c : text) port.transmit(static_cast<std::uint8_t>(c));
  }
  static std::string receive(int fd, std::size_t size) {
    std::string text(size, '\0');
    const ssize_t got = ::recv(fd, text.data(), size, MSG_WAITALL);
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return text;
  }

  boost::asio::io_context loop_;
  test::TemporaryDirectory folder_;
};

TEST_F(SerialPortTest, AFileIsTruncatedAtOnceAndHasEachByteAtOnce) {
  std::ofstream(path()) << "old";
  const auto port = open(Kind::file);
  EXPECT_EQ(contents(), "");
  port->transmit('a');
  EXPECT_EQ(contents(), "a");
  port->transmit('\n');
  EXPECT_EQ(contents(), "a\n");
}

TEST_F(SerialPortTest, AFileCanBeAppendedTo) {
  std::ofstream(path()) << "old";
  const auto port = open(Kind::file, false, true);
  transmit(*port, "new");
  EXPECT_EQ(contents(), "oldnew");
}

TEST_F(SerialPortTest, AFileThatCannotBeMadeIsNamed) {
  ChardevConfig config;
  config.kind = Kind::file;
  config.path = "/nonexistent/x";
  EXPECT_EQ(SerialPort::open(config, loop_).error().what(),
            "Could not open '/nonexistent/x': No such file or directory");
}

TEST_F(SerialPortTest, NullTakesEverything) {
  const auto port = open(Kind::null);
  transmit(*port, "nobody hears this");
  EXPECT_FALSE(port->awaits_client());
}

TEST_F(SerialPortTest, AServerServesOneClientAfterTheOther) {
  const auto port = open(Kind::unix_socket, true);
  std::string typed;
  port->start([&](std::span<const std::uint8_t> bytes) { typed.append(bytes.begin(), bytes.end()); }, {});
  EXPECT_TRUE(port->awaits_client());
  transmit(*port, "lost");
  for (const std::string name : {"one", "two"}) {
    auto client = qmp::connect_to(qmp::UnixEndpoint{path(), std::nullopt});
    ASSERT_TRUE(client);
    typed.clear();
    ASSERT_EQ(::send(client->get(), name.data(), name.size(), 0), static_cast<ssize_t>(name.size()));
    while (typed != name) loop_.run_one();
    EXPECT_FALSE(port->awaits_client());
    transmit(*port, "hello");
    EXPECT_EQ(receive(client->get(), 5), "hello");
    client->reset();
    loop_.run_one();  // notices
  }
}

TEST_F(SerialPortTest, TheSocketFileGoesWithThePort) {
  open(Kind::unix_socket, true).reset();
  EXPECT_FALSE(std::filesystem::exists(path()));
}

TEST_F(SerialPortTest, APeerThatReadsLateGetsWhatWaited) {
  auto listener = qmp::listen_on(qmp::UnixEndpoint{path(), qmp::Listening{}});
  ASSERT_TRUE(listener);
  const auto port = open(Kind::unix_socket);
  auto peer = qmp::accept_client(listener->fd.get());
  ASSERT_TRUE(peer && *peer);
  ::fcntl(peer->get(), F_SETFL, 0);
  int room = 0;
  socklen_t size = sizeof room;
  ASSERT_EQ(::getsockopt(peer->get(), SOL_SOCKET, SO_RCVBUF, &room, &size), 0);
  // Every byte is a message of its own, and takes far more room than its length: the socket is full long
  // before.
  const std::size_t count = SerialPort::backlog_limit;
  for (std::size_t i = 0; i < count; ++i) port->transmit(static_cast<std::uint8_t>(i % 251));
  std::string got;
  while (got.size() < count) {
    loop_.poll();
    pollfd readable{peer->get(), POLLIN, 0};
    if (::poll(&readable, 1, 0) == 1) got += receive(peer->get(), 1);
  }
  for (std::size_t i = 0; i < count; ++i) ASSERT_EQ(static_cast<std::uint8_t>(got[i]), i % 251) << i;
}

TEST_F(SerialPortTest, APeerThatNeverReadsCostsNoMemory) {
  auto listener = qmp::listen_on(qmp::UnixEndpoint{path(), qmp::Listening{}});
  ASSERT_TRUE(listener);
  const auto port = open(Kind::unix_socket);
  auto peer = qmp::accept_client(listener->fd.get());
  ASSERT_TRUE(peer && *peer);
  for (int i = 0; i < 1'000'000; ++i) port->transmit('x');
  loop_.poll();
  std::size_t got = 0;
  char buffer[65536];
  while (true) {
    const ssize_t size = ::recv(peer->get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (size <= 0 && loop_.poll() == 0) break;
    if (size > 0) got += static_cast<std::size_t>(size);
  }
  EXPECT_GT(got, 0u);
  EXPECT_LT(got, 1'000'000u);
}

TEST_F(SerialPortTest, AVcpuWithoutMemoryLosesNothing) {
  for (std::uint64_t n = 1;; ++n) {
    ::unlink(path().c_str());
    ASSERT_EQ(::mkfifo(path().c_str(), 0600), 0);
    const UniqueFd reader(::open(path().c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    const auto port = open(Kind::file);
    std::size_t sent = 0;
    bool happened = false;
    start_thread("vcpu0", [&](std::stop_token) {
      const test::MemoryShortage shortage("vcpu0", n);
      for (; port->has_room(); ++sent) port->transmit(static_cast<std::uint8_t>(sent));
      happened = shortage.happened();
    });
    std::size_t got = 0;
    char buffer[65536];
    while (got < sent) {
      const ssize_t size = ::read(reader.get(), buffer, sizeof buffer);
      for (ssize_t i = 0; i < size; ++i, ++got)
        ASSERT_EQ(static_cast<std::uint8_t>(buffer[i]), static_cast<std::uint8_t>(got));
      loop_.restart();
      loop_.poll();
    }
    loop_.restart();
    loop_.poll();  // what was posted is the port's
    if (happened) continue;
    EXPECT_GT(n, 1u) << "it allocates nothing at all: is that its name?";
    return;
  }
}

TEST_F(SerialPortTest, AFifoThatNobodyEmptiesHoldsNobodyAndLosesNothing) {
  const auto keep_running = boost::asio::make_work_guard(loop_);
  ASSERT_EQ(::mkfifo(path().c_str(), 0600), 0);
  const UniqueFd reader(::open(path().c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  ASSERT_TRUE(reader);
  const auto port = open(Kind::file);
  int readies = 0;
  port->start({}, [&] { ++readies; });
  std::size_t sent = 0;
  const auto fill = [&] {
    while (port->has_room()) port->transmit(static_cast<std::uint8_t>(sent++ % 251));
  };
  fill();
  port->transmit(static_cast<std::uint8_t>(sent++ % 251));
  std::string got;
  char buffer[65536];
  while (readies < 3) {
    const ssize_t size = ::read(reader.get(), buffer, sizeof buffer);
    if (size > 0) got.append(buffer, static_cast<std::size_t>(size));
    const int before = readies;
    loop_.poll();
    if (readies == before) continue;
    EXPECT_TRUE(port->has_room());
    fill();
  }
  const auto read_all = [&] {
    for (ssize_t size; (size = ::read(reader.get(), buffer, sizeof buffer)) > 0;)
      got.append(buffer, static_cast<std::size_t>(size));
  };
  read_all();  // makes room for what waits
  port->finish(Milliseconds(60'000));
  read_all();
  ASSERT_EQ(got.size(), sent);
  for (std::size_t i = 0; i < sent; ++i) ASSERT_EQ(static_cast<std::uint8_t>(got[i]), i % 251) << i;
}

TEST_F(SerialPortTest, WaitsForThePeerOnlySoLongAtTheEnd) {
  ASSERT_EQ(::mkfifo(path().c_str(), 0600), 0);
  const UniqueFd reader(::open(path().c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  const auto port = open(Kind::file);
  while (port->has_room()) port->transmit('x');
  port->finish(Milliseconds(1));
  EXPECT_FALSE(port->has_room());
}

TEST_F(SerialPortTest, AClientThatLeavesMakesRoom) {
  const auto keep_running = boost::asio::make_work_guard(loop_);
  const auto port = open(Kind::unix_socket, true);
  bool ready = false;
  port->start([](std::span<const std::uint8_t>) {}, [&] { ready = true; });
  auto client = qmp::connect_to(qmp::UnixEndpoint{path(), std::nullopt});
  ASSERT_TRUE(client);
  while (port->awaits_client()) loop_.run_one();
  while (port->has_room()) port->transmit('x');
  client->reset();
  while (!ready) loop_.run_one();
  EXPECT_TRUE(port->has_room());
}

}  // namespace
}  // namespace godwit::vm

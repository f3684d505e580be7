// What the tests of this layer share.
#pragma once

#include <atomic>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <random>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "base/fail.h"
#include "base/thread.h"
#include "channel/connector.h"
#include "channel/listener.h"

namespace godwit::channel {

using Bytes = std::vector<std::byte>;
constexpr std::size_t mebibyte = 1048576;

inline Bytes random_bytes(std::size_t size, unsigned seed) {
  std::mt19937_64 random(seed);
  Bytes bytes(size);
  for (auto& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

/// Descriptors that a test handed over.
class TestDescriptors final : public DescriptorSource {
 public:
  std::map<std::string, UniqueFd, std::less<>> named;
  std::map<std::string, UniqueFd, std::less<>> sets;

  Result<UniqueFd> take_named(std::string_view name) override {
    const auto found = named.find(name);
    if (found == named.end()) return fail("File descriptor named '{}' has not been found", name);
    UniqueFd fd = std::move(found->second);
    named.erase(found);
    return fd;
  }
  Result<UniqueFd> open_fdset(std::string_view path, int) override {
    const auto found = sets.find(path);
    if (found == sets.end()) return fail("no set {}", path);
    return found->second.duplicate();
  }
};

/// A directory of its own, and the certainty that a test leaves no descriptor open and no child behind.
class ChannelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/godwit-channel-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    directory_ = name;
    open_before_ = open_descriptors();
  }
  void TearDown() override {
    descriptors_.named.clear();
    descriptors_.sets.clear();
    EXPECT_EQ(open_descriptors(), open_before_);
    std::filesystem::remove_all(directory_);
  }

  static std::size_t open_descriptors() {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
    return count;
  }
  std::string path(const std::string& name) const { return directory_ + "/" + name; }

  Result<std::unique_ptr<Channel>> connect_to(const std::string& uri) {
    GODWIT_ASSIGN(const auto address, parse_address(uri, Direction::outgoing));
    return connect(address, descriptors_, interrupt_);
  }
  Result<std::unique_ptr<Listener>> listen_on(const std::string& uri, int backlog = 8) {
    GODWIT_ASSIGN(const auto address, parse_address(uri, Direction::incoming));
    return listen(address, descriptors_, backlog);
  }
  std::string connect_error(const std::string& uri) {
    auto channel = connect_to(uri);
    return channel ? "no error" : channel.error().what();
  }
  std::string listen_error(const std::string& uri) {
    auto listener = listen_on(uri);
    return listener ? "no error" : listener.error().what();
  }

  TestDescriptors descriptors_;
  Interrupt interrupt_;
  std::size_t open_before_ = 0;  ///< descriptors, when the test began

 private:
  std::string directory_;
};

/// A call on a thread of its own that is expected to block until something else happens.
class BlockedCall {
 public:
  explicit BlockedCall(std::function<void()> call)
      : thread_(start_thread("blocked-call", [this, call = std::move(call)](const std::stop_token&) {
          id_.store(current_thread_id());
          call();
        })) {}

  /// Returns once the kernel says that the thread sleeps.
  void wait_until_asleep() const {
    while (id_.load() == 0) std::this_thread::yield();
    const std::string stat = "/proc/self/task/" + std::to_string(id_.load()) + "/stat";
    for (;;) {
      std::ifstream file(stat);
      std::string line;
      if (!std::getline(file, line)) return;  // it is over already
      if (line.compare(line.rfind(')') + 2, 1, "S") == 0) return;
      std::this_thread::yield();
    }
  }
  void join() { thread_.join(); }

 private:
  std::atomic<int> id_{0};
  std::jthread thread_;
};

struct ConnectedPair {
  std::unique_ptr<Channel> source;
  std::unique_ptr<Channel> destination;
};

/// The URI under which a listener can be reached.
inline std::string uri_of(const ListeningAddress& address) {
  switch (address.type) {
    case ListeningAddress::Type::unix:
      return "unix:" + address.path;
    case ListeningAddress::Type::vsock:
      return "vsock:" + address.cid + ":" + address.port;
    case ListeningAddress::Type::inet:
      break;
  }
  return address.ipv6 ? "tcp:[" + address.host + "]:" + address.port
                      : "tcp:" + address.host + ":" + address.port;
}

inline Result<> write_randomly(Channel& channel, std::span<const std::byte> bytes, unsigned seed) {
  std::mt19937 random(seed);
  while (!bytes.empty()) {
    std::vector<iovec> parts;
    const std::size_t count = 1 + random() % (random() % 20 == 0 ? 3000 : 40);
    for (std::size_t i = 0; i < count && !bytes.empty(); ++i) {
      const std::size_t size =
          std::min<std::size_t>(bytes.size(), random() % (random() % 10 == 0 ? 300'000 : 5000));
      parts.push_back({const_cast<std::byte*>(bytes.data()), size});
      bytes = bytes.subspan(size);
    }
    GODWIT_TRY(channel.write(parts));
  }
  return {};
}

/// Reads to the end of the stream with read() calls of random shape.
inline Result<Bytes> read_randomly(Channel& channel, std::size_t expected, unsigned seed) {
  std::mt19937 random(seed);
  Bytes bytes(expected + 1);
  std::size_t at = 0;
  for (;;) {
    std::vector<iovec> parts;
    std::size_t planned = at;
    const std::size_t count = 1 + random() % 8;
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t size = std::min<std::size_t>(bytes.size() - planned, 1 + random() % 200'000);
      parts.push_back({bytes.data() + planned, size});
      planned += size;
    }
    if (planned == at) return fail("more than {} bytes arrived", expected);
    GODWIT_ASSIGN(const std::size_t got, channel.read(parts));
    if (got == 0) break;
    at += got;
  }
  bytes.resize(at);
  return bytes;
}

}  // namespace godwit::channel

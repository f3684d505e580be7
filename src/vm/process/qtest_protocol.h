// The qtest text protocol (command-line section 4): requests in, replies out. Pure: no sockets, no threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace godwit::vm {

/// What qtest looks at: guest-physical memory and I/O ports.
class QtestBus {
 public:
  virtual ~QtestBus() = default;
  virtual void read_memory(std::uint64_t address, std::span<std::byte> into) = 0;
  virtual void write_memory(std::uint64_t address, std::span<const std::byte> from) = 0;
  virtual std::uint32_t read_port(std::uint16_t port, unsigned size) = 0;
  virtual void write_port(std::uint16_t port, unsigned size, std::uint32_t value) = 0;
};

/// One connection. Memory is read and written in pieces, so that a reply needs no more memory than a request.
class QtestProtocol {
 public:
  /// Gets the replies in order, a long one in several pieces. False: nobody listens any more, the rest may be
  /// left out.
  using Reply = std::function<bool(std::string_view piece)>;

  static constexpr std::size_t line_limit = std::size_t{64} << 20;       ///< bytes of one request
  static constexpr std::uint64_t length_limit = std::uint64_t{1} << 32;  ///< bytes that one request may touch

  /// `bus` outlives the protocol.
  QtestProtocol(QtestBus& bus, Reply reply) : bus_(bus), reply_(std::move(reply)) {}

  /// The next bytes from the client; requests may be cut anywhere.
  void receive(std::string_view bytes);

  /// One request, without its line end.
  void execute(std::string_view line);

 private:
  class Words;

  void fail(std::string text);
  void read_block(Words& words);
  void write_block(Words& words);
  void read_value(Words& words, unsigned size);
  void write_value(Words& words, unsigned size);
  void read_port(Words& words, unsigned size);
  void write_port(Words& words, unsigned size);
  /// Reads `count` numbers; answers FAIL and returns false if one is missing or is not a number.
  bool numbers(Words& words, std::span<std::uint64_t> values);

  QtestBus& bus_;
  Reply reply_;
  std::string line_;       // an unfinished request
  bool overlong_ = false;  // the rest of it is skipped
};

}  // namespace godwit::vm

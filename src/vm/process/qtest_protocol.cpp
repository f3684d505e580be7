#include "vm/process/qtest_protocol.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <fmt/format.h>
#include <optional>
#include <vector>

namespace godwit::vm {

namespace {

constexpr std::size_t piece_size = 32 * 1024;  // bytes of memory per piece

std::optional<std::uint64_t> number(std::string_view text) {
  int base = 10;
  if (text.size() > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
    text.remove_prefix(2);
    base = 16;
  }
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

void append_hex(std::string& text, std::span<const std::byte> bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  for (const std::byte value : bytes) {
    text += digits[static_cast<std::size_t>(value) >> 4];
    text += digits[static_cast<std::size_t>(value) & 15];
  }
}

/// 1, 2, 4 or 8 for the last letter of readb, readw, readl, readq and their like; 0 for another one.
unsigned size_of(char letter) {
  switch (letter) {
    case 'b':
      return 1;
    case 'w':
      return 2;
    case 'l':
      return 4;
    case 'q':
      return 8;
    default:
      return 0;
  }
}

}  // namespace

/// The words of a request, which any number of spaces separate.
class QtestProtocol::Words {
 public:
  explicit Words(std::string_view line) : rest_(line) { name_ = next(); }

  std::string_view name() const { return name_; }
  /// Empty when there is none left.
  std::string_view next() {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(' '), rest_.size()));
    const std::string_view word = rest_.substr(0, rest_.find(' '));
    rest_.remove_prefix(word.size());
    return word;
  }

 private:
  std::string_view rest_;
  std::string_view name_;
};

void QtestProtocol::receive(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    const std::string_view part = bytes.substr(0, end);
    overlong_ = overlong_ || line_.size() + part.size() > line_limit;
    if (overlong_)
      line_.clear();
    else if (end == std::string_view::npos || !line_.empty())
      line_ += part;
    if (end == std::string_view::npos) return;
    if (overlong_)
      fail("the request is too long");
    else
      execute(line_.empty() ? part : std::string_view(line_));
    line_.clear();
    overlong_ = false;
    bytes.remove_prefix(end + 1);
  }
}

void QtestProtocol::execute(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  Words words(line);
  const std::string_view name = words.name();
  if (name.empty()) return;
  if (name == "endianness") {
    reply_("OK little\n");
    return;
  }
  if (name == "read") return read_block(words);
  if (name == "write") return write_block(words);
  const unsigned size = size_of(name.back());
  const std::string_view stem = name.substr(0, name.size() - 1);
  if (size != 0 && stem == "read") return read_value(words, size);
  if (size != 0 && stem == "write") return write_value(words, size);
  if (size != 0 && size <= 4 && stem == "in") return read_port(words, size);
  if (size != 0 && size <= 4 && stem == "out") return write_port(words, size);
  fail(fmt::format("Unknown command '{}'", name));
}

void QtestProtocol::fail(std::string text) {
  reply_("FAIL " + text + "\n");
}

bool QtestProtocol::numbers(Words& words, std::span<std::uint64_t> values) {
  for (std::uint64_t& value : values) {
    const std::string_view word = words.next();
    const auto parsed = number(word);
    if (!parsed) {
      fail(word.empty() ? fmt::format("'{}' lacks a number", words.name())
                        : fmt::format("'{}': '{}' is not a number", words.name(), word));
      return false;
    }
    value = *parsed;
  }
  return true;
}

void QtestProtocol::read_block(Words& words) {
  std::array<std::uint64_t, 2> values{};
  if (!numbers(words, values)) return;
  auto [address, length] = values;
  if (length > length_limit || address + length < address) return fail("the length is out of range");
  std::vector<std::byte> piece(std::min<std::uint64_t>(length, piece_size));
  std::string text = "OK 0x";
  do {
    const std::size_t size = std::min<std::uint64_t>(length, piece_size);
    bus_.read_memory(address, std::span(piece).first(size));
    append_hex(text, std::span(piece).first(size));
    address += size;
    length -= size;
    if (length == 0) text += '\n';
    if (!reply_(text)) return;
    text.clear();
  } while (length > 0);
}

void QtestProtocol::write_block(Words& words) {
  std::array<std::uint64_t, 2> values{};
  if (!numbers(words, values)) return;
  auto [address, length] = values;
  std::string_view hex = words.next();
  if (length > length_limit || address + length < address) return fail("the length is out of range");
  if (hex.starts_with("0x") || hex.starts_with("0X")) hex.remove_prefix(2);
  if (!std::ranges::all_of(hex, [](char c) { return digit(c) >= 0; }))
    return fail(fmt::format("'write': the data are not hexadecimal"));
  std::vector<std::byte> piece;
  while (length > 0) {  // data that are missing count as zeros, as in QEMU
    piece.assign(std::min<std::uint64_t>(length, piece_size), std::byte{0});
    for (std::size_t i = 0; i < piece.size() && hex.size() >= 2; ++i) {
      piece[i] = static_cast<std::byte>(digit(hex[0]) << 4 | digit(hex[1]));
      hex.remove_prefix(2);
    }
    bus_.write_memory(address, piece);
    address += piece.size();
    length -= piece.size();
  }
  reply_("OK\n");
}

void QtestProtocol::read_value(Words& words, unsigned size) {
  std::array<std::uint64_t, 1> address{};
  if (!numbers(words, address)) return;
  std::array<std::byte, 8> bytes{};
  bus_.read_memory(address[0], std::span(bytes).first(size));
  std::uint64_t value = 0;
  for (unsigned i = size; i-- > 0;) value = value << 8 | std::to_integer<std::uint64_t>(bytes[i]);
  reply_(fmt::format("OK 0x{:016x}\n", value));
}

void QtestProtocol::write_value(Words& words, unsigned size) {
  std::array<std::uint64_t, 2> values{};
  if (!numbers(words, values)) return;
  std::array<std::byte, 8> bytes{};
  for (unsigned i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(values[1] >> (8 * i));
  bus_.write_memory(values[0], std::span(bytes).first(size));
  reply_("OK\n");
}

void QtestProtocol::read_port(Words& words, unsigned size) {
  std::array<std::uint64_t, 1> port{};
  if (!numbers(words, port)) return;
  if (port[0] > 0xffff) return fail("the port is out of range");
  reply_(fmt::format("OK 0x{:04x}\n", bus_.read_port(static_cast<std::uint16_t>(port[0]), size)));
}

void QtestProtocol::write_port(Words& words, unsigned size) {
  std::array<std::uint64_t, 2> values{};
  if (!numbers(words, values)) return;
  if (values[0] > 0xffff) return fail("the port is out of range");
  const auto mask = static_cast<std::uint32_t>((std::uint64_t{1} << (8 * size)) - 1);
  bus_.write_port(static_cast<std::uint16_t>(values[0]), size, static_cast<std::uint32_t>(values[1]) & mask);
  reply_("OK\n");
}

}  // namespace godwit::vm

#include "cli/qtest_client.h"

#include <array>
#include <cstring>

#include "base/fail.h"
#include "cli/unix_socket.h"

namespace godwit::cli {
namespace {

constexpr std::size_t most_bytes_per_request = 256 << 10;

constexpr auto digit_values = [] {
  std::array<std::int8_t, 256> values{};
  values.fill(-1);
  for (int digit = 0; digit < 16; ++digit) {
    values[static_cast<unsigned char>("0123456789abcdef"[digit])] = static_cast<std::int8_t>(digit);
    values[static_cast<unsigned char>("0123456789ABCDEF"[digit])] = static_cast<std::int8_t>(digit);
  }
  return values;
}();

bool decode_hex(std::string_view text, std::span<std::byte> bytes) {
  int seen = 0;  // negative once a character was no digit
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const int high = digit_values[static_cast<unsigned char>(text[2 * i])];
    const int low = digit_values[static_cast<unsigned char>(text[2 * i + 1])];
    seen |= high | low;
    bytes[i] = static_cast<std::byte>(high << 4 | low);
  }
  return seen >= 0;
}

}  // namespace

Result<std::string_view> QtestClient::request(const std::string& line) {
  const Deadline deadline = after(timeout_);
  GODWIT_TRY(send_all(socket_.get(), line + "\n", -1, deadline, *stop_));
  std::size_t length = 0;
  for (;;) {
    if (length == answer_.size()) answer_.resize(2 * answer_.size());
    auto got = receive_some(socket_.get(), std::span(answer_).subspan(length));
    if (!got) return std::unexpected(std::move(got).error().in("qtest"));
    const void* end = std::memchr(answer_.data() + length, '\n', *got);
    length += *got;
    if (end != nullptr) break;
    if (length > 4 * most_bytes_per_request) return fail("qtest: an answer without an end");
    if (*got > 0) continue;
    const int fds[] = {socket_.get()};
    GODWIT_ASSIGN(const bool readable, wait_readable(fds, deadline, *stop_));
    if (!readable) return fail("qtest: no answer");
  }
  const std::string_view answer(answer_.data(), length - 1);
  if (!answer.starts_with("OK")) return fail("qtest: {}: {}", line.substr(0, 60), answer.substr(0, 80));
  return answer.substr(std::min<std::size_t>(3, answer.size()));
}

Result<> QtestClient::read(std::uint64_t address, std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    const auto part = bytes.first(std::min(bytes.size(), most_bytes_per_request));
    GODWIT_ASSIGN(const auto answer, request(fmt::format("read {:#x} {:#x}", address, part.size())));
    if (answer.size() != 2 + 2 * part.size() || !answer.starts_with("0x") ||
        !decode_hex(answer.substr(2), part))
      return fail("qtest: the answer to a read of {} bytes at {:#x} is not that many", part.size(), address);
    address += part.size();
    bytes = bytes.subspan(part.size());
  }
  return {};
}

Result<> QtestClient::write(std::uint64_t address, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const auto part = bytes.first(std::min(bytes.size(), most_bytes_per_request));
    auto line = fmt::format("write {:#x} {:#x} 0x", address, part.size());
    for (const std::byte byte : part)
      fmt::format_to(std::back_inserter(line), "{:02x}", static_cast<unsigned>(byte));
    GODWIT_TRY(request(line));
    address += part.size();
    bytes = bytes.subspan(part.size());
  }
  return {};
}

}  // namespace godwit::cli

#include "channel/address.h"

#include <array>
#include <charconv>

#include "base/fail.h"
#include "base/log.h"

namespace godwit::channel {
namespace {

constexpr std::size_t max_host = 64;
constexpr std::size_t max_port = 32;
constexpr std::string_view offset_option = ",offset=";

/// The text behind `prefix`, if `text` begins with it.
std::optional<std::string_view> after(std::string_view text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return std::nullopt;
  return text.substr(prefix.size());
}

struct HostAndPort {
  std::string_view host;
  std::string_view port;
  std::string_view options;  ///< with the leading comma, or empty
};

/// HOST:PORT[,options], :PORT or [HOST]:PORT.
Result<HostAndPort> split_host_and_port(std::string_view text) {
  HostAndPort parts;
  const std::string_view address = text.substr(0, text.find(','));
  parts.options = text.substr(address.size());
  std::string_view complaint = "error parsing address";
  std::size_t colon = std::string_view::npos;
  if (address.starts_with('[')) {
    complaint = "error parsing IPv6 address";
    const auto bracket = address.find(']');
    if (bracket != std::string_view::npos && bracket > 1 && address.substr(bracket + 1).starts_with(':')) {
      parts.host = address.substr(1, bracket - 1);
      colon = bracket + 1;
    }
  } else {
    if (address.starts_with(':')) complaint = "error parsing port in address";
    colon = address.find(':');
    if (colon != std::string_view::npos) parts.host = address.substr(0, colon);
  }
  if (colon != std::string_view::npos) parts.port = address.substr(colon + 1);
  if (parts.port.empty() || parts.port.size() > max_port || parts.host.size() > max_host)
    return fail("{} '{}'", complaint, text);
  return parts;
}

/// What follows the name of a flag: nothing, "=on" or "=off", then the next option or the end.
Result<bool> parse_flag(std::string_view name, std::string_view rest) {
  const std::string_view value = rest.substr(0, rest.find(','));
  if (value.empty() || value == "=on") return true;
  if (value == "=off") return false;
  return fail("error parsing '{}' flag '{}'", name, rest);
}

Result<std::uint16_t> parse_last_port(std::string_view value) {
  unsigned number = 0;
  const auto [end, problem] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (problem != std::errc{} || end != value.data() + value.size()) return fail("error parsing to= argument");
  return static_cast<std::uint16_t>(std::min(number, 65535U));
}

Result<> parse_tcp_options(std::string_view options, Tcp& tcp) {
  while (!options.empty()) {
    options.remove_prefix(1);
    const std::string_view option = options.substr(0, options.find(','));
    if (const auto value = after(option, "to=")) {
      GODWIT_ASSIGN(tcp.to, parse_last_port(*value));
    } else if (after(option, "ipv4")) {
      GODWIT_ASSIGN(tcp.ipv4, parse_flag("ipv4", options.substr(4)));
    } else if (after(option, "ipv6")) {
      GODWIT_ASSIGN(tcp.ipv6, parse_flag("ipv6", options.substr(4)));
    } else if (after(option, "keep-alive")) {
      GODWIT_ASSIGN(tcp.keep_alive, parse_flag("keep-alive", options.substr(10)));
    } else if (!option.empty()) {
      log::warn("tcp option '{}' is ignored", option);  // as a 7.2 peer does
    }
    options.remove_prefix(option.size());
  }
  return {};
}

Result<Address> parse_tcp(std::string_view text) {
  GODWIT_ASSIGN(const auto parts, split_host_and_port(text));
  Tcp tcp{.host = std::string(parts.host), .port = std::string(parts.port)};
  GODWIT_TRY(parse_tcp_options(parts.options, tcp));
  return tcp;
}

Result<Address> parse_vsock(std::string_view text) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == text.size())
    return fail("error parsing address '{}'", text);
  return Vsock{.cid = std::string(text.substr(0, colon)), .port = std::string(text.substr(colon + 1))};
}

/// A number of bytes: decimal or 0x hexadecimal, with an optional suffix K, M, G or T of 1024.
Result<std::uint64_t> parse_offset(std::string_view text) {
  std::string_view digits = text;
  int base = 10;
  if (digits.starts_with("0x") || digits.starts_with("0X")) {
    digits.remove_prefix(2);
    base = 16;
  }
  std::uint64_t number = 0;
  const char* const start = digits.data();
  const char* const end = start + digits.size();
  auto [stop, problem] = std::from_chars(start, end, number, base);
  unsigned shift = 0;
  if (problem == std::errc{} && end - stop == 1 && base == 10) {
    constexpr std::string_view suffixes = "kmgt";
    const auto at = suffixes.find(static_cast<char>(*stop | 0x20));
    if (at != std::string_view::npos) {
      shift = 10 * (static_cast<unsigned>(at) + 1);
      ++stop;
    }
  }
  constexpr std::uint64_t max_offset = INT64_MAX;
  if (problem != std::errc{} || stop != end || number > (max_offset >> shift))
    return fail("invalid offset '{}' in a file address", text);
  return number << shift;
}

Result<Address> parse_file(std::string_view text) {
  File file;
  if (const auto at = text.rfind(offset_option); at != std::string_view::npos) {
    GODWIT_ASSIGN(file.offset, parse_offset(text.substr(at + offset_option.size())));
    text = text.substr(0, at);
  }
  if (text.empty()) return fail("invalid file address: the path is empty");
  file.path = text;
  return file;
}

Result<Address> parse_rdma(std::string_view text) {
  const auto parts = split_host_and_port(text);
  if (!parts || parts->host.empty()) return fail("RDMA ERROR: bad RDMA migration address '{}'", text);
  return Rdma{.host = std::string(parts->host), .port = std::string(parts->port)};
}

std::string host_and_port(const std::string& host, const std::string& port) {
  const bool brackets = host.find(':') != std::string::npos || host.starts_with('[');
  return fmt::format("{}{}{}:{}", brackets ? "[" : "", host, brackets ? "]" : "", port);
}

struct Printer {
  std::string operator()(const Tcp& a) const { return "tcp:" + host_and_port(a.host, a.port); }
  std::string operator()(const Unix& a) const { return "unix:" + a.path; }
  std::string operator()(const Vsock& a) const { return fmt::format("vsock:{}:{}", a.cid, a.port); }
  std::string operator()(const Fd& a) const { return "fd:" + a.name; }
  std::string operator()(const Exec& a) const { return "exec:" + a.command; }
  std::string operator()(const File& a) const {
    // The last one counts: a path that looks as if it had one gets another.
    if (a.offset == 0 && a.path.find(offset_option) == std::string::npos) return "file:" + a.path;
    return fmt::format("file:{}{}{}", a.path, offset_option, a.offset);
  }
  std::string operator()(const Rdma& a) const { return "rdma:" + host_and_port(a.host, a.port); }
};

}  // namespace

Result<Address> parse_address(std::string_view uri, Direction direction) {
  if (uri.find('\0') != std::string_view::npos) return fail("the address contains a zero byte");
  if (const auto text = after(uri, "tcp:")) return parse_tcp(*text);
  if (const auto text = after(uri, "unix:")) {
    if (text->empty()) return fail("invalid Unix socket address");
    return Unix{.path = std::string(*text)};
  }
  if (const auto text = after(uri, "vsock:")) return parse_vsock(*text);
  if (const auto text = after(uri, "fd:")) return Fd{.name = std::string(*text)};
  if (const auto text = after(uri, "exec:")) return Exec{.command = std::string(*text)};
  if (const auto text = after(uri, "file:")) return parse_file(*text);
  if (const auto text = after(uri, "rdma:")) return parse_rdma(*text);
  if (direction == Direction::incoming) return fail("unknown migration protocol: {}", uri);
  return fail("Parameter 'uri' expects a valid migration protocol");
}

bool supports_multiple_channels(const Address& address) {
  return std::holds_alternative<Tcp>(address) || std::holds_alternative<Unix>(address) ||
         std::holds_alternative<Vsock>(address);
}

bool connects_at_once(const Address& address) {
  return std::holds_alternative<Fd>(address) || std::holds_alternative<Exec>(address) ||
         std::holds_alternative<File>(address) || std::holds_alternative<Rdma>(address);  // fails at once
}

std::string to_string(const Address& address) {
  return std::visit(Printer{}, address);
}

}  // namespace godwit::channel

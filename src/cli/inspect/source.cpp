#include "cli/inspect/source.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/system.h"
#include "base/thread.h"
#include "channel/address.h"
#include "channel/listener.h"

namespace godwit::cli::inspect {
namespace {

constexpr std::size_t piece = 64 * 1024;
constexpr std::uint64_t description_head = 5;  ///< type byte and length

bool is_regular_file(const std::string& path) {
  struct stat status;
  return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
}

bool is_socket(const std::string& path) {
  struct stat status;
  return ::stat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode);
}

/// A URI has its scheme; everything else is a path, as is what exists under that name.
Result<channel::Address> address_of(const std::string& where) {
  if (where == "-") return channel::Fd{"0"};
  if (is_regular_file(where)) return channel::File{where, 0};
  if (is_socket(where))
    return fail(
        Error(fmt::format("'{}' is a socket that somebody has made already", where))
            .advise(fmt::format("give unix:PATH with a path that is free: the inspector listens there, and "
                                "the source connects")));
  const auto colon = where.find(':');
  const std::string_view scheme = std::string_view(where).substr(0, colon == std::string::npos ? 0 : colon);
  constexpr std::string_view schemes[] = {"tcp", "unix", "vsock", "fd", "exec", "file", "rdma"};
  if (std::ranges::find(schemes, scheme) != std::end(schemes))
    return channel::parse_address(where, channel::Direction::incoming);
  return channel::File{where, 0};
}

bool read_at(int file, std::uint64_t offset, std::span<char> into) {
  for (std::size_t done = 0; done < into.size();) {
    const auto got = ::pread(file, into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    done += static_cast<std::size_t>(got);
  }
  return true;
}

/// What follows the last zero byte of the file, if that is not too much for a description.
std::optional<std::string> text_at_end(int file, std::uint64_t size) {
  std::string text;
  for (std::uint64_t at = size; at > 0 && text.size() <= wire::description_text_limit;) {
    std::string part(std::min<std::uint64_t>(piece, at), '\0');
    at -= part.size();
    if (!read_at(file, at, part)) return std::nullopt;
    const auto zero = part.rfind('\0');
    text.insert(0, zero == std::string::npos ? part : part.substr(zero + 1));
    if (zero != std::string::npos) return text;
  }
  return std::nullopt;
}

std::string address_text(const channel::ListeningAddress& address) {
  using Type = channel::ListeningAddress::Type;
  if (address.type == Type::unix) return "unix:" + address.path;
  if (address.type == Type::vsock) return fmt::format("vsock:{}:{}", address.cid, address.port);
  const std::string host = address.ipv6 ? "[" + address.host + "]" : address.host;
  return fmt::format("tcp:{}:{}", host, address.port);
}

}  // namespace

std::optional<wire::StreamDescription> description_at_end(int file) {
  struct stat status;
  if (::fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  const auto size = static_cast<std::uint64_t>(status.st_size);
  auto text = text_at_end(file, size);
  if (!text) return std::nullopt;
  const auto brace = text->find('{');
  if (brace == std::string::npos) return std::nullopt;
  text->erase(0, brace);
  std::string head(description_head, '\0');
  if (text->size() + description_head > size || !read_at(file, size - text->size() - description_head, head))
    return std::nullopt;
  std::uint64_t length = 0;
  for (std::size_t i = 1; i < head.size(); ++i) length = length << 8 | static_cast<unsigned char>(head[i]);
  if (head[0] != 0x06 || length != text->size()) return std::nullopt;
  auto description = wire::parse_description(*text);
  if (!description) return std::nullopt;  // the walk says what is wrong with it
  return *std::move(description);
}

Result<> run_interruptible(const StopRequest& stop, const std::function<void()>& body,
                           const std::function<void()>& interrupt) {
  WakeFd done;
  const auto thread = start_thread("inspect", [&](std::stop_token) {
    body();
    done.wake();
  });
  const int fds[] = {done.fd()};
  for (;;) {
    auto ready = wait_readable(fds, after(std::chrono::hours(1)), stop);
    if (ready && !*ready) continue;
    if (!ready) {
      interrupt();
      return std::unexpected(std::move(ready).error());
    }
    return {};
  }
}

Result<Source> open_source(const std::string& where, const StopRequest& stop) {
  GODWIT_ASSIGN(const channel::Address address, address_of(where));
  Source source;
  source.name = where == "-" ? "standard input" : where;
  if (const auto* file = std::get_if<channel::File>(&address)) {
    source.file_offset = file->offset;
    // Opening a pipe only to look into it could end its writer.
    const UniqueFd peek(is_regular_file(file->path) ? ::open(file->path.c_str(), O_RDONLY | O_CLOEXEC) : -1);
    if (peek) source.description = description_at_end(peek.get());
  }
  NoDescriptors none;
  GODWIT_ASSIGN(const auto listener, channel::listen(address, none, 1));
  for (const auto& listening : listener->addresses())
    std::fprintf(stderr, "waiting for a source on %s\n", address_text(listening).c_str());
  Result<std::unique_ptr<channel::Channel>> accepted;
  GODWIT_TRY(run_interruptible(stop, [&] { accepted = listener->accept(); }, [&] { listener->close(); }));
  GODWIT_ASSIGN(source.channel, std::move(accepted));
  source.live = source.channel->kind() == "socket";
  return source;
}

}  // namespace godwit::cli::inspect

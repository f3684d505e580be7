// Requests from a pipe or a file, one a line.
#include <array>
#include <cerrno>
#include <cstdio>
#include <optional>
#include <poll.h>
#include <unistd.h>

#include "base/fail.h"
#include "cli/json_text.h"
#include "cli/qmp/argument_parser.h"
#include "cli/qmp/one_shot.h"
#include "cli/qmp/printer.h"

namespace godwit::cli::qmp {

namespace json = boost::json;

namespace {

constexpr std::size_t most_line_bytes = 16 << 20;

void put_line(const json::value& value) {
  std::fputs((compact(value) + "\n").c_str(), stdout);
  std::fflush(stdout);
}

/// Lines of a descriptor, while the monitor's events are taken in.
class LineSource {
 public:
  LineSource(int input, Session& session, const StopRequest& stop)
      : input_(input), session_(session), stop_(stop) {}

  /// None: there are no more.
  Result<std::optional<std::string>> next(const OnEvent& on_event) {
    for (;;) {
      for (const auto& event : session_.client().take_events()) on_event(event);
      if (auto line = take()) return line;
      if (ended_) return std::nullopt;
      GODWIT_TRY(wait());
    }
  }

 private:
  std::optional<std::string> take() {
    const auto end = pending_.find('\n', searched_);
    searched_ = pending_.size();
    if (end == pending_.npos && !(ended_ && !pending_.empty())) return std::nullopt;
    auto line = pending_.substr(0, end);
    pending_.erase(0, end == pending_.npos ? end : end + 1);
    searched_ = 0;
    return line;
  }

  Result<> wait() {
    pollfd entries[] = {{input_, POLLIN, 0}, {session_.client().fd(), POLLIN, 0}, {stop_.fd(), POLLIN, 0}};
    if (::poll(entries, std::size(entries), -1) < 0)
      return errno == EINTR ? Result<>() : system_error("cannot wait", errno);
    if (entries[2].revents != 0) return stop_.taken();
    if (entries[1].revents != 0) GODWIT_TRY(session_.client().receive());
    if (entries[0].revents == 0) return {};
    std::array<char, 65536> buffer;
    const ssize_t got = ::read(input_, buffer.data(), buffer.size());
    if (got < 0)
      return errno == EINTR || errno == EAGAIN ? Result<>() : system_error("standard input", errno);
    ended_ = got == 0;
    pending_.append(buffer.data(), static_cast<std::size_t>(got));
    if (pending_.size() > most_line_bytes && pending_.find('\n') == pending_.npos)
      return fail("a line of more than {} bytes on standard input", most_line_bytes);
    return {};
  }

  int input_;
  Session& session_;
  const StopRequest& stop_;
  std::string pending_;
  std::size_t searched_ = 0;
  bool ended_ = false;
};

json::object local_error(const Error& error) {
  return {{"error", {{"class", "GenericError"}, {"desc", error.explain()}}}};
}

}  // namespace

int run_lines(Session& session, int input, const OneShot& wanted, const StopRequest& stop) {
  const auto time = wanted.timeout.value_or(answer_timeout);
  const auto schema = session.schema(after(time));
  if (!schema) {
    complain(schema.error());
    return exit_unusable;
  }
  const OnEvent on_event = [&wanted](const QmpEvent& event) {
    if (wanted.show_events) put_line(to_json(event));
  };
  LineSource source(input, session, stop);
  int status = exit_success;
  for (;;) {
    auto line = source.next(on_event);
    if (!line) {
      complain(line.error());
      return exit_unusable;
    }
    if (!*line) return status;
    if ((*line)->find_first_not_of(" \t\r") == std::string::npos) continue;
    auto request = parse_request(**line, **schema);
    if (!request) {
      put_line(local_error(request.error()));
      status = exit_refused;
      continue;
    }
    const auto* id = request->if_contains("id");
    const std::optional<json::value> own_id = id != nullptr ? std::optional(*id) : std::nullopt;
    auto answer = session.ask(*std::move(request), after(time), on_event);
    if (!answer) {
      complain(answer.error());
      return exit_unusable;
    }
    if (own_id) (*answer)["id"] = *own_id;
    if (refusal_of(*answer)) status = exit_refused;
    put_line(*answer);
  }
}

}  // namespace godwit::cli::qmp

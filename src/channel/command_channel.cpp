#include "channel/command_channel.h"

#include <utility>

#include "base/fail.h"
#include "channel/wait.h"

namespace godwit::channel {
namespace {

constexpr int grace_ms = 500;
/// From the end of its standard input to its own.
constexpr int farewell_ms = 100;

}  // namespace

Result<std::unique_ptr<Channel>> CommandChannel::start(const std::string& command) {
  GODWIT_ASSIGN(auto spawned, ChildProcess::spawn(command));
  return std::make_unique<CommandChannel>(std::move(spawned), command);
}

CommandChannel::CommandChannel(ChildProcess::Spawned spawned, std::string command)
    : PipeChannel({std::move(spawned.from_child), std::move(spawned.to_child)}, "exec:" + std::move(command),
                  "command"),
      child_(std::move(spawned.child)) {}

CommandChannel::~CommandChannel() {
  close_both();
  child_.terminate(is_shut_down() ? 0 : grace_ms);
}

/// A command that ends early says why on the standard error, which is ours; the pipe only tells that it is
/// gone.
Result<> CommandChannel::write(std::span<const iovec> parts) {
  auto written = PipeChannel::write(parts);
  if (written || is_shut_down() || finished_ || !child_.ended_within(farewell_ms)) return written;
  finished_ = true;
  auto status = child_.reap();
  if (status) return written;
  return fail(std::move(written).error().advise(
      fmt::format("{}; look at what it said on the standard error of this process", status.error().what())));
}

Result<> CommandChannel::finish_writing() {
  if (finished_) return {};
  GODWIT_TRY(PipeChannel::finish_writing());
  bool prints = !is_read();
  for (;;) {
    pollfd entries[] = {
        {child_.ended_fd(), POLLIN, 0}, {wake_fd(), POLLIN, 0}, {prints ? reading_fd() : -1, POLLIN, 0}};
    GODWIT_TRY(wait_for_any(entries));
    if (is_shut_down()) return fail("The channel was shut down");
    if (entries[0].revents) break;
    if (entries[2].revents) {
      GODWIT_ASSIGN(prints, drop_some());
      prints = prints && !is_read();
    }
  }
  finished_ = true;
  return child_.reap();
}

}  // namespace godwit::channel

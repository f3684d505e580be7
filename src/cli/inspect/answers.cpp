#include "cli/inspect/answers.h"

#include <chrono>
#include <variant>

#include "base/fail.h"
#include "base/log.h"
#include "base/thread.h"

namespace godwit::cli::inspect {
namespace {

/// How long a source may take to send the description. One that sends none waits for the verdict.
constexpr std::chrono::seconds description_time{5};

Error not_live(std::string_view what, std::string_view capability) {
  return Error(fmt::format("the source sends {}: from there it cannot take its guest back", what))
      .advise(fmt::format("turn {} off at the source, or inspect a recorded stream", capability));
}

}  // namespace

Answers::Answers(channel::Channel& channel, Clock& clock, bool let_source_stop)
    : channel_(channel), clock_(clock), let_source_stop_(let_source_stop) {}

Answers::~Answers() {
  refuse();
  done_.set();
}

Result<> Answers::on_command(const wire::Command& command) {
  if (std::holds_alternative<wire::OpenReturnPath>(command)) open_ = true;
  if (const auto* ping = std::get_if<wire::Ping>(&command); ping != nullptr && open_)
    send(wire::Pong{ping->value});
  if (const auto* advise = std::get_if<wire::PostcopyAdvise>(&command);
      advise != nullptr && advise->page_sizes)
    return turn_away(not_live("POSTCOPY_ADVISE", "postcopy-ram"));
  if (std::holds_alternative<wire::Packaged>(command) ||
      std::holds_alternative<wire::PostcopyListen>(command))
    return turn_away(not_live(wire::name_of(command), "postcopy"));
  if (std::holds_alternative<wire::EnableColo>(command)) return turn_away(not_live("ENABLE_COLO", "x-colo"));
  return {};
}

Result<> Answers::on_section() {
  if (open_ || let_source_stop_) return {};
  return turn_away(
      Error(
          "the source has no return path: it would take the end of the stream for success and stop its guest")
          .advise(
              "turn the capability return-path on at the source; or give --let-source-stop, and `cont` there "
              "afterwards"));
}

std::unexpected<Error> Answers::turn_away(Error error) {
  turned_away_ = true;
  return std::unexpected(std::move(error));
}

void Answers::on_eof() {
  if (!open_) return;
  late_ = start_thread("inspect-refuse", [this](std::stop_token) {
    if (!clock_.wait_for(done_, description_time)) refuse();
  });
}

void Answers::refuse() {
  if (open_ && !refused_.exchange(true)) send(wire::Shut{1});
}

void Answers::send(const wire::ReturnMessage& message) {
  Output out;
  wire::encode_return_message(out, message);
  const std::lock_guard lock(writing_);
  // A source that is gone needs no answer; one that is there shows up in what is read.
  if (auto sent = channel_.write(out.data()); !sent) log::warn("{}", sent.error().what());
}

}  // namespace godwit::cli::inspect

#include "cli/inspect/read.h"

#include <charconv>

#include "base/fail.h"
#include "channel/channel_input.h"
#include "cli/inspect/collector.h"
#include "cli/inspect/devices.h"
#include "cli/inspect/side_streams.h"

namespace godwit::cli::inspect {
namespace {

Result<> read_main(Input& in, Inspection& found, const CollectorOptions& options, std::uint64_t file_offset) {
  Collector collector(in, found, options);
  wire::WalkOptions walk;
  walk.file_header = found.kind == wire::StreamKind::main;
  walk.configuration = walk.file_header ? std::nullopt : std::optional(false);
  walk.footers.reset();
  walk.file_offset = file_offset;
  return wire::StreamWalker(in, collector, walk).run();
}

Result<> read_kind(Input& in, Inspection& found, const CollectorOptions& options, std::uint64_t file_offset) {
  GODWIT_ASSIGN(found.kind, wire::detect_stream_kind(in));
  switch (found.kind) {
    case wire::StreamKind::main:
    case wire::StreamKind::recovery:
      return read_main(in, found, options, file_offset);
    case wire::StreamKind::multifd:
      return read_multifd_channel(in, found, options);
    case wire::StreamKind::urgent: {
      Collector collector(in, found, options);
      return read_urgent_channel(in, collector);
    }
    case wire::StreamKind::return_path:
      return read_return_path(in, found);
    case wire::StreamKind::colo_answers:
      return read_colo_answers(in, found);
  }
  return {};
}

/// What only --verify minds.
void check_devices(Inspection& found) {
  if (found.problem) return;
  for (const Device& device : found.devices) {
    if (!found.description || device.not_split.empty()) continue;
    found.problem = Problem{device.offset,
                            fmt::format("{}, whose data begins at offset {:#x}: {}",
                                        wire::section_text(device.section.name, device.section.instance),
                                        device.offset, device.not_split),
                            ""};
    return;
  }
  if (!found.description || found.remarks.empty()) return;
  found.problem = Problem{found.bytes, found.remarks.front(), ""};
}

}  // namespace

std::uint64_t offset_in(const Error& error, std::uint64_t otherwise) {
  constexpr std::string_view mark = "at offset 0x";
  const std::string& what = error.what();
  const auto at = what.rfind(mark);
  if (at == std::string::npos) return otherwise;
  std::uint64_t offset = otherwise;
  std::from_chars(what.data() + at + mark.size(), what.data() + what.size(), offset, 16);
  return offset;
}

Inspection read_stream(Input& in, const CollectorOptions& collector, std::uint64_t file_offset) {
  Inspection found;
  auto result = read_kind(in, found, collector, file_offset);
  found.bytes = in.offset();
  if (result && collector.image != nullptr) result = collector.image->flush();
  if (!result)
    found.problem =
        Problem{offset_in(result.error(), in.offset()), result.error().what(), result.error().advice()};
  if (!found.description && collector.described != nullptr) found.description = *collector.described;
  name_fields(found);
  if (collector.check_pages) check_devices(found);
  return found;
}

Result<Inspection> read_source(Source& source, const ReadOptions& options, const StopRequest& stop) {
  channel::ChannelInput in(*source.channel);
  SteadyClock steady;
  std::optional<Answers> answers;
  if (source.live)
    answers.emplace(*source.channel, options.clock != nullptr ? *options.clock : steady,
                    options.let_source_stop);
  CollectorOptions collector;
  collector.image = options.image;
  collector.answers = answers ? &*answers : nullptr;
  collector.described = source.description ? &*source.description : nullptr;
  collector.check_pages = options.check;
  Inspection found;
  // A source that was told "no" before the connection breaks knows that it has the guest.
  const auto interrupt = [&] {
    if (answers) answers->refuse();
    source.channel->shutdown();
  };
  GODWIT_TRY(
      run_interruptible(stop, [&] { found = read_stream(in, collector, source.file_offset); }, interrupt));
  found.name = source.name;
  found.live = source.live;
  if (!answers) return found;
  found.turned_away = answers->turned_away();
  answers->refuse();
  if (answers->open()) {
    // What was said is lost if the connection breaks before the source has read it.
    GODWIT_TRY(run_interruptible(
        stop, [&] { (void)source.channel->wait_for_peer_close(std::chrono::seconds(2)); }, interrupt));
  }
  source.channel->shutdown();
  return found;
}

}  // namespace godwit::cli::inspect

#include "engine/outgoing/lanes.h"

#include "base/fail.h"
#include "engine/outgoing/compress_lane.h"
#include "engine/outgoing/multifd_lane.h"
#include "engine/outgoing/plain_lane.h"
#include "engine/outgoing/xbzrle_lane.h"

namespace godwit::engine {
namespace {

MultifdSettings multifd_settings(Guest& guest, const Capabilities& capabilities,
                                 const Parameters& parameters) {
  MultifdSettings settings;
  settings.channels = parameters.multifd_channels;
  settings.method = multifd_method(parameters);
  settings.level = settings.method == wire::MultifdMethod::zstd ? parameters.multifd_zstd_level
                                                                : parameters.multifd_zlib_level;
  settings.zero_copy = capabilities.has(Capability::zero_copy_send);
  settings.uuid = guest.uuid().value_or(Uuid{});
  return settings;
}

double ratio(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

Lanes::Lanes(Guest& guest, const Capabilities& capabilities, const Settings& settings, Statistics& statistics)
    : statistics_(statistics) {
  const Parameters parameters = settings.parameters();
  if (capabilities.has(Capability::multifd)) {
    multifd_ =
        std::make_unique<MultifdSender>(multifd_settings(guest, capabilities, parameters), statistics.ram);
    first_ = std::make_unique<MultifdLane>(batch_, *multifd_, statistics.ram);
  } else if (capabilities.has(Capability::compress)) {
    first_ = std::make_unique<CompressLane>(batch_, settings, statistics);
  } else {
    first_ = std::make_unique<PlainLane>(batch_, statistics.ram);
  }
  // Deltas need a version that was sent before. Pages that go over several channels are never deltas.
  if (capabilities.has(Capability::xbzrle) && !multifd_)
    later_ = std::make_unique<XbzrleLane>(batch_, guest.ram_blocks(), settings, statistics);
  current_ = first_.get();
}

Result<> Lanes::connect(const MultifdSender::Open& open, std::function<void()> on_failure) {
  return multifd_ ? multifd_->connect(open, std::move(on_failure)) : Result<>{};
}

Result<> Lanes::first_pass_ended(StreamWriter& out) {
  if (!later_) return {};
  GODWIT_TRY(first_->finish_section(out));
  current_ = later_.get();
  return {};
}

void Lanes::guest_stopped() {
  first_->guest_stopped();
  if (later_) later_->guest_stopped();
}

void Lanes::close() noexcept {
  if (multifd_) multifd_->close();
  current_ = nullptr;
  first_.reset();
  later_.reset();
}

void Lanes::end_period() {
  const Period before = period_;
  XbzrleCounters& xbzrle = statistics_.xbzrle;
  CompressionCounters& compression = statistics_.compression;
  period_ = {.handled = statistics_.ram.handled_pages,
             .misses = xbzrle.misses,
             .hits = xbzrle.hits,
             .delta_bytes = xbzrle.bytes,
             .busy = compression.busy,
             .compressed = compression.pages,
             .compressed_bytes = compression.bytes};
  const std::uint64_t handled = period_.handled - before.handled;
  if (handled == 0) return;
  xbzrle.miss_rate = ratio(period_.misses - before.misses, handled);
  xbzrle.encoding_rate =
      ratio((period_.hits - before.hits) * page_size, period_.delta_bytes - before.delta_bytes);
  compression.busy_rate = ratio(period_.busy - before.busy, handled);
  compression.compression_rate = ratio((period_.compressed - before.compressed) * page_size,
                                       period_.compressed_bytes - before.compressed_bytes);
}

}  // namespace godwit::engine

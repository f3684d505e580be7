#include "engine/outgoing/lanes.h"

#include "base/fail.h"
#include "engine/outgoing/compress_lane.h"
#include "engine/outgoing/mapped_lane.h"
#include "engine/outgoing/multifd_lane.h"
#include "engine/outgoing/plain_lane.h"
#include "engine/outgoing/unscanned_lane.h"
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
    : guest_(guest),
      settings_(settings),
      statistics_(statistics),
      tries_channels_(capabilities.has(Capability::x_auto_lanes)),
      trial_(capabilities.has(Capability::multifd) ? settings.parameters().multifd_channels : 0),
      multifd_settings_(multifd_settings(guest, capabilities, settings.parameters())) {
  const ZeroPageDetection detection = settings.parameters().zero_page_detection;
  if (capabilities.has(Capability::multifd))
    multifd_ = std::make_unique<MultifdSender>(multifd_settings_.channels, statistics.ram);
  if (capabilities.has(Capability::mapped_ram)) {
    mapped_ = std::make_unique<MappedRamWriter>(guest.ram_blocks(), settings.parameters().direct_io);
    first_ = std::make_unique<MappedLane>(*mapped_, multifd_.get(), detection, statistics.ram);
  } else if (multifd_) {
    first_ = std::make_unique<MultifdLane>(batch_, *multifd_, detection, statistics.ram);
  } else if (capabilities.has(Capability::compress)) {
    first_ = std::make_unique<CompressLane>(batch_, settings, statistics);
  } else if (detection == ZeroPageDetection::none) {
    first_ = std::make_unique<UnscannedLane>(batch_, statistics.ram);
  } else {
    first_ = std::make_unique<PlainLane>(batch_, statistics.ram);
  }
  // Deltas need a version that was sent before. Pages that go over several channels are never deltas.
  if (capabilities.has(Capability::xbzrle) && !multifd_) use_deltas(0);
  current_ = first_.get();
}

void Lanes::use_deltas(std::uint64_t least_cache_bytes) {
  auto lane =
      std::make_unique<XbzrleLane>(batch_, guest_.ram_blocks(), settings_, statistics_, least_cache_bytes);
  deltas_ = lane.get();
  later_ = std::move(lane);
}

void Lanes::choose(const schema::AutoLanesInfo& choice) {
  if (multifd_) {
    multifd_->use_channels(choice.channels);
  } else if (choice.xbzrle) {
    use_deltas(choice.xbzrle_cache_size);
  } else if (!choice.compress && !later_ && !mapped_) {
    later_ = std::make_unique<PlainLane>(batch_, statistics_.ram);
  }
}

void Lanes::window_ended(double bytes_per_ms) {
  if (!tries_channels_) return;
  trial_.window_ended(bytes_per_ms);
  if (multifd_) multifd_->use_channels(trial_.channels());
}

Result<> Lanes::connect(const channel::Channel& main, const Connect& connect,
                        std::function<void()> on_failure) {
  if (mapped_) GODWIT_TRY(mapped_->open(main));
  // On a connection that is taken up again all pages go over the main channel.
  if (!multifd_ || !current_) return {};
  if (!mapped_ && !main.multi_channel())
    return fail(Error("multifd is not supported by current protocol")
                    .advise("use tcp: or unix:, or turn multifd off"));
  const auto open = [&](std::uint8_t id) -> Result<std::unique_ptr<PacketWriter>> {
    if (mapped_) return std::make_unique<MappedPacketWriter>(*mapped_);
    GODWIT_ASSIGN(auto connection, connect());
    return MultifdChannelWriter::make(std::move(connection), multifd_settings_, id);
  };
  return multifd_->connect(open, std::move(on_failure));
}

Result<> Lanes::write_block_list(StreamWriter& out, std::span<const wire::BlockEntry> entries) {
  if (mapped_) return mapped_->write_block_list(out, entries);
  wire::encode_block_list(out.pending(), entries);
  return {};
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
  if (mapped_) mapped_->close();
  current_ = nullptr;
  first_.reset();
  deltas_ = nullptr;
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

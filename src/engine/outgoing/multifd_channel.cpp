#include "engine/outgoing/multifd_channel.h"

#include <chrono>
#include <fmt/format.h>
#include <utility>

#include "base/fail.h"

namespace godwit::engine {

Result<std::unique_ptr<PacketWriter>> MultifdChannelWriter::make(std::unique_ptr<channel::Channel> channel,
                                                                 const MultifdSettings& settings,
                                                                 std::uint8_t id) {
  std::unique_ptr<MultifdChannelWriter> writer(
      new MultifdChannelWriter(std::move(channel), settings.method, settings.zero_copy));
  writer->parts_.reserve(1 + wire::MultifdPacket::page_limit);
  if (settings.method != wire::MultifdMethod::none) {
    GODWIT_ASSIGN(writer->compressor_, wire::make_multifd_compressor(settings.method, settings.level));
  }
  Output hello;
  wire::encode_multifd_hello(hello, {.uuid = settings.uuid, .channel = id});
  GODWIT_TRY(writer->channel_->write(hello.data()));
  return writer;
}

Result<PacketWriter::Written> MultifdChannelWriter::write(wire::MultifdPacket& packet,
                                                          const RamBlock& block) {
  parts_.assign(1, {header_->data(), header_->size()});
  if (packet.normal_pages == 0) {
    packet.data_size = 0;  // only zero pages, which are named
  } else if (compressor_) {
    for (const std::uint64_t offset : packet.normal()) GODWIT_TRY(compressor_->add(block.host + offset));
    GODWIT_ASSIGN(const auto data, compressor_->finish());
    packet.data_size = static_cast<std::uint32_t>(data.size());
    parts_.push_back({const_cast<std::byte*>(data.data()), data.size()});  // iovec is not const-correct
  } else {
    packet.data_size = packet.normal_pages * static_cast<std::uint32_t>(page_size);
    gather(packet, block);
  }
  packet.set_flags(false, method_);
  wire::encode_multifd_packet(packet, *header_);
  if (zero_copy_ && packet.normal_pages > 0) {
    GODWIT_TRY(channel_->write(*header_));
    GODWIT_TRY(channel_->write_zero_copy(std::span(parts_).subspan(1)));
    lent_ = true;
  } else {
    GODWIT_TRY(channel_->write(parts_));
  }
  return Written{.bytes = header_->size() + packet.data_size};
}

/// Pages that follow each other are one part.
void MultifdChannelWriter::gather(const wire::MultifdPacket& packet, const RamBlock& block) {
  for (const std::uint64_t offset : packet.normal()) {
    std::byte* const page = block.host + offset;
    iovec& last = parts_.back();
    if (parts_.size() > 1 && static_cast<std::byte*>(last.iov_base) + last.iov_len == page)
      last.iov_len += page_size;
    else
      parts_.push_back({page, page_size});
  }
}

Result<PacketWriter::Written> MultifdChannelWriter::synchronize(std::uint64_t number) {
  wire::MultifdPacket packet;
  packet.number = number;
  packet.set_flags(true, method_);
  wire::encode_multifd_packet(packet, *header_);
  GODWIT_TRY(channel_->write(*header_));
  Written written{.bytes = header_->size()};
  if (std::exchange(lent_, false)) {
    GODWIT_ASSIGN(const bool clean, channel_->finish_zero_copy());
    written.copied = !clean;
  }
  return written;
}

Result<> MultifdChannelWriter::confirm() {
  const auto closed = channel_->wait_for_peer_close(std::chrono::milliseconds(0));
  if (closed && !*closed) return {};
  return fail(Error(fmt::format("the destination does not take what multifd sends: {}",
                                closed ? "it has closed a channel" : closed.error().what()))
                  .advise("set the capability 'multifd' on both sides"));
}

}  // namespace godwit::engine

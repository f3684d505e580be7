// What one data channel of multifd writes: the initial packet, packets with their pages, SYNC packets.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <godwit/guest.h>
#include <godwit/result.h>

#include "channel/channel.h"
#include "engine/outgoing/packet_writer.h"
#include "wire/multifd_compression.h"

namespace godwit::engine {

struct MultifdSettings {
  unsigned channels = 2;
  wire::MultifdMethod method = wire::MultifdMethod::none;
  int level = 1;  ///< of the compression
  bool zero_copy = false;
  Uuid uuid{};  ///< zeros: the guest has none
};

class MultifdChannelWriter final : public PacketWriter {
 public:
  /// Takes the connection over and introduces it as channel `id`.
  static Result<std::unique_ptr<PacketWriter>> make(std::unique_ptr<channel::Channel> channel,
                                                    const MultifdSettings& settings, std::uint8_t id);

  Result<Written> write(wire::MultifdPacket& packet, const RamBlock& block) override;
  /// Writes a SYNC packet, which has no pages.
  Result<Written> synchronize(std::uint64_t number) override;
  /// A destination that does not expect channels closes them, and what they brought is lost.
  Result<> confirm() override;

  void shutdown() noexcept override { channel_->shutdown(); }

 private:
  explicit MultifdChannelWriter(std::unique_ptr<channel::Channel> channel, wire::MultifdMethod method,
                                bool zero_copy)
      : channel_(std::move(channel)), method_(method), zero_copy_(zero_copy) {}

  void gather(const wire::MultifdPacket& packet, const RamBlock& block);

  std::unique_ptr<channel::Channel> channel_;
  wire::MultifdMethod method_;
  bool zero_copy_;
  bool lent_ = false;  ///< the kernel may still read guest memory
  std::unique_ptr<wire::MultifdCompressor> compressor_;
  std::unique_ptr<std::array<std::byte, wire::MultifdPacket::header_size>> header_ =
      std::make_unique<std::array<std::byte, wire::MultifdPacket::header_size>>();
  std::vector<iovec> parts_;  ///< the header, then what the packet carries
};

}  // namespace godwit::engine

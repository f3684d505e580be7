#include "engine/outgoing/multifd_sender.h"

#include <array>
#include <fmt/format.h>
#include <utility>

#include "base/fail.h"
#include "base/thread.h"
#include "engine/probes.h"
#include "memory/zero_scan.h"

namespace godwit::engine {

/// One channel: a slot where the migration thread puts the next job while the thread writes the one before.
struct MultifdSender::DataChannel {
  explicit DataChannel(std::unique_ptr<PacketWriter> given) : writer(std::move(given)) {}

  std::unique_ptr<PacketWriter> writer;  ///< the thread's
  Job slot;
  bool full = false;
  bool sync_wanted = false;
  std::uint64_t sync_number = 0;  ///< of the packet
  std::condition_variable wake;
  std::jthread thread;
};

MultifdSender::MultifdSender(unsigned channels, RamCounters& counters)
    : wanted_channels_(channels), counters_(counters) {}

MultifdSender::~MultifdSender() {
  close();
}

void MultifdSender::close() noexcept {
  shutdown();
  for (const auto& channel : channels_)
    if (channel->thread.joinable()) channel->thread.join();
  std::lock_guard lock(mutex_);
  channels_.clear();
}

Result<> MultifdSender::connect(const Open& open, std::function<void()> on_failure) {
  on_failure_ = std::move(on_failure);
  for (unsigned id = 0; id < wanted_channels_; ++id) {
    auto opened = open(static_cast<std::uint8_t>(id));
    if (!opened) return fail(std::move(opened).error().in(fmt::format("multifd channel {}", id)));
    std::lock_guard lock(mutex_);
    if (stopped_) return failed();
    DataChannel& channel = *channels_.emplace_back(std::make_unique<DataChannel>(*std::move(opened)));
    channel.thread = start_thread(
        fmt::format("multifd-send-{}", id), [this, &channel](std::stop_token) { run(channel); },
        [this, id](Error error) { fail_all(std::move(error).in(fmt::format("multifd channel {}", id))); });
  }
  return {};
}

void MultifdSender::Job::clear() {
  packet.normal_pages = packet.zero_pages = 0;
  scan = false;
  zeros.reset();
}

/// The order in a packet of the newer form. Reads the pages that nobody knows of.
void MultifdSender::Job::put_zeros_last() {
  std::array<std::uint64_t, wire::MultifdPacket::page_limit> found;
  const std::uint32_t pages = packet.normal_pages;
  packet.normal_pages = 0;
  for (std::uint32_t i = 0; i < pages; ++i) {
    const std::uint64_t offset = packet.offsets[i];
    if (zeros.test(i) || memory::is_zero_page(block->host + offset))
      found[packet.zero_pages++] = offset;
    else
      packet.offsets[packet.normal_pages++] = offset;
  }
  std::copy_n(found.begin(), packet.zero_pages, packet.offsets.begin() + packet.normal_pages);
}

Result<> MultifdSender::add(const RamBlock& block, std::uint64_t page, Content content) {
  wire::MultifdPacket& packet = filling_.packet;
  if (filling_.block != &block && packet.normal_pages > 0) GODWIT_TRY(hand_over());
  if (packet.normal_pages == 0) {
    filling_.block = &block;
    packet.set_block(block.name);
    promised_ += wire::MultifdPacket::header_size;
  }
  if (content != Content::pages) filling_.scan = true;
  if (content == Content::zeros) filling_.zeros.set(packet.normal_pages);
  packet.offsets[packet.normal_pages++] = page * page_size;
  promised_ += page_size;
  return packet.normal_pages == wire::MultifdPacket::page_limit ? hand_over() : Result<>{};
}

/// Gives the packet to the next channel that can take it.
Result<> MultifdSender::hand_over() {
  filling_.packet.number = packets_++;
  std::unique_lock lock(mutex_);
  const auto next_free = [this] {
    for (std::size_t i = 0; i < used_channels_; ++i) {
      const std::size_t candidate = (next_channel_ + i) % used_channels_;
      if (channels_[candidate]->full) continue;
      next_channel_ = candidate;
      return true;
    }
    return false;
  };
  progress_.wait(lock, [&] { return stopped_ || next_free(); });
  if (stopped_) return failed();
  DataChannel& channel = *channels_[next_channel_];
  next_channel_ = (next_channel_ + 1) % used_channels_;
  std::swap(channel.slot, filling_);
  channel.full = true;
  channel.wake.notify_one();
  lock.unlock();
  filling_.clear();
  return {};
}

Result<> MultifdSender::synchronize() {
  if (filling_.packet.normal_pages > 0) GODWIT_TRY(hand_over());
  std::unique_lock lock(mutex_);
  for (const auto& channel : channels_) {
    channel->sync_wanted = true;
    channel->sync_number = packets_++;
    channel->wake.notify_one();
  }
  progress_.wait(lock, [this] {
    return stopped_ ||
           std::ranges::none_of(channels_, [](const auto& channel) { return channel->sync_wanted; });
  });
  if (stopped_) return failed();
  return {};
}

Result<> MultifdSender::confirm() {
  std::lock_guard lock(mutex_);
  if (stopped_) return failed();
  for (const auto& channel : channels_) GODWIT_TRY(channel->writer->confirm());
  return {};
}

void MultifdSender::run(DataChannel& channel) {
  Job job;
  std::unique_lock lock(mutex_);
  for (;;) {
    channel.wake.wait(lock, [&] { return stopped_ || channel.full || channel.sync_wanted; });
    if (stopped_) return;
    // The job first: SYNC stands behind all pages.
    const bool pages = channel.full;
    const std::uint64_t sync_number = channel.sync_number;
    if (pages) {
      std::swap(job, channel.slot);
      channel.full = false;
      progress_.notify_one();
    }
    lock.unlock();
    const std::uint64_t raw =
        pages ? wire::MultifdPacket::header_size + job.packet.normal_pages * page_size : std::uint64_t{0};
    if (pages && job.scan) job.put_zeros_last();
    const auto written =
        pages ? channel.writer->write(job.packet, *job.block) : channel.writer->synchronize(sync_number);
    if (!written)
      return fail_all(
          Error(written.error()).advise("see what the destination says; 'multifd' has to be on there too"));
    written_ += written->bytes;
    promised_ -= raw;
    counters_.multifd_bytes += written->bytes;
    if (written->copied) ++counters_.missed_zero_copy;
    if (pages && job.scan) {
      counters_.normal_pages += job.packet.normal_pages;
      counters_.zero_pages += job.packet.zero_pages;
    }
    lock.lock();
    if (!pages) {
      channel.sync_wanted = false;
      progress_.notify_one();
    }
  }
}

void MultifdSender::fail_all(Error error) {
  {
    std::lock_guard lock(mutex_);
    if (stopped_ || error_) return;
    error_ = std::move(error);
  }
  reached(Probe::channel_lost);
  shutdown();
  on_failure_();
}

void MultifdSender::shutdown() noexcept {
  std::lock_guard lock(mutex_);
  stopped_ = true;
  for (const auto& channel : channels_) {
    channel->writer->shutdown();
    channel->wake.notify_one();
  }
  progress_.notify_all();
}

std::optional<Error> MultifdSender::error() const {
  std::lock_guard lock(mutex_);
  return error_;
}

/// With the lock held.
std::unexpected<Error> MultifdSender::failed() const {
  return error_ ? fail(*error_) : fail("The multifd channels were shut down");
}

}  // namespace godwit::engine

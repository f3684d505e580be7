#include "engine/incoming/incoming_postcopy.h"

#include <algorithm>
#include <utility>

#include "base/fail.h"
#include "engine/greeting.h"
#include "engine/incoming/start_guest.h"
#include "engine/probes.h"
#include "memory/discard.h"

namespace godwit::engine {

namespace {

/// How long a source may take to hear that the guest cannot be loaded.
constexpr Milliseconds kFarewell{2000};

}  // namespace

IncomingPostcopy::IncomingPostcopy(const IncomingContext& context, const Capabilities& capabilities,
                                   ChannelSlot& channel, ChannelSlot& urgent_channel, ListenerSlot& listener)
    : context_(context),
      capabilities_(capabilities),
      channel_(channel),
      urgent_channel_(urgent_channel),
      memory_(context.guest.ram_blocks()),
      missing_(context.guest.ram_blocks()),
      recovery_(listener, [this](std::unique_ptr<channel::Channel> connection) {
        receiver_->attach(std::move(connection));
      }) {}

Result<> IncomingPostcopy::advise(const wire::PostcopyAdvise& advise) {
  if (state_ != State::none) return fail("The source announces postcopy a second time");
  if (capabilities_.has(Capability::postcopy_ram) != advise.page_sizes.has_value())
    return fail(Error(advise.page_sizes
                          ? "The source announces postcopy of RAM, and postcopy-ram is off here"
                          : "The source announces no postcopy of RAM, and postcopy-ram is on here")
                    .advise("set the same migration capabilities on both sides"));
  if (!advise.page_sizes) return fail("Postcopy of dirty bitmaps is not built yet");
  GODWIT_TRY(check_sizes(advise));
  std::lock_guard lock(mutex_);
  if (stopped_) return fail("The process ends");
  GODWIT_TRY(memory_.prepare());
  if (capabilities_.has(Capability::postcopy_blocktime)) {
    blocktime_ = std::make_unique<Blocktime>(context_.guest.vcpu_thread_ids());
    measured_ = blocktime_.get();
  }
  state_ = State::advised;
  return {};
}

Result<> IncomingPostcopy::check_sizes(const wire::PostcopyAdvise& advise) const {
  std::uint64_t summary = 0;
  for (const RamBlock& block : context_.guest.ram_blocks()) summary |= block.host_page_size;
  if (advise.page_sizes->target != page_size)
    return fail("The source's pages have {} bytes, and pages here {}", advise.page_sizes->target, page_size);
  if (advise.page_sizes->host_summary != summary)
    return fail(Error(fmt::format("Postcopy needs RAM of the same page sizes on both sides: 0x{:x} at the "
                                  "source, 0x{:x} here",
                                  advise.page_sizes->host_summary, summary))
                    .advise("use the same memory backends, huge pages included"));
  return {};
}

Result<> IncomingPostcopy::discard(const wire::PostcopyDiscard& discard) {
  if (state_ != State::advised && state_ != State::discarding)
    return fail("The source drops pages at a time when there is nothing to drop");
  state_ = State::discarding;
  const auto blocks = context_.guest.ram_blocks();
  const auto block = std::ranges::find(blocks, discard.block, &RamBlock::name);
  if (block == blocks.end())
    return fail("The source drops pages of RAM block '{}', which does not exist here", discard.block);
  for (const auto& range : discard.ranges) {
    if (range.start % block->host_page_size != 0 || range.length % block->host_page_size != 0 ||
        range.start > block->size || range.length > block->size - range.start)
      return fail(
          "The source drops 0x{:x} bytes at 0x{:x} of RAM block '{}', which has 0x{:x} bytes in pages "
          "of 0x{:x}",
          range.length, range.start, block->name, block->size, block->host_page_size);
    const PageRange pages{range.start / page_size, range.length / page_size};
    GODWIT_TRY(memory::discard_pages(*block, pages));
    missing_.add(static_cast<std::size_t>(block - blocks.begin()), pages);
  }
  return {};
}

Result<> IncomingPostcopy::listen(std::uint32_t ram_section) {
  if (state_ != State::advised && state_ != State::discarding)
    return fail("The source goes into postcopy, which it has not announced");
  std::lock_guard lock(mutex_);
  if (stopped_) return fail("The process ends");
  GODWIT_TRY(memory_.start(blocktime_ != nullptr));
  state_ = State::listening;
  context_.status.to(Status::active, Status::postcopy_active);
  PostcopyParts parts{.blocks = context_.guest.ram_blocks(),
                      .memory = memory_,
                      .missing = missing_,
                      .blocktime = blocktime_.get(),
                      .clock = context_.clock,
                      .settings = context_.settings,
                      .status = context_.status,
                      .channel = channel_,
                      .urgent_channel = urgent_channel_,
                      .preempt = capabilities_.has(Capability::postcopy_preempt),
                      .ram_section = ram_section,
                      .footers = context_.options.send_section_footer,
                      .token = token_};
  auto receiver = std::make_unique<PostcopyReceiver>(parts, std::move(in_));
  receiver->start();  // without its thread nobody is listening, and nobody has to be stopped
  receiver_ = std::move(receiver);
  recovery_.start();
  return {};
}

Result<> IncomingPostcopy::run() {
  if (state_ != State::listening) return fail("The source lets the guest run before it goes into postcopy");
  state_ = State::running;
  // The state that the source sent is of a precopy; here it runs wherever it may.
  GODWIT_TRY(start_guest(context_.guest, context_.guest.autostart() ? RunState::running : RunState::paused));
  started_ = true;
  receiver_->guest_started();
  return {};
}

void IncomingPostcopy::heard_ping(std::uint32_t value) {
  if (std::exchange(greeted_, value == hello) && !token_) token_ = value;
}

void IncomingPostcopy::not_needed() {
  std::lock_guard lock(mutex_);
  memory_.stop();
}

void IncomingPostcopy::refuse() {
  reached(Probe::package_refused);
  receiver_->send(wire::Shut{1});
  stop();
  // The source takes the guest back when it has read that, and closes the connection. Closing it here first
  // could lose the message.
  if (channel_.get()) static_cast<void>(channel_.get()->wait_for_peer_close(kFarewell));
}

void IncomingPostcopy::stop() {
  std::lock_guard lock(mutex_);
  stopped_ = true;
  if (receiver_) receiver_->stop();
  memory_.stop();
}

}  // namespace godwit::engine

#include "engine/incoming/multifd_receiver.h"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

#include "base/fail.h"
#include "base/log.h"
#include "base/thread.h"
#include "engine/incoming/ram_loader.h"
#include "engine/probes.h"
#include "wire/header.h"

namespace godwit::engine {

struct MultifdReceiver::Connection {
  explicit Connection(std::unique_ptr<channel::Channel> given) : channel(std::move(given)), in(*channel) {}

  std::string text() const {
    return id ? fmt::format("multifd channel {}", *id) : fmt::format("a connection from {}", channel->peer());
  }

  std::unique_ptr<channel::Channel> channel;  ///< null once it is known to be the main one
  PacketInput in;                             ///< the thread's
  std::optional<std::uint8_t> id;
  std::uint64_t syncs = 0;  ///< SYNC packets read
  bool ended = false;
  std::jthread thread;
};

MultifdReceiver::MultifdReceiver(MultifdExpectation expectation, std::function<void()> on_failure)
    : expectation_(expectation), on_failure_(std::move(on_failure)) {}

MultifdReceiver::~MultifdReceiver() {
  close();
}

void MultifdReceiver::close() noexcept {
  shutdown();
  for (const auto& connection : connections_)
    if (connection->thread.joinable()) connection->thread.join();
  if (arrivals_.joinable()) arrivals_.join();
}

void MultifdReceiver::add(std::unique_ptr<channel::Channel> connection) {
  std::lock_guard lock(mutex_);
  if (stopped_) return;
  if (connections_.empty())
    arrivals_ = start_thread(
        "multifd-wait", [this](std::stop_token) { watch_arrivals(); },
        [this](Error error) { fail_all(std::move(error)); });
  Connection& added = *connections_.emplace_back(std::make_unique<Connection>(std::move(connection)));
  added.thread = start_thread(
      fmt::format("multifd-recv-{}", connections_.size() - 1),
      [this, &added](std::stop_token) { run(added); },
      [this, &added](Error error) { fail_all(std::move(error).in(added.text())); });
}

/// A source that vanishes before it has opened all of them would be waited for without end.
void MultifdReceiver::watch_arrivals() {
  std::unique_lock lock(mutex_);
  if (changed_.wait_for(lock, expectation_.patience,
                        [this] { return stopped_ || introduced_ == connections(); }))
    return;
  Error error(fmt::format("{} of {} connections have come within {} ms", introduced_, connections(),
                          expectation_.patience.count()));
  lock.unlock();
  fail_all(std::move(error).advise("set the same multifd-channels on both sides"));
}

void MultifdReceiver::run(Connection& connection) {
  auto is_data = introduce(connection);
  if (!is_data) return fail_all(std::move(is_data).error());
  if (!*is_data) return;
  auto received = receive(connection);
  if (!received) return fail_all(std::move(received).error().in(connection.text()));
  std::lock_guard lock(mutex_);
  connection.ended = true;
  changed_.notify_all();
}

/// False: it is the main channel, and not ours any more.
Result<bool> MultifdReceiver::introduce(Connection& connection) {
  auto first = connection.in.need(4);
  if (!first) return fail(std::move(first).error().in(connection.text()));
  MainChannel main;
  std::ranges::copy(*first, main.first_bytes.begin());
  if (SpanInput bytes(main.first_bytes); *bytes.be32() != wire::multifd_magic) {
    // A stream of migration, or something that its reader refuses in its own words.
    std::lock_guard lock(mutex_);
    if (main_) return fail("{} is a second main channel", connection.text());
    main.channel = std::move(connection.channel);
    main_ = std::move(main);
    ++introduced_;
    changed_.notify_all();
    return false;
  }
  auto hello = wire::decode_multifd_hello(connection.in);
  if (!hello) return fail(std::move(hello).error().in(connection.text()));
  if (hello->uuid != expectation_.uuid)
    return fail(Error(fmt::format("multifd channel {} is of a guest with another UUID", hello->channel))
                    .advise("start the destination with the UUID of the source (-uuid)"));
  std::lock_guard lock(mutex_);
  if (hello->channel >= expectation_.channels)
    return fail(Error(fmt::format("multifd channel {} arrives, {} are expected", hello->channel,
                                  expectation_.channels))
                    .advise("set the same multifd-channels on both sides"));
  present_.resize(expectation_.channels);
  if (present_[hello->channel]) return fail("multifd channel {} arrives twice", hello->channel);
  present_[hello->channel] = true;
  connection.id = hello->channel;
  ++introduced_;
  changed_.notify_all();
  return true;
}

Result<MultifdReceiver::MainChannel> MultifdReceiver::wait_for_all() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return stopped_ || introduced_ == connections(); });
  if (stopped_) return failed();
  if (!main_) return fail("{} multifd channels have arrived, and no main channel", introduced_);
  return *std::exchange(main_, std::nullopt);
}

void MultifdReceiver::start(RamLoader& loader) {
  std::lock_guard lock(mutex_);
  loader_ = &loader;
  changed_.notify_all();
}

/// From the first packet to the end of the channel.
Result<> MultifdReceiver::receive(Connection& connection) {
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return stopped_ || loader_; });
    if (stopped_) return failed();
  }
  wire::MultifdReader reader(expectation_.method,
                             [this](std::string_view name) { return loader_->block_for_pages(name); });
  std::unique_ptr<wire::MultifdDecompressor> decompressor;
  if (expectation_.method != wire::MultifdMethod::none) {
    GODWIT_ASSIGN(decompressor, wire::make_multifd_decompressor(expectation_.method));
  }
  for (;;) {
    GODWIT_ASSIGN(const bool at_end, connection.in.at_end());
    if (at_end) return {};
    GODWIT_TRY(reader.next(connection.in));
    if (reader.packet().pages() > 0) GODWIT_TRY(place(connection, reader, decompressor.get()));
    // The pages of a packet come before its SYNC.
    if (reader.packet().sync()) GODWIT_TRY(pass_sync(connection));
  }
}

Result<> MultifdReceiver::place(Connection& connection, wire::MultifdReader& reader,
                                wire::MultifdDecompressor* decompressor) {
  // The list of blocks, which says what there is, stands before the first point of synchronisation.
  if (connection.syncs == 0) return fail("pages arrive before the list of RAM blocks");
  if (no_more_pages_) return fail("pages arrive in postcopy, where they belong to the main channel");
  const wire::MultifdPacket& packet = reader.packet();
  const std::uint32_t index = reader.block().index;
  std::byte* const host = loader_->block(index).host;
  for (const std::uint64_t offset : packet.normal()) loader_->note_landed(index, offset / page_size);
  if (decompressor && packet.normal_pages > 0) {
    std::array<std::byte*, wire::MultifdPacket::page_limit> places;
    for (std::uint32_t i = 0; i < packet.normal_pages; ++i) places[i] = host + packet.offsets[i];
    GODWIT_TRY(
        decompressor->read(connection.in, reader.data(), std::span(places).first(packet.normal_pages)));
  } else if (packet.normal_pages > 0) {
    // Pages that follow each other are one place.
    std::array<iovec, wire::MultifdPacket::page_limit> places;
    std::size_t count = 0;
    for (const std::uint64_t offset : packet.normal()) {
      std::byte* const page = host + offset;
      if (count > 0 &&
          static_cast<std::byte*>(places[count - 1].iov_base) + places[count - 1].iov_len == page)
        places[count - 1].iov_len += page_size;
      else
        places[count++] = {page, page_size};
    }
    GODWIT_TRY(connection.in.scatter(std::span(places).first(count), wire::MultifdPacket::header_size));
  }
  for (const std::uint64_t offset : packet.zero()) RamLoader::fill_zero(host + offset);
  return {};
}

/// Waits until the main channel has come as far.
Result<> MultifdReceiver::pass_sync(Connection& connection) {
  std::unique_lock lock(mutex_);
  ++connection.syncs;
  changed_.notify_all();
  changed_.wait(lock, [&] { return stopped_ || no_more_pages_ || passed_ >= connection.syncs; });
  if (stopped_) return failed();
  return {};
}

Result<> MultifdReceiver::synchronize() {
  std::unique_lock lock(mutex_);
  const Connection* missing = nullptr;
  const auto all_there = [&] {
    missing = nullptr;
    bool all = true;
    for (const auto& connection : connections_) {
      if (!connection->id || connection->syncs > passed_) continue;
      all = false;
      if (connection->ended) missing = connection.get();
    }
    return all;
  };
  changed_.wait(lock, [&] { return stopped_ || all_there() || missing; });
  if (stopped_) return failed();
  if (missing) return fail("{} ended before its time: expected a synchronisation", missing->text());
  ++passed_;
  changed_.notify_all();
  return {};
}

void MultifdReceiver::no_more_pages() {
  std::lock_guard lock(mutex_);
  no_more_pages_ = true;
  changed_.notify_all();
}

void MultifdReceiver::fail_all(Error error) {
  {
    std::lock_guard lock(mutex_);
    if (stopped_ || error_) return;
    if (no_more_pages_) log::warn("{}", error.what());
    error_ = std::move(error);
  }
  reached(no_more_pages_ ? Probe::channel_lost_in_postcopy : Probe::channel_lost_at_destination);
  shutdown();
  if (!no_more_pages_) on_failure_();
}

void MultifdReceiver::shutdown() noexcept {
  std::lock_guard lock(mutex_);
  stopped_ = true;
  for (const auto& connection : connections_)
    if (connection->channel) connection->channel->shutdown();
  if (main_) main_->channel->shutdown();
  changed_.notify_all();
}

std::optional<Error> MultifdReceiver::error() const {
  std::lock_guard lock(mutex_);
  return error_;
}

/// With the lock held.
std::unexpected<Error> MultifdReceiver::failed() const {
  return error_ ? fail(*error_) : fail("The multifd channels were shut down");
}

}  // namespace godwit::engine

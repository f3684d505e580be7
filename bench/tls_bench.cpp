// What TLS costs: GnuTLS alone, which is the ceiling, and a guest's pages from source to destination over
// TCP. "GnuTLS alone" moves records of 16 KiB between two sessions in one thread, without a system call.
#include <algorithm>
#include <benchmark/benchmark.h>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>
#include <gnutls/gnutls.h>
#include <vector>

#include "base/thread.h"
#include "channel/channel_input.h"
#include "channel/connector.h"
#include "channel/listener.h"
#include "channel/tls/tls_channel.h"
#include "engine/incoming/ram_loader.h"
#include "memory/ram.h"
#include "noise_sender.h"

namespace godwit::engine {
namespace {

constexpr std::uint64_t kSize = 1024ull * 1024 * 1024;
constexpr std::size_t kRecord = 16 * 1024;
constexpr std::size_t kBurst = 256 * 1024;

memory::GuestRam noise() {
  memory::GuestRam ram = memory::GuestRam::create({.size = kSize}).value();
  for (std::uint64_t at = 0; at < kSize; at += 8) {
    const std::uint64_t word = (at + 1) * 0x9e3779b97f4a7c15u;
    std::memcpy(ram.host() + at, &word, sizeof word);
  }
  return ram;
}

double thread_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

std::shared_ptr<const TlsCredentials> credentials(TlsEndpoint endpoint) {
  return TlsCredentials::load({.kind = TlsKind::anonymous, .endpoint = endpoint}).value();
}

/// One of two GnuTLS sessions that exchange bytes through vectors.
struct End {
  explicit End(TlsEndpoint endpoint) : mine(credentials(endpoint)) {
    gnutls_init(&session,
                (endpoint == TlsEndpoint::server ? GNUTLS_SERVER : GNUTLS_CLIENT) | GNUTLS_NONBLOCK);
    mine->equip(session).value();
    gnutls_transport_set_ptr(session, this);
    gnutls_transport_set_push_function(
        session, [](gnutls_transport_ptr_t pointer, const void* bytes, std::size_t size) {
          auto& sent = static_cast<End*>(pointer)->peer->incoming;
          const auto* const from = static_cast<const std::byte*>(bytes);
          sent.insert(sent.end(), from, from + size);
          return static_cast<ssize_t>(size);
        });
    gnutls_transport_set_pull_function(
        session, [](gnutls_transport_ptr_t pointer, void* into, std::size_t size) {
          End& self = *static_cast<End*>(pointer);
          const std::size_t count = std::min(size, self.incoming.size() - self.at);
          std::memcpy(into, self.incoming.data() + self.at, count);
          self.at += count;
          if (self.at == self.incoming.size()) self.at = 0, self.incoming.clear();
          if (count != 0) return static_cast<ssize_t>(count);
          gnutls_transport_set_errno(self.session, EAGAIN);
          return ssize_t{-1};
        });
    gnutls_transport_set_pull_timeout_function(session, [](gnutls_transport_ptr_t, unsigned) { return 1; });
  }
  ~End() { gnutls_deinit(session); }
  End(const End&) = delete;
  End& operator=(const End&) = delete;

  std::shared_ptr<const TlsCredentials> mine;
  gnutls_session_t session = nullptr;
  End* peer = nullptr;
  std::vector<std::byte> incoming;
  std::size_t at = 0;
};

void gnutls_alone(benchmark::State& state) {
  const memory::GuestRam from = noise();
  const memory::GuestRam to = memory::GuestRam::create({.size = kSize}).value();
  std::memset(to.host(), 1, kSize);
  End client(TlsEndpoint::client);
  End server(TlsEndpoint::server);
  client.peer = &server;
  server.peer = &client;
  for (int client_code = -1, server_code = -1; client_code != 0 || server_code != 0;) {
    if (client_code != 0) client_code = gnutls_handshake(client.session);
    if (server_code != 0) server_code = gnutls_handshake(server.session);
  }
  double encrypting = 0;
  double decrypting = 0;
  for ([[maybe_unused]] auto _ : state) {
    for (std::uint64_t burst = 0; burst < kSize; burst += kBurst) {
      const double start = thread_seconds();
      for (std::uint64_t at = burst; at < burst + kBurst; at += kRecord)
        gnutls_record_send(client.session, from.host() + at, kRecord);
      const double sent = thread_seconds();
      for (std::uint64_t at = burst; at < burst + kBurst; at += kRecord)
        if (gnutls_record_recv(server.session, to.host() + at, kRecord) != kRecord)
          return state.SkipWithError("not decrypted");
      encrypting += sent - start;
      decrypting += thread_seconds() - sent;
    }
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * kSize));
  state.counters["encrypt_s"] = benchmark::Counter(encrypting, benchmark::Counter::kAvgIterations);
  state.counters["decrypt_s"] = benchmark::Counter(decrypting, benchmark::Counter::kAvgIterations);
}
BENCHMARK(gnutls_alone)->Unit(benchmark::kMillisecond);

struct NoDescriptors final : DescriptorSource {
  Result<UniqueFd> take_named(std::string_view) override { return UniqueFd(); }
  Result<UniqueFd> open_fdset(std::string_view, int) override { return UniqueFd(); }
};

/// A gigabyte of noise into new memory. Argument: with TLS. "source_s" and "destination_s" are the CPU time
/// of the two threads.
void load_over_tcp(benchmark::State& state) {
  const bool encrypted = state.range(0) != 0;
  const memory::GuestRam source = noise();
  const auto client = credentials(TlsEndpoint::client);
  const auto server = credentials(TlsEndpoint::server);
  const channel::Interrupt never;
  double sending = 0;
  double loading = 0;
  for ([[maybe_unused]] auto _ : state) {
    NoDescriptors none;
    const auto address = channel::parse_address("tcp:127.0.0.1:0", channel::Direction::incoming).value();
    auto listener = channel::listen(address, none, 1).value();
    const auto to = channel::parse_address("tcp:127.0.0.1:" + listener->addresses().front().port,
                                           channel::Direction::outgoing)
                        .value();
    const memory::GuestRam ram = memory::GuestRam::create({.size = kSize}).value();
    const RamBlock block = ram.block("ram");
    std::jthread sender = start_thread("sender", [&](const std::stop_token&) {
      auto out = channel::connect(to, none, never).value();
      if (encrypted) out = channel::start_tls(std::move(out), channel::TlsClient{client}, never).value();
      const double start = thread_seconds();
      send_block(*out, source.block("ram"));
      sending += thread_seconds() - start;
    });
    auto channel = listener->accept().value();
    if (encrypted)
      channel = channel::start_tls(std::move(channel), channel::TlsServer{server}, never).value();
    channel::ChannelInput in(*channel);
    RamLoader loader({&block, 1}, false);
    const auto began = std::chrono::steady_clock::now();
    const double start = thread_seconds();
    const bool loaded = loader.load_setup(in) && loader.load_pages(in);
    loading += thread_seconds() - start;
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    if (!loaded) channel->shutdown();
    sender.join();
    if (!loaded || std::memcmp(ram.host(), source.host(), kSize) != 0)
      return state.SkipWithError("not loaded");
    state.SetIterationTime(took.count());
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * kSize));
  state.counters["source_s"] = benchmark::Counter(sending, benchmark::Counter::kAvgIterations);
  state.counters["destination_s"] = benchmark::Counter(loading, benchmark::Counter::kAvgIterations);
}
BENCHMARK(load_over_tcp)->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond)->UseManualTime();

}  // namespace
}  // namespace godwit::engine

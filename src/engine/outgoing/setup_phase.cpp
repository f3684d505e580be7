#include "engine/outgoing/setup_phase.h"

#include "base/fail.h"
#include "engine/device_state.h"
#include "engine/greeting.h"
#include "engine/probes.h"
#include "engine/security.h"
#include "wire/command.h"
#include "wire/header.h"
#include "wire/record.h"

namespace godwit::engine {
namespace {

wire::Configuration configuration_of(Guest& guest, const Capabilities& capabilities) {
  wire::Configuration configuration;
  configuration.machine = guest.machine_name();
  configuration.capabilities = sent_capabilities(capabilities);
  if (capabilities.has(Capability::validate_uuid)) configuration.uuid = guest.uuid();
  return configuration;
}

void open_return_path(OutgoingSession& session) {
  session.return_path = std::make_unique<ReturnPath>(*session.channel.get());
  wire::encode_command(session.out->pending(), wire::OpenReturnPath{});
  wire::encode_command(session.out->pending(), wire::Ping{1});
}

/// Both sides have to see the same pages, so the sizes are compared before anything else.
wire::PostcopyAdvise advice(Guest& guest) {
  wire::PostcopyAdvise::PageSizes sizes{.host_summary = 0, .target = page_size};
  for (const RamBlock& block : guest.ram_blocks()) sizes.host_summary |= block.host_page_size;
  return {.page_sizes = sizes};
}

/// Connects unless there is a channel already, and secures it.
Result<std::unique_ptr<channel::Channel>> open_channel(OutgoingSession& session,
                                                       const channel::Address& address,
                                                       std::unique_ptr<channel::Channel> channel) {
  const auto here = [](Error error) { return fail(std::move(error).at(Side::source, "connecting")); };
  if (!channel) {
    auto connected = session.context.connect(address, session.interrupt);
    if (!connected) return here(std::move(connected).error());
    channel = *std::move(connected);
  }
  auto secured = secure(std::move(channel), session.context.settings.parameters(),
                        session.context.options.tls, address, session.interrupt);
  if (!secured) {
    reached(Probe::handshake_broken);
    return here(std::move(secured).error());
  }
  return secured;
}

}  // namespace

Result<> connect(OutgoingSession& session, const channel::Address& address) {
  const bool urgent = session.has(Capability::postcopy_preempt);
  GODWIT_ASSIGN(auto main, open_channel(session, address, session.channel.take()));
  if (urgent && !main->multi_channel())
    return fail("postcopy-preempt needs a transport with several connections: tcp, unix or vsock");
  session.channel.put(std::move(main), session.cancelled());
  session.out = std::make_unique<StreamWriter>(*session.channel.get());
  GODWIT_TRY(session.lanes.connect(
      *session.channel.get(), [&] { return open_channel(session, address, nullptr); },
      [&session] { session.channel.shutdown(); }));
  if (!urgent) return {};
  // Behind the other one: the destination tells them apart by their order.
  GODWIT_ASSIGN(auto second, open_channel(session, address, nullptr));
  session.urgent_channel.put(std::move(second), session.cancelled());
  session.urgent_out = std::make_unique<StreamWriter>(*session.urgent_channel.get());
  return {};
}

Result<> set_up(OutgoingSession& session) {
  const OutgoingContext& context = session.context;
  const Nanoseconds started = context.clock.now();
  Output& out = session.out->pending();
  wire::encode_file_header(out);
  if (context.options.send_configuration)
    wire::encode_configuration(out, configuration_of(context.guest, session.capabilities));
  if (session.has(Capability::return_path) || session.has(Capability::postcopy_ram)) {
    open_return_path(session);
  }
  if (session.has(Capability::postcopy_ram)) {
    if (!session.channel.get()->two_way() || session.channel.get()->read_descriptor() < 0)
      return fail("postcopy-ram needs a transport over which the destination can answer");
    encode_greeting(out, session.token);
    wire::encode_command(out, advice(context.guest));
  }
  // A peer that is gone shows in `active`: what watches a migration sees the same steps whenever that was.
  Result<> sent = session.out->flush();

  GODWIT_TRY(session.ram.start());
  session.dirty_rate.start(context.clock.now());
  GODWIT_TRY(session.synchronize());
  wire::encode_section_header(out, wire::RecordType::section_start,
                              {.id = ram_section_id,
                               .name = std::string(wire::ram_section_name),
                               .instance = 0,
                               .version = wire::ram_section_version});
  if (sent) sent = session.ram.write_setup(*session.out, session.has(Capability::postcopy_ram));
  if (sent) sent = session.ram.finish_section(*session.out);
  wire::encode_end_of_section(out);
  if (context.options.send_section_footer) wire::encode_footer(out, ram_section_id);
  if (sent) sent = session.out->flush();

  session.statistics.setup_ms = to_ms(context.clock.now() - started);
  context.status.to(Status::setup, Status::active);
  session.window.start(context.clock.now(), session.bytes_sent(), session.statistics.ram.pages_sent());
  return sent;
}

}  // namespace godwit::engine

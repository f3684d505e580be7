// query-migrate: what either role says of itself (control-plane section 6).
#include <utility>

#include "engine/migration_implementation.h"

namespace godwit {
namespace {

schema::SocketAddress to_schema(const channel::ListeningAddress& address) {
  using Type = channel::ListeningAddress::Type;
  schema::SocketAddress out;
  switch (address.type) {
    case Type::inet: {
      schema::InetSocketAddress inet;
      inet.host = address.host;
      inet.port = address.port;
      if (address.ipv4) inet.ipv4 = true;
      if (address.ipv6) inet.ipv6 = true;
      out.u = std::move(inet);
      break;
    }
    case Type::unix: {
      schema::UnixSocketAddress path;
      path.path = address.path;
      out.u = std::move(path);
      break;
    }
    case Type::vsock: {
      schema::VsockSocketAddress vsock;
      vsock.cid = address.cid;
      vsock.port = address.port;
      out.u = std::move(vsock);
      break;
    }
  }
  return out;
}

}  // namespace

schema::MigrationInfo Migration::Implementation::info() const {
  schema::MigrationInfo info;
  if (outgoing_status_.status() != Status::none)
    describe_outgoing(info);
  else
    describe_incoming(info);
  if (auto reasons = blockers(); !reasons.empty()) info.blocked_reasons = std::move(reasons);
  return info;
}

void Migration::Implementation::describe_outgoing(schema::MigrationInfo& info) const {
  const Status status = outgoing_status_.status();
  const auto attempt = outgoing();
  info.status = status;
  if (status == Status::failed) {
    std::lock_guard lock(attempts_);
    info.error_desc = attempt ? attempt->error_text() : start_error_;
  }
  const bool completed = status == Status::completed;
  const bool moving = engine::in_progress(status) && status != Status::setup;
  if (!attempt || !(completed || moving)) return;
  const engine::Statistics& statistics = attempt->statistics();
  info.total_time = statistics.total_ms_at(clock_.now());
  info.setup_time = statistics.setup_ms.load();
  if (completed)
    info.downtime = statistics.downtime_ms.load();
  else
    info.expected_downtime = statistics.expected_downtime_ms.load();
  info.ram = statistics.ram.to_schema(completed);
  if (const int percent = statistics.throttle_percent; percent > 0) info.cpu_throttle_percentage = percent;
  if (settings_.has(Capability::dirty_limit) && moving && !dirty_limiter_.info().empty())
    info.dirty_limit_throttle_time_per_round =
        static_cast<std::uint64_t>(dirty_limiter_.longest_wait().count());
  // These depend on the capability at the time of the question.
  if (settings_.has(Capability::x_auto_lanes)) info.x_auto_lanes = attempt->auto_lanes();
  if (settings_.has(Capability::xbzrle) || (info.x_auto_lanes && info.x_auto_lanes->xbzrle))
    info.xbzrle_cache = statistics.xbzrle.to_schema(settings_.xbzrle_cache_size());
  if (settings_.has(Capability::compress)) info.compression = statistics.compression.to_schema();
}

void Migration::Implementation::describe_incoming(schema::MigrationInfo& info) const {
  if (const Status status = incoming_status_.status(); status != Status::none) info.status = status;
  std::lock_guard lock(attempts_);
  if (!incoming_) return;
  if (incoming_status_.status() == Status::completed) {
    if (const auto* blocktime = incoming_->blocktime()) {
      info.postcopy_blocktime = static_cast<std::uint32_t>(blocktime->total_ms());
      info.postcopy_vcpu_blocktime.emplace();
      for (const std::int64_t ms : blocktime->vcpu_ms())
        info.postcopy_vcpu_blocktime->push_back(static_cast<std::uint32_t>(ms));
    }
    return;
  }
  if (incoming_status_.status() == Status::failed) info.error_desc = incoming_->error_text();
  std::vector<schema::SocketAddress> addresses;
  for (const auto& address : incoming_->addresses()) addresses.push_back(to_schema(address));
  if (!addresses.empty()) info.socket_address = std::move(addresses);
}

}  // namespace godwit

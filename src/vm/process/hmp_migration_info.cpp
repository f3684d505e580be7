// info migrate, info migrate_parameters, info migrate_capabilities.
#include "vm/process/hmp.h"

namespace godwit::vm {

namespace {

const char* on_off(bool on) {
  return on ? "on" : "off";
}

std::uint64_t kbytes(auto bytes) {
  return static_cast<std::uint64_t>(bytes) >> 10;
}

void print_globals(HumanCall& call) {
  const MigrationOptions& options = call.services.migration_options;
  call.print("globals:\nstore-global-state: {}\nonly-migratable: {}\n", on_off(options.store_global_state),
             on_off(options.only_migratable));
  call.print("send-configuration: {}\nsend-section-footer: {}\n", on_off(options.send_configuration),
             on_off(options.send_section_footer));
  // Neither can be switched here; both are as in QEMU where nobody has.
  call.print("decompress-error-check: on\nclear-bitmap-shift: 18\n");
}

void print_ram(HumanCall& call, const schema::MigrationStats& ram) {
  call.print("transferred ram: {} kbytes\nthroughput: {:.2f} mbps\n", kbytes(ram.transferred), ram.mbps);
  call.print("remaining ram: {} kbytes\ntotal ram: {} kbytes\n", kbytes(ram.remaining), kbytes(ram.total));
  call.print("duplicate: {} pages\nskipped: {} pages\nnormal: {} pages\nnormal bytes: {} kbytes\n",
             ram.duplicate, ram.skipped, ram.normal, kbytes(ram.normal_bytes));
  call.print("dirty sync count: {}\npage size: {} kbytes\nmultifd bytes: {} kbytes\npages-per-second: {}\n",
             ram.dirty_sync_count, kbytes(ram.page_size), kbytes(ram.multifd_bytes), ram.pages_per_second);
  if (ram.dirty_pages_rate != 0) call.print("dirty pages rate: {} pages\n", ram.dirty_pages_rate);
  if (ram.postcopy_requests != 0) call.print("postcopy request count: {}\n", ram.postcopy_requests);
  if (ram.precopy_bytes != 0) call.print("precopy ram: {} kbytes\n", kbytes(ram.precopy_bytes));
  if (ram.downtime_bytes != 0) call.print("downtime ram: {} kbytes\n", kbytes(ram.downtime_bytes));
  if (ram.postcopy_bytes != 0) call.print("postcopy ram: {} kbytes\n", kbytes(ram.postcopy_bytes));
}

void print_helpers(HumanCall& call, const schema::MigrationInfo& info) {
  if (const auto& disk = info.disk)
    call.print("transferred disk: {} kbytes\nremaining disk: {} kbytes\ntotal disk: {} kbytes\n",
               kbytes(disk->transferred), kbytes(disk->remaining), kbytes(disk->total));
  if (const auto& cache = info.xbzrle_cache) {
    call.print("cache size: {} bytes\nxbzrle transferred: {} kbytes\nxbzrle pages: {} pages\n",
               cache->cache_size, kbytes(cache->bytes), cache->pages);
    call.print("xbzrle cache miss: {} pages\nxbzrle cache miss rate: {:.2f}\n", cache->cache_miss,
               cache->cache_miss_rate);
    call.print("xbzrle encoding rate: {:.2f}\nxbzrle overflow: {}\n", cache->encoding_rate, cache->overflow);
  }
  if (const auto& compression = info.compression) {
    call.print("compression pages: {} pages\ncompression busy: {}\ncompression busy rate: {:.2f}\n",
               compression->pages, compression->busy, compression->busy_rate);
    call.print("compressed size: {} kbytes\ncompression rate: {:.2f}\n", kbytes(compression->compressed_size),
               compression->compression_rate);
  }
  if (info.cpu_throttle_percentage)
    call.print("cpu throttle percentage: {}\n", *info.cpu_throttle_percentage);
  if (info.postcopy_blocktime) call.print("postcopy blocktime: {}\n", *info.postcopy_blocktime);
  if (const auto& times = info.postcopy_vcpu_blocktime) {
    call.print("postcopy vcpu blocktime: ");
    for (std::size_t vcpu = 0; vcpu < times->size(); ++vcpu)
      call.print("{}{}", vcpu == 0 ? "" : ",", (*times)[vcpu]);
    call.print("\n");
  }
}

std::string address_text(const schema::SocketAddress& address) {
  if (const auto* inet = std::get_if<schema::InetSocketAddress>(&address.u))
    return fmt::format("tcp:{}:{}", inet->host, inet->port);
  if (const auto* unix_ = std::get_if<schema::UnixSocketAddress>(&address.u))
    return fmt::format("unix:{}", unix_->path);
  if (const auto* vsock = std::get_if<schema::VsockSocketAddress>(&address.u))
    return fmt::format("vsock:{}:{}", vsock->cid, vsock->port);
  return "fd";
}

Result<> migrate(HumanCall& call) {
  const schema::MigrationInfo info = call.services.migration.info();
  print_globals(call);
  if (info.blocked_reasons) {
    call.print("Outgoing migration blocked:\n");
    for (const std::string& reason : *info.blocked_reasons) call.print("  {}\n", reason);
  }
  if (info.status) {
    call.print("Migration status: {}", schema::to_string(*info.status));
    if (info.error_desc) call.print(" ({})", *info.error_desc);
    call.print("\ntotal time: {} ms\n", info.total_time.value_or(0));
    if (info.expected_downtime) call.print("expected downtime: {} ms\n", *info.expected_downtime);
    if (info.downtime) call.print("downtime: {} ms\n", *info.downtime);
    if (info.setup_time) call.print("setup: {} ms\n", *info.setup_time);
  }
  if (info.ram) print_ram(call, *info.ram);
  print_helpers(call, info);
  if (info.socket_address) {
    call.print("socket address: [\n");
    for (const auto& address : *info.socket_address) call.print("\t{}\n", address_text(address));
    call.print("]\n");
  }
  return {};
}

Result<> capabilities(HumanCall& call) {
  for (const auto& entry : call.services.migration.capabilities())
    call.print("{}: {}\n", schema::to_string(entry.capability), on_off(entry.state));
  return {};
}

Result<> parameters(HumanCall& call) {
  const schema::MigrationParameters p = call.services.migration.parameters();
  call.print("announce-initial: {} ms\nannounce-max: {} ms\nannounce-rounds: {}\nannounce-step: {} ms\n",
             *p.announce_initial, *p.announce_max, *p.announce_rounds, *p.announce_step);
  call.print("compress-level: {}\ncompress-threads: {}\ncompress-wait-thread: {}\ndecompress-threads: {}\n",
             *p.compress_level, *p.compress_threads, on_off(*p.compress_wait_thread), *p.decompress_threads);
  call.print("throttle-trigger-threshold: {}\ncpu-throttle-initial: {}\ncpu-throttle-increment: {}\n",
             *p.throttle_trigger_threshold, *p.cpu_throttle_initial, *p.cpu_throttle_increment);
  call.print("cpu-throttle-tailslow: {}\nmax-cpu-throttle: {}\ntls-creds: '{}'\ntls-hostname: '{}'\n",
             on_off(*p.cpu_throttle_tailslow), *p.max_cpu_throttle, *p.tls_creds, *p.tls_hostname);
  call.print("max-bandwidth: {} bytes/second\ndowntime-limit: {} ms\nx-checkpoint-delay: {} ms\n",
             *p.max_bandwidth, *p.downtime_limit, *p.x_checkpoint_delay);
  call.print("block-incremental: {}\nmultifd-channels: {}\nmultifd-compression: {}\n",
             on_off(*p.block_incremental), *p.multifd_channels, schema::to_string(*p.multifd_compression));
  call.print("xbzrle-cache-size: {} bytes\nmax-postcopy-bandwidth: {}\ntls-authz: '{}'\n",
             *p.xbzrle_cache_size, *p.max_postcopy_bandwidth, *p.tls_authz);
  return {};
}

constexpr HumanCommand group[] = {
    {"migrate", "", "", "show migration status", migrate},
    {"migrate_capabilities", "", "", "show current migration capabilities", capabilities},
    {"migrate_parameters", "", "", "show current migration parameters", parameters},
};

}  // namespace

std::span<const HumanCommand> human_migration_infos() {
  return group;
}

}  // namespace godwit::vm

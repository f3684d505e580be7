#include "engine/capabilities.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/fail.h"

namespace godwit::engine {
namespace {

using enum Capability;

constexpr Capability kBuilt[] = {
    events,       return_path, pause_before_switchover, late_block_activate, x_ignore_shared, validate_uuid,
    postcopy_ram, release_ram, postcopy_blocktime,      postcopy_preempt,    auto_converge,   multifd,
    xbzrle,       compress,    zero_copy_send,          mapped_ram,          dirty_limit,     x_auto_lanes};

/// In the order in which the combination is checked and named.
constexpr Capability kNotWithBackgroundSnapshot[] = {postcopy_ram,
                                                     dirty_bitmaps,
                                                     postcopy_blocktime,
                                                     late_block_activate,
                                                     return_path,
                                                     multifd,
                                                     pause_before_switchover,
                                                     auto_converge,
                                                     release_ram,
                                                     rdma_pin_all,
                                                     compress,
                                                     xbzrle,
                                                     x_colo,
                                                     validate_uuid,
                                                     zero_copy_send};

Result<> check_background_snapshot(const Capabilities& capabilities) {
  if (!capabilities.has(background_snapshot)) return {};
  for (Capability other : kNotWithBackgroundSnapshot)
    if (capabilities.has(other))
      return fail("Background-snapshot is not compatible with {}", schema::to_string(other));
  return {};
}

/// Ways of sending pages that have no fixed place, or need a peer that answers.
Result<> check_mapped_ram(const Capabilities& capabilities) {
  constexpr std::pair<Capability, std::string_view> others[] = {
      {xbzrle, "xbzrle"},         {compress, "compression"},
      {postcopy_ram, "postcopy"}, {zero_copy_send, "zero copy"},
      {x_colo, "COLO"},           {background_snapshot, "background snapshots"}};
  if (!capabilities.has(mapped_ram)) return {};
  for (const auto& [other, text] : others)
    if (capabilities.has(other)) return fail("Mapped-ram migration is incompatible with {}", text);
  return {};
}

Result<> check_built(const Capabilities& capabilities) {
  for (Capability capability : schema::all_values<Capability>()) {
    if (capabilities.has(capability) && !is_built(capability))
      return fail("Capability '{}' is not built yet (docs/status.md lists what is)",
                  schema::to_string(capability));
  }
  return {};
}

}  // namespace

bool is_built(Capability capability) {
  return std::ranges::find(kBuilt, capability) != std::end(kBuilt);
}

std::vector<std::string> sent_capabilities(const Capabilities& capabilities) {
  std::vector<std::string> names;
  for (const Capability capability : {x_ignore_shared, mapped_ram})
    if (capabilities.has(capability)) names.emplace_back(schema::to_string(capability));
  return names;
}

Result<> check_beside_parameters(const Capabilities& c, const Parameters& p) {
  const bool compressed = p.multifd_compression != schema::MultiFDCompression::none;
  if (c.has(zero_copy_send) &&
      (!c.has(multifd) || c.has(compress) || c.has(xbzrle) || compressed || !p.tls_creds.empty()))
    return fail("Zero copy only available for non-compressed non-TLS multifd migration");
  if (c.has(mapped_ram) && c.has(multifd) && compressed)
    return fail("Mapped-ram migration is incompatible with multifd compression");
  if (c.has(mapped_ram) && !p.tls_creds.empty()) return fail("Mapped-ram migration is incompatible with TLS");
  return {};
}

Result<> check(const Capabilities& c, const Parameters& p) {
  if (c.has(postcopy_ram) && c.has(x_ignore_shared))
    return fail("Postcopy is not compatible with ignore-shared");
  GODWIT_TRY(check_background_snapshot(c));
  GODWIT_TRY(check_beside_parameters(c, p));
  if (c.has(postcopy_preempt) && !c.has(postcopy_ram)) return fail("Postcopy preempt requires postcopy-ram");
  if (c.has(postcopy_preempt) && c.has(compress))
    return fail("Postcopy preempt not compatible with compress");
  if (c.has(multifd) && c.has(compress)) return fail("Multifd is not compatible with compress");
  if (c.has(dirty_limit) && c.has(auto_converge))
    return fail("dirty-limit conflicts with auto-converge either of then available currently");
  GODWIT_TRY(check_mapped_ram(c));
  return check_built(c);
}

Result<> check_start(const Capabilities& c) {
  if (c.has(multifd) && c.has(postcopy_preempt))
    return fail(Error("multifd and postcopy-preempt do not work together: a destination could not tell their "
                      "connections apart")
                    .advise("turn one of them off"));
  return {};
}

std::vector<schema::MigrationCapabilityStatus> Capabilities::list() const {
  std::vector<schema::MigrationCapabilityStatus> entries;
  for (Capability capability : schema::all_values<Capability>())
    entries.push_back({.capability = capability, .state = has(capability)});
  return entries;
}

Result<Capabilities> Capabilities::with(const std::vector<schema::MigrationCapabilityStatus>& changes,
                                        const Parameters& parameters) const {
  Capabilities result = *this;
  for (const auto& change : changes) result.set(change.capability, change.state);
  GODWIT_TRY(check(result, parameters));
  return result;
}

}  // namespace godwit::engine

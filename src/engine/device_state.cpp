#include "engine/device_state.h"

#include <algorithm>

#include <godwit/field_table.h>

#include "base/fail.h"
#include "engine/global_state.h"
#include "wire/description.h"

namespace godwit::engine {
namespace {

constexpr std::string_view kGlobalState = "globalstate";

Result<> save_section(DeviceSection& section, std::uint32_t id, Output& out,
                      wire::DescriptionWriter& description) {
  const auto& identity = section.identity();
  wire::encode_section_header(
      out, wire::RecordType::section_full,
      {.id = id, .name = identity.name, .instance = identity.instance, .version = identity.version});
  std::string members;
  if (auto saved = section.save(out, members); !saved)
    return fail(std::move(saved).error().in(wire::section_text(identity.name, identity.instance)));
  description.add_device(identity.name, identity.instance, members);
  return {};
}

}  // namespace

Result<std::string> save_devices(Guest& guest, RunState state, const MigrationOptions& options, Output& out) {
  wire::DescriptionWriter description;
  std::uint32_t id = first_device_section_id;
  const auto save = [&](DeviceSection& section) -> Result<> {
    GODWIT_TRY(save_section(section, id, out, description));
    if (options.send_section_footer) wire::encode_footer(out, id);
    id = id == first_device_section_id ? later_device_section_id : id + 1;
    return {};
  };

  for (const auto& section : guest.device_sections())
    if (section->is_sent()) GODWIT_TRY(save(*section));
  if (options.store_global_state || (state != RunState::running && state != RunState::paused)) {
    GlobalState global = GlobalState::of(state);
    GODWIT_TRY(save(*make_section(std::string(kGlobalState), 0, global_state_table(), global)));
  }
  return std::move(description).finish();
}

Result<> load_device(Guest& guest, const wire::SectionHeader& header, Input& in, LoadedState& loaded) {
  GlobalState global;
  const auto global_section = make_section(std::string(kGlobalState), 0, global_state_table(), global);
  const auto matches = [&](const DeviceSection& section) {
    return section.identity().name == header.name && section.identity().instance == header.instance;
  };

  DeviceSection* section = matches(*global_section) ? global_section.get() : nullptr;
  for (const auto& candidate : guest.device_sections())
    if (matches(*candidate)) section = candidate.get();

  const std::string text = wire::section_text(header.name, header.instance);
  if (!section)
    return fail(Error(fmt::format("{} at offset 0x{:x}: this machine has no such device", text, in.offset()))
                    .advise("start the destination with the same devices as the source"));
  const auto& identity = section->identity();
  if (header.version > identity.version || header.version < identity.minimum_version)
    return fail("{} before offset 0x{:x}: version {} received, versions {} to {} understood", text,
                in.offset(), header.version, identity.minimum_version, identity.version);
  if (auto result = section->load(in, header.version); !result)
    return fail(std::move(result).error().in(text));
  if (section == global_section.get()) {
    auto state = global.to_run_state();
    if (!state)
      return fail(std::move(state).error().in(fmt::format("{} before offset 0x{:x}", text, in.offset())));
    loaded.run_state = *state;
  } else {
    loaded.devices.push_back(section);
  }
  return {};
}

Result<> check_all_loaded(Guest& guest, const LoadedState& loaded, std::uint64_t offset) {
  for (const auto& section : guest.device_sections()) {
    if (section->is_optional() || std::ranges::find(loaded.devices, section.get()) != loaded.devices.end())
      continue;
    const auto& identity = section->identity();
    return fail(Error(fmt::format("expected {} before offset 0x{:x}, where the stream ends",
                                  wire::section_text(identity.name, identity.instance), offset))
                    .advise("start the destination with the same devices as the source"));
  }
  return {};
}

}  // namespace godwit::engine

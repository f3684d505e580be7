// The device sections of a stream: SECTION_FULL records and the JSON description, written and read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <godwit/guest.h>
#include <godwit/migration.h>
#include <godwit/stream.h>

#include "wire/record.h"

namespace godwit::engine {

/// Section ids as a 7.2 source numbers them (wire-format section 1.4). Only the link between a header and its
/// footer has a meaning; the numbers are kept so that streams compare.
inline constexpr std::uint32_t first_device_section_id = 0;
inline constexpr std::uint32_t ram_section_id = 2;
inline constexpr std::uint32_t later_device_section_id =
    4;  ///< second device and up; 1 and 3 belong to disks

/// Appends every device of the guest and `globalstate` as SECTION_FULL records, without EOF. Returns the JSON
/// description of what was written. `state` is the run state before the guest was stopped for the migration.
Result<std::string> save_devices(Guest& guest, RunState state, const MigrationOptions& options, Output& out);

/// Collects what the destination learns beside RAM and devices.
struct LoadedState {
  std::optional<RunState> run_state;  ///< from globalstate; unset when the section did not come
  std::vector<const DeviceSection*> devices;
};

/// Reads the body of one SECTION_FULL into the guest's device of that name and instance, or into `loaded`.
Result<> load_device(Guest& guest, const wire::SectionHeader& header, Input& in, LoadedState& loaded);

/// Fails if a device that no stream may leave out did not come before `offset`, and names the first.
Result<> check_all_loaded(Guest& guest, const LoadedState& loaded, std::uint64_t offset);

}  // namespace godwit::engine

// Field tables of real devices, for tests and fuzzing: they cover every kind of field, and their sections
// stand in the golden streams.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include <godwit/field_table.h>

namespace godwit::wire::test {

/// One instance of the device that calls itself `name` in a stream (without a bus path), with its reset
/// state; null if there is no table for it.
struct Device {
  std::shared_ptr<void> state;
  std::unique_ptr<DeviceSection> section;
};
Device make_device(std::string_view name, std::uint32_t instance);

/// "cpu", which has a file of its own.
Device make_cpu(std::uint32_t instance);

/// The names make_device() knows.
std::vector<std::string_view> device_names();

}  // namespace godwit::wire::test

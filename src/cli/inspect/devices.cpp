#include "cli/inspect/devices.h"

#include <algorithm>
#include <fmt/format.h>

#include "wire/field_value.h"

namespace godwit::cli::inspect {
namespace {

void split(Device& device, const wire::StateDescription& state) {
  if (device.body.size() != device.size) {
    device.not_split = "too large to be kept";
    return;
  }
  auto fields = wire::split_section(state, device.body);
  if (!fields) {
    device.not_split = fields.error().what();
    return;
  }
  device.state_name = state.name;
  device.fields = *std::move(fields);
}

void remark_on_missing(Inspection& found) {
  for (const wire::DeviceDescription& described : found.description->devices) {
    const bool there = std::ranges::any_of(found.devices, [&](const Device& d) {
      return d.section.name == described.name && d.section.instance == described.instance;
    });
    if (!there)
      found.remarks.push_back(fmt::format("the description tells of {}, which is not in the stream",
                                          wire::section_text(described.name, described.instance)));
  }
}

}  // namespace

void name_fields(Inspection& found) {
  for (Device& device : found.devices) {
    const wire::StateDescription* state = nullptr;
    if (found.description) {
      const auto described = std::ranges::find_if(found.description->devices, [&](const auto& d) {
        return d.name == device.section.name && d.instance == device.section.instance;
      });
      if (described != found.description->devices.end()) state = &described->state;
    }
    if (state == nullptr) state = wire::known_state(device.section.name, device.section.version);
    if (state != nullptr)
      split(device, *state);
    else
      device.not_split =
          found.description ? "the description does not tell of it" : "the stream has no description";
    if (state != nullptr && !device.not_split.empty())
      found.remarks.push_back(fmt::format(
          "{}: {}", wire::section_text(device.section.name, device.section.instance), device.not_split));
  }
  if (found.description) remark_on_missing(found);
}

}  // namespace godwit::cli::inspect

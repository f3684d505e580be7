// What the collector does with the state of devices.
#include <algorithm>

#include "base/fail.h"
#include "cli/inspect/collector.h"
#include "wire/field_value.h"
#include "wire/section_end.h"

namespace godwit::cli::inspect {
namespace {

const wire::DeviceDescription* find(const wire::StreamDescription* description,
                                    const wire::SectionHeader& header) {
  if (description == nullptr) return nullptr;
  const auto device = std::ranges::find_if(description->devices, [&](const wire::DeviceDescription& d) {
    return d.name == header.name && d.instance == header.instance;
  });
  return device == description->devices.end() ? nullptr : &*device;
}

bool footer_follows(Input& in) {
  const auto byte = in.need(1);
  return byte && static_cast<wire::RecordType>((*byte)[0]) == wire::RecordType::section_footer;
}

Result<std::vector<std::byte>> read_exactly(Input& in, std::uint64_t length) {
  std::vector<std::byte> data;
  while (data.size() < length) {
    const std::size_t done = data.size();
    data.resize(done + std::min<std::uint64_t>(length - done, Input::window_limit));
    GODWIT_TRY(in.read(std::span(data).subspan(done)));
  }
  return data;
}

}  // namespace

Result<> Collector::on_section_data(wire::RecordType, const wire::SectionHeader& header, Input& in) {
  const std::uint64_t offset = in.offset();
  GODWIT_ASSIGN(auto body, device_data(header, in));
  keep_device(header, offset, std::move(body));
  return {};
}

/// By the description if it is known, else by what every stream has, else up to the footer.
Result<std::vector<std::byte>> Collector::device_data(const wire::SectionHeader& header, Input& in) {
  const auto* described = find(options_.described, header);
  const auto* known = wire::known_state(header.name, header.version);
  const bool footers = found_.footers.value_or(true);
  if (described == nullptr && (known == nullptr || footers)) {
    if (footers) return wire::read_to_footer(in, header.id);
    return fail(Error(
        fmt::format("expected a description at the end of the stream: without it, and without footers, the "
                    "length of the data at offset {:#x} is not known",
                    in.offset())));
  }
  const std::uint64_t length = described != nullptr ? described->state.length : known->length;
  if (length > wire::unknown_section_limit)
    return fail("expected a section of at most {} bytes at offset {:#x}, the description says {}",
                wire::unknown_section_limit, in.offset(), length);
  GODWIT_ASSIGN(auto data, read_exactly(in, length));
  if (!footers || footer_follows(in)) return data;
  const std::uint64_t end = in.offset();
  auto rest = wire::read_to_footer(in, header.id);
  if (!rest)
    return fail(
        "expected the section's footer at offset {:#x}, behind the {} bytes that the description says; there "
        "is none there or later",
        end, length);
  data.insert(data.end(), rest->begin(), rest->end());
  return data;
}

void Collector::keep_device(const wire::SectionHeader& header, std::uint64_t offset,
                            std::vector<std::byte> body) {
  Device device;
  device.section = header;
  device.offset = offset;
  device.size = body.size();
  kept_device_bytes_ += body.size();
  if (kept_device_bytes_ <= device_bytes_limit) device.body = std::move(body);
  // The next checkpoint of COLO replaces the one before.
  const auto same =
      std::ranges::find_if(found_.devices, [&](const Device& d) { return d.section == header; });
  if (same == found_.devices.end())
    found_.devices.push_back(std::move(device));
  else {
    kept_device_bytes_ -= same->body.size();
    *same = std::move(device);
  }
}

}  // namespace godwit::cli::inspect

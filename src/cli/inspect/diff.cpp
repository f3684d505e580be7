#include "cli/inspect/diff.h"

#include <algorithm>
#include <fmt/ranges.h>
#include <map>

#include "cli/inspect/values_text.h"
#include "cli/quantity.h"
#include "wire/field_value.h"

namespace godwit::cli::inspect {
namespace {

void add(std::vector<Difference>& differences, std::string what, std::string left, std::string right) {
  if (left != right) differences.push_back({std::move(what), std::move(left), std::move(right)});
}

void compare_configurations(const Inspection& left, const Inspection& right, std::vector<Difference>& out) {
  const auto machine = [](const Inspection& i) {
    return i.configuration ? safe_text(i.configuration->machine) : "";
  };
  const auto capabilities = [](const Inspection& i) {
    if (!i.configuration) return std::string();
    auto names = i.configuration->capabilities;
    std::ranges::sort(names);
    return safe_text(fmt::format("{}", fmt::join(names, ", ")));
  };
  const auto uuid = [](const Inspection& i) {
    return i.configuration && i.configuration->uuid ? uuid_text(*i.configuration->uuid) : "";
  };
  add(out, "machine", machine(left), machine(right));
  add(out, "capabilities", capabilities(left), capabilities(right));
  add(out, "UUID", uuid(left), uuid(right));
}

void compare_blocks(const Inspection& left, const Inspection& right, std::vector<Difference>& out) {
  std::map<std::string, std::pair<std::string, std::string>> lengths;
  const auto text = [](const Block& block) {
    return fmt::format("{} bytes", count_text(block.entry.length));
  };
  for (const Block& block : left.blocks) lengths[block.entry.name].first = text(block);
  for (const Block& block : right.blocks) lengths[block.entry.name].second = text(block);
  for (const auto& [name, both] : lengths) add(out, "length of " + safe_text(name), both.first, both.second);
}

const Device* find(const Inspection& stream, const wire::SectionHeader& section) {
  const auto device = std::ranges::find_if(stream.devices, [&](const Device& d) {
    return d.section.name == section.name && d.section.instance == section.instance;
  });
  return device == stream.devices.end() ? nullptr : &*device;
}

std::string field_text(const Device& device, const wire::NamedField& field) {
  return value_text(field, wire::decode_field(field, device.body));
}

std::span<const std::byte> bytes_of(const Device& device, const wire::NamedField& field) {
  return std::span(device.body).subspan(field.offset, field.size * field.array_length);
}

std::vector<Difference> compare_fields(const Device& left, const Device& right) {
  std::vector<Difference> out;
  std::map<std::string_view, const wire::NamedField*> others;
  for (const auto& field : right.fields) others.emplace(field.path, &field);
  for (const auto& field : left.fields) {
    const auto other = others.extract(field.path);
    if (other.empty()) {
      out.push_back({safe_text(field.path), field_text(left, field), ""});
      continue;
    }
    const auto mine = bytes_of(left, field);
    const auto theirs = bytes_of(right, *other.mapped());
    if (std::ranges::equal(mine, theirs)) continue;
    Difference difference{safe_text(field.path), field_text(left, field), field_text(right, *other.mapped())};
    if (difference.left == difference.right) {  // further back than is shown
      const auto at = std::ranges::mismatch(mine, theirs).in1 - mine.begin();
      difference.what += fmt::format(" (from byte {})", at);
    }
    out.push_back(std::move(difference));
  }
  for (const auto& field : right.fields)
    if (others.contains(field.path)) out.push_back({safe_text(field.path), "", field_text(right, field)});
  return out;
}

std::vector<Difference> compare_devices(const Device& left, const Device& right) {
  std::vector<Difference> out;
  add(out, "version", fmt::format("{}", left.section.version), fmt::format("{}", right.section.version));
  if (left.body == right.body && left.size == right.size) return out;
  if (left.not_split.empty() && right.not_split.empty()) {
    for (auto& difference : compare_fields(left, right)) out.push_back(std::move(difference));
    return out;
  }
  const auto mismatch = std::ranges::mismatch(left.body, right.body);
  const auto text = [](const Device& device) {
    return fmt::format("{} bytes, no fields", count_text(device.size));
  };
  out.push_back(
      {fmt::format("data, from byte {}", mismatch.in1 - left.body.begin()), text(left), text(right)});
  return out;
}

}  // namespace

Comparison compare(const Inspection& left, const Inspection& right) {
  Comparison comparison;
  compare_configurations(left, right, comparison.configuration);
  compare_blocks(left, right, comparison.blocks);
  for (const Device& device : left.devices) {
    const Device* other = find(right, device.section);
    auto fields = other != nullptr ? compare_devices(device, *other)
                                   : std::vector<Difference>{{"the device", "is there", ""}};
    if (!fields.empty())
      comparison.devices.push_back({device.section.name, device.section.instance, std::move(fields)});
  }
  for (const Device& device : right.devices)
    if (find(left, device.section) == nullptr)
      comparison.devices.push_back(
          {device.section.name, device.section.instance, {{"the device", "", "is there"}}});
  return comparison;
}

}  // namespace godwit::cli::inspect

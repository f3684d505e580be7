#include "cli/inspect/json.h"

#include "cli/inspect/values_text.h"
#include "wire/walker.h"

namespace godwit::cli::inspect {

namespace json = boost::json;

namespace {

json::string safe(std::string_view text) {
  const std::string safe = safe_text(text);
  return json::string(safe.data(), safe.size());
}

json::value value_json(const wire::FieldValue& value) {
  return std::visit(
      [](const auto& v) -> json::value {
        using Value = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<Value, std::span<const std::byte>>) {
          return json::string(hex_text(v));
        } else if constexpr (std::is_arithmetic_v<Value>) {
          return v;
        } else {
          json::array numbers;
          for (const auto number : v) numbers.emplace_back(number);
          return numbers;
        }
      },
      value);
}

json::value configuration_json(const Inspection& found) {
  if (!found.configuration) return nullptr;
  const auto& configuration = *found.configuration;
  json::array capabilities;
  for (const std::string& name : configuration.capabilities) capabilities.emplace_back(safe(name));
  json::object object{{"machine", safe(configuration.machine)}, {"capabilities", std::move(capabilities)}};
  object["uuid"] =
      configuration.uuid ? json::value(json::string(uuid_text(*configuration.uuid))) : json::value();
  if (configuration.target_page_bits) object["target-page-bits"] = *configuration.target_page_bits;
  return object;
}

json::object block_json(const Block& block, bool distinct_known) {
  json::object object{{"name", safe(block.entry.name)}};
  if (block.entry.length != wire::unknown_block_length) object["length"] = block.entry.length;
  object["zero-pages"] = block.pages.zero;
  object["filled-pages"] = block.pages.filled;
  object["normal-pages"] = block.pages.normal;
  object["xbzrle-pages"] = block.pages.xbzrle;
  object["compressed-pages"] = block.pages.compressed;
  object["bytes"] = block.wire_bytes;
  if (distinct_known) object["distinct-pages"] = block.distinct;
  if (block.entry.host_page_size) object["host-page-size"] = *block.entry.host_page_size;
  if (block.entry.guest_address) object["guest-address"] = *block.entry.guest_address;
  if (block.mapped)
    object["mapped"] = json::object{{"bitmap-offset", block.mapped->bitmap_offset},
                                    {"pages-offset", block.mapped->pages_offset}};
  return object;
}

json::object ram_json(const Inspection& found) {
  json::array blocks;
  for (const Block& block : found.blocks) blocks.emplace_back(block_json(block, found.distinct_known));
  json::array passes;
  for (const Pass& pass : found.passes)
    passes.emplace_back(json::object{{"pages", pass.pages}, {"bytes", pass.wire_bytes}});
  return {
      {"blocks", std::move(blocks)}, {"passes", std::move(passes)}, {"postcopy-pages", found.postcopy_pages}};
}

json::array entries_json(const Inspection& found) {
  json::array entries;
  for (const Entry& entry : found.entries) {
    json::object object{{"offset", entry.offset},
                        {"bytes", entry.bytes},
                        {"count", entry.count},
                        {"kind", json::string(entry.kind)}};
    if (entry.section) {
      object["name"] = safe(entry.section->name);
      object["instance"] = entry.section->instance;
      object["id"] = entry.section->id;
      object["version"] = entry.section->version;
    }
    if (!entry.detail.empty()) object["detail"] = safe(entry.detail);
    if (entry.packaged) object["packaged"] = true;
    entries.emplace_back(std::move(object));
  }
  return entries;
}

json::object device_json(const Device& device) {
  json::object object{{"name", safe(device.section.name)},
                      {"instance", device.section.instance},
                      {"version", device.section.version},
                      {"offset", device.offset},
                      {"bytes", device.size}};
  if (!device.not_split.empty()) {
    object["not-split"] = safe(device.not_split);
    object["data"] = json::string(hex_text(device.body));
    return object;
  }
  json::array fields;
  for (const wire::NamedField& field : device.fields)
    fields.emplace_back(json::object{{"name", safe(field.path)},
                                     {"type", safe(field.type)},
                                     {"offset", device.offset + field.offset},
                                     {"bytes", field.size * field.array_length},
                                     {"value", value_json(wire::decode_field(field, device.body))}});
  object["fields"] = std::move(fields);
  return object;
}

json::array bitmaps_json(const Inspection& found) {
  json::array bitmaps;
  for (const Bitmap& bitmap : found.bitmaps)
    bitmaps.emplace_back(json::object{{"node", safe(bitmap.node)},
                                      {"name", safe(bitmap.name)},
                                      {"granularity", bitmap.granularity},
                                      {"enabled", bitmap.enabled},
                                      {"persistent", bitmap.persistent},
                                      {"complete", bitmap.complete},
                                      {"dirty-bytes", bitmap.dirty_bytes}});
  return bitmaps;
}

json::value problem_json(const Inspection& found) {
  if (!found.problem) return nullptr;
  json::object object{{"offset", found.problem->offset}, {"what", safe(found.problem->what)}};
  if (!found.problem->advice.empty()) object["advice"] = safe(found.problem->advice);
  return object;
}

}  // namespace

json::object to_json(const Inspection& found) {
  json::array devices;
  for (const Device& device : found.devices) devices.emplace_back(device_json(device));
  json::array disks;
  for (const Disk& disk : found.disks)
    disks.emplace_back(
        json::object{{"name", safe(disk.name)}, {"chunks", disk.chunks}, {"zero-chunks", disk.zero_chunks}});
  json::array messages;
  for (const Message& message : found.messages)
    messages.emplace_back(json::object{{"offset", message.offset}, {"text", safe(message.text)}});
  json::array remarks;
  for (const std::string& remark : found.remarks) remarks.emplace_back(safe(remark));
  const std::string_view kind = wire::to_string(found.kind);
  json::object object{{"schema", 1},
                      {"name", safe(found.name)},
                      {"kind", json::string(kind.data(), kind.size())},
                      {"bytes", found.bytes},
                      {"whole", !found.problem.has_value()},
                      {"turned-away", found.turned_away},
                      {"problem", problem_json(found)},
                      {"configuration", configuration_json(found)},
                      {"footers", found.footers ? json::value(*found.footers) : json::value()},
                      {"described", found.description.has_value()},
                      {"ram", ram_json(found)},
                      {"disks", std::move(disks)},
                      {"bitmaps", bitmaps_json(found)},
                      {"messages", std::move(messages)},
                      {"checkpoints", found.checkpoints},
                      {"records", entries_json(found)},
                      {"devices", std::move(devices)},
                      {"remarks", std::move(remarks)}};
  if (found.dropped_entries > 0) object["records-left-out"] = found.dropped_entries;
  if (found.dropped_messages > 0) object["messages-left-out"] = found.dropped_messages;
  return object;
}

}  // namespace godwit::cli::inspect

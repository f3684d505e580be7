// A comparison for people and for programs.
#include <fmt/format.h>

#include "cli/inspect/diff.h"
#include "cli/inspect/values_text.h"
#include "cli/quantity.h"

namespace godwit::cli::inspect {

namespace json = boost::json;

namespace {

constexpr std::size_t ranges_shown = 16;

std::string difference_row(const Difference& difference) {
  const auto side = [](const std::string& text) { return text.empty() ? std::string("-") : text; };
  return fmt::format("  {}: {}  |  {}\n", difference.what, side(difference.left), side(difference.right));
}

std::string rows(std::string_view label, const std::vector<Difference>& differences) {
  if (differences.empty()) return "";
  std::string text = fmt::format("{}\n", label);
  for (const Difference& difference : differences) text += difference_row(difference);
  return text;
}

std::string ram_rows(const RamDifference& ram) {
  std::string text = fmt::format("  {}: {} {}:", safe_text(ram.block), count_text(ram.pages),
                                 ram.pages == 1 ? "page differs" : "pages differ");
  for (std::size_t i = 0; i < std::min(ram.ranges.size(), ranges_shown); ++i) {
    const PageRange& range = ram.ranges[i];
    text += i == 0 ? " " : ", ";
    text += range.count == 1 ? fmt::format("{}", range.first)
                             : fmt::format("{}-{}", range.first, range.first + range.count - 1);
  }
  if (ram.ranges.size() > ranges_shown) text += fmt::format(", … ({} ranges)", count_text(ram.ranges.size()));
  return text + "\n";
}

json::array differences_json(const std::vector<Difference>& differences) {
  const auto side = [](const std::string& text) -> json::value {
    return text.empty() ? json::value() : json::value(json::string(text));
  };
  json::array array;
  for (const Difference& difference : differences)
    array.emplace_back(json::object{{"what", json::string(difference.what)},
                                    {"left", side(difference.left)},
                                    {"right", side(difference.right)}});
  return array;
}

json::object ram_json(const RamDifference& ram) {
  json::array ranges;
  for (const PageRange& range : ram.ranges)
    ranges.emplace_back(json::object{{"first-page", range.first}, {"pages", range.count}});
  return {{"block", json::string(safe_text(ram.block))}, {"pages", ram.pages}, {"ranges", std::move(ranges)}};
}

}  // namespace

std::string to_text(const Comparison& comparison) {
  if (comparison.equal()) return "no differences\n";
  std::string text = rows("configuration", comparison.configuration) + rows("blocks", comparison.blocks);
  if (!comparison.ram.empty()) text += "RAM (pages of 4 KiB, by number in the block)\n";
  for (const RamDifference& ram : comparison.ram) text += ram_rows(ram);
  for (const DeviceDifference& device : comparison.devices)
    text += rows(fmt::format("device {} {}", safe_text(device.name), device.instance), device.fields);
  return text;
}

json::object to_json(const Comparison& comparison) {
  json::array ram;
  for (const RamDifference& block : comparison.ram) ram.emplace_back(ram_json(block));
  json::array devices;
  for (const DeviceDifference& device : comparison.devices)
    devices.emplace_back(json::object{{"name", json::string(safe_text(device.name))},
                                      {"instance", device.instance},
                                      {"differences", differences_json(device.fields)}});
  return {{"schema", 1},
          {"equal", comparison.equal()},
          {"configuration", differences_json(comparison.configuration)},
          {"blocks", differences_json(comparison.blocks)},
          {"ram", std::move(ram)},
          {"devices", std::move(devices)}};
}

}  // namespace godwit::cli::inspect

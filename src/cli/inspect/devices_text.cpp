#include "cli/inspect/devices_text.h"

#include <algorithm>
#include <fmt/format.h>

#include "cli/inspect/values_text.h"
#include "cli/quantity.h"

namespace godwit::cli::inspect {
namespace {

constexpr std::string_view indent = "      ";

/// Puts pieces behind each other, as many as fit into a line.
class Paragraph {
 public:
  explicit Paragraph(int columns) : columns_(std::clamp(columns, 60, 140)) {}

  void add(const std::string& piece) {
    const int width = columns_of(piece);
    if (used_ > 0 && used_ + 2 + width > columns_) finish_line();
    text_ += used_ == 0 ? std::string(indent) : "  ";
    used_ += (used_ == 0 ? static_cast<int>(indent.size()) : 2) + width;
    text_ += piece;
  }

  std::string take() {
    if (used_ > 0) finish_line();
    return std::move(text_);
  }

 private:
  void finish_line() {
    text_ += "\n";
    used_ = 0;
  }

  int columns_;
  int used_ = 0;
  std::string text_;
};

std::string fields_text(const Device& device, const TextOptions& options) {
  Paragraph paragraph(options.canvas.columns);
  std::size_t zeros = 0;
  for (const wire::NamedField& field : device.fields) {
    if (field.size * field.array_length == 0) continue;
    const auto value = wire::decode_field(field, device.body);
    if (!options.all_fields && wire::is_zero(value)) {
      ++zeros;
      continue;
    }
    paragraph.add(safe_text(field.path) + "=" + value_text(field, value));
  }
  if (zeros > 0)
    paragraph.add(styled(fmt::format("({} {} 0)", count_text(zeros), zeros == 1 ? "field is" : "fields are"),
                         Style::dim, options.canvas));
  return paragraph.take();
}

std::string device_text(const Device& device, const TextOptions& options) {
  std::string text = "  " + styled(safe_text(device.section.name), Style::accent, options.canvas);
  if (device.section.instance != 0) text += fmt::format(" {}", device.section.instance);
  text += fmt::format("  version {}, {} bytes at {:#x}", device.section.version, count_text(device.size),
                      device.offset);
  if (!device.not_split.empty()) text += fmt::format("  (no fields: {})", safe_text(device.not_split));
  return text + "\n" + fields_text(device, options);
}

}  // namespace

std::string devices_text(const Inspection& found, const TextOptions& options) {
  std::string text;
  std::uint64_t bytes = 0;
  std::size_t count = 0;
  for (const Device& device : found.devices) {
    if (!device.section.name.contains(options.device)) continue;
    text += device_text(device, options);
    bytes += device.size;
    ++count;
  }
  if (!options.device.empty())
    return count > 0 ? text : fmt::format("no device whose name contains '{}'\n", options.device);
  if (count == 0) return "";
  const std::string what =
      fmt::format("{}, {}{}", count_text(count), size_text(static_cast<double>(bytes)),
                  options.all_fields ? "" : "; fields that are 0 are only counted (--all shows them)");
  return "\n" + styled("devices    ", Style::bold, options.canvas) + what + "\n" + text;
}

}  // namespace godwit::cli::inspect

#include "cli/inspect/text.h"

#include <algorithm>
#include <fmt/ranges.h>

#include "cli/inspect/devices_text.h"
#include "cli/inspect/values_text.h"
#include "cli/quantity.h"
#include "wire/walker.h"

namespace godwit::cli::inspect {
namespace {

constexpr int label_columns = 11;
// How much of a long order is shown: enough for the machine of any size that has no checkpoints.
constexpr std::size_t entries_first = 60;
constexpr std::size_t entries_last = 12;

std::string bytes_text(std::uint64_t bytes) {
  return size_text(static_cast<double>(bytes));
}

std::string plural(std::uint64_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", count_text(count), count == 1 ? one : many);
}

std::string row(std::string_view label, const std::string& text) {
  return fmt::format("{:<{}}{}\n", label, label_columns, text);
}

std::string heading(std::string_view label, const std::string& text, const Canvas& canvas) {
  return "\n" + styled(fmt::format("{:<{}}", label, label_columns), Style::bold, canvas) + text + "\n";
}

std::string configuration_text(const Inspection& found) {
  if (!found.configuration) {
    if (found.kind == wire::StreamKind::main)
      return row("machine", "not said (the stream has no configuration)");
    return "";
  }
  const auto& configuration = *found.configuration;
  std::string text = row("machine", safe_text(configuration.machine));
  std::vector<std::string> names;
  for (const std::string& name : configuration.capabilities) names.push_back(safe_text(name));
  if (!names.empty()) text += row("needs", fmt::format("{}", fmt::join(names, ", ")));
  if (configuration.uuid) text += row("UUID", uuid_text(*configuration.uuid));
  if (configuration.target_page_bits)
    text += row("pages", fmt::format("of 2^{} bytes", *configuration.target_page_bits));
  return text;
}

std::string framing_text(const Inspection& found) {
  if (found.kind != wire::StreamKind::main) return "";
  std::vector<std::string> parts;
  if (found.footers) parts.push_back(*found.footers ? "section footers" : "no section footers");
  if (found.description)
    parts.push_back(
        fmt::format("description of {}", plural(found.description->devices.size(), "device", "devices")));
  else
    parts.push_back("no description");
  return row("framing", fmt::format("{}", fmt::join(parts, ", ")));
}

std::string block_length_text(const Block& block) {
  return block.entry.length == wire::unknown_block_length ? "not said" : bytes_text(block.entry.length);
}

std::string block_row(const Block& block, bool distinct_known, int columns) {
  const auto& pages = block.pages;
  std::string text = fmt::format("  {:<{}} {:>9} {:>10} {:>10}", safe_text(block.entry.name), columns,
                                 block_length_text(block), count_text(pages.zero), count_text(pages.normal));
  text += fmt::format(" {:>8} {:>10} {:>10}", count_text(pages.xbzrle), count_text(pages.compressed),
                      bytes_text(block.wire_bytes));
  std::vector<std::string> notes;
  const bool sized = block.entry.length != wire::unknown_block_length;
  const std::uint64_t all = block.entry.length / page_size;
  if (pages.filled > 0) notes.push_back(plural(pages.filled, "page of one byte", "pages of one byte each"));
  if (block.mapped)
    notes.push_back(fmt::format("pages at {:#x} of the file", block.mapped->pages_offset));
  else if (distinct_known && sized && block.distinct < all)
    notes.push_back(block.distinct == 0
                        ? "none of its pages"
                        : fmt::format("{} of its {} pages", count_text(block.distinct), count_text(all)));
  if (block.entry.host_page_size) notes.push_back("host pages of " + bytes_text(*block.entry.host_page_size));
  if (block.entry.guest_address) notes.push_back(fmt::format("at guest {:#x}", *block.entry.guest_address));
  if (!notes.empty()) text += "  " + fmt::format("{}", fmt::join(notes, ", "));
  return text + "\n";
}

std::string passes_text(const Inspection& found) {
  std::vector<std::string> parts;
  const std::size_t shown = std::min<std::size_t>(found.passes.size(), 8);
  for (std::size_t i = 0; i < shown; ++i) parts.push_back(count_text(found.passes[i].pages));
  if (shown < found.passes.size()) parts.push_back("…");
  std::string text;
  if (!parts.empty())
    text = fmt::format("  {} by the order of the pages: {} pages",
                       plural(found.passes.size(), "pass", "passes"), fmt::join(parts, ", "));
  if (found.postcopy_pages > 0)
    text += fmt::format("{}{} after the guest had moved (postcopy)", text.empty() ? "  " : "; ",
                        plural(found.postcopy_pages, "page", "pages"));
  return text.empty() ? "" : text + "\n";
}

std::string ram_text(const Inspection& found, const Canvas& canvas) {
  if (found.blocks.empty()) return "";
  std::uint64_t length = 0;
  std::uint64_t pages = 0;
  std::uint64_t bytes = 0;
  std::size_t columns = 5;
  for (const Block& block : found.blocks) {
    length += block.entry.length == wire::unknown_block_length ? 0 : block.entry.length;
    pages += block.pages.total();
    bytes += block.wire_bytes;
    columns = std::max(columns, safe_text(block.entry.name).size());
  }
  std::string text = heading("RAM",
                             fmt::format("{}{}; {} in {}", plural(found.blocks.size(), "block", "blocks"),
                                         length == 0 ? "" : ", " + bytes_text(length),
                                         plural(pages, "page", "pages"), bytes_text(bytes)),
                             canvas);
  const auto width = static_cast<int>(std::min<std::size_t>(columns, 40));
  text += styled(fmt::format("  {:<{}} {:>9} {:>10} {:>10} {:>8} {:>10} {:>10}", "block", width, "length",
                             "zero", "normal", "xbzrle", "compressed", "bytes"),
                 Style::dim, canvas) +
          "\n";
  for (const Block& block : found.blocks) text += block_row(block, found.distinct_known, width);
  return text + passes_text(found);
}

std::string disks_text(const Inspection& found, const Canvas& canvas) {
  std::string text;
  if (!found.disks.empty() || found.disk_progress) {
    text +=
        heading("disks", found.disk_progress ? fmt::format("{} percent", *found.disk_progress) : "", canvas);
    for (const Disk& disk : found.disks)
      text +=
          fmt::format("  {}  {} of 1 MiB, {} of zeros\n", safe_text(disk.name),
                      plural(disk.chunks, "chunk", "chunks"), plural(disk.zero_chunks, "chunk", "chunks"));
  }
  if (found.bitmaps.empty()) return text;
  text += heading("bitmaps", fmt::format("{}", found.bitmaps.size()), canvas);
  for (const Bitmap& bitmap : found.bitmaps)
    text += fmt::format("  {}/{}  granularity {}, {} dirty, {}{}{}\n", safe_text(bitmap.node),
                        safe_text(bitmap.name), bytes_text(bitmap.granularity),
                        bytes_text(bitmap.dirty_bytes), bitmap.enabled ? "enabled" : "disabled",
                        bitmap.persistent ? ", persistent" : "", bitmap.complete ? "" : ", not complete");
  return text;
}

std::string entry_row(const Entry& entry) {
  std::string what = entry.kind;
  if (entry.section) {
    what += fmt::format(" {}", safe_text(entry.section->name));
    if (entry.section->instance != 0) what += fmt::format(" {}", entry.section->instance);
    what += fmt::format("  (id {}, version {})", entry.section->id, entry.section->version);
  }
  if (!entry.detail.empty()) what += " " + safe_text(entry.detail);
  if (entry.count > 1) what += fmt::format(" × {}", count_text(entry.count));
  return fmt::format("  {:#12x} {:>15}  {}{}\n", entry.offset, count_text(entry.bytes),
                     entry.packaged ? "  " : "", what);
}

std::string order_text(const Inspection& found, const TextOptions& options) {
  if (found.entries.empty()) return "";
  const Canvas& canvas = options.canvas;
  std::string text = heading("order", "what comes when", canvas);
  text += styled(fmt::format("  {:>12} {:>15}", "offset", "bytes"), Style::dim, canvas) + "\n";
  const std::size_t count = found.entries.size();
  const bool cut = !options.all_fields && count > entries_first + entries_last + 1;
  for (std::size_t i = 0; i < count; ++i) {
    if (cut && i == entries_first) {
      text +=
          fmt::format("  … {} more (--all shows them)\n", count_text(count - entries_first - entries_last));
      i = count - entries_last;
    }
    text += entry_row(found.entries[i]);
  }
  if (found.dropped_entries > 0)
    text += fmt::format("  … and {} that were not kept\n", count_text(found.dropped_entries));
  return text;
}

std::string messages_text(const Inspection& found, const Canvas& canvas) {
  if (found.messages.empty()) return "";
  std::string text = heading("messages", count_text(found.messages.size() + found.dropped_messages), canvas);
  for (const Message& message : found.messages)
    text += fmt::format("  {:#8x}  {}\n", message.offset, safe_text(message.text));
  if (found.dropped_messages > 0)
    text += fmt::format("  … and {} more\n", count_text(found.dropped_messages));
  return text;
}

}  // namespace

std::string problem_text(const Inspection& found) {
  if (!found.problem) return "";
  std::string text =
      fmt::format("{} at offset {:#x} ({}): {}", found.turned_away ? "turned away" : "broken",
                  found.problem->offset, count_text(found.problem->offset), safe_text(found.problem->what));
  if (!found.problem->advice.empty()) text += "\n  Next: " + found.problem->advice;
  return text;
}

std::string verdict_text(const Inspection& found) {
  if (found.problem) return found.name + ": " + problem_text(found) + "\n";
  return fmt::format("{}: whole, {}, {} bytes\n", found.name, wire::to_string(found.kind),
                     count_text(found.bytes));
}

std::string to_text(const Inspection& found, const TextOptions& options) {
  const Canvas& canvas = options.canvas;
  if (!options.device.empty()) return devices_text(found, options);
  std::string text = styled(found.name, Style::bold, canvas) + "\n";
  text += row("stream", fmt::format("{}, {} bytes, {}", wire::to_string(found.kind), count_text(found.bytes),
                                    found.turned_away ? "turned away (see the end)"
                                    : found.problem   ? "broken (see the end)"
                                                      : "whole"));
  text += configuration_text(found) + framing_text(found);
  if (found.checkpoints > 0) text += row("COLO", plural(found.checkpoints, "checkpoint", "checkpoints"));
  text += ram_text(found, canvas) + disks_text(found, canvas) + messages_text(found, canvas);
  text += order_text(found, options);
  text += devices_text(found, options);
  if (!found.remarks.empty()) {
    text += heading("remarks", "", canvas);
    for (const std::string& remark : found.remarks) text += "  " + safe_text(remark) + "\n";
  }
  if (found.problem) text += "\n" + styled(problem_text(found), Style::bad, canvas) + "\n";
  return text;
}

}  // namespace godwit::cli::inspect

// What `godwit inspect` has found in a stream.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "wire/bitmap_section.h"
#include "wire/description.h"
#include "wire/header.h"
#include "wire/mapped_ram.h"
#include "wire/ram.h"
#include "wire/record.h"
#include "wire/stream_kind.h"

namespace godwit::cli::inspect {

/// Bounds on what is kept of a stream, whatever its length.
inline constexpr std::size_t entry_limit = 20'000;
inline constexpr std::size_t pass_limit = 1'000;
inline constexpr std::size_t message_limit = 10'000;
inline constexpr std::uint64_t device_bytes_limit = 256 * 1024 * 1024;

struct PageCounts {
  std::uint64_t zero = 0;
  std::uint64_t filled = 0;  ///< all one byte other than 0
  std::uint64_t normal = 0;
  std::uint64_t xbzrle = 0;
  std::uint64_t compressed = 0;

  std::uint64_t total() const { return zero + filled + normal + xbzrle + compressed; }
};

struct Block {
  wire::BlockEntry entry;
  PageCounts pages;
  std::uint64_t wire_bytes = 0;  ///< records with their pages
  std::uint64_t distinct = 0;    ///< pages that came at least once
  std::optional<wire::MappedRam> mapped;
};

/// Pages between two wraps of the source's scan. The stream does not mark them.
struct Pass {
  std::uint64_t pages = 0;
  std::uint64_t wire_bytes = 0;
};

/// A part of the stream, in its order. PARTs that follow each other are one entry for each section.
struct Entry {
  std::uint64_t offset = 0;  ///< of the first byte
  std::uint64_t bytes = 0;   ///< together
  std::uint64_t count = 1;   ///< records
  std::string kind;          ///< "SECTION_PART", "COMMAND", ...
  std::optional<wire::SectionHeader> section;
  std::string detail;  ///< of commands and the like
  bool packaged = false;
};

struct Device {
  wire::SectionHeader section;
  std::uint64_t offset = 0;     ///< of its data
  std::uint64_t size = 0;       ///< bytes of its data
  std::vector<std::byte> body;  ///< empty if there was too much of it
  std::string state_name;       ///< "vmsd_name" of the description
  std::vector<wire::NamedField> fields;
  std::string not_split;  ///< why there are no fields
};

struct Disk {
  std::string name;
  std::uint64_t chunks = 0;
  std::uint64_t zero_chunks = 0;
};

struct Bitmap {
  std::string node;
  std::string name;
  std::uint32_t granularity = 0;  ///< bytes
  bool enabled = false;
  bool persistent = false;
  bool complete = false;
  std::uint64_t chunks = 0;
  std::uint64_t dirty_bytes = 0;
};

struct Message {
  std::uint64_t offset = 0;
  std::string text;
};

/// Why the reading stopped before the end, or what else is wrong.
struct Problem {
  std::uint64_t offset = 0;
  std::string what;
  std::string advice;
};

struct Inspection {
  std::string name;  ///< as the operator called it
  wire::StreamKind kind = wire::StreamKind::main;
  std::uint64_t bytes = 0;  ///< how far it was read
  bool live = false;
  bool turned_away = false;  ///< a live source that would have lost its guest

  std::optional<wire::Configuration> configuration;
  std::optional<bool> footers;
  std::vector<Block> blocks;
  std::vector<Pass> passes;
  std::uint64_t postcopy_pages = 0;
  bool distinct_known = true;  ///< Block::distinct is exact
  std::vector<Entry> entries;
  std::uint64_t dropped_entries = 0;
  std::vector<Device> devices;
  std::vector<Disk> disks;
  std::optional<std::uint32_t> disk_progress;  ///< percent
  std::vector<Bitmap> bitmaps;
  std::vector<Message> messages;  ///< of a return path, of COLO
  std::uint64_t dropped_messages = 0;
  std::uint64_t checkpoints = 0;  ///< of COLO
  std::optional<wire::StreamDescription> description;
  std::uint64_t description_bytes = 0;

  std::vector<std::string> remarks;
  std::optional<Problem> problem;  ///< unset: the stream is whole
};

}  // namespace godwit::cli::inspect

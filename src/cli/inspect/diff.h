// What differs between two streams.
#pragma once

#include <boost/json.hpp>
#include <string>
#include <vector>

#include <godwit/result.h>

#include "cli/inspect/model.h"

namespace godwit::cli::inspect {

/// One thing that both should have alike, with its two values. A value is empty where there is none.
struct Difference {
  std::string what;
  std::string left;
  std::string right;
};

struct PageRange {
  std::uint64_t first = 0;  ///< page number in the block
  std::uint64_t count = 0;
};

struct RamDifference {
  std::string block;
  std::uint64_t pages = 0;        ///< that differ
  std::vector<PageRange> ranges;  ///< ascending; the first range_limit
};

struct DeviceDifference {
  std::string name;
  std::uint32_t instance = 0;
  std::vector<Difference> fields;
};

struct Comparison {
  static constexpr std::size_t range_limit = 10'000;

  std::vector<Difference> configuration;
  std::vector<Difference> blocks;
  std::vector<RamDifference> ram;
  std::vector<DeviceDifference> devices;

  bool equal() const { return configuration.empty() && blocks.empty() && ram.empty() && devices.empty(); }
};

/// Everything but what RAM holds.
Comparison compare(const Inspection& left, const Inspection& right);

/// What RAM holds: `left` and `right` are the directories that the RAM of both was extracted to.
Result<> compare_ram(const Inspection& left_stream, const std::string& left, const Inspection& right_stream,
                     const std::string& right, Comparison& comparison);

std::string to_text(const Comparison& comparison);
boost::json::object to_json(const Comparison& comparison);

}  // namespace godwit::cli::inspect

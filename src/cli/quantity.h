// Sizes, rates and times as people write and read them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <godwit/result.h>

namespace godwit::cli {

/// "512M", "1.5G", "64K", "2GiB", "4096B"; a bare number counts in MiB, as QEMU's -m does. In bytes; more
/// than 0 and at most 2^60.
Result<std::uint64_t> parse_size(std::string_view text);

/// A size per second, or "max" (or 0) for no limit, which is 0.
Result<std::uint64_t> parse_rate(std::string_view text);

/// "512 MiB", "1.50 GiB", "17 B".
std::string size_text(double bytes);

/// "402 MiB/s".
std::string rate_text(double bytes_per_second);

/// "48.1 ms", "310 ms", "1.42 s".
std::string milliseconds_text(double milliseconds);

/// "12,345,678".
std::string count_text(std::uint64_t count);

}  // namespace godwit::cli

// What the fuzz targets share. Each target is one decoder; besides not crashing it must keep what it
// promises.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

#include <godwit/stream.h>

namespace godwit::fuzz {

/// Ends the process, so that libFuzzer keeps the input.
[[noreturn]] inline void broken(std::string_view promise, std::string_view detail = "") {
  std::fprintf(stderr, "broken promise: %.*s: %.*s\n", static_cast<int>(promise.size()), promise.data(),
               static_cast<int>(detail.size()), detail.data());
  std::abort();
}

inline void expect(bool holds, std::string_view promise, std::string_view detail = "") {
  if (!holds) broken(promise, detail);
}

/// An error of a decoder says where.
inline void expect_offset(const Error& error) {
  expect(error.what().find("offset 0x") != std::string::npos, "an error names an offset", error.what());
}

inline std::span<const std::byte> bytes(const std::uint8_t* data, std::size_t size) {
  return std::as_bytes(std::span(data, size));
}

}  // namespace godwit::fuzz

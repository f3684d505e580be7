// The memory of a witness guest, for tests: what a guest has there that was stopped in the middle of a pass.
#pragma once

#include <cstring>
#include <vector>

#include "base/fail.h"
#include "cli/demo/witness_pages.h"

namespace godwit::cli::demo {

/// Holds the guest's data pages, and nothing else.
class WitnessMemory final : public GuestMemory {
 public:
  /// As left by a guest that was stopped in pass `pass`, after it had rewritten `rewritten` words of it.
  WitnessMemory(const WitnessParameters& parameters, std::uint64_t pass, std::uint64_t rewritten)
      : words_(std::size_t{parameters.fill_pages} * words_per_page) {
    for (std::uint32_t page = 0; page < parameters.fill_pages; ++page) {
      const bool hot = page < parameters.hot_pages;
      std::uint64_t filled = expected(page, 0, 0);
      std::uint64_t before = expected(page, 0, pass - 1);
      std::uint64_t current = expected(page, 0, pass);
      for (std::uint32_t n = 0; n < words_per_page; ++n) {
        const bool again = hot && n < parameters.words;
        const bool done = std::uint64_t{page} * parameters.words + n < rewritten;
        word(page, n) = !again ? filled : done ? current : before;
        for (auto* x : {&filled, &before, &current}) *x = *x * multiplier + 1;
      }
    }
  }

  /// Word n of that page as that pass writes it, by the formula of witness.S taken literally.
  static std::uint64_t expected(std::uint32_t page, std::uint32_t n, std::uint64_t pass) {
    std::uint64_t x = (0x1000000 + 4096ULL * page + (pass << 32)) * multiplier;
    for (std::uint32_t i = 0; i < n; ++i) x = x * multiplier + 1;
    return x;
  }

  std::uint64_t& word(std::uint32_t page, std::uint32_t n) {
    return words_[std::size_t{page} * words_per_page + n];
  }

  Result<> read(std::uint64_t address, std::span<std::byte> bytes) override {
    if (address < data_address || address - data_address + bytes.size() > words_.size() * 8)
      return fail("{} bytes at {:#x} are not the guest's data", bytes.size(), address);
    ++reads_;
    std::memcpy(bytes.data(), reinterpret_cast<const std::byte*>(words_.data()) + (address - data_address),
                bytes.size());
    return {};
  }
  Result<> write(std::uint64_t, std::span<const std::byte>) override { return fail("nobody writes here"); }

  int reads() const { return reads_; }

 private:
  static constexpr std::uint64_t multiplier = 0x9e3779b97f4a7c15;

  std::vector<std::uint64_t> words_;
  int reads_ = 0;
};

}  // namespace godwit::cli::demo

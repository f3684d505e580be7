// Several threads that fill new memory: one at a time gives a huge page its memory. Two that touch it at the
// same time each clear a whole one, and one of those is thrown away.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>

namespace godwit::memory {

class FirstTouch {
 public:
  FirstTouch(std::byte* host, std::uint64_t size);

  /// The pages at `offsets` will be written next: one of those in each huge page is touched, if that was not
  /// done before. Changes no byte. Any thread.
  void touch(std::span<const std::uint64_t> offsets);

 private:
  struct State {
    std::unique_ptr<std::atomic<bool>[]> touched;  ///< by huge page
    std::array<std::mutex, 16> mutexes;            ///< shared by huge pages that are far from each other
  };

  std::byte* host_;
  std::unique_ptr<State> state_;
};

}  // namespace godwit::memory

// Memory or threads that run out where a test says so. A program that links shortage.cpp gets its operator
// new, and pthread_create, from there.
#pragma once

#include <cstdint>
#include <string_view>

namespace godwit::test {

/// One at a time. Until its end the `nth` allocation, counted from 1, of the threads whose name begins with
/// `threads` fails, and so does each one that follows as long as nobody has given the reserve back: there is
/// no memory but that.
class MemoryShortage {
 public:
  MemoryShortage(std::string_view threads, std::uint64_t nth);
  ~MemoryShortage();
  MemoryShortage(const MemoryShortage&) = delete;
  MemoryShortage& operator=(const MemoryShortage&) = delete;

  /// It came as far as the nth allocation.
  bool happened() const;
};

/// Until its end no thread can be started.
class ThreadShortage {
 public:
  ThreadShortage();
  ~ThreadShortage();
  ThreadShortage(const ThreadShortage&) = delete;
  ThreadShortage& operator=(const ThreadShortage&) = delete;
};

}  // namespace godwit::test

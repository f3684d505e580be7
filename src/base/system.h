// Owners of what the kernel gives out: descriptors, mappings, wake-up events.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include <godwit/result.h>

namespace godwit {

/// The text of an errno value, without locale surprises: "Connection refused".
std::string errno_text(int error_number);

/// `return system_error("cannot open {}", path)` style helper: "WHAT: <text of errno>".
std::unexpected<Error> system_error(std::string what, int error_number);

/// Owns a file descriptor; closes it. -1 is none.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1);
  /// A second descriptor of the same file, close-on-exec.
  Result<UniqueFd> duplicate() const;

 private:
  int fd_ = -1;
};

/// Owns a memory mapping; unmaps it.
class Mapping {
 public:
  Mapping() = default;
  Mapping(void* address, std::size_t length) : address_(static_cast<std::byte*>(address)), length_(length) {}
  Mapping(Mapping&& other) noexcept
      : address_(std::exchange(other.address_, nullptr)), length_(std::exchange(other.length_, 0)) {}
  Mapping& operator=(Mapping&& other) noexcept;
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping();

  /// mmap with the given arguments; `fd` may be -1 for anonymous memory.
  static Result<Mapping> map(std::size_t length, int protection, int flags, int fd, std::uint64_t offset = 0);

  std::byte* data() const { return address_; }
  std::size_t size() const { return length_; }
  std::span<std::byte> bytes() const { return {address_, length_}; }

 private:
  std::byte* address_ = nullptr;
  std::size_t length_ = 0;
};

/// An eventfd that ends a poll(): set from any thread, readable until drained.
class WakeFd {
 public:
  WakeFd();
  int fd() const { return fd_.get(); }
  void wake() noexcept;
  void drain() noexcept;

 private:
  UniqueFd fd_;
};

}  // namespace godwit

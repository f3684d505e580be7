// Owner of a userfaultfd, for write protection and for missing pages.
#pragma once

#include <cstdint>

#include <godwit/ram_block.h>
#include <godwit/result.h>

#include "base/system.h"

namespace godwit::memory {

class Userfault {
 public:
  /// Who may fault: threads anywhere, or threads that are not inside a system call. The latter is open to
  /// everybody.
  enum class Reach : std::uint8_t { everywhere, user_mode_suffices };

  /// What this kernel's userfaultfd can do, as UFFD_FEATURE_* bits; or why there is none.
  static Result<std::uint64_t> supported_features();

  /// A descriptor with exactly these features, non-blocking. The error names the ones the kernel lacks, or
  /// what must be permitted.
  static Result<Userfault> open(std::uint64_t features, Reach reach);

  /// Writes to the memory of `block` can be protected from now on; nothing is protected yet.
  Result<> enlist(const RamBlock& block);
  /// A thread that touches a page of `block` which is not there waits from now on until copy(), zero() or
  /// wake().
  Result<> enlist_missing(const RamBlock& block);
  /// Protects all of it, piece by piece: a guest on the memory stands still for the length of a piece, not of
  /// them all.
  Result<> protect_all(const RamBlock& block);
  /// Ends what enlisting began, piece by piece: takes all protection away and wakes who waits.
  void dismiss(const RamBlock& block) noexcept;

  /// Protects the bytes at `start`, or takes the protection away and wakes who waits for that. Both must be
  /// multiples of the host page size.
  Result<> protect(const std::byte* start, std::uint64_t length);
  Result<> unprotect(const std::byte* start, std::uint64_t length);

  /// Puts a page (or several) in its place at once and wakes who waits for it. False: there was one already;
  /// it is left alone. All but `from` are multiples of the host page size.
  Result<bool> copy(std::byte* to, const std::byte* from, std::uint64_t length);
  /// The same with zeros. Not for huge pages.
  Result<bool> zero(std::byte* to, std::uint64_t length);
  /// Lets who waits for a page there try again.
  Result<> wake(const std::byte* start, std::uint64_t length);

  int fd() const { return fd_.get(); }

 private:
  explicit Userfault(UniqueFd fd) : fd_(std::move(fd)) {}
  Result<> enlist(const RamBlock& block, std::uint64_t mode, std::uint64_t needed_ioctl);
  Result<> change_protection(const std::byte* start, std::uint64_t length, std::uint64_t mode);

  UniqueFd fd_;
};

}  // namespace godwit::memory

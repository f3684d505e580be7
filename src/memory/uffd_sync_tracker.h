// Dirty tracking by synchronous userfault write protection, for kernels before 6.7: the first write to a
// protected page stops its thread until a handler thread has noted the page and lifted the protection.
//
// Exact, but each first write costs two thread switches, and writers stand still while the handler does not
// run. Needs the right to catch faults inside system calls (KVM and read(2) write to guest memory from
// there).
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include <godwit/dirty_tracker.h>

#include "memory/userfault.h"

namespace godwit::memory {

class UffdSyncTracker final : public DirtyTracker {
 public:
  /// Never-touched anonymous memory: newer kernels (6.4) protect it as it is; with `populate` it is mapped to
  /// the shared page of zeros first, as older kernels need it.
  enum class Untouched : std::uint8_t { choose, populate };

  static Result<std::unique_ptr<UffdSyncTracker>> create(Untouched untouched = Untouched::choose);
  ~UffdSyncTracker() override { stop(); }

  std::string_view name() const override { return "userfault-sync"; }
  Result<> start(std::span<const RamBlock> blocks) override;
  Result<std::uint64_t> collect(std::span<DirtyBitmap> bitmaps) override;
  void stop() noexcept override;

 private:
  struct Tracked {
    RamBlock block;
    // Pages written and not collected. Changed under mutex_ only; read without it to find what is worth
    // locking for.
    std::unique_ptr<std::atomic<std::uint64_t>[]> words;
    std::size_t word_count = 0;
  };

  UffdSyncTracker(std::uint64_t features, bool populate) : features_(features), populate_(populate) {}
  Result<> protect_all(std::span<const RamBlock> blocks);
  Result<std::uint64_t> collect_block(Tracked& tracked, DirtyBitmap& bitmap);
  void handle_faults(std::stop_token stop);
  bool answer_pending();
  Result<> answer(std::uint64_t address);

  const std::uint64_t features_;
  const bool populate_;
  std::optional<Userfault> userfault_;  // while tracking
  std::vector<Tracked> tracked_;
  // Noting a page and lifting its protection are one step, and so are collecting a page and protecting it
  // again: a page must never be writable and forgotten.
  std::mutex mutex_;
  std::optional<Error> handler_error_;  // guarded by mutex_
  WakeFd wake_;
  std::jthread handler_;
};

}  // namespace godwit::memory

// Gives memory its pages ahead of the data: the first touch of cold memory costs about as much as what is
// then copied there, and can be had at the same time on another processor.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <span>
#include <thread>

namespace godwit::memory {

/// A thread of its own, `premap`, which starts with the first wish. It changes no byte; where it cannot help
/// (kernels before 5.14, no memory left), who writes to the pages touches them as before, and sees what is
/// wrong.
///
/// Threads: one uses it.
class Premapper {
 public:
  Premapper() = default;
  ~Premapper();
  Premapper(const Premapper&) = delete;
  Premapper& operator=(const Premapper&) = delete;

  /// `bytes` will probably be written soon, front to back. Replaces the last wish, of which what was done
  /// already is not done again. Only the whole huge pages in it count.
  void expect(std::span<std::byte> bytes);
  /// `bytes` are written next. Does not return while the thread is in the middle of a huge page of them: two
  /// that touch one at the same time each clear a whole one, and one of those is thrown away. Meanwhile the
  /// caller touches what else is wished for, so that cold memory comes to two processors at once.
  void settle(std::span<const std::byte> bytes);
  /// Returns when the last wish was fulfilled or given up.
  void wait();
  /// Forgets the last wish. When it returns, nothing touches the memory.
  void stop();

 private:
  void start();
  void give_up();
  void run(const std::stop_token& stop);
  /// The huge page at at_; `lock` is of mutex_, and not held while that takes its time.
  void touch_next(std::unique_lock<std::mutex>& lock);

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::byte* at_ = nullptr;    ///< up to here the wish is fulfilled, or about to be
  std::byte* end_ = nullptr;   ///< its end; at_ == end_: nothing to do
  std::byte* busy_ = nullptr;  ///< the huge page the thread is in the middle of
  bool of_no_use_ = false;
  std::jthread thread_;
};

}  // namespace godwit::memory

#include "memory/premap.h"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <sys/mman.h>

#include "base/exhaustion.h"
#include "base/log.h"
#include "base/thread.h"
#include "memory/kernel_abi.h"

namespace godwit::memory {
namespace {

/// Memory is asked for in huge pages: what is smaller is left to who writes it, and a new wish is soon looked
/// at.
constexpr std::uintptr_t piece_size = 2 * 1024 * 1024;

std::byte* piece_at_or_before(std::byte* at) {
  return at - reinterpret_cast<std::uintptr_t>(at) % piece_size;
}

std::byte* piece_at_or_after(std::byte* at) {
  return piece_at_or_before(at + (piece_size - 1));
}

}  // namespace

Premapper::~Premapper() {
  stop();
}

void Premapper::expect(std::span<std::byte> bytes) {
  std::byte* const begin = piece_at_or_after(bytes.data());
  std::byte* const end = piece_at_or_before(bytes.data() + bytes.size());
  if (begin >= end) return;
  const std::lock_guard lock(mutex_);
  if (of_no_use_) return;
  if (at_ < begin || at_ > end) at_ = begin;
  end_ = end;
  if (at_ == end_) return;
  if (!thread_.joinable())
    start();
  else if (!busy_)
    changed_.notify_all();
}

void Premapper::settle(std::span<const std::byte> bytes) {
  std::unique_lock lock(mutex_);
  while (busy_ && busy_ < bytes.data() + bytes.size() && busy_ + piece_size > bytes.data())
    if (at_ == end_)
      changed_.wait(lock);
    else
      touch_next(lock);
}

/// With mutex_ held. Where no thread can be had, the loader touches the memory itself.
void Premapper::start() {
  const auto started = or_exhausted([this]() -> Result<> {
    thread_ = start_thread(
        "premap", [this](const std::stop_token& stop) { run(stop); }, [this](const Error&) { give_up(); });
    return {};
  });
  if (started) return;
  log::info("memory is not populated ahead: {}", started.error().what());
  of_no_use_ = true;
  end_ = at_;
}

void Premapper::give_up() {
  const std::lock_guard lock(mutex_);
  busy_ = nullptr;
  of_no_use_ = true;
  end_ = at_;
  changed_.notify_all();
}

void Premapper::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return at_ == end_ && !busy_; });
}

void Premapper::stop() {
  std::unique_lock lock(mutex_);
  end_ = at_;
  changed_.wait(lock, [this] { return !busy_; });
}

void Premapper::run(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (changed_.wait(lock, stop, [this] { return at_ != end_; })) {
    busy_ = at_;
    touch_next(lock);
    busy_ = nullptr;
    changed_.notify_all();
  }
}

void Premapper::touch_next(std::unique_lock<std::mutex>& lock) {
  std::byte* const piece = at_;
  at_ += piece_size;
  lock.unlock();
  const int failed = ::madvise(piece, piece_size, madv_populate_write) == 0 ? 0 : errno;
  lock.lock();
  if (failed == 0 || failed == EINTR || failed == EAGAIN) return;
  log::debug("memory is not made ready ahead of the data: {}", std::strerror(failed));
  of_no_use_ = true;
  end_ = at_;
}

}  // namespace godwit::memory

#include "base/testing/shortage.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <new>
#include <pthread.h>

#include "base/exhaustion.h"

namespace {

// Of the shortage that there is; nothing here may allocate.
constexpr std::size_t name_room = 16;
std::atomic<bool> memory_is_short{false};
std::atomic<std::uint64_t> number{0};  // of the shortage: a thread looks at its name once for each
std::atomic<std::uint64_t> allocations{0};
std::atomic<std::uint64_t> first_to_fail{0};
std::atomic<bool> began{false};
std::atomic<bool> over{false};
std::array<std::atomic<char>, name_room> prefix{};  // a thread of the last shortage may still look
std::atomic<bool> threads_are_short{false};

bool concerns_this_thread() {
  thread_local std::uint64_t looked_at = 0;
  thread_local bool concerned = false;
  const std::uint64_t current = number.load();
  if (looked_at != current) {
    char name[name_room] = "";
    pthread_getname_np(pthread_self(), name, sizeof name);
    std::size_t same = 0;
    while (prefix[same] != 0 && name[same] == prefix[same]) ++same;
    concerned = prefix[same] == 0;
    looked_at = current;
  }
  return concerned;
}

bool is_refused() {
  if (!memory_is_short.load() || !concerns_this_thread() || over.load()) return false;
  if (began.load()) {
    if (godwit::MemoryReserve::is_there()) return true;
    over = true;
    return false;
  }
  if (++allocations < first_to_fail) return false;
  began = true;
  return true;
}

void* allocate(std::size_t size, std::size_t alignment) noexcept {
  if (is_refused()) return nullptr;
  if (alignment <= alignof(std::max_align_t)) return std::malloc(std::max<std::size_t>(size, 1));
  void* memory = nullptr;
  return ::posix_memalign(&memory, alignment, size) == 0 ? memory : nullptr;
}

void* allocate_or_throw(std::size_t size, std::size_t alignment) {
  void* const memory = allocate(size, alignment);
  if (!memory) throw std::bad_alloc();
  return memory;
}

}  // namespace

namespace godwit::test {

MemoryShortage::MemoryShortage(std::string_view threads, std::uint64_t nth) {
  MemoryReserve::fill_now();
  for (std::size_t i = 0; i < name_room; ++i)
    prefix[i] = i < std::min(threads.size(), name_room - 1) ? threads[i] : '\0';
  first_to_fail = nth;
  allocations = 0;
  began = over = false;
  ++number;
  memory_is_short = true;
}

MemoryShortage::~MemoryShortage() {
  memory_is_short = false;
}

bool MemoryShortage::happened() const {
  return began;
}

ThreadShortage::ThreadShortage() {
  threads_are_short = true;
}

ThreadShortage::~ThreadShortage() {
  threads_are_short = false;
}

}  // namespace godwit::test

void* operator new(std::size_t size) {
  return allocate_or_throw(size, 1);
}
void* operator new[](std::size_t size) {
  return allocate_or_throw(size, 1);
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return allocate(size, 1);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return allocate(size, 1);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate_or_throw(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return allocate_or_throw(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}

/// Asio's own allocations go here.
extern "C" void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  return allocate(size, alignment);
}

extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*body)(void*),
                              void* argument) {
  if (threads_are_short.load()) return EAGAIN;
  using Create = int(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static Create* const create = reinterpret_cast<Create*>(::dlsym(RTLD_NEXT, "pthread_create"));
  return create(thread, attributes, body, argument);
}

// Memory, threads and descriptors that run out are the only things that throw in Godwit: the library's
// allocations and threads do so, and what is made in constructors. Here they become errors again.
#pragma once

#include <new>
#include <system_error>
#include <utility>

#include <godwit/result.h>

namespace godwit {

/// Memory that is given back when there is no other, so that an error can be made, told and cleaned up after.
/// Any thread.
class MemoryReserve {
 public:
  /// Not where it was given back less than a second ago: who cleans up then needs it.
  static void fill() noexcept;
  static void fill_now() noexcept;
  static void release() noexcept;
  static bool is_there() noexcept;
};

/// "Out of memory". Lets go of the reserve.
Error out_of_memory();

/// What `body` returns, a Result, or an error that says what has run out. Around each piece of work that can
/// be given up as a whole: a command, one attempt on either side, one turn of a thread that has to go on.
/// What `body` made is gone by then. A thread that ends when it cannot go on needs none: see start_thread.
template <class Body>
auto or_exhausted(Body&& body) -> decltype(body()) {
  MemoryReserve::fill();
  try {
    return std::forward<Body>(body)();
  } catch (const std::bad_alloc&) {
    return fail(out_of_memory());
  } catch (const std::system_error& error) {
    return fail(Error(error.what()));
  }
}

/// For what cannot be given up: where there is no memory `body` runs again, with that of the reserve. It has
/// to bear being run a second time; if that is not enough either, it throws.
template <class Body>
auto with_reserve(Body&& body) -> decltype(body()) {
  MemoryReserve::fill();
  try {
    return body();
  } catch (const std::bad_alloc&) {
    MemoryReserve::release();
  }
  return body();
}

}  // namespace godwit

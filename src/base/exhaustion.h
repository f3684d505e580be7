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
  static void fill() noexcept;
  static void release() noexcept;
};

/// "Out of memory". Lets go of the reserve.
Error out_of_memory();

/// What `body` returns, a Result, or an error that says what has run out. Around each piece of work that can
/// be given up as a whole: a command, one attempt on either side. What `body` made is gone by then.
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

}  // namespace godwit

// libFuzzer's hooks for the targets that read whole streams.
#include <algorithm>
#include <cstring>

#include "fuzz.h"
#include "stream_mutator.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t room);

namespace {

std::size_t give(std::span<const std::byte> stream, std::uint8_t* data) {
  std::memcpy(data, stream.data(), stream.size());
  return stream.size();
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t room,
                                               unsigned seed) {
  const auto bytes = godwit::fuzz::bytes(data, size);
  std::vector<std::byte> stream(bytes.begin(), bytes.end());
  godwit::fuzz::mutate_stream(stream, room, seed, LLVMFuzzerMutate);
  return give(stream, data);
}

extern "C" std::size_t LLVMFuzzerCustomCrossOver(const std::uint8_t* one, std::size_t one_size,
                                                 const std::uint8_t* other, std::size_t other_size,
                                                 std::uint8_t* out, std::size_t room, unsigned seed) {
  return give(godwit::fuzz::cross_streams(godwit::fuzz::bytes(one, one_size),
                                          godwit::fuzz::bytes(other, other_size), room, seed),
              out);
}

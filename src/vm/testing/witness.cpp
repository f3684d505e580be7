#include "vm/testing/witness.h"

#include <cstdio>
#include <cstring>
#include <stdlib.h>
#include <unistd.h>

namespace godwit::vm::testing {
namespace {

constexpr std::size_t parameters_at = 0x1fe - 24;
constexpr std::uint64_t information_page = 0x9000;

template <typename T>
T take(const std::array<std::byte, 64>& page, std::size_t offset) {
  T value;
  std::memcpy(&value, page.data() + offset, sizeof value);
  return value;
}

}  // namespace

std::vector<std::byte> witness_sector(const WitnessParameters& parameters) {
  std::vector<std::byte> sector(witness_image.size());
  std::memcpy(sector.data(), witness_image.data(), sector.size());
  const std::int32_t words[] = {parameters.fill_pages, parameters.hot_pages, parameters.words,
                                parameters.ticks,      parameters.gap,       parameters.kind};
  std::memcpy(sector.data() + parameters_at, words, sizeof words);
  return sector;
}

WitnessRecords witness_records(Machine& machine) {
  std::array<std::byte, 64> page;
  machine.read_memory(information_page, page);
  return {.iterations = take<std::uint64_t>(page, 0),
          .last_tsc = take<std::uint64_t>(page, 8),
          .pass = take<std::uint64_t>(page, 16),
          .gaps = take<std::uint32_t>(page, 24),
          .pages = take<std::uint32_t>(page, 32),
          .errors = take<std::uint32_t>(page, 40),
          .longest_gap = take<std::uint64_t>(page, 56)};
}

TemporaryFile::TemporaryFile(std::span<const std::byte> contents) {
  char name[] = "/tmp/godwit-test-XXXXXX";
  const int fd = ::mkstemp(name);
  path_ = name;
  if (fd < 0 || ::write(fd, contents.data(), contents.size()) != static_cast<ssize_t>(contents.size())) {
    std::perror("cannot write a temporary file");
    std::abort();
  }
  ::close(fd);
}

TemporaryFile::~TemporaryFile() {
  ::unlink(path_.c_str());
}

}  // namespace godwit::vm::testing

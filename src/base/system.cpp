#include "base/system.h"

#include <cerrno>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <system_error>
#include <unistd.h>

namespace godwit {

std::string errno_text(int error_number) {
  const char* text = strerrordesc_np(error_number);
  return text ? text : "Unknown error " + std::to_string(error_number);
}

std::unexpected<Error> system_error(std::string what, int error_number) {
  return std::unexpected<Error>(Error(std::move(what) + ": " + errno_text(error_number)));
}

void UniqueFd::reset(int fd) {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

Result<UniqueFd> UniqueFd::duplicate() const {
  const int copy = ::fcntl(fd_, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return system_error("cannot duplicate a descriptor", errno);
  return UniqueFd(copy);
}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  if (this != &other) {
    if (address_) ::munmap(address_, length_);
    address_ = std::exchange(other.address_, nullptr);
    length_ = std::exchange(other.length_, 0);
  }
  return *this;
}

Mapping::~Mapping() {
  if (address_) ::munmap(address_, length_);
}

Result<Mapping> Mapping::map(std::size_t length, int protection, int flags, int fd, std::uint64_t offset) {
  void* address = ::mmap(nullptr, length, protection, flags, fd, static_cast<off_t>(offset));
  if (address == MAP_FAILED) return system_error("cannot map " + std::to_string(length) + " bytes", errno);
  return Mapping(address, length);
}

WakeFd::WakeFd() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!fd_) throw std::system_error(errno, std::generic_category(), "cannot create an eventfd");
}

void WakeFd::wake() noexcept {
  const std::uint64_t one = 1;
  // Fails only when the counter is full, and then the descriptor is readable already.
  [[maybe_unused]] const auto written = ::write(fd_.get(), &one, sizeof one);
}

void WakeFd::drain() noexcept {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = ::read(fd_.get(), &count, sizeof count);
}

}  // namespace godwit

#include "memory/postcopy_memory.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <linux/userfaultfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fail.h"
#include "memory/discard.h"

namespace godwit::memory {
namespace {

std::uint64_t features_for(std::span<const RamBlock> blocks) {
  std::uint64_t features = 0;
  for (const RamBlock& block : blocks) {
    if (block.host_page_size != page_size)
      features |= UFFD_FEATURE_MISSING_HUGETLBFS;
    else if (block.shared || block.fd >= 0)
      features |= UFFD_FEATURE_MISSING_SHMEM;
  }
  return features;
}

/// A private mapping shows what its file holds: those pages are never missing.
Result<> check_file(const RamBlock& block) {
  if (!file_shows_through(block)) return {};
  return fail(Error(fmt::format("block '{}' is a private mapping of a file that holds data: its pages would "
                                "not be missing",
                                block.name))
                  .advise("use share=on, or memory without a file"));
}

}  // namespace

Result<> PostcopyMemory::check(std::span<const RamBlock> blocks) {
  GODWIT_ASSIGN(Userfault userfault, Userfault::open(features_for(blocks), Userfault::Reach::everywhere));
  for (const RamBlock& block : blocks) {
    GODWIT_TRY(check_file(block));
    // Only asking tells whether this kind of memory can be watched. Nobody touches it meanwhile: the guest is
    // not here yet.
    GODWIT_TRY(userfault.enlist_missing(block));
    userfault.dismiss(block);
  }
  return {};
}

Result<> PostcopyMemory::prepare() {
  prepared_ = true;
  for (const RamBlock& block : blocks_) {
    GODWIT_TRY(discard_pages(block, {0, block.pages()}));
    GODWIT_TRY(check_file(block));
    // A huge page that the kernel makes when one small page is touched would hide that the others are
    // missing.
    if (block.host_page_size == page_size) ::madvise(block.host, block.size, MADV_NOHUGEPAGE);
  }
  return {};
}

Result<> PostcopyMemory::start(bool thread_ids) {
  const std::uint64_t features = features_for(blocks_) | (thread_ids ? UFFD_FEATURE_THREAD_ID : 0);
  GODWIT_ASSIGN(userfault_, Userfault::open(features, Userfault::Reach::everywhere));
  std::uint64_t largest = 0;
  for (const RamBlock& block : blocks_) {
    GODWIT_TRY(userfault_->enlist_missing(block));
    if (block.host_page_size != page_size) largest = std::max(largest, block.host_page_size);
  }
  zeros_.resize(largest);
  return {};
}

void PostcopyMemory::stop() noexcept {
  if (userfault_)
    for (const RamBlock& block : blocks_) userfault_->dismiss(block);
  userfault_.reset();
  if (!std::exchange(prepared_, false)) return;
  for (const RamBlock& block : blocks_)
    if (block.transparent_huge_pages) ::madvise(block.host, block.size, MADV_HUGEPAGE);
}

Result<std::span<MissingPage>> PostcopyMemory::read_faults(std::span<MissingPage> into) {
  std::array<uffd_msg, 16> messages;
  const std::size_t room = std::min(into.size(), messages.size());
  const ssize_t got = ::read(userfault_->fd(), messages.data(), room * sizeof(uffd_msg));
  if (got < 0) {
    if (errno == EAGAIN || errno == EINTR) return into.first(0);
    return system_error("cannot read page faults", errno);
  }
  std::size_t count = 0;
  for (const uffd_msg& message :
       std::span(messages).first(static_cast<std::size_t>(got) / sizeof(uffd_msg))) {
    if (message.event != UFFD_EVENT_PAGEFAULT) continue;
    auto page = locate(message.arg.pagefault.address);
    if (!page) return fail("a page fault at {:#x}, outside of guest RAM", message.arg.pagefault.address);
    page->thread_id = static_cast<int>(message.arg.pagefault.feat.ptid);
    into[count++] = *page;
  }
  return into.first(count);
}

std::optional<MissingPage> PostcopyMemory::locate(std::uint64_t address) const {
  for (std::size_t index = 0; index < blocks_.size(); ++index) {
    const RamBlock& block = blocks_[index];
    const auto start = reinterpret_cast<std::uintptr_t>(block.host);
    if (address < start || address - start >= block.size) continue;
    const std::uint64_t offset = address - start;
    return MissingPage{.block = index, .offset = offset - offset % block.host_page_size};
  }
  return std::nullopt;
}

Result<bool> PostcopyMemory::place(std::size_t block, std::uint64_t offset, const std::byte* content) {
  return userfault_->copy(blocks_[block].host + offset, content, blocks_[block].host_page_size);
}

Result<bool> PostcopyMemory::place_zeros(std::size_t block, std::uint64_t offset) {
  const RamBlock& at = blocks_[block];
  if (at.host_page_size != page_size) return place(block, offset, zeros_.data());
  return userfault_->zero(at.host + offset, page_size);
}

}  // namespace godwit::memory

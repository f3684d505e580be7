#include "vm/devices/fw_cfg.h"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include "base/fail.h"

namespace godwit::vm {
namespace {

namespace key {
constexpr std::uint16_t signature = 0x00, features = 0x01, directory = 0x19;
constexpr std::uint16_t write_channel = 0x4000;  // of old: makes no difference
}  // namespace key

constexpr std::uint8_t has_ports_and_dma = 3;
constexpr unsigned selector_offset = 0, data_offset = 1, dma_high = 4, dma_low = 8;
constexpr std::uint64_t dma_signature = 0x51454d5520434647;  // "QEMU CFG"

namespace dma {
constexpr std::uint32_t error = 0x01, read = 0x02, skip = 0x04, select = 0x08, write = 0x10;
}

void append_be(std::vector<std::uint8_t>& to, std::uint64_t value, unsigned bytes) {
  for (unsigned i = bytes; i-- > 0;) to.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

template <typename T>
T read_be(const std::byte* from) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i)
    value = static_cast<T>(value << 8 | std::to_integer<T>(from[i]));
  return value;
}

}  // namespace

struct FwCfg::DmaRequest {
  static constexpr std::size_t size = 16;  ///< bytes in guest memory, big-endian
  std::uint32_t control = 0;
  std::uint32_t length = 0;
  std::uint64_t address = 0;
};

FwCfg::FwCfg(Bus& bus) : bus_(bus) {
  add(key::signature, {'Q', 'E', 'M', 'U'});
  add(key::features, {has_ports_and_dma, 0, 0, 0});
  add(key::directory, {0, 0, 0, 0});
}

void FwCfg::add(std::uint16_t key, std::vector<std::uint8_t> item) {
  items_[key] = std::move(item);
}

void FwCfg::add_file(const std::string& name, std::vector<std::uint8_t> contents) {
  constexpr std::size_t name_size = 56;
  std::vector<std::uint8_t>& directory = items_[key::directory];
  append_be(directory, contents.size(), 4);
  append_be(directory, next_file_, 2);
  append_be(directory, 0, 2);
  for (std::size_t i = 0; i < name_size; ++i)
    directory.push_back(i + 1 < name_size && i < name.size() ? static_cast<std::uint8_t>(name[i]) : 0);
  ++directory[3];  // how many there are
  add(next_file_++, std::move(contents));
}

void FwCfg::reset() {
  const std::lock_guard lock(mutex_);
  state_ = {};
}

std::uint8_t FwCfg::read(unsigned offset) {
  return static_cast<std::uint8_t>(read_wide(offset, 1));
}

void FwCfg::write(unsigned offset, std::uint8_t value) {
  write_wide(offset, 1, value);
}

std::uint32_t FwCfg::read_wide(unsigned offset, unsigned size) {
  const std::lock_guard lock(mutex_);
  if (offset == data_offset && size == 1) return next_byte();
  if (offset < dma_high) return 0;
  // The register is big-endian: its first byte is at the lowest port.
  std::uint32_t value = 0;
  for (unsigned i = 0; i < size; ++i) {
    const unsigned byte = offset - dma_high + i;
    value |= static_cast<std::uint32_t>(dma_signature >> (8 * (7 - byte)) & 0xff) << (8 * i);
  }
  return value;
}

void FwCfg::write_wide(unsigned offset, unsigned size, std::uint32_t value) {
  if (offset == selector_offset && size <= 2) {
    const std::lock_guard lock(mutex_);
    select(static_cast<std::uint16_t>(value));
  } else if ((offset == dma_high || offset == dma_low) && size == 4) {
    write_dma_register(offset, std::byteswap(value));
  }
}

void FwCfg::select(std::uint16_t key) {
  state_.selected = key;
  state_.offset = 0;
}

std::uint8_t FwCfg::next_byte() {
  const auto item = items_.find(state_.selected & static_cast<std::uint16_t>(~key::write_channel));
  if (item == items_.end() || state_.offset >= item->second.size()) return 0;
  return item->second[state_.offset++];
}

void FwCfg::write_dma_register(unsigned offset, std::uint32_t value) {
  std::uint64_t address = 0;
  {
    const std::lock_guard lock(mutex_);
    if (offset == dma_high) {
      state_.dma_address = std::uint64_t{value} << 32;
      return;
    }
    address = std::exchange(state_.dma_address, 0) | value;
  }
  transfer(address);
}

void FwCfg::transfer(std::uint64_t request_address) {
  std::array<std::byte, DmaRequest::size> raw{};
  bus_.read_memory(request_address, raw);
  const DmaRequest request{read_be<std::uint32_t>(raw.data()), read_be<std::uint32_t>(raw.data() + 4),
                           read_be<std::uint64_t>(raw.data() + 8)};
  const std::uint32_t outcome = serve(request) ? 0 : std::byteswap(dma::error);
  bus_.write_memory(request_address, std::as_bytes(std::span(&outcome, 1)));
}

bool FwCfg::serve(const DmaRequest& request) {
  const std::lock_guard lock(mutex_);
  if (request.control & dma::select) select(static_cast<std::uint16_t>(request.control >> 16));
  if (request.control & dma::read) {
    // In pieces: the length is the guest's.
    std::array<std::byte, 4096> piece;
    const auto item = items_.find(state_.selected & static_cast<std::uint16_t>(~key::write_channel));
    const std::uint64_t most = item == items_.end() ? 0 : item->second.size();
    for (std::uint64_t done = 0; done < request.length;) {
      const std::size_t count = std::min<std::uint64_t>(piece.size(), request.length - done);
      for (std::size_t i = 0; i < count; ++i) piece[i] = static_cast<std::byte>(next_byte());
      bus_.write_memory(request.address + done, std::span(piece).first(count));
      done += count;
      // What lies behind the item is zeros: no more of them than the largest item has.
      if (state_.offset >= most && done >= most + piece.size()) break;
    }
    return true;
  }
  if (request.control & dma::skip) {
    state_.offset = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(std::uint64_t{state_.offset} + request.length, 0xffffffff));
    return true;
  }
  return (request.control & dma::write) == 0;  // no item of ours can be written
}

Result<> FwCfg::after_load() const {
  if (state_.acpi != FwCfgState::AcpiTables())
    return fail(Error("fw_cfg/acpi_mr: the source has ACPI tables (acpi=on), this machine has none")
                    .advise("start the source with acpi=off"));
  return {};
}

}  // namespace godwit::vm

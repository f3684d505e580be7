// A file with mapped-ram from nobody in particular is loaded into a small guest. The input is what stands in
// front of the pages and what stands behind them: two bytes say how long the first part is. Between them is
// the hole where the pages of the one block are, if the header of the block says what it should.
#include <cstddef>
#include <cstdint>
#include <span>
#include <sys/mman.h>
#include <unistd.h>

#include "channel/channel_input.h"
#include "channel/file_channel.h"
#include "engine/incoming/mapped_ram_reader.h"
#include "engine/incoming/stream_loader.h"
#include "engine/testing/fake_guest.h"
#include "fuzz.h"
#include "wire/mapped_ram.h"

namespace {

using namespace godwit;

constexpr std::uint64_t pages = 64;

class SmallGuest final : public engine::testing::FakeGuest {
 public:
  SmallGuest() : FakeGuest({{"m0", pages}}) { machine = "none"; }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static SmallGuest guest;
  if (size < 2) return 0;
  const auto bytes = fuzz::bytes(data, size);
  const std::size_t front = std::min<std::size_t>(data[0] << 8 | data[1], size - 2);
  UniqueFd file(::memfd_create("fuzz", MFD_CLOEXEC));
  constexpr std::uint64_t behind = wire::mapped_pages_alignment + pages * page_size;
  const auto put = [&](std::span<const std::byte> part, std::uint64_t at) {
    fuzz::expect(::pwrite(file.get(), part.data(), part.size(), static_cast<off_t>(at)) ==
                     static_cast<ssize_t>(part.size()),
                 "the file can be written");
  };
  put(bytes.subspan(2, front), 0);
  put(bytes.subspan(2 + front), behind);

  channel::FileChannel channel(std::move(file), "fuzz");
  const auto reader = engine::MappedRamReader::open(channel, 1, false);
  fuzz::expect(reader.has_value(), "a memfd has places");
  channel::ChannelInput in(channel);
  engine::Capabilities capabilities;
  capabilities.set(engine::Capability::mapped_ram, true);
  const MigrationOptions options;
  engine::StreamLoader loader(guest, capabilities, options, nullptr);
  loader.ram().read_from(**reader);
  if (loader.load(in)) (void)loader.drain_description(in);
  return 0;
}

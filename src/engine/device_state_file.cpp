#include "engine/device_state_file.h"

#include <cerrno>
#include <fcntl.h>
#include <span>
#include <unistd.h>

#include "base/fail.h"
#include "base/system.h"
#include "channel/address.h"
#include "channel/channel_input.h"
#include "channel/listener.h"
#include "engine/device_state.h"
#include "wire/header.h"
#include "wire/record.h"

namespace godwit::engine {
namespace {

Result<> write_all(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return fail("An IO error has occurred");
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

Result<> write_devices(Guest& guest, const MigrationOptions& options, RunState state,
                       const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0660));
  if (!file) return system_error("Unable to open " + path, errno);
  Output out;
  wire::encode_file_header(out);
  GODWIT_TRY(save_devices(guest, state, options, out));
  wire::encode_eof(out);
  return write_all(file.get(), out.data());
}

}  // namespace

Result<> save_device_state_file(Guest& guest, const MigrationOptions& options, const std::string& path) {
  const RunState before = guest.run_state();
  const bool ran = before == RunState::running;
  if (ran) GODWIT_TRY(guest.set_run_state(RunState::save_vm));
  Result<> result = write_devices(guest, options, before, path);
  if (ran) GODWIT_TRY(guest.set_run_state(RunState::running));
  return result;
}

Result<> load_device_state_file(Guest& guest, const MigrationOptions& options, const std::string& path) {
  NoDescriptors none;
  GODWIT_ASSIGN(const auto listener, channel::listen(channel::File{path, 0}, none, 1));
  GODWIT_ASSIGN(const auto file, listener->accept());
  channel::ChannelInput in(*file);
  GODWIT_TRY(wire::decode_file_header(in));
  LoadedState loaded;
  while (true) {
    GODWIT_ASSIGN(const wire::RecordType type, wire::decode_record_type(in));
    if (type == wire::RecordType::eof) return check_all_loaded(guest, loaded, in.offset());
    if (type != wire::RecordType::section_full)
      return fail("{}: {} in a file of device states", path, wire::to_string(type));
    GODWIT_ASSIGN(const wire::SectionHeader header, wire::decode_section_header(in));
    GODWIT_TRY(load_device(guest, header, in, loaded));
    if (options.send_section_footer) GODWIT_TRY(wire::decode_footer(in, header.id));
  }
}

}  // namespace godwit::engine

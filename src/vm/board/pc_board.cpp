// Machine `pc`: the least that a boot sector needs. RAM, COM1, ports 0x92 and 0xcf9 (command-line section 5).
#include "vm/board/board.h"
#include "vm/board/boot_sector.h"
#include "vm/devices/reset_ports.h"
#include "vm/devices/serial.h"

namespace godwit::vm {
namespace {

constexpr std::uint16_t com1_port = 0x3f8;
constexpr std::uint16_t system_control_port = 0x92;
constexpr std::uint16_t reset_control_port = 0xcf9;

class PcBoard final : public Board {
 public:
  PcBoard(const MachineConfig& config, BoardParts parts)
      : Board(MemoryMap(pc_memory_layout(parts.ram, parts.ram_size)), std::move(parts.mark_written)),
        disk_(config.first_disk),
        serial_(config.serial_line),
        system_control_(parts.request_reset),
        reset_control_(parts.request_reset) {
    ports_.add(com1_port, Serial::register_count, serial_);
    ports_.add(system_control_port, 1, system_control_);
    ports_.add(reset_control_port, 1, reset_control_);
  }

  Result<> reset() override {
    serial_.reset();
    system_control_.reset();
    if (disk_.empty()) return {};
    GODWIT_ASSIGN(const Sector sector, read_boot_sector(disk_));
    write_memory(boot_address, sector);
    return {};
  }

  CpuState initial_cpu(unsigned index) const override {
    if (index == 0 && !disk_.empty()) return booting_cpu();
    // Without a disk there is nothing to execute.
    CpuState state = reset_cpu(index);
    state.halted = 1;
    return state;
  }

  void add_sections(std::vector<std::unique_ptr<DeviceSection>>& sections) override {
    sections.push_back(system_control_.section());
    sections.push_back(serial_.section());
  }

  void serial_input(std::span<const std::uint8_t> bytes) override { serial_.receive(bytes); }
  void serial_line_ready() override { serial_.line_ready(); }

 private:
  const std::string disk_;
  Serial serial_;
  SystemControlPort system_control_;
  ResetControlPort reset_control_;
};

}  // namespace

std::unique_ptr<Board> make_pc_board(const MachineConfig& config, BoardParts parts) {
  return std::make_unique<PcBoard>(config, std::move(parts));
}

}  // namespace godwit::vm

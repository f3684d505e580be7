// Machine `none`: RAM from address 0 on, and nothing else.
#include "vm/board/board.h"

namespace godwit::vm {
namespace {

class NoneBoard final : public Board {
 public:
  using Board::Board;
  Result<> reset() override { return {}; }
  CpuState initial_cpu(unsigned index) const override { return reset_cpu(index); }
  void add_sections(std::vector<std::unique_ptr<DeviceSection>>&) override {}
};

}  // namespace

std::unique_ptr<Board> make_none_board(const MachineConfig&, BoardParts parts) {
  std::vector<RamSlot> slots;
  if (parts.ram_size != 0) slots.push_back({0, parts.ram_size, parts.ram, 0, 0});
  return std::make_unique<NoneBoard>(MemoryMap(std::move(slots)), std::move(parts.mark_written));
}

std::unique_ptr<Board> make_board(const MachineConfig& config, BoardParts parts) {
  switch (config.kind) {
    case MachineKind::none:
      return make_none_board(config, std::move(parts));
    case MachineKind::microvm:
      return make_microvm_board(config, std::move(parts));
    case MachineKind::pc:
      break;
  }
  return make_pc_board(config, std::move(parts));
}

}  // namespace godwit::vm

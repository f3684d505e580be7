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

}  // namespace godwit::vm

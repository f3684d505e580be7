// The section `i8259`, field by field.
#include "vm/devices/pic_state.h"

namespace godwit::vm {

std::unique_ptr<DeviceSection> make_pic_section(PicState& state, std::uint32_t instance, SectionHooks hooks) {
  using State = PicState;
  static const auto flag = in_range(0, 1);
  static const auto table =
      FieldTable<State>("i8259", {.version = 1})
          .field("last_irr", &State::last_requested)
          .field("irr", &State::requested)
          .field("imr", &State::mask)
          .field("isr", &State::in_service)
          .field("priority_add", &State::priority_add, in_range(0, 7))
          .field("irq_base", &State::vector_base,
                 satisfying<std::uint8_t>("a multiple of 8", [](auto base) { return base % 8 == 0; }))
          .field("read_reg_select", &State::read_in_service, flag)
          .field("poll", &State::poll, flag)
          .field("special_mask", &State::special_mask, flag)
          .field("init_state", &State::init_state, in_range(0, 3))
          .field("auto_eoi", &State::auto_end, flag)
          .field("rotate_on_auto_eoi", &State::rotate_on_auto_end, flag)
          .field("special_fully_nested_mode", &State::special_fully_nested, flag)
          .field("init4", &State::init_word_4, flag)
          .field("single_mode", &State::single_mode, in_range(0, 2))  // the bit as it is in the word, or 1
          .field("elcr", &State::level_triggered)
          .pre_load([](State& loaded) { loaded = State(); });
  return make_section("i8259", instance, table, state, std::move(hooks));
}

}  // namespace godwit::vm

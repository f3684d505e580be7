#include "vm/accel/unicorn/unicorn_state.h"

#include <array>
#include <cstring>
#include <x86intrin.h>

#include "base/fail.h"
#include "vm/accel/unicorn/page_walk.h"
#include "vm/accel/unicorn/system_instructions.h"

namespace godwit::vm {
namespace {

constexpr int general_registers[register_count] = {
    UC_X86_REG_RAX, UC_X86_REG_RCX, UC_X86_REG_RDX, UC_X86_REG_RBX, UC_X86_REG_RSP, UC_X86_REG_RBP,
    UC_X86_REG_RSI, UC_X86_REG_RDI, UC_X86_REG_R8,  UC_X86_REG_R9,  UC_X86_REG_R10, UC_X86_REG_R11,
    UC_X86_REG_R12, UC_X86_REG_R13, UC_X86_REG_R14, UC_X86_REG_R15};
constexpr int narrow_registers[8] = {UC_X86_REG_EAX, UC_X86_REG_ECX, UC_X86_REG_EDX, UC_X86_REG_EBX,
                                     UC_X86_REG_ESP, UC_X86_REG_EBP, UC_X86_REG_ESI, UC_X86_REG_EDI};
constexpr int segment_registers[6] = {UC_X86_REG_ES, UC_X86_REG_CS, UC_X86_REG_SS,
                                      UC_X86_REG_DS, UC_X86_REG_FS, UC_X86_REG_GS};

struct MsrMember {
  std::uint32_t index;
  std::uint64_t CpuState::* member;
};
constexpr MsrMember msrs[] = {{0x175, &CpuState::sysenter_esp}, {0x176, &CpuState::sysenter_eip},
                              {0x277, &CpuState::pat},          {0xc0000081, &CpuState::star},
                              {0xc0000082, &CpuState::lstar},   {0xc0000083, &CpuState::cstar},
                              {0xc0000084, &CpuState::fmask},   {0xc0000102, &CpuState::kernel_gs_base},
                              {0xc0000103, &CpuState::tsc_aux}};

struct Extended {
  std::array<std::byte, 10> bytes{};
};

// ---- into the engine

void write_table(UnicornEngine& engine, int id, const Segment& table) {
  engine.write(id,
               uc_x86_mmr{static_cast<std::uint16_t>(table.selector), table.base, table.limit, table.flags});
}

/// With paging off, through descriptors of our own.
Result<> load_segments(UnicornEngine& engine, const CpuState& state) {
  const auto table = engine.descriptor_table();
  engine.write(UC_X86_REG_GDTR, uc_x86_mmr{0, UnicornEngine::descriptor_table_address, 0xffff, 0});
  for (const SegmentIndex index : {ss, cs, ds, es, fs, gs}) {
    const Segment& segment = state.segments[index];
    if (segment.selector & 4)
      return fail("Unicorn cannot load the segment {:#x}, which is in a local descriptor table",
                  segment.selector);
    const std::size_t at = segment.selector & 0xfff8;
    const std::uint64_t descriptor = descriptor_of_segment(segment);
    if (at != 0) std::memcpy(table.data() + at, &descriptor, sizeof descriptor);
    // In 64-bit code the null selector is one like others; outside it cannot be loaded into cs and ss.
    if (at != 0 || (index != cs && index != ss))
      engine.write(segment_registers[index], static_cast<std::uint16_t>(segment.selector));
  }
  return {};
}

void load_fpu(UnicornEngine& engine, const CpuState& state) {
  engine.write(UC_X86_REG_FPCW, state.fpu_control);
  engine.write(UC_X86_REG_FPSW, state.fpu_status);  // before st(i), which counts from its TOP
  std::uint16_t tags = 0;
  for (unsigned i = 0; i < 8; ++i)
    if (!(state.fpu_tags >> i & 1)) tags = static_cast<std::uint16_t>(tags | 3u << (2 * i));
  engine.write(UC_X86_REG_FPTAG, tags);
  for (int i = 0; i < 8; ++i) {
    const FpuRegister& from = state.fpu[static_cast<std::size_t>(i)];
    Extended value;
    std::memcpy(value.bytes.data(), &from.mantissa, 8);
    std::memcpy(value.bytes.data() + 8, &from.exponent, 2);
    engine.write(UC_X86_REG_ST0 + i, value);
  }
  engine.write(UC_X86_REG_MXCSR, state.mxcsr);
}

struct VectorValue {
  VectorHalf low, high;
};

void load_vectors(UnicornEngine& engine, const CpuState& state) {
  const int count = engine.mode() == EngineMode::wide ? 16 : 8;
  for (int i = 0; i < count; ++i) {
    const auto at = static_cast<std::size_t>(i);
    engine.write(UC_X86_REG_YMM0 + i, VectorValue{state.xmm[at], state.ymm_high[at]});
  }
}

// ---- out of it

std::uint64_t descriptor_at(const CpuState& state, const MemoryMap& memory, std::uint16_t selector) {
  std::array<std::byte, 8> raw{};
  std::uint64_t descriptor = 0;
  if ((selector | 7u) <= state.gdt.limit && !(selector & 4) &&
      read_linear(state, memory, state.gdt.base + (selector & 0xfff8), raw))
    std::memcpy(&descriptor, raw.data(), sizeof descriptor);
  return descriptor;
}

void read_segments(const UnicornEngine& engine, const MemoryMap& memory, CpuState& state) {
  for (std::size_t i = 0; i < state.segments.size(); ++i) {
    Segment& segment = state.segments[i];
    const auto selector = engine.read<std::uint16_t>(segment_registers[i]);
    if (selector == segment.selector) continue;
    if (!(state.cr0 & cr0_bit::protection)) {
      segment.selector = selector;
      segment.base = std::uint64_t{selector} << 4;
    } else {
      segment = segment_of_descriptor(selector, selector < 4 ? 0 : descriptor_at(state, memory, selector));
    }
  }
  if (engine.mode() == EngineMode::wide) {
    state.segments[fs].base = engine.read<std::uint64_t>(UC_X86_REG_FS_BASE);
    state.segments[gs].base = engine.read<std::uint64_t>(UC_X86_REG_GS_BASE);
  }
}

void read_table(const UnicornEngine& engine, int id, Segment& table, bool has_selector) {
  const auto value = engine.read<uc_x86_mmr>(id);
  table.base = value.base;
  table.limit = value.limit;
  if (has_selector && value.selector != table.selector) {
    table.selector = value.selector;
    table.flags = value.flags & 0x00f0ff00;
  }
}

void read_fpu(const UnicornEngine& engine, CpuState& state) {
  state.fpu_control = engine.read<std::uint16_t>(UC_X86_REG_FPCW);
  state.fpu_status = engine.read<std::uint16_t>(UC_X86_REG_FPSW);
  const auto tags = engine.read<std::uint16_t>(UC_X86_REG_FPTAG);
  state.fpu_tags = 0;
  for (unsigned i = 0; i < 8; ++i)
    if ((tags >> (2 * i) & 3) != 3) state.fpu_tags = static_cast<std::uint16_t>(state.fpu_tags | 1u << i);
  for (int i = 0; i < 8; ++i) {
    const auto value = engine.read<Extended>(UC_X86_REG_ST0 + i);
    FpuRegister& to = state.fpu[static_cast<std::size_t>(i)];
    std::memcpy(&to.mantissa, value.bytes.data(), 8);
    std::memcpy(&to.exponent, value.bytes.data() + 8, 2);
  }
  state.mxcsr = engine.read<std::uint32_t>(UC_X86_REG_MXCSR);
}

void read_vectors(const UnicornEngine& engine, CpuState& state) {
  const int count = engine.mode() == EngineMode::wide ? 16 : 8;
  for (int i = 0; i < count; ++i) {
    const auto value = engine.read<VectorValue>(UC_X86_REG_YMM0 + i);
    state.xmm[static_cast<std::size_t>(i)] = value.low;
    state.ymm_high[static_cast<std::size_t>(i)] = value.high;
  }
  // Whatever the guest left there has to be loaded by a destination that goes by this word.
  constexpr std::uint64_t x87 = 1, sse = 2, avx = 4;
  state.xstate_bv = x87 | sse | (state.xcr0 & avx);
}

}  // namespace

EngineMode engine_mode_of(const CpuState& state) {
  if (state.efer & efer_bit::long_mode_active) return EngineMode::wide;
  const bool is_protected = (state.cr0 & cr0_bit::protection) != 0;
  return is_protected && (state.segments[cs].flags & segment_flag::wide) ? EngineMode::protected_32
                                                                         : EngineMode::real;
}

Result<> load_state(UnicornEngine& engine, const CpuState& state) {
  const bool is_wide = engine.mode() == EngineMode::wide;
  if (!(state.cr0 & cr0_bit::protection)) {
    engine.write(UC_X86_REG_CR0, state.cr0 & 0xffffffff);
    for (std::size_t i = 0; i < state.segments.size(); ++i)
      engine.write(segment_registers[i], static_cast<std::uint16_t>(state.segments[i].selector));
  } else {
    engine.write(UC_X86_REG_CR0, cr0_bit::protection | cr0_bit::extension_type);
    GODWIT_TRY(load_segments(engine, state));
  }
  write_table(engine, UC_X86_REG_GDTR, state.gdt);
  write_table(engine, UC_X86_REG_IDTR, state.idt);
  write_table(engine, UC_X86_REG_LDTR, state.ldt);
  write_table(engine, UC_X86_REG_TR, state.tr);
  if (is_wide) {
    engine.write(UC_X86_REG_FS_BASE, state.segments[fs].base);
    engine.write(UC_X86_REG_GS_BASE, state.segments[gs].base);
  }
  for (const MsrMember& msr : msrs) engine.write_msr(msr.index, state.*msr.member);
  engine.write_msr(0x174, state.sysenter_cs);
  load_fpu(engine, state);
  load_vectors(engine, state);

  engine.write(UC_X86_REG_CR4, state.cr4);
  engine.write(UC_X86_REG_CR3, state.cr3);
  engine.write(UC_X86_REG_CR2, state.cr2);
  engine.write(UC_X86_REG_CR0, state.cr0);
  if (is_wide) {
    for (unsigned i = 0; i < register_count; ++i) engine.write(general_registers[i], state.registers[i]);
    engine.write(UC_X86_REG_RIP, state.rip);
  } else {
    for (unsigned i = 0; i < 8; ++i)
      engine.write(narrow_registers[i], static_cast<std::uint32_t>(state.registers[i]));
    engine.write(UC_X86_REG_EIP, static_cast<std::uint32_t>(state.rip));
  }
  engine.write(UC_X86_REG_EFLAGS, static_cast<std::uint32_t>(state.rflags));
  return {};
}

void move_to(UnicornEngine& engine, const CpuState& state) {
  switch (engine.mode()) {
    case EngineMode::wide:
      engine.write(UC_X86_REG_RSP, state.registers[rsp]);
      engine.write(UC_X86_REG_RIP, state.rip);
      break;
    case EngineMode::protected_32:
    case EngineMode::real:
      engine.write(UC_X86_REG_ESP, static_cast<std::uint32_t>(state.registers[rsp]));
      engine.write(UC_X86_REG_EIP, static_cast<std::uint32_t>(state.rip));
      break;
  }
  engine.write(UC_X86_REG_EFLAGS, static_cast<std::uint32_t>(state.rflags));
}

Result<StateReader> StateReader::create() {
  StateReader reader;
  uc_engine* engine = nullptr;
  if (const uc_err error = uc_open(UC_ARCH_X86, UC_MODE_64, &engine); error != UC_ERR_OK)
    return fail("Unicorn: cannot open an engine: {}", uc_strerror(error));
  reader.wide_.reset(engine);
  uc_context* context = nullptr;
  if (const uc_err error = uc_context_alloc(engine, &context); error != UC_ERR_OK)
    return fail("Unicorn: cannot make a context: {}", uc_strerror(error));
  reader.context_.reset(context);
  return reader;
}

Result<> StateReader::read(const UnicornEngine& engine, const MemoryMap& memory, CpuState& state) {
  if (const uc_err error = uc_context_save(engine.get(), context_.get()); error != UC_ERR_OK)
    return fail("Unicorn: cannot save the registers: {}", uc_strerror(error));
  for (unsigned i = 0; i < register_count; ++i)
    uc_context_reg_read(context_.get(), general_registers[i], &state.registers[i]);
  uc_context_reg_read(context_.get(), UC_X86_REG_RIP, &state.rip);
  state.rflags = engine.read<std::uint32_t>(UC_X86_REG_EFLAGS) | 2;
  state.cr0 = engine.read<std::uint64_t>(UC_X86_REG_CR0);
  state.cr2 = engine.read<std::uint64_t>(UC_X86_REG_CR2);
  state.cr3 = engine.read<std::uint64_t>(UC_X86_REG_CR3);
  state.cr4 = engine.read<std::uint64_t>(UC_X86_REG_CR4);
  read_table(engine, UC_X86_REG_GDTR, state.gdt, false);
  read_table(engine, UC_X86_REG_IDTR, state.idt, false);
  read_table(engine, UC_X86_REG_LDTR, state.ldt, true);
  read_table(engine, UC_X86_REG_TR, state.tr, true);
  read_segments(engine, memory, state);
  for (const MsrMember& msr : msrs) state.*msr.member = engine.read_msr(msr.index);
  state.sysenter_cs = static_cast<std::uint32_t>(engine.read_msr(0x174));
  read_fpu(engine, state);
  read_vectors(engine, state);
  state.tsc = __rdtsc();  // the guest's RDTSC gives the host's
  state.hflags = derive_hflags(state);
  state.hflags2 = derive_hflags2(state);
  return {};
}

}  // namespace godwit::vm

// Every device of the recorded microvm streams through our tables: loaded to its last byte, saved to the same
// bytes, with the same description. And fields outside their range.
#include <algorithm>
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <string>

#include "vm/accel/apic_coupling.h"
#include "vm/accel/cpu_section.h"
#include "vm/devices/apic_state.h"
#include "vm/devices/fw_cfg_state.h"
#include "vm/devices/ioapic_state.h"
#include "vm/devices/kvmclock_state.h"
#include "vm/devices/pic_state.h"
#include "vm/devices/pit_state.h"
#include "vm/devices/rtc_state.h"
#include "vm/devices/serial.h"
#include "vm/devices/tpr_opt_state.h"
#include "wire/test_stream.h"

namespace godwit::vm {
namespace {

using ::testing::HasSubstr;
using wire::test::golden;

/// One of each device, and its sections.
struct Devices {
  CpuState cpu;
  ApicState apic;
  IoapicState ioapic;
  std::array<PicState, 2> pics;
  PitState pit;
  RtcState rtc;
  FwCfgState fw_cfg;
  KvmclockState kvmclock;
  TprOptState tpr_opt;
  Serial serial{{}};

  std::unique_ptr<DeviceSection> section(std::string_view name, std::uint32_t instance) {
    if (name == "cpu_common") return make_section("cpu_common", instance, cpu_common_table(), cpu);
    if (name == "cpu") return make_section("cpu", instance, cpu_table(), cpu);
    if (name == "apic") return make_apic_section(apic, instance);
    if (name == "ioapic") return make_ioapic_section(ioapic, instance);
    if (name == "i8259") return make_pic_section(pics[instance % 2], instance);
    if (name == "i8254") return make_pit_section(pit);
    if (name == "mc146818rtc") return make_rtc_section(rtc);
    if (name == "fw_cfg") return make_fw_cfg_section(fw_cfg);
    if (name == "kvmclock") return make_kvmclock_section(kvmclock);
    if (name == "kvm-tpr-opt") return make_tpr_opt_section(tpr_opt);
    if (name == "serial") return serial.section(instance);
    return nullptr;
  }
};

class Resaver final : public wire::test::Recoder {
 public:
  using Recoder::Recoder;
  Devices devices;
  std::map<std::string, int> seen;
  std::function<void(Devices&, std::string_view name, std::uint32_t instance)> look;

  Result<> on_section_data(wire::RecordType type, const wire::SectionHeader& header, Input& in) override {
    const auto section = devices.section(header.name, header.instance);
    if (!section) return Recoder::on_section_data(type, header, in);
    EXPECT_EQ(section->identity().version, header.version);
    GODWIT_TRY(section->load(in, header.version));
    if (look) look(devices, header.name, header.instance);
    if (header.name == "cpu") from_translator = is_from_translator(devices.cpu);
    std::string state;
    GODWIT_TRY(section->save(out, state));
    wire::DescriptionWriter writer;
    writer.add_device(header.name, header.instance, state);
    std::string whole = std::move(writer).finish();
    const std::size_t begin = whole.find("{\"name\"");
    descriptions.push_back(whole.substr(begin, whole.rfind(']') - begin));
    ++seen[header.name];
    return {};
  }
  std::vector<std::string> descriptions;
  bool from_translator = false;  ///< the last vCPU
};

class Sample : public testing::TestWithParam<const char*> {};

TEST_P(Sample, EverySectionIsSavedAsItCame) {
  const auto stream = golden("microvm/" + std::string(GetParam()) + ".mig");
  const auto json = wire::test::description_of(stream);
  Resaver resaver(wire::parse_description(json).value());
  SpanInput in(stream);
  const auto walked = wire::StreamWalker(in, resaver).run();
  ASSERT_TRUE(walked) << walked.error().what();
  EXPECT_TRUE(std::ranges::equal(resaver.out.data(), stream));
  EXPECT_GE(resaver.seen.size(), 7u);
  EXPECT_EQ(resaver.from_translator, std::string_view(GetParam()).starts_with("tcg"));
  for (const std::string& description : resaver.descriptions)
    EXPECT_THAT(std::string(json), HasSubstr(description));
}

INSTANTIATE_TEST_SUITE_P(Streams, Sample,
                         testing::Values("kvm-blk-live", "kvm-min32", "kvm-min64t", "kvm-pic-pit-rtc",
                                         "kvm-smp2", "kvm-useful", "tcg-acpi", "tcg-blk", "tcg-blk-live",
                                         "tcg-blk-live-modern", "tcg-blk-modern", "tcg-min32", "tcg-min32t",
                                         "tcg-min64", "tcg-min64t", "tcg-net", "tcg-net-modern",
                                         "tcg-pic-pit-rtc", "tcg-rng", "tcg-serial", "tcg-smp2",
                                         "tcg-useful"),
                         [](const auto& instance) {
                           std::string name = instance.param;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

TEST(Samples, SayWhatTheGuestDid) {
  const auto stream = golden("microvm/tcg-smp2.mig");
  Resaver resaver(wire::parse_description(wire::test::description_of(stream)).value());
  int waiting = 0;
  resaver.look = [&](Devices& devices, std::string_view name, std::uint32_t instance) {
    if (name != "apic") return;
    const ApicState& apic = devices.apic;
    EXPECT_EQ(apic.id, instance);
    EXPECT_EQ(apic.base, instance == 0 ? 0xfee00900u : 0xfee00800u);
    waiting += apic.wait_for_sipi;
    if (instance != 0) return;
    EXPECT_EQ(apic.lvt[ApicState::timer], 0x20040u);
    EXPECT_EQ(apic.initial_count, 10000000u);
    EXPECT_EQ(apic.count_shift, apic_count_shift(apic.divide_configuration));
    EXPECT_EQ(apic_period_ns(apic), 10000001);
  };
  SpanInput in(stream);
  ASSERT_TRUE(wire::StreamWalker(in, resaver).run());
  EXPECT_EQ(waiting, 1);
}

/// Loads a section whose byte at `offset` is `value`; the error, or "loaded".
std::string load_with(std::string_view name, std::size_t offset, std::uint8_t value) {
  Devices devices;
  devices.fw_cfg.acpi = {};
  const auto section = devices.section(name, 0);
  Output out;
  std::string description;
  EXPECT_TRUE(section->save(out, description));
  std::vector<std::byte> bytes(out.data().begin(), out.data().end());
  bytes.at(offset) = static_cast<std::byte>(value);
  SpanInput in(bytes);
  const auto loaded = section->load(in, section->identity().version);
  return loaded ? "loaded" : loaded.error().what();
}

TEST(Ranges, AreStatedByEachField) {
  EXPECT_EQ(load_with("apic", 4, 7), "loaded");
  EXPECT_THAT(load_with("apic", 12, 16), HasSubstr("dest_mode"));
  EXPECT_THAT(load_with("apic", 152, 8), HasSubstr("count_shift"));
  EXPECT_THAT(load_with("apic", 173, 0x80), HasSubstr("timer_expiry"));
  EXPECT_THAT(load_with("ioapic", 0, 16), HasSubstr("id"));
  EXPECT_THAT(load_with("ioapic", 10, 1), HasSubstr("irr"));
  EXPECT_THAT(load_with("i8259", 4, 8), HasSubstr("priority_add"));
  EXPECT_THAT(load_with("i8259", 5, 9), HasSubstr("irq_base"));
  EXPECT_THAT(load_with("i8259", 9, 4), HasSubstr("init_state"));
  EXPECT_THAT(load_with("i8254", 3, 2), HasSubstr("irq_disabled"));
  EXPECT_THAT(load_with("i8254", 5, 0), HasSubstr("count"));
  EXPECT_THAT(load_with("i8254", 13, 5), HasSubstr("read_state"));
  EXPECT_THAT(load_with("i8254", 17, 8), HasSubstr("mode"));
  EXPECT_THAT(load_with("mc146818rtc", 128, 0x80), HasSubstr("cmos_index"));
  EXPECT_THAT(load_with("kvm-tpr-opt", 127, 1), HasSubstr("state"));
}

TEST(Ranges, UnknownSubsectionsAreRefusedByName) {
  Devices devices;
  const auto section = devices.section("apic", 0);
  Output out;
  std::string description;
  ASSERT_TRUE(section->save(out, description));
  out.u8(5);
  out.counted_text("apic/future");
  out.be32(1);
  SpanInput in(out.data());
  const auto loaded = section->load(in, 3);
  // Without a name that it knows, the bytes are not the section's: the stream's reader refuses them.
  ASSERT_TRUE(loaded ? !*in.at_end() : loaded.error().what().find("apic/future") != std::string::npos);
}

TEST(ApicReset, OnlyTheFirstIsTheBootProcessor) {
  EXPECT_EQ(reset_apic(0).base, 0xfee00900u);
  EXPECT_EQ(reset_apic(0).wait_for_sipi, 0);
  EXPECT_EQ(reset_apic(1).base, 0xfee00800u);
  EXPECT_EQ(reset_apic(1).wait_for_sipi, 1);
}

TEST(ApicTimer, DividesAsTheRegisterSays) {
  // 0b1011: by 1, 0b0000: by 2, 0b1010: by 128
  EXPECT_EQ(apic_count_shift(0xb), 0);
  EXPECT_EQ(apic_count_shift(0x0), 1);
  EXPECT_EQ(apic_count_shift(0x3), 4);
  EXPECT_EQ(apic_count_shift(0xa), 7);
}

TEST(PitOutput, ASquareWaveChangesTwiceInAPeriod) {
  PitChannel channel{.count = 1193, .mode = 3, .count_load_time = 1000};
  EXPECT_TRUE(pit_output(channel, 1000));
  const std::int64_t first = pit_next_transition(channel, 1000);
  EXPECT_NEAR(static_cast<double>(first), 1000 + 597 * 1e9 / 1193182, 1000);
  EXPECT_FALSE(pit_output(channel, first + 1000));
  const std::int64_t second = pit_next_transition(channel, first + 1000);
  EXPECT_NEAR(static_cast<double>(second), 1000 + 1193 * 1e9 / 1193182, 1000);
}

TEST(PitOutput, OneShotsChangeOnce) {
  PitChannel channel{.count = 100, .mode = 0, .count_load_time = 0};
  EXPECT_FALSE(pit_output(channel, 0));
  EXPECT_GT(pit_next_transition(channel, 0), 0);
  EXPECT_EQ(pit_next_transition(channel, 1'000'000), PitChannel::no_transition);
  EXPECT_TRUE(pit_output(channel, 1'000'000));
}

}  // namespace
}  // namespace godwit::vm

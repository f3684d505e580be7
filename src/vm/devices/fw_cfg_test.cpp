#include "vm/devices/fw_cfg.h"

#include <cstring>
#include <gtest/gtest.h>

namespace godwit::vm {
namespace {

/// Guest memory from address 0 on.
class Memory final : public Bus {
 public:
  std::uint32_t read_port(std::uint16_t, unsigned) override { return 0; }
  void write_port(std::uint16_t, unsigned, std::uint32_t) override {}
  void read_memory(std::uint64_t address, std::span<std::byte> into) override {
    for (std::size_t i = 0; i < into.size(); ++i) into[i] = bytes.at(address + i);
  }
  void write_memory(std::uint64_t address, std::span<const std::byte> from) override {
    for (std::size_t i = 0; i < from.size(); ++i) bytes.at(address + i) = from[i];
  }
  std::vector<std::byte> bytes = std::vector<std::byte>(0x10000, std::byte{0xee});
};

class FwCfgTest : public ::testing::Test {
 protected:
  FwCfgTest() {
    fw_cfg_.add_number(5, std::uint16_t{2});
    fw_cfg_.add_file("bootorder", {});
    fw_cfg_.add_file("etc/e820", {1, 2, 3});
  }
  std::string item(std::uint16_t key, std::size_t count) {
    fw_cfg_.write_wide(0, 2, key);
    std::string text;
    for (std::size_t i = 0; i < count; ++i) text.push_back(static_cast<char>(fw_cfg_.read(1)));
    return text;
  }
  /// What the request's control word is afterwards.
  std::uint32_t transfer(std::uint32_t control, std::uint32_t length, std::uint64_t address) {
    Output request;
    request.be32(control);
    request.be32(length);
    request.be64(address);
    memory_.write_memory(0x100, request.data());
    fw_cfg_.write_wide(4, 4, 0);
    fw_cfg_.write_wide(8, 4, 0x00010000);  // 0x100, big-endian
    SpanInput in(std::span(memory_.bytes).subspan(0x100, 4));
    return *in.be32();
  }

  Memory memory_;
  FwCfg fw_cfg_{memory_};
};

TEST_F(FwCfgTest, SaysWhatItIs) {
  EXPECT_EQ(item(0, 6), std::string("QEMU\0\0", 6));
  EXPECT_EQ(item(1, 1), "\x03");
  EXPECT_EQ(item(5, 2), std::string("\2\0", 2));
  EXPECT_EQ(item(0x1234, 2), std::string("\0\0", 2));
  EXPECT_EQ(fw_cfg_.read_wide(4, 4), 0x554d4551u);
  EXPECT_EQ(fw_cfg_.read_wide(8, 4), 0x47464320u);
}

TEST_F(FwCfgTest, ListsItsFiles) {
  const std::string directory = item(0x19, 4 + 2 * 64);
  EXPECT_EQ(directory.substr(0, 4), std::string("\0\0\0\2", 4));
  EXPECT_EQ(directory.substr(4 + 64, 8), std::string("\0\0\0\3\0\x21\0\0", 8));
  EXPECT_EQ(directory.substr(4 + 64 + 8, 9), std::string("etc/e820\0", 9));
  EXPECT_EQ(item(0x21, 3), "\1\2\3");
}

TEST_F(FwCfgTest, GivesAnItemByDma) {
  EXPECT_EQ(transfer(0x21u << 16 | 0x08 | 0x02, 5, 0x200), 0u);
  EXPECT_EQ(std::memcmp(memory_.bytes.data() + 0x200, "\1\2\3\0\0\xee", 6), 0);
  EXPECT_EQ(transfer(0x21u << 16 | 0x08 | 0x04, 2, 0), 0u) << "skip";
  EXPECT_EQ(fw_cfg_.read(1), 3);
  EXPECT_EQ(transfer(0x21u << 16 | 0x08 | 0x10, 2, 0x200), 1u) << "nothing can be written";
}

TEST_F(FwCfgTest, ALengthOfTheGuestsIsNotBelieved) {
  memory_.bytes.resize(1 << 20);
  EXPECT_EQ(transfer(0x21u << 16 | 0x08 | 0x02, 0xffffffff, 0x1000), 0u);
}

TEST_F(FwCfgTest, GoesOnWhereItWas) {
  item(0x21, 1);
  Output out;
  std::string description;
  ASSERT_TRUE(fw_cfg_.section()->save(out, description));
  EXPECT_EQ(out.size(), 30u);
  FwCfg other(memory_);
  other.add_file("bootorder", {});
  other.add_file("etc/e820", {1, 2, 3});
  SpanInput in(out.data());
  ASSERT_TRUE(other.section()->load(in, 2));
  EXPECT_EQ(other.read(1), 2);
}

TEST_F(FwCfgTest, ReadsNothingWhereALoadedOffsetPointsOutside) {
  Output out;
  out.be16(5);
  out.be32(0xffffffff);
  SpanInput in(out.data());
  ASSERT_TRUE(fw_cfg_.section()->load(in, 2));
  EXPECT_EQ(fw_cfg_.read(1), 0);
  EXPECT_EQ(transfer(2, 4, 0x200), 0u);  // what is left of the item, which is nothing
  EXPECT_EQ(memory_.bytes[0x200], std::byte{0});
}

TEST_F(FwCfgTest, RefusesAcpiTables) {
  FwCfgState with_tables;
  with_tables.acpi = {0x20000, 0x1000, 0x1000};
  Output out;
  std::string description;
  ASSERT_TRUE(make_fw_cfg_section(with_tables)->save(out, description));
  SpanInput in(out.data());
  const auto loaded = fw_cfg_.section()->load(in, 2);
  ASSERT_FALSE(loaded);
  EXPECT_NE(loaded.error().what().find("acpi=on"), std::string::npos);
}

}  // namespace
}  // namespace godwit::vm

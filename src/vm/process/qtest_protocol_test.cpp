#include "vm/process/qtest_protocol.h"

#include <gmock/gmock.h>
#include <map>
#include <vector>

namespace godwit::vm {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

/// 64 KiB of memory from address 0; what is beyond reads as all ones. Ports remember what was written.
class FakeBus final : public QtestBus {
 public:
  void read_memory(std::uint64_t address, std::span<std::byte> into) override {
    for (std::size_t i = 0; i < into.size(); ++i)
      into[i] = address + i < memory.size() ? memory[address + i] : std::byte{0xff};
    ++reads;
  }
  void write_memory(std::uint64_t address, std::span<const std::byte> from) override {
    for (std::size_t i = 0; i < from.size() && address + i < memory.size(); ++i)
      memory[address + i] = from[i];
  }
  std::uint32_t read_port(std::uint16_t port, unsigned size) override {
    const auto found = ports.find({port, size});
    return found == ports.end() ? static_cast<std::uint32_t>((std::uint64_t{1} << (8 * size)) - 1)
                                : found->second;
  }
  void write_port(std::uint16_t port, unsigned size, std::uint32_t value) override {
    ports[{port, size}] = value;
  }

  std::vector<std::byte> memory = std::vector<std::byte>(65536);
  std::map<std::pair<std::uint16_t, unsigned>, std::uint32_t> ports;
  int reads = 0;
};

class Qtest : public testing::Test {
 protected:
  std::string ask(std::string_view line) {
    answers_.clear();
    protocol_.receive(std::string(line) + "\n");
    return answers_;
  }

  FakeBus bus_;
  std::string answers_;
  bool listening_ = true;
  QtestProtocol protocol_{bus_, [this](std::string_view piece) {
                            answers_ += piece;
                            return listening_;
                          }};
};

TEST_F(Qtest, TellsTheByteOrder) {
  EXPECT_EQ(ask("endianness"), "OK little\n");
}

TEST_F(Qtest, ReadsAndWritesValuesOfEverySize) {
  EXPECT_EQ(ask("writeq 0x1000 0x1122334455667788"), "OK\n");
  EXPECT_EQ(ask("readq 0x1000"), "OK 0x1122334455667788\n");
  EXPECT_EQ(ask("readl 0x1000"), "OK 0x0000000055667788\n");
  EXPECT_EQ(ask("readw 0x1002"), "OK 0x0000000000005566\n");
  EXPECT_EQ(ask("readb 0x1007"), "OK 0x0000000000000011\n");
  EXPECT_EQ(ask("writeb 0x1000 0x1ff"), "OK\n");
  EXPECT_EQ(ask("writew 4098 43690"), "OK\n");
  EXPECT_EQ(ask("writel 0x1004 0x1"), "OK\n");
  EXPECT_EQ(ask("readq 4096"), "OK 0x00000001aaaa77ff\n");
}

TEST_F(Qtest, ReadsAndWritesBlocksInMemoryOrder) {
  EXPECT_EQ(ask("write 0x1000 0x4 0xaABBccdd"), "OK\n");
  EXPECT_EQ(ask("read 0x1000 0x6"), "OK 0xaabbccdd0000\n");
  EXPECT_EQ(ask("write 0x1000 0x2 11223344"), "OK\n");
  EXPECT_EQ(ask("read 4096 4"), "OK 0x1122ccdd\n");
  EXPECT_EQ(ask("write 0x1000 0x4 0x99"), "OK\n");
  EXPECT_EQ(ask("read 0x1000 0x4"), "OK 0x99000000\n");
  EXPECT_EQ(ask("read 0x1000 0x0"), "OK 0x\n");
}

TEST_F(Qtest, ReadsLongBlocksInPieces) {
  for (std::size_t i = 0; i < bus_.memory.size(); ++i) bus_.memory[i] = static_cast<std::byte>(i * 7);
  const std::string answer = ask("read 0x0 0x18000");
  ASSERT_EQ(answer.size(), 5 + 2 * 0x18000 + 1);
  EXPECT_THAT(answer, StartsWith("OK 0x00070e15"));
  EXPECT_EQ(answer.substr(5 + 2 * 0x10000, 4), "ffff");
  EXPECT_EQ(answer.back(), '\n');
  EXPECT_GT(bus_.reads, 1);
}

TEST_F(Qtest, StopsReadingWhenTheClientIsGone) {
  listening_ = false;
  ask("read 0x0 0x100000");
  EXPECT_EQ(bus_.reads, 1);
}

TEST_F(Qtest, ReadsAndWritesPorts) {
  EXPECT_EQ(ask("outb 0x80 0x1ff"), "OK\n");
  EXPECT_EQ(bus_.ports.at({0x80, 1}), 0xffu);
  EXPECT_EQ(ask("outw 0x81 0x1ffff"), "OK\n");
  EXPECT_EQ(bus_.ports.at({0x81, 2}), 0xffffu);
  EXPECT_EQ(ask("outl 0x84 0xffffffff"), "OK\n");
  EXPECT_EQ(ask("inb 0x80"), "OK 0x00ff\n");
  EXPECT_EQ(ask("inl 0x84"), "OK 0xffffffff\n");
  EXPECT_EQ(ask("inw 0x999"), "OK 0xffff\n");
}

TEST_F(Qtest, AnswersEveryMistake) {
  EXPECT_EQ(ask("bogus a b"), "FAIL Unknown command 'bogus'\n");
  EXPECT_EQ(ask("clock_step"), "FAIL Unknown command 'clock_step'\n");
  EXPECT_EQ(ask("inq 0x80"), "FAIL Unknown command 'inq'\n");
  EXPECT_EQ(ask("b"), "FAIL Unknown command 'b'\n");
  EXPECT_EQ(ask("read"), "FAIL 'read' lacks a number\n");
  EXPECT_EQ(ask("readb zz"), "FAIL 'readb': 'zz' is not a number\n");
  EXPECT_EQ(ask("writeb 0x1000"), "FAIL 'writeb' lacks a number\n");
  EXPECT_EQ(ask("readb 0x11111111111111111"), "FAIL 'readb': '0x11111111111111111' is not a number\n");
  EXPECT_EQ(ask("write 0x0 0x2 0xzz"), "FAIL 'write': the data are not hexadecimal\n");
  EXPECT_EQ(ask("read 0x0 0xffffffffffffffff"), "FAIL the length is out of range\n");
  EXPECT_EQ(ask("read 0xfffffffffffffff0 0x20"), "FAIL the length is out of range\n");
  EXPECT_EQ(ask("inb 0x10000"), "FAIL the port is out of range\n");
  EXPECT_EQ(ask("outb 0x10000 0"), "FAIL the port is out of range\n");
}

TEST_F(Qtest, IgnoresEmptyLines) {
  EXPECT_EQ(ask("\n  \n\r\nendianness\r"), "OK little\n");
}

TEST_F(Qtest, TakesRequestsInAnyCut) {
  const std::string all = "writeb 0x10 0x5a\nreadb 0x10\nendianness\n";
  for (std::size_t cut = 0; cut <= all.size(); ++cut) {
    answers_.clear();
    protocol_.receive(std::string_view(all).substr(0, cut));
    protocol_.receive(std::string_view(all).substr(cut));
    EXPECT_EQ(answers_, "OK\nOK 0x000000000000005a\nOK little\n") << cut;
  }
}

TEST_F(Qtest, SkipsARequestThatNeverEnds) {
  const std::string part(1 << 20, 'x');
  for (std::size_t sent = 0; sent <= QtestProtocol::line_limit; sent += part.size()) protocol_.receive(part);
  protocol_.receive("x\nendianness\n");
  EXPECT_EQ(answers_, "FAIL the request is too long\nOK little\n");
}

}  // namespace
}  // namespace godwit::vm

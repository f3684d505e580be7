#include "vm/devices/serial.h"

#include <gmock/gmock.h>
#include <string>

namespace godwit::vm {
namespace {

using ::testing::HasSubstr;

constexpr std::uint8_t data = 0, ier = 1, iir = 2, fcr = 2, lcr = 3, mcr = 4, lsr = 5, msr = 6, scr = 7;

class SerialTest : public ::testing::Test {
 protected:
  void type(std::string_view text) {
    serial_.receive(std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
  }
  std::string drain() {
    std::string text;
    while (serial_.read(lsr) & 1) text.push_back(static_cast<char>(serial_.read(data)));
    return text;
  }
  static Output save(Serial& serial, std::string* description = nullptr) {
    Output out;
    std::string text;
    EXPECT_TRUE(serial.section()->save(out, text));
    if (description) *description = text;
    return out;
  }
  static Result<> load(Serial& serial, const Output& from) {
    SpanInput in(from.data());
    auto done = serial.section()->load(in, 3);
    if (done) {
      EXPECT_TRUE(*in.at_end());
    }
    return done;
  }

  std::string sent_;
  bool line_ = false;
  bool has_room_ = true;
  Serial serial_{{.transmit = [this](std::uint8_t byte) { sent_.push_back(static_cast<char>(byte)); },
                  .has_room = [this] { return has_room_; }},
                 [this](bool level) { line_ = level; }};
};

TEST_F(SerialTest, SendsEachByteAtOnceWithoutPolling) {
  for (const char c : std::string("Hello")) {
    serial_.write(data, static_cast<std::uint8_t>(c));
    EXPECT_EQ(sent_.back(), c);
    EXPECT_EQ(serial_.read(lsr) & 0x60, 0x60) << "always ready for the next";
  }
  EXPECT_EQ(sent_, "Hello");
}

TEST_F(SerialTest, IsNotReadyWhileTheLineHasNoRoom) {
  has_room_ = false;
  serial_.write(data, 'a');
  EXPECT_EQ(sent_, "a");
  EXPECT_EQ(serial_.read(lsr) & 0x60, 0);
  serial_.write(data, 'b');
  EXPECT_EQ(sent_, "ab") << "a guest that does not look is served too";
  has_room_ = true;
  EXPECT_EQ(serial_.read(lsr) & 0x60, 0x60);
}

TEST_F(SerialTest, InterruptsWhenTheLineHasRoomAgain) {
  serial_.write(ier, 2);
  EXPECT_EQ(serial_.read(iir), 0x02);
  has_room_ = false;
  serial_.write(data, 'a');
  EXPECT_FALSE(line_);
  EXPECT_EQ(serial_.read(iir), 0x01);
  has_room_ = true;
  serial_.line_ready();
  EXPECT_TRUE(line_);
  EXPECT_EQ(serial_.read(iir), 0x02);
  serial_.line_ready();
  EXPECT_FALSE(line_) << "once";
}

TEST_F(SerialTest, InterruptsAGuestThatWaitedForRoomWhereItArrives) {
  serial_.write(ier, 2);
  serial_.read(iir);
  has_room_ = false;
  serial_.write(data, 'a');
  std::string sent;
  bool line = false;
  Serial other({.transmit = [&](std::uint8_t byte) { sent.push_back(static_cast<char>(byte)); }},
               [&](bool level) { line = level; });
  ASSERT_TRUE(load(other, save(serial_)));
  EXPECT_TRUE(line);
  EXPECT_EQ(other.read(lsr) & 0x60, 0x60);
  EXPECT_EQ(sent, "") << "it went out where it was written";
}

TEST_F(SerialTest, ResetValues) {
  EXPECT_EQ(serial_.read(lsr), 0x60);
  EXPECT_EQ(serial_.read(iir), 0x01);
  EXPECT_EQ(serial_.read(msr), 0xb0);
  EXPECT_EQ(serial_.read(ier), 0);
}

TEST_F(SerialTest, TheDivisorLatchHidesDataAndInterruptEnable) {
  serial_.write(lcr, 0x83);
  serial_.write(data, 0x01);
  serial_.write(ier, 0x02);
  EXPECT_EQ(serial_.read(data), 0x01);
  EXPECT_EQ(serial_.read(ier), 0x02);
  serial_.write(lcr, 0x03);
  EXPECT_EQ(sent_, "");
  EXPECT_EQ(serial_.read(ier), 0);
  serial_.write(data, 'x');
  EXPECT_EQ(sent_, "x");
}

TEST_F(SerialTest, TheScratchRegisterIsMemory) {
  serial_.write(scr, 0xa5);
  EXPECT_EQ(serial_.read(scr), 0xa5);
}

TEST_F(SerialTest, ReceivesOneByteAtATimeWithoutFifo) {
  type("ab");
  EXPECT_EQ(serial_.read(lsr) & 1, 1);
  EXPECT_EQ(serial_.read(data), 'a');
  EXPECT_EQ(serial_.read(data), 'b');
  EXPECT_EQ(serial_.read(lsr) & 1, 0);
}

TEST_F(SerialTest, ReceivesThroughTheFifoMoreThanItHolds) {
  serial_.write(fcr, 0x07);
  EXPECT_EQ(serial_.read(iir), 0xc1);
  const std::string text = "0123456789abcdefghijklmnop";
  type(text);
  EXPECT_EQ(drain(), text);
  EXPECT_EQ(serial_.read(lsr) & 2, 0) << "no overrun: the rest waited outside";
}

TEST_F(SerialTest, ClearingTheFifoDropsWhatIsInIt) {
  serial_.write(fcr, 0x01);
  type("abc");
  serial_.write(fcr, 0x03);
  EXPECT_EQ(serial_.read(lsr) & 1, 0);
}

TEST_F(SerialTest, InterruptsForReceivedData) {
  serial_.write(ier, 1);
  EXPECT_FALSE(line_);
  type("a");
  EXPECT_TRUE(line_);
  EXPECT_EQ(serial_.read(iir) & 0xf, 4);
  serial_.read(data);
  EXPECT_FALSE(line_);
  EXPECT_EQ(serial_.read(iir) & 0xf, 1);
}

TEST_F(SerialTest, ReportsATimeoutBelowTheTriggerLevel) {
  serial_.write(ier, 1);
  serial_.write(fcr, 0xc1);  // 14 bytes
  type("abc");
  EXPECT_EQ(serial_.read(iir), 0xcc);
  type("0123456789a");
  EXPECT_EQ(serial_.read(iir), 0xc4);
}

TEST_F(SerialTest, InterruptsForTheEmptyTransmitterUntilToldSo) {
  serial_.write(ier, 2);
  EXPECT_TRUE(line_);
  EXPECT_EQ(serial_.read(iir) & 0xf, 2);
  EXPECT_FALSE(line_) << "reading the identification takes it back";
  serial_.write(data, 'x');
  EXPECT_TRUE(line_);
}

TEST_F(SerialTest, LoopsBack) {
  serial_.write(mcr, 0x1b);
  serial_.write(data, 'z');
  EXPECT_EQ(sent_, "");
  EXPECT_EQ(serial_.read(data), 'z');
  EXPECT_EQ(serial_.read(msr) & 0xf0, 0xb0);
  serial_.write(mcr, 0x10);
  EXPECT_EQ(serial_.read(msr) & 0xf0, 0x00);
}

TEST_F(SerialTest, ReportsAnOverrunInLoopback) {
  serial_.write(mcr, 0x10);
  serial_.write(data, 'a');
  serial_.write(data, 'b');
  EXPECT_EQ(serial_.read(lsr) & 2, 2);
  EXPECT_EQ(serial_.read(lsr) & 2, 0) << "cleared by reading";
}

TEST_F(SerialTest, TheIdleSectionHasElevenBytes) {
  std::string description;
  const Output out = save(serial_, &description);
  // x86-machine-state section 4.7
  const std::uint8_t expected[] = {0x00, 0x0c, 0x00, 0x00, 0x01, 0x00, 0x08, 0x60, 0xb0, 0x00, 0x00};
  ASSERT_EQ(out.size(), std::size(expected));
  EXPECT_TRUE(std::equal(out.data().begin(), out.data().end(), std::as_bytes(std::span(expected)).begin()));
  EXPECT_THAT(description,
              HasSubstr(R"("name": "state", "type": "struct", "struct": {"vmsd_name": "serial")"));
  EXPECT_THAT(description, HasSubstr("fcr_vmstate"));
}

TEST_F(SerialTest, MovesWithReceivedBytesAndPendingInterrupt) {
  serial_.write(lcr, 3);
  serial_.write(ier, 3);
  serial_.write(fcr, 0xc7);
  type("abcdef");
  serial_.read(data);

  std::string sent;
  bool line = false;
  Serial other({.transmit = [&](std::uint8_t byte) { sent.push_back(static_cast<char>(byte)); }},
               [&](bool level) { line = level; });
  ASSERT_TRUE(load(other, save(serial_)));
  EXPECT_TRUE(line);
  EXPECT_EQ(other.read(iir), 0xcc);
  EXPECT_EQ(other.read(ier), 3);
  std::string text;
  while (other.read(lsr) & 1) text.push_back(static_cast<char>(other.read(data)));
  EXPECT_EQ(text, "bcdef");
  EXPECT_EQ(other.read(iir), 0xc2) << "the transmitter's interrupt was pending behind the receiver's";
  EXPECT_EQ(sent, "");
}

TEST_F(SerialTest, SendsWhatTheOtherSideStillHadToSend) {
  const std::uint8_t body[] = {0x00, 0x0c, 0, 0, 0xc1, 3, 8, 0x00, 0xb0, 0, 1};
  Output out;
  out.bytes(std::as_bytes(std::span(body)));
  const auto subsection = [&](std::string_view name) {
    out.u8(5);
    out.counted_text(name);
    out.be32(1);
  };
  subsection("serial/tsr");
  out.be32(2);
  out.u8('?');
  out.u8('a');
  subsection("serial/xmit_fifo");
  out.text("....bc..........");
  out.be32(4);
  out.be32(2);
  ASSERT_TRUE(load(serial_, out));
  EXPECT_EQ(sent_, "abc");
  EXPECT_EQ(serial_.read(lsr) & 0x60, 0x60);
}

TEST_F(SerialTest, RefusesATransmitterThatIsIdleAndRetries) {
  Output out = save(serial_);
  std::vector<std::byte> bytes(out.data().begin(), out.data().end());
  bytes[7] = std::byte{0x00};
  SpanInput in(bytes);
  const auto loaded = serial_.section()->load(in, 3);
  ASSERT_FALSE(loaded);
  EXPECT_THAT(loaded.error().what(), HasSubstr("line status 0x00"));
}

/// The subsection of a FIFO.
void append_fifo(Output& out, std::string_view name, std::uint32_t head, std::uint32_t count) {
  out.u8(5);
  out.counted_text(name);
  out.be32(1);
  out.zeros(16);
  out.be32(head);
  out.be32(count);
}

TEST_F(SerialTest, RefusesAFifoThatPointsOutside) {
  constexpr std::uint32_t negative = 0xffffffff;
  for (const std::string_view name : {"serial/recv_fifo", "serial/xmit_fifo"}) {
    for (const auto& [head, count] : {std::pair{16u, 1u}, {0u, 17u}, {negative, 1u}, {0u, negative}}) {
      Output out = save(serial_);
      append_fifo(out, name, head, count);
      EXPECT_FALSE(load(serial_, out)) << name << " " << head << " " << count;
    }
  }
}

TEST_F(SerialTest, ReadsAFullFifoFromItsLastByteOn) {
  Output out = save(serial_);
  append_fifo(out, "serial/recv_fifo", 15, 16);
  ASSERT_TRUE(load(serial_, out));
  for (int i = 0; i < 40; ++i) EXPECT_EQ(serial_.read(0), 0);
}

}  // namespace
}  // namespace godwit::vm

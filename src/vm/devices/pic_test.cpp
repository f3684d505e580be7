#include "vm/devices/pic.h"

#include <gtest/gtest.h>

namespace godwit::vm {
namespace {

constexpr unsigned master = PicState::master, slave = PicState::slave, command = 0, data = 1;
constexpr std::uint8_t end_of_interrupt = 0x20;

class PicTest : public ::testing::Test {
 protected:
  PicTest() {
    initialize(master, 0x20, 0x04);
    initialize(slave, 0x28, 0x02);
  }
  void initialize(unsigned chip, std::uint8_t vector, std::uint8_t cascade, std::uint8_t word_4 = 0x01) {
    pics_.write(chip, command, 0x11);
    pics_.write(chip, data, vector);
    pics_.write(chip, data, cascade);
    pics_.write(chip, data, word_4);
    pics_.write(chip, data, 0);
  }
  void pulse(unsigned line) {
    pics_.set_line(line, true);
    pics_.set_line(line, false);
  }
  void expect_vector(std::uint8_t vector) {
    ASSERT_TRUE(pics_.output());
    EXPECT_EQ(pics_.acknowledge(), vector);
  }
  PicPair pics_;
};

TEST_F(PicTest, ServesLinesByPriority) {
  pulse(5);
  pulse(3);
  expect_vector(0x23);
  EXPECT_FALSE(pics_.output());  // 5 is lower than what is being served
  pulse(1);
  expect_vector(0x21);
  pics_.write(master, command, end_of_interrupt);
  pics_.write(master, command, end_of_interrupt);
  expect_vector(0x25);
}

TEST_F(PicTest, SlaveSpeaksThroughTheMaster) {
  pulse(12);
  expect_vector(0x2c);
  EXPECT_FALSE(pics_.output());
  pulse(8);  // higher within the slave, but the master is serving it
  EXPECT_FALSE(pics_.output());
  pics_.write(slave, command, end_of_interrupt);
  pics_.write(master, command, end_of_interrupt);
  expect_vector(0x28);
}

TEST_F(PicTest, LevelTriggeredLineComesAgain) {
  pics_.write_elcr(slave, 0xff);
  EXPECT_EQ(pics_.read_elcr(slave), PicState::slave_elcr_mask);
  pics_.set_line(10, true);
  expect_vector(0x2a);
  pics_.write(slave, command, end_of_interrupt);
  pics_.write(master, command, end_of_interrupt);
  expect_vector(0x2a);
  pics_.set_line(10, false);
  pics_.write(slave, command, end_of_interrupt);
  pics_.write(master, command, end_of_interrupt);
  EXPECT_FALSE(pics_.output());
}

TEST_F(PicTest, MaskedLinesWait) {
  pics_.write(master, data, 0xff);
  EXPECT_EQ(pics_.read(master, data), 0xff);
  pulse(4);
  EXPECT_FALSE(pics_.output());
  pics_.write(master, data, 0);
  expect_vector(0x24);
}

TEST_F(PicTest, ReadsRequestsAndServices) {
  pulse(4);
  EXPECT_EQ(pics_.read(master, command), 0x10);
  expect_vector(0x24);
  EXPECT_EQ(pics_.read(master, command), 0x00);
  pics_.write(master, command, 0x0b);
  EXPECT_EQ(pics_.read(master, command), 0x10);
  pics_.write(master, command, 0x64);  // specific end
  EXPECT_EQ(pics_.read(master, command), 0x00);
}

TEST_F(PicTest, RequestThatIsGoneIsSpurious) {
  pics_.write_elcr(master, 0xff);
  pics_.set_line(5, true);
  pics_.set_line(5, false);
  EXPECT_EQ(pics_.acknowledge(), 0x27);
}

TEST_F(PicTest, RotatesAndEndsByItself) {
  initialize(master, 0x20, 0x04, 0x03);
  pics_.write(master, command, 0x80);
  pulse(3);
  pulse(4);
  expect_vector(0x23);
  expect_vector(0x24);  // nothing is being served
  EXPECT_EQ(pics_.state(master).priority_add, 5);
  pics_.write(master, command, 0xc1);
  EXPECT_EQ(pics_.state(master).priority_add, 2);
}

TEST_F(PicTest, PollsInsteadOfInterrupting) {
  pulse(6);
  pics_.write(master, command, 0x0c);
  EXPECT_EQ(pics_.read(master, command), 0x86);
  EXPECT_FALSE(pics_.output());
}

TEST_F(PicTest, SpecialMaskLetsLowerOnesThrough) {
  pulse(2 + 1);
  expect_vector(0x23);
  pulse(6);
  EXPECT_FALSE(pics_.output());
  pics_.write(master, command, 0x68);
  pics_.write(master, data, 1 << 3);
  expect_vector(0x26);
}

}  // namespace
}  // namespace godwit::vm

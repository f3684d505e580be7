#include "wire/colo.h"

#include <gtest/gtest.h>

#include "wire/test_stream.h"

namespace godwit::wire {
namespace {

using Id = ColoMessage::Id;

TEST(ColoMessage, EveryOneRoundTrips) {
  for (std::uint32_t id = 0; id <= 6; ++id) {
    ColoMessage message{static_cast<Id>(id), 0};
    if (message.id == Id::vmstate_size) message.size = 0x0102030405060708;
    Output out;
    encode_colo_message(out, message);
    EXPECT_EQ(out.size(), message.id == Id::vmstate_size ? 12u : 4u);
    SpanInput in(out.data());
    EXPECT_EQ(decode_colo_message(in).value(), message);
    EXPECT_TRUE(in.at_end().value());
    EXPECT_NE(to_string(message.id), "unknown");
    EXPECT_EQ(is_from_primary(message.id), id == 1 || id == 3 || id == 4);
  }
}

TEST(ColoMessage, OthersAreErrors) {
  SpanInput in(test::bytes_of(std::string_view("\0\0\0\7", 4)));
  EXPECT_EQ(decode_colo_message(in).error().what(),
            "COLO: expected a message from 0 to 6 at offset 0x0, got 7");
}

}  // namespace
}  // namespace godwit::wire

// Changes to a migration stream that keep most of it a stream: a fuzzer that only turns bits over never gets
// past the first length field.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "wire/record.h"

namespace godwit::fuzz {

/// A number in the stream that means something to its reader.
struct StreamField {
  enum class Kind : std::uint8_t {
    id,           ///< of a section, also in its footer
    name_length,  ///< u8
    version,
    instance,
    length,     ///< of a command, of a block, of all blocks
    page_word,  ///< offset and flags of a RAM record
    type,       ///< the byte that a record or a footer starts with
  };
  Kind kind;
  std::size_t at = 0;
  std::uint8_t width = 0;  ///< bytes, big-endian
};

/// From the type byte to the next record's.
struct StreamRecord {
  wire::RecordType type;
  std::size_t begin = 0;
  std::size_t data = 0;      ///< behind the head of a section or a command
  std::size_t data_end = 0;  ///< where the footer is, if there is one
  std::size_t end = 0;
};

/// Where things are in a stream, as far as it can be read.
struct StreamMap {
  std::vector<StreamRecord> records;
  std::vector<StreamField> fields;
};

StreamMap map_stream(std::span<const std::byte> stream);

/// A mutation that knows nothing, in place: takes the bytes, their size and the room, gives the new size.
using PlainMutation = std::function<std::size_t(std::uint8_t* data, std::size_t size, std::size_t room)>;

/// One change to `stream`, chosen by `seed`: a field gets another value; a record is dropped, doubled, moved
/// or exchanged; the data of one record is changed by `plain`. Never longer than `room`.
void mutate_stream(std::vector<std::byte>& stream, std::size_t room, std::uint32_t seed,
                   const PlainMutation& plain);

/// The first records of one stream with the last ones of another.
std::vector<std::byte> cross_streams(std::span<const std::byte> one, std::span<const std::byte> other,
                                     std::size_t room, std::uint32_t seed);

}  // namespace godwit::fuzz

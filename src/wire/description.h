// The JSON description that ends a stream (wire-format section 2.5): reading it into a tree, taking apart
// sections whose devices nobody here knows, and writing its outer frame.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <godwit/result.h>

namespace godwit::wire {

struct StateDescription;

struct FieldDescription {
  std::string name;
  std::string type;
  std::uint64_t size = 0;              ///< bytes of one element
  std::uint64_t array_length = 1;      ///< how many elements the field stands for
  std::optional<std::uint64_t> index;  ///< of an element that is described by itself
  /// What the element is made of, if that is said. One, or several behind each other (the elements of a
  /// list).
  std::vector<StateDescription> inside;
};

struct StateDescription {
  std::string name;  ///< "vmsd_name"; empty for old-style sections
  std::uint32_t version = 0;
  std::vector<FieldDescription> fields;
  std::vector<StateDescription> subsections;
  std::uint64_t length = 0;  ///< bytes of the whole body, with subsections but without its own head
};

struct DeviceDescription {
  std::string name;
  std::uint32_t instance = 0;
  StateDescription state;
};

struct StreamDescription {
  std::uint64_t page_size = 0;  ///< bytes
  std::vector<DeviceDescription> devices;
};

/// A real machine's description has some ten kilobytes for each vCPU.
inline constexpr std::size_t description_text_limit = 16 * 1024 * 1024;
inline constexpr std::size_t description_depth_limit = 64;

inline constexpr std::size_t description_name_limit = 255;

Result<StreamDescription> parse_description(std::string_view json);

/// One piece of a section: a scalar, a buffer, an array of scalars, or what the description does not take
/// apart.
struct NamedField {
  std::string path;  ///< "segs[3].base", "fw_cfg/dma.dma_addr"
  std::string type;
  std::uint64_t offset = 0;  ///< bytes from the start of the body
  std::uint64_t size = 0;    ///< bytes of one element
  std::uint64_t array_length = 1;
};

/// Takes a section's body apart. Together the pieces are the body, without the heads of subsections. A
/// structure whose description does not add up to its size stays one piece. Fails when the body has another
/// length than described, a subsection is not where it should be, or the paths together are longer than
/// split_text_limit.
inline constexpr std::size_t split_text_limit = 64 * 1024 * 1024;
Result<std::vector<NamedField>> split_section(const StateDescription& state, std::span<const std::byte> body);

/// Writes the frame around what DeviceSection::save() describes.
class DescriptionWriter {
 public:
  DescriptionWriter();

  /// In the order of the sections. `state` is what save() appended.
  void add_device(std::string_view name, std::uint32_t instance, std::string_view state);

  /// The whole text. The writer is used up.
  std::string finish() &&;

 private:
  std::string text_;
  bool first_ = true;
};

}  // namespace godwit::wire

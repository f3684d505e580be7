// The stream behind the package: sections of pages, a few commands, the end (wire-format sections 7.2 and
// 7.9). Read in small steps, because whoever reads it has page faults to look after as well.
#pragma once

#include <cstdint>
#include <span>
#include <variant>

#include <godwit/ram_block.h>
#include <godwit/stream.h>

#include "engine/incoming/page_placer.h"
#include "wire/command.h"
#include "wire/ram.h"

namespace godwit::engine {

/// Pages without anything around them, up to an end mark: what comes on the channel of postcopy-preempt
/// (wire-format section 7.8).
class UrgentStream {
 public:
  UrgentStream(std::span<const RamBlock> blocks, PagePlacer& placer);

  /// One page. False: the end mark. Waits for the rest of it.
  Result<bool> step(Input& in);
  /// Another connection begins.
  void restart();

 private:
  PagePlacer& placer_;
  wire::PageReader reader_;
};

class PostcopyStream {
 public:
  struct Nothing {};      ///< a page was taken, or something around it
  struct EndOfStream {};  ///< the source has sent everything
  using Item = std::variant<Nothing, wire::Command, EndOfStream>;

  PostcopyStream(std::span<const RamBlock> blocks, PagePlacer& placer, std::uint32_t ram_section,
                 bool footers);

  /// One page, or one other item. Waits for the rest of it.
  Result<Item> step(Input& in);
  /// Another connection begins.
  void restart();

 private:
  Result<Item> step_in_section(Input& in);

  PagePlacer& placer_;
  const std::uint32_t ram_section_;
  const bool footers_;
  wire::PageReader reader_;
  bool in_section_ = false;
};

}  // namespace godwit::engine

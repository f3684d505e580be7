#include "wire/multifd_compression.h"

#include <algorithm>
#include <array>
#include <zlib.h>
#include <zstd.h>

#include "base/fail.h"

namespace godwit::wire {
namespace {

std::unexpected<Error> out_of_memory(std::string_view library) {
  return fail("{} cannot be set up: out of memory", library);
}

/// What both compressors have: a steady copy of the page, because they read it more than once, and room for a
/// packet, which becomes real memory only as far as it is used.
class Buffers : public MultifdCompressor {
 protected:
  std::byte* steady(const std::byte* page) {
    std::copy_n(page, page_size, page_.data());
    return page_.data();
  }
  std::byte* room() { return room_.get(); }

 private:
  alignas(64) std::array<std::byte, page_size> page_;
  std::unique_ptr<std::byte[]> room_ = std::make_unique_for_overwrite<std::byte[]>(MultifdPacket::data_limit);
};

class ZlibCompressor final : public Buffers {
 public:
  explicit ZlibCompressor(int level) { ready_ = deflateInit(&stream_, level) == Z_OK, begin(); }
  ~ZlibCompressor() override {
    if (ready_) deflateEnd(&stream_);
  }
  bool ready() const { return ready_; }

  Result<> add(const std::byte* page) override {
    stream_.next_in = reinterpret_cast<Bytef*>(steady(page));
    stream_.avail_in = page_size;
    if (deflate(&stream_, Z_NO_FLUSH) != Z_OK || stream_.avail_in != 0) return no_room();
    return {};
  }
  Result<std::span<const std::byte>> finish() override {
    stream_.avail_in = 0;
    if (deflate(&stream_, Z_SYNC_FLUSH) != Z_OK || stream_.avail_out == 0) return no_room();
    const std::size_t size = MultifdPacket::data_limit - stream_.avail_out;
    begin();
    return std::span<const std::byte>(room(), size);
  }

 private:
  void begin() {
    stream_.next_out = reinterpret_cast<Bytef*>(room());
    stream_.avail_out = MultifdPacket::data_limit;
  }
  static std::unexpected<Error> no_room() {
    return fail("zlib cannot compress a packet into {} bytes", MultifdPacket::data_limit);
  }

  z_stream stream_{};
  bool ready_ = false;
};

class ZstdCompressor final : public Buffers {
 public:
  explicit ZstdCompressor(int level) : context_(ZSTD_createCCtx()) {
    ready_ =
        context_ && !ZSTD_isError(ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_compressionLevel, level));
    begin();
  }
  bool ready() const { return ready_; }

  Result<> add(const std::byte* page) override {
    ZSTD_inBuffer in{steady(page), page_size, 0};
    while (in.pos < in.size) {
      const std::size_t left = ZSTD_compressStream2(context_.get(), &out_, &in, ZSTD_e_continue);
      if (ZSTD_isError(left)) return fail("zstd: {}", ZSTD_getErrorName(left));
      if (out_.pos == out_.size) return no_room();
    }
    return {};
  }
  Result<std::span<const std::byte>> finish() override {
    ZSTD_inBuffer in{nullptr, 0, 0};
    const std::size_t left = ZSTD_compressStream2(context_.get(), &out_, &in, ZSTD_e_flush);
    if (ZSTD_isError(left)) return fail("zstd: {}", ZSTD_getErrorName(left));
    if (left != 0) return no_room();
    const std::size_t size = out_.pos;
    begin();
    return std::span<const std::byte>(room(), size);
  }

 private:
  void begin() { out_ = {room(), MultifdPacket::data_limit, 0}; }
  static std::unexpected<Error> no_room() {
    return fail("zstd cannot compress a packet into {} bytes", MultifdPacket::data_limit);
  }

  struct Free {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  };
  std::unique_ptr<ZSTD_CCtx, Free> context_;
  ZSTD_outBuffer out_{};
  bool ready_ = false;
};

/// The part that is the same for both: pages are filled one after the other, then nothing may come any more.
class Filler : public MultifdDecompressor {
 public:
  Result<> read(Input& in, std::uint32_t size, std::span<std::byte* const> pages) override {
    const std::uint64_t start = in.offset();
    std::uint32_t left = size;
    std::size_t page = 0;
    std::size_t filled = 0;  // bytes of that page
    while (left > 0) {
      GODWIT_ASSIGN(const auto piece, in.need(std::min<std::size_t>(left, Input::window_limit)));
      std::span<const std::byte> rest = piece;
      while (true) {
        std::byte beyond;
        const std::span<std::byte> room =
            page < pages.size() ? std::span(pages[page] + filled, page_size - filled) : std::span(&beyond, 1);
        const std::size_t before = rest.size();
        GODWIT_ASSIGN(const std::size_t got, step(rest, room, in.offset() + (piece.size() - before)));
        if (page == pages.size() && got > 0)
          return fail("multifd packet: the {} bytes at offset {:#x} expand beyond their {} pages", size,
                      start, pages.size());
        filled += got;
        const bool full = filled == page_size;
        if (full) filled = 0, ++page;
        // A full page may leave more behind in the decompressor, also when it has no input left.
        if (!full && got == 0 && (rest.empty() || rest.size() == before)) break;
      }
      if (!rest.empty())
        return fail("multifd packet: the data at offset {:#x} cannot be read further",
                    in.offset() + (piece.size() - rest.size()));
      in.skip(piece.size());
      left -= static_cast<std::uint32_t>(piece.size());
    }
    if (page != pages.size())
      return fail("multifd packet: the {} bytes at offset {:#x} hold {} of {} pages", size, start, page,
                  pages.size());
    return {};
  }

 protected:
  /// Consumes from the front of `rest`, fills the front of `room`, returns how many bytes of it. Makes
  /// progress if it can.
  virtual Result<std::size_t> step(std::span<const std::byte>& rest, std::span<std::byte> room,
                                   std::uint64_t offset) = 0;
};

class ZlibDecompressor final : public Filler {
 public:
  ZlibDecompressor() { ready_ = inflateInit(&stream_) == Z_OK; }
  ~ZlibDecompressor() override {
    if (ready_) inflateEnd(&stream_);
  }
  bool ready() const { return ready_; }

 private:
  Result<std::size_t> step(std::span<const std::byte>& rest, std::span<std::byte> room,
                           std::uint64_t offset) override {
    // zlib is not const-correct.
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(rest.data()));
    stream_.avail_in = static_cast<uInt>(rest.size());
    stream_.next_out = reinterpret_cast<Bytef*>(room.data());
    stream_.avail_out = static_cast<uInt>(room.size());
    const int result = inflate(&stream_, Z_SYNC_FLUSH);
    if (result == Z_STREAM_END)
      return fail("multifd packet: the channel's zlib stream ends before offset {:#x}",
                  offset + rest.size() - stream_.avail_in);
    if (result != Z_OK && result != Z_BUF_ERROR)  // the latter: no progress was possible
      return fail("multifd packet: damaged zlib data before offset {:#x}{}{}",
                  offset + rest.size() - stream_.avail_in, stream_.msg ? ": " : "",
                  stream_.msg ? stream_.msg : "");
    rest = rest.last(stream_.avail_in);
    return room.size() - stream_.avail_out;
  }

  z_stream stream_{};
  bool ready_ = false;
};

class ZstdDecompressor final : public Filler {
 public:
  /// The history a stream may ask for, 32 MiB: what the highest level of a source uses.
  static constexpr int kWindowLog = 25;

  ZstdDecompressor() : context_(ZSTD_createDCtx()) {
    ready_ =
        context_ && !ZSTD_isError(ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kWindowLog));
  }
  bool ready() const { return ready_; }

 private:
  Result<std::size_t> step(std::span<const std::byte>& rest, std::span<std::byte> room,
                           std::uint64_t offset) override {
    ZSTD_inBuffer in{rest.data(), rest.size(), 0};
    ZSTD_outBuffer out{room.data(), room.size(), 0};
    const std::size_t result = ZSTD_decompressStream(context_.get(), &out, &in);
    if (ZSTD_isError(result))
      return fail("multifd packet: damaged zstd data at offset {:#x}: {}", offset + in.pos,
                  ZSTD_getErrorName(result));
    rest = rest.subspan(in.pos);
    return out.pos;
  }

  struct Free {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };
  std::unique_ptr<ZSTD_DCtx, Free> context_;
  bool ready_ = false;
};

template <typename Base, typename Codec, typename... Arguments>
Result<std::unique_ptr<Base>> make(std::string_view library, Arguments... arguments) {
  auto codec = std::make_unique<Codec>(arguments...);
  if (!codec->ready()) return out_of_memory(library);
  return codec;
}

}  // namespace

Result<std::unique_ptr<MultifdCompressor>> make_multifd_compressor(MultifdMethod method, int level) {
  switch (method) {
    case MultifdMethod::zlib:
      return make<MultifdCompressor, ZlibCompressor>("zlib", level);
    case MultifdMethod::zstd:
      return make<MultifdCompressor, ZstdCompressor>("zstd", level);
    case MultifdMethod::none:
      break;
  }
  return fail("multifd without compression has no compressor");
}

Result<std::unique_ptr<MultifdDecompressor>> make_multifd_decompressor(MultifdMethod method) {
  switch (method) {
    case MultifdMethod::zlib:
      return make<MultifdDecompressor, ZlibDecompressor>("zlib");
    case MultifdMethod::zstd:
      return make<MultifdDecompressor, ZstdDecompressor>("zstd");
    case MultifdMethod::none:
      break;
  }
  return fail("multifd without compression has no decompressor");
}

}  // namespace godwit::wire

#include <pushforward/import/decompress.hpp>

#include <pushforward/core/error.hpp>
#include <pushforward/core/memory.hpp>
#include <pushforward/core/text.hpp>

#include <bzlib.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <limits>
#include <memory>

namespace pushforward::data {

namespace {

constexpr std::string_view gzip_magic = "\x1f\x8b",
                           xz_magic{
                               "\xfd"
                               "7zXZ\0",
                               6},
                           bzip2_magic = "BZh", zstd_magic = "\x28\xb5\x2f\xfd";
constexpr std::string_view bzip2_block = "\x31\x41\x59\x26\x53\x59", bzip2_end = "\x17\x72\x45\x38\x50\x90";
constexpr std::size_t slice = 1 << 20;
// The memory of the dictionary of xz, whose size a file states: twice what `xz -9` wants. zstd has the same limit.
constexpr std::uint64_t most_dictionary = 130U << 20U;

[[noreturn]] void refuse(const std::string& source, std::string_view reason) {
  throw IoError(fmt::format("{}: cannot be unpacked: it is truncated or damaged ({})", source, reason));
}

// Limits a size to the range of unsigned int, which the libraries take.
unsigned portion(std::size_t size) {
  return static_cast<unsigned>(std::min<std::size_t>(size, std::numeric_limits<unsigned>::max()));
}

// Makes room for a slice at the end of the content, and gives what was not used back. The content grows in steps with
// what is unpacked, as long as there is memory for the next step.
template <class Fill>
void append(std::string& content, const std::string& source, Fill&& fill) {
  const std::size_t before = content.size();
  const auto next = 2 * static_cast<double>(content.capacity());
  if (before + slice > content.capacity() && !fits_in_memory(next)) {
    throw DataError(fmt::format("{}: unpacks to more than {}, and {} of memory are available for what follows", source,
                                human_bytes(static_cast<double>(before)), human_bytes(available_memory())));
  }
  content.resize(before + slice);
  content.resize(before + fill(content.data() + before));
}

std::string unpack_gzip(std::string_view bytes, const std::string& source) {
  constexpr int with_header = MAX_WBITS + 16;
  z_stream stream{};
  if (inflateInit2(&stream, with_header) != Z_OK) throw std::bad_alloc();
  const std::unique_ptr<z_stream, int (*)(z_stream*)> owner(&stream, inflateEnd);
  std::string content;
  while (true) {
    const auto input = portion(bytes.size());
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream.avail_in = input;
    int code = Z_OK;
    append(content, source, [&](char* to) {
      stream.next_out = reinterpret_cast<Bytef*>(to);
      stream.avail_out = slice;
      code = inflate(&stream, Z_NO_FLUSH);
      return slice - stream.avail_out;
    });
    bytes.remove_prefix(input - stream.avail_in);
    if (code == Z_STREAM_END) {
      if (!bytes.starts_with(gzip_magic)) return content;
      inflateReset(&stream);
      continue;
    }
    if (code == Z_MEM_ERROR) throw std::bad_alloc();
    if (code != Z_OK && code != Z_BUF_ERROR) refuse(source, stream.msg == nullptr ? "data error" : stream.msg);
    if (bytes.empty() && stream.avail_out > 0) refuse(source, "unexpected end of file");
  }
}

std::string unpack_xz(std::string_view bytes, const std::string& source) {
  lzma_stream stream = LZMA_STREAM_INIT;
  const std::unique_ptr<lzma_stream, void (*)(lzma_stream*)> owner(&stream, lzma_end);
  if (lzma_stream_decoder(&stream, most_dictionary, LZMA_CONCATENATED) != LZMA_OK) throw std::bad_alloc();
  stream.next_in = reinterpret_cast<const std::uint8_t*>(bytes.data());
  stream.avail_in = bytes.size();
  std::string content;
  lzma_ret code = LZMA_OK;
  while (code == LZMA_OK) {
    append(content, source, [&](char* to) {
      stream.next_out = reinterpret_cast<std::uint8_t*>(to);
      stream.avail_out = slice;
      code = lzma_code(&stream, LZMA_FINISH);
      return slice - stream.avail_out;
    });
  }
  if (code == LZMA_MEM_ERROR) throw std::bad_alloc();
  require<DataError>(code != LZMA_MEMLIMIT_ERROR,
                     "{}: needs {} of memory to be unpacked, and at most {} are used; unpack it first", source,
                     human_bytes(static_cast<double>(lzma_memusage(&stream))), human_bytes(most_dictionary));
  if (code == LZMA_BUF_ERROR) refuse(source, "unexpected end of file");
  if (code == LZMA_OPTIONS_ERROR) refuse(source, "xz options that liblzma does not know");
  if (code != LZMA_STREAM_END) refuse(source, "xz data error");
  return content;
}

std::string unpack_bzip2(std::string_view bytes, const std::string& source) {
  std::string content;
  do {
    bz_stream stream{};
    if (BZ2_bzDecompressInit(&stream, 0, 0) != BZ_OK) throw std::bad_alloc();
    const std::unique_ptr<bz_stream, int (*)(bz_stream*)> owner(&stream, BZ2_bzDecompressEnd);
    int code = BZ_OK;
    while (code == BZ_OK) {
      const auto input = portion(bytes.size());
      stream.next_in = const_cast<char*>(bytes.data());
      stream.avail_in = input;
      append(content, source, [&](char* to) {
        stream.next_out = to;
        stream.avail_out = slice;
        code = BZ2_bzDecompress(&stream);
        return slice - stream.avail_out;
      });
      bytes.remove_prefix(input - stream.avail_in);
      if (code == BZ_OK && bytes.empty() && stream.avail_out > 0) refuse(source, "unexpected end of file");
    }
    if (code == BZ_MEM_ERROR) throw std::bad_alloc();
    if (code != BZ_STREAM_END) refuse(source, "bzip2 data error");
  } while (compression_of(bytes) == "bzip2");
  return content;
}

std::string unpack_zstd(std::string_view bytes, const std::string& source) {
  const std::unique_ptr<ZSTD_DCtx, std::size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(), ZSTD_freeDCtx);
  if (context == nullptr) throw std::bad_alloc();
  ZSTD_inBuffer input{bytes.data(), bytes.size(), 0};
  std::string content;
  std::size_t code = 0;
  bool is_full = false;
  do {
    append(content, source, [&](char* to) {
      ZSTD_outBuffer output{to, slice, 0};
      code = ZSTD_decompressStream(context.get(), &output, &input);
      is_full = output.pos == output.size;
      return output.pos;
    });
    if (ZSTD_isError(code) != 0) refuse(source, ZSTD_getErrorName(code));
  } while (input.pos < input.size || (is_full && code != 0));
  if (code != 0) refuse(source, "unexpected end of file");
  return content;
}

}  // namespace

std::string_view compression_of(std::string_view bytes) {
  if (bytes.starts_with(gzip_magic)) return "gzip";
  if (bytes.starts_with(xz_magic)) return "xz";
  if (bytes.starts_with(zstd_magic)) return "zstd";
  constexpr std::size_t block = 4;  // "BZh9"
  const auto after = bytes.substr(std::min(bytes.size(), block));
  const bool is_bzip2 = bytes.starts_with(bzip2_magic) && bytes.size() > block && bytes[3] >= '1' && bytes[3] <= '9' &&
                        (after.starts_with(bzip2_block) || after.starts_with(bzip2_end));
  return is_bzip2 ? "bzip2" : "";
}

std::string decompress(std::string_view bytes, const std::string& source) {
  const auto kind = compression_of(bytes);
  if (kind == "gzip") return unpack_gzip(bytes, source);
  if (kind == "xz") return unpack_xz(bytes, source);
  if (kind == "bzip2") return unpack_bzip2(bytes, source);
  if (kind == "zstd") return unpack_zstd(bytes, source);
  throw BugError(fmt::format("{}: is not compressed", source));
}

}  // namespace pushforward::data

#include <pushforward/import/file_kinds.hpp>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <cstdint>

namespace pushforward::data {

namespace {

struct Kind {
  std::string_view signature;
  std::string_view text;
  std::size_t offset = 0;
  bool also_text = false;  // the signature could begin a text, so that binary bytes must follow
};

template <std::size_t N>
consteval std::string_view literal(const char (&text)[N]) {
  return {text, N - 1};
}

constexpr std::string_view image = "is a picture; save its values as NPY";
constexpr std::string_view octave = "is an Octave file; save it in Octave with -hdf5";
constexpr std::string_view sas = "is a SAS file; save it as CSV";
constexpr std::string_view stata = "is a Stata file; save it as CSV";
constexpr std::string_view netcdf = "is a netCDF-3 file; convert it with nccopy -k nc4";

constexpr std::array kinds{
    Kind{literal("CDF\x01"), netcdf},
    Kind{literal("CDF\x02"), netcdf},
    Kind{literal("CDF\x05"), netcdf},
    Kind{literal("MATLAB 5.0 MAT-file"), "is a MATLAB 5 file; save it in MATLAB with the flag -v7.3"},
    Kind{literal("PAR1"), "is a Parquet file; save it as CSV, NPY or HDF5", 0, true},
    Kind{literal("ARROW1"), "is an Arrow or Feather file; save it as CSV, NPY or HDF5", 0, true},
    Kind{literal("FEA1"), "is a Feather file; save it as CSV, NPY or HDF5", 0, true},
    Kind{literal("\x80\x02"), "looks like a Python pickle; save the array with numpy.save"},
    Kind{literal("\x80\x03"), "looks like a Python pickle; save the array with numpy.save"},
    Kind{literal("\x80\x04\x95"), "is a Python pickle; save the array with numpy.save"},
    Kind{literal("\x80\x05\x95"), "is a Python pickle; save the array with numpy.save"},
    Kind{literal("SIMPLE  = "), "is a FITS file; save its table as CSV, NPY or HDF5"},
    Kind{literal("RDX2\n"), "is an RData file; save the table in R with write.csv"},
    Kind{literal("RDX3\n"), "is an RData file; save the table in R with write.csv"},
    Kind{literal("X\n\0\0\0"), "is an RDS file; save the table in R with write.csv"},
    Kind{literal("SQLite format 3\0"), "is an SQLite database; export the table as CSV"},
    Kind{literal("%PDF-"), "is a PDF document, not a table of numbers"},
    Kind{literal("\x89PNG\r\n\x1a\n"), image},
    Kind{literal("\xff\xd8\xff"), image},
    Kind{literal("GIF87a"), image, 0, true},
    Kind{literal("GIF89a"), image, 0, true},
    Kind{literal("II*\0"), image},
    Kind{literal("MM\0*"), image},
    Kind{literal("\x0e\x03\x13\x01"), "is an HDF4 file; convert it with h4toh5"},
    Kind{literal("GRIB"), "is a GRIB file; convert it to netCDF-4", 0, true},
    Kind{literal("root\0"), "is a ROOT file; save its tree as CSV, NPY or HDF5"},
    Kind{literal("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), "is an old Excel or Office file; save it as CSV"},
    Kind{literal("7z\xbc\xaf\x27\x1c"), "is a 7z archive; unpack it first"},
    Kind{literal("Rar!\x1a\x07"), "is a RAR archive; unpack it first"},
    Kind{literal("ustar"), "is a tar archive; unpack it first", 257},
    Kind{literal("\x04\x22\x4d\x18"), "is packed with lz4; unpack it first"},
    Kind{literal("\x1f\x9d"), "is packed with compress; unpack it with uncompress"},
    Kind{literal("LZIP\x01"), "is packed with lzip; unpack it first"},
    Kind{literal("<stata_dta>"), stata},
    Kind{literal("\0\0\0\0\0\0\0\0\0\0\0\0\xc2\xea\x81\x60"), sas},
    Kind{literal("HEADER RECORD*******LIB"), sas},
    Kind{literal("SR\0\x04"), "is an IDL file; save its arrays as CSV, NPY or HDF5"},
    Kind{literal("Octave-1-L"), octave},
    Kind{literal("Octave-1-B"), octave},
    Kind{literal("RIFF"), "is a sound or a film; save its values as NPY", 0, true},
    Kind{literal("$FL2"), "is an SPSS file; save it as CSV", 0, true},
    Kind{literal("\x7f"
                 "ELF"),
         "is a program, not a table of numbers"},
};

// True if there are bytes that no text has, early or at the end: control characters other than blanks.
bool has_binary(std::string_view bytes) {
  const auto is_binary = [](char c) {
    constexpr unsigned char first_printable = 0x20;
    return static_cast<unsigned char>(c) < first_printable && c != '\t' && c != '\n' && c != '\r' && c != '\f' &&
           c != '\v';
  };
  return std::ranges::any_of(bytes, is_binary);
}

// Five integers, which are type, rows, columns, 1 if complex, and the length of the name that follows.
bool is_matlab4(std::string_view bytes) {
  constexpr std::size_t header = 20;
  if (bytes.size() < header) return false;
  for (const bool big : {false, true}) {
    const auto integer = [&](std::size_t i) {
      std::uint32_t value = 0;
      for (std::size_t k = 0; k < 4; ++k) {
        value = value << 8U | static_cast<unsigned char>(bytes[4 * i + (big ? k : 3 - k)]);
      }
      return value;
    };
    const std::uint32_t type = integer(0), length = integer(4);
    const bool is_type = type / 1000 == (big ? 1 : 0) && type / 100 % 10 == 0 && type / 10 % 10 <= 5 && type % 10 <= 2;
    const bool is_named = length >= 2 && length <= 64 && header + length <= bytes.size() &&
                          std::isalpha(static_cast<unsigned char>(bytes[header])) != 0 &&
                          bytes.find('\0', header) == header + length - 1;
    if (is_type && integer(3) <= 1 && is_named) return true;
  }
  return false;
}

// The formats of Stata before release 117: a number, the order of bytes, and 1 and 0.
bool is_old_stata(std::string_view bytes) {
  constexpr unsigned char oldest = 102, youngest = 115;
  if (bytes.size() < 4) return false;
  const auto release = static_cast<unsigned char>(bytes[0]);
  return release >= oldest && release <= youngest && (bytes[1] == 1 || bytes[1] == 2) && bytes[2] == 1 && bytes[3] == 0;
}

// Whether the bytes begin with a word of lower-case letters, in any case.
bool begins_with(std::string_view bytes, std::string_view word) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::ranges::equal(bytes.substr(0, word.size()), word, {}, lower);
}

// Text that is no table. ARFF has comments that begin with a percent sign.
std::string_view describe_text(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n\f";
  const auto skip_blanks = [&] { text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size())); };
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  skip_blanks();
  if (begins_with(text, "<!doctype html") || begins_with(text, "<html")) {
    return "is an HTML page, not a table of numbers";
  }
  if (begins_with(text, "<?xml")) return "is an XML file, not a table of numbers";
  while (text.starts_with('%')) {
    text.remove_prefix(std::min(text.find_first_of("\r\n"), text.size()));
    skip_blanks();
  }
  return begins_with(text, "@relation") ? "is an ARFF file; the rows below its line @data are CSV" : "";
}

}  // namespace

std::string_view describe_foreign(std::string_view bytes) {
  if (is_matlab4(bytes)) return "is a MATLAB 4 file; save it in MATLAB with the flag -v7.3";
  if (is_old_stata(bytes)) return stata;
  for (const auto& kind : kinds) {
    if (bytes.size() < kind.offset + kind.signature.size()) continue;
    if (bytes.substr(kind.offset, kind.signature.size()) != kind.signature) continue;
    if (!kind.also_text || has_binary(bytes)) return kind.text;
  }
  return describe_text(bytes);
}

}  // namespace pushforward::data

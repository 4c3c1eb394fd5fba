#include <pushforward/import/file_kinds.hpp>

#include <algorithm>
#include <array>

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
    Kind{literal("<stata_dta>"), "is a Stata file; save it as CSV"},
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

}  // namespace

std::string_view describe_foreign(std::string_view bytes) {
  for (const auto& kind : kinds) {
    if (bytes.size() < kind.offset + kind.signature.size()) continue;
    if (bytes.substr(kind.offset, kind.signature.size()) != kind.signature) continue;
    if (!kind.also_text || has_binary(bytes)) return kind.text;
  }
  return "";
}

}  // namespace pushforward::data

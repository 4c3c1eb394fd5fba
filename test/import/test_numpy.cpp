// .npy and .npz files as NumPy writes them.

#include <pushforward/core/error.hpp>
#include <pushforward/import/import_npy.hpp>
#include <pushforward/import/read_table.hpp>
#include <pushforward/import/zip_archive.hpp>

#include <predicates.hpp>
#include <ranks.hpp>
#include <says.hpp>

#include <cmath>
#include <cstdlib>
#include <fstream>

namespace pushforward::test {

namespace {

using data::read_table;

// Runs Python with NumPy as np in the case's folder; returns the folder.
std::filesystem::path numpy(const std::string& script) {
  const auto folder = scratch_directory();
  std::ofstream(folder / "script.py") << "import numpy as np\n" << script;
  const auto command = fmt::format("cd {} && /usr/bin/python3 script.py", folder.string());
  BOOST_REQUIRE_EQUAL(std::system(command.c_str()), 0);
  return folder;
}

std::string content(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

const std::vector<double> one_to_six{1, 2, 3, 4, 5, 6};

}  // namespace

BOOST_AUTO_TEST_SUITE(numpy_files)

BOOST_AUTO_TEST_CASE(every_type_order_and_version_is_read) {
  const auto folder = numpy(R"(
x = np.array([[1, 2, 3], [4, 5, 6]])
for order in '<>':
    for kind in ['f2', 'f4', 'f8', 'i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8']:
        name = kind + ('little' if order == '<' else 'big')
        np.save(name, x.astype(order + kind))
        np.save(name + '_fortran', np.asfortranarray(x.astype(order + kind)))
for version in [(1, 0), (2, 0), (3, 0)]:
    with open(f'version{version[0]}.npy', 'wb') as f: np.lib.format.write_array(f, x.astype(float), version=version)
)");
  Index files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".npy") continue;
    ++files;
    const auto table = read_table(entry.path());
    BOOST_TEST(table.dimension() == 3, entry.path());
    BOOST_TEST(close_absolute(table.values, one_to_six, 0), entry.path());
  }
  BOOST_TEST(files == 47);
}

BOOST_AUTO_TEST_CASE(arrays_of_other_ranks_become_rows) {
  const auto folder = numpy(R"(
np.save('line', np.arange(1., 7))
np.save('flags', np.array([[True, False]]))
np.save('cube', np.arange(24.).reshape(2, 3, 4))
np.save('cube_fortran', np.asfortranarray(np.arange(24.).reshape(2, 3, 4)))
np.save('halves', np.array([0.5, -2, 6.1e-5, 5e-8, 65504, np.inf, np.nan], 'f2'))
)");
  const auto line = read_table(folder / "line.npy");
  BOOST_TEST(line.dimension() == 1);
  BOOST_TEST(close_absolute(line.values, one_to_six, 0));
  BOOST_TEST(close_absolute(read_table(folder / "flags.npy").values, std::vector{1.0, 0.0}, 0));
  for (const char* name : {"cube.npy", "cube_fortran.npy"}) {
    const auto cube = read_table(folder / name);
    BOOST_TEST(cube.dimension() == 12);
    BOOST_TEST(cube.rows() == 2);
    for (std::size_t i = 0; i < 24; ++i) BOOST_TEST(cube.values[i] == static_cast<double>(i));
  }
  const auto halves = read_table(folder / "halves.npy").values;
  BOOST_TEST(close_absolute(std::span(halves).first(2), std::vector{0.5, -2.0}, 0));
  BOOST_TEST(close_relative(halves[2], 6.1e-5, 1e-3));
  BOOST_TEST(halves[3] == 0x1p-24);
  BOOST_TEST(halves[4] == 65504);
  BOOST_TEST(std::isinf(halves[5]));
  BOOST_TEST(std::isnan(halves[6]));
}

BOOST_AUTO_TEST_CASE(what_is_no_table_is_refused) {
  const auto folder = numpy(R"(
np.save('complex', np.array([1j]))
np.save('text', np.array(['a']))
np.save('words', np.zeros(2, [('a', 'S4'), ('b', 'M8[D]')]))
np.save('square', np.zeros((2, 2), [('a', 'f4')]))
np.save('short', np.zeros(40, [('a', 'f4'), ('b', 'f8')]))
np.save('single', np.float64(1))
np.save('empty', np.zeros((0, 3)))
np.save('no_columns', np.zeros((3, 0)))
np.save('whole', np.zeros((30, 3)))
)");
  const auto file = [&](const char* name) { return (folder / name).string(); };
  BOOST_CHECK_EXCEPTION(read_table(file("complex.npy")), DataError, says({"complex.npy", "'<c16'"}));
  BOOST_CHECK_EXCEPTION(read_table(file("text.npy")), DataError, says({"text.npy", "not real numbers"}));
  BOOST_CHECK_EXCEPTION(read_table(file("words.npy")), DataError, says({"words.npy", "without numbers: a, b"}));
  BOOST_CHECK_EXCEPTION(read_table(file("square.npy")), DataError, says({"square.npy", "records in shape (2, 2)"}));
  const auto records = content(folder / "short.npy");
  const auto truncated = std::as_bytes(std::span(records).first(records.size() - 1));
  BOOST_CHECK_EXCEPTION(data::parse_npy(truncated, "short.npy"), IoError, says({"40 records have 480"}));
  BOOST_CHECK_EXCEPTION(read_table(file("single.npy")), DataError, says({"single.npy", "a single number"}));
  BOOST_CHECK_EXCEPTION(read_table(file("empty.npy")), DataError, says({"empty.npy", "(0, 3)", "no rows"}));
  BOOST_CHECK_EXCEPTION(read_table(file("no_columns.npy")), DataError, says({"(3, 0)", "rows of no numbers"}));
  const auto whole = content(folder / "whole.npy");
  for (const std::size_t bytes : {whole.size() - 1, std::size_t{100}, std::size_t{11}}) {
    const auto part = std::as_bytes(std::span(whole).first(bytes));
    BOOST_CHECK_THROW(data::parse_npy(part, "part.npy"), IoError);
  }
  BOOST_CHECK_EXCEPTION(read_table(file("whole.npy") + ":x"), DataError, says({"holds one table", "'x'"}));
}

// Headers that ask for more than there is.
BOOST_AUTO_TEST_CASE(headers_that_state_what_is_not_so_are_refused) {
  const auto parse = [](const std::string& type, const std::string& shape) {
    constexpr std::size_t digits = 4;
    const auto header = fmt::format("{{'descr': {}, 'fortran_order': False, 'shape': {}}}", type, shape);
    std::string bytes("\x93NUMPY\x02\0", 8);
    for (unsigned i = 0; i < digits; ++i) bytes += static_cast<char>(header.size() >> (8 * i));
    bytes += header + std::string(100, '1');
    data::parse_npy(std::as_bytes(std::span(bytes)), "x.npy");
  };
  BOOST_CHECK_NO_THROW(parse("'<f8'", "(12,)"));
  BOOST_CHECK_EXCEPTION(parse("", "(12,)"), DataError, says({"x.npy"}));
  BOOST_CHECK_EXCEPTION(parse("'<f8'", "(4294967296, 4294967296)"), IoError, says({"x.npy: is truncated: 100 bytes"}));
  BOOST_CHECK_EXCEPTION(parse("[('a', '<f8', (999999999,))]", "(1,)"), IoError,
                        says({"100 bytes of data, where a record has 7999999992"}));
  BOOST_CHECK_EXCEPTION(parse("[('a', '|S0', (999999999,)), ('b', '<f8')]", "(1,)"), IoError, says({"a record has"}));
  BOOST_CHECK_EXCEPTION(parse("[('a', '<U9223372036854775807'), ('b', '<f8')]", "(1,)"), DataError, says({"'<U922"}));
  std::string nested;
  for (int i = 0; i < 100000; ++i) nested += "[('a', ";
  BOOST_CHECK_EXCEPTION(parse(nested, "(1,)"), DataError, says({"more than 64 levels"}));

  const std::string empty_type("\x93NUMPY\x01\0\x0b\0{'descr': ", 20);
  BOOST_CHECK_THROW(data::parse_npy(std::as_bytes(std::span(empty_type)), "x.npy"), IoError);
}

BOOST_AUTO_TEST_CASE(records_become_columns) {
  const auto folder = numpy(R"(
spin = [('x', '>f4'), ('y', 'i2')]
a = np.zeros(3, [('m', '<f8'), ('day', 'M8[D]'), ("it's", '?'), ('spin', spin), ('word', 'U3'), ('k', '>u2', (2, 2))])
a['m'] = [0.5, -1, np.inf]
a["it's"] = [1, 0, 1]
a['spin']['x'], a['spin']['y'] = 1.5, [7, 8, 9]
a['k'] = np.arange(12).reshape(3, 2, 2) + 40000
np.save('records', a)
np.save('aligned', np.array([(1, 2.5), (3, 4.5)], np.dtype([('a', 'i1'), ('b', 'f8')], align=True)))
)");
  const auto table = read_table(folder / "records.npy");
  const std::vector<std::string> names{"m", "it's", "spin.x", "spin.y", "k[0][0]", "k[0][1]", "k[1][0]", "k[1][1]"};
  BOOST_TEST(table.names == names, boost::test_tools::per_element());
  BOOST_TEST(table.named);
  BOOST_TEST(table.remark == "records without the members that hold no numbers: day, word");
  BOOST_TEST(table.rows() == 3);
  const std::vector<double> second{-1, 0, 1.5, 8, 40004, 40005, 40006, 40007};
  BOOST_TEST(close_absolute(std::span(table.values).subspan(8, 8), second, 0));
  BOOST_TEST(!close_absolute(std::span(table.values).subspan(16, 8), second, 0));
  // Gaps between the members have no name.
  const auto aligned = read_table(folder / "aligned.npy");
  const auto b = std::ranges::find(aligned.names, "b") - aligned.names.begin();
  BOOST_REQUIRE(b < aligned.dimension());
  BOOST_TEST(aligned.values[b] == 2.5);
}

BOOST_AUTO_TEST_CASE(members_of_archives_are_chosen_by_name) {
  const auto folder = numpy(R"(
x = np.array([[1, 2, 3], [4, 5, 6.]])
np.savez('stored', first=x, second=-x)
np.savez_compressed('deflated', first=x, second=-x)
np.savez_compressed('only', x)
)");
  for (const char* name : {"stored.npz", "deflated.npz"}) {
    const std::string file = folder / name;
    const auto table = read_table(file + ":first");
    BOOST_TEST(table.source == file + ":first");
    BOOST_TEST(close_absolute(table.values, one_to_six, 0));
    BOOST_TEST(read_table(file + ":second").values[0] == -1);
    BOOST_CHECK_EXCEPTION(read_table(file), DataError, says({name, "choose one", "first, second"}));
    BOOST_CHECK_EXCEPTION(read_table(file + ":furst"), DataError, says({"'furst'", "did you mean 'first'?"}));
  }
  BOOST_TEST(close_absolute(read_table(folder / "only.npz").values, one_to_six, 0));
}

BOOST_AUTO_TEST_CASE(archives_with_zip64_fields_are_read) {
  const auto folder = numpy(R"(
import zipfile
zipfile.ZIP64_LIMIT = 10    # as if files were larger than 4 GB
zipfile.ZIP_FILECOUNT_LIMIT = 1
with zipfile.ZipFile('large.npz', 'w', zipfile.ZIP_DEFLATED) as z:
    for name in ['first', 'second']:
        with z.open(name + '.npy', 'w', force_zip64=True) as f: np.save(f, np.array([[1, 2, 3], [4, 5, 6.]]))
)");
  BOOST_TEST(close_absolute(read_table((folder / "large.npz").string() + ":second").values, one_to_six, 0));
}

BOOST_AUTO_TEST_CASE(damaged_archives_are_noticed) {
  const auto folder = numpy("np.savez_compressed('x', x=np.arange(1000.))\nnp.savez('y', y=np.arange(1000.))\n");
  for (const char* name : {"x.npz", "y.npz"}) {
    const auto whole = content(folder / name);
    const auto extract = [&](const std::string& bytes) {
      const data::ZipArchive archive(std::as_bytes(std::span(bytes)), name);
      return archive.extract(0);
    };
    BOOST_CHECK_NO_THROW(extract(whole));
    auto flipped = whole;
    flipped[whole.size() / 2] = static_cast<char>(flipped[whole.size() / 2] ^ 1);
    BOOST_CHECK_EXCEPTION(extract(flipped), IoError, says({name, "damaged"}));
    BOOST_CHECK_EXCEPTION(extract(whole.substr(0, whole.size() - 10)), IoError, says({name, "truncated"}));
    BOOST_CHECK_EXCEPTION(extract(whole.substr(100)), IoError, says({name}));
    BOOST_CHECK_EXCEPTION(extract("PK\x03\x04"), IoError, says({name, "not a zip archive"}));
  }
}

// Headers that lie, in the directory and before the member alike.
BOOST_AUTO_TEST_CASE(archives_that_state_what_is_not_so_are_refused) {
  const auto folder = numpy("np.savez_compressed('x', x=np.zeros(100000))\nnp.savez('y', y=np.arange(1000.))\n");
  const auto deflated = content(folder / "x.npz"), stored = content(folder / "y.npz");
  // Offsets in the local header, and in the entry of the directory, of APPNOTE.TXT, 4.3.
  struct Field {
    std::size_t local, entry, size;
  };
  constexpr Field flags{6, 8, 2}, method{8, 10, 2}, checksum{14, 16, 4}, packed{18, 20, 4}, size{22, 24, 4};
  const auto with = [](std::string bytes, const Field& field, std::uint32_t value) {
    for (const auto at : {field.local, bytes.rfind("PK\x01\x02") + field.entry}) {
      for (std::size_t i = 0; i < field.size; ++i) bytes[at + i] = static_cast<char>(value >> (8 * i) & 0xff);
    }
    return bytes;
  };
  const auto refused = [](const std::string& bytes, std::vector<std::string> parts) {
    parts.emplace_back("z.npz: member ");
    const auto extract = [&] { data::ZipArchive(std::as_bytes(std::span(bytes)), "z.npz").extract(0); };
    BOOST_CHECK_EXCEPTION(extract(), IoError, says(parts));
  };
  for (const auto& whole : {deflated, stored}) {
    refused(with(whole, flags, 1), {"is encrypted"});
    refused(with(whole, method, 97), {"cannot be unpacked", "method not supported"});
    refused(with(whole, checksum, 0), {"its checksum is wrong"});
  }
  const std::uint32_t bytes = 100000 * 8 + 128;  // of the array with its header
  const auto right = with(deflated, size, bytes);
  BOOST_CHECK_NO_THROW(data::ZipArchive(std::as_bytes(std::span(right)), "z.npz").extract(0));
  refused(with(deflated, size, bytes + 1), {"is damaged", fmt::format("{}", bytes + 1)});
  refused(with(deflated, size, bytes - 1), {"is damaged"});
  refused(with(deflated, size, 0xfffffff0), {"4294967280 bytes, which cannot be packed into"});
  refused(with(stored, size, 5000), {"it states 5000 bytes and has 8128"});
  refused(with(stored, packed, 5000), {"it states 8128 bytes and has 5000"});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test

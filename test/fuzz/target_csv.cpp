// Text tables, read as they are and with each option that changes how.

#include "target.hpp"

#include <pushforward/import/import_csv.hpp>

namespace pushforward::fuzz {
const Target target{.is_text = true};
}

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pushforward;
  using Format = data::CsvFormat;
  const auto text = fuzz::text_of(data, size);
  for (const auto& format : {Format{}, Format{.header = Format::Header::yes, .decimal = Format::Decimal::comma},
                             Format{.header = Format::Header::no, .separator = ' '}}) {
    fuzz::accepts([&] { data::parse_csv(text, "table.csv", format); });
  }
  return 0;
}

#include <cli/outputs.hpp>

#include <pushforward/core/error.hpp>
#include <pushforward/dataset/location.hpp>
#include <pushforward/h5/replacement.hpp>

#include <filesystem>
#include <system_error>

namespace pushforward::apps {

namespace {

namespace fs = std::filesystem;

bool same_file(const std::string& a, const std::string& b) {
  std::error_code error;
  if (fs::equivalent(a, b, error) && !error) return true;
  const auto first = fs::weakly_canonical(fs::absolute(a), error),
             second = fs::weakly_canonical(fs::absolute(b), error);
  return !error && first == second;
}

}  // namespace

void check_outputs(const std::vector<NamedFile>& outputs, const std::vector<NamedFile>& inputs) {
  std::vector<NamedFile> taken;
  for (const auto& input : inputs) taken.push_back({input.flag, data::parse_location(input.path).file});
  for (const auto& output : outputs) {
    h5::require_writable(output.path);
    for (const auto& other : taken) {
      require<OptionError>(other.path.empty() || !same_file(output.path, other.path),
                           "{} and {} are the same file, {}; choose another name for {}", other.flag, output.flag,
                           output.path, output.flag);
    }
    taken.push_back(output);
  }
}

void require_result_name(const NamedFile& output, bool tables) {
  const auto ending = fs::path(output.path).extension().string();
  const bool is_table = ending == ".csv" || ending == ".npy";
  require<OptionError>(!(is_table && !tables) && ending != ".tsv" && ending != ".txt" && ending != ".npz",
                       "{} {}: this file is HDF5{}; choose a name that ends with .h5", output.flag, output.path,
                       tables ? ", or CSV or NPY if its name ends with .csv or .npy" : "");
}

}  // namespace pushforward::apps

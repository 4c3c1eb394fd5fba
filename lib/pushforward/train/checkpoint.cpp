#include <pushforward/core/error.hpp>
#include <pushforward/h5/replacement.hpp>
#include <pushforward/h5/sealed.hpp>
#include <pushforward/h5/writer.hpp>
#include <pushforward/train/checkpoint.hpp>

#include <algorithm>
#include <filesystem>

namespace pushforward::train {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view format_name = "pushforward-checkpoint";
constexpr Index format_version = 1;

void write_state(const h5::GroupWriter& group, const StateSet& state) {
  for (const auto& [name, place] : state.entries()) {
    std::visit(
        [&, &name = name](const auto& at) {
          using Place = std::decay_t<decltype(at)>;
          if constexpr (std::is_same_v<Place, bool*>) {
            group.write(name, std::vector{Index{*at ? 1 : 0}});
          } else if constexpr (std::is_pointer_v<Place>) {
            group.write(name, std::vector{*at});
          } else {
            group.write(name, std::span<const typename Place::element_type>(at));
          }
        },
        place);
  }
}

template <class T>
void read_values(const h5::Group& group, const std::string& name, std::span<T> values) {
  const auto dataset = group.dataset(name);
  require<DataError>(dataset.shape() == std::vector{static_cast<Index>(values.size())},
                     "{} has shape ({}) where the run has {} values", dataset.where(), fmt::join(dataset.shape(), ", "),
                     values.size());
  const auto stored = dataset.template read<T>();
  std::copy(stored.begin(), stored.end(), values.begin());
}

void read_state(const h5::Group& group, const StateSet& state) {
  for (const auto& [name, place] : state.entries()) {
    std::visit(
        [&, &name = name](const auto& at) {
          using Place = std::decay_t<decltype(at)>;
          if constexpr (std::is_same_v<Place, bool*>) {
            Index value = 0;
            read_values(group, name, std::span(&value, 1));
            *at = value != 0;
          } else if constexpr (std::is_pointer_v<Place>) {
            read_values(group, name, std::span(at, 1));
          } else {
            read_values(group, name, at);
          }
        },
        place);
  }
}

// The file is read back from the disk's cache at least, which finds what went wrong on the way there.
void require_readable(const std::string& path, const std::string& digest) {
  require<IoError>(h5::checked_digest(path) == digest, "{}: what was written is not what is read back", path);
}

struct Opened {
  std::optional<h5::Group> root;
  RunFacts facts;
};

Opened open_checkpoint(const std::string& path) {
  auto [root, digest] = h5::open_sealed(path);
  const bool is_checkpoint =
      !digest.empty() && root.has_text("format") && root.attribute<std::string>("format") == format_name;
  require<DataError>(is_checkpoint, "{} is not a checkpoint of flow_train", path);
  const auto version = root.attribute<Index>("format_version");
  require<DataError>(version <= format_version, "{} has format version {}; this program reads up to {}", path, version,
                     format_version);
  Opened opened;
  const auto facts = root.group("facts");
  for (const auto& name : facts.attribute_names()) {
    opened.facts.emplace_back(name, facts.attribute<std::string>(name));
  }
  opened.root.emplace(std::move(root));
  return opened;
}

}  // namespace

std::string previous_checkpoint(const std::string& path) {
  const fs::path file(path);
  return (file.parent_path() / (file.stem().string() + ".previous" + file.extension().string())).string();
}

std::optional<StoredRun> StoredRun::find(const comm::Communicator& comm, const std::string& path, const Warn& warn) {
  StoredRun run;
  bool is_there = false;
  comm::agree(comm, [&] {
    if (!comm.is_root()) return;
    std::string problems;
    for (const auto& name : {path, previous_checkpoint(path)}) {
      std::error_code error;
      if (is_there || !fs::exists(name, error)) continue;
      try {
        auto opened = open_checkpoint(name);
        run.path_ = name;
        run.root_ = std::move(opened.root);
        run.facts_ = std::move(opened.facts);
        is_there = true;
      } catch (const Error& problem) {
        if (warn) warn(problem.what());
        problems += (problems.empty() ? "" : "; ") + std::string(problem.what());
      }
    }
    require<IoError>(is_there || problems.empty(), "no checkpoint can be used: {}. --restart never starts anew",
                     problems);
  });
  std::string text = is_there ? run.path_ : "";
  comm.broadcast(text);
  if (text.empty()) return std::nullopt;
  run.path_ = text;
  auto count = static_cast<Index>(run.facts_.size());
  comm.broadcast(std::span(&count, 1));
  run.facts_.resize(count);
  for (auto& [name, value] : run.facts_) {
    comm.broadcast(name);
    comm.broadcast(value);
  }
  return run;
}

std::string StoredRun::fact(const std::string& name) const {
  const auto found = std::ranges::find(facts_, name, &RunFacts::value_type::first);
  return found == facts_.end() ? "" : found->second;
}

Index StoredRun::counter(const std::string& name) const {
  const auto values = root_->group("state").dataset(name).read<Index>();
  require<DataError>(values.size() == 1, "{}: state/{} has {} values, not one", path_, name, values.size());
  return values.front();
}

std::vector<HistoryRow> StoredRun::restore(const comm::Communicator& comm, const StateSet& state,
                                           const LossNames& loss) const {
  std::vector<HistoryRow> rows;
  comm::agree(comm, [&] {
    if (!comm.is_root()) return;
    read_state(root_->group("state"), state);
    rows = History::read(*root_, loss);
  });
  for (const auto& entry : state.entries()) comm.broadcast(bytes_of(entry));
  return rows;
}

CheckpointWriter::CheckpointWriter(const comm::Communicator& comm, std::string path, const CheckpointInterval& interval,
                                   RunFacts facts)
    : comm_(comm), path_(std::move(path)), interval_(interval), facts_(std::move(facts)) {}

bool CheckpointWriter::is_overdue() const {
  return comm_.is_root() && interval_.seconds > 0 && since_.seconds() >= interval_.seconds;
}

void CheckpointWriter::require_equal_replicas(const StateSet& state) const {
  const auto mine = static_cast<Index>(checksum(state));
  Index first = mine;
  comm_.broadcast(std::span(&first, 1));
  comm::agree(comm_, [&] {
    require<NumericalError>(mine == first,
                            "the state of this rank is not that of rank 0: a processor or its memory is at fault, or "
                            "the ranks run on processors that round in different ways");
  });
}

std::string CheckpointWriter::write(const StateSet& state, const History& history) {
  const PhaseScope scope(Phase::input_output);
  require_equal_replicas(state);
  std::string problem;
  if (comm_.is_root()) {
    try {
      h5::FileImage file(format_name, format_version, h5::Seal::yes);
      write_state(file.root().make_group("state"), state);
      const auto facts = file.root().make_group("facts");
      for (const auto& [name, text] : facts_) facts.attribute(name, text);
      history.write(file.root());
      h5::Replacement replacement(path_);
      const auto bytes = file.finish();
      replacement.write(bytes);
      replacement.flush();
      require_readable(replacement.temporary(), h5::digest_of(bytes));
      replacement.commit_keeping(previous_checkpoint(path_));
    } catch (const Error& error) {
      problem = error.what();
    }
  }
  since_.restart();
  return problem;
}

}  // namespace pushforward::train

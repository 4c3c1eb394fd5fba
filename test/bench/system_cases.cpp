#include "case.hpp"
#include "subject.hpp"

#include <pushforward/dataset/dataset_writer.hpp>
#include <pushforward/model/model.hpp>
#include <pushforward/train/gradient_sum.hpp>
#include <pushforward/train/training_data.hpp>

#include <algorithm>
#include <filesystem>

#include <unistd.h>

namespace pushforward::bench {

namespace {

using data::Split;

// A folder of this run, the same on all ranks of a node, gone with the object on the first: when that has met the
// others for the last time, they must be done with it.
class Folder {
 public:
  explicit Folder(const comm::Communicator& comm) : comm_(comm) {
    comm::agree(comm, [&] {
      if (!comm.is_root()) return;
      auto name = (std::filesystem::temp_directory_path() / "pushforward-bench-XXXXXX").string();
      require<IoError>(mkdtemp(name.data()) != nullptr, "{}: cannot be made", name);
      path_ = name;
    });
    comm.broadcast(path_);
  }
  ~Folder() {
    std::error_code ignored;
    if (comm_.is_root()) std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  const comm::Communicator& comm_;
  std::string path_;
};

// The sum of a gradient of this many floats over all ranks, as a training step has it.
Result time_all_reduce(const Session& session, Index size) {
  if (session.tiny) size = 100;
  train::GradientSum<float> sum(session.comm, size, false);
  const auto fill = [&](float value) { std::ranges::fill(sum.gradient(0), value); };
  fill(static_cast<float>(session.comm.rank() + 1));
  const auto total = sum.reduce().gradient;
  const float expected = static_cast<float>(session.comm.size() * (session.comm.size() + 1)) / 2;
  Checks checks;
  comm::agree(session.comm, [&] {
    const std::vector<float> all(total.size(), expected);
    checks.close<float>("a sum over ranks", total, all, 1e-6);
  });
  fill(0);  // sums in place, again and again
  Result result{.precision = "float", .rows = size, .check = checks.nearest()};
  result.timing = time_repeats(session, [&] { sum.reduce(); });
  result.bytes = static_cast<double>(size) * sizeof(float);
  return result;
}

// A flow of five million parameters.
flow::Flow<float> large_flow(const Session& session) {
  return trained_flow<float>(session.tiny ? FlowShape{3, 2, {5, 5}} : FlowShape{64, 15, {512, 512}});
}

double file_bytes(const std::string& path) {
  return static_cast<double>(std::filesystem::file_size(path));
}

Result time_model_save(const Session& session) {
  const Folder folder(session.comm);
  auto flow = large_flow(session);
  flow.bake_normalization();
  const auto path = folder.file("model.h5");
  // As in training: the first rank writes, the others hear that it has.
  const auto save = [&] {
    comm::agree(session.comm, [&] {
      if (session.comm.is_root()) flow::save_model(path, data::Standardization(flow.dimension()), flow, {});
    });
  };
  save();
  Checks checks;
  comm::agree(session.comm, [&] {
    const auto model = flow::load_model<float>(path);
    checks.close("parameters read back", model.flow().parameters(), std::span<const float>(flow.parameters()), 0);
  });
  Result result{.precision = "float", .rows = flow.layout().size(), .check = checks.nearest()};
  result.bytes = file_bytes(path);
  result.timing = time_repeats(session, save);
  return result;
}

Result time_model_load(const Session& session) {
  const Folder folder(session.comm);
  auto flow = large_flow(session);
  flow.bake_normalization();
  const auto path = folder.file("model.h5");
  comm::agree(session.comm, [&] {
    if (session.comm.is_root()) flow::save_model(path, data::Standardization(flow.dimension()), flow, {});
  });
  std::optional<flow::Model<float>> model;
  const auto load = [&] { comm::agree(session.comm, [&] { model.emplace(flow::load_model<float>(path)); }); };
  load();
  Checks checks;
  comm::agree(session.comm, [&] {
    checks.close("parameters read", model->flow().parameters(), std::span<const float>(flow.parameters()), 0);
  });
  Result result{.precision = "float", .rows = flow.layout().size(), .check = checks.nearest()};
  result.bytes = file_bytes(path);
  result.timing = time_repeats(session, load);
  return result;
}

// Training rows of a file into the memory of the node, standardized.
Result time_dataset_read(const Session& session) {
  constexpr Index d = 10, few = 5;
  const Index rows = session.tiny ? 1000 : 1'250'000;  // 100 MB
  const Folder folder(session.comm);
  const auto path = folder.file("data.h5");
  const auto share = comm::share(rows, session.comm.rank(), session.comm.size());
  data::DatasetLayout layout;
  layout.rows = {rows, 0, 0};
  layout.dimension = d;
  data::DatasetWriter writer(session.comm, path, layout);
  writer.write(Split::train, share.first, normal_columns<double>(d, share.count(), share.first));
  writer.commit();

  const train::DataOptions options{.file = path};
  const auto read = [&](const std::function<void(const train::TrainingData<float>&)>& use) {
    train::TrainingData<float> data(session.comm, options);
    use(data);
    data.release();
  };
  Checks checks;
  read([&](const train::TrainingData<float>& data) {
    comm::agree(session.comm, [&] {
      Matrix<double> x(d, few), written = normal_columns<double>(d, few, rows - few);
      data.standardization().inverse<float>(data.batch(Split::train).x.columns(rows - few, few), x);
      checks.close<double>("rows read back", x.span(), written.span(), 1e-6);
    });
  });
  Result result{.precision = "float", .rows = rows, .check = checks.nearest()};
  result.bytes = file_bytes(path);
  result.timing = time_repeats(session, [&] { read([](const auto&) {}); });
  return result;
}

}  // namespace

std::vector<Case> system_cases() {
  const auto one = [](const std::string& name, const std::string& summary, auto run) {
    return Case{.name = name, .summary = summary, .run = [run](const Session& session) {
                  return std::vector<Result>{run(session)};
                }};
  };
  return {
      one("comm.all_reduce.1e1", "sum of a gradient of 10 floats over all ranks",
          [](const Session& session) { return time_all_reduce(session, 10); }),
      one("comm.all_reduce.1e5", "sum of a gradient of 10⁵ floats over all ranks",
          [](const Session& session) { return time_all_reduce(session, 100'000); }),
      one("comm.all_reduce.5e6", "sum of a gradient of 5·10⁶ floats over all ranks",
          [](const Session& session) { return time_all_reduce(session, 5'000'000); }),
      one("file.model_save", "a model of 5·10⁶ parameters, written", time_model_save),
      one("file.model_load", "the same, read", time_model_load),
      one("file.dataset_read", "100 MB of training rows, read and standardized", time_dataset_read),
  };
}

}  // namespace pushforward::bench

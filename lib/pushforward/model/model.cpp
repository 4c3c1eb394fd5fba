#include <pushforward/core/chunks.hpp>
#include <pushforward/h5/sealed.hpp>
#include <pushforward/model/model.hpp>
#include <pushforward/model/option_attributes.hpp>
#include <pushforward/transforms/described.hpp>

#include <array>
#include <cmath>
#include <type_traits>

namespace pushforward::flow {

namespace {

constexpr std::string_view format_name = "pushforward-model";
constexpr Index format_version = 2;
// Files of the first version have no seal.
constexpr Index first_version = 1;

// Number of samples that are converted at a time between the data's units in double and the flow's units in T.
constexpr Index slab = 4096;

void write_shape(const h5::GroupWriter& group, std::string_view name, const Shape& s) {
  group.attribute(name, std::vector<double>{double(s.height), double(s.width), double(s.channels)});
}

Shape read_shape(const h5::Group& group, std::string_view name) {
  const auto values = group.attribute<std::vector<double>>(name);
  constexpr double most = 1e6;  // so that the product is a number, too
  require<DataError>(
      values.size() == 3 && std::all_of(values.begin(), values.end(), [](double v) { return v >= 1 && v <= most; }),
      "{}: attribute {} is not height, width and channels", group.where(), name);
  return {std::llround(values[0]), std::llround(values[1]), std::llround(values[2])};
}

template <class T>
void write_flow(const h5::GroupWriter& root, const Flow<T>& flow) {
  const auto group = root.make_group("flow");
  const Architecture& a = flow.architecture();
  group.attribute("dimension", flow.dimension());
  write_shape(group, "shape", a.data.shape);
  group.attribute("periodic", std::vector<double>(a.data.periodic.begin(), a.data.periodic.end()));
  group.attribute("spheres", sphere_marks(a.data.spheres, a.data.size()));
  group.attribute("context", a.data.context);
  group.attribute("optional_context", a.data.optional_context);
  group.attribute("precision", std::is_same_v<T, float> ? "float" : "double");
  group.attribute("parameters", flow.layout().size());
  group.attribute("length", std::ssize(a.chain));
  const auto transforms = group.make_group("transforms");
  for (std::size_t k = 0; k < a.chain.size(); ++k) {
    const auto transform = transforms.make_group(fmt::format("{:03d}", k));
    TransformOptions options = a.chain[k];
    transform.attribute("kind", options.kind());
    write_options(transform, options.declare());
    if (const auto* const described = dynamic_cast<const Described*>(flow.transforms()[k].get())) {
      for (const auto& fact : described->describe()) {
        std::visit([&](const auto& value) { transform.attribute(fact.name, value); }, fact.value);
      }
    }
  }
  BaseOptions base = a.base;
  write_options(group.make_group("base"), base.declare());
  for (std::size_t b = 0; b < flow.layout().blocks().size(); ++b) {
    const auto& block = flow.layout().blocks()[b];
    const auto values = nn::block_view(flow.layout(), static_cast<Index>(b), flow.parameters());
    if (block.is_vector) {
      group.write(block.name, std::span<const T>(values.data(), static_cast<std::size_t>(block.rows)));
    } else {
      const bool weight = block.name.ends_with("/weight");
      group.write(block.name, values, {.units = "", .long_name = weight ? "weight, (in, out)" : ""});
    }
  }
}

void write_provenance(const h5::GroupWriter& root, const ModelNotes& notes) {
  const auto group = root.make_group("provenance");
  for (const auto& [name, text] : notes.provenance) group.attribute(name, text);
}

// most: larger numbers of columns, transforms and contexts than the file can hold are damage.
Architecture read_architecture(const h5::Group& group, double most) {
  Architecture a{.data = {.shape = read_shape(group, "shape"), .context = group.attribute<Index>("context")},
                 .chain = {}};
  if (group.has_attribute("periodic")) {  // an empty list is left out
    for (const double row : group.attribute<std::vector<double>>("periodic")) {
      require<DataError>(row >= 0 && row < most, "{}: there is no column {}", group.where(), row);
      a.data.periodic.push_back(std::llround(row));
    }
  }
  const double size = static_cast<double>(a.data.shape.height) * static_cast<double>(a.data.shape.width) *
                      static_cast<double>(a.data.shape.channels);
  require<DataError>(size <= most && static_cast<double>(a.data.context) <= most,
                     "{}: samples of {:.0f} values and contexts of {} cannot be in this file", group.where(), size,
                     a.data.context);
  if (group.has_attribute("spheres")) {
    const auto marks = group.attribute<std::vector<double>>("spheres");
    require<DataError>(std::ssize(marks) == a.data.size(), "{}: attribute spheres has {} numbers for {} columns",
                       group.where(), marks.size(), a.data.size());
    try {
      a.data.spheres = spheres_of(marks);
      check_spheres(a.data.spheres, a.data.periodic, a.data.size());
    } catch (const Error& error) {
      throw DataError(fmt::format("{}: attribute spheres: {}", group.where(), error.what()));
    }
  }
  if (group.has_attribute("optional_context")) a.data.optional_context = group.attribute<bool>("optional_context");
  const auto length = group.attribute<Index>("length");
  require<DataError>(length >= 0 && a.data.context >= 0, "{}: length {} and context {} must not be negative",
                     group.where(), length, a.data.context);
  for (Index k = 0; k < length; ++k) {
    const auto transform = group.group(fmt::format("transforms/{:03d}", k));
    OptionSet options = a.chain.emplace_back(transform.attribute<std::string>("kind")).declare();
    read_options(transform, options);
  }
  OptionSet base = a.base.declare();
  read_options(group.group("base"), base);
  return a;
}

template <class T>
Flow<T> read_flow(const h5::Group& root) {
  const auto group = root.group("flow");
  // The file holds them all, in four bytes or more each.
  const double most_parameters = group.file_bytes() / sizeof(float);
  Flow<T> flow(read_architecture(group, most_parameters), 0, Flow<T>::bytes_of_parameter, most_parameters);
  for (const auto& block : flow.layout().blocks()) {
    const auto dataset = group.dataset(block.name);
    const std::vector<Index> shape =
        block.is_vector ? std::vector<Index>{block.rows} : std::vector<Index>{block.cols, block.rows};
    require<DataError>(dataset.shape() == shape, "{} has shape ({}) where the model's architecture wants ({})",
                       dataset.where(), fmt::join(dataset.shape(), ", "), fmt::join(shape, ", "));
    const auto values = dataset.template read<T>();
    std::copy(values.begin(), values.end(), flow.parameters().begin() + block.offset);
  }
  flow.prepare(Normalization::stored);
  return flow;
}

void write_standardization(const h5::GroupWriter& group, const data::Standardization& s) {
  group.attribute("kind", data::kind_name(s.kind()));
  group.attribute("log_det", s.log_det());
  group.write("mean", s.mean());
  if (s.is_diagonal()) {
    group.write<double>("factor", s.factor().span(), {.units = "", .long_name = "the diagonal of L: x = mean + L z"});
    return;
  }
  // Rows of the file are columns in memory: the transpose makes the file's array the lower triangle.
  Matrix<double> transposed(s.dimension(), s.dimension());
  for (Index j = 0; j < s.dimension(); ++j) {
    for (Index i = 0; i < s.dimension(); ++i) transposed(j, i) = s.factor()(i, j);
  }
  group.write<double>("factor", transposed.view(), {.units = "", .long_name = "L, lower triangular: x = mean + L z"});
}

// Reads L: (d, d), or its diagonal (d). Files of format version 1 have (d, d) for all kinds.
data::Standardization read_standardization(const h5::Group& group) {
  const auto kind = data::parse_kind(group.attribute<std::string>("kind"));
  auto mean = group.dataset("mean").read<double>();
  const auto d = static_cast<Index>(mean.size());
  const auto dataset = group.dataset("factor");
  const auto shape = dataset.shape();
  const bool whitens = kind == data::Standardization::Kind::whiten;
  const bool is_matrix = shape == std::vector<Index>{d, d};
  require<DataError>(is_matrix || (!whitens && shape == std::vector<Index>{d}),
                     "{} has shape ({}) for {} columns and kind {}", dataset.where(), fmt::join(shape, ", "), d,
                     data::kind_name(kind));
  const auto stored = dataset.read<double>();
  Matrix<double> factor(d, whitens ? d : 1);
  for (Index j = 0; j < factor.cols(); ++j) {
    for (Index i = 0; i < d; ++i) factor(i, j) = stored[whitens ? i * d + j : i * (is_matrix ? d + 1 : 1)];
  }
  return {kind, std::move(mean), std::move(factor)};
}

template <class T>
Model<T> read_model(const h5::Group& root, const std::string& digest) {
  ModelNotes notes;
  notes.digest = digest;
  if (root.has("feature_names")) notes.feature_names = root.dataset("feature_names").read_strings();
  if (root.has_attribute("image_shape")) notes.image = read_shape(root, "image_shape");
  if (root.has_attribute("latents")) {
    const auto latents = root.attribute<std::string>("latents");
    require<DataError>(latents == "source", "the attribute 'latents' is '{}', and only 'source' is known", latents);
    notes.maps_source = true;
  }
  if (root.has_attribute("entropy")) notes.entropy = root.attribute<double>("entropy");
  const auto provenance = root.group("provenance");
  for (const auto& name : provenance.attribute_names()) {
    notes.provenance.emplace_back(name, provenance.attribute<std::string>(name));
  }
  std::optional<ModelContext> context;
  if (root.has("context")) {
    const auto group = root.group("context");
    context.emplace(ModelContext{read_standardization(group), {}});
    if (group.has("feature_names")) context->names = group.dataset("feature_names").read_strings();
  }
  return {read_standardization(root.group("standardization")), read_flow<T>(root), std::move(notes),
          std::move(context)};
}

}  // namespace

template <class T>
Model<T>::Model(data::Standardization standardization, Flow<T> flow, ModelNotes notes,
                std::optional<ModelContext> context)
    : standardization_(std::move(standardization)),
      flow_(std::move(flow)),
      notes_(std::move(notes)),
      context_(std::move(context)) {
  require<ShapeError>(standardization_.dimension() == flow_.dimension(),
                      "model: a standardization of {} columns before a flow of dimension {}",
                      standardization_.dimension(), flow_.dimension());
  const Index given = context_ ? context_->standardization.dimension() : 0, wanted = flow_.architecture().data.context;
  require<ShapeError>(given == wanted, "model: a context of {} values for a flow that is conditioned on {}", given,
                      wanted);
}

template <class T>
void Model<T>::set_log_det(const logdet::Method& method) {
  flow_.set_log_det(Pass::evaluate, method);
  log_det_ = method;
}

template <class T>
void Model<T>::require_context(const char* name, Index n, ConstMatrixView<double> context) const {
  const Index wanted = flow_.architecture().data.context;
  require<ShapeError>(context.rows() == wanted && (wanted == 0 || context.cols() == n),
                      "{}: a context of ({} × {}) for {} samples of a model that is conditioned on {} values", name,
                      context.rows(), context.cols(), n, wanted);
}

template <class T>
void Model<T>::log_prob(const Batch<double>& batch, std::span<double> log_prob, MatrixView<double> z,
                        std::span<Status> status, FlowWorkspace<T>& workspace, const IntegrationReport& report) const {
  const Index d = dimension(), n = batch.size();
  require<ShapeError>(batch.x.rows() == d, "log_prob: samples of {} columns for a model of dimension {}",
                      batch.x.rows(), d);
  require_context("log_prob", n, batch.context);
  Matrix<T> standardized(d, std::min(slab, n)), latent(d, std::min(slab, n)),
      given(batch.context.rows(), standardized.cols());
  in_chunks(n, slab, [&](Index first, Index count) {
    const auto chunk = batch.part(first, count);
    const auto at = static_cast<std::size_t>(first), size = static_cast<std::size_t>(count);
    const auto y = standardized.view().columns(0, count), to = latent.view().columns(0, count);
    const auto u = given.view().columns(0, count);
    standardization_.forward(chunk.x, y);
    if (context_) context_->standardization.forward(chunk.context, u);
    flow_.log_prob({.x = y, .context = u, .draws = chunk.draws}, log_prob.subspan(at, size),
                   z.empty() ? MatrixView<T>() : to, status.subspan(at, size), workspace, report.part(first, count));
    for (double& value : log_prob.subspan(at, size)) value += standardization_.log_det();
    for (Index j = 0; !z.empty() && j < count; ++j) std::copy_n(to.column(j), d, z.column(first + j));
  });
}

template <class T>
void Model<T>::inverse(ConstMatrixView<double> z, MatrixView<double> x, std::span<double> log_prob,
                       std::span<Status> status, const InverseOptions& options, FlowWorkspace<T>& workspace,
                       ConstMatrixView<double> context, const IntegrationReport& report,
                       const logdet::Draws& draws) const {
  const Index d = dimension(), n = z.cols();
  require<ShapeError>(z.rows() == d && x.rows() == d && x.cols() == n,
                      "inverse: latents ({} × {}) into samples ({} × {}) of a model of dimension {}", z.rows(), n,
                      x.rows(), x.cols(), d);
  require_context("inverse", n, context);
  Matrix<T> latent(d, std::min(slab, n)), standardized(d, std::min(slab, n)), given(context.rows(), latent.cols());
  in_chunks(n, slab, [&](Index first, Index count) {
    const auto at = static_cast<std::size_t>(first), size = static_cast<std::size_t>(count);
    const auto from = latent.view().columns(0, count), y = standardized.view().columns(0, count);
    for (Index j = 0; j < count; ++j) {
      for (Index i = 0; i < d; ++i) from(i, j) = static_cast<T>(z(i, first + j));
    }
    const auto u = given.view().columns(0, count);
    if (context_) context_->standardization.forward(context.columns(first, count), u);
    flow_.inverse(from, y, log_prob.subspan(at, size), status.subspan(at, size), options, workspace, u,
                  report.part(first, count), draws.from(first));
    standardization_.inverse<T>(y, x.columns(first, count));
    for (double& value : log_prob.subspan(at, size)) value += standardization_.log_det();
  });
}

template <class T>
void save_model(const std::string& path, const data::Standardization& standardization, const Flow<T>& flow,
                const ModelNotes& notes, const std::optional<ModelContext>& context,
                const std::function<void(const h5::GroupWriter&)>& add) {
  h5::FileImage file(format_name, format_version, h5::Seal::yes);
  const auto& root = file.root();
  write_standardization(root.make_group("standardization"), standardization);
  if (context) {
    const auto group = root.make_group("context");
    write_standardization(group, context->standardization);
    if (!context->names.empty()) group.write_strings("feature_names", context->names);
  }
  write_flow(root, flow);
  if (notes.image) write_shape(root, "image_shape", *notes.image);
  if (!notes.feature_names.empty()) root.write_strings("feature_names", notes.feature_names);
  if (notes.entropy) root.attribute("entropy", *notes.entropy);
  if (notes.maps_source) root.attribute("latents", std::string("source"));
  write_provenance(root, notes);
  if (add) add(root);
  file.save(path);
}

template <class T>
Model<T> load_model(const std::string& path) {
  const auto [root, digest] = h5::open_sealed(path);
  const bool is_model = root.has_attribute("format") && root.attribute<std::string>("format") == format_name;
  require<DataError>(is_model, "{} is not a model file (its attribute 'format' is not '{}'); train one with flow_train",
                     path, format_name);
  const Index version = root.attribute<Index>("format_version");
  require<DataError>(version <= format_version, "{} has format version {}; this program reads up to {}", path, version,
                     format_version);
  require<DataError>(version <= first_version || !digest.empty(),
                     "{} is damaged: a model of format {} has a seal in front, and this file has none", path, version);
  try {
    return read_model<T>(root, digest);
  } catch (const Error& error) {
    // The parts throw without knowing the name of the file, so it is added here.
    const bool named = std::string_view(error.what()).find(path) != std::string_view::npos;
    if (error.kind() == ErrorKind::io || (named && error.kind() == ErrorKind::data)) throw;
    throw DataError(named ? error.what() : fmt::format("{} holds no usable model: {}", path, error.what()));
  }
}

template class Model<float>;
template class Model<double>;
template void save_model(const std::string&, const data::Standardization&, const Flow<float>&, const ModelNotes&,
                         const std::optional<ModelContext>&, const std::function<void(const h5::GroupWriter&)>&);
template void save_model(const std::string&, const data::Standardization&, const Flow<double>&, const ModelNotes&,
                         const std::optional<ModelContext>&, const std::function<void(const h5::GroupWriter&)>&);
template Model<float> load_model(const std::string&);
template Model<double> load_model(const std::string&);

}  // namespace pushforward::flow

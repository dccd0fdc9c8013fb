// VSAG (https://github.com/antgroup/vsag, Apache-2.0): HGraph with a vsag::Filter, which tells the
// share that matches as well. Linked with the shared library of the package pyvsag.
#include <vsag/vsag.h>

#include <stdexcept>
#include <vector>

#include "peer.hpp"

namespace {

class Mask final : public vsag::Filter {
 public:
  Mask(const std::uint8_t* mask, double share) : mask_(mask), share_(static_cast<float>(share)) {}
  bool CheckValid(std::int64_t id) const override { return mask_[id] != 0; }
  float ValidRatio() const override { return share_; }

 private:
  const std::uint8_t* mask_;
  float share_;
};

template <class Expected>
auto value_of(Expected outcome) {
  if (!outcome.has_value()) throw std::runtime_error(outcome.error().message);
  return std::move(outcome.value());
}

class VsagPeer final : public Peer {
 public:
  VsagPeer(const float* rows, const PeerForm& form) : dimension_(form.dimension) {
    vsag::Options::Instance().logger()->SetLevel(vsag::Logger::kOFF);
    const std::string metric = form.is_l2 ? "l2" : "ip";
    const std::string settings =
        R"({"dtype":"float32","metric_type":")" + metric + R"(","dim":)" +
        std::to_string(form.dimension) +
        R"(,"index_param":{"base_quantization_type":"fp32","build_thread_count":1,"max_degree":)" +
        std::to_string(2 * form.M) + R"(,"ef_construction":)" +
        std::to_string(form.ef_construction) + "}}";
    index_ = value_of(vsag::Factory::CreateIndex("hgraph", settings));
    std::vector<std::int64_t> ids(form.rows);
    for (std::size_t r = 0; r < ids.size(); ++r) ids[r] = static_cast<std::int64_t>(r);
    const auto base = vsag::Dataset::Make();
    base->NumElements(static_cast<std::int64_t>(form.rows))
        ->Dim(static_cast<std::int64_t>(dimension_))
        ->Ids(ids.data())
        ->Float32Vectors(rows)
        ->Owner(false);
    (void)value_of(index_->Build(base));
  }
  void search(const float* query, std::size_t k, std::size_t ef, const std::uint8_t* mask,
              double share, std::int64_t* labels) override {
    const auto asked = vsag::Dataset::Make();
    asked->NumElements(1)
        ->Dim(static_cast<std::int64_t>(dimension_))
        ->Float32Vectors(query)
        ->Owner(false);
    const vsag::FilterPtr filter = std::make_shared<Mask>(mask, share);
    const std::string settings = R"({"hgraph":{"ef_search":)" + std::to_string(ef) + "}}";
    const vsag::DatasetPtr found =
        value_of(index_->KnnSearch(asked, static_cast<std::int64_t>(k), settings, filter));
    const std::int64_t* const ids = found->GetIds();
    for (std::int64_t j = 0; j < found->GetDim(); ++j) labels[j] = ids[j];
  }

 private:
  std::size_t dimension_;
  vsag::IndexPtr index_;
};

}  // namespace

std::unique_ptr<Peer> make_peer(const float* rows, const PeerForm& form) {
  return std::make_unique<VsagPeer>(rows, form);
}

// hnswlib (https://github.com/nmslib/hnswlib, Apache-2.0) with its BaseFilterFunctor.
#include <hnswlib/hnswlib.h>

#include "peer.hpp"

namespace {

class Mask final : public hnswlib::BaseFilterFunctor {
 public:
  explicit Mask(const std::uint8_t* mask) : mask_(mask) {}
  bool operator()(hnswlib::labeltype label) override { return mask_[label] != 0; }

 private:
  const std::uint8_t* mask_;
};

class HnswlibPeer final : public Peer {
 public:
  HnswlibPeer(const float* rows, const PeerForm& form)
      : l2_(form.dimension),
        product_(form.dimension),
        index_(form.is_l2 ? static_cast<hnswlib::SpaceInterface<float>*>(&l2_) : &product_,
               form.rows, form.M, form.ef_construction) {
    for (std::size_t r = 0; r < form.rows; ++r) index_.addPoint(rows + r * form.dimension, r);
  }
  void search(const float* query, std::size_t k, std::size_t ef, const std::uint8_t* mask,
              double /*share*/, std::int64_t* labels) override {
    index_.setEf(ef);
    Mask matches(mask);
    auto found = index_.searchKnn(query, k, &matches);
    for (; !found.empty(); found.pop()) {
      labels[found.size() - 1] = static_cast<std::int64_t>(found.top().second);
    }
  }

 private:
  hnswlib::L2Space l2_;
  hnswlib::InnerProductSpace product_;
  hnswlib::HierarchicalNSW<float> index_;
};

}  // namespace

std::unique_ptr<Peer> make_peer(const float* rows, const PeerForm& form) {
  return std::make_unique<HnswlibPeer>(rows, form);
}

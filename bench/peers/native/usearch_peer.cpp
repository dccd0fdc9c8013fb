// USearch (https://github.com/unum-cloud/usearch, Apache-2.0) with the predicate of
// index_dense_t::filtered_search.
#include <stdexcept>
#include <usearch/index_dense.hpp>

#include "peer.hpp"

namespace {

namespace us = unum::usearch;

class UsearchPeer final : public Peer {
 public:
  UsearchPeer(const float* rows, const PeerForm& form) {
    const us::metric_kind_t metric =
        form.is_l2 ? us::metric_kind_t::l2sq_k : us::metric_kind_t::ip_k;
    us::index_dense_config_t config(form.M, form.ef_construction);
    auto made = us::index_dense_t::make(
        us::metric_punned_t(form.dimension, metric, us::scalar_kind_t::f32_k), config);
    expect(made.error);
    index_ = std::move(made.index);
    if (!index_.try_reserve(us::index_limits_t(form.rows, 1))) throw std::bad_alloc();
    for (std::size_t r = 0; r < form.rows; ++r) {
      auto added = index_.add(r, rows + r * form.dimension);
      expect(added.error);
    }
  }
  void search(const float* query, std::size_t k, std::size_t ef, const std::uint8_t* mask,
              double /*share*/, std::int64_t* labels) override {
    index_.change_expansion_search(ef);
    auto found = index_.filtered_search(
        query, k, [mask](us::default_key_t key) noexcept { return mask[key] != 0; });
    expect(found.error);
    for (std::size_t j = 0; j < found.size(); ++j) {
      labels[j] = static_cast<std::int64_t>(found[j].member.key);
    }
  }

 private:
  static void expect(us::error_t& error) {
    if (error) throw std::runtime_error(error.release());
  }
  us::index_dense_t index_;
};

}  // namespace

std::unique_ptr<Peer> make_peer(const float* rows, const PeerForm& form) {
  return std::make_unique<UsearchPeer>(rows, form);
}

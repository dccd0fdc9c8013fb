#include "bench/tool/hnswlib_peer.hpp"

namespace concord::bench {

#if defined(CONCORD_BENCH_HAS_HNSWLIB)
std::unique_ptr<HnswlibPeer> make_hnswlib_peer_v1(const IndexParams& params);
std::unique_ptr<HnswlibPeer> make_hnswlib_peer_v3(const IndexParams& params);
std::unique_ptr<HnswlibPeer> make_hnswlib_peer_v4(const IndexParams& params);

bool hnswlib_supported() noexcept { return true; }

std::unique_ptr<HnswlibPeer> make_hnswlib_peer(const IndexParams& params) {
  if (__builtin_cpu_supports("x86-64-v4")) return make_hnswlib_peer_v4(params);
  if (__builtin_cpu_supports("x86-64-v3")) return make_hnswlib_peer_v3(params);
  return make_hnswlib_peer_v1(params);
}
#else
bool hnswlib_supported() noexcept { return false; }

std::unique_ptr<HnswlibPeer> make_hnswlib_peer(const IndexParams&) {
  throw InputError(
      "this concord-bench was built without hnswlib; install libhnswlib-dev and build again");
}
#endif

HnswlibPeer::~HnswlibPeer() = default;

}  // namespace concord::bench

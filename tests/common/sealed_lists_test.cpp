// A list of a sealed version, read while the writer appends to it.

#include <array>
#include <atomic>
#include <thread>

#include "common/graph/graph.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/support.hpp"

namespace concord::core {
namespace {

// A device's lists are gathered while the next epoch is committed. Once the epoch of a list's last
// change was read before its degree, and an id appended between the two was taken for a sealed one.
TEST(SealedVersions, AReaderBesideTheWriterTakesNoNewIdForASealedOne) {
  constexpr NodeId kRows = 50000;
  constexpr NodeId kEnd = 100;
  const Graph graph(test::make_params(1, 4, 10, 64));
  const SealedVersion version{kEnd, 5, false, {}};
  LinkTable lists(8);
  lists.resize(kRows);
  const std::array<NodeId, 3> sealed = {1, 2, 3};
  for (ListIndex list = 0; list < kRows; ++list) lists.fill(list, sealed, 1);
  lists.reserve_epoch(kRows, 0);
  std::atomic<ListIndex> at{
      0};  // the list whose turn it is; each waits for the other's first visit
  std::atomic<ListIndex> visited{0};
  std::thread writer([&] {
    for (ListIndex list = 0; list < kRows; ++list) {
      at = list;
      for (int spins = 0; visited < list && spins < 1000; ++spins) {
      }
      lists.append(list, kEnd + list, 5);
    }
    at = kRows;
  });
  std::size_t new_ids = 0;
  for (ListIndex list = 0; (list = at) < kRows;) {
    std::array<NodeId, 16> ids;
    const std::uint32_t n = graph.read_sealed_list(version, lists, list, ids.data());
    new_ids += n == sealed.size() ? 0 : 1;
    visited = list;
  }
  writer.join();
  EXPECT_EQ(new_ids, 0u);
}

}  // namespace
}  // namespace concord::core

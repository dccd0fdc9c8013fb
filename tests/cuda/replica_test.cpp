// A replica with a device, which answers its searches between one catch_up() and the next. The
// device sees lists that it has proposed none of, behind unlinking seals, slides and compactions.

#include <concord/replica.hpp>
#include <random>

#include "tests/cuda/host_devices.hpp"

namespace concord::test {
namespace {

/// Does one change drawn by `random` to an index of `data`, whose labels are numbers of insertion.
void change(Index& index, const Matrix& data, std::mt19937_64& random) {
  const std::size_t next = index.stats().insertions;
  std::vector<std::uint64_t> labels = index.labels();
  std::shuffle(labels.begin(), labels.end(), random);
  const std::size_t some = 1 + random() % 150;
  switch (random() % 6) {
    case 0:
      labels.resize(std::min(labels.size() / 2, some));
      index.remove(labels);
      break;
    case 1:
      labels.resize(std::min(labels.size(), some));
      index.update(data.slice(next, labels.size()), labels);
      break;
    case 2:
      index.flush();
      break;
    case 3:
      index.compact();
      break;
    default: {
      std::vector<std::uint64_t> fresh(some);
      for (std::size_t i = 0; i < some; ++i) fresh[i] = next + i;
      index.add(data.slice(next, some), fresh);
    }
  }
}

TEST(ReplicaWithADevice, GivesTheWritersAnswers) {
  HostDevices devices;
  const Matrix data = make_data(Shape::clustered, 8000, 8, 3);
  for (std::uint64_t seed = 1; seed <= scaled(2, 1); ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    const TempPath path;
    Index index = Index::open(path, make_params(8, 6, 24, 64), Durability::system, on("cpu"));
    index.add(data.slice(0, 300));
    Replica replica = Replica::open(path, on("cuda"));
    for (int round = 0; round < 30; ++round) {
      change(index, data, random);
      if (random() % 3 == 0) continue;
      replica.catch_up();
      const std::shared_ptr<const Index> shown = replica.index();
      const auto queries = data.slice(random() % 100, 70);
      expect_same(shown->search(queries, {5, 20}), index.search(queries, {5, 20}));
      expect_same(shown->exact_search(queries, 7), index.exact_search(queries, 7));
      ASSERT_EQ(shown->digest(), index.digest());
      ASSERT_EQ(shown->stats().device.name, "host team");
      ASSERT_FALSE(HasFailure()) << "round " << round;
    }
    EXPECT_GT(replica.index()->stats().device.bytes_in, 0u);
    const std::string digest = index.digest();
    { const Index closed = std::move(index); }
    const std::shared_ptr<Index> promoted = replica.promote(Durability::system);
    EXPECT_EQ(promoted->digest(), digest);
    promoted->compact();
    Index reference = Index::load(path, on("cpu"));
    const std::size_t next = promoted->stats().insertions;
    for (Index* const both : {promoted.get(), &reference}) {
      std::vector<std::uint64_t> labels(200);
      for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = next + i;
      both->add(data.slice(next, 200), labels);
    }
    EXPECT_EQ(promoted->digest(), reference.digest()) << "the device proposes for it";
  }
}

}  // namespace
}  // namespace concord::test

// The C++ side of overhead.py: the same calls on the same data in the same process, timed in C++.
#include <concord/index.hpp>
#include <cstdint>
#include <ctime>
#include <vector>

namespace {

/// Processor time of the calling thread.
double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

template <class Work>
double seconds(const Work& work) {
  const double start = thread_seconds();
  work();
  return thread_seconds() - start;
}

}  // namespace

extern "C" {

void* peer_make(std::uint32_t dim, unsigned threads) {
  concord::IndexParams params;
  params.dimension = dim;
  concord::RuntimeOptions options;
  options.threads = threads;
  options.device = "cpu";
  return new concord::Index(params, options);
}

void peer_free(void* index) { delete static_cast<concord::Index*>(index); }

double peer_add(void* index, const float* rows, std::size_t n, std::size_t dim, std::size_t batch) {
  return seconds([&] {
    for (std::size_t first = 0; first < n; first += batch) {
      static_cast<concord::Index*>(index)->add({rows + first * dim, batch, dim});
    }
  });
}

double peer_search(const void* index, const float* rows, std::size_t n, std::size_t dim,
                   std::size_t batch, std::uint32_t k, std::uint32_t ef) {
  std::vector<std::uint64_t> labels(batch * k);
  std::vector<float> distances(batch * k);
  std::vector<std::uint32_t> counts(batch);
  return seconds([&] {
    for (std::size_t first = 0; first < n; first += batch) {
      static_cast<const concord::Index*>(index)->search({rows + first * dim, batch, dim}, {k, ef},
                                                        {labels.data(), batch, k},
                                                        {distances.data(), batch, k}, counts);
    }
  });
}
}

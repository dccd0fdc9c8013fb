// A program that uses the library.

#include <concord/index.hpp>
#include <vector>

int main() {
  const std::vector<float> values(1600);
  concord::IndexParams params;
  params.dimension = 16;
  concord::Index index(params);
  index.add({values.data(), 100, 16});
  return index.search({values.data(), 1, 16}).labels[0] == 0 ? 0 : 1;
}

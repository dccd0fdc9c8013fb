// Runs a fuzz target without libFuzzer: on every file of its corpus, and on mutations of them that
// are the same in every run.
//
//   concord_fuzz_<name> FOLDER MUTATIONS     MUTATIONS in all, scaled by CONCORD_TEST_SCALE
//   concord_fuzz_<name> FILE                 one input, as libFuzzer keeps it

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "tests/fuzz/fuzz_target.hpp"
#include "tests/support/data_sets.hpp"
#include "tests/support/support.hpp"

namespace concord::fuzz {
namespace {

using test::hash;

void run(const std::vector<char>& bytes) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

// One change: a bit, a byte, a word of a kind that breaks sizes, a cut, a piece moved.
void mutate(std::vector<char>& bytes, std::uint64_t round, std::uint64_t change) {
  if (bytes.size() < 8) return;
  constexpr std::uint32_t kWords[] = {0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x10000, 64, 65};
  const std::uint64_t value = hash(round, 2, change);
  const std::size_t at = hash(round, 3, change) % (bytes.size() - 7);
  const auto put = [&](std::size_t where, std::uint32_t word) {
    std::memcpy(bytes.data() + where, &word, sizeof word);
  };
  switch (hash(round, 4, change) % 8) {
    case 0:
    case 1:
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << (value % 8)));
      break;
    case 2:
      bytes[at] = static_cast<char>(value);
      break;
    case 3:
      put(at / 4 * 4, kWords[value % std::size(kWords)]);
      break;
    case 4:
      put(at / 4 * 4, static_cast<std::uint32_t>(value % 100));
      break;
    case 5:
      put(at / 8 * 8 + 4, kWords[value % std::size(kWords)]);
      break;
    case 6:
      std::copy_n(bytes.data() + value % (bytes.size() - 7), 8, bytes.data() + at);
      break;
    default:
      if (value % 4 == 0) bytes.resize(at);
  }
}

int replay(const std::filesystem::path& path, std::size_t mutations) {
  if (std::filesystem::is_regular_file(path)) {
    run(test::read_file(path));
    return 0;
  }
  std::vector<std::filesystem::path> names;
  for (const auto& entry : std::filesystem::directory_iterator(path)) names.push_back(entry.path());
  std::sort(names.begin(), names.end());
  if (names.empty()) fail(path.string() + " holds no corpus");
  std::vector<std::vector<char>> corpus;
  for (const auto& name : names) corpus.push_back(test::read_file(name));
  for (const auto& bytes : corpus) run(bytes);
  for (std::uint64_t round = 0; round < mutations; ++round) {
    std::vector<char> bytes = corpus[hash(round, 0) % corpus.size()];
    for (std::uint64_t c = 0; c < 1 + hash(round, 1) % 4; ++c) mutate(bytes, round, c);
    run(bytes);
  }
  std::printf("%zu files, %zu mutations\n", corpus.size(), mutations);
  return 0;
}

}  // namespace
}  // namespace concord::fuzz

int main(int argc, char** argv) {
  const auto mutations = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 0;
  if (argc < 2) concord::fuzz::fail("names of a corpus folder and a number of mutations expected");
  return concord::fuzz::replay(argv[1], concord::test::scaled(mutations));
}

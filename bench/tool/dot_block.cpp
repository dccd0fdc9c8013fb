#include "bench/tool/dot_block.hpp"

namespace concord::bench {

void dot_block_v1(const float*, std::size_t, const float*, std::size_t, std::size_t, float*);
#if defined(CONCORD_BENCH_HAS_VARIANTS)
void dot_block_v3(const float*, std::size_t, const float*, std::size_t, std::size_t, float*);
void dot_block_v4(const float*, std::size_t, const float*, std::size_t, std::size_t, float*);
#endif

DotBlock best_dot_block() noexcept {
#if defined(CONCORD_BENCH_HAS_VARIANTS)
  if (__builtin_cpu_supports("x86-64-v4")) return dot_block_v4;
  if (__builtin_cpu_supports("x86-64-v3")) return dot_block_v3;
#endif
  return dot_block_v1;
}

}  // namespace concord::bench

#include "bench/tool/progress_bar.hpp"

#include <unistd.h>

#include <cstdio>

#include "bench/tool/table.hpp"

namespace concord::bench {

ProgressBar::ProgressBar(std::string label, std::uint64_t total)
    : label_(std::move(label)), total_(total), shown_(total > 0 && isatty(STDERR_FILENO) == 1) {}

ProgressBar::~ProgressBar() {
  if (shown_) std::fputs("\r\033[K", stderr);
}

void ProgressBar::update(std::uint64_t done) {
  if (!shown_) return;
  const Clock::time_point now = Clock::now();
  if (now - last_ < std::chrono::milliseconds(100)) return;
  last_ = now;
  draw(done, std::chrono::duration<double>(now - start_).count());
}

void ProgressBar::draw(std::uint64_t done, double seconds) {
  constexpr std::size_t kWidth = 30;
  const double share = static_cast<double>(done) / static_cast<double>(total_);
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  const double left = rate > 0 ? static_cast<double>(total_ - done) / rate : 0;
  const auto filled = static_cast<std::size_t>(share * static_cast<double>(kWidth));
  const auto whole_seconds = static_cast<unsigned>(left + 0.5);
  const std::string bar = std::string(filled, '#') + std::string(kWidth - filled, '.');
  std::fprintf(stderr, "\r\033[K%s %3.0f%% [%s] %s of %s, %s/s, %u:%02u left", label_.c_str(),
               100 * share, bar.c_str(), grouped(done).c_str(), grouped(total_).c_str(),
               whole(rate).c_str(), whole_seconds / 60, whole_seconds % 60);
}

}  // namespace concord::bench

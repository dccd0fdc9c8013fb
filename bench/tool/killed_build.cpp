#include "bench/tool/killed_build.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <concord/index.hpp>
#include <csignal>
#include <cstdio>
#include <stdexcept>
#include <system_error>

namespace concord::bench {
namespace {

constexpr int kFailed = 1;

/// Never returns: tells the number of committed vectors to `pipe` and kills the process.
[[noreturn]] void build_and_die(const FloatMatrix& vectors, const IndexParams& params,
                                const RuntimeOptions& runtime, const std::filesystem::path& path,
                                Durability durability, std::uint64_t kill_at, int pipe) {
  try {
    Index index = Index::open(path, params, durability, runtime);
    index.add(vectors.view(), [&](std::uint64_t committed, std::uint64_t) {
      if (committed < kill_at) return true;
      const bool told = write(pipe, &committed, sizeof committed) == sizeof committed;
      if (told) kill(getpid(), SIGKILL);
      return false;
    });
  } catch (const std::exception& error) {
    std::fprintf(stderr, "concord-bench: the build failed before it was killed: %s\n",
                 error.what());
  }
  _exit(kFailed);
}

}  // namespace

std::uint64_t kill_build(const FloatMatrix& vectors, const IndexParams& params,
                         const RuntimeOptions& runtime, const std::filesystem::path& path,
                         Durability durability, std::uint64_t kill_at) {
  int pipes[2];
  if (pipe(pipes) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
  const pid_t child = fork();
  if (child == 0) build_and_die(vectors, params, runtime, path, durability, kill_at, pipes[1]);
  close(pipes[1]);
  std::uint64_t committed = 0;
  const bool told = child > 0 && read(pipes[0], &committed, sizeof committed) == sizeof committed;
  close(pipes[0]);
  int status = 0;
  const bool ended = child > 0 && waitpid(child, &status, 0) == child;
  if (!told || !ended || !WIFSIGNALED(status)) {
    throw std::runtime_error("the build ended before it was killed");
  }
  return committed;
}

}  // namespace concord::bench

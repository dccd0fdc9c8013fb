#include "bench/tool/python_program.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "bench/tool/input_error.hpp"

namespace concord::bench {

std::filesystem::path python_program(const std::string& name) {
  const auto here = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  const auto shared = here.parent_path() / "share/concord-bench";
  for (const auto& folder : {here, shared}) {
    if (std::filesystem::exists(folder / name)) return folder / name;
  }
  throw InputError("the program " + name + " is missing: it is neither in " + here.string() +
                   " nor in " + shared.string());
}

PythonOutput::PythonOutput(const std::vector<std::string>& arguments) {
  std::vector<std::string> words{"python3"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);

  std::array<int, 2> ends{};
  int error = pipe2(ends.data(), O_CLOEXEC) == 0 ? 0 : errno;
  if (error == 0) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    error = posix_spawnp(&process_, "python3", &actions, nullptr, pointers.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (error == 0)
      stream_ = fdopen(ends[0], "rb");
    else
      close(ends[0]);
  }
  if (error != 0) throw InputError(std::string("cannot start python3: ") + std::strerror(error));
}

PythonOutput::~PythonOutput() {
  std::fclose(stream_);
  waitpid(process_, nullptr, 0);
}

}  // namespace concord::bench

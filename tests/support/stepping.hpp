// Lets a test look at what it is at after every instruction: the processor's trap flag.
// Only x86-64 lets a process do that to itself. Elsewhere, and where a sanitizer's runtime is in
// the way, nothing is called.
#pragma once

#include <csignal>

namespace concord::test {

/// Calls look_at(int), a signal handler, after each instruction of a scope.
class EachInstruction {
 public:
  explicit EachInstruction(void (*look_at)(int)) {
    struct sigaction action = {};
    action.sa_handler = look_at;
    sigaction(SIGTRAP, &action, &before_);
#if defined(__x86_64__)
    asm volatile("sub $128, %%rsp; pushfq; orq $0x100, (%%rsp); popfq; add $128, %%rsp" ::
                     : "memory", "cc");
#endif
  }
  ~EachInstruction() {
#if defined(__x86_64__)
    asm volatile("sub $128, %%rsp; pushfq; andq $~0x100, (%%rsp); popfq; add $128, %%rsp" ::
                     : "memory", "cc");
#endif
    sigaction(SIGTRAP, &before_, nullptr);
  }
  EachInstruction(const EachInstruction&) = delete;
  EachInstruction& operator=(const EachInstruction&) = delete;

 private:
  struct sigaction before_;
};

}  // namespace concord::test

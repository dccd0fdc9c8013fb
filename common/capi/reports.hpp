// Reports of the C interface. Each is a C struct at the base of one that owns what its pointers
// lead to, and of which it has every figure. Thread-safety: plain values.
#pragma once

#include <concord/c/reports.h>

#include <concord/explanation.hpp>
#include <concord/stats.hpp>
#include <concord/tuning.hpp>
#include <string>
#include <vector>

namespace concord::capi {

struct OwnedStats : concord_stats {
  explicit OwnedStats(Stats stats);
  OwnedStats(const OwnedStats&) = delete;  // whose pointers would lead to the other one
  OwnedStats& operator=(const OwnedStats&) = delete;
  ~OwnedStats() = default;

  Stats data;

 private:
  void take_graph();
  void take_build();
  void take_work();
};

struct OwnedAudit : concord_audit {
  explicit OwnedAudit(AuditReport report);
  OwnedAudit(const OwnedAudit&) = delete;
  OwnedAudit& operator=(const OwnedAudit&) = delete;
  ~OwnedAudit() = default;

  AuditReport data;
  std::vector<const char*> texts;
};

struct OwnedExplanation : concord_explanation {
  explicit OwnedExplanation(const Explanation& of);
  OwnedExplanation(const OwnedExplanation&) = delete;
  OwnedExplanation& operator=(const OwnedExplanation&) = delete;
  ~OwnedExplanation() = default;

  std::string words;
};

struct OwnedPresets : concord_presets {
  explicit OwnedPresets(const std::vector<Preset>& presets);
  OwnedPresets(const OwnedPresets&) = delete;
  OwnedPresets& operator=(const OwnedPresets&) = delete;
  ~OwnedPresets() = default;

  std::vector<concord_preset> data;
  std::vector<const concord_preset*> pointers;
};

concord_memory of_memory(const MemoryUse& use) noexcept;
concord_preset of_preset(const Preset& preset) noexcept;
/// Throws Error(invalid_parameter).
Preset preset_of(const concord_preset& given);

}  // namespace concord::capi

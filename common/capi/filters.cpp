// Filters and groups of the C interface.

#include <concord/c/filter.h>

#include "common/capi/guard.hpp"
#include "common/capi/handles.hpp"
#include "common/capi/rows.hpp"

using namespace concord;
using namespace concord::capi;

namespace {

template <class Make>
concord_status give_filter(concord_filter** filter, const Make& make) noexcept {
  return guarded([&] {
    expect(filter, "filter");
    give(filter, make());
  });
}

/// A figure of what a handle holds; 0 for NULL. Only a moved-from object could throw, and no handle
/// has one.
template <class Handle, class Figure>
std::size_t figure_of(const Handle* handle, const Figure& figure) noexcept {
  return handle == nullptr ? 0 : figure(*handle);
}

}  // namespace

concord_status concord_filter_of_mask(const concord_index* index, const uint8_t* mask, size_t count,
                                      concord_filter** filter) {
  return give_filter(filter, [&] {
    const auto bytes = array_of(mask, count, "mask");
    return read(index, [&](const auto& of) { return Filter::of_mask(of, bytes); });
  });
}

concord_status concord_filter_of_bits(const concord_index* index, const uint8_t* bits,
                                      size_t byte_count, size_t count, size_t offset,
                                      concord_filter** filter) {
  return give_filter(filter, [&] {
    const auto bytes = array_of(bits, byte_count, "bits");
    return read(index, [&](const auto& of) { return Filter::of_bits(of, bytes, count, offset); });
  });
}

concord_status concord_filter_of_labels(const concord_index* index, const uint64_t* labels,
                                        size_t count, concord_filter** filter) {
  return give_filter(filter, [&] {
    const auto given = array_of(labels, count, "labels");
    return read(index, [&](const auto& of) { return Filter::of_labels(of, given); });
  });
}

concord_status concord_filter_of_range(const concord_index* index, size_t first, size_t last,
                                       concord_filter** filter) {
  return give_filter(filter, [&] {
    return read(index, [&](const auto& of) { return Filter::of_range(of, first, last); });
  });
}

concord_status concord_filter_of_predicate(const concord_index* index, concord_predicate predicate,
                                           void* context, concord_filter** filter) {
  return give_filter(filter, [&] {
    expect(predicate, "predicate");
    const auto matches = [&](std::uint64_t label) {
      const int answer = predicate(context, label);
      if (answer < 0) throw Cancelled("predicate");
      return answer != 0;
    };
    return read(index, [&](const auto& of) { return Filter::of_predicate(of, matches); });
  });
}

concord_status concord_filter_and(const concord_filter* a, const concord_filter* b,
                                  concord_filter** filter) {
  return give_filter(filter, [&] { return expect(a, "a").filter & expect(b, "b").filter; });
}
concord_status concord_filter_or(const concord_filter* a, const concord_filter* b,
                                 concord_filter** filter) {
  return give_filter(filter, [&] { return expect(a, "a").filter | expect(b, "b").filter; });
}
concord_status concord_filter_not(const concord_filter* a, concord_filter** filter) {
  return give_filter(filter, [&] { return ~expect(a, "a").filter; });
}

size_t concord_filter_matches(const concord_filter* filter) {
  return figure_of(filter, [](const auto& of) { return of.filter.matches(); });
}
size_t concord_filter_size(const concord_filter* filter) {
  return figure_of(filter, [](const auto& of) { return of.filter.size(); });
}
size_t concord_filter_bytes(const concord_filter* filter) {
  return figure_of(filter, [](const auto& of) { return of.filter.bytes(); });
}
size_t concord_filter_unknown(const concord_filter* filter) {
  return figure_of(filter, [](const auto& of) { return of.filter.unknown(); });
}
void concord_filter_free(concord_filter* filter) { delete filter; }

concord_status concord_groups_of_keys(const concord_index* index, const uint64_t* keys,
                                      size_t count, concord_groups** groups) {
  return guarded([&] {
    expect(groups, "groups");
    const auto given = array_of(keys, count, "keys");
    give(groups, read(index, [&](const auto& of) { return Groups::of_keys(of, given); }));
  });
}
size_t concord_groups_size(const concord_groups* groups) {
  return figure_of(groups, [](const auto& of) { return of.groups.size(); });
}
size_t concord_groups_count(const concord_groups* groups) {
  return figure_of(groups, [](const auto& of) { return of.groups.count(); });
}
size_t concord_groups_bytes(const concord_groups* groups) {
  return figure_of(groups, [](const auto& of) { return of.groups.bytes(); });
}
void concord_groups_free(concord_groups* groups) { delete groups; }

// How the elements of vectors are kept: as bytes where bytes hold the same numbers, else as floats;
// or with 16 bits, to which vectors are rounded when they enter.
//
// A byte and the float of the same number are one element. widen() is exact. narrow() is exact or
// returns false. −0 is no byte, because its bits are not those of 0. with_type() is the one switch
// over the kinds of elements.
// Thread-safety: pure functions.
#pragma once

#include <concord/params.hpp>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "common/base/half.hpp"

namespace concord::core {

/// Files hold these numbers, so they stay.
enum class Element : std::uint8_t { u8, i8, f32, f16, bf16 };

/// True for the number of an Element.
constexpr bool is_element(std::uint32_t number) noexcept {
  return number <= static_cast<std::uint32_t>(Element::bf16);
}

/// Calls `use` with the std::type_identity of the element's type, and returns its result.
template <class Use>
constexpr decltype(auto) with_type(Element element, const Use& use) {
  switch (element) {
    case Element::u8:
      return use(std::type_identity<std::uint8_t>{});
    case Element::i8:
      return use(std::type_identity<std::int8_t>{});
    case Element::f16:
      return use(std::type_identity<Half>{});
    case Element::bf16:
      return use(std::type_identity<BFloat16>{});
    case Element::f32:
      break;
  }
  return use(std::type_identity<float>{});
}

constexpr std::size_t bytes_of(Element element) noexcept {
  return with_type(element, []<class T>(std::type_identity<T>) { return sizeof(T); });
}

/// Elements from one row to the next: the dimension rounded up to a multiple of 8.
constexpr std::uint32_t stride_of(std::uint32_t dimension) noexcept {
  return (dimension + 7) / 8 * 8;
}

/// True for 8-bit numbers.
constexpr bool are_bytes(Element element) noexcept { return bytes_of(element) == 1; }

/// The widest element that vectors of that storage are kept as.
constexpr Element widest(Storage storage) noexcept {
  if (storage == Storage::f16) return Element::f16;
  return storage == Storage::bf16 ? Element::bf16 : Element::f32;
}
/// True where vectors of that storage may be kept so.
constexpr bool fits(Element element, Storage storage) noexcept {
  return element == widest(storage) || (storage == Storage::automatic && are_bytes(element));
}

/// Writes `count` floats as `element` to `to`. False, with `to` unspecified, if `element` does not
/// hold all of these numbers.
bool narrow(const float* from, std::size_t count, Element element, void* to) noexcept;

/// Rounds `count` floats to what `element` holds, to nearest, ties to even. What is beyond its
/// largest becomes an infinity. REQUIRES an element of 16 or 32 bits.
void round(float* numbers, std::size_t count, Element element) noexcept;

/// Writes `count` elements as floats to `to`.
void widen(Element element, const void* from, std::size_t count, float* to) noexcept;

/// Whether `count` elements are the same numbers: −0 is 0. REQUIRES that none is NaN.
bool are_equal(Element element, const void* a, const void* b, std::size_t count) noexcept;

/// Finds the narrowest element that holds numbers, which are kept as `element`.
class Narrowest {
 public:
  explicit Narrowest(Element element) noexcept : element_(element) {}
  void add(const void* numbers, std::size_t count) noexcept;
  /// That holds all numbers added so far.
  [[nodiscard]] Element element() const noexcept;

 private:
  Element element_;
  bool fits_u8_ = true;
  bool fits_i8_ = true;
};

}  // namespace concord::core

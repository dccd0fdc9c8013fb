#include "common/store/element.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>

namespace concord::core {
namespace {

template <class Byte>
concept OneByte = sizeof(Byte) == 1;

// No branch, so that several elements are narrowed at once.
template <OneByte Byte>
bool narrow_to(const float* from, std::size_t count, Byte* to) noexcept {
  constexpr float kLeast = std::numeric_limits<Byte>::min();
  constexpr float kMost = std::numeric_limits<Byte>::max();
  std::uint32_t differences = 0;
  for (std::size_t e = 0; e < count; ++e) {
    const float x = from[e];
    const float within = x > kLeast ? (x < kMost ? x : kMost) : kLeast;
    const auto number = static_cast<std::int32_t>(within);
    differences |=
        std::bit_cast<std::uint32_t>(static_cast<float>(number)) ^ std::bit_cast<std::uint32_t>(x);
    to[e] = static_cast<Byte>(number);
  }
  return differences == 0;
}

template <class Small>
concept SixteenBits = sizeof(Small) == 2;

template <SixteenBits Small>
bool narrow_to(const float* from, std::size_t count, Small* to) noexcept {
  std::uint32_t differences = 0;
  for (std::size_t e = 0; e < count; ++e) {
    to[e] = Small::nearest(from[e]);
    differences |= std::bit_cast<std::uint32_t>(static_cast<float>(to[e])) ^
                   std::bit_cast<std::uint32_t>(from[e]);
  }
  return differences == 0;
}

bool narrow_to(const float* from, std::size_t count, float* to) noexcept {
  std::memcpy(to, from, count * sizeof(float));
  return true;
}

bool can_narrow(const float* elements, std::size_t count, Element to) noexcept {
  std::array<std::uint8_t, 256> unused;
  for (std::size_t e = 0; e < count; e += unused.size()) {
    if (!narrow(elements + e, std::min(unused.size(), count - e), to, unused.data())) return false;
  }
  return true;
}

template <class Bits>
Bits bits_of(const void* elements, std::size_t e) noexcept {
  Bits bits;
  std::memcpy(&bits, static_cast<const std::byte*>(elements) + e * sizeof(Bits), sizeof(Bits));
  return bits;
}

// Of numbers that are not NaN two zeros alone are equal with other bits; they differ in the sign.
template <class Bits>
bool are_equal_numbers(const void* a, const void* b, std::size_t count) noexcept {
  for (std::size_t e = 0; e < count; ++e) {
    const auto one = bits_of<Bits>(a, e);
    const auto other = bits_of<Bits>(b, e);
    if (one != other && static_cast<Bits>((one | other) << 1) != 0) return false;
  }
  return true;
}

}  // namespace

bool narrow(const float* from, std::size_t count, Element element, void* to) noexcept {
  return with_type(element, [&]<class T>(std::type_identity<T>) {
    return narrow_to(from, count, static_cast<T*>(to));
  });
}

void round(float* numbers, std::size_t count, Element element) noexcept {
  with_type(element, [&]<class T>(std::type_identity<T>) {
    if constexpr (SixteenBits<T>) {
      for (std::size_t e = 0; e < count; ++e) numbers[e] = T::nearest(numbers[e]);
    }
  });
}

void widen(Element element, const void* from, std::size_t count, float* to) noexcept {
  with_type(element, [&]<class T>(std::type_identity<T>) {
    std::copy_n(static_cast<const T*>(from), count, to);
  });
}

bool are_equal(Element element, const void* a, const void* b, std::size_t count) noexcept {
  if (std::memcmp(a, b, count * bytes_of(element)) == 0) return true;
  if (are_bytes(element)) return false;
  return element == Element::f32 ? are_equal_numbers<std::uint32_t>(a, b, count)
                                 : are_equal_numbers<std::uint16_t>(a, b, count);
}

void Narrowest::add(const void* numbers, std::size_t count) noexcept {
  if (element_ == Element::i8) {
    const auto* const bytes = static_cast<const std::int8_t*>(numbers);
    fits_u8_ = fits_u8_ && std::none_of(bytes, bytes + count, [](std::int8_t x) { return x < 0; });
  }
  if (element_ == Element::f32) {
    const auto* const floats = static_cast<const float*>(numbers);
    fits_u8_ = fits_u8_ && can_narrow(floats, count, Element::u8);
    fits_i8_ = fits_i8_ && can_narrow(floats, count, Element::i8);
  }
}

Element Narrowest::element() const noexcept {
  if (fits_u8_) return Element::u8;
  return element_ == Element::f32 && fits_i8_ ? Element::i8 : element_;
}

}  // namespace concord::core

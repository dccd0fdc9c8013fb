#include "errors.hpp"

#include <nanobind/nanobind.h>

#include <concord/error.hpp>
#include <new>

namespace nb = nanobind;

namespace concord::python {
namespace {

void raise(const char* code, const char* message) {
  const nb::object classes = nb::module_::import_("concord.errors").attr("BY_CODE");
  PyErr_SetString(nb::object(classes[code]).ptr(), message);
}

}  // namespace

void translate_errors() {
  nb::register_exception_translator([](const std::exception_ptr& thrown, void*) {
    try {
      std::rethrow_exception(thrown);
    } catch (const Error& error) {
      raise(to_string(error.code()), error.what());
    } catch (const ArrayTypeError& error) {
      raise("array_type", error.what());
    } catch (const BusyError& error) {
      raise("busy", error.what());
    } catch (const std::bad_alloc&) {
      raise("out_of_memory", "the system refused memory");
    }
  });
}

}  // namespace concord::python

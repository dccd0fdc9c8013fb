#include "errors.hpp"

#include <nanobind/nanobind.h>

#include <concord/error.hpp>
#include <concord/replica.hpp>
#include <new>

namespace nb = nanobind;

namespace concord::python {
namespace {

void raise(const char* code, const char* message) {
  const nb::object classes = nb::module_::import_("concord.errors").attr("BY_CODE");
  PyErr_SetObject(nb::object(classes[code]).ptr(), to_text(message).ptr());
}

void raise_io(const Error& error, const nb::object& path) {
  const nb::object made = nb::module_::import_("concord.errors")
                              .attr("io_error")(to_text(error.what()), error.system_error(), path);
  PyErr_SetObject(made.type().ptr(), made.ptr());
}

}  // namespace

nb::object to_text(std::string_view text) {
  const auto length = static_cast<Py_ssize_t>(text.size());
  const nb::object decoded =
      nb::steal(PyUnicode_DecodeUTF8(text.data(), length, "surrogateescape"));
  if (!decoded.is_valid()) nb::raise_python_error();
  return decoded;
}

void translate_errors() {
  nb::register_exception_translator([](const std::exception_ptr& thrown, void*) {
    try {
      std::rethrow_exception(thrown);
    } catch (const PathError& error) {
      raise_io(error, to_text(error.path));
    } catch (const DivergedError& error) {
      raise("diverged", error.what());
    } catch (const Error& error) {
      if (error.code() == ErrorCode::io) return raise_io(error, nb::none());
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

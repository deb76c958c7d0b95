// The extension module cmrbias._C: the only file that knows Python. Addresses come as integers
// (Tensor.data_ptr()); cmrbias/ops has checked shapes, types and devices.
#include <pybind11/pybind11.h>

#include "kernels.h"

namespace py = pybind11;
using namespace cmrbias;

namespace {

using Address = std::uintptr_t;
using ReleaseGil = py::call_guard<py::gil_scoped_release>;

template <class T>
T* pointer(Address address) {
  return reinterpret_cast<T*>(address);
}

Swap make_swap(Type type, Fill fill, std::int64_t cases, std::int64_t frames, std::int64_t mask_frames,
               int height, int width, Address input, Address masks, Address donors, Address order,
               Address starts, Address output) {
  return {type,
          fill,
          cases,
          frames,
          mask_frames,
          height,
          width,
          pointer<const void>(input),
          pointer<const std::uint8_t>(masks),
          pointer<const std::int64_t>(donors),
          pointer<const std::int64_t>(order),
          pointer<const std::int64_t>(starts),
          pointer<void>(output)};
}

BootstrapAuc make_bootstrap_auc(std::int64_t resamples, std::uint64_t seed, std::int64_t cases,
                                std::int64_t classes, std::int64_t patients, std::int64_t strata,
                                Address sizes, Address patient, Address scores, Address positive,
                                Address order, Address aucs) {
  return {resamples,
          seed,
          cases,
          classes,
          patients,
          strata,
          pointer<const std::int64_t>(sizes),
          pointer<const std::int64_t>(patient),
          pointer<const double>(scores),
          pointer<const std::uint8_t>(positive),
          pointer<const std::int64_t>(order),
          pointer<double>(aucs)};
}

}  // namespace

PYBIND11_MODULE(_C, m) {
  m.doc() = "The kernels of cmrbias. Use cmrbias.ops, which checks arguments: this module does not.";

  py::enum_<Type>(m, "Type")
      .value("float32", Type::float32)
      .value("float64", Type::float64)
      .value("bfloat16", Type::bfloat16);

  py::enum_<Fill>(m, "Fill")
      .value("donor", Fill::donor)
      .value("mean", Fill::mean)
      .value("inpaint", Fill::inpaint);
  py::class_<Swap>(m, "Swap")
      .def(py::init(&make_swap), py::kw_only(), py::arg("type"), py::arg("fill"), py::arg("cases"),
           py::arg("frames"), py::arg("mask_frames"), py::arg("height"), py::arg("width"), py::arg("input"),
           py::arg("masks"), py::arg("donors"), py::arg("order"), py::arg("starts"), py::arg("output"))
      .def_property_readonly("scratch_bytes", &background_swap_scratch);
  m.def("background_swap_cpu", &cpu::background_swap, py::arg("swap"), ReleaseGil());
  m.def("background_swap_backward_cpu", &cpu::background_swap_backward, py::arg("swap"), ReleaseGil());

  py::class_<BootstrapAuc>(m, "BootstrapAuc")
      .def(py::init(&make_bootstrap_auc), py::kw_only(), py::arg("resamples"), py::arg("seed"),
           py::arg("cases"), py::arg("classes"), py::arg("patients"), py::arg("strata"), py::arg("sizes"),
           py::arg("patient"), py::arg("scores"), py::arg("positive"), py::arg("order"), py::arg("aucs"));
  m.def("bootstrap_auc_cpu", &cpu::bootstrap_auc, py::arg("auc"), ReleaseGil());

#ifdef CMRBIAS_CUDA
  m.attr("has_cuda") = true;
  m.def(
      "background_swap_cuda",
      [](const Swap& swap, Address scratch, Address stream) {
        cuda::background_swap(swap, pointer<void>(scratch), pointer<void>(stream));
      },
      py::arg("swap"), py::arg("scratch"), py::arg("stream"), ReleaseGil());
  m.def(
      "background_swap_backward_cuda",
      [](const Swap& swap, Address scratch, Address stream) {
        cuda::background_swap_backward(swap, pointer<void>(scratch), pointer<void>(stream));
      },
      py::arg("swap"), py::arg("scratch"), py::arg("stream"), ReleaseGil());
#else
  m.attr("has_cuda") = false;
#endif
}

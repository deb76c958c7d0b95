// The extension module cmrbias._C: the only file that knows Python. Addresses come as integers
// (Tensor.data_ptr()); cmrbias/ops has checked shapes, types and devices.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "cpu/instruction_sets.h"
#include "cuda/scratch.h"
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

Hearts make_hearts(std::int64_t cases, std::int64_t mask_frames, int height, int width, Address masks,
                   Address donors, Address shifts) {
  return {cases,
          mask_frames,
          height,
          width,
          pointer<const std::uint8_t>(masks),
          pointer<const std::int64_t>(donors),
          pointer<const std::int64_t>(shifts)};
}

Swap make_swap(const Hearts& hearts, Type type, Fill fill, std::int64_t frames, Address input, Address order,
               Address starts, Address output) {
  return {hearts,
          type,
          fill,
          frames,
          pointer<const void>(input),
          pointer<const std::int64_t>(order),
          pointer<const std::int64_t>(starts),
          pointer<void>(output)};
}

Gradcam make_gradcam(Type type, std::int64_t images, int targets, int channels, int cells,
                     Address activations, Address gradients, Address maps) {
  return {type,
          images,
          targets,
          channels,
          cells,
          pointer<const void>(activations),
          pointer<const void>(gradients),
          pointer<void>(maps)};
}

Projection make_projection(std::int64_t images, int height, int width, int rows, int columns, Address masks,
                           Address cells, Address areas) {
  return {images,
          height,
          width,
          rows,
          columns,
          pointer<const std::uint8_t>(masks),
          pointer<double>(cells),
          pointer<std::int64_t>(areas)};
}

Overlap make_overlap(Type type, std::int64_t images, int targets, int height, int width, int rows,
                     int columns, double threshold, Address maps, Address masks, Address cells, Address areas,
                     Address sums, Address counts, Address of_mask) {
  return {type,
          images,
          targets,
          height,
          width,
          rows,
          columns,
          threshold,
          pointer<const void>(maps),
          pointer<const std::uint8_t>(masks),
          pointer<const double>(cells),
          pointer<const std::int64_t>(areas),
          pointer<double>(sums),
          pointer<std::int64_t>(counts),
          pointer<double>(of_mask)};
}

Extremes make_extremes(Type type, std::int64_t images, int height, int width, int rows, int columns,
                       Address maps, Address pixels) {
  return {type,    images, height, width, rows, columns, pointer<const void>(maps),
          pointer<std::int64_t>(pixels)};
}

BootstrapAuc make_bootstrap_auc(std::int64_t resamples, std::uint64_t seed, std::int64_t cases,
                                std::int64_t classes, std::int64_t patients, std::int64_t strata,
                                Address sizes, Address weights, Address patient, Address scores,
                                Address positive, Address order, Address aucs) {
  return {resamples,
          seed,
          cases,
          classes,
          patients,
          strata,
          pointer<const std::int64_t>(sizes),
          pointer<const std::int64_t>(weights),
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

  m.def("instruction_sets", &cpu::instruction_sets);
  m.def("set_instruction_set", &cpu::set_instruction_set, py::arg("name"));

  py::enum_<Fill>(m, "Fill")
      .value("donor", Fill::donor)
      .value("mean", Fill::mean)
      .value("inpaint", Fill::inpaint);
  py::class_<Hearts>(m, "Hearts")
      .def(py::init(&make_hearts), py::kw_only(), py::arg("cases"), py::arg("mask_frames"), py::arg("height"),
           py::arg("width"), py::arg("masks"), py::arg("donors"), py::arg("shifts"));
  py::class_<Swap, Hearts>(m, "Swap")
      .def(py::init(&make_swap), py::kw_only(), py::arg("hearts"), py::arg("type"), py::arg("fill"),
           py::arg("frames"), py::arg("input"), py::arg("order"), py::arg("starts"), py::arg("output"))
      .def_property_readonly("scratch_bytes", &background_swap_scratch);
  m.def(
      "group_by_donor",
      [](Address donors, std::int64_t cases, Address order) {
        cpu::group_by_donor(pointer<const std::int64_t>(donors), cases, pointer<std::int64_t>(order));
      },
      py::arg("donors"), py::arg("cases"), py::arg("order"));
  m.def("background_swap_cpu", &cpu::background_swap, py::arg("swap"), ReleaseGil());
  m.def("background_swap_backward_cpu", &cpu::background_swap_backward, py::arg("swap"), ReleaseGil());
  m.def(
      "heart_sums_cpu",
      [](const Hearts& hearts, Address sums) { cpu::heart_sums(hearts, pointer<std::int64_t>(sums)); },
      py::arg("hearts"), py::arg("output"), ReleaseGil());
  m.def(
      "heart_residual_cpu",
      [](const Hearts& hearts, Address pixels) { cpu::heart_residual(hearts, pointer<std::int64_t>(pixels)); },
      py::arg("hearts"), py::arg("output"), ReleaseGil());
  m.def(
      "stream_copy_cpu",
      [](Address to, Address from, std::size_t bytes) {
        cpu::stream_copy(pointer<void>(to), pointer<const void>(from), bytes);
      },
      py::arg("to"), py::arg("source"), py::arg("bytes"), ReleaseGil());

  py::class_<Gradcam>(m, "Gradcam")
      .def(py::init(&make_gradcam), py::kw_only(), py::arg("type"), py::arg("images"), py::arg("targets"),
           py::arg("channels"), py::arg("cells"), py::arg("activations"), py::arg("gradients"),
           py::arg("maps"))
      .def_property_readonly("scratch_bytes", &cuda::scratch_bytes<cuda::GradcamScratch, Gradcam>);
  py::class_<Projection>(m, "Projection")
      .def(py::init(&make_projection), py::kw_only(), py::arg("images"), py::arg("height"), py::arg("width"),
           py::arg("rows"), py::arg("columns"), py::arg("masks"), py::arg("cells"), py::arg("areas"))
      .def_property_readonly("scratch_bytes", &cuda::scratch_bytes<cuda::ProjectionScratch, Projection>);
  py::class_<Overlap>(m, "Overlap")
      .def(py::init(&make_overlap), py::kw_only(), py::arg("type"), py::arg("images"), py::arg("targets"),
           py::arg("height"), py::arg("width"), py::arg("rows"), py::arg("columns"), py::arg("threshold"),
           py::arg("maps"), py::arg("masks"), py::arg("cells"), py::arg("areas"), py::arg("sums"),
           py::arg("counts"), py::arg("of_mask"))
      .def_property_readonly("scratch_bytes", &cuda::scratch_bytes<cuda::OverlapScratch, Overlap>);
  py::class_<Extremes>(m, "Extremes")
      .def(py::init(&make_extremes), py::kw_only(), py::arg("type"), py::arg("images"), py::arg("height"),
           py::arg("width"), py::arg("rows"), py::arg("columns"), py::arg("maps"), py::arg("pixels"))
      .def_property_readonly("scratch_bytes", &cuda::scratch_bytes<cuda::ExtremesScratch, Extremes>);
  m.def("gradcam_cpu", &cpu::gradcam, py::arg("gradcam"), ReleaseGil());
  m.def("project_masks_cpu", &cpu::project_masks, py::arg("projection"), ReleaseGil());
  m.def("overlap_cpu", &cpu::overlap, py::arg("overlap"), ReleaseGil());
  m.def("gradcam_overlap_cpu", &cpu::gradcam_overlap, py::arg("gradcam"), py::arg("overlap"), ReleaseGil());
  m.def("extreme_pixels_cpu", &cpu::extreme_pixels, py::arg("extremes"), ReleaseGil());

  py::class_<BootstrapAuc>(m, "BootstrapAuc")
      .def(py::init(&make_bootstrap_auc), py::kw_only(), py::arg("resamples"), py::arg("seed"),
           py::arg("cases"), py::arg("classes"), py::arg("patients"), py::arg("strata"), py::arg("sizes"),
           py::arg("weights"), py::arg("patient"), py::arg("scores"), py::arg("positive"), py::arg("order"),
           py::arg("aucs"));
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
  m.def(
      "gradcam_cuda",
      [](const Gradcam& gradcam, Address scratch, Address stream) {
        cuda::gradcam(gradcam, pointer<void>(scratch), pointer<void>(stream));
      },
      py::arg("gradcam"), py::arg("scratch"), py::arg("stream"), ReleaseGil());
  m.def(
      "project_masks_cuda",
      [](const Projection& projection, Address scratch, Address stream) {
        cuda::project_masks(projection, pointer<void>(scratch), pointer<void>(stream));
      },
      py::arg("projection"), py::arg("scratch"), py::arg("stream"), ReleaseGil());
  m.def(
      "overlap_cuda",
      [](const Overlap& overlap, Address scratch, Address stream) {
        cuda::overlap(overlap, pointer<void>(scratch), pointer<void>(stream));
      },
      py::arg("overlap"), py::arg("scratch"), py::arg("stream"), ReleaseGil());
  m.def(
      "gradcam_overlap_cuda",
      [](const Gradcam& gradcam, const Overlap& overlap, Address scratch, Address stream) {
        cuda::gradcam_overlap(gradcam, overlap, pointer<void>(scratch), pointer<void>(stream));
      },
      py::arg("gradcam"), py::arg("overlap"), py::arg("scratch"), py::arg("stream"), ReleaseGil());
  m.def(
      "extreme_pixels_cuda",
      [](const Extremes& extremes, Address scratch, Address stream) {
        cuda::extreme_pixels(extremes, pointer<void>(scratch), pointer<void>(stream));
      },
      py::arg("extremes"), py::arg("scratch"), py::arg("stream"), ReleaseGil());
  m.def(
      "heart_sums_cuda",
      [](const Hearts& hearts, Address sums, Address stream) {
        cuda::heart_sums(hearts, pointer<std::int64_t>(sums), pointer<void>(stream));
      },
      py::arg("hearts"), py::arg("output"), py::arg("stream"), ReleaseGil());
  m.def(
      "heart_residual_cuda",
      [](const Hearts& hearts, Address pixels, Address stream) {
        cuda::heart_residual(hearts, pointer<std::int64_t>(pixels), pointer<void>(stream));
      },
      py::arg("hearts"), py::arg("output"), py::arg("stream"), ReleaseGil());
#else
  m.attr("has_cuda") = false;
#endif
}
